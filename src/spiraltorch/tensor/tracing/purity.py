"""What Python code reads and writes, and which of it no guard can see.

A recording may stand for a function only while everything that the function read is the same. Of most state this can be
tested (`guards`). Not of random numbers of the host, clocks, files, iterators, or what extensions other than NumPy hold: a
function that uses them is recorded at each call.
"""

from __future__ import annotations

import collections
import contextvars
import dis
import functools
import io
import random
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

PACKAGE = __name__.partition(".")[0]
OPAQUE = frozenset((PACKAGE, "numpy", "ml_dtypes", "builtins")) | sys.stdlib_module_names  # not walked into

_ANY = None
# Names of modules whose value may differ at each use; all of a module's for None.
IMPURE: dict[str, frozenset[str] | None] = {
    "random": _ANY, "secrets": _ANY, "uuid": _ANY, "tempfile": _ANY, "socket": _ANY, "subprocess": _ANY,
    "gc": _ANY, "getpass": _ANY, "select": _ANY, "signal": _ANY, "multiprocessing": _ANY, "urllib": _ANY, "http": _ANY,
    "sqlite3": _ANY, "resource": _ANY, "shutil": _ANY, "glob": _ANY, "asyncio": _ANY, "queue": _ANY, "mmap": _ANY,
    "time": frozenset(
        "time time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time process_time_ns thread_time "
        "thread_time_ns localtime gmtime ctime strftime clock_gettime".split()
    ),
    "os": frozenset(
        "getpid getppid urandom listdir scandir getcwd stat lstat walk open read getloadavg times getrandom "
        "path.exists path.getmtime path.getsize path.isfile path.isdir".split()
    ),
    "sys": frozenset(("stdin", "getrefcount", "_getframe", "exc_info", "modules")),
    "threading": frozenset(("get_ident", "current_thread", "active_count", "enumerate", "local", "get_native_id")),
    "datetime": frozenset(("datetime.now", "datetime.today", "datetime.utcnow", "date.today")),
    "io": frozenset(("open",)),
    "numpy": frozenset(("random", "load", "fromfile", "loadtxt", "genfromtxt", "memmap")),
    "builtins": frozenset(("open", "input", "globals", "locals", "vars", "eval", "exec", "__import__", "compile")),
}  # fmt: skip
_METHODS = frozenset(("read_text", "read_bytes", "iterdir"))  # of paths: what they give is not part of the path
_CHANGING = frozenset(
    "append extend insert pop popleft appendleft update add remove discard clear setdefault sort".split()
)
# Objects that never change, beside those that only name a type's methods.
_CONSTANT = (
    types.BuiltinFunctionType, types.CodeType, types.WrapperDescriptorType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType, types.MethodWrapperType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.GenericAlias, types.EllipsisType, types.NotImplementedType, range, slice, np.dtype, np.ufunc,
)  # fmt: skip
_CONSTANT_MODULES = frozenset(
    ("datetime", "decimal", "_decimal", "fractions", "re", "pathlib", "enum", "typing", "_thread", "logging", "numbers",
     "zoneinfo", "_pydatetime", "abc", "functools", "operator", "_operator", "string", "warnings", "ipaddress", "ast")
)  # fmt: skip


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: not one of the static types of extensions
_PLAIN_BASES = frozenset(
    (object, dict, list, tuple, set, frozenset, int, float, str, bytes, complex, Exception, BaseException, type,
     collections.deque, collections.OrderedDict, collections.defaultdict)
)  # fmt: skip


class Unguarded(NamedTuple):
    """Something that a function uses and that no guard can see.

    Attributes:
        what: a name or a description of it.
        place: the file and line, or an empty string.
    """

    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.what} ({self.place})" if self.place else self.what


class CodeFacts(NamedTuple):
    """What a code object, and those within it, load and store.

    Attributes:
        names: global names that are read.
        attributes: names of attributes that are read, and strings that may name some.
        stored: names of attributes that are written.
        chains: for each global or enclosing name the attributes that are read from it, and the line.
        imports: modules that are imported, and the line.
        dynamic: whether attributes may be read whose names are computed.
    """

    names: frozenset[str]
    attributes: frozenset[str]
    stored: frozenset[str]
    chains: tuple[tuple[str, tuple[str, ...], int], ...]
    imports: tuple[tuple[str, int], ...]
    dynamic: bool


@functools.lru_cache(maxsize=4096)
def facts_of(code: types.CodeType) -> CodeFacts:
    """What a function's code, and the functions defined within it, read and write."""
    names, attributes, stored = set(), set(), set()
    chains: list[tuple[str, tuple[str, ...], int]] = []
    imports: list[tuple[str, int]] = []
    dynamic = False
    line = code.co_firstlineno
    root, parts = "", []
    for instruction in dis.get_instructions(code):
        line = _line(instruction, line)
        op, value = instruction.opname, instruction.argval
        if "ATTR" in op or op == "LOAD_METHOD":
            if op.startswith(("STORE", "DELETE")):
                stored.add(value)
            else:
                attributes.add(value)
                if root:
                    parts.append(value)
                    continue
        elif op == "IMPORT_FROM":
            attributes.add(value)
        if root and op not in ("PUSH_NULL", "CACHE", "PRECALL"):
            chains.append((root, tuple(parts), line))
            root, parts = "", []
        if op in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(value)
            root = value
        elif op in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            root = value
        elif op == "IMPORT_NAME":
            imports.append((value, line))
        elif op in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            names.add(value)
        elif op == "LOAD_CONST" and isinstance(value, str):
            attributes.update(part for part in value.split(".") if part.isidentifier())
    dynamic = bool(names & {"getattr", "hasattr", "setattr", "delattr"})
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = facts_of(constant)
            names |= inner.names
            attributes |= inner.attributes
            stored |= inner.stored
            chains += inner.chains
            imports += inner.imports
            dynamic = dynamic or inner.dynamic
    return CodeFacts(frozenset(names), frozenset(attributes), frozenset(stored), tuple(chains), tuple(imports), dynamic)


