"""The operations of the IR as sequences of instructions, defined once for all renderers.

The results are those of `ir.numerics`, for every dtype; elementary functions within the errors that `math` states.
"""

from __future__ import annotations

from ..dtypes import DType, float32, uint8
from .instructions import NARROW, Instructions, Ssa
from .math.elementary import function, power
from .math.trigonometric import arctangent2

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INT = {"add": "add", "sub": "sub", "mul": "mul"}
_BOOL = {"add": "or", "sub": "xor", "mul": "and"}
_ORDER = {
    "eq": ("oeq", "eq", "eq"),
    "ne": ("une", "ne", "ne"),
    "lt": ("olt", "slt", "ult"),
    "le": ("ole", "sle", "ule"),
}
_ROUNDING = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint", "sqrt": "sqrt"}


def operation(e: Instructions, name: str, args: list[Ssa]) -> Ssa:
    """The operation `name` of values of one dtype; the condition of `select` is bool.

    16-bit floats are computed in float32 and rounded once.

    Raises:
        ValueError: the operation is not defined for the dtype.
    """
    dtype = args[-1].dtype
    if name == "select":
        return e.select(args[0], args[1], args[2])
    if name in _ORDER:
        order = _ORDER[name]
        return e.compare(order[0] if dtype.is_float else order[1] if dtype.kind == "i" else order[2], *args)
    if name == "isnan":
        return e.compare("uno", args[0], args[0])
    if dtype.name in NARROW:
        wide = [Ssa(a.name, float32, a.lanes) for a in args]
        return e.rounded(_float(e, name, wide), dtype)
    if dtype.is_float:
        return _float(e, name, args)
    return _integer(e, name, args)


def _float(e: Instructions, name: str, args: list[Ssa]) -> Ssa:
    """An operation of float32 or float64."""
    x = args[0]
    if name in _FLOAT:
        return e.binary(_FLOAT[name], args[0], args[1])
    if name in ("max", "min"):
        return e.intrinsic("maximum" if name == "max" else "minimum", *args)
    if name == "neg":
        return e.negate(x)
    if name == "abs":
        return e.intrinsic("fabs", x)
    if name == "fma":
        return e.intrinsic("fma", *args)
    if name in _ROUNDING:
        return e.intrinsic(_ROUNDING[name], x)
    if name == "sign":
        zero, one = e.const(0.0, x.dtype), e.const(1.0, x.dtype)
        positive = e.select(e.compare("ogt", x, zero), one, x)
        return e.select(e.compare("olt", x, zero), e.const(-1.0, x.dtype), positive)
    if name == "mod":
        return _float_mod(e, *args)
    if name == "floordiv":
        return _float_floordiv(e, *args)
    if name == "pow":
        return power(e, *args)
    if name == "atan2":
        return arctangent2(e, *args)
    return function(e, name, x)


