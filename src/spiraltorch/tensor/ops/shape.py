"""Views with another shape: reshape, and axes added, removed, merged and split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

from ...dtypes import DType
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...typing import ArrayLike, Axis, ShapeLike
from ..aliasing import has_view
from ..arguments import axes_of, axis_of, sequence_argument, torch_spellings
from ..dispatch import as_tensor, node_of, view_of
from ..tensor import Tensor

_NO_VIEW = (
    "[{op}] expected a tensor whose elements lie at regular distances in a view of shape {shape}, got one whose elements "
    "do not, such as a transposed matrix; {remedy}"
)


def unpacked(arguments: tuple[Any, ...]) -> tuple[Any, ...] | list[Any]:
    """The ints that were given as separate arguments or as one sequence."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return arguments[0]
    return arguments


def reshape(x: ArrayLike, *shape: ShapeLike, copy: bool | None = None, **named: ShapeLike) -> Tensor:
    """Reshapes the tensor; the elements stay in row-major order.

    Args:
        x: any shape and dtype.
        *shape: the extents, as separate ints or as one sequence; one of them may be -1, which is computed.
        copy: True copies; False raises where the elements have to be copied. By default they are copied where they do
            not lie at regular distances, such as those of a transposed matrix that is flattened.
        **named: `shape`, the same as one sequence by name.

    Returns:
        A tensor of x's dtype and of the given shape: a view of x, or a copy.

    Raises:
        ShapeError: the shape has another number of elements, more than one -1, or is not of ints.
        ArgumentError: `copy` is False and the elements do not lie at regular distances.

    Example:
        >>> import spiraltorch as st
        >>> st.reshape(st.tensor([1, 2, 3, 4]), (2, -1)).tolist()
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    if named:
        shape = sequence_argument("reshape", shape, named, "shape")
    try:
        extents = [int(e.__index__()) for e in unpacked(shape)]
    except AttributeError:
        raise ShapeError(
            f"[reshape] expected extents that are ints, got {unpacked(shape)}; convert them first"
        ) from None
    unknown = [n for n, e in enumerate(extents) if e == -1]
    known = math.prod([e for e in extents if e != -1])
    if len(unknown) > 1 or any(e < -1 for e in extents):
        raise ShapeError(f"[reshape] expected extents >= 0 and at most one -1, got {tuple(extents)}; change the shape")
    if unknown:
        if known == 0 or x.size % known:
            raise ShapeError(
                f"[reshape] expected a shape with {x.size} elements, got {tuple(extents)} from {x.shape}; "
                "change the shape"
            )
        extents[unknown[0]] = x.size // known
    node = build.reshape(node_of(x), tuple(extents))
    if copy or not has_view(x, tuple(extents)):
        if copy is False:
            raise ArgumentError(_NO_VIEW.format(op="reshape", shape=tuple(extents), remedy="pass copy=None"))
        return Tensor(node)
    return view_of(x, node)


@torch_spellings
def squeeze(x: ArrayLike, axis: Axis = None, *, dim: Axis = None) -> Tensor:
    """Removes axes of extent 1.

    Args:
        x: any shape and dtype.
        axis: the axes to remove; by default all of extent 1. A single axis of another extent stays, as in PyTorch.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype without the axes.

    Raises:
        ShapeError: `axis` is a sequence and one of its axes has another extent than 1.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.squeeze(st.zeros(1, 3, 1)).shape
        (3,)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(x, tuple([e for e in x.shape if e != 1]))
    axes = axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes) and isinstance(axis, (tuple, list)):
        raise ShapeError(f"[squeeze] expected axes of extent 1, got axes {axes} of shape {x.shape}; choose other axes")
    return reshape(x, tuple([e for d, e in enumerate(x.shape) if d not in axes or e != 1]))


