"""Building LLVM IR text: typed SSA values, scopes with hoisting, and the small instructions that all others use."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

from ..dtypes import DType, bool_, float32, float64, uint16, uint32, uint64

Lines = list[Union[str, "Lines"]]
NARROW = ("float16", "bfloat16")  # computed as float32, rounded after each operation


@dataclass(frozen=True, slots=True)
class Ssa:
    """An LLVM value. `lanes` is 1 for a scalar. 16-bit floats are held as float with an exactly rounded value."""

    name: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        return vector_type(scalar_type(self.dtype), self.lanes)


def scalar_type(dtype: DType) -> str:
    """The type of a value in registers."""
    if dtype.is_float:
        return "double" if dtype.itemsize == 8 else "float"
    return f"i{dtype.bits}"


def memory_type(dtype: DType) -> str:
    """The type of an element in memory."""
    if dtype.name in NARROW:
        return "i16"
    return "i8" if dtype.is_bool else scalar_type(dtype)


def vector_type(scalar: str, lanes: int) -> str:
    """`scalar`, or a vector of it."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def suffix(dtype: DType, lanes: int) -> str:
    """The overload suffix of an intrinsic."""
    base = {"double": "f64", "float": "f32"}.get(scalar_type(dtype), scalar_type(dtype))
    return base if lanes == 1 else f"v{lanes}{base}"


