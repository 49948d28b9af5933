"""Norms of matrices, and PyTorch's `norm` of vectors or matrices."""

from __future__ import annotations

import math

from ..dtypes import default_float
from ..errors import ArgumentError, ShapeError
from ..tensor.arguments import torch_spellings
from ..tensor.dispatch import as_tensor
from ..tensor.ops.extrema import amax, amin
from ..tensor.ops.norms import vector_norm
from ..tensor.ops.reduction import sum
from ..tensor.tensor import Tensor
from ..typing import ArrayLike, Axis


@torch_spellings
def matrix_norm(x: ArrayLike, keepdims: bool = False, ord: float | str = "fro", *, keepdim: bool = False) -> Tensor:
    """Computes a norm of matrices, in the last two axes.

    Args:
        x: shape (..., m, n). Integers and booleans are converted to float32.
        keepdims: whether the two axes stay, with extent 1.
        ord: "fro" for the root of the sum of squares; 1 or inf for the greatest sum of magnitudes of a column or a row,
            -1 or -inf for the least.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of shape (...).

    Raises:
        ShapeError: x has fewer than 2 axes.
        ArgumentError: `ord` is not one of these.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.matrix_norm(st.ones(2, 2)).item()
        2.0
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_norm] expected at least 2 axes, got shape {x.shape}; use vector_norm")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if isinstance(ord, str) or ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError(f"[matrix_norm] expected ord 'fro', 1, -1, inf or -inf, got {ord!r}; choose one")
    x = x if x.dtype.is_float else x.to(default_float)
    sums = sum(x.abs(), axis=-2 if abs(ord) == 1 else -1, keepdims=True)
    return (amax if ord > 0 else amin)(sums, axis=(-2, -1), keepdims=keepdims)


def norm(x: ArrayLike, ord: float | str | None = None, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Computes a norm of vectors or of matrices, as PyTorch's `linalg.norm` does.

    Args:
        x: any shape and dtype.
        ord: the norm, as in `vector_norm` and `matrix_norm`; by default the root of the sum of squares.
        dim: one axis for vectors; two axes for matrices where `ord` is given; all by default.
        keepdim: whether the axes stay, with extent 1.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        ArgumentError: there is no such norm of matrices.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.norm(st.tensor([3.0, 4.0])).item()
        5.0
    """
    if dim is None and ord is not None and as_tensor(x).ndim == 2:
        dim = (0, 1)
    if isinstance(dim, (tuple, list)) and len(dim) == 2 and ord is not None:
        moved = as_tensor(x).moveaxis(tuple(dim), (-2, -1))
        result = matrix_norm(moved, ord=ord)
        return result.unsqueeze(tuple(dim)) if keepdim else result
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if ord is None else ord)  # type: ignore[arg-type]
