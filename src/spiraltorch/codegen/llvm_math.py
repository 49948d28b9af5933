"""Elementary functions in float32 as branch-free vector code; the rest is left to the C library, lane by lane.

Polynomials are those of the Cephes library (Moshier, 1989), with range reductions of our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..dtypes import float32, int32, uint32
from .llvm_emit import Emitter, Ssa


def function(e: Emitter, name: str, x: Ssa) -> Ssa:
    """`name(x)` for float32 or float64."""
    own = _VECTOR.get(name) if x.dtype is not None and x.type.endswith(("float", "float>")) else None
    return own(e, x) if own else e.libm(name, x)


def _f(e: Emitter, value: float) -> Ssa:
    return e.const(value, float32)


def _poly(e: Emitter, x: Ssa, coefficients: list[float]) -> Ssa:
    made = e.broadcast(_f(e, coefficients[0]), x.lanes)
    for c in coefficients[1:]:
        made = e.intrinsic("fma", made, x, _f(e, c))
    return made


def _bits_to_float(e: Emitter, v: Ssa) -> Ssa:
    return e._as(v, float32)


def _power_of_two(e: Emitter, n: Ssa) -> Ssa:
    """2**n for int32 n within the exponent's range."""
    biased = e.binary("add", n, e.const(127, int32))
    return _bits_to_float(e, e.binary("shl", biased, e.const(23, int32)))


def _exp_reduced(e: Emitter, r: Ssa) -> Ssa:
    """e**r for |r| <= ln(2)/2."""
    p = _poly(
        e, r,
        [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
    )  # fmt: skip
    return e.intrinsic("fma", e.binary("fmul", r, r), p, e.binary("fadd", r, _f(e, 1.0)))


def _nearest(e: Emitter, x: Ssa) -> tuple[Ssa, Ssa]:
    """The nearest integer of a small float, as a float and as int32, by adding 1.5 * 2**23."""
    magic = 12582912.0
    moved = e.binary("fadd", x, _f(e, magic))
    number = e.binary("fsub", moved, _f(e, magic))
    raw = e.bits(Ssa(moved.name, float32, moved.lanes))
    return number, e.binary("sub", Ssa(raw.name, int32, raw.lanes), e.const(0x4B400000, int32))


def _scaled(e: Emitter, p: Ssa, n: Ssa) -> Ssa:
    """p * 2**n in two steps, so that results below the normal range and overflow come out right."""
    half = e.binary("ashr", n, e.const(1, int32))
    rest = e.binary("sub", n, half)
    return e.binary("fmul", e.binary("fmul", p, _power_of_two(e, half)), _power_of_two(e, rest))


def _clamp(e: Emitter, x: Ssa, low: float, high: float) -> Ssa:
    """Keeps NaN."""
    x = e.select(e.compare("ogt", x, _f(e, high)), _f(e, high), x)
    return e.select(e.compare("olt", x, _f(e, low)), _f(e, low), x)


def _exp(e: Emitter, x: Ssa) -> Ssa:
    x = _clamp(e, x, -105.0, 89.5)
    n, whole = _nearest(e, e.binary("fmul", x, _f(e, 1.44269504088896341)))
    minus = Ssa(e.let(f"fneg {n.type} {n.name}"), float32, n.lanes)
    r = e.intrinsic("fma", minus, _f(e, 0.693359375), x)
    r = e.intrinsic("fma", minus, _f(e, -2.12194440e-4), r)
    return _scaled(e, _exp_reduced(e, r), whole)


def _exp2(e: Emitter, x: Ssa) -> Ssa:
    x = _clamp(e, x, -151.0, 129.0)
    n, whole = _nearest(e, x)
    r = e.binary("fmul", e.binary("fsub", x, n), _f(e, math.log(2)))
    return _scaled(e, _exp_reduced(e, r), whole)


def _log(e: Emitter, x: Ssa) -> Ssa:
    tiny = e.compare("olt", x, _f(e, 1.17549435e-38))
    y = e.select(tiny, e.binary("fmul", x, _f(e, 8388608.0)), x)
    bits = e.bits(y)
    # The mantissa in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2), keep the exponent that comes out.
    moved = e.binary("sub", bits, e.const(0x3F3504F3, uint32))
    signed = Ssa(moved.name, int32, moved.lanes)
    exponent = e.binary("ashr", signed, e.const(23, int32))
    mantissa_bits = e.binary("sub", Ssa(bits.name, int32, bits.lanes), e.binary("shl", exponent, e.const(23, int32)))
    m = e.binary("fsub", _bits_to_float(e, mantissa_bits), _f(e, 1.0))
    number = e.convert("sitofp", exponent, float32)
    number = e.binary("fsub", number, e.select(tiny, _f(e, 23.0), _f(e, 0.0)))
    z = e.binary("fmul", m, m)
    p = _poly(
        e, m,
        [
            7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
            2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
        ],
    )  # fmt: skip
    y = e.binary("fmul", e.binary("fmul", m, z), p)
    y = e.intrinsic("fma", number, _f(e, -2.12194440e-4), y)
    y = e.intrinsic("fma", z, _f(e, -0.5), y)
    made = e.intrinsic("fma", number, _f(e, 0.693359375), e.binary("fadd", m, y))
    made = e.select(e.compare("oeq", x, _f(e, math.inf)), x, made)
    made = e.select(e.compare("oeq", x, _f(e, 0.0)), _f(e, -math.inf), made)
    bad = e.compare("ult", x, _f(e, 0.0))  # below zero, or NaN
    return e.select(bad, _f(e, math.nan), made)


def _abs(e: Emitter, x: Ssa) -> Ssa:
    return e.intrinsic("fabs", x)


def _copysign(e: Emitter, size: Ssa, x: Ssa) -> Ssa:
    return e.intrinsic("copysign", size, x)


def _tanh(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    z = e.binary("fmul", x, x)
    p = _poly(e, z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    small = e.intrinsic("fma", e.binary("fmul", p, z), x, x)
    power = _exp(e, e.binary("fmul", a, _f(e, 2.0)))
    part = e.binary("fdiv", _f(e, 2.0), e.binary("fadd", power, _f(e, 1.0)))
    large = _copysign(e, e.binary("fsub", _f(e, 1.0), part), x)
    made = e.select(e.compare("olt", a, _f(e, 0.625)), small, large)
    return e.select(e.compare("uno", x, x), x, made)


def _erf(e: Emitter, x: Ssa) -> Ssa:
    a = _abs(e, x)
    z = e.binary("fmul", x, x)
    small = e.binary("fmul", x, _poly(
        e, z,
        [
            7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
            1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
        ],
    ))  # fmt: skip
    big = e.select(e.compare("olt", a, _f(e, 1.0)), _f(e, 1.0), a)
    q = e.binary("fdiv", _f(e, 1.0), big)
    y = e.binary("fmul", q, q)
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
    square = e.binary("fmul", big, big)
    power = _exp(e, Ssa(e.let(f"fneg {square.type} {square.name}"), float32, square.lanes))
    large = e.binary("fsub", _f(e, 1.0), e.binary("fmul", e.binary("fmul", power, q), p))
    large = _copysign(e, large, x)
    made = e.select(e.compare("olt", a, _f(e, 1.0)), small, large)
    return e.select(e.compare("uno", x, x), x, made)


_VECTOR: dict[str, Callable[[Emitter, Ssa], Ssa]] = {
    "exp": _exp, "exp2": _exp2, "log": _log, "tanh": _tanh, "erf": _erf,
}  # fmt: skip
