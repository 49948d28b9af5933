"""Decompositions of scans: reversed scans by flips, scans of 16-bit floats through float32, and long scans in blocks."""

from __future__ import annotations

from ...dtypes import float32
from ...ir.reductions import identity
from ..program import Builder, Val
from .common import COMBINE, is_half_precision, slice_axis, split_axis

IDENTITY_OF = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}


def decompose_scan(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Rewrites a reversed scan or one of 16-bit floats; None keeps others."""
    (x,), (axis, reverse) = args, val.params
    if reverse:
        flipped = b.make("flip", (x,), ((axis,),), x.shape, x.dtype, x.device)
        forward = b.make(val.prim, (flipped,), (axis, False), x.shape, x.dtype, x.device)
        return b.make(
            "flip", (decompose_scan(b, forward, (flipped,)) or forward,), ((axis,),), x.shape, x.dtype, x.device
        )
    if is_half_precision(val):
        wide = b.make(val.prim, (b.cast(x, float32),), val.params, val.shape, float32, val.device)
        return b.cast(wide, val.dtype)
    return None


def in_blocks(b: Builder, prim: str, x: Val, axis: int, size: int, longest: int) -> Val:
    """Scans blocks of `size` elements of an axis, then the blocks' results, which are combined with the blocks after them.

    The results of many blocks are scanned in blocks again. A last block is filled up with what changes nothing.

    Args:
        b: the builder.
        prim: the scan.
        x: what is scanned, forward.
        axis: the axis.
        size: elements of a block.
        longest: the most elements that are scanned at once, if their rows are enough.
    """
    n = x.shape[axis]
    size = max(size, min(longest, 1 << (n.bit_length() // 2)))
    blocks = -(-n // size)
    start = identity(IDENTITY_OF[prim], x.dtype).value
    filled_up = split_axis(b, _padded(b, x, axis, 0, blocks * size - n, start), axis, blocks)
    scanned = b.make(prim, (filled_up,), (axis + 1, False), filled_up.shape, x.dtype, x.device)
    last = slice_axis(b, scanned, axis + 1, size - 1, size)
    totals = b.reshape(slice_axis(b, last, axis, 0, blocks - 1), (*x.shape[:axis], blocks - 1, *x.shape[axis + 1 :]))
    if blocks - 1 > size:
        sums = in_blocks(b, prim, totals, axis, size, longest)
    else:
        sums = b.make(prim, (totals,), (axis, False), totals.shape, x.dtype, x.device)
    before = _padded(b, sums, axis, 1, 0, start)
    before = b.reshape(before, (*x.shape[:axis], blocks, 1, *x.shape[axis + 1 :]))
    whole = b.op(COMBINE[prim], b.expand(before, scanned.shape), scanned)
    return slice_axis(b, b.reshape(whole, (*x.shape[:axis], blocks * size, *x.shape[axis + 1 :])), axis, 0, n)


def _padded(b: Builder, x: Val, axis: int, before: int, after: int, value: float) -> Val:
    """The value with elements added at the ends of an axis."""
    if not before and not after:
        return x
    pads = tuple([(before, after, 0) if d == axis else (0, 0, 0) for d in range(len(x.shape))])
    shape = tuple([e + before + after if d == axis else e for d, e in enumerate(x.shape)])
    return b.make("pad", (x,), (pads, value), shape, x.dtype, x.device)
