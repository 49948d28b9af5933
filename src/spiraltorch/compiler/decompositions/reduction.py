"""Decompositions of reductions.

- float16 and bfloat16 reductions go through float32. A sum of booleans is their maximum and a product their minimum, in
  uint8, since sums in uint8 would wrap.
- A reduction of much data to few results is split into partial reductions and a final one, for threads and lanes.
- `argmax` and `argmin` become two reductions, which fuse into one kernel.
- A reduction over no elements is the identity of its operation.
"""

from __future__ import annotations

from ...dtypes import bool_, float32, int32, int64, uint8
from ..program import Builder, Val
from .common import COMBINE, filled, is_half_precision, part_count, slice_axis, split_axis

SPLIT_WORK = 1 << 16  # reduced elements for each result above which a reduction to few results is split
SPLIT_RESULTS = 16
PARTS = 64


def decompose_reduction(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Rewrites a reduction by the rules of the module's text; None keeps it."""
    (x,) = args
    if x.size == 0:
        return filled(b, val, 1 if val.prim == "reduce_prod" else 0)
    if val.dtype.is_bool:
        prim = "reduce_max" if val.prim in ("reduce_sum", "reduce_max") else "reduce_min"
        return b.cast(_split(b, prim, b.cast(x, uint8), val.params[0]), bool_)
    if is_half_precision(val):
        return b.cast(_split(b, val.prim, b.cast(x, float32), val.params[0]), val.dtype)
    return _split(b, val.prim, x, val.params[0])


def _split(b: Builder, prim: str, x: Val, axes: tuple[int, ...]) -> Val:
    """The reduction, split along its longest axis if it reduces much data to few results."""
    results = 1
    for d, e in enumerate(x.shape):
        results *= 1 if d in axes else e
    work = x.size // max(1, results)
    if work < SPLIT_WORK or results > SPLIT_RESULTS:
        return b.reduce(prim, x, axes)
    axis = max(axes, key=lambda a: x.shape[a])
    return in_parts(b, prim, x, axes, axis, part_count(x.shape[axis], PARTS, 4))


def in_parts(b: Builder, prim: str, x: Val, axes: tuple[int, ...], axis: int, parts: int) -> Val:
    """Reduces `parts` equal parts of one of the reduced axes, then their results, and then what remains of the axis."""
    if parts < 2:
        return b.reduce(prim, x, axes)
    equal = x.shape[axis] // parts * parts
    inner = tuple([a if a < axis else a + 1 for a in axes])
    partial = b.reduce(prim, split_axis(b, slice_axis(b, x, axis, 0, equal), axis, parts), inner)
    kept = axis - sum(1 for a in axes if a < axis)
    result = b.reduce(prim, partial, (kept,))
    if equal == x.shape[axis]:
        return result
    rest = b.reduce(prim, slice_axis(b, x, axis, equal, x.shape[axis]), axes)
    return b.op(COMBINE[prim], result, rest)


def decompose_arg_reduction(b: Builder, val: Val, args: tuple[Val, ...]) -> Val:
    """`argmax` or `argmin`: the extremum, and the least index at which it or a NaN is."""
    (x,), axis = args, val.params[0]
    wide = b.cast(x, uint8 if x.dtype.is_bool else float32) if x.dtype.is_bool or is_half_precision(x) else x
    best = _split(b, "reduce_max" if val.prim == "argmax" else "reduce_min", wide, (axis,))
    kept = tuple([1 if d == axis else e for d, e in enumerate(x.shape)])
    hit = b.op("eq", wide, b.reshape(best, kept), dtype=bool_)
    if wide.dtype.is_float:
        hit = b.op("bitor", hit, b.op("isnan", wide, dtype=bool_), dtype=bool_)
    index = int32 if x.shape[axis] < 1 << 31 else int64  # int32 has twice the lanes
    indices = b.make("iota", (), (x.shape, axis, index, x.device), x.shape, index, x.device)
    none = b.const(x.shape[axis], index, x.device)
    return b.cast(_split(b, "reduce_min", b.op("where", hit, indices, none), (axis,)), int64)
