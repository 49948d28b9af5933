"""Buffers, and the values that a kernel computes: expressions over loads, scalars and indices.

Contract
- Every value knows its dtype. Values compare by identity: a value that is used twice is one object, computed once.
- A `Load` gives zero where its guard is false, and memory is not accessed there.
- Arithmetic is IEEE; `max` and `min` propagate NaN; integer arithmetic wraps; `floordiv` and `mod` round down, with
  0 for a zero divisor; shifts by the width or more give 0 (or the sign, for `shr` of signed).
  `numerics.evaluate` is the reference.
- Nothing is simplified here; that was done on the graph. Operands of one operation have one dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Union

from ..dtypes import DType, bool_, int64
from .guard import ALWAYS, Guard, guard, substitute_guard
from .index import (
    ZERO,
    FloorDiv,
    Index,
    IndexLike,
    Min,
    Mod,
    Opaque,
    Var,
    floor_div,
    index,
    minimum,
    mod,
    substitute,
)


class Space(Enum):
    """The memory that a buffer is in."""

    GLOBAL = "global"  # a parameter, or memory that all tasks of a kernel share
    SCRATCH = "scratch"  # private to a CPU thread, in memory
    WORKGROUP = "workgroup"  # shared by the items of a GPU group
    REGISTER = "register"  # every index must become constant (or a vector lane)
    VIRTUAL = "virtual"  # not placed yet: the target of a reduction before a step gives it registers or memory


class Buffer:
    """An array in row-major order, with extents that may be symbolic. Compared by identity."""

    __slots__ = ("dtype", "name", "shape", "space")

    def __init__(self, name: str, shape: tuple[Index, ...], dtype: DType, space: Space = Space.GLOBAL) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.space = space

    @property
    def size(self) -> int:
        """The number of elements, every symbolic extent at its upper bound."""
        size = 1
        for extent in self.shape:
            size *= max(extent.bounds[1], 0)
        return size

    @property
    def nbytes(self) -> int:
        """The bytes of `size` elements."""
        return self.size * self.dtype.itemsize

    def flat(self, position: tuple[Index, ...]) -> Index:
        """The row-major offset of the element at a position."""
        offset = ZERO
        for extent, i in zip(self.shape, position, strict=True):
            offset = offset * extent + i
        return offset

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype.name}{list(self.shape)} in {self.space.value}"


class Const:
    """A constant. `value` is a Python bool, int or float."""

    __slots__ = ("dtype", "value")
    variables: frozenset[Var] = frozenset()

    def __init__(self, value: float | int | bool, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype


class Scalar:
    """A parameter of the kernel that is one number, passed at launch."""

    __slots__ = ("dtype", "name")
    variables: frozenset[Var] = frozenset()

    def __init__(self, name: str, dtype: DType) -> None:
        self.name = name
        self.dtype = dtype


class Load:
    """`buffer[position]`, or zero where the guard is false."""

    __slots__ = ("_vars", "buffer", "guard", "position")

    def __init__(self, buffer: Buffer, position: tuple[Index, ...], guard: Guard = ALWAYS) -> None:
        self.buffer = buffer
        self.position = position
        self.guard = guard
        self._vars: frozenset[Var] | None = None

    @property
    def dtype(self) -> DType:
        return self.buffer.dtype

    @property
    def variables(self) -> frozenset[Var]:
        if self._vars is None:
            self._vars = self.guard.variables.union(*(i.variables for i in self.position))
        return self._vars


class Op:
    """One of `OPERATIONS`, applied to values of one dtype."""

    __slots__ = ("_vars", "args", "dtype", "name")

    def __init__(self, name: str, args: tuple[Value, ...], dtype: DType) -> None:
        self.name = name
        self.args = args
        self.dtype = dtype
        self._vars: frozenset[Var] | None = None

    @property
    def variables(self) -> frozenset[Var]:
        if self._vars is None:
            self._vars = frozenset().union(*(a.variables for a in self.args))
        return self._vars


class Cast:
    """The value converted to `dtype`, or its bits read as `dtype` where `bits` is set."""

    __slots__ = ("bits", "dtype", "value")

    def __init__(self, value: Value, dtype: DType, bits: bool = False) -> None:
        self.value = value
        self.dtype = dtype
        self.bits = bits

    @property
    def variables(self) -> frozenset[Var]:
        return self.value.variables


class FromIndex:
    """An index as a value."""

    __slots__ = ("dtype", "position")

    def __init__(self, position: Index, dtype: DType = int64) -> None:
        self.position = position
        self.dtype = dtype

    @property
    def variables(self) -> frozenset[Var]:
        return self.position.variables


class FromGuard:
    """A guard as a boolean value."""

    __slots__ = ("guard",)
    dtype = bool_

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    @property
    def variables(self) -> frozenset[Var]:
        return self.guard.variables


Value = Union[Const, Scalar, Load, Op, Cast, FromIndex, FromGuard]


class Lookup(Opaque):
    """An integer value used in an index, as a gather's does."""

    __slots__ = ("value",)

    def __init__(self, value: Value, upper: int, lower: int = 0) -> None:
        super().__init__(upper, lower)
        self.value = value

    @property
    def variables(self) -> frozenset[Var]:
        return self.value.variables

    def substitute(self, mapping: Mapping[Var, Index]) -> Lookup:
        if self.value.variables.isdisjoint(mapping):
            return self
        return Lookup(substitute_value(self.value, mapping), self.upper, self.lower)

    def __str__(self) -> str:
        return f"[{format_value(self.value)}]"


