"""Building blocks of the elementary functions: constants, arithmetic, polynomials, powers of two."""

from __future__ import annotations

from ...dtypes import float32, float64, int32
from ..instructions import Instructions, Ssa


def single(e: Instructions, value: float) -> Ssa:
    """A float32 constant."""
    return e.const(value, float32)


def double(e: Instructions, value: float) -> Ssa:
    """A float64 constant."""
    return e.const(value, float64)


def add(e: Instructions, a: Ssa, b: Ssa) -> Ssa:
    """a + b."""
    return e.binary("fadd", a, b)


def sub(e: Instructions, a: Ssa, b: Ssa) -> Ssa:
    """a - b."""
    return e.binary("fsub", a, b)


def mul(e: Instructions, a: Ssa, b: Ssa) -> Ssa:
    """a * b."""
    return e.binary("fmul", a, b)


def div(e: Instructions, a: Ssa, b: Ssa) -> Ssa:
    """a / b."""
    return e.binary("fdiv", a, b)


def fma(e: Instructions, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
    """a * b + c, with one rounding or two: what the target does faster. Nothing here relies on either."""
    return e.intrinsic("fmuladd", a, b, c)


def magnitude(e: Instructions, x: Ssa) -> Ssa:
    """|x|."""
    return e.intrinsic("fabs", x)


def copysign(e: Instructions, size: Ssa, x: Ssa) -> Ssa:
    """`size` with the sign of `x`."""
    return e.intrinsic("copysign", size, x)


def sqrt(e: Instructions, x: Ssa) -> Ssa:
    """The square root."""
    return e.intrinsic("sqrt", x)


def poly(e: Instructions, x: Ssa, coefficients: list[float]) -> Ssa:
    """The polynomial with these coefficients, the highest power first, by Horner's rule."""
    result = e.const(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        result = fma(e, result, x, e.const(c, x.dtype))
    return result


def power_of_two(e: Instructions, n: Ssa) -> Ssa:
    """2**n as float32, for an int32 n from -126 to 127."""
    return e.reinterpret(e.binary("shl", e.binary("add", n, e.const(127, int32)), e.const(23, int32)), float32)


def nearest(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """The nearest integer of a float32 below 2**22, as a float32 and as int32.

    Where sums are exact, adding 1.5 * 2**23 rounds, and leaves the integer in the lower bits of the sum.
    """
    if not e.exact_sums:
        whole = e.intrinsic("rint", x)
        return whole, e.saturate(whole, int32)
    magic = 1.5 * 2.0**23
    moved = add(e, x, single(e, magic))
    return sub(e, moved, single(e, magic)), e.binary("sub", e.reinterpret(moved, int32), e.const(0x4B400000, int32))


def scaled(e: Instructions, p: Ssa, n: Ssa) -> Ssa:
    """p * 2**n in two multiplications, so that results below the normal range and above the greatest number are right."""
    half = e.binary("ashr", n, e.const(1, int32))
    rest = e.binary("sub", n, half)
    return mul(e, mul(e, p, power_of_two(e, half)), power_of_two(e, rest))


def clamp(e: Instructions, x: Ssa, low: float, high: float) -> Ssa:
    """The value limited to [low, high]; NaN stays."""
    top, bottom = e.const(high, x.dtype), e.const(low, x.dtype)
    x = e.select(e.compare("ogt", x, top), top, x)
    return e.select(e.compare("olt", x, bottom), bottom, x)
