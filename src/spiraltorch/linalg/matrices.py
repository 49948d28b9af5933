"""Diagonals of matrices in the last two axes."""

from __future__ import annotations

from ..tensor.ops import diagonals
from ..tensor.tensor import Tensor
from ..typing import ArrayLike


def diagonal(x: ArrayLike, offset: int = 0) -> Tensor:
    """Takes the diagonal of matrices, in the last two axes.

    Args:
        x: shape (..., m, n), any dtype.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.

    Returns:
        A tensor of x's dtype, of shape (..., k), where k is the length of the diagonal.

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.diagonal(st.eye(2)).tolist()
        [1.0, 1.0]
    """
    return diagonals.diagonal(x, offset, -2, -1)