@functools.lru_cache(maxsize=1024)
def stores_of(code: types.CodeType) -> tuple[tuple[int, str], ...]:
    """The lines that write to a name or an attribute, with its name; of calls and items, which may change containers, none."""
    found, line = [], code.co_firstlineno
    for instruction in dis.get_instructions(code):
        line = _line(instruction, line)
        if instruction.opname in ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF", "DELETE_ATTR"):
            found.append((line, instruction.argval))
        elif instruction.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") or instruction.argval in _CHANGING:
            found.append((line, ""))
    return tuple(found)


def _line(instruction: dis.Instruction, line: int) -> int:
    """The line of an instruction, where it begins one."""
    number: Any = getattr(instruction, "line_number", None) or instruction.starts_line
    return number if isinstance(number, int) and not isinstance(number, bool) else line


def place_of(code: types.CodeType, line: int | None = None) -> str:
    """The file and line of code, as a traceback gives them."""
    return f"{code.co_filename}:{code.co_firstlineno if line is None else line}"


def top_package(module: Any) -> str:
    """The first part of a module's name; an empty string for what is none."""
    return module.partition(".")[0] if isinstance(module, str) else ""


@functools.lru_cache(maxsize=1024)
def is_installed(package: str) -> bool:
    """Whether a package lies where libraries are installed."""
    path = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path


def unguarded_code(fn: types.FunctionType) -> Iterator[Unguarded]:
    """What a function's code uses of modules that no guard can see."""
    facts = facts_of(fn.__code__)
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False))
    for root, parts, line in facts.chains:
        try:
            value = cells[root].cell_contents if root in cells else fn.__globals__.get(root, _builtin(root))
        except ValueError:  # an empty cell
            continue
        if _impure_chain(value, root, parts):
            yield Unguarded(".".join((root, *parts)), place_of(fn.__code__, line))
    for module, line in facts.imports:
        impure = IMPURE.get(top_package(module), frozenset())
        if impure is None or any(part in facts.attributes for name in impure for part in [name.rpartition(".")[2]]):
            yield Unguarded(module, place_of(fn.__code__, line))


class _Builtin(NamedTuple):
    """Stands for a name that is no global."""

    name: str


def _builtin(name: str) -> _Builtin:
    return _Builtin(name)


def _impure_chain(value: Any, root: str, parts: tuple[str, ...]) -> bool:
    """Whether attributes read from a value, one after the other, come to something that may differ at each use."""
    if isinstance(value, _Builtin):
        return root in (IMPURE["builtins"] or ())
    if any(part in _METHODS for part in parts):
        return True
    for n, part in enumerate(parts):
        if not isinstance(value, types.ModuleType):
            break
        impure = IMPURE.get(value.__name__, frozenset())
        if impure is None or part in impure or ".".join(parts[n : n + 2]) in impure:
            return True
        value = vars(value).get(part)
    kind = value if isinstance(value, type) else type(value)
    impure = IMPURE.get(top_package(kind.__module__), frozenset())
    return bool(parts) and f"{kind.__name__}.{parts[-1]}" in (impure or ())


def unguarded_object(x: Any) -> str | None:
    """Why no guard can see what an object is or does, as a description of it; None for other objects.

    Only for objects that guards do not look into.
    """
    kind = type(x)
    if isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType)):
        owner = x.__self__
        if isinstance(owner, types.ModuleType) or owner is None:
            return _impure_function(x)
        return None if isinstance(owner, type) else unguarded_object(owner)
    if isinstance(x, types.FunctionType):
        return _impure_function(x)
    if isinstance(x, (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)):
        return f"a random generator, {kind.__module__}.{kind.__name__}"
    if isinstance(x, io.IOBase):
        return "an open file"
    if isinstance(x, (contextvars.ContextVar, type, types.ModuleType)):
        return None
    if hasattr(kind, "__next__"):
        return f"an iterator, {kind.__name__}"
    if isinstance(x, _CONSTANT) or top_package(kind.__module__) in _CONSTANT_MODULES:
        return None
    if top_package(kind.__module__) == PACKAGE or kind in (object, types.CellType):
        return None
    if all(base.__flags__ & _HEAP_TYPE or base in _PLAIN_BASES for base in kind.__mro__):  # a class of Python code
        return None
    return f"an object of the type {kind.__module__}.{kind.__qualname__}"


def _impure_function(x: Any) -> str | None:
    """The name of a function of a module whose value may differ at each call."""
    module = getattr(x, "__module__", None) or getattr(getattr(x, "__self__", None), "__name__", "")
    package = top_package(module)
    module = {"posix": "os", "nt": "os", "_io": "io", "_random": "random", "_thread": "threading"}.get(package, package)
    impure = IMPURE.get(module, frozenset())
    if impure is None or x.__name__ in impure:
        return f"{module}.{x.__name__}"
    return None if package in OPAQUE else f"{module}.{x.__name__}, a function of an extension"
