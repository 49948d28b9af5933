"""Decompositions of reductions.

- float16 and bfloat16 reductions go through float32, boolean ones through uint8.
- A reduction of much data to few results is done in two steps, so that threads and lanes have work.
- `argmax` and `argmin` become two reductions, which fuse into one kernel.
- A reduction over nothing is a constant.
"""

from __future__ import annotations

from ...dtypes import bool_, float32, int32, int64, uint8
from ..program import Builder, Val
from .common import divisor, filled, is_half_precision

SPLIT_WORK = 1 << 16  # reduced elements for each result above which a reduction to few results is split
SPLIT_RESULTS = 16


def decompose_reduction(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A reduction over nothing, of another dtype inside, or in two steps."""
    (x,) = args
    if x.size == 0:
        return filled(b, val, 1 if val.prim == "reduce_prod" else 0)
    if val.dtype.is_bool:
        return b.cast(_split(b, val.prim, b.cast(x, uint8), val.params[0]), bool_)
    if is_half_precision(val):
        return b.cast(_split(b, val.prim, b.cast(x, float32), val.params[0]), val.dtype)
    return _split(b, val.prim, x, val.params[0])


def _split(b: Builder, prim: str, x: Val, axes: tuple[int, ...]) -> Val:
    results = 1
    for d, e in enumerate(x.shape):
        results *= 1 if d in axes else e
    work = x.size // max(1, results)
    if work < SPLIT_WORK or results > SPLIT_RESULTS:
        return b.reduce(prim, x, axes)
    axis = max(axes, key=lambda a: x.shape[a])
    parts = divisor(x.shape[axis], 64)
    if parts < 4:
        return b.reduce(prim, x, axes)
    return in_parts(b, prim, x, axes, axis, parts)


def in_parts(b: Builder, prim: str, x: Val, axes: tuple[int, ...], axis: int, parts: int) -> Val:
    """The reduction of `parts` equal parts of one axis, and then of their results."""
    if parts < 2:
        return b.reduce(prim, x, axes)
    shape = (*x.shape[:axis], parts, x.shape[axis] // parts, *x.shape[axis + 1 :])
    inner = tuple([a if a < axis else a + 1 for a in axes])
    partial = b.reduce(prim, b.reshape(x, shape), inner)
    kept = axis - sum(1 for a in axes if a < axis)
    return b.reduce(prim, partial, (kept,))


def decompose_arg_reduction(b: Builder, val: Val, args: tuple[Val, ...]) -> Val:
    """The extreme, and the least place where it or a NaN is."""
    (x,), axis = args, val.params[0]
    wide = b.cast(x, uint8 if x.dtype.is_bool else float32) if x.dtype.is_bool or is_half_precision(x) else x
    best = _split(b, "reduce_max" if val.prim == "argmax" else "reduce_min", wide, (axis,))
    kept = tuple([1 if d == axis else e for d, e in enumerate(x.shape)])
    hit = b.op("eq", wide, b.reshape(best, kept), dtype=bool_)
    if wide.dtype.is_float:
        hit = b.op("bitor", hit, b.op("isnan", wide, dtype=bool_), dtype=bool_)
    place = int32 if x.shape[axis] < 1 << 31 else int64  # twice the lanes
    count = b.make("iota", (), (x.shape, axis, place, x.device), x.shape, place, x.device)
    last = b.const(x.shape[axis], place, x.device)
    return b.cast(_split(b, "reduce_min", b.op("where", hit, count, last), (axis,)), int64)
