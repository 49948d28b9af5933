"""The WGSL types and literals of the dtypes of the IR, by the optional features of the device."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from ...dtypes import DType
from ..instructions import Number


@dataclass(frozen=True, slots=True)
class Features:
    """The optional types of a device.

    Without `f16`, 16-bit floats are stored in words; without `i64`, 64-bit integers are pairs of words; without `f64`
    there is no float64. `f64` requires `i64`: the bits of a float64 are one integer.

    >>> from spiraltorch.dtypes import int64
    >>> Features().type_of(int64), Features(i64=True).type_of(int64)
    ('vec2<u32>', 'i64')
    """

    f16: bool = False
    i64: bool = False
    f64: bool = False

    def __post_init__(self) -> None:
        if self.f64 and not self.i64:
            raise ValueError("[wgsl] f64 expected i64 too, which its bits are read with")

    def is_pair(self, dtype: DType) -> bool:
        """Whether values of the dtype are pairs of words."""
        return dtype.is_integer and dtype.itemsize == 8 and not self.i64

    def type_of(self, dtype: DType) -> str:
        """The WGSL type of a value. Raises `ValueError` where there is none."""
        if dtype.is_bool:
            return "bool"
        if dtype.is_float:
            if dtype.itemsize == 8 and not self.f64:
                raise ValueError("[wgsl] float64 has no WGSL type without the feature shader-f64")
            return "f64" if dtype.itemsize == 8 else "f32"
        if self.is_pair(dtype):
            return "vec2<u32>"
        return ("i" if dtype.kind == "i" else "u") + ("64" if dtype.itemsize == 8 else "32")

    def is_packed(self, dtype: DType) -> bool:
        """Whether several elements share a word of device memory."""
        return dtype.itemsize < 4 and not (self.f16 and dtype.name == "float16")

    def element(self, dtype: DType) -> str:
        """The WGSL type of an element that shares no word, in device memory."""
        return "f16" if dtype.name == "float16" else self.type_of(dtype)

    def literal(self, value: Number, dtype: DType) -> str:
        """A number as WGSL; floats without a literal (NaN, infinities, subnormal numbers) go through their bits."""
        if dtype.is_bool:
            return "true" if value else "false"
        if dtype.is_float:
            return _float(float(dtype.numpy.type(value)), dtype.itemsize == 8)
        bits = int(value) & ((1 << dtype.bits) - 1)
        if self.is_pair(dtype):
            return f"vec2<u32>({bits & 0xFFFFFFFF}u, {bits >> 32}u)"
        suffix = "l" if dtype.itemsize == 8 else ""
        if dtype.kind == "u":
            return f"{bits}{suffix}u"
        least = -(1 << 63 if suffix else 1 << 31)
        signed = bits - (1 << dtype.bits) if bits >> (dtype.bits - 1) else bits
        return f"{signed}{suffix}i" if signed > least else f"bitcast<{self.type_of(dtype)}>({-least}{suffix}u)"


CORE = Features()


def _float(value: float, double: bool) -> str:
    """A normal number or zero as a decimal literal, anything else by its bits, which no constant expression may be."""
    bits = int.from_bytes(struct.pack("<d" if double else "<f", value), "little")
    plain = math.isfinite(value) and (abs(value) >= (2.3e-308 if double else 1.2e-38) or bits == 0)
    if plain:
        return f"{value!r}{'lf' if double else 'f'}"
    return f"bits_f64({bits}lu)" if double else f"bits_f32({bits}u)"
