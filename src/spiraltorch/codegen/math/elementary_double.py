"""Elementary functions of float64 for renderers without a C library: see `elementary`.

Unless a function says otherwise, its polynomial is a Taylor series, long enough for float64 on the reduced range; the
coefficients are written as their formulas. Range reductions are those of the float32 functions, with constants of more
bits. Results are within 4 units in the last place, powers within 12. Circular functions are in `trigonometric_double`.

Limits: as in `elementary`, nothing relies on the rounding error of a sum; what must be exact is made exact by clearing bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ...dtypes import float64, int32, int64, uint64
from ..instructions import Instructions, Ssa
from .arithmetic import add, clamp, copysign, div, double, fma, magnitude, mul, poly, sqrt, sub
from .trigonometric_double import CIRCULAR

LN2 = math.log(2)
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # ln(2) rounded to 32 bits, and the rest, as in fdlibm
# (1/ln(b) in at most 26 bits, the rest, log_b(2) in at most 30 bits, the rest): products of the former with few bits are exact.
BASE_2 = (1.4426950216293335, 1.9259629911266175e-08, 1.0, 0.0)
BASE_10 = (0.4342944771051407, 4.798111141615973e-09, 0.3010299955494702, 1.1451100898021838e-10)
# exp(x**2) erfc(x) on [1, 6] as a polynomial in 14.4 / (x + 3) - 2.6, which interpolates it at Chebyshev nodes.
ERFC = [
    -1.6799777159311457e-13, -4.468786282795809e-15, 6.716060821011204e-12, -6.030100178315267e-12,
    -2.5809703293704675e-10, 2.6378817019432074e-10, 1.1340261055840323e-08, 4.526722197970927e-09,
    -5.541277438329464e-07, -2.4255574811020284e-06, 1.956358330834969e-05, 0.00033160296057845436,
    0.0024793146970724187, 0.012713147695691995, 0.0496984454033948, 0.15436117429436919, 0.20798329133342885,
]  # fmt: skip


def function_double(e: Instructions, name: str, x: Ssa) -> Ssa:
    """The elementary function `name` of a float64."""
    return _FUNCTIONS[name](e, x)


# ---------------------------------------------------------------- exponentials


def _power_of_two(e: Instructions, n: Ssa) -> Ssa:
    """2**n as float64, for an int32 n from -1022 to 1023."""
    wide = e.convert("sext", e.binary("add", n, e.const(1023, int32)), int64)
    return e.reinterpret(e.binary("shl", wide, e.const(52, int64)), float64)


def _scaled(e: Instructions, p: Ssa, n: Ssa) -> Ssa:
    """As `arithmetic.scaled`, of float64."""
    half = e.binary("ashr", n, e.const(1, int32))
    return mul(e, mul(e, p, _power_of_two(e, half)), _power_of_two(e, e.binary("sub", n, half)))


def _nearest(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """The nearest integer, as float64 and as int32."""
    whole = e.intrinsic("rint", x)
    return whole, e.saturate(whole, int32)


def _reduced(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """r and n with x = n ln(2) + r and |r| <= ln(2)/2, by ln(2) in two parts (Cody and Waite, 1980)."""
    n, whole = _nearest(e, mul(e, x, double(e, 1 / LN2)))
    low = mul(e, e.convert("sitofp", whole, float64), double(e, LN2_LOW))  # as in `elementary`
    return sub(e, _opaque(e, sub(e, x, mul(e, n, double(e, LN2_HIGH))), x), low), whole


def _opaque(e: Instructions, v: Ssa, x: Ssa) -> Ssa:
    """v through an operation on its bits that changes nothing unless x is one particular NaN.

    Drivers' compilers replace (a - b) - c by a - (b + c), which rounds differently; this hides the inner difference.
    """
    none = e.compare("eq", e.reinterpret(x, uint64), e.const(0x7FF8_0000_5350_4952, uint64))
    mask = e.select(none, e.const(0, uint64), e.const((1 << 64) - 1, uint64))
    return e.reinterpret(e.binary("and", e.reinterpret(v, uint64), mask), float64)


def _expm1_core(e: Instructions, r: Ssa) -> Ssa:
    """e**r - 1 for |r| <= ln(2)/2."""
    return fma(e, mul(e, r, r), poly(e, r, [1 / math.factorial(k) for k in range(14, 1, -1)]), r)


def _exp_core(e: Instructions, r: Ssa) -> Ssa:
    """e**r for |r| <= ln(2)/2."""
    return add(e, _expm1_core(e, r), double(e, 1.0))


def _exp(e: Instructions, x: Ssa) -> Ssa:
    """As `elementary._exp`."""
    r, n = _reduced(e, clamp(e, x, -746.0, 710.0))
    return _scaled(e, _exp_core(e, r), n)


def _exp2(e: Instructions, x: Ssa) -> Ssa:
    """As `elementary._exp2`."""
    x = clamp(e, x, -1076.0, 1025.0)
    n, whole = _nearest(e, x)
    return _scaled(e, _exp_core(e, mul(e, sub(e, x, n), double(e, LN2))), whole)


def _expm1(e: Instructions, x: Ssa) -> Ssa:
    """2 * (2**(n-1) * (e**r - 1) + (2**(n-1) - 1/2)): nothing cancels, and nothing overflows early."""
    r, n = _reduced(e, clamp(e, x, -40.0, 710.0))
    half = _power_of_two(e, e.binary("sub", n, e.const(1, int32)))
    result = fma(e, half, _expm1_core(e, r), sub(e, half, double(e, 0.5)))
    return e.select(e.compare("oeq", x, double(e, 0.0)), x, add(e, result, result))


def _half_exp(e: Instructions, a: Ssa) -> Ssa:
    """e**a / 2, infinite only where that is."""
    r, n = _reduced(e, clamp(e, a, -746.0, 711.0))
    return _scaled(e, _exp_core(e, r), e.binary("sub", n, e.const(1, int32)))


def _sinh(e: Instructions, x: Ssa) -> Ssa:
    """The Taylor series below 1, else e**|x| / 2 - e**-|x| / 2 with the sign of x."""
    a, z = magnitude(e, x), mul(e, x, x)
    p = poly(e, z, [1 / math.factorial(k) for k in range(19, 1, -2)])
    half = _half_exp(e, a)
    large = copysign(e, sub(e, half, div(e, double(e, 0.25), half)), x)
    return e.select(e.compare("olt", a, double(e, 1.0)), fma(e, mul(e, p, z), x, x), large)


def _cosh(e: Instructions, x: Ssa) -> Ssa:
    """e**|x| / 2 + e**-|x| / 2."""
    half = _half_exp(e, magnitude(e, x))
    return add(e, half, div(e, double(e, 0.25), half))


def _tanh(e: Instructions, x: Ssa) -> Ssa:
    """g / (g + 2) with g = e**(2 |x|) - 1, with the sign of x."""
    a = magnitude(e, x)
    a = e.select(e.compare("ogt", a, double(e, 22.0)), double(e, 22.0), a)  # NaN stays
    grown = _expm1(e, add(e, a, a))
    return copysign(e, div(e, grown, add(e, grown, double(e, 2.0))), x)


def _erf(e: Instructions, x: Ssa) -> Ssa:
    """The Taylor series below 1, else 1 - e**(-x**2) P(x) with the sign of x, where P is `ERFC`."""
    a, z = magnitude(e, x), mul(e, x, x)
    series = [2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(19, -1, -1)]
    small = mul(e, x, poly(e, z, series))
    clipped = e.select(e.compare("ogt", a, double(e, 6.0)), double(e, 6.0), a)  # NaN stays
    clipped = e.select(e.compare("olt", clipped, double(e, 1.0)), double(e, 1.0), clipped)
    place = sub(e, div(e, double(e, 14.4), add(e, clipped, double(e, 3.0))), double(e, 2.6))
    rest = mul(e, _exp(e, e.negate(mul(e, clipped, clipped))), poly(e, place, ERFC))
    large = copysign(e, sub(e, double(e, 1.0), rest), x)
    return e.select(e.compare("olt", a, double(e, 1.0)), small, large)


# ---------------------------------------------------------------- logarithms


def _mantissa(e: Instructions, x: Ssa) -> tuple[Ssa, Ssa]:
    """m and n with x = m 2**n and m in [sqrt(1/2), sqrt(2)); x is a positive number."""
    tiny = e.compare("olt", x, double(e, 2.0**-1022))
    bits = e.reinterpret(e.select(tiny, mul(e, x, double(e, 2.0**54)), x), int64)
    exponent = e.binary("ashr", e.binary("sub", bits, e.const(0x3FE6A09E667F3BCD, int64)), e.const(52, int64))
    m = e.reinterpret(e.binary("sub", bits, e.binary("shl", exponent, e.const(52, int64))), float64)
    n = e.convert("sitofp", e.convert("trunc", exponent, int32), float64)
    return m, sub(e, n, e.select(tiny, double(e, 54.0), double(e, 0.0)))


def _log_tail(e: Instructions, f: Ssa) -> Ssa:
    """log(1 + f) - f for f = m - 1, by the series of 2 atanh(s) with s = f / (2 + f), arranged as in fdlibm's `log`."""
    s = div(e, f, add(e, f, double(e, 2.0)))
    z = mul(e, s, s)
    half = mul(e, mul(e, f, f), double(e, 0.5))
    series = mul(e, z, poly(e, z, [2 / k for k in range(25, 1, -2)]))
    return sub(e, mul(e, s, add(e, half, series)), half)