def _float_mod(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """The remainder with the sign of the divisor, as NumPy's `divmod`."""
    zero = e.const(0.0, x.dtype)
    m = e.libm("fmod", x, y)
    differs = e.binary("xor", e.compare("olt", y, zero), e.compare("olt", m, zero))
    moved = e.binary("and", e.compare("une", m, zero), differs)
    result = e.select(moved, e.binary("fadd", m, y), m)
    signed_zero = e.intrinsic("copysign", *e.broadcast_together(zero, y))
    result = e.select(e.compare("oeq", m, zero), signed_zero, result)
    return e.select(e.compare("uno", m, m), m, result)


def _float_floordiv(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """As NumPy's: (x - mod) / y, which is nearly an integer, rounded to it; x / y where the divisor is zero."""
    zero, one = e.const(0.0, x.dtype), e.const(1.0, x.dtype)
    m = e.libm("fmod", x, y)
    quotient = e.binary("fdiv", e.binary("fsub", x, m), y)
    differs = e.binary("xor", e.compare("olt", y, zero), e.compare("olt", m, zero))
    moved = e.binary("and", e.compare("une", m, zero), differs)
    quotient = e.select(moved, e.binary("fsub", quotient, one), quotient)
    down = e.intrinsic("floor", quotient)
    above_half = e.compare("ogt", e.binary("fsub", quotient, down), e.const(0.5, x.dtype))
    result = e.select(above_half, e.binary("fadd", down, one), down)
    plain = e.binary("fdiv", x, y)
    result = e.select(
        e.compare("oeq", quotient, zero), e.intrinsic("copysign", *e.broadcast_together(zero, plain)), result
    )
    result = e.select(e.compare("uno", m, m), m, result)
    return e.select(e.compare("oeq", y, zero), plain, result)


def _integer(e: Instructions, name: str, args: list[Ssa]) -> Ssa:
    """An operation of integers or bools."""
    x = args[0]
    dtype = x.dtype
    signed = dtype.kind == "i"
    if name in _INT:
        return e.binary(_BOOL[name] if dtype.is_bool else _INT[name], args[0], args[1])
    if name in ("and", "or", "xor"):
        return e.binary(name, args[0], args[1])
    if name == "not":
        return e.binary("xor", x, e.const(True if dtype.is_bool else -1, dtype))
    if name in ("max", "min"):
        if dtype.is_bool:
            return e.binary("or" if name == "max" else "and", args[0], args[1])
        return e.intrinsic(f"{'s' if signed else 'u'}{name}", *args)
    if name == "neg":
        return e.binary("sub", e.const(0, dtype), x)
    if name == "abs":
        if not signed:
            return x
        return e.select(e.compare("slt", x, e.const(0, dtype)), e.binary("sub", e.const(0, dtype), x), x)
    if name == "sign":
        zero, one = e.const(0, dtype), e.const(1, dtype)
        positive = e.select(e.compare("sgt" if signed else "ugt", x, zero), one, e.broadcast(zero, x.lanes))
        return e.select(e.compare("slt", x, zero), e.const(-1, dtype), positive) if signed else positive
    if name in ("shl", "shr"):
        return _shift(e, name, *args)
    if name in ("floordiv", "mod"):
        return _divide(e, name, *args)
    if name == "mulhi":
        return e.mulhi(*args)
    if name == "pow":
        return _power(e, *args)
    raise ValueError(f"[{name}] expected a floating dtype, got {dtype.name}")


def _shift(e: Instructions, name: str, x: Ssa, y: Ssa) -> Ssa:
    """A shift by the width or more gives 0, or the sign for `shr` of signed integers."""
    dtype = x.dtype
    too_far = e.compare("uge", y, e.const(dtype.bits, dtype))
    safe = e.select(too_far, e.const(0, dtype), y)
    if name == "shl":
        return e.select(too_far, e.const(0, dtype), e.binary("shl", x, safe))
    if dtype.kind == "u":
        return e.select(too_far, e.const(0, dtype), e.binary("lshr", x, safe))
    return e.binary("ashr", x, e.select(too_far, e.const(dtype.bits - 1, dtype), y))


def _divide(e: Instructions, name: str, x: Ssa, y: Ssa) -> Ssa:
    """A quotient rounded down, or its remainder; 0 for a zero divisor, and no trap for the least integer divided by -1."""
    dtype = x.dtype
    zero, one = e.const(0, dtype), e.const(1, dtype)
    by_zero = e.compare("eq", y, zero)
    if dtype.kind == "u":
        safe = e.select(by_zero, one, y)
        result = e.binary("udiv" if name == "floordiv" else "urem", x, safe)
        return e.select(by_zero, zero, result)
    by_minus_one = e.compare("eq", y, e.const(-1, dtype))
    safe = e.select(e.binary("or", by_zero, by_minus_one), one, y)
    q = e.binary("sdiv", x, safe)
    r = e.binary("sub", x, e.binary("mul", q, safe))
    differs = e.binary("xor", e.compare("slt", r, zero), e.compare("slt", safe, zero))
    down = e.binary("and", e.compare("ne", r, zero), differs)
    if name == "mod":
        result = e.select(down, e.binary("add", r, safe), r)
        return e.select(e.binary("or", by_zero, by_minus_one), zero, result)
    result = e.select(down, e.binary("sub", q, one), q)
    result = e.select(by_minus_one, e.binary("sub", zero, x), result)
    return e.select(by_zero, zero, result)


def _power(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """An integer power by repeated squaring, over all bits of the exponent; negative exponents give 1, -1 or 0."""
    dtype = x.dtype
    x, y = e.broadcast_together(x, y)
    zero, one = e.const(0, dtype), e.const(1, dtype)
    result, base = e.broadcast(one, x.lanes), x
    bits = dtype.bits - (dtype.kind == "i")
    for bit in range(bits):
        mask = e.binary("and", y, e.const(1 << bit, dtype))
        result = e.select(e.compare("ne", mask, zero), e.binary("mul", result, base), result)
        if bit + 1 < bits:
            base = e.binary("mul", base, base)
    if dtype.kind == "u":
        return result
    odd = e.compare("ne", e.binary("and", y, one), zero)
    unit = e.select(e.compare("eq", x, e.const(-1, dtype)), e.select(odd, e.const(-1, dtype), one), zero)
    unit = e.select(e.compare("eq", x, one), one, unit)
    return e.select(e.compare("slt", y, zero), unit, result)


# ---------------------------------------------------------------- conversions


def cast(e: Instructions, v: Ssa, dtype: DType) -> Ssa:
    """The value converted to another dtype; floats are clamped to the range of an integer dtype, and NaN becomes 0 there."""
    source = v.dtype
    if source is dtype:
        return v
    if source.name in NARROW:
        v = Ssa(v.name, float32, v.lanes)
        source = float32
        if dtype is float32:
            return v
    if dtype.name in NARROW:
        return e.rounded(cast(e, v, float32), dtype)
    if dtype.is_bool:
        zero = e.const(0.0 if source.is_float else 0, source)
        return e.compare("une" if source.is_float else "ne", v, zero)
    if source.is_bool:
        if dtype.is_float:
            return e.convert("uitofp", v, dtype)
        return e.convert("zext", v, dtype)
    if source.is_float and dtype.is_float:
        return e.convert("fpext" if dtype.itemsize > source.itemsize else "fptrunc", v, dtype)
    if source.is_float:
        return e.saturate(v, dtype)
    if dtype.is_float:
        return e.convert("sitofp" if source.kind == "i" else "uitofp", v, dtype)
    if source.bits == dtype.bits:
        return e.reinterpret(v, dtype)
    if source.bits > dtype.bits:
        return e.convert("trunc", v, dtype)
    return e.convert("sext" if source.kind == "i" else "zext", v, dtype)


def bitcast(e: Instructions, v: Ssa, dtype: DType) -> Ssa:
    """The bits of the value as another dtype of the same size.

    Raises:
        ValueError: the sizes differ.
    """
    if v.dtype.name in NARROW:
        v = e.narrow(v)
    elif v.dtype.is_bool:
        v = e.convert("zext", v, uint8)
    if dtype.name in NARROW:
        if v.dtype.bits != 16:
            raise ValueError(f"[bitcast] expected 16 bits for {dtype.name}, got {v.dtype.name}")
        return e.widen(v, dtype)
    if dtype.is_bool:
        return e.compare("ne", v, e.const(0, v.dtype))
    return e.reinterpret(v, dtype)
