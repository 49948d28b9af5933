"""`spiraltorch.linalg`: the array API's linear algebra that needs no decomposition."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError, ShapeError
from ..dispatch import handle
from ..tensor import Tensor
from . import reduction
from .contraction import cross, matmul, multi_dot, outer, tensordot, vecdot
from .reduction import vector_norm
from .shape import matrix_transpose
from .slicing import diagonal as _diagonal
from .slicing import trace

__all__ = [
    "cross", "diagonal", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


def diagonal(x: Any, offset: int = 0) -> Tensor:
    """The diagonal of the last two axes, as the last axis.

    >>> import spiraltorch as st
    >>> diagonal(st.eye(2)).tolist()
    [1.0, 1.0]
    """
    return _diagonal(x, offset, -2, -1)


def matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Tensor:  # the standard's name
    """A norm of matrices in the last two axes: 'fro', 1, -1, inf or -inf. Raises `ArgumentError` for another.

    >>> import spiraltorch as st
    >>> matrix_norm(st.ones(2, 2)).item()
    2.0
    """
    x = handle(x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_norm] expected at least 2 axes, got shape {x.shape}; use vector_norm")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError(f"[matrix_norm] expected ord 'fro', 1, -1, inf or -inf, got {ord!r}")
    sums = reduction.sum(x.abs(), axis=-2 if abs(ord) == 1 else -1, keepdims=True)
    pick = reduction.amax if ord > 0 else reduction.amin
    return pick(sums, axis=(-2, -1), keepdims=keepdims)


def matrix_power(x: Any, n: int) -> Tensor:
    """A square matrix multiplied with itself `n` times, n >= 0.

    >>> import spiraltorch as st
    >>> matrix_power(st.ones(2, 2), 3).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    from ..creation import eye

    x = handle(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"[matrix_power] expected square matrices, got shape {x.shape}")
    if not isinstance(n, int) or n < 0:
        raise ArgumentError(f"[matrix_power] expected an int n >= 0, got {n}; inverses are not provided")
    made: Tensor | None = None
    while n:
        if n & 1:
            made = x if made is None else matmul(made, x)
        n >>= 1
        x = matmul(x, x) if n else x
    return eye(x.shape[-1], dtype=x.dtype, device=x.device).broadcast_to(x.shape) if made is None else made


def norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Tensor:  # PyTorch's name
    """PyTorch's norm: of vectors, or of matrices where `ord` is given and two axes are meant.

    >>> import spiraltorch as st
    >>> norm(st.tensor([3.0, 4.0])).item()
    5.0
    """
    if dim is None and ord is not None and handle(x).ndim == 2:
        dim = (0, 1)
    if isinstance(dim, (tuple, list)) and len(dim) == 2 and ord is not None:
        moved = handle(x).moveaxis(tuple(dim), (-2, -1))
        made = matrix_norm(moved, ord=ord)
        return made.unsqueeze(tuple(dim)) if keepdim else made
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if ord is None else ord)
