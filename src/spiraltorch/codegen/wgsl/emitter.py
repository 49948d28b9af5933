"""The instructions of `Instructions` as WGSL text.

Values are `bool`, `i32` (also int8 and int16, kept in their range), `u32` (also uint8 and uint16), `f32` (also 16-bit floats,
kept rounded), `f64`, and for 64-bit integers `i64` and `u64`, or pairs of words, `vec2<u32>`: see `types.Features`. There are
no lanes: vector loops are expanded.

Literals are never combined with literals, since WGSL evaluates constant expressions while compiling, where overflow is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...dtypes import DType, bool_, float64
from ..instructions import Instructions, Number, Ssa
from .types import Features

_INFIX = {"fadd": "+", "fsub": "-", "fmul": "*", "fdiv": "/", "add": "+", "sub": "-", "mul": "*", "sdiv": "/",
          "udiv": "/", "srem": "%", "urem": "%", "and": "&", "or": "|", "xor": "^"}  # fmt: skip
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
_ZEROS = {
    "0.0f": "0u", f"bits_f32({1 << 31}u)": f"{1 << 31}u", "0.0lf": "0lu", f"bits_f64({1 << 63}lu)": f"{1 << 63}lu",
}  # fmt: skip
_UNARY = {"fabs": "abs", "sqrt": "sqrt"}
_INTEGRAL = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "round"}
_INTEGRAL64 = _INTEGRAL | {"trunc": "trunc_f64", "rint": "round_f64"}


_NAMED = re.compile(r"(v|r_)\d")  # the beginning of a name of `fresh`, and of no literal


def _is_literal(name: str) -> bool:
    """Whether an operand is a literal."""
    return _NAMED.match(name) is None


def _width(v: Ssa) -> str:
    """The suffix of the names of functions on a float; 16-bit floats are held as f32."""
    return "f64" if v.dtype is float64 else "f32"


class WgslEmitter(Instructions):
    """The text of one function, in which every instruction is a `let`."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self.lines: list[str] = []
        self.indent = 1
        self.counter = 0
        self.negated: dict[str, str] = {}  # the names of values, by those of their negations

    def emit(self, line: str) -> None:
        """One line, at the current indentation."""
        self.lines.append("  " * self.indent + line)

    def fresh(self, stem: str = "v") -> str:
        """A new name."""
        self.counter += 1
        return f"{stem}{self.counter}"

    def let(self, expression: str, dtype: DType) -> Ssa:
        """Names an expression."""
        name = self.fresh()
        self.emit(f"let {name} = {expression};")
        return Ssa(name, dtype)

    def named(self, v: Ssa) -> str:
        """The name of a value; a literal is stored in a variable, which is not a constant expression."""
        if not _is_literal(v.name):
            return v.name
        name = self.fresh()
        self.emit(f"var {name} = {v.name};")
        return name

    def operands(self, *args: Ssa) -> list[str]:
        """The operands, of which at least one is not a literal."""
        names = [a.name for a in args]
        if all(map(_is_literal, names)):
            names[0] = self.named(args[0])
        return names

    # ------------------------------------------------------------ instructions

    def const(self, value: Number, dtype: DType, lanes: int = 1) -> Ssa:
        return Ssa(self.features.literal(value, dtype), dtype)

    def broadcast(self, v: Ssa, lanes: int) -> Ssa:
        return v

    def binary(self, instruction: str, a: Ssa, b: Ssa, dtype: DType | None = None) -> Ssa:
        result = dtype or a.dtype
        special = self._degenerate(instruction, a, b) if a.dtype.is_float else None
        if special is not None:
            return self.let(special, result)
        x, y = self.operands(a, b)
        if self.features.is_pair(a.dtype):
            if instruction in ("and", "or", "xor"):
                return self.let(f"{x} {_INFIX[instruction]} {y}", result)
            return self.let(f"{instruction}_64({x}, {y})", result)
        if instruction in ("shl", "lshr", "ashr"):
            return self.let(self._wrapped(self._shift(instruction, x, y, a.dtype), a.dtype), result)
        if a.dtype.is_bool:
            return self.let(f"{x} != {y}" if instruction == "xor" else f"{x} {_INFIX[instruction]} {y}", result)
        text = f"{x} {_INFIX[instruction]} {y}"
        return self.let(text if a.dtype.is_float else self._wrapped(text, a.dtype), result)

    def _degenerate(self, instruction: str, a: Ssa, b: Ssa) -> str | None:
        """A call instead of x - x, x + -x, x / x, x * 0 and 0 / x: drivers' compilers simplify them as if x were finite.

        And instead of x / 0, which WGSL leaves undefined where the divisor is a constant: software drivers write nothing.
        """
        if a.name == b.name and instruction in ("fsub", "fdiv"):
            return f"self_{instruction[1:]}_{_width(a)}({self.named(a)})"
        if instruction == "fadd" and (self.negated.get(a.name) == b.name or self.negated.get(b.name) == a.name):
            return f"self_sub_{_width(a)}({self.named(a)})"
        if instruction == "fdiv" and b.name in _ZEROS:
            return f"over_zero_{_width(a)}({self.named(a)}, {_ZEROS[b.name]})"
        if instruction == "fdiv" and a.name in _ZEROS:
            return f"zero_over_{_width(b)}({self.named(b)}, {_ZEROS[a.name]})"
        for x, zero in ((a, b), (b, a)):
            if instruction == "fmul" and zero.name in _ZEROS:
                return f"times_zero_{_width(x)}({self.named(x)}, {_ZEROS[zero.name]})"
        return None

    def _shift(self, instruction: str, x: str, y: str, dtype: DType) -> str:
        """A shift of an integer that is not a pair; WGSL requires an amount of type u32."""
        wide = dtype.bits == 64
        amount = f"{y.rstrip('liu')}u" if _is_literal(y) else y if dtype.kind == "u" and not wide else f"u32({y})"
        if instruction == "shl":
            return f"{x} << {amount}"
        if instruction == "lshr" and dtype.kind == "i" and wide:
            return f"bitcast<i64>(bitcast<u64>({x}) >> {amount})"
        if instruction == "lshr" and dtype.kind == "i":
            mask = (1 << dtype.bits) - 1
            return f"bitcast<i32>((bitcast<u32>({x}) & {mask}u) >> {amount})"
        return f"{x} >> {amount}"

    def _wrapped(self, text: str, dtype: DType) -> str:
        """A 32-bit result wrapped to the width of its dtype."""
        if dtype.bits >= 32 or not dtype.is_integer:
            return text
        if dtype.kind == "u":
            return f"({text}) & {(1 << dtype.bits) - 1}u"
        return f"(({text}) << {32 - dtype.bits}u) >> {32 - dtype.bits}u"

    def compare(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        x, y = self.operands(a, b)
        dtype = a.dtype
        if dtype.is_float:
            if predicate == "uno":
                test = "is_nan_f64" if dtype is float64 else "is_nan"
                return self.let(f"{test}({x}) || {test}({y})", bool_)
            if predicate[0] == "u":  # the opposite is ordered, so it fails for NaN
                return self.let(f"!({x} {_COMPARE[_OPPOSITE[predicate[1:]]]} {y})", bool_)
            return self.let(f"{x} {_COMPARE[predicate[1:]]} {y}", bool_)
        if predicate in ("eq", "ne"):
            if self.features.is_pair(dtype):
                return self.let(f"{'all' if predicate == 'eq' else 'any'}({x} {_COMPARE[predicate]} {y})", bool_)
            return self.let(f"{x} {_COMPARE[predicate]} {y}", bool_)
        signed, order = predicate[0] == "s", predicate[1:]
        if self.features.is_pair(dtype):
            name = "lt_i64" if signed else "lt_u64"
            swap, negate = order in ("gt", "le"), order in ("le", "ge")
            return self.let(f"{'!' if negate else ''}{name}({y if swap else x}, {x if swap else y})", bool_)
        if dtype.kind == "i" and not signed:
            unsigned = "u64" if dtype.bits == 64 else "u32"
            x, y = f"bitcast<{unsigned}>({x})", f"bitcast<{unsigned}>({y})"
        return self.let(f"{x} {_COMPARE[order]} {y}", bool_)

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        if condition.name in ("true", "false"):
            return a if condition.name == "true" else b
        return self.let(f"select({b.name}, {a.name}, {condition.name})", a.dtype)

    def convert(self, instruction: str, v: Ssa, dtype: DType) -> Ssa:
        source = v.dtype
        x = self.named(v)
        if source.is_float and dtype.is_float:
            return (
                Ssa(x, dtype)
                if float64 not in (source, dtype)
                else self.let(f"{self.features.type_of(dtype)}({x})", dtype)
            )
        if source.is_bool:
            one, zero = (self.features.literal(k, dtype) for k in (1, 0))
            return self.let(f"select({zero}, {one}, {x})", dtype)
        if dtype.is_float:
            if self.features.is_pair(source):
                return self.let(f"f32_of_{'i' if source.kind == 'i' else 'u'}64({x})", dtype)
            return self.let(f"{self.features.type_of(dtype)}({x})", dtype)
        if source.bits == 64:
            low = f"{x}.x" if self.features.is_pair(source) else f"u32({self._bits(x, source)})"
            return self._from_word(low, dtype)
        if dtype.bits == 64:
            return self._widened(x, source, dtype, instruction == "sext")
        word = self._bits(x, source)
        if instruction == "zext" and source.kind == "i" and source.bits < 32:
            word = f"({word} & {(1 << source.bits) - 1}u)"
        return self._from_word(word, dtype)

    def _bits(self, x: str, dtype: DType) -> str:
        """An integer that is not a pair, as an unsigned one of its width in registers."""
        return x if dtype.kind == "u" else f"bitcast<u{max(dtype.bits, 32)}>({x})"

    def _widened(self, x: str, source: DType, dtype: DType, signed: bool) -> Ssa:
        """An integer of at most 32 bits as one of 64, built from words.

        WGSL's own conversions are not relied on: naga 29 extends the sign of u32 to i64, and Mesa 22.3 compares the
        result of i64(i32) as if it were positive.
        """
        low, high = self._bits(x, source), f"bitcast<u32>({x} >> 31u)"
        if self.features.is_pair(dtype):
            return self.let(f"vec2<u32>({low}, {high if signed else '0u'})", dtype)
        text = f"u64({low}) | (u64({high}) << 32u)" if signed else f"u64({low})"
        return self.let(text if dtype.kind == "u" else f"bitcast<i64>({text})", dtype)

    def _from_word(self, word: str, dtype: DType) -> Ssa:
        """The low bits of a u32, as an integer of at most 32 bits."""
        text = word if dtype.kind == "u" else f"bitcast<i32>({word})"
        return self.let(self._wrapped(text, dtype), dtype)

    def intrinsic(self, name: str, *args: Ssa, dtype: DType | None = None) -> Ssa:
        result = dtype or args[0].dtype
        names = self.operands(*args)
        if name in ("fmuladd", "fma"):
            return self.let(f"fma({', '.join(names)})", result)
        if name in ("maximum", "minimum"):
            return self.let(f"{name[:3]}_{_width(args[0])}({', '.join(names)})", result)
        if name == "copysign":
            return self.let(f"copysign_{_width(args[0])}({', '.join(names)})", result)
        if name in _INTEGRAL:
            function = (_INTEGRAL64 if args[0].dtype is float64 else _INTEGRAL)[name]
            return self.let(f"integral_{_width(args[0])}({names[0]}, {function}({names[0]}))", result)
        if name in _UNARY:
            return self.let(f"{_UNARY[name]}({names[0]})", result)
        signed, kind = name[0] == "s", name[1:]  # smax, umin, ...
        a, b = (Ssa(n, args[0].dtype) for n in names)
        if self.features.is_pair(args[0].dtype):
            less = self.compare("slt" if signed else "ult", a, b)
            return self.select(less, b, a) if kind == "max" else self.select(less, a, b)
        return self.let(f"{kind}({a.name}, {b.name})", result)

    def negate(self, x: Ssa) -> Ssa:
        name = self.named(x)
        result = self.let(f"-{name}", x.dtype)
        self.negated[result.name] = name
        return result

    def reinterpret(self, v: Ssa, dtype: DType) -> Ssa:
        source, target = self.features.type_of(v.dtype), self.features.type_of(dtype)
        if v.dtype.bits < 32:
            return self.convert("zext" if v.dtype.kind == "u" else "sext", v, dtype)
        if source == target:
            return Ssa(v.name, dtype)
        return self.let(f"bitcast<{target}>({self.named(v)})", dtype)

    def saturate(self, v: Ssa, dtype: DType) -> Ssa:
        x = self.named(v)
        text = f"to_{dtype.kind}{max(dtype.bits, 32)}{'_of_f64' if v.dtype is float64 else ''}({x})"
        if dtype.bits < 32:
            top = (1 << (dtype.bits - (dtype.kind == "i"))) - 1
            suffix = "i" if dtype.kind == "i" else "u"
            bottom = -top - 1 if dtype.kind == "i" else 0
            text = f"clamp({text}, {bottom}{suffix}, {top}{suffix})"
        return self.let(text, dtype)

    def mulhi(self, a: Ssa, b: Ssa) -> Ssa:
        dtype = a.dtype
        x, y = self.operands(a, b)
        if dtype.bits < 32:
            shift = f">> {dtype.bits}u"
            return self.let(self._wrapped(f"({x} * {y}) {shift}", dtype), dtype)
        return self.let(f"mulhi_{'i' if dtype.kind == 'i' else 'u'}{dtype.bits}({x}, {y})", dtype)

    def libm(self, name: str, *args: Ssa) -> Ssa:
        if name != "fmod":
            raise ValueError(f"[wgsl] there is no function {name}")
        return self.let(f"fmod_{_width(args[0])}({', '.join(self.operands(*args))})", args[0].dtype)

    def with_fallback(self, rare: Ssa, fast: Ssa, slow: Callable[[], Ssa]) -> Ssa:
        name = self.fresh()
        self.emit(f"var {name} = {fast.name};")
        self.emit(f"if ({rare.name}) {{")
        self.indent += 1
        other = slow()
        self.emit(f"{name} = {other.name};")
        self.indent -= 1
        self.emit("}")
        return Ssa(name, fast.dtype)

    def half_to_float(self, h: Ssa, dtype: DType) -> Ssa:
        return Ssa(self.let(f"unpack2x16float({self.named(h)}).x", dtype).name, dtype)
