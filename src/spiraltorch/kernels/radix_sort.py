"""Radix sort of one row in the kernel IR: stable, by digits from the least significant on, in blocks (Knuth, "The Art of
Computer Programming", volume 3, section 5.2.5).

Keys become unsigned integers of the same order. Each pass over a digit makes a histogram of every block, turns the
histograms into the position where the elements of each digit of each block begin, and moves keys (and with them the
permutation) there.

Contract
- `radix_sort_phases` gives the phases of a sort in order, with the loops that a schedule may distribute, vectorize or
  unroll. Blocks are independent of each other: a group of blocks is the work of one thread, which interleaves the moves of
  its blocks, since each move of one block waits for the count that the move before has changed.
- NaN sorts last. A row has at least as many elements as blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..dtypes import DType, bool_, float32, int32, int64, uint8, uint16, uint32, uint64
from ..ir.expr import Buffer, Cast, Const, FromIndex, Load, Space, Value, cast, lookup, op
from ..ir.index import Index, index
from ..ir.stmt import Accumulate, Alloc, For, Stmt, Store, block, loop, loop_nest

# Lengths of rows that decide how they are sorted, found by measurements on processors.
SHORTEST_ROW = 64  # below, clearing the histograms costs more than a merge sort
BLOCKED_ROW = 1 << 12  # from here on, the work of a thread is split into INTERLEAVED blocks
WIDE_DIGIT_ROW = 1 << 15  # from here on, digits have 11 bits instead of 8: fewer passes over larger histograms
INTERLEAVED = 2  # blocks of one thread
_UNSIGNED = {1: uint8, 2: uint16, 4: uint32, 8: uint64}

KeyFn = Callable[[Index], Value]  # position in the row -> key
StoreFn = Callable[[Index, Value], Stmt]  # position in the sorted row, result -> statement that stores it


class SortPhase(NamedTuple):
    """One phase of a sort."""

    nest: Stmt
    spatial: tuple[str, ...] = ()  # loops over groups of blocks or over elements, whose iterations are independent
    vectorized: bool = False  # whether the innermost of those may run as lanes
    unrolled: tuple[str, ...] = ()  # loops over the interleaved blocks of a group


class RadixSort(NamedTuple):
    """What is sorted, and how."""

    n: int
    dtype: DType
    descending: bool
    permutation: bool  # results are the positions of the sorted keys, as of argsort; else their values
    groups: int  # groups of blocks, each the work of one thread


def radix_sort_phases(
    sort: RadixSort, key: KeyFn, store: StoreFn, rows: list[For], space: Space
) -> tuple[list[Buffer], list[SortPhase]]:
    """The scratch buffers and the phases of a sort of `key(0) ... key(n - 1)`.

    Args:
        sort: the description of the sort.
        key: the key at a position.
        store: stores a result: the key, or with `sort.permutation` its position as int64.
        rows: loops over rows around all phases; the scratch buffers have a part for each of their iterations. Empty
            where the caller builds those loops around allocation and phases.
        space: the memory of the scratch buffers.

    Returns:
        Scratch buffers, and phases in order. In a permutation zeros of both signs are equal, so their order stays;
        as values -0.0 comes before 0.0.
    """
    return _Builder(sort, key, store, rows, space).build()


class _Builder:
    """Builds the phases of one sort. Keys and permutation are kept twice: a pass moves them from one copy to the other."""

    def __init__(self, sort: RadixSort, key: KeyFn, store: StoreFn, rows: list[For], space: Space) -> None:
        n, dtype = sort.n, sort.dtype
        self.sort, self.key, self.store = sort, key, store
        self.bits = _UNSIGNED[4 if dtype.is_float and dtype.itemsize == 2 else dtype.itemsize]
        self.place = int32 if n < 1 << 31 else int64
        self.width = self.bits.itemsize * 8
        self.digit_bits = 11 if n >= WIDE_DIGIT_ROW and self.width > 16 else 8
        self.interleaved = INTERLEAVED if n >= BLOCKED_ROW else 1
        self.blocks = sort.groups * self.interleaved
        self.block_size = n // self.blocks
        self.remainder = n % self.blocks  # elements of no block: they come after the last block's
        self.row = tuple([index(one.var) for one in rows])
        extents = tuple([one.extent for one in rows])
        self.keys = [Buffer(f"keys{t}", (*extents, index(n)), self.bits, space) for t in range(2)]
        self.order = [Buffer(f"order{t}", (*extents, index(n)), self.place, space) for t in range(2 * sort.permutation)]
        digits = index(1 << self.digit_bits)
        self.counts = Buffer("counts", (*extents, index(self.blocks), digits), self.place, space)

    def build(self) -> tuple[list[Buffer], list[SortPhase]]:
        """The scratch buffers and all phases."""
        passes = -(-self.width // self.digit_bits)
        phases = [self._fill()]
        for p in range(passes):
            phases += [self._histogram(p), SortPhase(self._starts(p)), self._move(p)]
            if self.remainder:
                i = loop(f"rest{p}", self.remainder)
                last = [(self._after_blocks(i), index(self.blocks - 1))]
                phases.append(SortPhase(loop_nest([i], self._move_elements(p, last, f"rest{p}"))))
        phases.append(self._store_results(passes % 2))
        return [*self.keys, *self.order, self.counts], phases

    def _fill(self) -> SortPhase:
        """Keys as unsigned integers, and the identity permutation."""
        sort, one = self.sort, loop("fill", self.sort.n)
        i = index(one.var)
        bits = _to_ordered_bits(self.key(i), sort.dtype, self.bits, sort.descending, sort.permutation)
        body: list[Stmt] = [Store(self.keys[0], (*self.row, i), bits)]
        if sort.permutation:
            body.append(Store(self.order[0], (*self.row, i), cast(FromIndex(i, int64), self.place)))
        return SortPhase(loop_nest([one], block(*body)), ("fill",), True)

    def _store_results(self, copy: int) -> SortPhase:
        """The results, from a copy of the keys or of the permutation."""
        one = loop("done", self.sort.n)
        position = (*self.row, index(one.var))
        if self.sort.permutation:
            result: Value = cast(Load(self.order[copy], position), int64)
        else:
            result = _from_ordered_bits(Load(self.keys[copy], position), self.sort.dtype, self.sort.descending)
        return SortPhase(loop_nest([one], self.store(index(one.var), result)), ("done",), True)

    def _after_blocks(self, one: For) -> Index:
        """The position of an element of no block."""
        return index(one.var) + self.blocks * self.block_size

    def _count_of(self, p: int, key: Value, of_block: Index) -> tuple[Index, ...]:
        """The position in the histograms of the digit of a key, in pass `p`."""
        return (*self.row, of_block, _digit(key, p, self.bits, self.digit_bits))

    def _digits(self, p: int) -> int:
        """The number of different digits in pass `p`."""
        return 1 << min(self.digit_bits, self.width - p * self.digit_bits)

    def _histogram(self, p: int) -> SortPhase:
        """How often each digit occurs in each block."""
        g, s = loop(f"count{p}", self.sort.groups), loop(f"clear{p}", self.interleaved)
        d = loop(f"digit{p}", self._digits(p))
        first = index(g.var) * self.interleaved
        cleared = loop_nest([s, d], Store(self.counts, (*self.row, first + s.var, index(d.var)), Const(0, self.place)))
        i, b = loop(f"at{p}", self.block_size), loop(f"block{p}", self.interleaved)
        element = (first + b.var) * self.block_size + i.var
        counted = loop_nest([i, b], self._count(p, element, first + b.var))
        return SortPhase(loop_nest([g], block(cleared, counted)), (g.var.name,), False, (b.var.name,))

    def _count(self, p: int, element: Index, of_block: Index) -> Stmt:
        """Adds one element to the histogram of its block."""
        key = Load(self.keys[p % 2], (*self.row, element))
        return Accumulate(self.counts, self._count_of(p, key, of_block), "add", Const(1, self.place))

    def _starts(self, p: int) -> Stmt:
        """An exclusive sum over digits and blocks: counts become the positions where each digit of each block begins."""
        parts: list[Stmt] = []
        if self.remainder:
            i = loop(f"left{p}", self.remainder)
            parts.append(loop_nest([i], self._count(p, self._after_blocks(i), index(self.blocks - 1))))
        total, count = (Buffer(f"{name}{p}", (), self.place, Space.REGISTER) for name in ("total", "mine"))
        d, b = loop(f"start{p}", self._digits(p)), loop(f"of{p}", self.blocks)
        cell = (*self.row, index(b.var), index(d.var))
        exclusive = block(
            Store(count, (), Load(self.counts, cell)),
            Store(self.counts, cell, Load(total, ())),
            Store(total, (), op("add", Load(total, ()), Load(count, ()))),
        )
        summed = Alloc(count, loop_nest([d, b], exclusive))
        return block(*parts, Alloc(total, block(Store(total, (), Const(0, self.place)), summed)))

    def _move(self, p: int) -> SortPhase:
        """Each element moves to the next free position of its digit and block."""
        g, i = loop(f"move{p}", self.sort.groups), loop(f"to{p}", self.block_size)
        blocks = [index(g.var) * self.interleaved + b for b in range(self.interleaved)]
        body = self._move_elements(p, [(b * self.block_size + i.var, b) for b in blocks], f"{p}")
        return SortPhase(loop_nest([g, i], body), (g.var.name,))

    def _move_elements(self, p: int, elements: list[tuple[Index, Index]], name: str) -> Stmt:
        """Moves elements, given as (position, block) with a block at most once.

        All counts are read before one is written, so that no read waits for the address of a write.
        """
        old, new = p % 2, 1 - p % 2
        moved = [(self.keys[old], self.keys[new])]
        if self.sort.permutation:
            moved.append((self.order[old], self.order[new]))
        reads: list[Stmt] = []
        writes: list[Stmt] = []
        registers: list[Buffer] = []
        for n, (element, of_block) in enumerate(elements):
            taken = [
                Buffer(f"taken{name}_{n}_{m}", (), source.dtype, Space.REGISTER) for m, (source, _) in enumerate(moved)
            ]
            position = Buffer(f"here{name}_{n}", (), self.place, Space.REGISTER)
            registers += [*taken, position]
            for (source, _), register in zip(moved, taken, strict=True):
                reads.append(Store(register, (), Load(source, (*self.row, element))))
            cell = self._count_of(p, Load(taken[0], ()), of_block)
            reads.append(Store(position, (), Load(self.counts, cell)))
            last = Const(self.sort.n - 1, self.place)
            # The position is never outside the row; clamping it lets the verifier prove that.
            safe = op("max", op("min", Load(position, ()), last), Const(0, self.place))
            to = (*self.row, lookup(cast(safe, int64), self.sort.n - 1))
            writes += [Store(target, to, Load(r, ())) for (_, target), r in zip(moved, taken, strict=True)]
            writes.append(Store(self.counts, cell, op("add", Load(position, ()), Const(1, self.place))))
        body: Stmt = block(*reads, *writes)
        for register in registers:
            body = Alloc(register, body)
        return body


def _digit(key: Value, p: int, bits: DType, digit_bits: int) -> Index:
    """The digit of a key in pass `p`, as an index."""
    shifted = op("shr", key, Const(p * digit_bits, bits)) if p else key
    mask = (1 << digit_bits) - 1
    return lookup(cast(op("and", shifted, Const(mask, bits)), int64), mask)


def _to_ordered_bits(x: Value, dtype: DType, bits: DType, descending: bool, equal_zeros: bool) -> Value:
    """An unsigned integer that is less where the value comes before.

    Of floats, the bits of negative numbers are inverted and the sign of others is set; NaN becomes the greatest integer.
    """
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    if dtype is bool_:
        result: Value = cast(x, bits)
    elif dtype.is_float:
        wide = cast(x, float32) if dtype.itemsize == 2 else x
        zero = Const(0.0, wide.dtype)
        raw = Cast(op("select", op("eq", wide, zero), zero, wide) if equal_zeros else wide, bits, bits=True)
        negative = op("ne", op("and", raw, highest), Const(0, bits))
        result = op("select", negative, op("not", raw), op("or", raw, highest))
        result = op("select", op("isnan", wide), Const((1 << bits.itemsize * 8) - 1, bits), result)
    elif dtype.kind == "i":
        result = op("xor", cast(x, bits), highest)
    else:
        result = x
    return op("not", result) if descending else result


def _from_ordered_bits(key: Value, dtype: DType, descending: bool) -> Value:
    """The value of a key: the inverse of `_to_ordered_bits`."""
    bits = key.dtype
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    result = op("not", key) if descending else key
    if dtype is bool_:
        return op("ne", result, Const(0, bits))
    if dtype.is_float:
        positive = op("ne", op("and", result, highest), Const(0, bits))
        raw = op("select", positive, op("xor", result, highest), op("not", result))
        return cast(Cast(raw, float32 if bits.itemsize == 4 else dtype, bits=True), dtype)
    return cast(op("xor", result, highest), dtype) if dtype.kind == "i" else result
