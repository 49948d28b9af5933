"""Elementary functions of float32; those of float64 without a C library are in `elementary_double`.

Functions of float32 are branch-free polynomials after a range reduction, within 2 units in the last place of the exact
result. Unless a function says otherwise, its polynomial has the coefficients of the single precision functions of the
Cephes Mathematical Library (S. L. Moshier, 1989); a docstring names the function. Range reductions are Cody and Waite's
("Software Manual for the Elementary Functions", 1980).

Arguments that a fast path cannot serve (a sine beyond 4e8, a power of a negative number) are rare: one branch for a whole
vector sends them to the C library or to a slow path, and the result of each lane depends on its own argument only. Where
there is a C library, float64 calls it.

Limits: without exact sums (`Instructions.exact_sums`) nothing may rely on the rounding error of a sum, since drivers'
compilers reassociate; what must be exact is made exact by clearing bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ...dtypes import float32, float64, int32, int64, uint32
from ..instructions import Instructions, Ssa
from .arithmetic import (
    add,
    clamp,
    copysign,
    div,
    double,
    fma,
    magnitude,
    mul,
    nearest,
    poly,
    power_of_two,
    scaled,
    single,
    sqrt,
    sub,
)
from .elementary_double import function_double, power_double, power_special
from .trigonometric import _acos, _asin, _atan, _cos, _sin, _tan

LN2 = math.log(2)


def function(e: Instructions, name: str, x: Ssa) -> Ssa:
    """The elementary function `name` of a float32 or float64."""
    if x.dtype is float64 and not e.has_libm:
        return function_double(e, name, x)
    polynomial = _FUNCTIONS.get(name) if x.dtype is float32 else None
    if polynomial is None or (e.has_libm and x.lanes == 1 and name in _WITH_BRANCH):
        return e.libm(name, x)
    return polynomial(e, x)


def power(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """`x ** y` for float32 or float64."""
    x, y = e.broadcast_together(x, y)
    if not e.has_libm:
        return power_double(e, x, y) if x.dtype is float64 else _pow_single(e, x, y)
    return _pow(e, x, y) if x.lanes > 1 and x.dtype is float32 else e.libm("pow", x, y)


# ---------------------------------------------------------------- exponentials


def _reduced(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n with x = n ln(2) + r and |r| <= ln(2)/2, by ln(2) in two parts of which the first has 10 bits (`expf`)."""
    n, whole = nearest(e, mul(e, x, single(e, 1.44269504088896341)))
    if not e.exact_sums:
        # The second product has a factor of its own, or drivers' compilers would take the two products together.
        minus = e.negate(e.convert("sitofp", whole, float32))
        return add(e, mul(e, minus, single(e, -2.12194440e-4)), fma(e, e.negate(n), single(e, 0.693359375), x)), whole
    minus = e.negate(n)
    return fma(e, minus, single(e, -2.12194440e-4), fma(e, minus, single(e, 0.693359375), x)), whole


