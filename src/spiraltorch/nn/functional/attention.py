"""Attention."""

from __future__ import annotations

import math

from ...dtypes import bool_, float32
from ...errors import ArgumentError, ShapeError
from ...tensor.ops.contraction import attend
from ..api import Tensor, st
from .layers import dropout

FEW_QUERIES = 8  # below, scores are not much memory and queries too few for lanes


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
    """softmax(query @ key.T * scale + mask) @ value.

    Shapes: query (..., L, E), key (..., S, E), value (..., S, Ev), result (..., L, Ev). A boolean mask is True where
    a key takes part, a floating one is added; a query without any key gives zeros. `enable_gqa` lets groups of
    query heads (axis -3) share a key head. Raises `ShapeError` and `ArgumentError`.

    >>> from spiraltorch import ones
    >>> from spiraltorch.nn import functional as F
    >>> F.scaled_dot_product_attention(ones(1, 2, 4), ones(1, 3, 4), ones(1, 3, 5)).shape
    (1, 2, 5)
    """
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"[scaled_dot_product_attention] expected query (..., L, E) and key (..., S, E), got "
            f"shape={tuple(query.shape)} and shape={tuple(key.shape)}; make the last extents equal"
        )
    if is_causal and attn_mask is not None:
        raise ArgumentError(
            "[scaled_dot_product_attention] expected attn_mask or is_causal, got both; put the triangle into the mask"
        )
    if enable_gqa:
        _check_groups(query, key, value)
    if dropout_p == 0 and query.shape[-2] >= FEW_QUERIES and all(math.prod(x.shape) for x in (query, key, value)):
        return _blockwise(query, key, value, attn_mask, is_causal, scale, enable_gqa)
    if enable_gqa:
        key, value = (st.repeat_interleave(x, query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return st.matmul(dropout(weights, dropout_p), value)


def _check_groups(query: Tensor, key: Tensor, value: Tensor) -> None:
    heads = [x.shape[-3] if x.ndim > 2 else 0 for x in (query, key, value)]
    if any(own == 0 or heads[0] % own for own in heads):
        raise ShapeError(
            f"[scaled_dot_product_attention] expected query heads (axis -3) in whole groups to a key head with "
            f"enable_gqa, got shape={tuple(query.shape)}, shape={tuple(key.shape)} and shape={tuple(value.shape)}; "
            f"make the heads of query a multiple of those of key and value"
        )


def _blockwise(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float | None, shared: bool
) -> Tensor:
    """Block by block, in memory that grows with the length and not with its square; float32 for the half-width dtypes."""
    dtype = query.dtype
    lead = st.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value))) if not shared else query.shape[:-2]
    heads: list[Tensor] = []
    for x in (query, key, value):
        own = (*lead[:-1], x.shape[-3]) if shared else lead
        wide = st.broadcast_to(x, (*own, *x.shape[-2:])).to(float32 if dtype.itemsize < 4 else dtype)
        heads.append(wide.reshape(math.prod(own[:-1]), own[-1] if own else 1, *x.shape[-2:]))
    if mask is not None:
        before = (1,) * (len(lead) + 2 - mask.ndim) + tuple(mask.shape)
        if len(lead) > 2 and any(e != 1 for e in before[:-3]):
            mask = st.broadcast_to(mask, (*lead[:-1], *before[-3:]))
            before = tuple(mask.shape)
        mask = mask.reshape(math.prod(before[:-3]), *(before[-3:] if lead else (1, *before)))
        mask = mask if mask.dtype is bool_ else mask.to(heads[0].dtype)
    factor = 1.0 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale
    q, k, v = heads
    return attend(q, k, v, mask, causal, factor).reshape(*lead, query.shape[-2], value.shape[-1]).to(dtype)


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """The softmax of the scores, computed in float32 for the half-width dtypes."""
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
    # A row of -inf would give NaN; its keys are all switched off, so the row is zero.
    empty = st.amax(masked.detach(), axis=-1, keepdims=True) == -math.inf
    return st.where(empty, 0.0, st.softmax(st.where(empty, 0.0, masked), axis=-1)).to(dtype)
