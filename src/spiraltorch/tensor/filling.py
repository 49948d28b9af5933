"""Tensors filled with one value."""

from __future__ import annotations

import numpy as np

from ..dtypes import as_dtype, bool_, default_float, default_int
from ..graph import build
from ..typing import DeviceLike, DTypeLike, ShapeLike
from .arguments import number_of, sequence_argument
from .creation import as_shape, device_name
from .dispatch import scalar_value
from .tensor import Tensor
from .tracing.tracer import node_of


def full(
    shape: ShapeLike,
    fill_value: float | Tensor,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Creates a tensor of one value.

    Args:
        shape: the extents.
        fill_value: the value of every element; a number, or a tensor that broadcasts to the shape.
        dtype: the dtype of the result; by default bool for a bool, int64 for an int, float32 for a float, a tensor's own.
        device: the device of the result; by default a tensor's own, else the default device.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype cannot hold the value.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.full((2,), 7).tolist()
        [7, 7]
    """
    if isinstance(fill_value, Tensor):
        value = Tensor(node_of(fill_value.to(dtype=dtype, device=device).expand(as_shape(shape, "full"))))
        return value.requires_grad_() if requires_grad else value
    fill_value = fill_value[()] if isinstance(fill_value, np.ndarray) and not fill_value.ndim else fill_value
    number = number_of(fill_value)
    fill_value = fill_value if number is None else number
    if dtype is None:
        dtype = bool_ if isinstance(fill_value, bool) else default_int if isinstance(fill_value, int) else default_float
    target = as_dtype(dtype)
    result = Tensor(build.full(as_shape(shape, "full"), scalar_value(fill_value, target), target, device_name(device)))
    return result.requires_grad_() if requires_grad else result


def zeros(
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor of zeros.

    Args:
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of the given shape.

    Raises:
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).tolist()
        [0.0, 0.0]
    """
    return full(_one_shape("zeros", shape, named), 0, dtype or default_float, device, requires_grad)


def ones(
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor of ones.

    Args:
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of the given shape.

    Raises:
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2).tolist()
        [1.0, 1.0]
    """
    return full(_one_shape("ones", shape, named), 1, dtype or default_float, device, requires_grad)


def empty(
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor whose values are to be written. Until then they are zeros.

    Args:
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of the given shape.

    Raises:
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.empty(2, 3).shape
        (2, 3)
    """
    return zeros(*shape, **named, dtype=dtype, device=device, requires_grad=requires_grad)


def _one_shape(op: str, shape: tuple[ShapeLike, ...], named: dict[str, ShapeLike]) -> ShapeLike:
    """What was given as separate ints or as one sequence, by position or by name."""
    if named:
        shape = sequence_argument(op, shape, named, "shape", "size")
    return shape[0] if len(shape) == 1 else shape  # type: ignore[return-value]  # several are ints


def _like(
    x: Tensor, value: float | Tensor, dtype: DTypeLike | None, device: DeviceLike | None, requires_grad: bool
) -> Tensor:
    """A tensor of one value in x's shape, dtype and device, unless others are given."""
    return full(x.shape, value, dtype or x.dtype, device or x.device, requires_grad)


def zeros_like(
    x: Tensor, dtype: DTypeLike | None = None, device: DeviceLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Creates a tensor of zeros of another tensor's shape.

    Args:
        x: the tensor that gives shape, dtype and device.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros_like(st.tensor([1, 2])).tolist()
        [0, 0]
    """
    return _like(x, 0, dtype, device, requires_grad)


def ones_like(
    x: Tensor, dtype: DTypeLike | None = None, device: DeviceLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Creates a tensor of ones of another tensor's shape.

    Args:
        x: the tensor that gives shape, dtype and device.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.ones_like(st.tensor([1, 2])).tolist()
        [1, 1]
    """
    return _like(x, 1, dtype, device, requires_grad)


def full_like(
    x: Tensor,
    fill_value: float | Tensor,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Creates a tensor of one value of another tensor's shape.

    Args:
        x: the tensor that gives shape, dtype and device.
        fill_value: the value of every element; a number, or a tensor that broadcasts to the shape.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of x's shape.

    Raises:
        DTypeError: the dtype cannot hold the value.

    Example:
        >>> import spiraltorch as st
        >>> st.full_like(st.tensor([1, 2]), 7).tolist()
        [7, 7]
    """
    return _like(x, fill_value, dtype, device, requires_grad)


def empty_like(
    x: Tensor, dtype: DTypeLike | None = None, device: DeviceLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Creates a tensor of another tensor's shape whose values are to be written. Until then they are zeros.

    Args:
        x: the tensor that gives shape, dtype and device.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.empty_like(st.tensor([1, 2])).shape
        (2,)
    """
    return _like(x, 0, dtype, device, requires_grad)


def new_zeros(
    x: Tensor,
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor of zeros, by default of this dtype and on this device.

    Args:
        x: the tensor that gives dtype and device.
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of zeros.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).new_zeros(2).tolist()
        [0, 0]
    """
    return zeros(*shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad, **named)


def new_ones(
    x: Tensor,
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor of ones, by default of this dtype and on this device.

    Args:
        x: the tensor that gives dtype and device.
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of ones.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).new_ones(2).tolist()
        [1, 1]
    """
    return ones(*shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad, **named)


def new_empty(
    x: Tensor,
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Creates a tensor whose values are to be written, by default of this dtype and on this device.

    Args:
        x: the tensor that gives dtype and device.
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.
        **named: `shape` or `size`, the extents as one sequence by name.

    Returns:
        A tensor of zeros.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).new_empty(2, 3).shape
        (2, 3)
    """
    return empty(*shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad, **named)


def new_full(
    x: Tensor,
    size: ShapeLike,
    fill_value: float | Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Creates a tensor of one value, by default of this dtype and on this device.

    Args:
        x: the tensor that gives dtype and device.
        size: the extents.
        fill_value: the value of every element.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype cannot hold the value.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).new_full((2,), 7).tolist()
        [7, 7]
    """
    return full(size, fill_value, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)