def constant(value: Any, dtype: DType) -> str:
    """A number as LLVM spells it: floats as the hexadecimal of the double with the same value."""
    if dtype.is_bool:
        return "true" if value else "false"
    if dtype.is_integer:
        bits = dtype.bits
        value = int(value) & ((1 << bits) - 1)
        return str(value - (1 << bits) if value >> (bits - 1) else value)
    if dtype.itemsize < 8:
        value = float(dtype.numpy.type(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"


class Scope:
    """The function, a loop body or a branch. `before` is the place in the parent just ahead of it."""

    __slots__ = ("before", "lines", "memo", "pinned")

    def __init__(self, before: Lines, lines: Lines) -> None:
        self.before = before
        self.lines = lines
        self.memo: dict[Any, Any] = {}
        self.pinned: list[object] = []


class Emitter:
    """Text of one function, with the features of its target."""

    def __init__(self, native_half: bool) -> None:
        self.native_half = native_half
        self.counter = 0
        self.label = "entry"
        self.entry: Lines = []
        self.scopes: list[Scope] = [Scope([], [])]
        self.level: int | None = None  # the scope that is written to; None: the innermost
        self.declarations: set[str] = set()
        self.block_memo: dict[Any, Any] = {}

    # ------------------------------------------------------------ places

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1 if self.level is None else self.level

    def sink(self) -> Lines:
        if self.level is None or self.level == len(self.scopes) - 1:
            return self.scopes[-1].lines
        return self.scopes[self.level + 1].before

    def emit(self, line: str) -> None:
        self.sink().append(line)

    def fresh(self) -> str:
        self.counter += 1
        return f"%v{self.counter}"

    def let(self, expression: str) -> str:
        self.counter += 1
        name = f"%v{self.counter}"
        self.sink().append(f"{name} = {expression}")
        return name

    def hoisted(self, depth: int, key: Any, make: Callable[[], str]) -> str:
        """Emits `make()` once, in the outermost scope where its operands exist."""
        memo = self.scopes[depth].memo
        name = memo.get(key)
        if name is None:
            place = self.scopes[depth + 1].before if depth + 1 < len(self.scopes) else self.scopes[depth].lines
            name = self.fresh()
            place.append(f"{name} = {make()}")
            memo[key] = name
        return name

    def start_block(self, label: str) -> None:
        self.scopes[-1].lines.append(f"{label}:")
        self.label = label
        self.block_memo = {}

    def declare(self, text: str) -> None:
        self.declarations.add(f"declare {text}")

    # ------------------------------------------------------------ small instructions

    def const(self, value: Any, dtype: DType, lanes: int = 1) -> Ssa:
        text = constant(value, dtype)
        if lanes == 1:
            return Ssa(text, dtype)
        return Ssa(f"splat ({scalar_type(dtype)} {text})", dtype, lanes)

    def broadcast(self, v: Ssa, lanes: int) -> Ssa:
        if v.lanes == lanes:
            return v
        t = scalar_type(v.dtype)
        if not v.name.startswith("%"):
            return Ssa(f"splat ({t} {v.name})", v.dtype, lanes)
        key = ("broadcast", v.name, lanes)
        name = self.block_memo.get(key)
        if name is None or self.level is not None:
            whole = vector_type(t, lanes)
            first = self.let(f"insertelement {whole} poison, {t} {v.name}, i32 0")
            name = self.let(f"shufflevector {whole} {first}, {whole} poison, <{lanes} x i32> zeroinitializer")
            if self.level is None:
                self.block_memo[key] = name
        return Ssa(name, v.dtype, lanes)

    def match(self, *args: Ssa) -> tuple[Ssa, ...]:
        lanes = max(a.lanes for a in args)
        return tuple([self.broadcast(a, lanes) for a in args])

    def binary(self, instruction: str, a: Ssa, b: Ssa, dtype: DType | None = None) -> Ssa:
        a, b = self.match(a, b)
        return Ssa(self.let(f"{instruction} {a.type} {a.name}, {b.name}"), dtype or a.dtype, a.lanes)

    def compare(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        a, b = self.match(a, b)
        kind = "fcmp" if a.dtype.is_float else "icmp"
        return Ssa(self.let(f"{kind} {predicate} {a.type} {a.name}, {b.name}"), bool_, a.lanes)

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        condition, a, b = self.match(condition, a, b)
        text = f"select {condition.type} {condition.name}, {a.type} {a.name}, {b.type} {b.name}"
        return Ssa(self.let(text), a.dtype, a.lanes)

    def convert(self, instruction: str, v: Ssa, dtype: DType) -> Ssa:
        target = vector_type(scalar_type(dtype), v.lanes)
        return Ssa(self.let(f"{instruction} {v.type} {v.name} to {target}"), dtype, v.lanes)

    def intrinsic(self, name: str, *args: Ssa, dtype: DType | None = None) -> Ssa:
        args = self.match(*args)
        first = args[0]
        result = dtype or first.dtype
        function = f"@llvm.{name}.{suffix(first.dtype, first.lanes)}"
        type_ = vector_type(scalar_type(result), first.lanes)
        self.declare(f"{type_} {function}({', '.join(a.type for a in args)})")
        text = f"call {type_} {function}({', '.join(f'{a.type} {a.name}' for a in args)})"
        return Ssa(self.let(text), result, first.lanes)

    def libm(self, name: str, *args: Ssa) -> Ssa:
        """A function of the C library, lane by lane."""
        args = self.match(*args)
        first = args[0]
        t = scalar_type(first.dtype)
        symbol = name if t == "double" else f"{name}f"
        self.declare(f"{t} @{symbol}({', '.join([t] * len(args))})")
        if first.lanes == 1:
            inside = ", ".join(f"{t} {a.name}" for a in args)
            return Ssa(self.let(f"call {t} @{symbol}({inside})"), first.dtype)
        made = "poison"
        for lane in range(first.lanes):
            parts = [self.let(f"extractelement {a.type} {a.name}, i32 {lane}") for a in args]
            one = self.let(f"call {t} @{symbol}({', '.join(f'{t} {p}' for p in parts)})")
            made = self.let(f"insertelement {first.type} {made}, {t} {one}, i32 {lane}")
        return Ssa(made, first.dtype, first.lanes)

    # ------------------------------------------------------------ 16-bit floats

    def widen(self, bits: Ssa, dtype: DType) -> Ssa:
        """The value of 16 bits from memory."""
        if dtype.name == "bfloat16":
            wide = self.binary("shl", self.convert("zext", bits, uint32), self.const(16, uint32))
            return self._as(wide, dtype)
        if self.native_half:
            half = self.let(f"bitcast {bits.type} {bits.name} to {vector_type('half', bits.lanes)}")
            name = self.let(f"fpext {vector_type('half', bits.lanes)} {half} to {vector_type('float', bits.lanes)}")
            return Ssa(name, dtype, bits.lanes)
        return self._half_to_float(bits, dtype)

    def narrow(self, v: Ssa) -> Ssa:
        """The 16 bits of a value that is rounded already or not: round to nearest even."""
        if v.dtype.name == "bfloat16":
            return self._float_to_bfloat(v)
        if self.native_half:
            half = vector_type("half", v.lanes)
            made = self.let(f"fptrunc {v.type} {v.name} to {half}")
            name = self.let(f"bitcast {half} {made} to {vector_type('i16', v.lanes)}")
            return Ssa(name, uint16, v.lanes)
        return self._float_to_half(v)

    def rounded(self, v: Ssa, dtype: DType) -> Ssa:
        """A float32 computation as a value of a 16-bit dtype."""
        return self.widen(self.narrow(Ssa(v.name, dtype, v.lanes)), dtype)

    def _as(self, v: Ssa, dtype: DType) -> Ssa:
        """Bits as a float32 that stands for `dtype`."""
        return Ssa(self.let(f"bitcast {v.type} {v.name} to {vector_type('float', v.lanes)}"), dtype, v.lanes)

    def bits(self, v: Ssa) -> Ssa:
        """The bits of a float32 (or what stands for a 16-bit float) or a float64."""
        wide = v.dtype is float64
        kind = uint64 if wide else uint32
        return Ssa(self.let(f"bitcast {v.type} {v.name} to {vector_type(scalar_type(kind), v.lanes)}"), kind, v.lanes)

    def _float_to_bfloat(self, v: Ssa) -> Ssa:
        bits = self.bits(v)
        odd = self.binary("and", self.binary("lshr", bits, self.const(16, uint32)), self.const(1, uint32))
        up = self.binary("add", self.binary("add", bits, self.const(0x7FFF, uint32)), odd)
        nan = self.compare("uno", Ssa(v.name, float32, v.lanes), Ssa(v.name, float32, v.lanes))
        quiet = self.binary("or", bits, self.const(0x400000, uint32))
        kept = self.select(nan, quiet, up)
        return self.convert("trunc", self.binary("lshr", kept, self.const(16, uint32)), uint16)

    def _half_to_float(self, h: Ssa, dtype: DType) -> Ssa:
        """By a multiplication that normalises; infinities and NaN by a second addition to the exponent."""
        wide = self.convert("zext", h, uint32)
        sign = self.binary("shl", self.binary("and", wide, self.const(0x8000, uint32)), self.const(16, uint32))
        body = self.binary("shl", self.binary("and", wide, self.const(0x7FFF, uint32)), self.const(13, uint32))
        scaled = self.binary("fmul", self._as(body, float32), self.const(2.0**112, float32))
        special = self.compare("uge", body, self.const(0x7C00 << 13, uint32))
        raised = self.binary("or", self.bits(scaled), self.const(0xFF << 23, uint32))
        made = self.select(special, raised, self.bits(scaled))
        return self._as(self.binary("or", made, sign), dtype)

    def _float_to_half(self, v: Ssa) -> Ssa:
        """Round to nearest even on integers; values below the normal range by adding a magic number."""
        bits = self.bits(v)
        sign = self.binary("and", bits, self.const(0x80000000, uint32))
        body = self.binary("xor", bits, sign)
        value = self._as(body, float32)
        tiny = self.compare("ult", body, self.const(113 << 23, uint32))
        magic = ((127 - 15) + (23 - 10) + 1) << 23
        moved = self.binary("fadd", value, self._as(self.broadcast(self.const(magic, uint32), v.lanes), float32))
        small = self.binary("sub", self.bits(moved), self.const(magic, uint32))
        odd = self.binary("and", self.binary("lshr", body, self.const(13, uint32)), self.const(1, uint32))
        shifted = self.binary("add", self.binary("add", body, self.const(((15 - 127) << 23) + 0xFFF, uint32)), odd)
        normal = self.binary("lshr", shifted, self.const(13, uint32))
        over = self.compare("uge", body, self.const((127 + 16) << 23, uint32))
        nan = self.compare("ugt", body, self.const(0xFF << 23, uint32))
        special = self.select(nan, self.const(0x7E00, uint32), self.const(0x7C00, uint32))
        made = self.select(over, special, self.select(tiny, small, normal))
        made = self.binary("or", made, self.binary("lshr", sign, self.const(16, uint32)))
        return self.convert("trunc", made, uint16)


def flatten(lines: Lines) -> list[str]:
    """Nested lists as one."""
    out: list[str] = []
    stack: list[Any] = [iter(lines)]
    while stack:
        for line in stack[-1]:
            if isinstance(line, str):
                out.append(line)
            else:
                stack.append(iter(line))
                break
        else:
            stack.pop()
    return out
