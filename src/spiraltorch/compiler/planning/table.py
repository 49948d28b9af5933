"""The layout of a program's table of arguments: one slot of 8 bytes each for pointers, then for scalars.

The slots are, in this order: the plan's leaves, its outputs, the arena of intermediate values, and the varying scalars.
Pointers are values of `Buffer.ptr`. A scalar has its own dtype in the first bytes of its slot.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Union

import numpy as np

from ...dtypes import DType, bfloat16

Number = Union[bool, int, float]
SCALAR_FORMATS = {
    "bool": "?7x", "int8": "b7x", "int16": "h6x", "int32": "i4x", "int64": "q", "uint8": "B7x", "uint16": "H6x",
    "uint32": "I4x", "uint64": "Q", "float16": "e6x", "bfloat16": "H6x", "float32": "f4x", "float64": "d",
}  # fmt: skip  # for `struct`, which has no bfloat16: its bits are packed


class TableLayout:
    """The table of programs with `pointers` pointers and scalars of these dtypes.

    Attributes:
        pack: `struct`'s packing function: `pack(table, 0, *pointers, *scalars)`.
        slots: the number of slots.
        converts: whether a scalar has to be converted before it can be packed, as bfloat16 has.
    """

    __slots__ = ("converts", "pack", "scalars", "slots")

    def __init__(self, pointers: int, scalars: Sequence[DType]) -> None:
        self.scalars = scalars
        self.slots = pointers + len(scalars)
        self.converts = bfloat16 in scalars
        formats = "".join([SCALAR_FORMATS[d.name] for d in scalars])
        self.pack: Callable[..., None] = struct.Struct(f"={pointers}Q{formats}").pack_into

    def fill(self, table: ctypes.Array[ctypes.c_char], pointers: Sequence[int], scalars: Sequence[Number]) -> None:
        """Writes the arguments of the next run."""
        if self.converts:
            scalars = [bfloat16_bits(s) if d is bfloat16 else s for s, d in zip(scalars, self.scalars, strict=True)]
        try:
            self.pack(table, 0, *pointers, *scalars)
        except OverflowError:  # a float beyond its dtype's range is infinite there
            self.pack(table, 0, *pointers, *[_rounded(s, d) for s, d in zip(scalars, self.scalars, strict=True)])


def bfloat16_bits(x: Number) -> int:
    """The 16 bits of a number as bfloat16."""
    return int(np.asarray(x, bfloat16.numpy).view(np.uint16))


def _rounded(x: Number, dtype: DType) -> Number:
    """A number as a floating dtype has it: infinite beyond its range. Others are left as they are."""
    if not dtype.is_float or dtype is bfloat16:
        return x
    with np.errstate(over="ignore"):
        return float(dtype.numpy.type(x))
