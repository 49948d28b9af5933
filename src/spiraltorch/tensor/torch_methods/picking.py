"""PyTorch's methods that pick elements, find positions, and count."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np

from ...dtypes import float64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...typing import ArrayLike
from ..arguments import array_api_spellings
from ..creation import asarray
from ..dispatch import as_tensor
from ..ops import gathering, logic, selection, statistics
from ..ops.casting import cast, host_values
from ..ops.elementwise import clip
from ..ops.extrema import amax, amin
from ..ops.unary import sqrt
from ..ops.unique import distinct_neighbours, distinct_sorted
from ..tensor import Tensor


@array_api_spellings
def take(x: Tensor, index: ArrayLike, *, dim: int | None = None, axis: int | None = None) -> Tensor:
    """Gathers elements of the flattened tensor.

    Args:
        x: any shape and dtype.
        index: integers in [-n, n), where n is the number of elements; any shape.
        dim: an axis, to gather slices along it instead, as `st.take` does; PyTorch has `index_select` for that.
        axis: alias of `dim`.

    Returns:
        A tensor of x's dtype and of the shape of `index`.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n).
        DTypeError: `index` is not of integers.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).take(st.tensor([3, 0])).tolist()
        [4, 1]
    """
    return gathering.take(x, index, axis=dim)


@array_api_spellings
def take_along_dim(x: Tensor, indices: ArrayLike, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """Gathers elements along an axis, one index for each position.

    Args:
        x: any shape and dtype.
        indices: integers in [-n, n), of x's rank; other axes equal to x's or 1.
        dim: the axis that is indexed; by default both tensors are flattened.
        axis: alias of `dim`.

    Returns:
        A tensor of x's dtype; 1-d without an axis.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `indices` are not integers.
        ShapeError: the ranks differ, or the other axes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[3, 1], [2, 4]]).take_along_dim(st.tensor([[1], [0]]), 1).tolist()
        [[1], [2]]
    """
    if dim is None:
        return gathering.take_along_axis(x.reshape(-1), as_tensor(indices, x).reshape(-1), axis=0)
    return gathering.take_along_axis(x, indices, axis=dim)


@overload
def nonzero(x: Tensor, *, as_tuple: Literal[False] = False) -> Tensor: ...
@overload
def nonzero(x: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def nonzero(x: Tensor, *, as_tuple: bool = False) -> tuple[Tensor, ...] | Tensor:
    """Finds the positions of the elements that are not 0, as a matrix; `st.nonzero` gives a tensor for each axis.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: any shape and dtype.
        as_tuple: whether to return a tensor for each axis instead of one matrix; of a 0-d tensor, as of one element.

    Returns:
        An int64 tensor of shape (count, x.ndim), or a tuple with a 1-d int64 tensor for each axis.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0, 3, 4]).nonzero().tolist()
        [[1], [2]]
    """
    positions = np.argwhere(host_values(x, "nonzero"))
    if not as_tuple:
        return asarray(positions, device=x.device)
    return selection.nonzero(x if x.ndim else x.reshape(1))


def argwhere(x: Tensor) -> Tensor:
    """Finds the positions of the elements that are not 0, as a matrix.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: any shape and dtype.

    Returns:
        An int64 tensor of shape (count, x.ndim).

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[0, 3], [4, 0]]).argwhere().tolist()
        [[0, 1], [1, 0]]
    """
    return nonzero(x)


def equal(x: Tensor, other: ArrayLike) -> bool:
    """Tests whether shapes and all elements are equal; `st.equal` and `x.eq` compare element by element.

    The values are evaluated immediately.

    Args:
        x: any shape and dtype.
        other: any shape and dtype.

    Returns:
        Whether they are equal; NaN equals nothing.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).equal(st.tensor([1, 2]))
        True
    """
    return logic.array_equal(x, other)


@overload
def unique(x: Tensor, sorted: bool = True, *, dim: int | None = None) -> Tensor: ...
@overload
def unique(
    x: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any: ...
def unique(
    x: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Tensor | tuple[Tensor, ...]:
    """Finds the distinct elements, or the distinct slices along an axis.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: any shape and dtype. No NaN equals another.
        sorted: accepted for compatibility: they always come in ascending order.
        return_inverse: whether to return where each element stands among the distinct ones, too.
        return_counts: whether to return how often each occurs, too.
        dim: the axis whose slices are compared; by default elements are.

    Returns:
        The distinct elements, 1-d, or x with the distinct slices; with the others asked for, a tuple of int64 tensors
        after it.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([3, 1, 3]).unique(return_counts=True)]
        [[1, 3], [1, 2]]
    """
    parts = distinct_sorted(x, dim, equal_nan=False)
    return _chosen((parts.values, True), (parts.inverse_indices, return_inverse), (parts.counts, return_counts))


@overload
def unique_consecutive(x: Tensor, *, dim: int | None = None) -> Tensor: ...
@overload
def unique_consecutive(
    x: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any: ...
def unique_consecutive(
    x: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Tensor | tuple[Tensor, ...]:
    """Leaves out elements, or slices along an axis, that equal the one before.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: any shape and dtype. No NaN equals another.
        return_inverse: whether to return where each element stands in the result, too.
        return_counts: whether to return the length of each run of equal elements, too.
        dim: the axis whose slices are compared; by default elements are, in row-major order.

    Returns:
        The elements that remain, 1-d, or x with the slices that remain; with the others asked for, a tuple of int64
        tensors after it.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 1, 2, 2, 1]).unique_consecutive().tolist()
        [1, 2, 1]
    """
    values, inverse, counts = distinct_neighbours(x, dim)
    return _chosen((values, True), (inverse, return_inverse), (counts, return_counts))


def _chosen(*parts: tuple[Tensor, bool]) -> Tensor | tuple[Tensor, ...]:
    """Those parts of a result that were asked for; a single one by itself."""
    found = tuple([part for part, asked in parts if asked])
    return found if len(found) > 1 else found[0]


# ---------------------------------------------------------------- counts


def bincount(x: Tensor, weights: ArrayLike | None = None, minlength: int = 0) -> Tensor:
    """Counts how often each number occurs.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: integers of at least 0, 1-d.
        weights: what each element counts, of x's shape; 1 by default.
        minlength: the least number of counts.

    Returns:
        A 1-d tensor whose element i is the count of the number i: int64; with weights float64, float32 for float32.

    Raises:
        DTypeError: x is not of integers.
        ShapeError: x is not 1-d, or `weights` have another shape.
        ArgumentError: an element or `minlength` is negative.
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 3, 1]).bincount().tolist()
        [0, 2, 0, 1]
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"[bincount] expected integers, got {x.dtype.name}; cast with .to(st.int64)")
    if x.ndim != 1 or minlength < 0:
        raise ShapeError(f"[bincount] expected one axis and minlength >= 0, got {x.shape} and {minlength}; use ravel()")
    values = host_values(x, "bincount")
    if x.shape[0] and int(values.min()) < 0:
        raise ArgumentError(f"[bincount] expected numbers of at least 0, got {int(values.min())}; shift them")
    count = max(int(values.max()) + 1 if x.shape[0] else 0, minlength)
    if weights is None:
        counts = np.bincount(values.astype(np.int64), minlength=count)
        return asarray(counts.astype(np.int64), device=x.device)
    w = as_tensor(weights, x)
    if w.shape != x.shape:
        raise ShapeError(f"[bincount] expected weights of shape {x.shape}, got {w.shape}; reshape them")
    w = w if w.dtype.name == "float32" else cast(w, float64)
    return w.new_zeros(count).index_add(0, x, w)


