"""Elementary functions as vector code; what is left goes to the C library, lane by lane.

float32 vectors are branch-free polynomials (those of the Cephes library, Moshier, 1989, with range reductions of our
own), within 2 units of the last place of the exact result. Arguments that the fast code cannot serve (a sine beyond
4e8, a power of a negative number) are rare: one branch for a whole vector sends them to the C library, and each lane's
result depends on its own argument only. Scalars, float64, and values that are hoisted out of loops call the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..dtypes import DType, float32, float64, int32, int64, uint32
from .llvm_emit import Emitter, Ssa

LN2 = math.log(2)


def function(e: Emitter, name: str, x: Ssa) -> Ssa:
    """`name(x)` for float32 or float64."""
    own = _VECTOR.get(name) if x.type.endswith(("float", "float>")) else None
    if own is None or (x.lanes == 1 and name in _BRANCHING):
        return e.libm(name, x)
    return own(e, x)


def power(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """`x ** y` for float32 or float64."""
    x, y = e.match(x, y)
    return _pow(e, x, y) if x.lanes > 1 and x.type.endswith("float>") else e.libm("pow", x, y)


# ---------------------------------------------------------------- small parts


def _f(e: Emitter, value: float) -> Ssa:
    return e.const(value, float32)


def _d(e: Emitter, value: float) -> Ssa:
    return e.const(value, float64)


def _add(e: Emitter, a: Ssa, b: Ssa) -> Ssa:
    return e.binary("fadd", a, b)


def _sub(e: Emitter, a: Ssa, b: Ssa) -> Ssa:
    return e.binary("fsub", a, b)


def _mul(e: Emitter, a: Ssa, b: Ssa) -> Ssa:
    return e.binary("fmul", a, b)


def _div(e: Emitter, a: Ssa, b: Ssa) -> Ssa:
    return e.binary("fdiv", a, b)


def _fma(e: Emitter, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
    """a * b + c, rounded once where the processor can: no polynomial here needs it."""
    return e.intrinsic("fmuladd", a, b, c)


def _neg(e: Emitter, x: Ssa) -> Ssa:
    return Ssa(e.let(f"fneg {x.type} {x.name}"), x.dtype, x.lanes)


def _abs(e: Emitter, x: Ssa) -> Ssa:
    return e.intrinsic("fabs", x)


def _copysign(e: Emitter, size: Ssa, x: Ssa) -> Ssa:
    return e.intrinsic("copysign", size, x)


def _sqrt(e: Emitter, x: Ssa) -> Ssa:
    return e.intrinsic("sqrt", x)


def _poly(e: Emitter, x: Ssa, coefficients: list[float]) -> Ssa:
    made = e.const(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        made = _fma(e, made, x, e.const(c, x.dtype))
    return made


def _as(e: Emitter, v: Ssa, dtype: DType) -> Ssa:
    """The same bits; integers of one width need no instruction."""
    made = Ssa(v.name, dtype, v.lanes)
    return made if made.type == v.type else Ssa(e.let(f"bitcast {v.type} {v.name} to {made.type}"), dtype, v.lanes)


def _power_of_two(e: Emitter, n: Ssa) -> Ssa:
    """2**n for int32 n within the exponent's range."""
    return _as(e, e.binary("shl", e.binary("add", n, e.const(127, int32)), e.const(23, int32)), float32)


def _nearest(e: Emitter, x: Ssa) -> tuple[Ssa, Ssa]:
    """The nearest integer of a small float, as a float and as int32, by adding 1.5 * 2**23."""
    magic = 12582912.0
    moved = _add(e, x, _f(e, magic))
    return _sub(e, moved, _f(e, magic)), e.binary("sub", _as(e, moved, int32), e.const(0x4B400000, int32))


