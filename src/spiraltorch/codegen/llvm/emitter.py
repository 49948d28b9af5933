"""The instructions of `Instructions` as LLVM IR text, and the scopes of a function that they are written to.

Text is a tree of lines, so that a scope can receive lines after its inner scopes were written: this is how values are
hoisted out of loops.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Union

from ...dtypes import DType, bool_, float32, float64, uint16
from ...ir.expr import Buffer, Value
from ..instructions import NARROW, Instructions, Number, Ssa, scalar_type, vector_type

Lines = list[Union[str, "Lines"]]
LoadKey = tuple[Buffer, object, str, int]  # buffer, offset, name of the mask or condition, lanes


def memory_type(dtype: DType) -> str:
    """The LLVM type of an element in memory."""
    if dtype.name in NARROW:
        return "i16"
    return "i8" if dtype.is_bool else scalar_type(dtype)


def suffix(dtype: DType, lanes: int) -> str:
    """The overload suffix of an intrinsic."""
    base = {"double": "f64", "float": "f32"}.get(scalar_type(dtype), scalar_type(dtype))
    return base if lanes == 1 else f"v{lanes}{base}"


def constant(value: Number, dtype: DType) -> str:
    """A number as LLVM IR: floats as the hexadecimal bits of the double with the same value."""
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
    """The body of a function, a loop or a branch. `before` are the lines of the outer scope directly ahead of it."""

    __slots__ = ("before", "lines", "names", "values")

    def __init__(self, before: Lines, lines: Lines) -> None:
        self.before = before
        self.lines = lines
        self.names: dict[object, str] = {}  # hoisted here, by what they are computed from
        self.values: dict[int, tuple[Value, Ssa]] = {}  # hoisted here, by identity; the IR's value stays alive


class Emitter(Instructions):
    """The text of one function, for a processor that converts float16 itself (`native_half`) or does not."""

    has_libm = fast_float64 = exact_sums = True

    def __init__(self, native_half: bool) -> None:
        self.native_half = native_half
        self.counter = 0
        self.label = "entry"
        self.entry: Lines = []
        self.scopes: list[Scope] = [Scope([], [])]
        self.level: int | None = None  # the scope that is written to; None: the innermost
        self.declarations: set[str] = set()
        self.splats: dict[
            tuple[str, int], str
        ] = {}  # of the current basic block: vectors of one scalar, by (name, lanes)
        self.loads: dict[LoadKey, Ssa] = {}  # of the current basic block: elements that were read

    # ------------------------------------------------------------ scopes

    @property
    def depth(self) -> int:
        """The number of the scope that is written to."""
        return len(self.scopes) - 1 if self.level is None else self.level

    def sink(self) -> Lines:
        """The lines that are appended to."""
        if self.level is None or self.level == len(self.scopes) - 1:
            return self.scopes[-1].lines
        return self.scopes[self.level + 1].before

    def emit(self, line: str) -> None:
        """Appends a line to the current scope."""
        self.sink().append(line)

    def fresh(self) -> str:
        """A new name."""
        self.counter += 1
        return f"%v{self.counter}"

    def let(self, expression: str) -> str:
        """A new name for an expression."""
        self.counter += 1
        name = f"%v{self.counter}"
        self.sink().append(f"{name} = {expression}")
        return name

    def hoisted(self, depth: int, key: object, expression: Callable[[], str]) -> str:
        """The name of an expression in the scope `depth`, written there once for each key."""
        names = self.scopes[depth].names
        name = names.get(key)
        if name is None:
            place = self.scopes[depth + 1].before if depth + 1 < len(self.scopes) else self.scopes[depth].lines
            name = self.fresh()
            place.append(f"{name} = {expression()}")
            names[key] = name
        return name

    def start_block(self, label: str) -> None:
        """Begins a basic block, in which nothing is known of memory."""
        self.scopes[-1].lines.append(f"{label}:")
        self.label = label
        self.splats = {}
        self.loads = {}

    def declare(self, text: str) -> None:
        """Declares a function of LLVM or of the C library."""
        self.declarations.add(f"declare {text}")

    # ------------------------------------------------------------ instructions

    def const(self, value: Number, dtype: DType, lanes: int = 1) -> Ssa:
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
        name = self.splats.get((v.name, lanes))
        if name is None or self.level is not None:
            whole = vector_type(t, lanes)
            first = self.let(f"insertelement {whole} poison, {t} {v.name}, i32 0")
            name = self.let(f"shufflevector {whole} {first}, {whole} poison, <{lanes} x i32> zeroinitializer")
            if self.level is None:
                self.splats[v.name, lanes] = name
        return Ssa(name, v.dtype, lanes)

    def binary(self, instruction: str, a: Ssa, b: Ssa, dtype: DType | None = None) -> Ssa:
        a, b = self.broadcast_together(a, b)
        return Ssa(self.let(f"{instruction} {a.type} {a.name}, {b.name}"), dtype or a.dtype, a.lanes)

    def compare(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        a, b = self.broadcast_together(a, b)
        kind = "fcmp" if a.dtype.is_float else "icmp"
        return Ssa(self.let(f"{kind} {predicate} {a.type} {a.name}, {b.name}"), bool_, a.lanes)

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        condition, a, b = self.broadcast_together(condition, a, b)
        text = f"select {condition.type} {condition.name}, {a.type} {a.name}, {b.type} {b.name}"
        return Ssa(self.let(text), a.dtype, a.lanes)

    def convert(self, instruction: str, v: Ssa, dtype: DType) -> Ssa:
        target = vector_type(scalar_type(dtype), v.lanes)
        return Ssa(self.let(f"{instruction} {v.type} {v.name} to {target}"), dtype, v.lanes)

    def intrinsic(self, name: str, *args: Ssa, dtype: DType | None = None) -> Ssa:
        args = self.broadcast_together(*args)
        first = args[0]
        result = dtype or first.dtype
        function = f"@llvm.{name}.{suffix(first.dtype, first.lanes)}"
        type_ = vector_type(scalar_type(result), first.lanes)
        self.declare(f"{type_} {function}({', '.join(a.type for a in args)})")
        flags = "nsz " if name in ("maximum", "minimum") else ""  # NumPy does not specify which zero is greater
        text = f"call {flags}{type_} {function}({', '.join(f'{a.type} {a.name}' for a in args)})"
        return Ssa(self.let(text), result, first.lanes)

    def libm(self, name: str, *args: Ssa) -> Ssa:
        """A function of the C library, lane by lane."""
        args = self.broadcast_together(*args)
        first = args[0]
        t = scalar_type(first.dtype)
        symbol = name if t == "double" else f"{name}f"
        self.declare(f"{t} @{symbol}({', '.join([t] * len(args))})")
        if first.lanes == 1:
            inside = ", ".join(f"{t} {a.name}" for a in args)
            return Ssa(self.let(f"call {t} @{symbol}({inside})"), first.dtype)
        result = "poison"
        for lane in range(first.lanes):
            parts = [self.let(f"extractelement {a.type} {a.name}, i32 {lane}") for a in args]
            one = self.let(f"call {t} @{symbol}({', '.join(f'{t} {p}' for p in parts)})")
            result = self.let(f"insertelement {first.type} {result}, {t} {one}, i32 {lane}")
        return Ssa(result, first.dtype, first.lanes)

    def negate(self, x: Ssa) -> Ssa:
        return Ssa(self.let(f"fneg {x.type} {x.name}"), x.dtype, x.lanes)

    def reinterpret(self, v: Ssa, dtype: DType) -> Ssa:
        result = Ssa(v.name, dtype, v.lanes)
        return (
            result
            if result.type == v.type
            else Ssa(self.let(f"bitcast {v.type} {v.name} to {result.type}"), dtype, v.lanes)
        )

    def saturate(self, v: Ssa, dtype: DType) -> Ssa:
        name = "fptosi.sat" if dtype.kind == "i" else "fptoui.sat"
        type_ = vector_type(scalar_type(dtype), v.lanes)
        own = ("" if v.lanes == 1 else f"v{v.lanes}") + scalar_type(dtype)
        float_ = ("" if v.lanes == 1 else f"v{v.lanes}") + ("f64" if v.dtype is float64 else "f32")
        symbol = f"@llvm.{name}.{own}.{float_}"
        self.declare(f"{type_} {symbol}({v.type})")
        return Ssa(self.let(f"call {type_} {symbol}({v.type} {v.name})"), dtype, v.lanes)

    def mulhi(self, a: Ssa, b: Ssa) -> Ssa:
        dtype = a.dtype
        a, b = self.broadcast_together(a, b)
        wide = vector_type(f"i{dtype.bits * 2}", a.lanes)
        extend = "sext" if dtype.kind == "i" else "zext"
        left = self.let(f"{extend} {a.type} {a.name} to {wide}")
        right = self.let(f"{extend} {b.type} {b.name} to {wide}")
        product = self.let(f"mul {wide} {left}, {right}")
        amount = str(dtype.bits) if a.lanes == 1 else f"splat (i{dtype.bits * 2} {dtype.bits})"
        high = self.let(f"lshr {wide} {product}, {amount}")
        return Ssa(self.let(f"trunc {wide} {high} to {a.type}"), dtype, a.lanes)

    def with_fallback(self, rare: Ssa, fast: Ssa, slow: Callable[[], Ssa]) -> Ssa:
        symbol = f"@llvm.vector.reduce.or.v{rare.lanes}i1"
        self.declare(f"i1 {symbol}({rare.type})")
        any_rare = self.let(f"call i1 {symbol}({rare.type} {rare.name})")
        self.counter += 1
        origin, then, end = self.label, f"rare{self.counter}", f"usual{self.counter}"
        self.emit(f"br i1 {any_rare}, label %{then}, label %{end}")
        self.emit(f"{then}:")
        other = self.select(rare, slow(), fast)
        self.emit(f"br label %{end}")
        self.emit(f"{end}:")
        self.label = end
        result = self.let(f"phi {fast.type} [{fast.name}, %{origin}], [{other.name}, %{then}]")
        return Ssa(result, fast.dtype, fast.lanes)

    def half_to_float(self, h: Ssa, dtype: DType) -> Ssa:
        if not self.native_half:
            return super().half_to_float(h, dtype)
        half = self.let(f"bitcast {h.type} {h.name} to {vector_type('half', h.lanes)}")
        name = self.let(f"fpext {vector_type('half', h.lanes)} {half} to {vector_type('float', h.lanes)}")
        return Ssa(name, dtype, h.lanes)

    def float_to_half(self, v: Ssa) -> Ssa:
        if not self.native_half:
            return super().float_to_half(v)
        half = vector_type("half", v.lanes)
        result = self.let(f"fptrunc {v.type} {v.name} to {half}")
        name = self.let(f"bitcast {half} {result} to {vector_type('i16', v.lanes)}")
        return Ssa(name, uint16, v.lanes)


_REDUCTIONS = {
    "add": ("fadd", "add"), "mul": ("fmul", "mul"), "max": ("fmaximum", "max"), "min": ("fminimum", "min"),
}  # fmt: skip


def reduce_lanes(e: Emitter, op: str, v: Ssa) -> Ssa:
    """The lanes of a vector combined by `op`, in any order."""
    dtype = v.dtype
    floating, integral = _REDUCTIONS[op]
    if dtype.is_bool:
        name, start = ("or" if op in ("add", "max") else "and"), ""
    elif dtype.is_float:
        name, start = floating, {"add": "0.0", "mul": "1.0"}.get(op, "")
    else:
        name = integral if integral in ("add", "mul") else ("s" if dtype.kind == "i" else "u") + integral
        start = ""
    t = scalar_type(dtype)
    own = f"v{v.lanes}" + {"double": "f64", "float": "f32"}.get(t, t)
    symbol = f"@llvm.vector.reduce.{name}.{own}"
    if start:
        e.declare(f"{t} {symbol}({t}, {v.type})")
        result = e.let(f"call reassoc {t} {symbol}({t} {'-0.0' if op == 'add' else start}, {v.type} {v.name})")
    else:
        e.declare(f"{t} {symbol}({v.type})")
        flags = "nsz " if dtype.is_float else ""
        result = e.let(f"call {flags}{t} {symbol}({v.type} {v.name})")
    scalar = Ssa(result, dtype)
    return e.rounded(Ssa(result, float32), dtype) if dtype.name in NARROW else scalar


def flatten(lines: Lines) -> list[str]:
    """The lines of a tree, in order."""
    out: list[str] = []
    stack = [iter(lines)]
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
