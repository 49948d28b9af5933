"""What a recorded function can see of Python outside its tensors, and whether that is still the same.

`look` walks from the function: default arguments, closures, the globals that it names, and on through helper functions,
methods, containers, arrays and objects. Of objects, classes and modules only the attributes count whose names occur in
the code that was reached, so a counter that the function never reads does not matter.

Limits: what a property, a `__getattr__` or a module imported within the function returns is not followed, nor are the
insides of the standard library, of NumPy and of this package. A class of this package says with `_recorded_parts(names)`
what its instances consist of; it promises that anything else about them calls `TRACING.invalidate_recordings`.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import Any

import numpy as np

from .tracer import TRACING

SIMPLE = (int, float, str, bool, type(None), bytes, complex)
_OWN = __name__.partition(".")[0]
_FOREIGN = frozenset((_OWN, "numpy", "builtins")) | sys.stdlib_module_names
_MISSING = object()


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """A description that is equal for equal surroundings, and a quick test whether anything has moved."""

    roots: tuple[Any, ...]
    token: tuple[Any, ...]
    unchanged: Callable[[], bool]

    def still(self, roots: Sequence[Any]) -> bool:
        """Whether they are those of `roots`, and unchanged."""
        return len(roots) == len(self.roots) and all(map(is_, roots, self.roots)) and self.unchanged()


def look(roots: Sequence[Any]) -> Surroundings:
    """What can be seen from a function and its opaque arguments.

    >>> scale = [2.0]
    >>> seen = look([functools.partial(max, scale)])
    >>> scale[0] = 3.0
    >>> seen.unchanged()
    False
    """
    names: frozenset[str] = frozenset(("__call__",))
    while True:  # names that are found on the way may matter for objects that were seen before
        walk = _Walk(names)
        walk.visit(roots)
        if walk.names == names:
            return Surroundings(tuple(roots), tuple(walk.tokens), walk.test())
        names = frozenset(walk.names)


class _Same:
    """An object that is equal to itself only. It is kept, so its address is not used again."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing


