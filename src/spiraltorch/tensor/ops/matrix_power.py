"""Powers of matrices."""

from __future__ import annotations

from ...errors import ArgumentError, ShapeError
from ...typing import ArrayLike
from ..arguments import integer
from ..dispatch import as_tensor, unshared
from ..ranges import eye
from ..tensor import Tensor
from .contraction import matmul


def matrix_power(x: ArrayLike, n: int) -> Tensor:
    """Multiplies square matrices with themselves, by repeated squaring.

    Args:
        x: shape (..., m, m), any dtype.
        n: the exponent, at least 0; 0 gives identity matrices.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: x does not hold square matrices.
        ArgumentError: `n` is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.matrix_power(st.ones(2, 2), 3).tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """
    x = as_tensor(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"[matrix_power] expected square matrices, got shape {x.shape}; slice or reshape it")
    n = integer(n, "matrix_power", "n")
    if n < 0:
        raise ArgumentError(f"[matrix_power] expected an int n >= 0, got {n}; inverses are not provided")
    product: Tensor | None = None
    while n:
        if n & 1:
            product = unshared(x) if product is None else matmul(product, x)
        n >>= 1
        x = matmul(x, x) if n else x
    return eye(x.shape[-1], dtype=x.dtype, device=x.device).broadcast_to(x.shape) if product is None else product
