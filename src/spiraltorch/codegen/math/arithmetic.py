"""Small parts of elementary functions, over the instructions of any renderer."""

from __future__ import annotations

from ...dtypes import DType, float32, float64, int32
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
    """a * b + c, rounded once where the processor can: no polynomial here needs it."""
    return e.intrinsic("fmuladd", a, b, c)


def negative(e: Instructions, x: Ssa) -> Ssa:
    """-x."""
    return e.negate(x)


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
    """A polynomial by Horner's rule, the highest coefficient first."""
    made = e.const(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        made = fma(e, made, x, e.const(c, x.dtype))
    return made


def same_bits(e: Instructions, v: Ssa, dtype: DType) -> Ssa:
    """The same bits."""
    return e.reinterpret(v, dtype)


def power_of_two(e: Instructions, n: Ssa) -> Ssa:
    """2**n for int32 n within the exponent's range."""
    return same_bits(e, e.binary("shl", e.binary("add", n, e.const(127, int32)), e.const(23, int32)), float32)


def nearest(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """The nearest integer of a small float, as a float and as int32: by adding 1.5 * 2**23 where that is not undone."""
    if not e.exact:
        whole = e.intrinsic("rint", x)
        return whole, e.saturate(whole, int32)
    magic = 12582912.0
    moved = add(e, x, single(e, magic))
    return sub(e, moved, single(e, magic)), e.binary("sub", same_bits(e, moved, int32), e.const(0x4B400000, int32))


def scaled(e: Instructions, p: Ssa, n: Ssa) -> Ssa:
    """p * 2**n in two steps, so that results below the normal range and overflow come out right."""
    half = e.binary("ashr", n, e.const(1, int32))
    rest = e.binary("sub", n, half)
    return mul(e, mul(e, p, power_of_two(e, half)), power_of_two(e, rest))


def clamp(e: Instructions, x: Ssa, low: float, high: float) -> Ssa:
    """Keeps NaN."""
    top, bottom = e.const(high, x.dtype), e.const(low, x.dtype)
    x = e.select(e.compare("ogt", x, top), top, x)
    return e.select(e.compare("olt", x, bottom), bottom, x)