@overload
def unsqueeze(x: ArrayLike, axis: int | Sequence[int]) -> Tensor: ...
@overload
def unsqueeze(x: ArrayLike, *, dim: int | Sequence[int]) -> Tensor: ...
@torch_spellings  # type: ignore[misc]  # `dim` stands for the required `axis`
def unsqueeze(x: ArrayLike, axis: int | Sequence[int], *, dim: int | Sequence[int] = 0) -> Tensor:
    """Inserts axes of extent 1.

    Args:
        x: any shape and dtype.
        axis: the positions of the new axes in the result.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype with the new axes.

    Raises:
        IndexOutOfRange: a position lies outside the axes of the result.

    Example:
        >>> import spiraltorch as st
        >>> st.unsqueeze(st.zeros(3), -1).shape
        (3, 1)
    """
    x = as_tensor(x)
    axes = axes_of(axis, x.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1), "unsqueeze")
    shape = list(x.shape)
    for a in axes:
        shape.insert(a, 1)
    return reshape(x, tuple(shape))


@torch_spellings
def expand_dims(x: ArrayLike, axis: int | Sequence[int] = 0, *, dim: int | Sequence[int] = 0) -> Tensor:
    """Inserts axes of extent 1; the array API's name for `unsqueeze`.

    Args:
        x: any shape and dtype.
        axis: the positions of the new axes in the result.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype with the new axes.

    Raises:
        IndexOutOfRange: a position lies outside the axes of the result.

    Example:
        >>> import spiraltorch as st
        >>> st.expand_dims(st.zeros(3), axis=0).shape
        (1, 3)
    """
    return unsqueeze(x, axis=axis)


def flatten(x: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merges neighbouring axes into one.

    Args:
        x: any shape and dtype.
        start_dim: the first of the axes.
        end_dim: the last of the axes, included.

    Returns:
        A tensor of x's dtype with one axis in place of these; 1-d for a 0-d tensor.

    Raises:
        ArgumentError: `start_dim` comes after `end_dim`.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.flatten(st.zeros(2, 3, 4), 1).shape
        (2, 12)
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    a, b = axis_of(start_dim, x.ndim, "flatten"), axis_of(end_dim, x.ndim, "flatten")
    if a > b:
        raise ArgumentError(f"[flatten] expected start_dim <= end_dim, got {start_dim} and {end_dim}; swap them")
    return reshape(x, (*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


def ravel(x: ArrayLike) -> Tensor:
    """Merges all axes into one, in row-major order.

    Args:
        x: any shape and dtype.

    Returns:
        A 1-d tensor of x's dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.ravel(st.zeros(2, 3)).shape
        (6,)
    """
    return reshape(x, (as_tensor(x).size,))


def unflatten(x: ArrayLike, dim: int, sizes: Sequence[int]) -> Tensor:
    """Splits an axis into several.

    Args:
        x: any shape and dtype.
        dim: the axis.
        sizes: the extents of the new axes; one may be -1, which is computed.

    Returns:
        A tensor of x's dtype with the new axes in place of the old one.

    Raises:
        ShapeError: the product of `sizes` is not the extent of the axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.unflatten(st.zeros(6), 0, (2, -1)).shape
        (2, 3)
    """
    x = as_tensor(x)
    d = axis_of(dim, x.ndim, "unflatten")
    sizes = list(sizes)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.shape[d] // max(1, -math.prod(sizes))
    return reshape(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def view(x: ArrayLike, *shape: ShapeLike | DType, **named: ShapeLike | DType) -> Tensor:
    """Reshapes the tensor, or reinterprets its bits as another dtype, as PyTorch's `Tensor.view`.

    Args:
        x: any shape and dtype.
        *shape: the extents, as for `reshape`; or one dtype of the same size, to reinterpret the bits as.
        **named: `size` or `dtype`, the same by name.

    Returns:
        A view of x of the given shape, or of the given dtype.

    Raises:
        ShapeError: the shape has another number of elements.
        DTypeError: the dtype has another size.
        ArgumentError: x has no view of the shape, because its elements do not lie at regular distances.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(1).view(st.int32).tolist()
        [1065353216]
    """
    if named:
        shape = sequence_argument("view", shape, named, "size", "dtype")
    if len(shape) == 1 and isinstance(shape[0], DType):
        x = as_tensor(x)
        return view_of(x, build.bitcast(node_of(x), shape[0]))
    try:
        return reshape(x, *shape, copy=False)  # type: ignore[arg-type]
    except ArgumentError:
        raise ArgumentError(
            _NO_VIEW.format(op="view", shape=unpacked(shape), remedy="use .reshape(), which copies")
        ) from None
