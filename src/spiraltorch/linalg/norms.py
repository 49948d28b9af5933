"""Norms of matrices, and PyTorch's `norm` of vectors or matrices."""

from __future__ import annotations

import math
from typing import Any

from ..errors import ArgumentError, ShapeError
from ..tensor.dispatch import as_tensor
from ..tensor.ops.extrema import amax, amin
from ..tensor.ops.norms import vector_norm
from ..tensor.ops.reduction import sum
from ..tensor.tensor import Tensor


def matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Tensor:  # the standard's name
    """A norm of matrices in the last two axes: 'fro', 1, -1, inf or -inf. Raises `ArgumentError` for another.

    >>> import spiraltorch as st
    >>> matrix_norm(st.ones(2, 2)).item()
    2.0
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_norm] expected at least 2 axes, got shape {x.shape}; use vector_norm")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError(f"[matrix_norm] expected ord 'fro', 1, -1, inf or -inf, got {ord!r}")
    sums = sum(x.abs(), axis=-2 if abs(ord) == 1 else -1, keepdims=True)
    return (amax if ord > 0 else amin)(sums, axis=(-2, -1), keepdims=keepdims)


def norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Tensor:  # PyTorch's name
    """PyTorch's norm: of vectors, or of matrices where `ord` is given and two axes are meant.

    >>> import spiraltorch as st
    >>> norm(st.tensor([3.0, 4.0])).item()
    5.0
    """
    if dim is None and ord is not None and as_tensor(x).ndim == 2:
        dim = (0, 1)
    if isinstance(dim, (tuple, list)) and len(dim) == 2 and ord is not None:
        moved = as_tensor(x).moveaxis(tuple(dim), (-2, -1))
        made = matrix_norm(moved, ord=ord)
        return made.unsqueeze(tuple(dim)) if keepdim else made
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if ord is None else ord)