class _Walk:
    """One walk: tokens in the order of visits, and the tests that would notice a change."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = set(names)
        self.wanted = sorted(names)
        self.tokens: list[Any] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []
        self.tests: list[str] = []
        self.scope: dict[str, Any] = {"empty": _empty, "same_items": _same_items, "same_array": _same_array}
        self.known: dict[int, str] = {}

    def visit(self, roots: Iterable[Any]) -> None:
        """Everything that can be reached."""
        stack = list(roots)[::-1]
        while stack:
            stack += self._one(stack.pop())[::-1]

    def test(self) -> Callable[[], bool]:
        """A function that is true as long as nothing has moved."""
        tests = [f"{self.name(TRACING)}.version == {TRACING.version}", *self.tests]
        lines = [f"        if not ({test}): return False" for test in tests]
        source = ["def unchanged():", "    try:", *lines, "    except (AttributeError, ValueError): return False"]
        exec("\n".join([*source, "    return True"]), self.scope)  # the text is made of names only
        made: Callable[[], bool] = self.scope["unchanged"]
        return made

    def name(self, thing: Any) -> str:
        """A name for an object in the text of the test."""
        if id(thing) not in self.known:
            self.known[id(thing)] = name = f"k{len(self.known)}"
            self.scope[name] = thing
        return self.known[id(thing)]

    def _is(self, place: str, value: Any) -> None:
        self.tests.append(f"{place} is {self.name(value)}")

    def _one(self, x: Any) -> list[Any]:
        """Takes down one object; returns what it leads to."""
        kind = type(x)
        if kind in SIMPLE:
            self.tokens.append((kind, repr(x) if kind is float or kind is complex else x))
            return []
        if id(x) in self.seen:
            self.tokens.append(self.seen[id(x)])
            return []
        self.seen[id(x)] = len(self.seen)
        self.kept.append(x)  # no address is used twice during the walk
        if kind is types.FunctionType:
            return self._function(x)
        if kind is types.MethodType:
            self.tokens.append((kind,))
            return [x.__func__, x.__self__]
        if kind is functools.partial:
            self.tokens.append((kind,))
            return [x.func, x.args, x.keywords]
        if isinstance(x, (staticmethod, classmethod)):
            self.tokens.append((kind,))
            return [x.__func__]
        if kind is property:
            self.tokens.append((kind,))
            return [x.fget]
        if isinstance(x, np.ndarray):
            content = (x.shape, x.dtype.str, x.tobytes())
            self.tokens.append((kind, content))
            self.tests.append(f"same_array({self.name(x)}, {self.name(content)})")
            return []
        if isinstance(x, np.generic):
            self.tokens.append((kind, x.tobytes()))
            return []
        found = self._items(x)
        return found if kind in _CONTAINERS else found + self._attributes(x)

    def _items(self, x: Any) -> list[Any]:
        """What a container holds, whose contents are what matters of it."""
        if isinstance(x, dict):
            keys, values = list(x), list(x.values())
            self.tokens.append((type(x), len(keys)))
            self.tests.append(f"same_items({self.name(x)}, {self.name(keys)})")
            self.tests.append(f"same_items({self.name(x)}.values(), {self.name(values)})")
            return keys + values
        if isinstance(x, (list, tuple, set, frozenset, deque)):
            items = list(x)
            self.tokens.append((type(x), len(items)))
            if not isinstance(x, (tuple, frozenset)):
                self.tests.append(f"same_items({self.name(x)}, {self.name(items)})")
            return items
        return []

    def _function(self, fn: Any) -> list[Any]:
        code = fn.__code__
        self.tokens.append((types.FunctionType, _Same(code)))
        if _foreign(fn.__module__):
            wrapped = fn.__dict__.get("__wrapped__")
            return [] if wrapped is None else [wrapped, *self._cells(fn)]
        place = self.name(fn)
        self._is(f"{place}.__code__", code)
        self._is(f"{place}.__defaults__", fn.__defaults__)
        self._is(f"{place}.__kwdefaults__", fn.__kwdefaults__)
        found = [fn.__defaults__, fn.__kwdefaults__, *self._cells(fn)]
        scope = self.name(fn.__globals__)
        for name in _names(code):
            self.names.add(name)
            value = fn.__globals__.get(name, _MISSING)
            self._is(f"{scope}.get({name!r}, {self.name(_MISSING)})", value)
            found.append(value)
        return found

    def _cells(self, fn: Any) -> list[Any]:
        """The contents of a function's closure."""
        found = []
        for cell in fn.__closure__ or ():
            if _empty(cell):
                self.tests.append(f"empty({self.name(cell)})")
                found.append(_MISSING)
            else:
                self._is(f"{self.name(cell)}.cell_contents", cell.cell_contents)
                found.append(cell.cell_contents)
        return found

    def _attributes(self, x: Any) -> list[Any]:
        """An object, a class or a module: the attributes that the code names."""
        kind = type(x)
        parts = getattr(kind, "_recorded_parts", None)
        if parts is not None:
            self.tokens.append(_Same(x))
            return [*parts(x, self.wanted), kind]
        members = getattr(x, "__dict__", None)
        if x is _MISSING or (_foreign(kind.__module__) and members is None):
            self._identity(x)
            return []
        if isinstance(x, (type, types.ModuleType)):
            self._identity(x)
            if _foreign(x.__module__ if isinstance(x, type) else x.__name__):
                return []
            return [*self._members(x, self.wanted), *(x.__mro__[1:] if isinstance(x, type) else ())]
        if kind.__module__.partition(".")[0] == _OWN:
            self._identity(x)
            return [members["__wrapped__"]] if members and "__wrapped__" in members else []
        names = self.wanted
        if dataclasses.is_dataclass(x):
            self.tokens.append((kind, "fields"))
            names = sorted({*names, *(field.name for field in dataclasses.fields(x))})
        else:
            self._identity(x)
        if members and "__wrapped__" in members:
            names = [*names, "__wrapped__"]
        return [*self._members(x, names), kind]

    def _members(self, x: Any, names: Iterable[str]) -> list[Any]:
        """Attributes of these names, wherever the object itself keeps them."""
        place, found = self.name(x), []
        members = getattr(x, "__dict__", {})
        for name in names:
            if name in members:
                value = members[name]
                self._is(f"{place}.__dict__.get({name!r})", value)
            elif isinstance(x, type):
                continue
            elif isinstance(getattr(type(x), name, None), types.MemberDescriptorType):
                value = getattr(x, name, _MISSING)
                self._is(f"getattr({place}, {name!r}, {self.name(_MISSING)})", value)
            else:
                if hasattr(type(x), name) and hasattr(x, "__dict__"):  # it may come to hide what the class has
                    self.tests.append(f"{name!r} not in {place}.__dict__")
                continue
            self.tokens.append(name)
            found.append(value)
        return found

    def _identity(self, x: Any) -> None:
        """Objects with a hash of their own are equal where they say so, others where they are the same."""
        own = type(x).__module__.partition(".")[0] == _OWN or isinstance(x, type)
        hashed: Any = type(x).__hash__
        self.tokens.append(_Same(x) if own or hashed is None or hashed is object.__hash__ else (type(x), x))


_CONTAINERS = (dict, list, tuple, set, frozenset, deque)


def _foreign(module: Any) -> bool:
    """Whether nothing in a module of this name is followed."""
    return not isinstance(module, str) or module.partition(".")[0] in _FOREIGN


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """Names of globals and attributes in a function and in what is defined within it."""
    found = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(dict.fromkeys(_names(constant)))
    return tuple(found)


def _empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _same_items(items: Any, saved: list[Any]) -> bool:
    return len(items) == len(saved) and all(map(is_, items, saved))


def _same_array(array: Any, content: tuple[Any, ...]) -> bool:
    return (array.shape, array.dtype.str, array.tobytes()) == content
