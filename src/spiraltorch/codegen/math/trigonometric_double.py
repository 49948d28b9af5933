"""Circular functions of float64 and their inverses, for renderers without a C library: see `elementary_double`."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...dtypes import float64, int32, int64, uint32, uint64
from ..instructions import Instructions, Ssa
from .arithmetic import add, copysign, div, double, fma, magnitude, mul, poly, sqrt, sub

# pi/2 in parts of 33 bits, whose products with n are exact for n below 2**20, and the rest (as in fdlibm's `rem_pio2`).
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
HALF_PI_REST = 6.123233995736766e-17  # pi/2 minus its value in float64
TWO_OVER_PI = (
    0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561, 0xB7246E3A424DD2E0,
    0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41, 0x3991D639835339F4,
    0x9C845F8BBDF9283B, 0x1FF897FFDE05980F, 0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB,
)  # fmt: skip  # 2/pi: the bits after the binary point


def _quadrant(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r in [-pi/4, pi/4] and n with x = n pi/2 + r, for |x| below a million (Cody and Waite, 1980)."""
    n = e.intrinsic("rint", mul(e, x, double(e, 2 / math.pi)))
    count = e.saturate(n, int32)
    again = e.convert("sitofp", count, float64)
    r = x
    # Drivers' compilers combine the constants of neighbouring fma (Mesa) and of neighbouring products (NVIDIA), so they
    # alternate.
    for k, part in enumerate(HALF_PI):
        r = fma(e, again, double(e, -part), r) if k % 2 else sub(e, r, mul(e, n, double(e, part)))
    return r, count