def histc(x: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts the elements in each of a row of equal bins; elements outside are left out.

    Args:
        x: any shape, floating; it is flattened.
        bins: the number of bins.
        min: the lower end of the bins.
        max: the upper end. Where both ends are equal, the extremes of `x` are taken, whose value is then evaluated
            immediately.

    Returns:
        A 1-d tensor of x's dtype.

    Raises:
        ArgumentError: `bins` is less than 1, or the ends are not finite.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.0, 1.0, 1.5, 4.0]).histc(2).tolist()
        [3.0, 1.0]
    """
    if bins < 1:
        raise ArgumentError(f"[histc] expected at least 1 bin, got {bins}; pass a positive number")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(amin(x).item()), float(amax(x).item())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ArgumentError(f"[histc] expected finite ends, min before max, got {low} and {high}; pass min= and max=")
    flat = x.reshape(-1)
    inside = (flat >= low) & (flat <= high)
    position = clip(cast((selection.where(inside, flat, low) - low) * (bins / (high - low)), "int64"), 0, bins - 1)
    return x.new_zeros(bins).index_add(0, position, cast(inside, x.dtype))


def corrcoef(x: Tensor) -> Tensor:
    """Computes the matrix of correlation coefficients of variables over observations.

    Args:
        x: shape (variables, observations), or (observations,) for one variable. Integers are converted to float32.

    Returns:
        A floating tensor of shape (variables, variables), from -1 to 1; 0-d for one variable. NaN for a variable that
        does not vary.

    Raises:
        ShapeError: x has more than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).corrcoef().tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    products = statistics.cov(x)
    if products.ndim == 0:
        return products / products
    deviation = sqrt(products.diagonal())
    return clip(products / deviation.unsqueeze(1) / deviation.unsqueeze(0), -1, 1)
