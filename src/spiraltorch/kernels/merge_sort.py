"""Merge sort of one row in the kernel IR: stable, by ranks.

Each pass merges neighbouring runs of width w: the position of an element in the merged run is its position in its own run
plus its rank in the other one, the number of elements there that come before it, found by binary search. All positions are
computed independently, so within a pass the iterations are independent, and passes run one after the other.
"""

from __future__ import annotations

from collections.abc import Callable

from ..dtypes import DType, bool_, int64
from ..ir.expr import Buffer, Const, FromGuard, FromIndex, Load, Space, Value, lookup, op
from ..ir.guard import guard
from ..ir.index import Index, index
from ..ir.stmt import Alloc, For, Stmt, Store, block, loop, loop_nest


def argsort_passes(
    n: int, dtype: DType, key: Callable[[Index], Value], store: Callable[[Index, Value], Stmt], descending: bool,
    rows: list[For], space: Space,
) -> tuple[list[Buffer], list[Stmt]]:  # fmt: skip
    """The scratch buffers and the passes of an argsort of `key(0) ... key(n - 1)`.

    Args:
        n: the length of the row.
        dtype: the dtype of the keys.
        key: the key at a position.
        store: stores a result, the position of a key as int64, at a position in the sorted row.
        descending: whether the greatest key comes first.
        rows: loops over rows around all passes; the scratch buffers have a part for each of their iterations. With all
            rows and in device memory, a pass may run over all rows before the next begins.
        space: the memory of the scratch buffers.

    Returns:
        Two buffers of permutations, and the statements of each pass, the first of which fills a buffer and the last of
        which stores the results. NaN sorts last.
    """
    passes = max(0, (n - 1).bit_length())
    shape = (*(one.extent for one in rows), index(n))
    row = tuple([index(one.var) for one in rows])
    tables = [Buffer(f"order{t}", shape, int64, space) for t in range(2)]
    first = loop("fill", n)
    parts: list[Stmt] = [
        loop_nest([first], Store(tables[0], (*row, index(first.var)), FromIndex(index(first.var), int64)))
    ]
    for step in range(passes):
        source, target = tables[step % 2], tables[(step + 1) % 2]
        parts.append(_merge(n, 1 << step, step, source, target, row, dtype, key, descending))
    last = loop("done", n)
    final = Load(tables[passes % 2], (*row, index(last.var)))
    parts.append(loop_nest([last], store(index(last.var), final)))
    return tables, parts


def _merge(
    n: int, width: int, step: int, source: Buffer, target: Buffer, row: tuple[Index, ...], dtype: DType,
    key: Callable[[Index], Value], descending: bool,
) -> Stmt:  # fmt: skip
    """A pass that merges pairs of runs of `width`."""
    at = loop(f"at{step}", n)
    i = index(at.var)
    pair, offset = i // (2 * width) * (2 * width), i % (2 * width)
    rank = Buffer(f"found{step}", (), int64, Space.REGISTER)
    position = Load(source, (*row, i))
    own_key = key(lookup(position, n - 1))
    in_left = FromGuard(guard(index(width - 1) - offset))
    # The other run begins at `other` and has at most `width` elements, fewer at the end of the row.
    left_start, right_start = FromIndex(pair, int64), FromIndex(pair + width, int64)
    other = op("select", in_left, right_start, left_start)
    end = op("min", op("add", other, Const(width, int64)), Const(n, int64))
    parts: list[Stmt] = [Store(rank, (), Const(0, int64))]
    bit = width
    while bit:
        probe = op("add", Load(rank, ()), Const(bit, int64))
        last = op("sub", op("add", other, probe), Const(1, int64))
        fits = op("lt", last, end)
        safe = op("max", op("min", last, Const(n - 1, int64)), Const(0, int64))
        other_key = key(lookup(Load(source, (*row, lookup(safe, n - 1))), n - 1))
        before = op(
            "select", in_left, _less(other_key, own_key, dtype, descending),
            op("not", _less(own_key, other_key, dtype, descending)),
        )  # fmt: skip
        take = op("and", fits, before)
        parts.append(Store(rank, (), op("select", take, probe, Load(rank, ()))))
        bit //= 2
    own = op("select", in_left, FromIndex(offset, int64), FromIndex(offset - width, int64))
    merged = op("add", op("add", left_start, own), Load(rank, ()))
    clamped = op("max", op("min", merged, Const(n - 1, int64)), Const(0, int64))
    parts.append(Store(target, (*row, lookup(clamped, n - 1)), position))
    return loop_nest([at], Alloc(rank, block(*parts)))


def _less(a: Value, b: Value, dtype: DType, descending: bool) -> Value:
    """Whether `a` comes strictly before `b`."""
    if descending:
        a, b = b, a
    if dtype is bool_:
        return op("and", op("not", a), b)
    less = op("lt", a, b)
    if not dtype.is_float:
        return less
    return op("or", less, op("and", op("isnan", b), op("not", op("isnan", a))))
