"""Elements picked by indices or masks, by name."""

from __future__ import annotations

from ...errors import ShapeError
from ...graph import build
from ...graph.primitives.elementwise import broadcast_shapes
from ...typing import ArrayLike, Shape
from ..arguments import axis_of, torch_spellings
from ..dispatch import P, as_tensor, as_tensors, nary, node_of
from ..tensor import Tensor
from .broadcasting import broadcast_arrays
from .index_checks import checked_indices
from .indexing import getitem


@torch_spellings
def take(x: ArrayLike, indices: ArrayLike, axis: int | None = None, *, dim: int | None = None) -> Tensor:
    """Gathers slices along an axis, one for each index.

    Args:
        x: any dtype. A 0-d tensor has one element along its axis 0.
        indices: integers in [-n, n), where n is the extent of the axis; any shape.
        axis: the axis; by default the flattened tensor is indexed.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype, with the axes of `indices` in place of the axis.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `indices` are not integers.

    Example:
        >>> import spiraltorch as st
        >>> st.take(st.tensor([10, 20, 30]), st.tensor([2, 0])).tolist()
        [30, 10]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    d = axis_of(axis, x.ndim, "take")
    x = at_least_1d(x)
    idx = checked_indices(as_tensor(indices, x), x.shape[d], "take")
    return nary(P["take"], (node_of(x), node_of(idx)), (d,))


@torch_spellings
def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int = -1, *, dim: int = -1) -> Tensor:
    """Gathers elements along an axis, one index for each position.

    Args:
        x: shape (..., n, ...), any dtype.
        indices: integers in [-n, n), of x's rank; other axes equal to x's or 1.
        axis: the axis that is indexed.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype and of the shape of `indices`, other axes broadcast against x's.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `indices` are not integers.
        ShapeError: the ranks differ, or the other axes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.take_along_axis(st.tensor([[3, 1, 2]]), st.tensor([[1]])).tolist()
        [[1]]
    """
    x, idx = as_tensors(x, indices)
    d = axis_of(axis, x.ndim, "take_along_axis")
    if x.ndim == 0 and idx.ndim < 2:
        return gather(x, 0, idx)
    if x.ndim != idx.ndim:
        raise ShapeError(
            f"[take_along_axis] expected equal numbers of axes, got {x.shape} and {idx.shape}; reshape the indices"
        )
    a, b = list(x.shape), list(idx.shape)
    a[d] = b[d] = 1
    common = list(broadcast_shapes("take_along_axis", tuple(a), tuple(b)))
    common[d] = x.shape[d]
    x = x.broadcast_to(tuple(common))
    common[d] = idx.shape[d]
    idx = checked_indices(idx, x.shape[d], "take_along_axis").broadcast_to(tuple(common))
    return nary(P["take_along"], (node_of(x), node_of(idx)), (d,))


def gather(x: ArrayLike, dim: int, index: ArrayLike) -> Tensor:
    """Gathers elements along an axis, one index for each position, as PyTorch's `gather`.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), of x's rank; other axes may be shorter than x's, whose rest is then left out. A 0-d
            tensor has one element along its axis 0.

    Returns:
        A tensor of x's dtype and of the shape of `index`.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: the ranks differ, or another axis of `index` is longer than x's.

    Example:
        >>> import spiraltorch as st
        >>> st.gather(st.tensor([[1, 2], [3, 4]]), 1, st.tensor([[1], [0]])).tolist()
        [[2], [3]]
    """
    x, index = as_tensors(x, index)
    d = axis_of(dim, x.ndim, "gather")
    shape = index.shape
    x, index = at_least_1d(x), at_least_1d(index)
    x = cropped(x, index.shape, d, "gather")
    result = nary(P["take_along"], (node_of(x), node_of(checked_indices(index, x.shape[d], "gather"))), (d,))
    return result if shape else result.reshape(())


def at_least_1d(x: Tensor) -> Tensor:
    """The tensor; a 0-d one as one of a single element, which it stands for where an axis is named, as in PyTorch."""
    return x if x.ndim else x.reshape(1)


def cropped(x: Tensor, shape: Shape, d: int, op: str) -> Tensor:
    """The leading part of x that has the given extents on all axes but `d`. Raises `ShapeError` where x is smaller."""
    if len(shape) != x.ndim or any(n > e for a, (n, e) in enumerate(zip(shape, x.shape, strict=True)) if a != d):
        raise ShapeError(
            f"[{op}] expected an index no larger than {x.shape} beside axis {d}, got {shape}; slice the index"
        )
    stops = tuple([x.shape[d] if a == d else n for a, n in enumerate(shape)])
    return Tensor(build.slice(node_of(x), (0,) * x.ndim, stops, (1,) * x.ndim))


def index_select(x: ArrayLike, dim: int, index: ArrayLike) -> Tensor:
    """Gathers slices along an axis; PyTorch's name for `take`.

    Args:
        x: any dtype. A 0-d tensor has one element along its axis 0, as in PyTorch.
        dim: the axis.
        index: integers in [-n, n), where n is the extent of the axis; any shape. A 0-d index is one of one element.

    Returns:
        A tensor of x's dtype, with the axes of `index` in place of the axis; 0-d for a 0-d x.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.

    Example:
        >>> import spiraltorch as st
        >>> st.index_select(st.tensor([10, 20, 30]), 0, st.tensor([2, 0])).tolist()
        [30, 10]
    """
    x, index = as_tensors(x, index)
    result = take(at_least_1d(x), at_least_1d(index), axis=axis_of(dim, x.ndim, "index_select"))
    if x.ndim:
        return result
    if result.size != 1:
        raise ShapeError(f"[index_select] expected one index for a 0-d tensor, got {index.shape}; use reshape(1) first")
    return result.reshape(())


def masked_select(x: ArrayLike, mask: ArrayLike) -> Tensor:
    """Picks the elements at which a mask holds, in row-major order.

    The value of the mask is evaluated immediately, because the result's shape depends on it.

    Args:
        x: any shape and dtype.
        mask: booleans, any shape that broadcasts with x's.

    Returns:
        A 1-d tensor of x's dtype.

    Raises:
        ShapeError: the shapes do not broadcast.
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.masked_select(st.tensor([1, 2]), st.tensor([True, False])).tolist()
        [1]
    """
    x, mask = broadcast_arrays(x, mask)
    return getitem(x, mask)