def _log_special(e: Instructions, x: Ssa, result: Ssa) -> Ssa:
    """The result, with the values of a logarithm at 0 and infinity, and NaN below 0."""
    result = e.select(e.compare("oeq", x, double(e, math.inf)), x, result)
    result = e.select(e.compare("oeq", x, double(e, 0.0)), double(e, -math.inf), result)
    return e.select(e.compare("ult", x, double(e, 0.0)), double(e, math.nan), result)


def _log_finite(e: Instructions, x: Ssa, more: Ssa | None = None) -> Ssa:
    """n ln(2) + log(m) for positive finite x, from the smallest term to the largest; `more` is a small term to add."""
    m, n = _mantissa(e, x)
    f = sub(e, m, double(e, 1.0))
    tail = fma(e, n, double(e, LN2_LOW), _log_tail(e, f))
    tail = tail if more is None else add(e, tail, more)
    return add(e, mul(e, n, double(e, LN2_HIGH)), add(e, f, tail))


def _log(e: Instructions, x: Ssa) -> Ssa:
    """The natural logarithm."""
    return _log_special(e, x, _log_finite(e, x))


def _log_base(e: Instructions, x: Ssa, base: tuple[float, float, float, float]) -> Ssa:
    """n log_b(2) + log(m) / ln(b) with x = m 2**n, with both constants in two parts: see `BASE_2`."""
    first, second, high, low = (double(e, c) for c in base)
    m, n = _mantissa(e, x)
    f = sub(e, m, double(e, 1.0))
    head = _upper(e, f)
    rest = add(e, sub(e, f, head), _log_tail(e, f))
    small = fma(e, rest, first, fma(e, add(e, head, rest), second, mul(e, n, low)))
    return _log_special(e, x, fma(e, n, high, fma(e, head, first, small)))


