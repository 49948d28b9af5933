"""Maxima, minima and their positions."""

from __future__ import annotations

from typing import NamedTuple

from ...typing import ArrayLike, Axis
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import P, as_tensor, nary, node_of
from ..tensor import Tensor
from .reduction import reduced


class Extreme(NamedTuple):
    """Elements that an order picks, and their positions along the axis."""

    values: Tensor
    indices: Tensor


@torch_spellings
def amax(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Finds the greatest element over axes.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN. Equal maxima share the
        gradient.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.amax(st.tensor([[1, 5], [3, 4]]), axis=0).tolist()
        [3, 5]
    """
    x = as_tensor(x)
    return reduced("reduce_max", x, axes_of(axis, x.ndim, "max"), keepdims)


@torch_spellings
def amin(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Finds the least element over axes.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN. Equal minima share the
        gradient.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.amin(st.tensor([[1, 5], [3, 4]]), axis=0).tolist()
        [1, 4]
    """
    x = as_tensor(x)
    return reduced("reduce_min", x, axes_of(axis, x.ndim, "min"), keepdims)


@torch_spellings
def max(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Finds the greatest element over axes; the array API's name for `amax`.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN. The method of this name
        gives a pair of values and positions along an axis, as PyTorch's does.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.max(st.tensor([1, 5, 3])).item()
        5
    """
    return amax(x, axis=axis, keepdims=keepdims)


@torch_spellings
def min(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Finds the least element over axes; the array API's name for `amin`.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN. The method of this name
        gives a pair of values and positions along an axis, as PyTorch's does.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.min(st.tensor([1, 5, 3])).item()
        1
    """
    return amin(x, axis=axis, keepdims=keepdims)


def _position(primitive: str, x: ArrayLike, axis: int | None, keepdims: bool) -> Tensor:
    """argmax or argmin along an axis, or of the flattened tensor."""
    x = as_tensor(x)
    if axis is None:
        result = nary(P[primitive], (node_of(x.reshape(-1)),), (0,))
        return result.reshape((1,) * x.ndim) if keepdims else result
    number = axis_of(axis, x.ndim, primitive)
    x = x.reshape((1,)) if x.ndim == 0 else x
    result = nary(P[primitive], (node_of(x),), (number,))
    return result.unsqueeze(number) if keepdims else result


@torch_spellings
def argmax(
    x: ArrayLike, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, keepdim: bool = False
) -> Tensor:
    """Finds the position of the greatest element, the first of equal ones.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        axis: the axis that is searched; by default the flattened tensor is.
        keepdims: whether the axis stays, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        An int64 tensor of x's shape without the axis.

    Raises:
        ArgumentError: there is no element.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.argmax(st.tensor([1, 5, 5])).item()
        1
    """
    return _position("argmax", x, axis, keepdims)


@torch_spellings
def argmin(
    x: ArrayLike, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, keepdim: bool = False
) -> Tensor:
    """Finds the position of the least element, the first of equal ones.

    Args:
        x: any shape and dtype. NaN counts as the least.
        axis: the axis that is searched; by default the flattened tensor is.
        keepdims: whether the axis stays, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        An int64 tensor of x's shape without the axis.

    Raises:
        ArgumentError: there is no element.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.argmin(st.tensor([3, 1, 1])).item()
        1
    """
    return _position("argmin", x, axis, keepdims)
