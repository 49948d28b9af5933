"""Sorting in the kernel IR: a stable radix sort, digit by digit from the least (Knuth, TAOCP 3, 5.2.5), in blocks.

Keys become unsigned integers of the same order. A pass counts the digits of each block, adds up where each block's share of
each digit begins, and moves keys and their places there. Blocks are independent of each other: a group of them is one
thread's work, which goes through all of them side by side, since what one move waits for is the count of the move before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..dtypes import DType, bool_, float32, int32, int64, uint8, uint16, uint32, uint64
from ..ir.expr import Buffer, Cast, Const, FromIndex, Load, Space, Value, cast, lookup, op
from ..ir.index import Index, index
from ..ir.stmt import Accumulate, Alloc, For, Stmt, Store, block, loop, loop_nest

SHORTEST = 64  # rows below which clearing the counts costs more than comparing
SIDE_BY_SIDE = 2  # blocks that one thread goes through together
LONG = 1 << 15  # rows from which on fewer passes pay for more counts
BLOCKED = 1 << 12  # rows from which on several blocks pay for more counts
_UNSIGNED = {1: uint8, 2: uint16, 4: uint32, 8: uint64}

Key = Callable[[Index], Value]
Put = Callable[[Index, Value], Stmt]


class Part(NamedTuple):
    """One nest of a sort: its loops over groups of blocks or over elements, if they are free of each other, and how."""

    nest: Stmt
    spatial: tuple[str, ...] = ()
    lanes: bool = False  # the innermost of them may be lanes
    unrolled: tuple[str, ...] = ()  # loops over the blocks of a group


class Radix(NamedTuple):
    """What is sorted, and how."""

    n: int
    dtype: DType
    descending: bool
    places: bool  # the permutation is wanted rather than the values
    groups: int  # of blocks, each for a thread


def sort_parts(
    of: Radix, key: Key, store: Put, rows: list[For], space: Space
) -> tuple[list[Buffer], list[Part]]:  # fmt: skip
    """Scratch, and the nests that store what sorts `key(0) ... key(n - 1)`, one after the other.

    NaN counts as the greatest. With places zeros of both signs are equal; without, -0.0 comes before 0.0. The scratch lies
    in `space` and has a part for each iteration of `rows`.
    """
    return _Sort(of, key, store, rows, space).made()


class _Sort:
    def __init__(self, of: Radix, key: Key, store: Put, rows: list[For], space: Space) -> None:
        n, dtype = of.n, of.dtype
        self.of, self.key, self.put = of, key, store
        self.bits = _UNSIGNED[4 if dtype.is_float and dtype.itemsize == 2 else dtype.itemsize]
        self.place = int32 if n < 1 << 31 else int64
        self.width = self.bits.itemsize * 8
        self.digit = 11 if n >= LONG and self.width > 16 else 8
        self.beside = SIDE_BY_SIDE if n >= BLOCKED else 1
        self.blocks = of.groups * self.beside
        self.each = n // self.blocks
        self.row = tuple([index(one.var) for one in rows])
        extents = tuple([one.extent for one in rows])
        self.keys = [Buffer(f"keys{t}", (*extents, index(n)), self.bits, space) for t in range(2)]
        self.order = [Buffer(f"order{t}", (*extents, index(n)), self.place, space) for t in range(2 * of.places)]
        digits = index(1 << self.digit)
        self.counts = Buffer("counts", (*extents, index(self.blocks), digits), self.place, space)

    def made(self) -> tuple[list[Buffer], list[Part]]:
        passes = -(-self.width // self.digit)
        parts = [self._first()]
        for p in range(passes):
            parts += [self._counted(p), Part(self._begun(p)), self._moved(p)]
            if self.of.n % self.blocks:
                i = loop(f"rest{p}", self.of.n % self.blocks)
                here = self._rest(i)
                parts.append(Part(loop_nest([i], self._step(p, [(here, index(self.blocks - 1))], f"rest{p}"))))
        parts.append(self._last(passes % 2))
        return [*self.keys, *self.order, self.counts], parts

    def _first(self) -> Part:
        one = loop("fill", self.of.n)
        i = index(one.var)
        of = self.of
        ordered = _ordered(self.key(i), of.dtype, self.bits, of.descending, of.places)
        begin: list[Stmt] = [Store(self.keys[0], (*self.row, i), ordered)]
        if of.places:
            begin.append(Store(self.order[0], (*self.row, i), cast(FromIndex(i, int64), self.place)))
        return Part(loop_nest([one], block(*begin)), ("fill",), True)

    def _last(self, t: int) -> Part:
        one = loop("done", self.of.n)
        i = (*self.row, index(one.var))
        if self.of.places:
            final: Value = cast(Load(self.order[t], i), int64)
        else:
            final = _restored(Load(self.keys[t], i), self.of.dtype, self.of.descending)
        return Part(loop_nest([one], self.put(index(one.var), final)), ("done",), True)

    def _rest(self, one: For) -> Index:
        """The elements that make no whole block: they come after the last one's."""
        return index(one.var) + self.blocks * self.each

    def _cell(self, p: int, key: Value, of_block: Index) -> tuple[Index, ...]:
        return (*self.row, of_block, _digit(key, p, self.bits, self.digit))

    def _digits(self, p: int) -> int:
        return 1 << min(self.digit, self.width - p * self.digit)

    def _counted(self, p: int) -> Part:
        """How often each digit is in each block."""
        g, s, d = loop(f"count{p}", self.of.groups), loop(f"clear{p}", self.beside), loop(f"digit{p}", self._digits(p))
        here = index(g.var) * self.beside
        cleared = loop_nest([s, d], Store(self.counts, (*self.row, here + s.var, index(d.var)), Const(0, self.place)))
        i, b = loop(f"at{p}", self.each), loop(f"block{p}", self.beside)
        element = (here + b.var) * self.each + i.var
        body = loop_nest([i, b], self._count(p, element, here + b.var))
        return Part(loop_nest([g], block(cleared, body)), (g.var.name,), False, (b.var.name,))

    def _count(self, p: int, element: Index, of_block: Index) -> Stmt:
        key = Load(self.keys[p % 2], (*self.row, element))
        return Accumulate(self.counts, self._cell(p, key, of_block), "add", Const(1, self.place))

    def _begun(self, p: int) -> Stmt:
        """Counts become the places where the first element of each digit of each block goes."""
        parts: list[Stmt] = []
        if self.of.n % self.blocks:
            i = loop(f"left{p}", self.of.n % self.blocks)
            parts.append(loop_nest([i], self._count(p, self._rest(i), index(self.blocks - 1))))
        total, mine = (Buffer(f"{name}{p}", (), self.place, Space.REGISTER) for name in ("total", "mine"))
        d, b = loop(f"start{p}", self._digits(p)), loop(f"of{p}", self.blocks)
        cell = (*self.row, index(b.var), index(d.var))
        exclusive = block(
            Store(mine, (), Load(self.counts, cell)),
            Store(self.counts, cell, Load(total, ())),
            Store(total, (), op("add", Load(total, ()), Load(mine, ()))),
        )
        added = Alloc(mine, loop_nest([d, b], exclusive))
        return block(*parts, Alloc(total, block(Store(total, (), Const(0, self.place)), added)))

    def _moved(self, p: int) -> Part:
        """Each element, by its key and what goes with it, moves to the next free place of its digit."""
        g, i = loop(f"move{p}", self.of.groups), loop(f"to{p}", self.each)
        blocks = [index(g.var) * self.beside + b for b in range(self.beside)]
        body = self._step(p, [(b * self.each + i.var, b) for b in blocks], f"{p}")
        return Part(loop_nest([g, i], body), (g.var.name,))

    def _step(self, p: int, elements: list[tuple[Index, Index]], name: str) -> Stmt:
        """Moves one element of each block. All counts are read before one is written: no read waits for a write's place."""
        moved = [self.keys[:: 1 - 2 * (p % 2)]] + ([self.order[:: 1 - 2 * (p % 2)]] if self.of.places else [])
        reads: list[Stmt] = []
        writes: list[Stmt] = []
        kept: list[Buffer] = []
        for n, (element, of_block) in enumerate(elements):
            taken = [Buffer(f"taken{name}_{n}_{m}", (), old.dtype, Space.REGISTER) for m, (old, _) in enumerate(moved)]
            here = Buffer(f"here{name}_{n}", (), self.place, Space.REGISTER)
            kept += [*taken, here]
            for (old, _), register in zip(moved, taken, strict=True):
                reads.append(Store(register, (), Load(old, (*self.row, element))))
            cell = self._cell(p, Load(taken[0], ()), of_block)
            reads.append(Store(here, (), Load(self.counts, cell)))
            last = Const(self.of.n - 1, self.place)  # it never is more: for the verifier
            safe = op("max", op("min", Load(here, ()), last), Const(0, self.place))
            to = (*self.row, lookup(cast(safe, int64), self.of.n - 1))
            writes += [Store(new, to, Load(r, ())) for (_, new), r in zip(moved, taken, strict=True)]
            writes.append(Store(self.counts, cell, op("add", Load(here, ()), Const(1, self.place))))
        body: Stmt = block(*reads, *writes)
        for register in kept:
            body = Alloc(register, body)
        return body


