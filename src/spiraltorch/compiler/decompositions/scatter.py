"""Decompositions of scatters.

- A scatter of no updates, or into no elements, is its base.
- 16-bit floats are added and multiplied in float32.
- Sums of floats into few elements are made in parts, with a copy of the elements for each, so that only the updates of a part
  are added one after the other. The parts' results are summed.
"""

from __future__ import annotations

from ...dtypes import bool_, float32, int64
from ..program import Builder, Val
from .common import is_half_precision, slice_axis, split_axis

UPDATES = 16  # of each element and part on average, at least: so copies and their sum take little beside the updates
MOST_PARTS = 1 << 12


def decompose_scatter(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Rewrites a scatter by the rules of the module's text; None keeps it."""
    base, idx, upd = args
    axis, mode = val.params
    if upd.size == 0 or base.size == 0:
        return base
    if is_half_precision(val) and mode in ("add", "mul"):
        wide = (b.cast(base, float32), idx, b.cast(upd, float32))
        made = b.make(val.prim, wide, val.params, val.shape, float32, val.device)
        return b.cast(decompose_scatter(b, made, wide) or made, val.dtype)
    if mode != "add" or not val.dtype.is_float or (val.prim == "scatter" and len(idx.shape) != 1):
        return None
    n = upd.shape[axis]
    parts = min(MOST_PARTS, upd.size // (UPDATES * base.size), n // UPDATES)
    return _in_parts(b, val, base, idx, upd, parts) if parts > 1 else None


def _in_parts(b: Builder, val: Val, base: Val, idx: Val, upd: Val, parts: int) -> Val:
    """The base, plus the sum of what `parts` equal parts of the updates add to zeros, plus what remains of them."""
    axis, n = val.params[0], upd.shape[val.params[0]]
    equal, rows = n // parts * parts, base.shape[axis]
    of_index = 0 if val.prim == "scatter" else axis
    index = split_axis(b, slice_axis(b, idx, of_index, 0, equal), of_index, parts)
    values = split_axis(b, slice_axis(b, upd, axis, 0, equal), axis, parts)
    shape = (*base.shape[:axis], parts, *base.shape[axis:])
    zeros = b.expand(b.const(0.0, base.dtype, base.device), shape)
    if val.prim == "scatter_along":
        each = b.make(val.prim, (zeros, index, values), (axis + 1, "add"), shape, base.dtype, base.device)
    else:  # indices are the same along the other axes: a copy of the rows for each part, one after the other
        flat = (*base.shape[:axis], parts * rows, *base.shape[axis + 1 :])
        wide = b.cast(index, int64)
        part = b.make("iota", (), (index.shape, 0, int64, idx.device), index.shape, int64, idx.device)
        zero, count, outside = (b.const(i, int64, idx.device) for i in (0, rows, parts * rows))
        inside = b.op("bitand", b.op("le", zero, wide, dtype=bool_), b.op("lt", wide, count, dtype=bool_), dtype=bool_)
        moved = b.op("where", inside, b.op("add", b.op("mul", part, count), wide), outside)
        where = b.reshape(moved, (equal,))
        operands = (b.reshape(zeros, flat), where, slice_axis(b, upd, axis, 0, equal))
        each = b.reshape(b.make(val.prim, operands, val.params, flat, base.dtype, base.device), shape)
    total = b.op("add", base, b.reduce("reduce_sum", each, (axis,)))
    if equal == n:
        return total
    rest = (total, slice_axis(b, idx, of_index, equal, n), slice_axis(b, upd, axis, equal, n))
    return b.make(val.prim, rest, val.params, val.shape, val.dtype, val.device)
