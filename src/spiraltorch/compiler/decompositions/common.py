"""Helpers of several decompositions."""

from __future__ import annotations

from typing import Any

from ..program import Builder, Val


def filled(b: Builder, val: Val, number: float) -> Val:
    """A number broadcast to the shape of `val`, of its dtype and device."""
    value: Any = bool(number) if val.dtype.is_bool else float(number) if val.dtype.is_float else int(number)
    return b.expand(b.const(value, val.dtype, val.device), val.shape)


def is_half_precision(val: Val) -> bool:
    """Whether the dtype is float16 or bfloat16."""
    return val.dtype.is_float and val.dtype.itemsize == 2


def divisor(n: int, limit: int) -> int:
    """The largest divisor of `n` up to `limit`."""
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)