def _scaled(e: Emitter, p: Ssa, n: Ssa) -> Ssa:
    """p * 2**n in two steps, so that results below the normal range and overflow come out right."""
    half = e.binary("ashr", n, e.const(1, int32))
    rest = e.binary("sub", n, half)
    return _mul(e, _mul(e, p, _power_of_two(e, half)), _power_of_two(e, rest))


def _clamp(e: Emitter, x: Ssa, low: float, high: float) -> Ssa:
    """Keeps NaN."""
    x = e.select(e.compare("ogt", x, _f(e, high)), _f(e, high), x)
    return e.select(e.compare("olt", x, _f(e, low)), _f(e, low), x)


def _or_else(e: Emitter, rare: Ssa, fast: Ssa, slow: Callable[[], Ssa]) -> Ssa:
    """`fast`, but `slow()` in the lanes of `rare`; `slow` runs only where one of them is set."""
    symbol = f"@llvm.vector.reduce.or.v{rare.lanes}i1"
    e.declare(f"i1 {symbol}({rare.type})")
    wanted = e.let(f"call i1 {symbol}({rare.type} {rare.name})")
    e.counter += 1
    origin, yes, end = e.label, f"rare{e.counter}", f"usual{e.counter}"
    e.emit(f"br i1 {wanted}, label %{yes}, label %{end}")
    e.emit(f"{yes}:")
    other = e.select(rare, slow(), fast)
    e.emit(f"br label %{end}")
    e.emit(f"{end}:")
    e.label = end
    made = e.let(f"phi {fast.type} [{fast.name}, %{origin}], [{other.name}, %{yes}]")
    return Ssa(made, fast.dtype, fast.lanes)


# ---------------------------------------------------------------- exponentials


