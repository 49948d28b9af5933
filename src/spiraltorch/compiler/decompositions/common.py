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


# The element-wise operation that joins the results of parts.
COMBINE = {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "maximum", "reduce_min": "minimum",
    "cumsum": "add", "cumprod": "mul", "cummax": "maximum", "cummin": "minimum",
}  # fmt: skip


def slice_axis(b: Builder, x: Val, axis: int, start: int, stop: int) -> Val:
    """The elements from `start` to `stop` along one axis."""
    if (start, stop) == (0, x.shape[axis]):
        return x
    starts = tuple([start if d == axis else 0 for d in range(len(x.shape))])
    stops = tuple([stop if d == axis else e for d, e in enumerate(x.shape)])
    shape = tuple([stop - start if d == axis else e for d, e in enumerate(x.shape)])
    return b.make("slice", (x,), (starts, stops, (1,) * len(shape)), shape, x.dtype, x.device)


def split_axis(b: Builder, x: Val, axis: int, parts: int) -> Val:
    """An axis as two: `parts` equal parts, and the elements of a part."""
    return b.reshape(x, (*x.shape[:axis], parts, x.shape[axis] // parts, *x.shape[axis + 1 :]))


def part_count(n: int, wanted: int, least: int) -> int:
    """A number of parts of `n` elements: a divisor from `least` to `wanted`, or else `wanted`, which leaves a remainder."""
    equal = divisor(n, wanted)
    return equal if equal >= least else min(n, wanted)


def divisor(n: int, limit: int) -> int:
    """The largest divisor of `n` up to `limit`."""
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)