def _log1p(e: Instructions, x: Ssa) -> Ssa:
    """log(u) + log1p((1 + x - u) / u), for u that is 1 + x rounded to 21 bits: the second term is small, and four terms of
    its Taylor series suffice."""
    one = double(e, 1.0)
    whole = e.reinterpret(add(e, x, one), uint64)
    large = e.compare("ult", x, double(e, 1e300))
    half = e.select(large, e.const(1 << 31, uint64), e.const(0, uint64))  # or it overflows
    near = e.binary("and", e.binary("add", whole, half), e.const(0xFFFFFFFF00000000, uint64))
    u = e.reinterpret(near, float64)
    c = div(e, add(e, sub(e, one, u), x), u)
    small = mul(e, c, poly(e, c, [-1 / 4, 1 / 3, -1 / 2, 1.0]))
    result = _log_special(e, u, _log_finite(e, u, small))
    result = e.select(e.compare("oeq", x, double(e, math.inf)), x, result)
    return e.select(e.compare("olt", magnitude(e, x), double(e, 1e-20)), x, result)


def _asinh(e: Instructions, x: Ssa) -> Ssa:
    """As `elementary._asinh`."""
    a = magnitude(e, x)
    large = e.compare("ogt", a, double(e, 1e9))
    safe = e.select(large, double(e, 1.0), a)
    z = mul(e, safe, safe)
    root = sqrt(e, add(e, z, double(e, 1.0)))
    usual = _log1p(e, add(e, safe, div(e, z, add(e, root, double(e, 1.0)))))
    result = e.select(large, add(e, _log(e, a), double(e, LN2)), usual)
    return e.select(e.compare("uno", x, x), x, copysign(e, result, x))


