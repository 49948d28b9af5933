"""Data types: one object each, shared by the graph, the kernel IR and the backends.

`promote` is the array API's table, widened where the standard leaves a gap: an integer with a floating dtype gives the
floating dtype, float16 with bfloat16 gives float32, and uint64 with a signed integer gives float64, as in NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from .errors import DTypeError

if TYPE_CHECKING:
    from .typing import DTypeLike


class DType:
    """A data type. There is one object for each: compare with `is` or `==`.

    Attributes:
        name: as in `st.float32.name == "float32"`.
        kind: "b" for bool, "i" and "u" for signed and unsigned integers, "f" for floating dtypes.
        itemsize: the size of an element in bytes.
        bits: the number of significant bits: 1 for bool, else 8 for each byte.
        numpy: NumPy's dtype; for bfloat16 that of ml_dtypes. `numpy.dtype(st.float32)` gives it.

    Example:
        >>> import spiraltorch as st
        >>> st.float32.itemsize, st.float32.is_float
        (4, True)
    """

    __slots__ = ("bits", "itemsize", "kind", "name", "numpy")

    def __init__(self, name: str, kind: str, itemsize: int, numpy: Any) -> None:
        self.name = name
        self.kind = kind
        self.itemsize = itemsize
        self.bits = 1 if kind == "b" else itemsize * 8
        self.numpy: np.dtype[Any] = np.dtype(numpy)

    def __repr__(self) -> str:
        return f"spiraltorch.{self.name}"

    def __reduce__(self) -> str:
        return f"{self.name}_" if self.name == "bool" else self.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype, by the name under which `numpy.dtype(st.float32)` looks for it."""
        return self.numpy

    @property
    def is_float(self) -> bool:
        """Whether it is one of float16, bfloat16, float32 and float64."""
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        """Whether it is of integers, signed or unsigned."""
        return self.kind in "iu"

    @property
    def is_bool(self) -> bool:
        """Whether it is bool."""
        return self.kind == "b"


bool_ = DType("bool", "b", 1, np.bool_)
int8 = DType("int8", "i", 1, np.int8)
int16 = DType("int16", "i", 2, np.int16)
int32 = DType("int32", "i", 4, np.int32)
int64 = DType("int64", "i", 8, np.int64)
uint8 = DType("uint8", "u", 1, np.uint8)
uint16 = DType("uint16", "u", 2, np.uint16)
uint32 = DType("uint32", "u", 4, np.uint32)
uint64 = DType("uint64", "u", 8, np.uint64)
float16 = DType("float16", "f", 2, np.float16)
bfloat16 = DType("bfloat16", "f", 2, ml_dtypes.bfloat16)
float32 = DType("float32", "f", 4, np.float32)
float64 = DType("float64", "f", 8, np.float64)

ALL = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64,
)  # fmt: skip
BY_NAME = {d.name: d for d in ALL}
_BY_NUMPY = {d.numpy: d for d in ALL}
_SIGNED = {1: int8, 2: int16, 4: int32, 8: int64}

default_float = float32
default_int = int64


def from_numpy(dtype: object) -> DType:
    """Finds the data type of a NumPy dtype.

    Args:
        dtype: a NumPy dtype, or what `numpy.dtype` accepts.

    Returns:
        The data type.

    Raises:
        DTypeError: there is no such data type.

    Example:
        >>> import numpy as np
        >>> import spiraltorch as st
        >>> st.dtypes.from_numpy(np.int8)
        spiraltorch.int8
    """
    try:
        return _BY_NUMPY[np.dtype(dtype)]  # type: ignore[call-overload]  # anything else is an error below
    except (KeyError, TypeError, ValueError):
        raise DTypeError(
            f"[dtype] expected one of {', '.join(BY_NAME)}, got {dtype!r}; convert the data first"
        ) from None


def as_dtype(dtype: DTypeLike) -> DType:
    """Finds the data type that an argument names.

    Args:
        dtype: a data type, its name, `float` (float32), `int` (int64), `bool`, or a NumPy dtype.

    Returns:
        The data type.

    Raises:
        DTypeError: there is no such data type.

    Example:
        >>> import spiraltorch as st
        >>> st.dtypes.as_dtype("float16"), st.dtypes.as_dtype(int)
        (spiraltorch.float16, spiraltorch.int64)
    """
    if isinstance(dtype, DType):
        return dtype
    if dtype is float:
        return default_float
    if dtype is int:
        return default_int
    if dtype is bool:
        return bool_
    if isinstance(dtype, str) and dtype in BY_NAME:
        return BY_NAME[dtype]
    return from_numpy(dtype)


def _promote(a: DType, b: DType) -> DType:
    """One entry of the table of promotions."""
    if a is b or b.is_bool:
        return a
    if a.is_bool:
        return b
    if a.is_float or b.is_float:
        if not (a.is_float and b.is_float):
            return a if a.is_float else b
        if a.itemsize == b.itemsize:
            return float32  # float16 with bfloat16
        return a if a.itemsize > b.itemsize else b
    if a.kind == b.kind:
        return a if a.itemsize > b.itemsize else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    if signed.itemsize > unsigned.itemsize:
        return signed
    return _SIGNED.get(unsigned.itemsize * 2, float64)


_PROMOTED = {(a, b): _promote(a, b) for a in ALL for b in ALL}


def promote(a: DType, b: DType) -> DType:
    """Finds the dtype that the operands of a binary operation are promoted to.

    Args:
        a: the dtype of one operand.
        b: the dtype of the other.

    Returns:
        The common dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.dtypes.promote(st.int8, st.uint8)
        spiraltorch.int16
    """
    return _PROMOTED[a, b]


def scalar_dtype(value: object, other: DType) -> DType:
    """Finds the dtype of a Python number beside a tensor.

    Args:
        value: a bool, an int or a float, of Python or NumPy.
        other: the tensor's dtype.

    Returns:
        The tensor's dtype, unless the number's kind is higher: then the default dtype of that kind.

    Example:
        >>> import spiraltorch as st
        >>> st.dtypes.scalar_dtype(1, st.int8), st.dtypes.scalar_dtype(1.0, st.int8)
        (spiraltorch.int8, spiraltorch.float32)
    """
    if isinstance(value, (bool, np.bool_)):
        return other
    if isinstance(value, (int, np.integer)):
        return default_int if other.is_bool else other
    return other if other.is_float else default_float