def _expm1_core(e: Instructions, r: Ssa) -> Ssa:
    """e**r - 1 for |r| <= ln(2)/2 (`expf`)."""
    p = poly(
        e, r,
        [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
    )  # fmt: skip
    return fma(e, mul(e, r, r), p, r)


def _exp_core(e: Instructions, r: Ssa) -> Ssa:
    """e**r for |r| <= ln(2)/2."""
    return add(e, _expm1_core(e, r), single(e, 1.0))


def _exp(e: Instructions, x: Ssa) -> Ssa:
    """2**n e**r; the argument is limited to where the result is neither 0 nor infinite, and a little more."""
    r, n = _reduced(e, clamp(e, x, -105.0, 89.5))
    return scaled(e, _exp_core(e, r), n)


def _exp_normal(e: Instructions, x: Ssa) -> Ssa:
    """As `_exp`, for results that are normal numbers: one multiplication less."""
    r, n = _reduced(e, x)
    return mul(e, _exp_core(e, r), power_of_two(e, n))


def _exp2(e: Instructions, x: Ssa) -> Ssa:
    """2**n e**((x - n) ln(2)) for the integer n nearest to x."""
    x = clamp(e, x, -151.0, 129.0)
    n, whole = nearest(e, x)
    return scaled(e, _exp_core(e, mul(e, sub(e, x, n), single(e, LN2))), whole)


def _expm1(e: Instructions, x: Ssa) -> Ssa:
    """2 * (2**(n-1) * (e**r - 1) + (2**(n-1) - 1/2)): nothing cancels, and nothing overflows early."""
    r, n = _reduced(e, clamp(e, x, -20.0, 88.8))
    half = power_of_two(e, e.binary("sub", n, e.const(1, int32)))
    result = fma(e, half, _expm1_core(e, r), sub(e, half, single(e, 0.5)))
    result = add(e, result, result)
    return e.select(e.compare("oeq", x, single(e, 0.0)), x, result)


def _half_exp(e: Instructions, a: Ssa) -> Ssa:
    """e**a / 2, infinite only where that is."""
    r, n = _reduced(e, clamp(e, a, -105.0, 90.5))
    return scaled(e, _exp_core(e, r), e.binary("sub", n, e.const(1, int32)))


def _sinh(e: Instructions, x: Ssa) -> Ssa:
    """A polynomial below 1 (`sinhf`), else e**|x| / 2 - e**-|x| / 2 with the sign of x."""
    a, z = magnitude(e, x), mul(e, x, x)
    p = poly(e, z, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1])
    small = fma(e, mul(e, p, z), x, x)
    half = _half_exp(e, a)
    large = copysign(e, sub(e, half, div(e, single(e, 0.25), half)), x)
    return e.select(e.compare("olt", a, single(e, 1.0)), small, large)


def _cosh(e: Instructions, x: Ssa) -> Ssa:
    """e**|x| / 2 + e**-|x| / 2."""
    half = _half_exp(e, magnitude(e, x))
    return add(e, half, div(e, single(e, 0.25), half))