def _quadrant_large(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n for finite |x| of at least 2**19, by the product of x with those bits of 2/pi that count (Payne and Hanek,
    1983); r is NaN where x is not finite."""
    bits = e.reinterpret(magnitude(e, x), uint64)
    m = e.binary("or", e.binary("and", bits, e.const((1 << 52) - 1, uint64)), e.const(1 << 52, uint64))
    exponent = e.binary("sub", e.binary("lshr", bits, e.const(52, uint64)), e.const(1075, uint64))  # of the last bit
    # Bits of 2/pi whose products are multiples of 4 quarter turns are skipped; with 64 zeros before the point in the table,
    # the first bit that counts has a positive number.
    start = e.binary("add", exponent, e.const(62, uint64))
    table = (0, *TWO_OVER_PI)
    word, shift = e.binary("lshr", start, e.const(6, uint64)), e.binary("and", start, e.const(63, uint64))
    at = [e.const(table[n], uint64) for n in range(4)]
    for k in range(1, len(table) - 3):
        equal = e.compare("eq", word, e.const(k, uint64))
        at = [e.select(equal, e.const(table[k + n], uint64), v) for n, v in enumerate(at)]
    aligned = e.compare("eq", shift, e.const(0, uint64))
    back = e.select(aligned, e.const(0, uint64), e.binary("sub", e.const(64, uint64), shift))
    window = []
    for n in range(3):
        low = e.select(aligned, e.const(0, uint64), e.binary("lshr", at[n + 1], back))
        window.append(e.binary("or", e.binary("shl", at[n], shift), low))
    # Two words of the product; the first counts quarter turns in units of 2**-62.
    middle = e.binary("mul", m, window[1])
    second = e.binary("add", middle, e.mulhi(m, window[2]))
    carry = e.convert("zext", e.compare("ult", second, middle), uint64)
    first = e.binary("add", e.binary("add", e.binary("mul", m, window[0]), e.mulhi(m, window[1])), carry)
    quarter = e.binary("lshr", e.binary("add", first, e.const(1 << 61, uint64)), e.const(62, uint64))
    rest = e.binary("sub", first, e.binary("shl", quarter, e.const(62, uint64)))
    minus = e.compare("slt", e.reinterpret(rest, int64), e.const(0, int64))
    flip = e.select(minus, e.const((1 << 64) - 1, uint64), e.const(0, uint64))
    high = e.convert("uitofp", e.binary("xor", rest, flip), float64)
    low = e.convert("uitofp", e.binary("xor", second, flip), float64)
    turns = add(e, high, mul(e, low, double(e, 2.0**-64)))
    turns = e.select(minus, e.negate(turns), turns)
    r = mul(e, turns, double(e, math.pi / 2 / 2.0**62))
    count = e.reinterpret(e.convert("trunc", quarter, uint32), int32)
    backward = e.compare("olt", x, double(e, 0.0))
    r = e.select(backward, e.negate(r), r)
    count = e.select(backward, e.binary("sub", e.const(0, int32), count), count)
    return e.select(e.compare("olt", magnitude(e, x), double(e, math.inf)), r, double(e, math.nan)), count


def _sine(e: Instructions, r: Ssa, z: Ssa) -> Ssa:
    """sin(r) for |r| <= pi/4 and z = r**2."""
    p = poly(e, z, [(-1) ** (k // 2) / math.factorial(k) for k in range(19, 1, -2)])
    return fma(e, mul(e, p, z), r, r)


def _cosine(e: Instructions, z: Ssa) -> Ssa:
    """cos(r) for |r| <= pi/4 and z = r**2."""
    p = poly(e, z, [(-1) ** (k // 2) / math.factorial(k) for k in range(18, 2, -2)])
    return add(e, double(e, 1.0), fma(e, z, double(e, -0.5), mul(e, mul(e, p, z), z)))


def _reduced(e: Instructions, x: Ssa, at: Callable[[Ssa, Ssa], Ssa]) -> Ssa:
    """The function `at` of the reduced argument and the number of quarter turns."""
    rare = e.compare("uge", magnitude(e, x), double(e, 1e6))
    usual = e.select(rare, double(e, 0.0), x)
    return e.with_fallback(rare, at(*_quadrant(e, usual)), lambda: at(*_quadrant_large(e, x)))


def _circular(e: Instructions, x: Ssa, shift: int) -> Ssa:
    """sin(x + shift pi/2)."""

    def at(r: Ssa, n: Ssa) -> Ssa:
        n = e.binary("add", n, e.const(shift, int32)) if shift else n
        z = mul(e, r, r)
        odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
        result = e.select(odd, _cosine(e, z), _sine(e, r, z))
        below = e.compare("ne", e.binary("and", n, e.const(2, int32)), e.const(0, int32))
        return e.select(below, e.negate(result), result)

    return _reduced(e, x, at)


def _sin(e: Instructions, x: Ssa) -> Ssa:
    """The sine; -0.0 stays."""
    return e.select(e.compare("oeq", x, double(e, 0.0)), x, _circular(e, x, 0))  # -0 stays


def _cos(e: Instructions, x: Ssa) -> Ssa:
    """The cosine."""
    return _circular(e, x, 1)


def _tan(e: Instructions, x: Ssa) -> Ssa:
    """sin(r) / cos(r), or -cos(r) / sin(r) in odd quadrants."""

    def at(r: Ssa, n: Ssa) -> Ssa:
        z = mul(e, r, r)
        s, c = _sine(e, r, z), _cosine(e, z)
        odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
        return div(e, e.select(odd, e.negate(c), s), e.select(odd, s, c))

    return e.select(e.compare("oeq", x, double(e, 0.0)), x, _reduced(e, x, at))


def _atan(e: Instructions, x: Ssa) -> Ssa:
    """atan(c) + atan((t - c) / (1 + c t)) for the multiple c of 1/8 nearest to t, which is |x|, or 1 / |x| above 1."""
    a = magnitude(e, x)
    steep = e.compare("ogt", a, double(e, 1.0))
    t = e.select(steep, div(e, double(e, 1.0), a), a)
    whole = e.intrinsic("rint", mul(e, t, double(e, 8.0)))
    c = mul(e, whole, double(e, 0.125))
    start = double(e, 0.0)
    for k in range(1, 9):
        start = e.select(e.compare("oeq", whole, double(e, float(k))), double(e, math.atan(k / 8)), start)
    u = div(e, sub(e, t, c), fma(e, c, t, double(e, 1.0)))
    z = mul(e, u, u)
    p = poly(e, z, [(-1) ** (k // 2) / k for k in range(17, 1, -2)])
    angle = add(e, start, fma(e, mul(e, p, z), u, u))
    complement = sub(e, double(e, math.pi / 2), sub(e, angle, double(e, HALF_PI_REST)))
    return copysign(e, e.select(steep, complement, angle), x)


def arctangent2_double(e: Instructions, y: Ssa, x: Ssa) -> Ssa:
    """As `trigonometric.arctangent2`, of float64."""
    a, b = magnitude(e, y), magnitude(e, x)
    steep = e.compare("ogt", a, b)
    big, small = e.select(steep, a, b), e.select(steep, b, a)
    equal = e.compare("oeq", a, b)  # also two infinities, and two zeros
    zero = e.compare("oeq", big, double(e, 0.0))
    quotient = e.select(equal, double(e, 1.0), div(e, small, big))
    angle = _atan(e, e.select(zero, double(e, 0.0), quotient))
    angle = e.select(steep, sub(e, double(e, math.pi / 2), angle), angle)
    minus = e.compare("slt", e.reinterpret(x, int64), e.const(0, int64))
    angle = copysign(e, e.select(minus, sub(e, double(e, math.pi), angle), angle), y)
    return e.select(e.compare("uno", x, y), add(e, x, y), angle)


def _asin(e: Instructions, x: Ssa) -> Ssa:
    """atan(|x| / sqrt(1 - x**2)) with the sign of x."""
    a, one = magnitude(e, x), double(e, 1.0)
    root = sqrt(e, mul(e, sub(e, one, a), add(e, one, a)))
    result = _atan(e, div(e, a, root))
    result = e.select(e.compare("oeq", a, one), double(e, math.pi / 2), result)
    result = e.select(e.compare("ugt", a, one), double(e, math.nan), result)
    return copysign(e, result, x)


def _acos(e: Instructions, x: Ssa) -> Ssa:
    """2 atan(sqrt((1 - x) / (1 + x)))."""
    one = double(e, 1.0)
    result = _atan(e, sqrt(e, div(e, sub(e, one, x), add(e, one, x))))
    result = e.select(e.compare("oeq", x, e.negate(one)), double(e, math.pi), add(e, result, result))
    return e.select(e.compare("ugt", magnitude(e, x), one), double(e, math.nan), result)


CIRCULAR: dict[str, Callable[[Instructions, Ssa], Ssa]] = {
    "sin": _sin, "cos": _cos, "tan": _tan, "atan": _atan, "asin": _asin, "acos": _acos,
}  # fmt: skip
