"""PyTorch's methods that write elements at positions, as new tensors; the in-place variants are made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, ShapeError
from ...graph.primitives.elementwise import broadcast_shapes
from ...typing import ArrayLike
from ..arguments import axis_of
from ..dispatch import as_tensor
from ..ops import scatter as scattering
from ..ops.broadcasting import broadcast_to
from ..ops.casting import cast
from ..ops.gathering import at_least_1d, take
from ..ops.indexing import getitem, setitem
from ..ops.scan import cumsum
from ..ops.selection import where
from ..ranges import arange
from ..tensor import Tensor


def _at(d: int, key: object) -> tuple[object, ...]:
    """An index of one axis."""
    return (slice(None),) * d + (key,)


def scatter(
    x: Tensor,
    dim: int,
    index: ArrayLike,
    src: ArrayLike | None = None,
    *,
    value: float | None = None,
    reduce: str | None = None,
) -> Tensor:
    """Writes elements at indices along an axis, one index for each position.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), of x's rank; other axes may be shorter than x's, whose rest then stays.
        src: a number, or a tensor at least as large as `index`; it is cast to x's dtype.
        value: a number, in place of `src`.
        reduce: how an element is combined with the existing one: None replaces it (of equal indices the last wins),
            "add" or "sum", "multiply" or "prod", "amax", "amin".

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        ArgumentError: `reduce` is not one of these, or not exactly one of `src` and `value` is given.
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: the ranks differ, or `index` is too long on another axis.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).scatter(0, st.tensor([2]), value=5.0).tolist()
        [0.0, 0.0, 5.0]
    """
    if (src is None) == (value is None):
        raise ArgumentError("[scatter] expected one of src and value; pass one of them")
    return scattering.scatter(x, dim, index, src if src is not None else value, reduce)  # type: ignore[arg-type]


_IDENTITIES = {"sum": 0, "mean": 0, "prod": 1}


def scatter_reduce(
    x: Tensor, dim: int, index: ArrayLike, src: ArrayLike, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Combines elements at indices along an axis, one index for each position.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), of x's rank; other axes may be shorter than x's, whose rest then stays.
        src: a tensor at least as large as `index`; it is cast to x's dtype.
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the existing elements take part. Those without an index stay in any case.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        ArgumentError: `reduce` is not one of these.
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: the ranks differ, or `index` is too long on another axis.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).scatter_reduce(0, st.tensor([0, 0]), st.tensor([1.0, 3.0]), "mean", include_self=False).tolist()
        [2.0, 0.0]
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ArgumentError(
            f"[scatter_reduce] expected reduce of sum, prod, mean, amax, amin, got {reduce!r}; choose one"
        )
    idx = as_tensor(index, x)
    counts = scattering.scatter(x.new_zeros(x.shape, dtype=int64), dim, idx, 1, "sum")
    start = x if include_self else where(counts > 0, _identity(x, reduce), x)
    result = scattering.scatter(start, dim, idx, src, "sum" if reduce == "mean" else reduce)
    if reduce != "mean":
        return result
    number = counts + 1 if include_self else where(counts > 0, counts, 1)
    return result / cast(number, x.dtype) if x.dtype.is_float else cast(result // number, x.dtype)


def _identity(x: Tensor, reduce: str) -> float | bool:
    """The element that changes nothing under a reduction."""
    if reduce in _IDENTITIES:
        return _IDENTITIES[reduce]
    least = reduce == "amax"
    if x.dtype.is_float:
        return -np.inf if least else np.inf
    if x.dtype.is_bool:
        return not least
    info = np.iinfo(x.dtype.numpy)
    return int(info.min if least else info.max)


def index_copy(x: Tensor, dim: int, index: ArrayLike, source: ArrayLike) -> Tensor:
    """Writes slices at indices along an axis.

    Args:
        x: at least one axis, any dtype.
        dim: the axis.
        index: integers in [-n, n), 1-d. Of equal indices the last wins.
        source: one slice for each index: x's shape with the extent of `index` along the axis.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        ShapeError: `source` does not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).index_copy(0, st.tensor([2]), st.tensor([5.0])).tolist()
        [0.0, 0.0, 5.0]
    """
    d = axis_of(dim, x.ndim, "index_copy")
    idx, values = as_tensor(index, x), as_tensor(source, x)
    if x.ndim == 0:
        return index_copy(at_least_1d(x), d, idx, at_least_1d(values)).reshape(())
    wanted = (*x.shape[:d], idx.size, *x.shape[d + 1 :])
    if idx.ndim > 1 or values.shape != wanted:
        raise ShapeError(f"[index_copy] expected a source of shape {wanted}, got {values.shape}; reshape it")
    return setitem(x, _at(d, idx.reshape(-1)), values)  # type: ignore[arg-type]  # an index


def index_fill(x: Tensor, dim: int, index: ArrayLike, value: float | Tensor) -> Tensor:
    """Writes one number to slices at indices along an axis.

    Args:
        x: at least one axis, any dtype.
        dim: the axis.
        index: integers in [-n, n), 1-d.
        value: a number, or a 0-d tensor.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).index_fill(0, st.tensor([0, 2]), 5.0).tolist()
        [5.0, 0.0, 5.0]
    """
    d = axis_of(dim, x.ndim, "index_fill")
    if x.ndim == 0:
        return index_fill(at_least_1d(x), d, index, value).reshape(())
    return setitem(x, _at(d, as_tensor(index, x)), value)  # type: ignore[arg-type]  # an index


def index_put(x: Tensor, indices: Sequence[ArrayLike], values: ArrayLike, accumulate: bool = False) -> Tensor:
    """Writes values at positions that several indices give, as `x[indices] = values` does.

    Args:
        x: at least one axis, any dtype.
        indices: a tensor for each of the first axes: integers that broadcast with each other; or booleans.
        values: any shape that broadcasts to that of `x[indices]`.
        accumulate: whether values are added to the existing ones, all of equal positions.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an index lies outside its axis.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).index_put((st.tensor([1, 1]),), st.tensor([2.0, 3.0]), accumulate=True).tolist()
        [0.0, 5.0, 0.0]
    """
    key = tuple([as_tensor(i, x) for i in indices])
    if not accumulate:
        return setitem(x, key, values)
    positions = getitem(arange(int(x.size), device=x.device).reshape(x.shape), key)
    added = broadcast_to(cast(as_tensor(values, x), x.dtype), positions.shape)
    return scattering.index_add(x.reshape(-1), 0, positions.reshape(-1), added.reshape(-1)).reshape(x.shape)


def put(x: Tensor, index: ArrayLike, source: ArrayLike, accumulate: bool = False) -> Tensor:
    """Writes elements at indices of the flattened tensor.

    Args:
        x: any shape and dtype.
        index: integers in [-n, n), where n is the number of elements; any shape.
        source: a tensor of as many elements as `index`.
        accumulate: whether elements are added to the existing ones, all of equal indices.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n).
        ShapeError: the numbers of elements differ.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 2).put(st.tensor([3]), st.tensor([5.0])).tolist()
        [[0.0, 0.0], [0.0, 5.0]]
    """
    idx, values = as_tensor(index, x), as_tensor(source, x)
    if idx.size != values.size:
        raise ShapeError(f"[put] expected a source of {idx.size} elements, got {values.size}; change one of them")
    return index_put(x.reshape(-1), (idx.reshape(-1),), values.reshape(-1), accumulate).reshape(x.shape)


def masked_scatter(x: Tensor, mask: ArrayLike, source: ArrayLike) -> Tensor:
    """Writes the first elements of a source where a mask holds, in row-major order.

    Args:
        x: any shape and dtype.
        mask: booleans, any shape that broadcasts with x's.
        source: at least as many elements as the mask has true ones, any shape; it is cast to x's dtype.

    Returns:
        A new tensor of the common shape and of x's dtype.

    Raises:
        IndexOutOfRange: the source has too few elements.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).masked_scatter(st.tensor([True, False, True]), st.tensor([1.0, 2.0])).tolist()
        [1.0, 0.0, 2.0]
    """
    x, held = _broadcast(x, as_tensor(mask, x))
    values = cast(as_tensor(source, x), x.dtype).reshape(-1)
    if values.size == 0:  # no element can be read
        return setitem(x, held, values)
    order = cumsum(cast(held.reshape(-1), int64), axis=0) - 1
    positions = where(held, order.reshape(held.shape), 0)
    return where(held, take(values, positions, axis=0), x)


def _broadcast(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of their common shape."""
    shape = broadcast_shapes("masked_scatter", x.shape, y.shape)
    return broadcast_to(x, shape), broadcast_to(y, shape)


