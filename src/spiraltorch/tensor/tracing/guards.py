"""Guards on Python state: a snapshot of what a compiled function can reach, and a test whether it has changed.

`snapshot` walks from the function: default arguments, closures, the globals that it names, and on through helper functions,
methods, containers, arrays and objects. Of objects, classes and modules only the attributes count whose names occur in
the code that was reached, so a counter that the function never reads does not matter; all count where names are computed
(`getattr`), and of instances of the standard library's classes.

What no test can see (`purity`) is collected in `Snapshot.unguarded`. The insides of the standard library, of NumPy and of
this package are not looked at, other libraries' only up to `FOREIGN_LIMIT` objects. Of an object of this package the public
attributes count whose names occur, such as `optimizer.param_groups`; a method of it that reads or changes other state of
Python, such as a schedule's `step`, reports that with `tracer.record_host_state`. A class of this package may say instead
with `_recorded_parts(names)` what its instances consist of; it promises to call `TRACING.invalidate_recordings` when
anything else about them changes.
"""

from __future__ import annotations

import array
import contextvars
import dataclasses
import functools
import os
import types
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ...runtime.device import REGISTRY, DeviceName
from ...runtime.device import default as default_device
from ..count import Count
from .identity import ClassOf, Identity, WeakIdentity
from .purity import (
    OPAQUE,
    PACKAGE,
    Unguarded,
    facts_of,
    is_installed,
    place_of,
    stores_of,
    top_package,
    unguarded_code,
    unguarded_object,
)
from .tracer import TRACING

FOREIGN_LIMIT = 300  # objects of other libraries that are looked at
PLAIN_TYPES = (int, float, str, bool, type(None), bytes, complex)  # immutable: guarded by type and value
_MISSING = object()


class Snapshot(NamedTuple):
    """Python state as a compiled function sees it.

    Attributes:
        roots: the function, and arguments and hooks from which the walk began: for `weak` ones weak references.
        key: equal for equal states.
        unchanged: a generated function that tells, faster than another snapshot, whether nothing has changed.
        unguarded: something that the function uses and no guard can see, or None. Then nothing else was looked at.
        changed: what has changed, for messages.
    """

    roots: tuple[object, ...]
    key: tuple[Hashable, ...]
    unchanged: Callable[[], bool]
    unguarded: Unguarded | None
    changed: Callable[[], str]

    def matches(self, roots: Sequence[object]) -> bool:
        """Whether the roots are the same objects and nothing that they reach has changed."""
        known = [root() if isinstance(root, weakref.ref) else root for root in self.roots]
        same = len(roots) == len(known) and all(map(is_, roots, known))
        return same and (self.unguarded is not None or self.unchanged())

    def is_alive(self) -> bool:
        """Whether all roots exist."""
        return not any(isinstance(root, weakref.ref) and root() is None for root in self.roots)


def snapshot(roots: Sequence[object], weak: Sequence[object] = ()) -> Snapshot:
    """The state of everything that can be reached from a function and its opaque arguments.

    Args:
        roots: where the walk begins.
        weak: those of the roots that the snapshot does not keep alive.

    >>> scale = [2.0]
    >>> before = snapshot([functools.partial(max, scale)])
    >>> scale[0] = 3.0
    >>> before.unchanged()
    False
    """
    names, stored, dynamic = frozenset(("__call__",)), frozenset[str](), False
    references = {id(root): weakref.ref(root) for root in weak}
    kept = tuple([references.get(id(root), root) for root in roots])
    default = str(default_device())  # where functions make tensors
    while True:  # a name in code that is reached late may matter for an object that was visited before
        walk = _Walk(names, stored, dynamic, frozenset(references))
        try:
            walk.visit(roots)
        except _Found as found:
            return Snapshot(kept, (), lambda: True, found.unguarded, str)
        if walk.names == names and walk.stored == stored and walk.dynamic == dynamic:
            walk.end()
            return Snapshot(kept, (default, *walk.key), walk.test(), None, walk.what_changed)
        names, stored, dynamic = frozenset(walk.names), frozenset(walk.stored), walk.dynamic


