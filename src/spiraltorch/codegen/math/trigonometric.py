"""Circular functions of float32 and their inverses: see `elementary`, also for the sources of polynomials."""

from __future__ import annotations

import math

from ...dtypes import float32, float64, int32, int64, uint32, uint64
from ..instructions import Instructions, Ssa
from .arithmetic import (
    add,
    copysign,
    div,
    double,
    fma,
    magnitude,
    mul,
    nearest,
    poly,
    single,
    sqrt,
    sub,
)
from .trigonometric_double import arctangent2_double


def _quadrant(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """r in [-pi/4, pi/4] and n with x = n pi/2 + r, and the lanes where |x| is too large for the method or not finite."""
    return _quadrant_double(e, x) if e.fast_float64 else _quadrant_single(e, x)


def _quadrant_double(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """In float64, with pi/2 in two parts: the first has 25 bits, so its product with n is exact (as in FreeBSD's
    `rem_pio2f`)."""
    wide = e.convert("fpext", x, float64)
    magic = 1.5 * 2.0**52
    moved = fma(e, wide, double(e, 2 / math.pi), double(e, magic))
    n = e.negate(sub(e, moved, double(e, magic)))
    r = fma(e, n, double(e, 1.58932547735281966916e-08), fma(e, n, double(e, 1.57079631090164184570), wide))
    count = e.convert("trunc", e.reinterpret(moved, int64), int32)
    rare = e.compare("uge", magnitude(e, x), single(e, 4e8))
    return e.convert("fptrunc", r, float32), count, rare


def _quadrant_single(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """In float32, with pi/2 in three parts of few bits, whose products with n are exact (Cody and Waite, 1980; `sinf`)."""
    n, count = nearest(e, mul(e, x, single(e, 2 / math.pi)))
    r = x
    for part in (1.5703125, 4.837512969970703125e-4, 7.54978995489188216e-8):
        r = sub(e, r, mul(e, n, single(e, part)))
    return r, count, e.compare("uge", magnitude(e, x), single(e, 12000.0))


TWO_OVER_PI = (
    0xA2F9836E,
    0x4E441529,
    0xFC2757D1,
    0xF534DDC0,
    0xDB629599,
    0x3C439041,
    0xFE5163AB,
)  # 2/pi: the bits after the binary point


def _quadrant_large(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n for finite |x| of at least 1, by the product of x with those bits of 2/pi that count (Payne and Hanek, "Radian
    reduction for trigonometric functions", 1983); r is NaN where x is not finite."""
    bits = e.reinterpret(magnitude(e, x), uint32)
    exponent = e.binary("sub", e.binary("lshr", bits, e.const(23, uint32)), e.const(150, uint32))  # of the last bit
    whole = e.binary("or", e.binary("and", bits, e.const(0x7FFFFF, uint32)), e.const(0x800000, uint32))
    # Bits of 2/pi whose products are multiples of 4 quarter turns are skipped; with 32 zeros before the point in the table,
    # the first bit that counts has a positive number.
    start = e.binary("add", exponent, e.const(30, uint32))
    table = (0, *TWO_OVER_PI)
    word, shift = e.binary("lshr", start, e.const(5, uint32)), e.binary("and", start, e.const(31, uint32))
    at = []
    for n in range(4):
        result = e.const(table[n], uint32)
        for k in range(1, 5):
            found = e.compare("eq", word, e.const(k, uint32))
            result = e.select(found, e.const(table[k + n] if k + n < len(table) else 0, uint32), result)
        at.append(result)
    aligned = e.compare("eq", shift, e.const(0, uint32))
    back = e.select(aligned, e.const(0, uint32), e.binary("sub", e.const(32, uint32), shift))
    window = []
    for n in range(3):
        low = e.select(aligned, e.const(0, uint32), e.binary("lshr", at[n + 1], back))
        window.append(e.convert("zext", e.binary("or", e.binary("shl", at[n], shift), low), uint64))
    m = e.convert("zext", whole, uint64)
    product = e.binary("shl", e.binary("mul", m, window[0]), e.const(32, uint64))
    product = e.binary("add", product, e.binary("mul", m, window[1]))
    product = e.binary("add", product, e.binary("lshr", e.binary("mul", m, window[2]), e.const(32, uint64)))
    # The product counts quarter turns in units of 2**-62; the nearest integer is subtracted.
    rounded = e.binary("add", product, e.const(1 << 61, uint64))
    quarter = e.convert("trunc", e.binary("lshr", rounded, e.const(62, uint64)), uint32)
    rest = e.binary("sub", product, e.binary("shl", e.convert("zext", quarter, uint64), e.const(62, uint64)))
    turns = e.convert("sitofp", e.reinterpret(rest, int64), float32)
    r = mul(e, turns, single(e, math.pi / 2 / 2.0**62))
    count = e.reinterpret(quarter, int32)
    minus = e.compare("olt", x, single(e, 0.0))
    r = e.select(minus, e.negate(r), r)
    count = e.select(minus, e.binary("sub", e.const(0, int32), count), count)
    return e.select(e.compare("olt", magnitude(e, x), single(e, math.inf)), r, sub(e, x, x)), count


def _sine(e: Instructions, r: Ssa, z: Ssa) -> Ssa:
    """sin(r) for |r| <= pi/4 and z = r**2 (`sinf`)."""
    p = poly(e, z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])
    return fma(e, mul(e, p, z), r, r)


def _cosine(e: Instructions, z: Ssa) -> Ssa:
    """cos(r) for |r| <= pi/4 and z = r**2 (`cosf`)."""
    p = poly(e, z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return add(e, single(e, 1.0), fma(e, z, single(e, -0.5), mul(e, mul(e, p, z), z)))


def _flip(e: Instructions, v: Ssa, n: Ssa) -> Ssa:
    """-v where bit 1 of n is set."""
    sign = e.binary("shl", e.binary("and", n, e.const(2, int32)), e.const(30, int32))
    return e.reinterpret(e.binary("xor", e.reinterpret(v, int32), sign), float32)


def _circular(e: Instructions, x: Ssa, shift: int, name: str) -> Ssa:
    """sin(x + shift pi/2); `name` is that of the C library's function."""

    def at(r: Ssa, n: Ssa) -> Ssa:
        if shift:
            n = e.binary("add", n, e.const(shift, int32))
        z = mul(e, r, r)
        odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
        return _flip(e, e.select(odd, _cosine(e, z), _sine(e, r, z)), n)

    r, n, rare = _quadrant(e, x)
    return e.with_fallback(rare, at(r, n), lambda: e.libm(name, x) if e.has_libm else at(*_quadrant_large(e, x)))


def _sin(e: Instructions, x: Ssa) -> Ssa:
    """The sine; -0.0 stays."""
    return e.select(e.compare("oeq", x, single(e, 0.0)), x, _circular(e, x, 0, "sin"))  # -0 stays


def _cos(e: Instructions, x: Ssa) -> Ssa:
    """The cosine."""
    return _circular(e, x, 1, "cos")


def _tan(e: Instructions, x: Ssa) -> Ssa:
    """tan(r) by a polynomial (`tanf`), or -1 / tan(r) in odd quadrants."""

    def at(r: Ssa, n: Ssa) -> Ssa:
        z = mul(e, r, r)
        p = poly(
            e, z,
            [
                9.38540185543e-3, 3.11992232697e-3, 2.44301354525e-2, 5.34112807005e-2, 1.33387994085e-1,
                3.33331568548e-1,
            ],
        )  # fmt: skip
        tangent = fma(e, mul(e, p, z), r, r)
        odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
        return e.select(odd, div(e, single(e, -1.0), tangent), tangent)

    r, n, rare = _quadrant(e, x)
    return e.with_fallback(rare, at(r, n), lambda: e.libm("tan", x) if e.has_libm else at(*_quadrant_large(e, x)))


def _atan(e: Instructions, x: Ssa) -> Ssa:
    """A polynomial below tan(pi/8), else pi/4 + atan((|x| - 1) / (|x| + 1)), or pi/2 - atan(1 / |x|) above tan(3 pi/8), with
    the sign of x (`atanf`)."""
    a = magnitude(e, x)
    steep = e.compare("ogt", a, single(e, 2.414213562373095))
    middle = e.compare("ogt", a, single(e, 0.4142135623730950))
    above = e.select(steep, single(e, -1.0), sub(e, a, single(e, 1.0)))
    below = e.select(steep, a, add(e, a, single(e, 1.0)))
    t = e.select(middle, div(e, above, below), a)
    start = e.select(steep, single(e, math.pi / 2), e.select(middle, single(e, math.pi / 4), single(e, 0.0)))
    z = mul(e, t, t)
    p = poly(e, z, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])
    return copysign(e, add(e, start, fma(e, mul(e, p, z), t, t)), x)


def arctangent2(e: Instructions, y: Ssa, x: Ssa) -> Ssa:
    """The angle of the point (x, y), with the values of C's `atan2` at zeros and infinities (C99, annex F.9.1.4): by the
    arctangent of the quotient that is at most 1."""
    if e.has_libm:
        return e.libm("atan2", y, x)
    if x.dtype is float64:
        return arctangent2_double(e, y, x)
    a, b = magnitude(e, y), magnitude(e, x)
    steep = e.compare("ogt", a, b)
    big, small = e.select(steep, a, b), e.select(steep, b, a)
    equal = e.compare("oeq", a, b)  # also two infinities, and two zeros
    zero = e.compare("oeq", big, single(e, 0.0))
    quotient = e.select(equal, single(e, 1.0), div(e, small, big))
    angle = _atan(e, e.select(zero, single(e, 0.0), quotient))
    angle = e.select(steep, sub(e, single(e, math.pi / 2), angle), angle)
    minus = e.compare("slt", e.reinterpret(x, int32), e.const(0, int32))
    angle = copysign(e, e.select(minus, sub(e, single(e, math.pi), angle), angle), y)
    return e.select(e.compare("uno", x, y), add(e, x, y), angle)


def _arc(e: Instructions, z: Ssa, t: Ssa) -> Ssa:
    """asin(t) for |t| <= 1/2 and z = t**2 (`asinf`)."""
    p = poly(e, z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
    return fma(e, mul(e, p, z), t, t)


def _asin(e: Instructions, x: Ssa) -> Ssa:
    """asin(|x|), or pi/2 - 2 asin(sqrt((1 - |x|) / 2)) above 1/2, with the sign of x."""
    a = magnitude(e, x)
    outer = e.compare("ogt", a, single(e, 0.5))
    z = e.select(outer, mul(e, single(e, 0.5), sub(e, single(e, 1.0), a)), mul(e, a, a))
    result = _arc(e, z, e.select(outer, sqrt(e, z), a))
    above_half = sub(e, single(e, math.pi / 2), add(e, result, result))
    return copysign(e, e.select(outer, above_half, result), x)


def _acos(e: Instructions, x: Ssa) -> Ssa:
    """pi/2 - asin(x), or 2 asin(sqrt((1 - |x|) / 2)) above 1/2, and pi less that below -1/2."""
    a = magnitude(e, x)
    outer = e.compare("ogt", a, single(e, 0.5))
    z = e.select(outer, mul(e, single(e, 0.5), sub(e, single(e, 1.0), a)), mul(e, a, a))
    result = _arc(e, z, e.select(outer, sqrt(e, z), x))
    twice = add(e, result, result)
    outside_half = e.select(e.compare("olt", x, single(e, 0.0)), sub(e, single(e, math.pi), twice), twice)
    return e.select(outer, outside_half, sub(e, single(e, math.pi / 2), result))