FLOAT_UNARY = frozenset(
    "floor ceil trunc round sqrt exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh erf".split()
)
ARITY = {
    **dict.fromkeys(FLOAT_UNARY, 1),
    **dict.fromkeys("neg abs sign not isnan".split(), 1),
    **dict.fromkeys("add sub mul div floordiv mod max min pow atan2 and or xor shl shr mulhi eq ne lt le".split(), 2),
    "select": 3,
    "fma": 3,
}
OPERATIONS = frozenset(ARITY)
COMPARISONS = frozenset(("eq", "ne", "lt", "le", "isnan"))


def op(name: str, *args: Value) -> Value:
    """The operation `name` of the arguments, which have one dtype; the condition of `select` is bool.

    Raises:
        ValueError: the number of arguments or their dtypes do not fit.
    """
    if len(args) != ARITY[name]:
        raise ValueError(f"[op] {name} expected {ARITY[name]} arguments, got {len(args)}")
    of = args[1:] if name == "select" else args
    if any(a.dtype is not of[0].dtype for a in of):
        raise ValueError(f"[op] {name} expected one dtype, got {[a.dtype.name for a in args]}")
    return Op(name, args, bool_ if name in COMPARISONS else of[0].dtype)


def cast(value: Value, dtype: DType) -> Value:
    """The value converted to `dtype`; the value itself where it has that dtype."""
    return value if value.dtype is dtype else Cast(value, dtype)


def lookup(value: Value, upper: int, lower: int = 0) -> Index:
    """The value as an index. The caller guarantees `lower <= value <= upper`."""
    return Index({(Lookup(value, upper, lower),): 1}, 0)


def at(*position: IndexLike) -> tuple[Index, ...]:
    """A position of variables, ints and indices, as an access takes it."""
    return tuple(index(i) for i in position)


class Rewriter:
    """Rebuilds values: indices through `on_index`, loads through `on_load`, guards through `on_guard`.

    A value that is used several times is rebuilt once, and what does not change stays the same object. Without
    `on_guard` the terms of guards go through `on_index`. Loads inside lookups are rebuilt too where `on_load` is given.
    """

    def __init__(
        self,
        on_index: Callable[[Index], Index] | None = None,
        on_load: Callable[[Load], Value] | None = None,
        on_guard: Callable[[Guard], Guard] | None = None,
    ) -> None:
        self.on_index = on_index or (lambda i: i)
        self.on_load = on_load
        self.on_guard = on_guard or self._guard
        self.memo: dict[int, tuple[Value, Value]] = {}
        self.lookups: dict[int, tuple[Lookup, Index]] = {}

    def _guard(self, g: Guard) -> Guard:
        """The guard with rebuilt terms."""
        if not g.terms:
            return g
        terms = [self.index(t) for t in g.terms]
        return g if all(a is b for a, b in zip(terms, g.terms, strict=True)) else guard(*terms)

    def position(self, position: tuple[Index, ...]) -> tuple[Index, ...]:
        """The position with rebuilt indices."""
        new = tuple([self.index(i) for i in position])
        return position if all(a is b for a, b in zip(new, position, strict=True)) else new

    def index(self, i: Index) -> Index:
        """The rebuilt index."""
        new = self.on_index(i)
        return _map_lookups(new, self) if self.on_load is not None and has_lookup(new) else new

    def lookup(self, atom: Lookup) -> Index:
        """The rebuilt lookup as an index. One atom becomes one atom: a guard and the position under it stay equal."""
        known = self.lookups.get(id(atom))
        if known is None:
            new = self.value(atom.value)
            result = Index({(atom,): 1}, 0) if new is atom.value else lookup(new, atom.upper, atom.lower)
            known = self.lookups[id(atom)] = (atom, result)
        return known[1]

    def value(self, v: Value) -> Value:
        """The rebuilt value."""
        known = self.memo.get(id(v))
        if known is not None:
            return known[1]
        new = self._value(v)
        self.memo[id(v)] = (v, new)
        return new

    def _value(self, v: Value) -> Value:
        """The value with its parts rebuilt."""
        if isinstance(v, Op):
            args = tuple([self.value(a) for a in v.args])
            return v if all(a is b for a, b in zip(args, v.args, strict=True)) else Op(v.name, args, v.dtype)
        if isinstance(v, Load):
            position, g = self.position(v.position), self.on_guard(v.guard)
            if position is not v.position or g is not v.guard:
                v = Load(v.buffer, position, g)
            return self.on_load(v) if self.on_load else v
        if isinstance(v, Cast):
            inner = self.value(v.value)
            return v if inner is v.value else Cast(inner, v.dtype, v.bits)
        if isinstance(v, FromIndex):
            i = self.index(v.position)
            return v if i is v.position else FromIndex(i, v.dtype)
        if isinstance(v, FromGuard):
            g = self.on_guard(v.guard)
            return v if g is v.guard else FromGuard(g)
        return v


