"""Sums of exponentials without overflow: logsumexp, softmax and its logarithm."""

from __future__ import annotations

from ...dtypes import default_float
from ...typing import ArrayLike, Axis, DTypeLike
from ..arguments import axes_of, torch_spellings
from ..dispatch import as_tensor
from ..tensor import Tensor
from .casting import cast, in_float32, require_float
from .extrema import amax
from .logic import isfinite
from .reduction import sum
from .selection import where
from .unary import exp, log


def _largest(x: Tensor, axis: Axis) -> Tensor:
    """Maxima, without gradient, that keep exponentials from overflow; zeros where there are no elements."""
    largest = amax(x, axis=axis, keepdims=True) if x.size else sum(x, axis=axis, keepdims=True)
    return largest.detach()


@torch_spellings
def logsumexp(
    x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> Tensor:
    """Computes log(sum(e**x)) over axes without overflow.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes that are summed over; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of x's shape without the axes. -inf over no elements.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.logsumexp(st.tensor([1000.0, -1000.0])).item()
        1000.0
    """
    x = as_tensor(x)
    x = x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "logsumexp")
    if x.dtype.itemsize == 2:
        return in_float32(logsumexp, x, axis=axes, keepdims=keepdims)
    largest = _largest(x, axes)
    largest = where(isfinite(largest), largest, 0.0)
    total = log(sum(exp(x - largest), axis=axes, keepdims=True)) + largest
    return total if keepdims else total.squeeze(axes) if axes else total


@torch_spellings
def softmax(x: ArrayLike, axis: int = -1, dtype: DTypeLike | None = None, *, dim: int = -1) -> Tensor:
    """Computes e**x over its sum along an axis, without overflow.

    Args:
        x: any shape; floating dtypes.
        axis: the axis along which the results add up to 1.
        dtype: the dtype to which x is cast first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype, in [0, 1].

    Raises:
        DTypeError: x is not floating.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.softmax(st.tensor([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """
    x = as_tensor(x) if dtype is None else cast(x, dtype)
    require_float(x, "softmax")
    axes = axes_of(axis, x.ndim, "softmax")
    if x.dtype.itemsize == 2:
        return in_float32(softmax, x, axis=axes)
    powers = exp(x - _largest(x, axes))
    return powers / sum(powers, axis=axes, keepdims=True)


@torch_spellings
def log_softmax(x: ArrayLike, axis: int = -1, dtype: DTypeLike | None = None, *, dim: int = -1) -> Tensor:
    """Computes log(softmax(x)) along an axis, without overflow and without loss where the softmax is near 0.

    Args:
        x: any shape; floating dtypes.
        axis: the axis along which the exponentials of the results add up to 1.
        dtype: the dtype to which x is cast first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype, at most 0.

    Raises:
        DTypeError: x is not floating.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.log_softmax(st.tensor([1000.0, -1000.0])).tolist()
        [0.0, -2000.0]
    """
    x = as_tensor(x) if dtype is None else cast(x, dtype)
    require_float(x, "log_softmax")
    axes = axes_of(axis, x.ndim, "log_softmax")
    if x.dtype.itemsize == 2:
        return in_float32(log_softmax, x, axis=axes)
    shifted = x - _largest(x, axes)
    return shifted - log(sum(exp(shifted), axis=axes, keepdims=True))
