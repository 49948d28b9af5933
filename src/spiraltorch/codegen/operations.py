"""The IR's operations as instructions, with NumPy's meaning for every dtype: written once for all renderers."""

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
    """`name` of values that share a dtype. 16-bit floats are computed in float32 and rounded once."""
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
        return _float_mod(e, *args)[0]
    if name == "floordiv":
        return _float_floordiv(e, *args)
    if name == "pow":
        return power(e, *args)
    if name == "atan2":
        return arctangent2(e, *args)
    return function(e, name, x)


def _float_mod(e: Instructions, x: Ssa, y: Ssa) -> tuple[Ssa, Ssa]:
    """The remainder with the divisor's sign, and whether it was moved: as NumPy's `divmod`."""
    zero = e.const(0.0, x.dtype)
    m = e.libm("fmod", x, y)
    differs = e.binary("xor", e.compare("olt", y, zero), e.compare("olt", m, zero))
    moved = e.binary("and", e.compare("une", m, zero), differs)
    made = e.select(moved, e.binary("fadd", m, y), m)
    signed_zero = e.intrinsic("copysign", *e.match(zero, y))
    made = e.select(e.compare("oeq", m, zero), signed_zero, made)
    return e.select(e.compare("uno", m, m), m, made), moved


def _float_floordiv(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """NumPy's: (x - mod) / y brought to the nearest integer below; x / y where the divisor is zero."""
    zero, one = e.const(0.0, x.dtype), e.const(1.0, x.dtype)
    m = e.libm("fmod", x, y)
    quotient = e.binary("fdiv", e.binary("fsub", x, m), y)
    differs = e.binary("xor", e.compare("olt", y, zero), e.compare("olt", m, zero))
    moved = e.binary("and", e.compare("une", m, zero), differs)
    quotient = e.select(moved, e.binary("fsub", quotient, one), quotient)
    down = e.intrinsic("floor", quotient)
    far = e.compare("ogt", e.binary("fsub", quotient, down), e.const(0.5, x.dtype))
    made = e.select(far, e.binary("fadd", down, one), down)
    plain = e.binary("fdiv", x, y)
    made = e.select(e.compare("oeq", quotient, zero), e.intrinsic("copysign", *e.match(zero, plain)), made)
    made = e.select(e.compare("uno", m, m), m, made)
    return e.select(e.compare("oeq", y, zero), plain, made)


def _integer(e: Instructions, name: str, args: list[Ssa]) -> Ssa:
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
    dtype = x.dtype
    big = e.compare("uge", y, e.const(dtype.bits, dtype))
    safe = e.select(big, e.const(0, dtype), y)
    if name == "shl":
        return e.select(big, e.const(0, dtype), e.binary("shl", x, safe))
    if dtype.kind == "u":
        return e.select(big, e.const(0, dtype), e.binary("lshr", x, safe))
    return e.binary("ashr", x, e.select(big, e.const(dtype.bits - 1, dtype), y))


def _divide(e: Instructions, name: str, x: Ssa, y: Ssa) -> Ssa:
    """Rounded down; 0 for a zero divisor; no trap for the least integer divided by -1."""
    dtype = x.dtype
    zero, one = e.const(0, dtype), e.const(1, dtype)
    nothing = e.compare("eq", y, zero)
    if dtype.kind == "u":
        safe = e.select(nothing, one, y)
        made = e.binary("udiv" if name == "floordiv" else "urem", x, safe)
        return e.select(nothing, zero, made)
    minus = e.compare("eq", y, e.const(-1, dtype))
    safe = e.select(e.binary("or", nothing, minus), one, y)
    q = e.binary("sdiv", x, safe)
    r = e.binary("sub", x, e.binary("mul", q, safe))
    differs = e.binary("xor", e.compare("slt", r, zero), e.compare("slt", safe, zero))
    down = e.binary("and", e.compare("ne", r, zero), differs)
    if name == "mod":
        made = e.select(down, e.binary("add", r, safe), r)
        return e.select(e.binary("or", nothing, minus), zero, made)
    made = e.select(down, e.binary("sub", q, one), q)
    made = e.select(minus, e.binary("sub", zero, x), made)
    return e.select(nothing, zero, made)


def _power(e: Instructions, x: Ssa, y: Ssa) -> Ssa:
    """By squaring, over all bits of the exponent; negative exponents give 1, -1 or 0."""
    dtype = x.dtype
    x, y = e.match(x, y)
    zero, one = e.const(0, dtype), e.const(1, dtype)
    made, base = e.broadcast(one, x.lanes), x
    bits = dtype.bits - (dtype.kind == "i")
    for bit in range(bits):
        mask = e.binary("and", y, e.const(1 << bit, dtype))
        made = e.select(e.compare("ne", mask, zero), e.binary("mul", made, base), made)
        if bit + 1 < bits:
            base = e.binary("mul", base, base)
    if dtype.kind == "u":
        return made
    odd = e.compare("ne", e.binary("and", y, one), zero)
    unit = e.select(e.compare("eq", x, e.const(-1, dtype)), e.select(odd, e.const(-1, dtype), one), zero)
    unit = e.select(e.compare("eq", x, one), one, unit)
    return e.select(e.compare("slt", y, zero), unit, made)


# ---------------------------------------------------------------- conversions


def cast(e: Instructions, v: Ssa, dtype: DType) -> Ssa:
    """The value as another dtype: floats saturate on the way to integers, NaN becomes 0."""
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
    """The same bits as another dtype of the same size."""
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
