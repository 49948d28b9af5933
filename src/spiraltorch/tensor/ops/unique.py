"""Distinct elements."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from ...dtypes import bfloat16
from ..creation import asarray
from ..dispatch import handle
from ..tensor import Tensor
from .casting import host_values

UniqueAll = namedtuple("UniqueAll", ("values", "indices", "inverse_indices", "counts"))


UniqueCounts = namedtuple("UniqueCounts", ("values", "counts"))


UniqueInverse = namedtuple("UniqueInverse", ("values", "inverse_indices"))


def unique_all(x: Any) -> Any:
    """Distinct elements in order, the first place of each, each element's place among them, and their counts.

    As in the array API, no NaN equals another: each counts for itself, at the end.
    The value is needed at once, because the shape depends on it.

    >>> unique_all(handle([3, 1, 3])).counts.tolist()
    [1, 2]
    """
    x = handle(x)
    values, first, inverse, counts = np.unique(_sortable(x), True, True, True, equal_nan=False)
    parts = (values.astype(x.dtype.numpy), first, inverse.reshape(x.shape), counts)
    return UniqueAll(*[asarray(p, device=x.device) for p in parts])


def unique_counts(x: Any) -> Any:
    """Distinct elements in order and their counts; see `unique_all`.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unique_counts(st.tensor([3, 1, 3]))]
    [[1, 3], [1, 2]]
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> Any:
    """Distinct elements in order and each element's place among them; see `unique_all`.

    >>> import spiraltorch as st
    >>> unique_inverse(st.tensor([3, 1, 3])).inverse_indices.tolist()
    [1, 0, 1]
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Tensor:
    """Distinct elements in order; see `unique_all`.

    >>> import spiraltorch as st
    >>> unique_values(st.tensor([3, 1, 3])).tolist()
    [1, 3]
    """
    x = handle(x)
    return asarray(np.unique(_sortable(x), equal_nan=False).astype(x.dtype.numpy), device=x.device)


def _sortable(x: Tensor) -> Any:
    """The elements in a dtype that NumPy sorts with NaN last: it does not do so for bfloat16."""
    values = host_values(x, "unique")
    return values.astype(np.float32) if x.dtype is bfloat16 else values


def unique(x: Any) -> Tensor:
    """PyTorch's name of `unique_values`.

    >>> import spiraltorch as st
    >>> unique(st.tensor([3, 1, 3])).tolist()
    [1, 3]
    """
    return unique_values(x)