class _Found(Exception):
    """Ends a walk that has found what no guard can see."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what)
        self.unguarded = Unguarded(what, place)


class _Walk:
    """One walk over the reachable objects.

    Attributes:
        names: the names of attributes in the code reached so far.
        stored: those that are written.
        dynamic: whether code reads attributes whose names are computed.
        followed, written, all: the same of the previous walk: these attributes are followed.
        key: tokens in the order of visits.
        tests: conditions, as source text, that hold as long as nothing has changed.
        scope: the objects that the tests name.
        codes: the code of the functions that were reached.
    """

    def __init__(self, names: frozenset[str], stored: frozenset[str], dynamic: bool, weak: frozenset[int]) -> None:
        self.names, self.stored, self.dynamic = set(names), set(stored), dynamic
        self.followed, self.written, self.all = sorted(names), stored, dynamic
        self.codes: list[types.CodeType] = []
        self._weak = weak  # roots that are not kept, by id
        self._foreign = 0
        self._own: set[str] = set()  # packages that are no other library's: those of the roots
        self.key: list[Hashable] = []
        self.tests: list[str] = []
        self.scope: dict[str, Any] = {"empty": _empty, "same_items": _same_items, "same_array": _same_array}
        self._numbers: dict[int, int] = {}  # of visited objects, by id
        self._kept: list[object] = []
        self._names: dict[int, str] = {}  # of objects in `scope`, by id

    def visit(self, roots: Iterable[object]) -> None:
        """Walks over everything that can be reached, without recursion."""
        stack = list(roots)[::-1]
        for root in stack:
            function = root.__func__ if isinstance(root, types.MethodType) else root
            self._own.add(top_package(getattr(function, "__module__", None)))
        while stack:
            stack += self._visit(stack.pop())[::-1]

    def end(self) -> None:
        """Drops the objects that were visited: only those that the tests name are kept."""
        self._kept.clear()
        self._numbers.clear()
        self._names.clear()

    def test(self) -> Callable[[], bool]:
        """A function that returns True as long as nothing has changed."""
        tests = [
            f"{self.name(TRACING)}.version == {TRACING.version}",
            f"{self.name(REGISTRY)}.default == {REGISTRY.default!r}",
            *self.tests,
        ]
        lines = [f"        if not ({test}): return False" for test in tests]
        source = ["def unchanged():", "    try:", *lines, "    except (AttributeError, ValueError): return False"]
        exec("\n".join([*source, "    return True"]), self.scope)  # the text is made of names only
        unchanged: Callable[[], bool] = self.scope["unchanged"]
        return unchanged

    def what_changed(self) -> str:
        """What has changed since, with the place of the code that changes it where that is known."""
        for test in self.tests:
            try:
                if eval(test, self.scope):
                    continue
            except (AttributeError, ValueError):
                pass
            for code in self.codes:
                for line, name in stores_of(code):
                    if f"{name!r}" in test or (name == "" and "same_" in test):
                        return f"{name or 'a container'} ({place_of(code, line)})"
            return "what it reaches"
        return ""

    def name(self, obj: object) -> str:
        """A name for an object in the text of the test."""
        if id(obj) not in self._names:
            name = f"k{len(self.scope)}"
            if id(obj) in self._weak:
                self.scope[name], self._names[id(obj)] = weakref.ref(obj), f"{name}()"
            else:
                self.scope[name], self._names[id(obj)] = obj, name
        return self._names[id(obj)]

    def _test_is(self, place: str, value: object) -> None:
        """The expression has to give this object."""
        self.tests.append(f"{place} is {self.name(value)}")

    def _visit(self, x: Any) -> list[Any]:
        """Adds the tokens and tests of one object; returns the objects to visit next."""
        kind = type(x)
        if kind in PLAIN_TYPES:
            self.key.append((kind, repr(x) if kind is float or kind is complex else x))
            return []
        if kind is Count or kind is DeviceName:  # made anew by each access of `x.size`
            self.key.append((kind, x.shape if kind is Count else x))
            return []
        number = ~id(x.kind) if kind is ClassOf else id(x)
        if number in self._numbers:
            self.key.append(self._numbers[number])
            return []
        self._numbers[number] = len(self._numbers)
        self._kept.append(x)  # so that no id is used twice during the walk
        if kind is ClassOf:
            return self._class(x.kind, constructed="__class__" in self.followed)
        if kind is types.FunctionType:
            return self._function(x)
        if kind is types.MethodType:
            self.key.append((kind,))
            return [x.__func__, x.__self__]
        if kind is functools.partial:
            self.key.append((kind,))
            return [x.func, x.args, x.keywords]
        if isinstance(x, (staticmethod, classmethod)):
            self.key.append((kind,))
            return [x.__func__]
        if kind is property:
            self.key.append((kind,))
            return [x.fget]
        if isinstance(x, np.ndarray):
            content = (x.shape, x.dtype.str, x.tobytes())
            self.key.append((kind, content))
            self.tests.append(f"same_array({self.name(x)}, {self.name(content)})")
            return []
        if isinstance(x, np.generic):
            self.key.append((kind, x.tobytes()))
            return []
        if isinstance(x, (bytearray, memoryview, array.array)):
            bits = bytes(x)
            self.key.append((kind, bits))
            self.tests.append(f"bytes({self.name(x)}) == {self.name(bits)}")
            return []
        if isinstance(x, contextvars.ContextVar):
            value = x.get(_MISSING)
            self._test_is(f"{self.name(x)}.get({self.name(_MISSING)})", value)
            self._identity(x)
            return [value]
        if isinstance(x, weakref.ref):
            self._test_is(f"{self.name(x)}()", x())
            self._identity(x)
            return [x()]
        if isinstance(x, types.BuiltinMethodType) and not isinstance(
            x.__self__, (types.ModuleType, type, types.NoneType)
        ):
            self.key.append((kind, x.__name__))
            return [x.__self__]
        items = self._items(x)
        return items if kind in _CONTAINERS else items + self._attributes(x)

    def _items(self, x: Any) -> list[Any]:
        """The contents of a container; nothing for other objects."""
        if isinstance(x, (dict, types.MappingProxyType)):
            keys, values = list(x), list(x.values())
            self.key.append((type(x), len(keys)))
            self.tests.append(f"same_items({self.name(x)}, {self.name(keys)})")
            self.tests.append(f"same_items({self.name(x)}.values(), {self.name(values)})")
            return keys + values
        if isinstance(x, (list, tuple, set, frozenset, deque)):
            items = list(x)
            self.key.append((type(x), len(items)))
            if not isinstance(x, (tuple, frozenset)):
                self.tests.append(f"same_items({self.name(x)}, {self.name(items)})")
            return items
        return []

    def _function(self, fn: Any) -> list[Any]:
        """A function: its code, defaults, closure, attributes and the globals that its code names."""
        code = fn.__code__
        self.key.append((types.FunctionType, Identity(code)))
        module = "__main__" if fn.__module__ in (None, "builtins") else fn.__module__  # of code that `exec` was given
        if not self._entered(module):
            if (what := unguarded_object(fn)) is not None and not self._is_foreign(module):
                raise _Found(what)
            self.key.append(Identity(fn))  # many functions of this package share their code
            wrapped = fn.__dict__.get("__wrapped__")
            return self._cells(fn) if wrapped is None else [wrapped, *self._cells(fn)]
        for what, place in unguarded_code(fn):
            raise _Found(what, place)
        self.codes.append(code)
        facts = facts_of(code)
        self.names |= facts.attributes
        if "type" in facts.names:  # `type(x)(...)` makes an instance, as `x.__class__(...)` does
            self.names.add("__class__")
        if fn.__name__ != "__init__":  # what it stores is part of new objects
            self.names |= facts.stored
            self.stored |= facts.stored
        self.dynamic = self.dynamic or facts.dynamic
        place = self.name(fn)
        self._test_is(f"{place}.__code__", code)
        self._test_is(f"{place}.__defaults__", fn.__defaults__)
        self._test_is(f"{place}.__kwdefaults__", fn.__kwdefaults__)
        attributes = self._members(fn, list(fn.__dict__) if self.all else self.followed)
        reached = [fn.__defaults__, fn.__kwdefaults__, *self._cells(fn), *attributes]
        scope = self.name(fn.__globals__)
        for name in sorted(facts.names):
            value = fn.__globals__.get(name, _MISSING)
            self._test_is(f"{scope}.get({name!r}, {self.name(_MISSING)})", value)
            reached.append(value)
        if any((root == "os" and "environ" in parts[:1]) or "getenv" in parts for root, parts, _ in facts.chains):
            reached.append(os.environ)
        return reached

    def _entered(self, module: Any) -> bool:
        """Whether the functions and instances of a module are looked into."""
        top = top_package(module)
        if top in OPAQUE:
            return False
        if not self._is_foreign(module):
            return True
        self._foreign += 1
        if self._foreign == FOREIGN_LIMIT:
            raise _Found(f"the library {top}, which is too large to look through")
        return True

    def _is_foreign(self, module: Any) -> bool:
        """Whether a module is another library's."""
        top = top_package(module)
        return top not in self._own and top not in OPAQUE and is_installed(top)

    def _cells(self, fn: Any) -> list[Any]:
        """The contents of a function's closure."""
        contents: list[Any] = []
        for cell in fn.__closure__ or ():
            if _empty(cell):
                self.tests.append(f"empty({self.name(cell)})")
                contents.append(_MISSING)
            else:
                self._test_is(f"{self.name(cell)}.cell_contents", cell.cell_contents)
                contents.append(cell.cell_contents)
        return contents

    def _attributes(self, x: Any) -> list[Any]:
        """An object, a class or a module: the attributes that the reached code names."""
        kind = type(x)
        parts = getattr(kind, "_recorded_parts", None)
        if parts is not None:
            self._identity(x)
            return [*parts(x, self.followed), ClassOf(kind)]
        members = getattr(x, "__dict__", None)
        if x is _MISSING:
            self._identity(x)
            return []
        if isinstance(x, type):
            return self._class(x, constructed=True)
        if isinstance(x, types.ModuleType):
            self._identity(x)
            return self._members(x, self.followed) if self._entered(x.__name__) else []
        opaque = not self._entered(kind.__module__)
        if top_package(kind.__module__) == PACKAGE:
            self._identity(x)
            wrapped = ["__wrapped__"] if members and "__wrapped__" in members else []
            return self._members(x, [*wrapped, *(name for name in self.followed if name[0] != "_")])
        container = isinstance(x, _CONTAINERS)  # its contents were looked at by `_items`
        if not container and (what := unguarded_object(x)) is not None:
            raise _Found(what)
        if opaque and members is None:
            self._identity(x)
            return []
        names = self.followed
        foreign = any(top_package(base.__module__) in OPAQUE and base is not object for base in kind.__mro__)
        if members is not None and (self.all or foreign) and kind.__module__ != "logging":
            self._identity(x)
            place, known = self.name(members), list(members)
            self.tests.append(f"same_items({place}, {self.name(known)})")
            return [*self._members(x, known), ClassOf(kind)]
        if dataclasses.is_dataclass(x):
            self.key.append((kind, "fields"))
            names = sorted({*names, *(field.name for field in dataclasses.fields(x))})
        else:
            self._identity(x)
        if members and "__wrapped__" in members:
            names = [*names, "__wrapped__"]
        return [*self._members(x, names), ClassOf(kind)]

    def _class(self, x: type, constructed: bool) -> list[Any]:
        """A class and its bases: the attributes that the reached code names, and methods that Python calls without a name.

        Args:
            x: the class.
            constructed: whether instances may be made, so that its constructors count.
        """
        self._identity(x)
        if not self._entered(x.__module__):
            return []
        unnamed = [n for n, v in vars(x).items() if n[:2] == "__" and isinstance(v, types.FunctionType)]
        if not constructed:
            unnamed = [n for n in unnamed if n not in _CONSTRUCTORS]
        bases = x.__mro__[1:]
        return [
            *self._members(x, dict.fromkeys([*self.followed, *unnamed])),
            *(bases if constructed else map(ClassOf, bases)),
        ]

    def _members(self, x: Any, names: Iterable[str]) -> list[Any]:
        """The attributes of these names that the object itself has, in `__dict__` or slots."""
        place, values = self.name(x), [type(x)] if isinstance(x, type) and type(x) is not type else []
        members = getattr(x, "__dict__", {})
        for name in names:
            if name in members:
                value = members[name]
                self._test_is(f"{place}.__dict__.get({name!r})", value)
            elif isinstance(x, type):
                continue
            elif name in self.written and hasattr(x, "__dict__") and not hasattr(type(x), name):
                self.tests.append(f"{name!r} not in {place}.__dict__")
                continue
            elif isinstance(getattr(type(x), name, None), types.MemberDescriptorType):
                value = getattr(x, name, _MISSING)
                self._test_is(f"getattr({place}, {name!r}, {self.name(_MISSING)})", value)
            else:
                if hasattr(type(x), name) and hasattr(x, "__dict__"):  # the object may get one that hides the class's
                    self.tests.append(f"{name!r} not in {place}.__dict__")
                continue
            self.key.append(name)
            values.append(value)
        return values

    def _identity(self, x: Any) -> None:
        """Adds the token of an object: by equality if its class defines a hash, by identity otherwise."""
        if id(x) in self._weak:
            self.key.append(WeakIdentity(x))
            return
        own = top_package(type(x).__module__) == PACKAGE or isinstance(x, type)
        hashed: Any = type(x).__hash__
        self.key.append(Identity(x) if own or hashed is None or hashed is object.__hash__ else (type(x), x))


_CONSTRUCTORS = ("__new__", "__init__", "__post_init__", "__init_subclass__", "__set_name__")
_CONTAINERS = (dict, list, tuple, set, frozenset, deque, types.MappingProxyType)


def _empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _same_items(items: Any, saved: list[Any]) -> bool:
    return len(items) == len(saved) and all(map(is_, items, saved))


def _same_array(array: Any, content: tuple[Any, ...]) -> bool:
    return (array.shape, array.dtype.str, array.tobytes()) == content
