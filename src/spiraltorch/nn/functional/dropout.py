"""Dropout of elements and of channels."""

from __future__ import annotations

import spiraltorch as st

from ...errors import ArgumentError
from ...tensor.tensor import Tensor
from .activation import in_place_or_new


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets random elements to 0 and scales the others by 1 / (1 - p) (Srivastava et al., 2014).

    Args:
        input: shape (*), a floating dtype.
        p: the probability that an element is set to 0.
        training: whether dropout is applied; otherwise `input` is returned.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ArgumentError: `p` lies outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.dropout(st.ones(2), 0.5, training=False).tolist()
        [1.0, 1.0]
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout] expected p in [0, 1], got {p}")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return in_place_or_new(input, st.zeros_like(input), inplace)
    kept = st.rand(*input.shape, device=input.device) >= p
    return in_place_or_new(input, st.where(kept, input * (1.0 / (1.0 - p)), 0.0), inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets random channels to 0 and scales the others by 1 / (1 - p) (Tompson et al., 2015).

    Args:
        input: shape (N, C, *), a floating dtype.
        p: the probability that a channel is set to 0.
        training: whether dropout is applied; otherwise `input` is returned.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ArgumentError: `p` lies outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.dropout2d(st.ones(1, 2, 3, 3), 1.0).sum().item()
        0.0
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout2d] expected p in [0, 1], got {p}")
    if not training or p == 0.0:
        return input
    mask = dropout(st.ones(*input.shape[:2], *[1] * (input.ndim - 2), dtype=input.dtype, device=input.device), p)
    return in_place_or_new(input, input * mask, inplace)
