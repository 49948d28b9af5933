"""Distinct elements. Their number depends on the values, which are therefore evaluated immediately."""

from __future__ import annotations

from typing import Any, NamedTuple, overload

import numpy as np

from ...dtypes import bfloat16
from ...typing import ArrayLike, NDArray
from ..arguments import axis_of, torch_spellings
from ..creation import asarray
from ..dispatch import as_tensor
from ..tensor import Tensor
from .casting import host_values


class UniqueAll(NamedTuple):
    """The result of `unique_all`."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The result of `unique_counts`."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The result of `unique_inverse`."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: ArrayLike) -> UniqueAll:
    """Finds the distinct elements, where they stand, and how often.

    As in the array API no NaN equals another: each is an element of its own, at the end.

    Args:
        x: any shape and dtype; its value is evaluated immediately.

    Returns:
        A named tuple of `values`, the distinct elements in ascending order, 1-d and of x's dtype; `indices`, the first
        position of each in the flattened tensor; `inverse_indices`, of x's shape, the position of each element among
        the values; and `counts`. All but the values are int64.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.unique_all(st.tensor([3, 1, 3])).counts.tolist()
        [1, 2]
    """
    x = as_tensor(x)
    values, first, inverse, counts = np.unique(_sortable(x), True, True, True, equal_nan=False)
    parts = (values.astype(x.dtype.numpy), first, inverse.reshape(x.shape), counts)
    return UniqueAll(*[asarray(p, device=x.device) for p in parts])


def unique_counts(x: ArrayLike) -> UniqueCounts:
    """Finds the distinct elements and how often each occurs.

    Args:
        x: any shape and dtype; its value is evaluated immediately.

    Returns:
        A named tuple of `values`, in ascending order, 1-d and of x's dtype, and int64 `counts`. Each NaN is an element
        of its own.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.unique_counts(st.tensor([3, 1, 3]))]
        [[1, 3], [1, 2]]
    """
    distinct = unique_all(x)
    return UniqueCounts(distinct.values, distinct.counts)


def unique_inverse(x: ArrayLike) -> UniqueInverse:
    """Finds the distinct elements, and the position of each element among them.

    Args:
        x: any shape and dtype; its value is evaluated immediately.

    Returns:
        A named tuple of `values`, in ascending order, 1-d and of x's dtype, and int64 `inverse_indices` of x's shape:
        `values[inverse_indices]` is x. Each NaN is an element of its own.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.unique_inverse(st.tensor([3, 1, 3])).inverse_indices.tolist()
        [1, 0, 1]
    """
    distinct = unique_all(x)
    return UniqueInverse(distinct.values, distinct.inverse_indices)


def unique_values(x: ArrayLike) -> Tensor:
    """Finds the distinct elements.

    Args:
        x: any shape and dtype; its value is evaluated immediately.

    Returns:
        The distinct elements in ascending order, 1-d and of x's dtype. Each NaN is an element of its own.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.unique_values(st.tensor([3, 1, 3])).tolist()
        [1, 3]
    """
    x = as_tensor(x)
    return asarray(np.unique(_sortable(x), equal_nan=False).astype(x.dtype.numpy), device=x.device)


def _sortable(x: Tensor) -> NDArray:
    """The elements in a dtype that NumPy sorts with NaN last: it does not do so for bfloat16."""
    values = host_values(x, "unique")
    return values.astype(np.float32) if x.dtype is bfloat16 else values


@overload
def unique(x: ArrayLike, *, axis: int | None = None, equal_nan: bool = True, dim: int | None = None) -> Tensor: ...
@overload
def unique(
    x: ArrayLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    dim: int | None = None,
) -> Any: ...
@torch_spellings
def unique(
    x: ArrayLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Finds the distinct elements, or the distinct slices along an axis, as `numpy.unique` does.

    Args:
        x: any shape and dtype; its value is evaluated immediately.
        return_index: whether to return the first position of each, too.
        return_inverse: whether to return where each element stands among the distinct ones, too.
        return_counts: whether to return how often each occurs, too.
        axis: the axis whose slices are compared; by default elements are.
        equal_nan: whether all NaN are one element. They are not in `unique_values`, nor in the method `x.unique()`.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        The distinct elements in ascending order, 1-d, or x with the distinct slices; with the others asked for, a tuple of
        int64 tensors after it, in the order of the arguments.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.unique(st.tensor([3, 1, 3])).tolist()
        [1, 3]
        >>> [t.tolist() for t in st.unique(st.tensor([3, 1, 3]), return_counts=True)]
        [[1, 3], [1, 2]]
    """
    found = distinct_sorted(as_tensor(x), axis, equal_nan)
    asked = (True, return_index, return_inverse, return_counts)
    parts = tuple([part for part, wanted in zip(found, asked, strict=True) if wanted])
    return parts if len(parts) > 1 else parts[0]


def distinct_sorted(x: Tensor, axis: int | None, equal_nan: bool) -> UniqueAll:
    """The distinct elements, or slices along an axis, in ascending order, with all that is known about them."""
    values = _sortable(x)
    if axis is None:
        distinct, first, inverse, counts = np.unique(values, True, True, True, equal_nan=equal_nan)
        inverse = inverse.reshape(x.shape)
    else:
        d = axis_of(axis, x.ndim, "unique", scalar=False)
        distinct, first, inverse, counts = np.unique(values, True, True, True, d, equal_nan=equal_nan)
        inverse = inverse.reshape(-1)
    parts = (distinct.astype(x.dtype.numpy), first, inverse, counts)
    return UniqueAll(*[asarray(p, device=x.device) for p in parts])


def distinct_neighbours(x: Tensor, axis: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """What is left without elements, or slices, that equal the one before; where each stands; the lengths of runs."""
    values = host_values(x, "unique_consecutive")
    d = 0 if axis is None else axis_of(axis, x.ndim, "unique_consecutive", scalar=False)
    rows = values.reshape(-1, 1) if axis is None else np.moveaxis(values, d, 0).reshape(values.shape[d], -1)
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    kept = np.flatnonzero(begins)
    inverse = np.cumsum(begins) - 1
    counts = np.diff(np.append(kept, len(rows)))
    distinct = values.reshape(-1)[kept] if axis is None else np.take(values, kept, axis=d)
    shape = x.shape if axis is None else inverse.shape
    parts = (distinct, inverse.astype(np.int64).reshape(shape), counts.astype(np.int64))
    left, position, lengths = (asarray(p, device=x.device) for p in parts)
    return left, position, lengths
