"""Decompositions of arithmetic and comparisons of booleans."""

from __future__ import annotations

from ...dtypes import bool_, uint8
from ..program import Builder, Val


def decompose_arithmetic(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """`add` and `maximum` of booleans become `bitor`, `mul` and `minimum` become `bitand`."""
    if not val.dtype.is_bool:
        return None
    return b.op("bitor" if val.prim in ("add", "maximum") else "bitand", *args, dtype=bool_)


def decompose_order(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Comparisons of booleans become comparisons of uint8."""
    if not args[0].dtype.is_bool:
        return None
    return b.op(val.prim, *[b.cast(a, uint8) for a in args], dtype=bool_)