def _acosh(e: Instructions, x: Ssa) -> Ssa:
    """As `elementary._acosh`."""
    t = sub(e, x, double(e, 1.0))
    usual = _log1p(e, add(e, t, sqrt(e, fma(e, t, t, add(e, t, t)))))
    huge = add(e, _log(e, x), double(e, LN2))
    result = e.select(e.compare("ogt", x, double(e, 1e9)), huge, usual)
    return e.select(e.compare("ult", x, double(e, 1.0)), double(e, math.nan), result)


def _atanh(e: Instructions, x: Ssa) -> Ssa:
    """As `elementary._atanh`."""
    a = magnitude(e, x)
    inside = div(e, add(e, a, a), sub(e, double(e, 1.0), a))
    return copysign(e, mul(e, double(e, 0.5), _log1p(e, inside)), x)


def _upper(e: Instructions, x: Ssa) -> Ssa:
    """The value with the lower 27 bits of its significand cleared, which leaves 26."""
    return e.reinterpret(e.binary("and", e.reinterpret(x, uint64), e.const(0xFFFFFFFFF8000000, uint64)), float64)


# ---------------------------------------------------------------- powers


def power_double(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """2**(y log2|x|) of float64, with the logarithm in parts whose products with parts of y are exact; then special values.

    With |x| = m 2**n, log2(m) is log2(c) from a table (`_LOG2_OF`) plus log1p((m - c) / c) / ln(2), by its Taylor series.
    """
    a = magnitude(e, x)
    m, n = _mantissa(e, a)
    c, table_high, table_low = _table(e, m)
    f = sub(e, m, c)
    head = _upper(e, div(e, f, c))
    low = div(e, sub(e, f, mul(e, head, c)), c)
    q = add(e, head, low)
    tail = mul(e, mul(e, q, q), poly(e, q, [(-1) ** (k + 1) / k for k in range(13, 1, -1)]))
    first, second = double(e, BASE_2[0]), double(e, BASE_2[1])
    exact = mul(e, head, first)
    exact_high = _upper(e, exact)
    rest = fma(e, add(e, low, tail), first, fma(e, add(e, q, tail), second, table_low))
    rest = add(e, rest, sub(e, exact, exact_high))
    small_log = add(e, table_high, add(e, exact_high, rest))
    y_high = _upper(e, y)
    y_low = sub(e, y, y_high)
    # The nearest integers are subtracted from exact products; nothing is recovered from a rounded sum.
    whole = double(e, 0.0)
    small = add(e, mul(e, y_high, rest), mul(e, y_low, add(e, n, small_log)))
    for part in (mul(e, y_high, n), mul(e, y_high, table_high), mul(e, y_high, exact_high)):
        part = clamp(e, part, -3e6, 3e6)
        near = e.intrinsic("rint", part)
        whole = add(e, whole, near)
        small = add(e, small, sub(e, part, near))
    small = clamp(e, small, -3e6, 3e6)
    near = e.intrinsic("rint", small)
    size = clamp(e, add(e, whole, near), -1200.0, 1200.0)
    # Where the parts were clamped, their sum is out of range, and its approximation decides between 0 and infinity.
    about = mul(e, y, add(e, n, small_log))
    out_of_range = e.compare("ogt", magnitude(e, about), double(e, 1200.0))
    size = e.select(out_of_range, clamp(e, about, -1200.0, 1200.0), size)
    result = _scaled(e, _exp_core(e, mul(e, sub(e, small, near), double(e, LN2))), e.saturate(size, int32))
    return power_special(e, x, y, result)


def _table(e: Instructions, m: Ssa) -> tuple[Ssa, Ssa, Ssa]:
    """The multiple c of 1/32 nearest to a mantissa, and log2(c) in two parts of which the first has 26 bits or less."""
    whole = e.intrinsic("rint", mul(e, m, double(e, 32.0)))
    high, low = double(e, 0.0), double(e, 0.0)
    for k, (first, second) in _LOG2_OF.items():
        equal = e.compare("oeq", whole, double(e, float(k)))
        high, low = e.select(equal, double(e, first), high), e.select(equal, double(e, second), low)
    return mul(e, whole, double(e, 1 / 32)), high, low


def _infinite(e: Instructions, x: Ssa) -> Ssa:
    """Whether x is an infinity, by its bits: a driver's compiler may assume that no value is."""
    wide = x.dtype is float64
    signed, magnitude_bits = (int64, (1 << 63) - 1) if wide else (int32, (1 << 31) - 1)
    exponent = 0x7FF << 52 if wide else 0xFF << 23
    bits = e.binary("and", e.reinterpret(x, signed), e.const(magnitude_bits, signed))
    return e.compare("eq", bits, e.const(exponent, signed))


def power_special(e: Instructions, x: Ssa, y: Ssa, result: Ssa) -> Ssa:
    """The power, given |x|**y, with the signs and special values of C's `pow` (C99, annex F.9.4.4)."""
    dtype = x.dtype
    zero, one, infinity = e.const(0.0, dtype), e.const(1.0, dtype), e.const(math.inf, dtype)
    a = magnitude(e, x)
    infinite_y = _infinite(e, y)
    edge = e.binary("or", e.compare("oeq", a, zero), e.binary("or", _infinite(e, x), infinite_y))
    grows = e.binary("xor", e.compare("ogt", a, one), e.compare("olt", y, zero))
    result = e.select(edge, e.select(grows, infinity, zero), result)
    integral = e.compare("oeq", e.intrinsic("trunc", y), y)
    half = mul(e, y, e.const(0.5, dtype))
    odd = e.binary("and", integral, e.compare("une", e.intrinsic("trunc", half), half))
    signed = int64 if dtype is float64 else int32
    minus = e.compare("slt", e.reinterpret(x, signed), e.const(0, signed))
    result = e.select(e.binary("and", odd, minus), e.negate(result), result)
    proper = e.binary("and", e.compare("olt", x, zero), e.compare("ogt", x, e.negate(infinity)))
    wrong = e.binary("and", proper, e.compare("une", e.intrinsic("trunc", y), y))
    result = e.select(wrong, e.const(math.nan, dtype), result)
    unit = e.binary("and", e.compare("oeq", a, one), infinite_y)
    result = e.select(unit, one, result)
    always = e.binary("or", e.compare("oeq", x, one), e.compare("oeq", y, zero))
    either = e.binary("or", e.compare("uno", x, x), e.compare("uno", y, y))
    return e.select(always, one, e.select(either, add(e, x, y), result))


# log2(k / 32) in two parts, of which the first has 26 bits or less.
_LOG2_OF = {
    23: (-0.4764380306005478, -1.3342439337178508e-08), 24: (-0.41503749787807465, -1.4007691725501674e-09),
    25: (-0.3561438024044037, -7.820871617735923e-09), 26: (-0.2995602786540985, -3.204809328861e-09),
    27: (-0.24511249363422394, -4.202307517650502e-09), 28: (-0.19264507293701172, -5.005384173808031e-09),
    29: (-0.14201900362968445, -1.2427434310380393e-09), 30: (-0.09310939908027649, -5.311204981418129e-09),
    31: (-0.04580368101596832, -8.59715646843997e-09), 33: (0.044394105672836304, 1.3685617133942165e-08),
    34: (0.08746282756328583, 1.3687053580617348e-08), 35: (0.12928301095962524, 5.985341211171664e-09),
    36: (0.16992498934268951, 1.2099622848747322e-08), 37: (0.20945335924625397, 6.382695814572648e-09),
    38: (0.2479275017976761, 1.1645909407367739e-08), 39: (0.28540220856666565, 1.029558269243649e-08),
    40: (0.32192808389663696, 1.0990725384979695e-08), 41: (0.3575519919395447, 1.2678539015431596e-08),
    42: (0.39231741428375244, 8.495007847489458e-09), 43: (0.4262647479772568, 6.724841163981798e-09),
    44: (0.45943161845207214, 1.8522511264467555e-10), 45: (0.49185308814048767, 8.18918703987936e-09),
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[Instructions, Ssa], Ssa]] = {
    "exp": _exp, "exp2": _exp2, "expm1": _expm1, "log": _log, "log1p": _log1p,
    "log2": lambda e, x: _log_base(e, x, BASE_2), "log10": lambda e, x: _log_base(e, x, BASE_10),
    "sinh": _sinh, "cosh": _cosh, "tanh": _tanh, "asinh": _asinh, "acosh": _acosh, "atanh": _atanh, "erf": _erf,
    **CIRCULAR,
}  # fmt: skip
