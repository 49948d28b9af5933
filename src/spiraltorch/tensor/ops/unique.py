"""Distinct elements. Their number depends on the values, which are therefore evaluated immediately."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...dtypes import bfloat16
from ...typing import ArrayLike, NDArray
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


def unique(x: ArrayLike) -> Tensor:
    """Finds the distinct elements; PyTorch's name for `unique_values`.

    Args:
        x: any shape and dtype; its value is evaluated immediately.

    Returns:
        The distinct elements in ascending order, 1-d and of x's dtype. Each NaN is an element of its own.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.unique(st.tensor([3, 1, 3])).tolist()
        [1, 3]
    """
    return unique_values(x)