def _reduced(e: Emitter, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n with x = n ln(2) + r and |r| <= ln(2)/2."""
    n, whole = _nearest(e, _mul(e, x, _f(e, 1.44269504088896341)))
    minus = _neg(e, n)
    return _fma(e, minus, _f(e, -2.12194440e-4), _fma(e, minus, _f(e, 0.693359375), x)), whole


def _expm1_core(e: Emitter, r: Ssa) -> Ssa:
    """e**r - 1 for |r| <= ln(2)/2."""
    p = _poly(
        e, r,
        [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
    )  # fmt: skip
    return _fma(e, _mul(e, r, r), p, r)


def _exp_core(e: Emitter, r: Ssa) -> Ssa:
    return _add(e, _expm1_core(e, r), _f(e, 1.0))


def _exp(e: Emitter, x: Ssa) -> Ssa:
    r, n = _reduced(e, _clamp(e, x, -105.0, 89.5))
    return _scaled(e, _exp_core(e, r), n)


def _exp_normal(e: Emitter, x: Ssa) -> Ssa:
    """e**x where the result is known to be a normal number: one multiplication less."""
    r, n = _reduced(e, x)
    return _mul(e, _exp_core(e, r), _power_of_two(e, n))


def _exp2(e: Emitter, x: Ssa) -> Ssa:
    x = _clamp(e, x, -151.0, 129.0)
    n, whole = _nearest(e, x)
    return _scaled(e, _exp_core(e, _mul(e, _sub(e, x, n), _f(e, LN2))), whole)


def _expm1(e: Emitter, x: Ssa) -> Ssa:
    """2 * (2**(n-1) * (e**r - 1) + (2**(n-1) - 1/2)): nothing cancels, and nothing overflows early."""
    r, n = _reduced(e, _clamp(e, x, -20.0, 88.8))
    half = _power_of_two(e, e.binary("sub", n, e.const(1, int32)))
    made = _fma(e, half, _expm1_core(e, r), _sub(e, half, _f(e, 0.5)))
    made = _add(e, made, made)
    return e.select(e.compare("oeq", x, _f(e, 0.0)), x, made)


def _half_exp(e: Emitter, a: Ssa) -> Ssa:
    """e**a / 2, infinite only where that is."""
    r, n = _reduced(e, _clamp(e, a, -105.0, 90.5))
    return _scaled(e, _exp_core(e, r), e.binary("sub", n, e.const(1, int32)))


def _sinh(e: Emitter, x: Ssa) -> Ssa:
    a, z = _abs(e, x), _mul(e, x, x)
    p = _poly(e, z, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1])
    small = _fma(e, _mul(e, p, z), x, x)
    half = _half_exp(e, a)
    large = _copysign(e, _sub(e, half, _div(e, _f(e, 0.25), half)), x)
    return e.select(e.compare("olt", a, _f(e, 1.0)), small, large)


def _cosh(e: Emitter, x: Ssa) -> Ssa:
    half = _half_exp(e, _abs(e, x))
    return _add(e, half, _div(e, _f(e, 0.25), half))


def _tanh(e: Emitter, x: Ssa) -> Ssa:
    a, z = _abs(e, x), _mul(e, x, x)
    p = _poly(e, z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    small = _fma(e, _mul(e, p, z), x, x)
    capped = e.select(e.compare("ogt", a, _f(e, 20.0)), _f(e, 20.0), a)  # NaN stays
    part = _div(e, _f(e, 2.0), _add(e, _exp_normal(e, _add(e, capped, capped)), _f(e, 1.0)))
    large = _sub(e, _f(e, 1.0), part)
    return _copysign(e, e.select(e.compare("olt", a, _f(e, 0.625)), small, large), x)


def _erf(e: Emitter, x: Ssa) -> Ssa:
    a, z = _abs(e, x), _mul(e, x, x)
    small = _mul(e, x, _poly(
        e, z,
        [
            7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
            1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
        ],
    ))  # fmt: skip
    capped = e.select(e.compare("ogt", a, _f(e, 5.0)), _f(e, 5.0), a)  # NaN stays
    big = e.select(e.compare("olt", a, _f(e, 1.0)), _f(e, 1.0), capped)
    q = _div(e, _f(e, 1.0), big)
    y = _mul(e, q, q)
    near = _poly(
        e, y,
        [
            2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1,
            6.210004621745983e-1, -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1,
            5.638259427386472e-1,
        ],
    )  # fmt: skip
    far = _poly(
        e, y,
        [
            -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786, -1.015265279202700,
            4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
        ],
    )  # fmt: skip
    p = e.select(e.compare("olt", big, _f(e, 2.0)), near, far)
    decay = _exp_normal(e, _neg(e, _mul(e, big, big)))
    large = _copysign(e, _sub(e, _f(e, 1.0), _mul(e, _mul(e, decay, q), p)), x)
    return e.select(e.compare("olt", a, _f(e, 1.0)), small, large)


# ---------------------------------------------------------------- logarithms


def _mantissa(e: Emitter, x: Ssa) -> tuple[Ssa, Ssa]:
    """m - 1 and n with x = m 2**n and m in [sqrt(1/2), sqrt(2)); x is a positive number."""
    tiny = e.compare("olt", x, _f(e, 1.17549435e-38))
    bits = _as(e, e.select(tiny, _mul(e, x, _f(e, 8388608.0)), x), int32)
    # Subtract the bits of sqrt(1/2): the exponent that comes out counts from there.
    exponent = e.binary("ashr", e.binary("sub", bits, e.const(0x3F3504F3, int32)), e.const(23, int32))
    m = _as(e, e.binary("sub", bits, e.binary("shl", exponent, e.const(23, int32))), float32)
    n = _sub(e, e.convert("sitofp", exponent, float32), e.select(tiny, _f(e, 23.0), _f(e, 0.0)))
    return _sub(e, m, _f(e, 1.0)), n


def _log_tail(e: Emitter, f: Ssa) -> Ssa:
    """log(1 + f) - f + f**2/2 for the mantissa of `_mantissa`."""
    p = _poly(
        e, f,
        [
            7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
            2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
        ],
    )  # fmt: skip
    return _mul(e, _mul(e, f, _mul(e, f, f)), p)


def _log_special(e: Emitter, x: Ssa, made: Ssa) -> Ssa:
    """The values at 0 and infinity, and NaN below 0."""
    made = e.select(e.compare("oeq", x, _f(e, math.inf)), x, made)
    made = e.select(e.compare("oeq", x, _f(e, 0.0)), _f(e, -math.inf), made)
    return e.select(e.compare("ult", x, _f(e, 0.0)), _f(e, math.nan), made)


def _log_finite(e: Emitter, x: Ssa, more: Ssa | None = None) -> Ssa:
    f, n = _mantissa(e, x)
    tail = _fma(e, n, _f(e, -2.12194440e-4), _log_tail(e, f))
    tail = _fma(e, _mul(e, f, f), _f(e, -0.5), tail if more is None else _add(e, tail, more))
    return _fma(e, n, _f(e, 0.693359375), _add(e, f, tail))


def _log(e: Emitter, x: Ssa) -> Ssa:
    return _log_special(e, x, _log_finite(e, x))


def _log_base(e: Emitter, x: Ssa, scale: float, high: float, low: float) -> Ssa:
    """n * (high + low) + scale * log(m), with `scale` in two parts of which the first has few bits."""
    f, n = _mantissa(e, x)
    tail = _fma(e, _mul(e, f, f), _f(e, -0.5), _log_tail(e, f))
    head = _as(
        e, e.binary("and", _as(e, f, uint32), e.const(0xFFFFF000, uint32)), float32
    )  # 12 bits: products are exact
    rest = _add(e, _sub(e, f, head), tail)
    first = int(scale * 2048) / 2048
    made = _fma(e, rest, _f(e, scale), _fma(e, head, _f(e, scale - first), _mul(e, n, _f(e, low))))
    made = _fma(e, head, _f(e, first), made)
    return _log_special(e, x, _fma(e, n, _f(e, high), made))


def _log2(e: Emitter, x: Ssa) -> Ssa:
    return _log_base(e, x, 1 / LN2, 1.0, 0.0)


def _log10(e: Emitter, x: Ssa) -> Ssa:
    high = int(math.log10(2) * 4096) / 4096
    return _log_base(e, x, 1 / math.log(10), high, math.log10(2) - high)


def _log1p(e: Emitter, x: Ssa) -> Ssa:
    """log(u) + what the rounding of u = 1 + x lost, divided by u."""
    u = _add(e, x, _f(e, 1.0))
    above = e.compare("ogt", x, _f(e, 1.0))
    one = _f(e, 1.0)
    lost = e.select(above, _sub(e, one, _sub(e, u, x)), _sub(e, x, _sub(e, u, one)))
    made = _log_special(e, u, _log_finite(e, u, _div(e, lost, u)))
    return e.select(e.compare("olt", _abs(e, x), _f(e, 1e-10)), x, made)


def _asinh(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    safe = e.select(e.compare("ogt", a, _f(e, 1e9)), _f(e, 1.0), a)
    z = _mul(e, safe, safe)
    root = _sqrt(e, _add(e, z, _f(e, 1.0)))
    usual = _log1p(e, _add(e, safe, _div(e, z, _add(e, root, _f(e, 1.0)))))
    huge = _add(e, _log(e, a), _f(e, LN2))
    made = e.select(e.compare("ogt", a, _f(e, 1e9)), huge, usual)
    return e.select(e.compare("uno", x, x), x, _copysign(e, made, x))


def _acosh(e: Emitter, x: Ssa) -> Ssa:
    t = _sub(e, x, _f(e, 1.0))
    usual = _log1p(e, _add(e, t, _sqrt(e, _fma(e, t, t, _add(e, t, t)))))
    huge = _add(e, _log(e, x), _f(e, LN2))
    made = e.select(e.compare("ogt", x, _f(e, 1e9)), huge, usual)
    return e.select(e.compare("ult", x, _f(e, 1.0)), _f(e, math.nan), made)


def _atanh(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    inside = _div(e, _add(e, a, a), _sub(e, _f(e, 1.0), a))
    return _copysign(e, _mul(e, _f(e, 0.5), _log1p(e, inside)), x)


def _pow(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """exp2(y log2(x)) in float64 for positive finite x; the C library does the rest."""
    double = e.convert("fpext", x, float64)
    bits = _as(e, double, int64)
    exponent = e.binary("ashr", e.binary("sub", bits, e.const(0x3FE6A09E667F3BCD, int64)), e.const(52, int64))
    m = _as(e, e.binary("sub", bits, e.binary("shl", exponent, e.const(52, int64))), float64)
    s = _div(e, _sub(e, m, _d(e, 1.0)), _add(e, m, _d(e, 1.0)))
    z = _mul(e, s, s)
    series = _poly(e, z, [2 / LN2 / k for k in (13, 11, 9, 7, 5, 3, 1)])
    whole = e.convert("sitofp", e.convert("trunc", exponent, int32), float64)
    product = _mul(e, e.convert("fpext", y, float64), _fma(e, s, series, whole))
    low, high = _d(e, -200.0), _d(e, 200.0)
    product = e.select(e.compare("ogt", product, high), high, product)
    product = e.select(e.compare("olt", product, low), low, product)
    magic = 1.5 * 2.0**52
    moved = _add(e, product, _d(e, magic))
    r = _sub(e, product, _sub(e, moved, _d(e, magic)))
    p = _poly(e, r, [LN2**k / math.factorial(k) for k in range(9, -1, -1)])
    scale = e.binary("shl", e.binary("add", _as(e, moved, int64), e.const(1023, int64)), e.const(52, int64))
    fast = e.convert("fptrunc", _mul(e, p, _as(e, scale, float64)), float32)
    usual = e.binary("and", e.compare("ogt", x, _f(e, 0.0)), e.compare("olt", x, _f(e, math.inf)))
    usual = e.binary("and", usual, e.compare("olt", _abs(e, y), _f(e, math.inf)))
    rare = e.binary("xor", usual, e.const(True, usual.dtype))
    return _or_else(e, rare, fast, lambda: e.libm("pow", x, y))


# ---------------------------------------------------------------- circular functions


def _quadrant(e: Emitter, x: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """r in [-pi/4, pi/4] with x = n pi/2 + r, n, and the lanes where |x| is too large for that or not finite."""
    double = e.convert("fpext", x, float64)
    magic = 1.5 * 2.0**52
    moved = _fma(e, double, _d(e, 2 / math.pi), _d(e, magic))
    n = _neg(e, _sub(e, moved, _d(e, magic)))
    # pi/2 in two parts; the first has 25 bits, so that its product with n is exact.
    r = _fma(e, n, _d(e, 1.58932547735281966916e-08), _fma(e, n, _d(e, 1.57079631090164184570), double))
    count = e.convert("trunc", _as(e, moved, int64), int32)
    rare = e.compare("uge", _abs(e, x), _f(e, 4e8))
    return e.convert("fptrunc", r, float32), count, rare


def _sine(e: Emitter, r: Ssa, z: Ssa) -> Ssa:
    p = _poly(e, z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])
    return _fma(e, _mul(e, p, z), r, r)


def _cosine(e: Emitter, z: Ssa) -> Ssa:
    p = _poly(e, z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
    return _add(e, _f(e, 1.0), _fma(e, z, _f(e, -0.5), _mul(e, _mul(e, p, z), z)))


def _flip(e: Emitter, v: Ssa, n: Ssa) -> Ssa:
    """-v where bit 1 of n is set."""
    sign = e.binary("shl", e.binary("and", n, e.const(2, int32)), e.const(30, int32))
    return _as(e, e.binary("xor", _as(e, v, int32), sign), float32)


def _circular(e: Emitter, x: Ssa, shift: int, name: str) -> Ssa:
    r, n, rare = _quadrant(e, x)
    if shift:
        n = e.binary("add", n, e.const(shift, int32))
    z = _mul(e, r, r)
    odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
    fast = _flip(e, e.select(odd, _cosine(e, z), _sine(e, r, z)), n)
    return _or_else(e, rare, fast, lambda: e.libm(name, x))


def _sin(e: Emitter, x: Ssa) -> Ssa:
    return e.select(e.compare("oeq", x, _f(e, 0.0)), x, _circular(e, x, 0, "sin"))  # -0 stays


def _cos(e: Emitter, x: Ssa) -> Ssa:
    return _circular(e, x, 1, "cos")


def _tan(e: Emitter, x: Ssa) -> Ssa:
    r, n, rare = _quadrant(e, x)
    z = _mul(e, r, r)
    p = _poly(
        e, z,
        [
            9.38540185543e-3, 3.11992232697e-3, 2.44301354525e-2, 5.34112807005e-2, 1.33387994085e-1, 3.33331568548e-1,
        ],
    )  # fmt: skip
    tangent = _fma(e, _mul(e, p, z), r, r)
    odd = e.compare("ne", e.binary("and", n, e.const(1, int32)), e.const(0, int32))
    fast = e.select(odd, _div(e, _f(e, -1.0), tangent), tangent)
    return _or_else(e, rare, fast, lambda: e.libm("tan", x))


def _atan(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    far = e.compare("ogt", a, _f(e, 2.414213562373095))
    middle = e.compare("ogt", a, _f(e, 0.4142135623730950))
    above = e.select(far, _f(e, -1.0), _sub(e, a, _f(e, 1.0)))
    below = e.select(far, a, _add(e, a, _f(e, 1.0)))
    t = e.select(middle, _div(e, above, below), a)
    start = e.select(far, _f(e, math.pi / 2), e.select(middle, _f(e, math.pi / 4), _f(e, 0.0)))
    z = _mul(e, t, t)
    p = _poly(e, z, [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])
    return _copysign(e, _add(e, start, _fma(e, _mul(e, p, z), t, t)), x)


def _arc(e: Emitter, z: Ssa, t: Ssa) -> Ssa:
    """asin(t) for |t| <= 1/2 with z = t**2."""
    p = _poly(e, z, [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])
    return _fma(e, _mul(e, p, z), t, t)


def _asin(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    outer = e.compare("ogt", a, _f(e, 0.5))
    z = e.select(outer, _mul(e, _f(e, 0.5), _sub(e, _f(e, 1.0), a)), _mul(e, a, a))
    made = _arc(e, z, e.select(outer, _sqrt(e, z), a))
    far = _sub(e, _f(e, math.pi / 2), _add(e, made, made))
    return _copysign(e, e.select(outer, far, made), x)


def _acos(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    outer = e.compare("ogt", a, _f(e, 0.5))
    z = e.select(outer, _mul(e, _f(e, 0.5), _sub(e, _f(e, 1.0), a)), _mul(e, a, a))
    made = _arc(e, z, e.select(outer, _sqrt(e, z), x))
    twice = _add(e, made, made)
    near = e.select(e.compare("olt", x, _f(e, 0.0)), _sub(e, _f(e, math.pi), twice), twice)
    return e.select(outer, near, _sub(e, _f(e, math.pi / 2), made))


_BRANCHING = frozenset(("sin", "cos", "tan"))
_VECTOR: dict[str, Callable[[Emitter, Ssa], Ssa]] = {
    "exp": _exp, "exp2": _exp2, "expm1": _expm1, "log": _log, "log2": _log2, "log10": _log10, "log1p": _log1p,
    "sinh": _sinh, "cosh": _cosh, "tanh": _tanh, "asinh": _asinh, "acosh": _acosh, "atanh": _atanh, "erf": _erf,
    "sin": _sin, "cos": _cos, "tan": _tan, "atan": _atan, "asin": _asin, "acos": _acos,
}  # fmt: skip
