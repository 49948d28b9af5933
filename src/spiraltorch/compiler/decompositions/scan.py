"""Decompositions of scans: reversed scans by flips, scans of 16-bit floats through float32."""

from __future__ import annotations

from ...dtypes import float32
from ..program import Builder, Val
from .common import is_half_precision


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
