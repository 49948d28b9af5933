"""Scaled dot-product attention, in blocks where that saves memory."""

from __future__ import annotations

import math

import spiraltorch as st

from ...dtypes import bool_, float32
from ...errors import ArgumentError, ShapeError
from ...tensor.ops.contraction import attention
from ...tensor.tensor import Tensor
from .dropout import dropout

MIN_BLOCKWISE_QUERIES = 8  # below, the scores take little memory, and queries are too few for vector lanes


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value (Vaswani et al., 2017).

    Without dropout the scores are never stored as a whole (Dao et al., 2022), so memory grows with L + S. float16 and
    bfloat16 are computed in float32.

    Args:
        query: shape (..., L, E).
        key: shape (..., S, E).
        value: shape (..., S, Ev).
        attn_mask: broadcastable to (..., L, S). A boolean mask is True where a key takes part; a floating one is added
            to the scores. A query without any key gives zeros.
        dropout_p: the probability that a weight is set to 0.
        is_causal: whether query i attends to keys 0 to i only; it excludes `attn_mask`.
        scale: the factor of the scores; 1 / sqrt(E) by default.
        enable_gqa: whether groups of query heads (axis -3) share a key head and a value head.

    Returns:
        A tensor of shape (..., L, Ev) and the dtype of `query`.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: both `attn_mask` and `is_causal` are given.

    Example:
        >>> import spiraltorch as st
        >>> q, k, v = st.ones(1, 2, 4), st.ones(1, 3, 4), st.ones(1, 3, 5)
        >>> st.nn.functional.scaled_dot_product_attention(q, k, v).shape
        (1, 2, 5)
    """
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"[scaled_dot_product_attention] expected query (..., L, E) and key (..., S, E), got "
            f"shape={tuple(query.shape)} and shape={tuple(key.shape)}; make the last extents equal"
        )
    if is_causal and attn_mask is not None:
        raise ArgumentError(
            "[scaled_dot_product_attention] expected attn_mask or is_causal, got both; combine the causal mask with attn_mask"
        )
    if enable_gqa:
        _check_head_groups(query, key, value)
    not_empty = all(math.prod(x.shape) for x in (query, key, value))
    if dropout_p == 0 and query.shape[-2] >= MIN_BLOCKWISE_QUERIES and not_empty:
        return _blockwise(query, key, value, attn_mask, is_causal, scale, enable_gqa)
    if enable_gqa:
        key, value = (st.repeat_interleave(x, query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return st.matmul(dropout(weights, dropout_p), value)


def _check_head_groups(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raises `ShapeError` unless the query heads are a multiple of the key heads and of the value heads."""
    heads = [x.shape[-3] if x.ndim > 2 else 0 for x in (query, key, value)]
    if any(count == 0 or heads[0] % count for count in heads):
        raise ShapeError(
            f"[scaled_dot_product_attention] expected a number of query heads (axis -3) that is a multiple of "
            f"the numbers of key and value heads with enable_gqa, got shape={tuple(query.shape)}, "
            f"shape={tuple(key.shape)} and shape={tuple(value.shape)}; "
            f"change the numbers of heads"
        )


def _blockwise(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float | None, grouped: bool
) -> Tensor:
    """Attention block by block, by the primitive that takes (B, H, L, E); no tensor is empty."""
    dtype = query.dtype
    batch = query.shape[:-2] if grouped else st.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    operands: list[Tensor] = []
    for x in (query, key, value):
        lead = (*batch[:-1], x.shape[-3]) if grouped else batch
        wide = st.broadcast_to(x, (*lead, *x.shape[-2:])).to(float32 if dtype.itemsize < 4 else dtype)
        operands.append(wide.reshape(math.prod(lead[:-1]), lead[-1] if lead else 1, *x.shape[-2:]))
    q, k, v = operands
    if mask is not None:
        mask = _four_axes(mask, batch)
        mask = mask if mask.dtype is bool_ else mask.to(q.dtype)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    result = attention(q, k, v, mask, causal, factor)
    return result.reshape(*batch, query.shape[-2], value.shape[-1]).to(dtype)


def _four_axes(mask: Tensor, batch: tuple[int, ...]) -> Tensor:
    """A mask that broadcasts to (*batch, L, S), so reshaped that it broadcasts to (B, H, L, S)."""
    shape = (1,) * (len(batch) + 2 - mask.ndim) + tuple(mask.shape)
    if len(batch) > 2 and any(extent != 1 for extent in shape[:-3]):
        mask = st.broadcast_to(mask, (*batch[:-1], *shape[-3:]))
        shape = tuple(mask.shape)
    return mask.reshape(math.prod(shape[:-3]), *(shape[-3:] if batch else (1, *shape)))


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """The softmax of the scores, of shape (..., L, S), computed in float32 for float16 and bfloat16."""
    factor = 1.0 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale
    scores = st.matmul(query * factor, key.transpose(-2, -1))
    dtype = scores.dtype
    if scores.shape[-1] == 0:
        return scores  # no key, no weight: their product with the values is zero
    if dtype.itemsize < 4:
        scores = scores.to(float32)
    if is_causal:
        rows, columns = scores.shape[-2:]
        row = st.arange(rows, device=scores.device).reshape(rows, 1)
        column = st.arange(columns, device=scores.device).reshape(1, columns)
        return st.softmax(st.where(column <= row, scores, -math.inf), axis=-1).to(dtype)
    if attn_mask is None:
        return st.softmax(scores, axis=-1).to(dtype)
    masked = st.where(attn_mask, scores, -math.inf) if attn_mask.dtype is bool_ else scores + attn_mask
    # A row of -inf would give NaN; its keys are all masked out, so the row is zero.
    empty = st.amax(masked.detach(), axis=-1, keepdims=True) == -math.inf
    return st.where(empty, 0.0, st.softmax(st.where(empty, 0.0, masked), axis=-1)).to(dtype)
