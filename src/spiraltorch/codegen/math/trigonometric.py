"""Circular functions and their inverses, over the instructions of any renderer: see `elementary`."""

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
    negative,
    poly,
    same_bits,
    single,
    sqrt,
    sub,
)
from .trigonometric_double import arctangent2_64


def _quadrant(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """r in [-pi/4, pi/4] with x = n pi/2 + r, n, and the lanes where |x| is too large for that or not finite."""
    return _quadrant_double(e, x) if e.double else _quadrant_single(e, x)


def _quadrant_double(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    wide = e.convert("fpext", x, float64)
    magic = 1.5 * 2.0**52
    moved = fma(e, wide, double(e, 2 / math.pi), double(e, magic))
    n = negative(e, sub(e, moved, double(e, magic)))
    # pi/2 in two parts; the first has 25 bits, so that its product with n is exact.
    r = fma(e, n, double(e, 1.58932547735281966916e-08), fma(e, n, double(e, 1.57079631090164184570), wide))
    count = e.convert("trunc", same_bits(e, moved, int64), int32)
    rare = e.compare("uge", magnitude(e, x), single(e, 4e8))
    return e.convert("fptrunc", r, float32), count, rare


def _quadrant_single(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """With pi/2 in three parts of few bits, whose products with n are exact (Cody and Waite, 1980)."""
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
)  # the bits after the binary point


def _quadrant_large(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n for any finite |x| of at least 1: x times the bits of 2/pi that matter (Payne and Hanek, 1983)."""
    bits = same_bits(e, magnitude(e, x), uint32)
    exponent = e.binary("sub", e.binary("lshr", bits, e.const(23, uint32)), e.const(150, uint32))  # of the last bit
    whole = e.binary("or", e.binary("and", bits, e.const(0x7FFFFF, uint32)), e.const(0x800000, uint32))
    # Bits of 2/pi that make multiples of 4 are skipped; 32 zeros stand before the point, so that the start is positive.
    start = e.binary("add", exponent, e.const(30, uint32))
    table = (0, *TWO_OVER_PI)
    word, shift = e.binary("lshr", start, e.const(5, uint32)), e.binary("and", start, e.const(31, uint32))
    at = []
    for n in range(4):
        made = e.const(table[n], uint32)
        for k in range(1, 5):
            found = e.compare("eq", word, e.const(k, uint32))
            made = e.select(found, e.const(table[k + n] if k + n < len(table) else 0, uint32), made)
        at.append(made)
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
    # The product counts quarter turns in units of 2**-62; the nearest whole number is taken off.
    rounded = e.binary("add", product, e.const(1 << 61, uint64))
    quarter = e.convert("trunc", e.binary("lshr", rounded, e.const(62, uint64)), uint32)
    rest = e.binary("sub", product, e.binary("shl", e.convert("zext", quarter, uint64), e.const(62, uint64)))
    turns = e.convert("sitofp", same_bits(e, rest, int64), float32)
    r = mul(e, turns, single(e, math.pi / 2 / 2.0**62))
    count = same_bits(e, quarter, int32)
    minus = e.compare("olt", x, single(e, 0.0))
    r = e.select(minus, negative(e, r), r)
    count = e.select(minus, e.binary("sub", e.const(0, int32), count), count)
    return e.select(e.compare("olt", magnitude(e, x), single(e, math.inf)), r, sub(e, x, x)), count


def _sine(e: Instructions, r: Ssa, z: Ssa) -> Ssa:
    p = poly(e, z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])
    return fma(e, mul(e, p, z), r, r)


def _cosine(e: Instructions, z: Ssa) -> Ssa:
    p = poly(e, z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return add(e, single(e, 1.0), fma(e, z, single(e, -0.5), mul(e, mul(e, p, z), z)))


def _flip(e: Instructions, v: Ssa, n: Ssa) -> Ssa:
    """-v where bit 1 of n is set."""
    sign = e.binary("shl", e.binary("and", n, e.const(2, int32)), e.const(30, int32))
    return same_bits(e, e.binary("xor", same_bits(e, v, int32), sign), float32)


def _circular(e: Instructions, x: Ssa, shift: int, name: str) -> Ssa:
    def at(r: Ssa, n: Ssa) -> Ssa:
        if shift:
            n = e.binary("add", n, e.const(shift, int32))
        z = mul(e, r, r)
        odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
        return _flip(e, e.select(odd, _cosine(e, z), _sine(e, r, z)), n)

    r, n, rare = _quadrant(e, x)
    return e.or_else(rare, at(r, n), lambda: e.libm(name, x) if e.library else at(*_quadrant_large(e, x)))


def _sin(e: Instructions, x: Ssa) -> Ssa:
    return e.select(e.compare("oeq", x, single(e, 0.0)), x, _circular(e, x, 0, "sin"))  # -0 stays


def _cos(e: Instructions, x: Ssa) -> Ssa:
    return _circular(e, x, 1, "cos")


def _tan(e: Instructions, x: Ssa) -> Ssa:
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
    return e.or_else(rare, at(r, n), lambda: e.libm("tan", x) if e.library else at(*_quadrant_large(e, x)))


def _atan(e: Instructions, x: Ssa) -> Ssa:
    a = magnitude(e, x)
    far = e.compare("ogt", a, single(e, 2.414213562373095))
    middle = e.compare("ogt", a, single(e, 0.4142135623730950))
    above = e.select(far, single(e, -1.0), sub(e, a, single(e, 1.0)))
    below = e.select(far, a, add(e, a, single(e, 1.0)))
    t = e.select(middle, div(e, above, below), a)
    start = e.select(far, single(e, math.pi / 2), e.select(middle, single(e, math.pi / 4), single(e, 0.0)))
    z = mul(e, t, t)
    p = poly(e, z, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])
    return copysign(e, add(e, start, fma(e, mul(e, p, z), t, t)), x)


def arctangent2(e: Instructions, y: Ssa, x: Ssa) -> Ssa:
    """The angle of the point (x, y), with the C library's values at zeros and infinities."""
    if e.library:
        return e.libm("atan2", y, x)
    if x.dtype is float64:
        return arctangent2_64(e, y, x)
    a, b = magnitude(e, y), magnitude(e, x)
    steep = e.compare("ogt", a, b)
    big, small = e.select(steep, a, b), e.select(steep, b, a)
    equal = e.compare("oeq", a, b)  # also two infinities, and two zeros
    zero = e.compare("oeq", big, single(e, 0.0))
    quotient = e.select(equal, single(e, 1.0), div(e, small, big))
    angle = _atan(e, e.select(zero, single(e, 0.0), quotient))
    angle = e.select(steep, sub(e, single(e, math.pi / 2), angle), angle)
    minus = e.compare("slt", same_bits(e, x, int32), e.const(0, int32))
    angle = copysign(e, e.select(minus, sub(e, single(e, math.pi), angle), angle), y)
    return e.select(e.compare("uno", x, y), add(e, x, y), angle)


def _arc(e: Instructions, z: Ssa, t: Ssa) -> Ssa:
    """asin(t) for |t| <= 1/2 with z = t**2."""
    p = poly(e, z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
    return fma(e, mul(e, p, z), t, t)


def _asin(e: Instructions, x: Ssa) -> Ssa:
    a = magnitude(e, x)
    outer = e.compare("ogt", a, single(e, 0.5))
    z = e.select(outer, mul(e, single(e, 0.5), sub(e, single(e, 1.0), a)), mul(e, a, a))
    made = _arc(e, z, e.select(outer, sqrt(e, z), a))
    far = sub(e, single(e, math.pi / 2), add(e, made, made))
    return copysign(e, e.select(outer, far, made), x)


def _acos(e: Instructions, x: Ssa) -> Ssa:
    a = magnitude(e, x)
    outer = e.compare("ogt", a, single(e, 0.5))
    z = e.select(outer, mul(e, single(e, 0.5), sub(e, single(e, 1.0), a)), mul(e, a, a))
    made = _arc(e, z, e.select(outer, sqrt(e, z), x))
    twice = add(e, made, made)
    near = e.select(e.compare("olt", x, single(e, 0.0)), sub(e, single(e, math.pi), twice), twice)
    return e.select(outer, near, sub(e, single(e, math.pi / 2), made))