def substitute_value(value: Value, mapping: Mapping[Var, Index]) -> Value:
    """The value with variables replaced in all its indices and guards; the same object where nothing changes."""
    if value.variables.isdisjoint(mapping):
        return value
    return Rewriter(lambda i: substitute(i, mapping), None, lambda g: substitute_guard(g, mapping)).value(value)


def loads(value: Value, seen: set[int] | None = None) -> Iterator[Load]:
    """Every load in a value once, those inside lookups included; `seen` holds the ids of values to leave out."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Load):
        yield value
        for i in (*value.position, *value.guard.terms):
            yield from index_loads(i, seen)
    elif isinstance(value, Op):
        for a in value.args:
            yield from loads(a, seen)
    elif isinstance(value, Cast):
        yield from loads(value.value, seen)
    elif isinstance(value, FromIndex):
        yield from index_loads(value.position, seen)
    elif isinstance(value, FromGuard):
        for i in value.guard.terms:
            yield from index_loads(i, seen)


def index_loads(i: Index, seen: set[int] | None = None) -> Iterator[Load]:
    """The loads inside the lookups of an index, as `loads`."""
    for atom in lookups(i):
        yield from loads(atom.value, seen)


def lookups(i: Index) -> Iterator[Lookup]:
    """The lookups of an index, those inside quotients, remainders and minima included."""
    for monomial in i.terms:
        for atom in monomial:
            if isinstance(atom, Lookup):
                yield atom
            elif isinstance(atom, (FloorDiv, Mod, Min)):
                yield from lookups(atom.left)
                if isinstance(atom, Min):
                    yield from lookups(atom.right)


def has_lookup(i: Index) -> bool:
    """Whether a lookup is part of the index."""
    return next(lookups(i), None) is not None


def format_value(value: Value) -> str:
    """A stable spelling, for messages and for the printer."""
    if isinstance(value, Const):
        return f"{value.value!r}" if value.dtype.is_float else str(value.value)
    if isinstance(value, Scalar):
        return value.name
    if isinstance(value, Load):
        return f"{value.buffer.name}{list(value.position)}" + ("" if value.guard.always else f"<{value.guard}>")
    if isinstance(value, Op):
        return f"{value.name}({', '.join(map(format_value, value.args))})"
    if isinstance(value, Cast):
        return f"{'bits_' if value.bits else ''}{value.dtype.name}({format_value(value.value)})"
    if isinstance(value, FromIndex):
        return f"{value.dtype.name}<{value.position}>"
    return f"<{value.guard}>"


def _map_lookups(i: Index, rewriter: Rewriter) -> Index:
    """The index with its lookups rebuilt."""
    total = Index({}, i.const)
    for monomial, coefficient in i.terms.items():
        product = Index({}, coefficient)
        for atom in monomial:
            if isinstance(atom, Lookup):
                part = rewriter.lookup(atom)
            elif isinstance(atom, Var):
                part = index(atom)
            elif isinstance(atom, FloorDiv):
                part = floor_div(_map_lookups(atom.left, rewriter), atom.right)
            elif isinstance(atom, Mod):
                part = mod(_map_lookups(atom.left, rewriter), atom.right)
            else:
                assert isinstance(atom, Min)
                part = minimum(_map_lookups(atom.left, rewriter), _map_lookups(atom.right, rewriter))
            product = product * part
        total = total + product
    return total
