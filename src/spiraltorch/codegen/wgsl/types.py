"""WGSL's types and literals for the dtypes of the IR, by what the device has natively."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from ...dtypes import DType


@dataclass(frozen=True, slots=True)
class Features:
    """What a device has beyond WGSL's core. Without `half` 16-bit floats lie in words, without `wide` 64-bit integers are
    pairs of words, and without `double` there is no float64. `double` needs `wide`: bits of a float64 are one integer.

    >>> from spiraltorch.dtypes import int64
    >>> Features().type_of(int64), Features(wide=True).type_of(int64)
    ('vec2<u32>', 'i64')
    """

    half: bool = False
    wide: bool = False
    double: bool = False

    def __post_init__(self) -> None:
        if self.double and not self.wide:
            raise ValueError("[wgsl] double expected wide too, which its bits are read with")

    def is_pair(self, dtype: DType) -> bool:
        """Whether values of the dtype are two words."""
        return dtype.is_integer and dtype.itemsize == 8 and not self.wide

    def type_of(self, dtype: DType) -> str:
        """The WGSL type of a value. Raises `ValueError` where there is none."""
        if dtype.is_bool:
            return "bool"
        if dtype.is_float:
            if dtype.itemsize == 8 and not self.double:
                raise ValueError("[wgsl] float64 has no WGSL type without the feature shader-f64")
            return "f64" if dtype.itemsize == 8 else "f32"
        if self.is_pair(dtype):
            return "vec2<u32>"
        return ("i" if dtype.kind == "i" else "u") + ("64" if dtype.itemsize == 8 else "32")

    def is_packed(self, dtype: DType) -> bool:
        """Whether several elements share a word of the device's memory."""
        return dtype.itemsize < 4 and not (self.half and dtype.name == "float16")

    def element(self, dtype: DType) -> str:
        """The WGSL type of an element that has a place of its own in the device's memory."""
        return "f16" if dtype.name == "float16" else self.type_of(dtype)

    def literal(self, value: Any, dtype: DType) -> str:
        """A number; special floats go through their bits at run time."""
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
    """A normal number or zero as itself, anything else by its bits."""
    bits = int.from_bytes(struct.pack("<d" if double else "<f", value), "little")
    plain = math.isfinite(value) and (abs(value) >= (2.3e-308 if double else 1.2e-38) or bits == 0)
    if plain:
        return f"{value!r}{'lf' if double else 'f'}"
    return f"bits_f64({bits}lu)" if double else f"bits_f32({bits}u)"
