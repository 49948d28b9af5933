"""Types of arguments that the public functions share, for annotations: `st.typing.ArrayLike` and so on.

The module stands below all others but `dtypes` and imports `Tensor` for type checkers only, so every package may use
it.

    import spiraltorch as st

    def scaled(x: st.typing.ArrayLike, axis: st.typing.Axis = None) -> st.Tensor:
        return st.asarray(x) / st.norm(x, axis=axis)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeAlias, Union

import numpy as np

from .dtypes import DType

if TYPE_CHECKING:
    from .tensor.tensor import Tensor

__all__ = [
    "ArrayLike", "Axis", "DTypeLike", "DeviceLike", "Index", "NDArray", "Nested", "Operand", "PyTree", "Scalar", "Shape",
    "ShapeLike", "SupportsArray", "SupportsDLPack",
]  # fmt: skip


NDArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""A NumPy array of any rank and dtype."""


class SupportsArray(Protocol):
    """An object that NumPy can convert, through `__array__`."""

    def __array__(self) -> NDArray: ...


class SupportsDLPack(Protocol):
    """An array of another library that can be exchanged through DLPack."""

    def __dlpack__(self) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


class Nested(Protocol):
    """A sequence of numbers, arrays, or such sequences. A string is none, since it contains only strings."""

    def __contains__(self, value: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ArrayLike]: ...
    def __getitem__(self, index: int, /) -> ArrayLike: ...


Scalar: TypeAlias = bool | int | float | np.generic
"""A number of Python or a scalar of NumPy. Beside a tensor both are weak, as in PyTorch: they take the tensor's dtype
unless their kind (bool, int, float) is higher. `x * np.float64(2)` is of x's dtype where that is floating; to compute in
another dtype, cast x. An array is not weak, with 0 axes either."""

Operand: TypeAlias = Union["Tensor", NDArray, Scalar]
"""What an operator accepts beside a tensor."""

ArrayLike: TypeAlias = Union[Operand, SupportsArray, SupportsDLPack, Nested]
"""What `st.asarray` accepts: a tensor, a number, an array, or (nested) sequences of them."""

DTypeLike: TypeAlias = DType | str | type | np.dtype[Any]
"""A dtype (`st.float32`), its name, `float`, `int`, `bool`, or a NumPy dtype or scalar type."""

DeviceLike: TypeAlias = str
"""The name of a device, as in `x.device`."""

Shape: TypeAlias = tuple[int, ...]
"""Extents, outermost first."""

ShapeLike: TypeAlias = int | Sequence[int]
"""The extents of a new tensor; an int stands for one axis."""

Axis: TypeAlias = int | Sequence[int] | None
"""One axis, several, or all of them (None). Negative axes count from the end."""

Index: TypeAlias = Union[
    SupportsIndex,
    slice,
    EllipsisType,
    "Tensor",
    NDArray,
    Sequence[int],
    Sequence[Sequence[int]],
    tuple["Index", ...],
    None,
]
"""The index in `x[...]`: ints, slices, `...`, None, and integer or boolean arrays."""

PyTree: TypeAlias = Any
"""Tensors and other values in nested lists, tuples, named tuples and dicts. Everything else is a leaf."""
