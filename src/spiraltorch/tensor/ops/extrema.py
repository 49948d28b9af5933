"""Maxima, minima and their positions."""

from __future__ import annotations

from typing import Any, NamedTuple, overload

from ...typing import ArrayLike, Axis
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import P, as_tensor, nary, node_of
from ..tensor import Tensor
from .elementwise import maximum, minimum
from .gathering import take_along_axis
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


def max(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Finds the greatest element over axes; the array API's name for `amax`.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.max(st.tensor([1, 5, 3])).item()
        5
    """
    return amax(x, axis=axis, keepdims=keepdims)


def min(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Finds the least element over axes; the array API's name for `amin`.

    Args:
        x: any shape and dtype.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.

    Returns:
        A tensor of x's dtype, and of its shape without the axes. NaN where any element is NaN.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.min(st.tensor([1, 5, 3])).item()
        1
    """
    return amin(x, axis=axis, keepdims=keepdims)


@overload
def max_method(x: Tensor, other: Tensor, /) -> Tensor: ...
@overload
def max_method(x: Tensor, *, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def max_method(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
def max_method(x: Tensor, *args: object, **kwargs: object) -> Tensor | Extreme:
    """Finds the greatest element: over axes, along `dim` with its position, or element by element beside a tensor.

    Args:
        x: any shape and dtype.
        *args: another tensor, for the greater of both; or `axis` and `keepdims`, as in NumPy.
        **kwargs: PyTorch's `dim` and `keepdim`, which give a pair; or `axis` and `keepdims`.

    Returns:
        A tensor; with `dim`, its values and int64 indices, the first of equal elements.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[1, 5], [3, 4]])
        >>> x.max(axis=0).tolist(), x.max(dim=0).indices.tolist()
        ([3, 5], [1, 0])
    """
    return _extreme_method(x, "max", args, kwargs)


@overload
def min_method(x: Tensor, other: Tensor, /) -> Tensor: ...
@overload
def min_method(x: Tensor, *, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def min_method(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
def min_method(x: Tensor, *args: object, **kwargs: object) -> Tensor | Extreme:
    """Finds the least element: over axes, along `dim` with its position, or element by element beside a tensor.

    Args:
        x: any shape and dtype.
        *args: another tensor, for the lesser of both; or `axis` and `keepdims`, as in NumPy.
        **kwargs: PyTorch's `dim` and `keepdim`, which give a pair; or `axis` and `keepdims`.

    Returns:
        A tensor; with `dim`, its values and int64 indices, the first of equal elements.

    Raises:
        ArgumentError: there is no element, or an axis is given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[1, 5], [3, 4]])
        >>> x.min(axis=0).tolist(), x.min(dim=0).indices.tolist()
        ([1, 4], [0, 1])
    """
    return _extreme_method(x, "min", args, kwargs)


def _extreme_method(x: Tensor, which: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | Extreme:
    """PyTorch's `x.max(dim=0)` is a pair; `x.max(axis=0)` and `x.max()` follow NumPy; `x.max(y)` is element-wise."""
    if args and isinstance(args[0], Tensor):
        return (maximum if which == "max" else minimum)(x, args[0])
    if "dim" in kwargs:
        axis = axis_of(kwargs["dim"], x.ndim, which)
        keep = bool(kwargs.get("keepdim", kwargs.get("keepdims", False)))
        indices = (argmax if which == "max" else argmin)(x, axis=axis, keepdims=True)
        values = take_along_axis(x, indices, axis=axis)
        if keep:
            return Extreme(values, indices)
        return Extreme(values.squeeze(axis), indices.squeeze(axis))
    return (amax if which == "max" else amin)(x, *args, **kwargs)


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