# ---------------------------------------------------------------- parts


def select_scatter(x: Tensor, src: ArrayLike, dim: int, index: int) -> Tensor:
    """Writes the slice at one position of an axis.

    Args:
        x: at least one axis, any dtype.
        src: a tensor of the shape of `x.select(dim, index)`.
        dim: the axis.
        index: the position; negative ones count from the end.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: there is no such position or axis.
        ShapeError: `src` has another shape.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 2).select_scatter(st.ones(2), 0, 1).tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    return _with_part(x, _at(axis_of(dim, x.ndim, "select_scatter", scalar=False), index), src, "select_scatter")


def slice_scatter(
    x: Tensor, src: ArrayLike, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """Writes a range of positions along an axis.

    Args:
        x: at least one axis, any dtype.
        src: a tensor of the shape of the range.
        dim: the axis.
        start: the first position; 0 by default.
        end: the position after the last; the extent by default.
        step: the distance between positions.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: there is no such axis.
        ShapeError: `src` has another shape.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(4).slice_scatter(st.ones(2), 0, 1, 3).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    d = axis_of(dim, x.ndim, "slice_scatter", scalar=False)
    return _with_part(x, _at(d, slice(start, end, step)), src, "slice_scatter")


def diagonal_scatter(x: Tensor, src: ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Writes a diagonal.

    Args:
        x: at least 2 axes, any dtype.
        src: a tensor of the shape of `x.diagonal(offset, dim1, dim2)`.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.
        dim1: the axis of rows.
        dim2: the axis of columns.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: there is no such axis.
        ShapeError: `src` has another shape.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 2).diagonal_scatter(st.ones(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    values = as_tensor(src, x)
    result: Tensor = x.clone()
    part = result.diagonal(offset, dim1, dim2)
    if values.shape != part.shape:
        raise ShapeError(f"[diagonal_scatter] expected a src of shape {part.shape}, got {values.shape}; reshape it")
    part.copy_(values)
    return result


def _with_part(x: Tensor, key: tuple[object, ...], src: ArrayLike, op: str) -> Tensor:
    """The tensor with a part replaced, which has to have the part's shape."""
    values, wanted = as_tensor(src, x), getitem(x, key).shape  # type: ignore[arg-type]  # an index
    if values.shape != wanted:
        raise ShapeError(f"[{op}] expected a src of shape {wanted}, got {values.shape}; reshape it")
    return setitem(x, key, values)  # type: ignore[arg-type]  # an index


def fill_diagonal_(x: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Writes a number to the main diagonal, in place.

    Args:
        x: at least 2 axes, any dtype; more than two have one extent.
        fill_value: the number.
        wrap: whether the diagonal of a matrix with more rows than columns goes on below, after one row left out.

    Returns:
        The tensor itself.

    Raises:
        ShapeError: x has fewer than 2 axes, or more of different extents.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 2).fill_diagonal_(5).tolist()
        [[5.0, 0.0], [0.0, 5.0]]
    """
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise ShapeError(f"[fill_diagonal_] expected a matrix, or axes of one extent, got shape {x.shape}; slice it")
    step = sum([math.prod(x.shape[d + 1 :]) for d in range(x.ndim)])
    stop = x.size if wrap else min(x.size, x.shape[-1] * x.shape[-1]) if x.ndim == 2 else x.size
    return x.copy_(setitem(x.reshape(-1), slice(0, stop, step), fill_value).reshape(x.shape))