def _digit(key: Value, p: int, bits: DType, digit: int) -> Index:
    """The digit of a pass as a position."""
    shifted = op("shr", key, Const(p * digit, bits)) if p else key
    return lookup(cast(op("and", shifted, Const((1 << digit) - 1, bits)), int64), (1 << digit) - 1)


def _ordered(x: Value, dtype: DType, bits: DType, descending: bool, equal_zeros: bool) -> Value:
    """An unsigned integer that is less where the value comes before."""
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    if dtype is bool_:
        made: Value = cast(x, bits)
    elif dtype.is_float:
        wide = cast(x, float32) if dtype.itemsize == 2 else x
        zero = Const(0.0, wide.dtype)
        raw = Cast(op("select", op("eq", wide, zero), zero, wide) if equal_zeros else wide, bits, bits=True)
        negative = op("ne", op("and", raw, highest), Const(0, bits))
        made = op("select", negative, op("not", raw), op("or", raw, highest))
        made = op("select", op("isnan", wide), Const((1 << bits.itemsize * 8) - 1, bits), made)
    elif dtype.kind == "i":
        made = op("xor", cast(x, bits), highest)
    else:
        made = x
    return op("not", made) if descending else made


def _restored(key: Value, dtype: DType, descending: bool) -> Value:
    """The value of which `_ordered` made the key."""
    bits = key.dtype
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    made = op("not", key) if descending else key
    if dtype is bool_:
        return op("ne", made, Const(0, bits))
    if dtype.is_float:
        positive = op("ne", op("and", made, highest), Const(0, bits))
        raw = op("select", positive, op("xor", made, highest), op("not", made))
        return cast(Cast(raw, float32 if bits.itemsize == 4 else dtype, bits=True), dtype)
    return cast(op("xor", made, highest), dtype) if dtype.kind == "i" else made
