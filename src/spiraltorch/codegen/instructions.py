"""What the operations of the IR are spelled with: typed values, and the instructions that every renderer provides.

`operations` and `elementary` say once what each operation of the IR means, in terms of these instructions; a renderer
says how each instruction is written in its language. Names of instructions, predicates and intrinsics are LLVM's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..dtypes import DType, float32, float64, uint16, uint32, uint64

NARROW = ("float16", "bfloat16")  # computed as float32, rounded after each operation


@dataclass(frozen=True, slots=True)
class Ssa:
    """A value in the text. `lanes` is 1 for a scalar. 16-bit floats are held as float32 with an exactly rounded value."""

    name: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        """LLVM's name of the type."""
        return vector_type(scalar_type(self.dtype), self.lanes)


def scalar_type(dtype: DType) -> str:
    """LLVM's name of the type of a value in registers."""
    if dtype.is_float:
        return "double" if dtype.itemsize == 8 else "float"
    return f"i{dtype.bits}"


def vector_type(scalar: str, lanes: int) -> str:
    """`scalar`, or a vector of it."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


class Instructions(ABC):
    """What a renderer provides. Operands of one instruction have one dtype; lanes are matched by broadcasting."""

    library = False  # whether `libm` may be called
    double = False  # whether float32 functions may compute in float64, exactly and fast
    exact = False  # whether sums are done as written: drivers' compilers may take (x + c) - c for x

    @abstractmethod
    def const(self, value: Any, dtype: DType, lanes: int = 1) -> Ssa:
        """A number; NaN, infinities and signed zeros are kept."""

    @abstractmethod
    def broadcast(self, v: Ssa, lanes: int) -> Ssa:
        """The value in every lane."""

    @abstractmethod
    def binary(self, instruction: str, a: Ssa, b: Ssa, dtype: DType | None = None) -> Ssa:
        """`fadd`, `add`, `and`, `shl`, `sdiv`, ...: integers wrap at the width of their dtype."""

    @abstractmethod
    def compare(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        """`oeq`, `une`, `slt`, ...: a bool; predicates with `u` hold for NaN."""

    @abstractmethod
    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        """`a` where the condition holds, else `b`; neither is computed with."""

    @abstractmethod
    def convert(self, instruction: str, v: Ssa, dtype: DType) -> Ssa:
        """`sitofp`, `zext`, `trunc`, ... to `dtype`."""

    @abstractmethod
    def intrinsic(self, name: str, *args: Ssa, dtype: DType | None = None) -> Ssa:
        """`fabs`, `copysign`, `maximum`, `fmuladd`, ..."""

    @abstractmethod
    def negate(self, x: Ssa) -> Ssa:
        """A float with the other sign."""

    @abstractmethod
    def reinterpret(self, v: Ssa, dtype: DType) -> Ssa:
        """The same bits as a dtype of the same width; 16-bit floats are not meant."""

    @abstractmethod
    def saturate(self, v: Ssa, dtype: DType) -> Ssa:
        """A float as an integer: truncated, the nearest where it is out of range, 0 for NaN."""

    @abstractmethod
    def mulhi(self, a: Ssa, b: Ssa) -> Ssa:
        """The upper half of an integer product."""

    @abstractmethod
    def libm(self, name: str, *args: Ssa) -> Ssa:
        """A function of the C library; only where `library` says that there is one, and `fmod` everywhere."""

    @abstractmethod
    def or_else(self, rare: Ssa, fast: Ssa, slow: Callable[[], Ssa]) -> Ssa:
        """`fast`, but `slow()` in the lanes of `rare`; `slow` runs only where one of them is set."""

    def match(self, *args: Ssa) -> tuple[Ssa, ...]:
        """The values with the same number of lanes."""
        lanes = max(a.lanes for a in args)
        return tuple([self.broadcast(a, lanes) for a in args])

    # ------------------------------------------------------------ 16-bit floats

    def widen(self, bits: Ssa, dtype: DType) -> Ssa:
        """The value of 16 bits from memory."""
        if dtype.name == "bfloat16":
            wide = self.binary("shl", self.convert("zext", bits, uint32), self.const(16, uint32))
            return self._as(wide, dtype)
        return self.half_to_float(bits, dtype)

    def narrow(self, v: Ssa) -> Ssa:
        """The 16 bits of a value that is rounded already or not: round to nearest even."""
        if v.dtype.name == "bfloat16":
            return self._float_to_bfloat(v)
        return self.float_to_half(v)

    def rounded(self, v: Ssa, dtype: DType) -> Ssa:
        """A float32 computation as a value of a 16-bit dtype."""
        return self.widen(self.narrow(Ssa(v.name, dtype, v.lanes)), dtype)

    def bits(self, v: Ssa) -> Ssa:
        """The bits of a float32 (or what stands for a 16-bit float) or a float64."""
        wide = v.dtype is float64
        return self.reinterpret(v if wide else Ssa(v.name, float32, v.lanes), uint64 if wide else uint32)

    def _as(self, v: Ssa, dtype: DType) -> Ssa:
        """The bits of a float32 as the value that stands for a 16-bit `dtype`."""
        return Ssa(self.reinterpret(v, float32).name, dtype, v.lanes)

    def _float_to_bfloat(self, v: Ssa) -> Ssa:
        bits = self.bits(v)
        odd = self.binary("and", self.binary("lshr", bits, self.const(16, uint32)), self.const(1, uint32))
        up = self.binary("add", self.binary("add", bits, self.const(0x7FFF, uint32)), odd)
        nan = self.compare("uno", Ssa(v.name, float32, v.lanes), Ssa(v.name, float32, v.lanes))
        quiet = self.binary("or", bits, self.const(0x400000, uint32))
        kept = self.select(nan, quiet, up)
        return self.convert("trunc", self.binary("lshr", kept, self.const(16, uint32)), uint16)

    def half_to_float(self, h: Ssa, dtype: DType) -> Ssa:
        """By a multiplication that normalises; infinities and NaN by a second addition to the exponent."""
        wide = self.convert("zext", h, uint32)
        sign = self.binary("shl", self.binary("and", wide, self.const(0x8000, uint32)), self.const(16, uint32))
        body = self.binary("shl", self.binary("and", wide, self.const(0x7FFF, uint32)), self.const(13, uint32))
        scaled = self.binary("fmul", self._as(body, float32), self.const(2.0**112, float32))
        special = self.compare("uge", body, self.const(0x7C00 << 13, uint32))
        raised = self.binary("or", self.bits(scaled), self.const(0xFF << 23, uint32))
        made = self.select(special, raised, self.bits(scaled))
        return self._as(self.binary("or", made, sign), dtype)

    def float_to_half(self, v: Ssa) -> Ssa:
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
