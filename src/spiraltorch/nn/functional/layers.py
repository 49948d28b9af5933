"""Embedding, dropout, and the spatial operations under PyTorch's names."""

from __future__ import annotations

from ...errors import ArgumentError
from ..api import Tensor, st
from .activation import _result


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets elements to 0 with probability `p` and scales the others by 1/(1-p); the identity unless `training`.

    Raises `ArgumentError` unless 0 <= p <= 1.
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout] expected p in [0, 1], got {p}; change it")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return _result(input, st.zeros_like(input), inplace)
    kept = st.rand(*input.shape, device=input.device) >= p
    return _result(input, st.where(kept, input * (1.0 / (1.0 - p)), 0.0), inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of an (N, C, ...) input."""
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout2d] expected p in [0, 1], got {p}; change it")
    if not training or p == 0.0:
        return input
    mask = dropout(st.ones(*input.shape[:2], *[1] * (input.ndim - 2), dtype=input.dtype, device=input.device), p)
    return _result(input, input * mask, inplace)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` (V, D) at integer indices of any shape: result of shape (*input.shape, D).

    The row `padding_idx` gets no gradient.
    """
    rows = st.take(weight, input, axis=0)
    if padding_idx is None:
        return rows
    if padding_idx < 0:
        padding_idx += weight.shape[0]
    return st.where((input == padding_idx).unsqueeze(-1), rows.detach(), rows)


def adaptive_avg_pool1d(input: Tensor, output_size: int) -> Tensor:
    """Averages an (N, C, L) or (C, L) input into `output_size` nearly equal bins."""
    return st.adaptive_avg_pool2d(input.unsqueeze(-2), (1, output_size)).squeeze(-2)
