"""The interface between operations and renderers: typed SSA values, and instructions on them.

`operations` and `math` define each operation of the IR once, as a sequence of these instructions; a renderer spells each
instruction in its language. Names of instructions, predicates and intrinsics are LLVM's.

Contract
- Operands of one instruction have one dtype, except where a method says otherwise. Values of fewer lanes are broadcast.
- A 16-bit float is held in registers as a float32 that has exactly its value, and is rounded after each operation. Integers
  wrap at the width of their dtype.
- Flags of `Instructions` say what a renderer's target can do; sequences depend on them, never on the renderer's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from ..dtypes import DType, float32, float64, uint16, uint32, uint64

NARROW = ("float16", "bfloat16")  # names of the dtypes that are computed in float32
Number = Union[bool, int, float]


@dataclass(frozen=True, slots=True)
class Ssa:
    """A value in the text: a name or a literal, its dtype, and its number of lanes, 1 for a scalar."""

    name: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        """The LLVM type of the value."""
        return vector_type(scalar_type(self.dtype), self.lanes)


def scalar_type(dtype: DType) -> str:
    """The LLVM type of a scalar of the dtype in registers."""
    if dtype.is_float:
        return "double" if dtype.itemsize == 8 else "float"
    return f"i{dtype.bits}"


def vector_type(scalar: str, lanes: int) -> str:
    """The LLVM type of a vector of `lanes` scalars; the scalar type where that is 1."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


