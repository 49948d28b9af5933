"""Diagonals and powers of matrices in the last two axes."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, ShapeError
from ..tensor.dispatch import as_tensor
from ..tensor.ops import diagonals
from ..tensor.ops.contraction import matmul
from ..tensor.ranges import eye
from ..tensor.tensor import Tensor


def diagonal(x: Any, offset: int = 0) -> Tensor:
    """The diagonal of the last two axes, as the last axis.

    >>> import spiraltorch as st
    >>> diagonal(st.eye(2)).tolist()
    [1.0, 1.0]
    """
    return diagonals.diagonal(x, offset, -2, -1)


def matrix_power(x: Any, n: int) -> Tensor:
    """A square matrix multiplied with itself `n` times, n >= 0.

    >>> import spiraltorch as st
    >>> matrix_power(st.ones(2, 2), 3).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    x = as_tensor(x)
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