def _tanh(e: Instructions, x: Ssa) -> Ssa:
    """A polynomial below 0.625 (`tanhf`), else 1 - 2 / (e**(2 |x|) + 1) with the sign of x."""
    a, z = magnitude(e, x), mul(e, x, x)
    p = poly(e, z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    small = fma(e, mul(e, p, z), x, x)
    capped = e.select(e.compare("ogt", a, single(e, 20.0)), single(e, 20.0), a)  # NaN stays
    part = div(e, single(e, 2.0), add(e, _exp_normal(e, add(e, capped, capped)), single(e, 1.0)))
    large = sub(e, single(e, 1.0), part)
    return copysign(e, e.select(e.compare("olt", a, single(e, 0.625)), small, large), x)


def _erf(e: Instructions, x: Ssa) -> Ssa:
    """A polynomial below 1 (`erff`), else 1 - e**(-x**2) P(1 / x**2) / |x| with the sign of x, P for [1, 2] and for more
    (`erfcf`)."""
    a, z = magnitude(e, x), mul(e, x, x)
    small = mul(e, x, poly(
        e, z,
        [
            7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
            1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
        ],
    ))  # fmt: skip
    capped = e.select(e.compare("ogt", a, single(e, 5.0)), single(e, 5.0), a)  # NaN stays
    clipped = e.select(e.compare("olt", a, single(e, 1.0)), single(e, 1.0), capped)
    q = div(e, single(e, 1.0), clipped)
    y = mul(e, q, q)
    below_two = poly(
        e, y,
        [
            2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1,
            6.210004621745983e-1, -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1,
            5.638259427386472e-1,
        ],
    )  # fmt: skip
    above_two = poly(
        e, y,
        [
            -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786, -1.015265279202700,
            4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
        ],
    )  # fmt: skip
    p = e.select(e.compare("olt", clipped, single(e, 2.0)), below_two, above_two)
    decay = _exp_normal(e, e.negate(mul(e, clipped, clipped)))
    large = copysign(e, sub(e, single(e, 1.0), mul(e, mul(e, decay, q), p)), x)
    return e.select(e.compare("olt", a, single(e, 1.0)), small, large)


# ---------------------------------------------------------------- logarithms


def _mantissa(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """m - 1 and n with x = m 2**n and m in [sqrt(1/2), sqrt(2)); x is a positive number."""
    tiny = e.compare("olt", x, single(e, 1.17549435e-38))
    bits = e.reinterpret(e.select(tiny, mul(e, x, single(e, 8388608.0)), x), int32)
    # Subtracting the bits of sqrt(1/2) makes the exponent change there instead of at 1.
    exponent = e.binary("ashr", e.binary("sub", bits, e.const(0x3F3504F3, int32)), e.const(23, int32))
    m = e.reinterpret(e.binary("sub", bits, e.binary("shl", exponent, e.const(23, int32))), float32)
    n = sub(e, e.convert("sitofp", exponent, float32), e.select(tiny, single(e, 23.0), single(e, 0.0)))
    return sub(e, m, single(e, 1.0)), n


def _log_tail(e: Instructions, f: Ssa) -> Ssa:
    """log(1 + f) - f + f**2/2 for f of `_mantissa` (`logf`)."""
    p = poly(
        e, f,
        [
            7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
            2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
        ],
    )  # fmt: skip
    return mul(e, mul(e, f, mul(e, f, f)), p)


def _log_special(e: Instructions, x: Ssa, result: Ssa) -> Ssa:
    """The result, with the values of a logarithm at 0 and infinity, and NaN below 0."""
    result = e.select(e.compare("oeq", x, single(e, math.inf)), x, result)
    result = e.select(e.compare("oeq", x, single(e, 0.0)), single(e, -math.inf), result)
    return e.select(e.compare("ult", x, single(e, 0.0)), single(e, math.nan), result)


def _log_finite(e: Instructions, x: Ssa, more: Ssa | None = None) -> Ssa:
    """n ln(2) + log(m) for positive finite x, from the smallest term to the largest; `more` is a small term to add."""
    f, n = _mantissa(e, x)
    tail = fma(e, n, single(e, -2.12194440e-4), _log_tail(e, f))
    tail = fma(e, mul(e, f, f), single(e, -0.5), tail if more is None else add(e, tail, more))
    return fma(e, n, single(e, 0.693359375), add(e, f, tail))


def _log(e: Instructions, x: Ssa) -> Ssa:
    """The natural logarithm."""
    return _log_special(e, x, _log_finite(e, x))


def _log_base(e: Instructions, x: Ssa, scale: float, high: float, low: float) -> Ssa:
    """n (high + low) + scale log(m) with x = m 2**n, where high + low is the logarithm of 2 and scale is 1 / ln(base).

    `scale` and m - 1 are split into parts of at most 12 bits, whose product is exact, and the rest.
    """
    f, n = _mantissa(e, x)
    tail = fma(e, mul(e, f, f), single(e, -0.5), _log_tail(e, f))
    head = _upper(e, f)
    rest = add(e, sub(e, f, head), tail)
    first = int(scale * 2048) / 2048
    result = fma(e, rest, single(e, scale), fma(e, head, single(e, scale - first), mul(e, n, single(e, low))))
    result = fma(e, head, single(e, first), result)
    return _log_special(e, x, fma(e, n, single(e, high), result))


def _log2(e: Instructions, x: Ssa) -> Ssa:
    """The logarithm to base 2."""
    return _log_base(e, x, 1 / LN2, 1.0, 0.0)


def _log10(e: Instructions, x: Ssa) -> Ssa:
    """The logarithm to base 10."""
    high = int(math.log10(2) * 4096) / 4096
    return _log_base(e, x, 1 / math.log(10), high, math.log10(2) - high)


def _log1p(e: Instructions, x: Ssa) -> Ssa:
    """log(u) + log1p((1 + x - u) / u), for u that is 1 + x rounded to 12 bits: the second term is small, and three terms of
    its Taylor series suffice."""
    one = single(e, 1.0)
    whole = e.reinterpret(add(e, x, one), uint32)
    half = e.select(e.compare("olt", x, single(e, 1e30)), e.const(0x800, uint32), e.const(0, uint32))  # or it overflows
    near = e.binary("and", e.binary("add", whole, half), e.const(0xFFFFF000, uint32))
    u = e.reinterpret(near, float32)
    c = div(e, add(e, sub(e, one, u), x), u)
    small = mul(e, c, fma(e, c, fma(e, c, single(e, 1 / 3), single(e, -0.5)), one))
    result = _log_special(e, u, _log_finite(e, u, small))
    result = e.select(e.compare("oeq", x, single(e, math.inf)), x, result)
    return e.select(e.compare("olt", magnitude(e, x), single(e, 1e-10)), x, result)


def _asinh(e: Instructions, x: Ssa) -> Ssa:
    """log1p(|x| + x**2 / (sqrt(x**2 + 1) + 1)) with the sign of x; log(2 |x|) beyond 1e9."""
    a = magnitude(e, x)
    safe = e.select(e.compare("ogt", a, single(e, 1e9)), single(e, 1.0), a)
    z = mul(e, safe, safe)
    root = sqrt(e, add(e, z, single(e, 1.0)))
    usual = _log1p(e, add(e, safe, div(e, z, add(e, root, single(e, 1.0)))))
    huge = add(e, _log(e, a), single(e, LN2))
    result = e.select(e.compare("ogt", a, single(e, 1e9)), huge, usual)
    return e.select(e.compare("uno", x, x), x, copysign(e, result, x))


def _acosh(e: Instructions, x: Ssa) -> Ssa:
    """log1p(t + sqrt(t**2 + 2 t)) with t = x - 1; log(2 x) beyond 1e9."""
    t = sub(e, x, single(e, 1.0))
    usual = _log1p(e, add(e, t, sqrt(e, fma(e, t, t, add(e, t, t)))))
    huge = add(e, _log(e, x), single(e, LN2))
    result = e.select(e.compare("ogt", x, single(e, 1e9)), huge, usual)
    return e.select(e.compare("ult", x, single(e, 1.0)), single(e, math.nan), result)


def _atanh(e: Instructions, x: Ssa) -> Ssa:
    """log1p(2 |x| / (1 - |x|)) / 2 with the sign of x."""
    a = magnitude(e, x)
    inside = div(e, add(e, a, a), sub(e, single(e, 1.0), a))
    return copysign(e, mul(e, single(e, 0.5), _log1p(e, inside)), x)


def _pow(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """2**(y log2(x)) in float64 for positive finite x; the C library computes the rest.

    log2(m) is the series of 2 atanh((m - 1) / (m + 1)) / ln(2), and 2**r its Taylor series.
    """
    wide = e.convert("fpext", x, float64)
    bits = e.reinterpret(wide, int64)
    exponent = e.binary("ashr", e.binary("sub", bits, e.const(0x3FE6A09E667F3BCD, int64)), e.const(52, int64))
    m = e.reinterpret(e.binary("sub", bits, e.binary("shl", exponent, e.const(52, int64))), float64)
    s = div(e, sub(e, m, double(e, 1.0)), add(e, m, double(e, 1.0)))
    z = mul(e, s, s)
    series = poly(e, z, [2 / LN2 / k for k in (13, 11, 9, 7, 5, 3, 1)])
    whole = e.convert("sitofp", e.convert("trunc", exponent, int32), float64)
    product = mul(e, e.convert("fpext", y, float64), fma(e, s, series, whole))
    low, high = double(e, -200.0), double(e, 200.0)
    product = e.select(e.compare("ogt", product, high), high, product)
    product = e.select(e.compare("olt", product, low), low, product)
    magic = 1.5 * 2.0**52
    moved = add(e, product, double(e, magic))
    r = sub(e, product, sub(e, moved, double(e, magic)))
    p = poly(e, r, [LN2**k / math.factorial(k) for k in range(9, -1, -1)])
    scale = e.binary("shl", e.binary("add", e.reinterpret(moved, int64), e.const(1023, int64)), e.const(52, int64))
    fast = e.convert("fptrunc", mul(e, p, e.reinterpret(scale, float64)), float32)
    usual = e.binary("and", e.compare("ogt", x, single(e, 0.0)), e.compare("olt", x, single(e, math.inf)))
    usual = e.binary("and", usual, e.compare("olt", magnitude(e, y), single(e, math.inf)))
    rare = e.binary("xor", usual, e.const(True, usual.dtype))
    return e.with_fallback(rare, fast, lambda: e.libm("pow", x, y))


def _pow_single(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """2**(y log2|x|) with both factors in parts of 12 bits, whose products are exact; then the special values.

    log2|x| is that of `_log_base`.
    """
    zero = single(e, 0.0)
    a = magnitude(e, x)
    f, n = _mantissa(e, a)
    tail = fma(e, mul(e, f, f), single(e, -0.5), _log_tail(e, f))
    head = _upper(e, f)
    scale = 1 / LN2
    first = int(scale * 2048) / 2048
    exact = mul(e, head, single(e, first))
    rest = mul(e, add(e, sub(e, f, head), tail), single(e, scale))
    rest = add(e, rest, mul(e, head, single(e, scale - first)))
    exact_high = _upper(e, exact)
    rest = add(e, rest, sub(e, exact, exact_high))
    y_high = _upper(e, y)
    y_low = sub(e, y, y_high)
    # The nearest integers are subtracted from exact products; nothing is recovered from a rounded sum.
    parts = [mul(e, y_high, n), mul(e, y_high, exact_high)]
    small = add(e, mul(e, y_high, rest), mul(e, y_low, add(e, n, add(e, exact_high, rest))))
    whole = zero
    for part in parts:
        part = clamp(e, part, -3e5, 3e5)
        near = e.intrinsic("rint", part)
        whole = add(e, whole, near)
        small = add(e, small, sub(e, part, near))
    near = e.intrinsic("rint", clamp(e, small, -3e5, 3e5))
    fraction = sub(e, clamp(e, small, -3e5, 3e5), near)
    size = clamp(e, add(e, whole, near), -200.0, 200.0)
    # Where the parts were clamped, their sum is out of range, and its approximation decides between 0 and infinity.
    about = mul(e, y, add(e, n, add(e, exact_high, rest)))
    out_of_range = e.compare("ogt", magnitude(e, about), single(e, 200.0))
    size = e.select(out_of_range, clamp(e, about, -200.0, 200.0), size)
    result = scaled(e, _exp_core(e, mul(e, fraction, single(e, LN2))), e.saturate(size, int32))
    return power_special(e, x, y, result)


def _upper(e: Instructions, x: Ssa) -> Ssa:
    """The value with the lower 12 bits of its significand cleared."""
    return e.reinterpret(e.binary("and", e.reinterpret(x, uint32), e.const(0xFFFFF000, uint32)), float32)


_WITH_BRANCH = frozenset(("sin", "cos", "tan"))  # a scalar of these calls the C library instead of branching
_FUNCTIONS: dict[str, Callable[[Instructions, Ssa], Ssa]] = {
    "exp": _exp, "exp2": _exp2, "expm1": _expm1, "log": _log, "log2": _log2, "log10": _log10, "log1p": _log1p,
    "sinh": _sinh, "cosh": _cosh, "tanh": _tanh, "asinh": _asinh, "acosh": _acosh, "atanh": _atanh, "erf": _erf,
    "sin": _sin, "cos": _cos, "tan": _tan, "atan": _atan, "asin": _asin, "acos": _acos,
}  # fmt: skip