class Instructions(ABC):
    """The instructions that a renderer provides; see the module's text."""

    has_libm = False  # whether the functions of the C library can be called
    fast_float64 = False  # whether functions of float32 may compute in float64
    exact_sums = False  # whether sums are computed as written; drivers' compilers may replace (x + c) - c by x

    @abstractmethod
    def const(self, value: Number, dtype: DType, lanes: int = 1) -> Ssa:
        """A constant, in every lane; NaN, infinities and signed zeros are kept."""

    @abstractmethod
    def broadcast(self, v: Ssa, lanes: int) -> Ssa:
        """The value in every lane."""

    @abstractmethod
    def binary(self, instruction: str, a: Ssa, b: Ssa, dtype: DType | None = None) -> Ssa:
        """`fadd`, `add`, `and`, `shl`, `sdiv`, ...; `dtype` is that of the result, if not of the operands."""

    @abstractmethod
    def compare(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        """`oeq`, `une`, `slt`, ...: a bool. For floats, predicates with `u` hold where an operand is NaN."""

    @abstractmethod
    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        """`a` where the condition holds, else `b`, unchanged."""

    @abstractmethod
    def convert(self, instruction: str, v: Ssa, dtype: DType) -> Ssa:
        """`sitofp`, `zext`, `trunc`, ...: the value converted to `dtype`."""

    @abstractmethod
    def intrinsic(self, name: str, *args: Ssa, dtype: DType | None = None) -> Ssa:
        """`fabs`, `copysign`, `maximum`, `fmuladd`, ...; `dtype` is that of the result, if not of the operands."""

    @abstractmethod
    def negate(self, x: Ssa) -> Ssa:
        """A float with its sign inverted."""

    @abstractmethod
    def reinterpret(self, v: Ssa, dtype: DType) -> Ssa:
        """The bits as another dtype of the same width; not of 16-bit floats, see `widen` and `narrow`."""

    @abstractmethod
    def saturate(self, v: Ssa, dtype: DType) -> Ssa:
        """A float as an integer: truncated, clamped to the dtype's range, 0 for NaN."""

    @abstractmethod
    def mulhi(self, a: Ssa, b: Ssa) -> Ssa:
        """The upper half of an integer product."""

    @abstractmethod
    def libm(self, name: str, *args: Ssa) -> Ssa:
        """A function of the C library. Without `has_libm` there is only `fmod`."""

    @abstractmethod
    def with_fallback(self, rare: Ssa, fast: Ssa, slow: Callable[[], Ssa]) -> Ssa:
        """`slow()` in the lanes where `rare` holds, else `fast`; a branch around `slow()` skips it where no lane needs it."""

    def broadcast_together(self, *args: Ssa) -> tuple[Ssa, ...]:
        """The values, all with the largest number of lanes among them."""
        lanes = max(a.lanes for a in args)
        return tuple([self.broadcast(a, lanes) for a in args])

    # ------------------------------------------------------------ 16-bit floats

    def widen(self, bits: Ssa, dtype: DType) -> Ssa:
        """The 16-bit float that has the bits of a uint16, as a value in registers."""
        if dtype.name == "bfloat16":
            wide = self.binary("shl", self.convert("zext", bits, uint32), self.const(16, uint32))
            return self._as(wide, dtype)
        return self.half_to_float(bits, dtype)

    def narrow(self, v: Ssa) -> Ssa:
        """The bits of a value rounded to its 16-bit dtype, to nearest with ties to even, as a uint16."""
        if v.dtype.name == "bfloat16":
            return self._float_to_bfloat(v)
        return self.float_to_half(v)

    def rounded(self, v: Ssa, dtype: DType) -> Ssa:
        """A float32 rounded to a 16-bit dtype."""
        return self.widen(self.narrow(Ssa(v.name, dtype, v.lanes)), dtype)

    def bits(self, v: Ssa) -> Ssa:
        """The bits of a float64, or of the float32 that holds a value of another float dtype, as an unsigned integer."""
        wide = v.dtype is float64
        return self.reinterpret(v if wide else Ssa(v.name, float32, v.lanes), uint64 if wide else uint32)

    def _as(self, v: Ssa, dtype: DType) -> Ssa:
        """The bits of a float32 as a value of a float dtype that is held as float32."""
        return Ssa(self.reinterpret(v, float32).name, dtype, v.lanes)

    def _float_to_bfloat(self, v: Ssa) -> Ssa:
        """The upper half of the bits after adding just under half a unit, or half a unit where the half above is odd."""
        bits = self.bits(v)
        odd = self.binary("and", self.binary("lshr", bits, self.const(16, uint32)), self.const(1, uint32))
        up = self.binary("add", self.binary("add", bits, self.const(0x7FFF, uint32)), odd)
        nan = self.compare("uno", Ssa(v.name, float32, v.lanes), Ssa(v.name, float32, v.lanes))
        quiet = self.binary("or", bits, self.const(0x400000, uint32))
        kept = self.select(nan, quiet, up)
        return self.convert("trunc", self.binary("lshr", kept, self.const(16, uint32)), uint16)

    def half_to_float(self, h: Ssa, dtype: DType) -> Ssa:
        """Moves the bits to where float32 has them, and multiplies by 2**112 for the exponent's bias, which normalizes
        subnormal numbers; the exponent of infinities and NaN is set (the method of Giesen, "Float->half variants", 2012).
        """
        wide = self.convert("zext", h, uint32)
        sign = self.binary("shl", self.binary("and", wide, self.const(0x8000, uint32)), self.const(16, uint32))
        body = self.binary("shl", self.binary("and", wide, self.const(0x7FFF, uint32)), self.const(13, uint32))
        scaled = self.binary("fmul", self._as(body, float32), self.const(2.0**112, float32))
        special = self.compare("uge", body, self.const(0x7C00 << 13, uint32))
        raised = self.binary("or", self.bits(scaled), self.const(0xFF << 23, uint32))
        result = self.select(special, raised, self.bits(scaled))
        return self._as(self.binary("or", result, sign), dtype)

    def float_to_half(self, v: Ssa) -> Ssa:
        """Rounds by integer addition as `_float_to_bfloat`; results below the normal range by adding a number whose last
        place is theirs (the method of Giesen, "Float->half variants", 2012)."""
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
        result = self.select(over, special, self.select(tiny, small, normal))
        result = self.binary("or", result, self.binary("lshr", sign, self.const(16, uint32)))
        return self.convert("trunc", result, uint16)
