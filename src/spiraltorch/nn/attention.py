"""`MultiheadAttention`, with PyTorch's state keys."""

from __future__ import annotations

import math

import spiraltorch as st

from ..dtypes import bool_
from ..errors import ArgumentError, ShapeError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .arguments import check_positive
from .functional.attention import attention_weights
from .linear import Linear
from .module import Module
from .parameter import Parameter, zeros_parameter


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask (True masks a key out, or numbers to add) as numbers to add, of the dtype of `like`."""
    if mask.dtype is bool_:
        return st.where(mask, -math.inf, st.zeros((), dtype=like.dtype, device=like.device))
    if not mask.dtype.is_float:
        raise ArgumentError(
            f"[MultiheadAttention] expected a boolean or floating mask, got dtype={mask.dtype.name}; convert it"
        )
    return mask.to(like.dtype)


class MultiheadAttention(Module):
    """Attention in several subspaces, between linear projections (Vaswani et al., 2017).

    concat(head_1, ..., head_h) @ out_proj with head_i = attention(query @ W_q, key @ W_k, value @ W_v). Projections
    are drawn from Glorot's uniform distribution; biases are zero.

    Args:
        embed_dim: features of query and output, E.
        num_heads: the number of subspaces, which divides E.
        dropout: the probability that an attention weight is set to 0, in training.
        bias: whether the projections have biases.
        add_bias_kv: whether a learned key and value are appended.
        add_zero_attn: whether a key and value of zeros are appended.
        kdim: features of the keys; E by default.
        vdim: features of the values; E by default.
        batch_first: whether the batch is the first axis.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        query (L, N, E), key (S, N, kdim), value (S, N, vdim), output (L, N, E); (N, L, E) and so on with
        `batch_first`, (L, E) and so on without a batch. Weights (N, L, S), or (N, num_heads, L, S) if not averaged.

    Raises:
        ArgumentError: `num_heads` does not divide `embed_dim`.

    Example:
        >>> import spiraltorch as st
        >>> attention = st.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = st.zeros(1, 5, 8)
        >>> output, weights = attention(x, x, x)
        >>> output.shape, weights.shape
        ((1, 5, 8), (1, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        check_positive("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"[MultiheadAttention] expected embed_dim to be a multiple of num_heads={num_heads}, got {embed_dim}; "
                "change one of them"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self._packed = self.kdim == embed_dim and self.vdim == embed_dim

        def parameter(present: bool, *shape: int) -> Parameter | None:
            return zeros_parameter(*shape, device=device, dtype=dtype) if present else None

        self.register_parameter("in_proj_weight", parameter(self._packed, 3 * embed_dim, embed_dim))
        for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            self.register_parameter(f"{name}_proj_weight", parameter(not self._packed, embed_dim, width))
        self.register_parameter("in_proj_bias", parameter(bias, 3 * embed_dim))
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", parameter(add_bias_kv, 1, 1, embed_dim))
        self.register_parameter("bias_v", parameter(add_bias_kv, 1, 1, embed_dim))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draws the projections from Glorot's uniform distribution; biases are zero."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Computes the attention of every query over the keys.

        Args:
            query: the queries.
            key: the keys.
            value: the values that are averaged with the attention weights.
            key_padding_mask: shape (N, S) or (S,). True masks a key out; a floating mask is added to the scores.
            need_weights: whether the attention weights are returned; without them long sequences take less memory.
            attn_mask: shape (L, S) or (N * num_heads, L, S), as `key_padding_mask`.
            average_attn_weights: whether the returned weights are averaged over the heads.
            is_causal: whether query i attends to keys 0 to i only, if there is no `attn_mask`.

        Returns:
            The output, of the query's shape, and the weights or None.

        Raises:
            ShapeError: `query` has another rank or another number of features.
            ArgumentError: a mask is neither boolean nor floating.
        """
        if query.shape[-1] != self.embed_dim or query.ndim not in (2, 3):
            raise ShapeError(
                f"[MultiheadAttention] expected query of 2 or 3 axes ending in {self.embed_dim}, "
                f"got shape={tuple(query.shape)}; change embed_dim or the input"
            )
        unbatched = query.ndim == 2
        query, key, value = self._batch_first(query, key, value)
        q, k, v = self._project(query, key, value)
        k, v, appended = self._append(k, v)
        causal = is_causal and attn_mask is None
        if causal and (appended or key_padding_mask is not None):
            attn_mask = st.triu(st.ones(query.shape[1], key.shape[1], dtype=bool_, device=query.device), 1)
            causal = False
        mask = self._joint_mask(key_padding_mask, attn_mask, q, appended)
        mixed, weights = self._attend(self._heads(q), self._heads(k), self._heads(v), mask, causal, need_weights)
        output = self.out_proj(mixed.reshape(mixed.shape[0], mixed.shape[1], self.embed_dim))
        if unbatched:
            output = output.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if weights is None:
            return output, None
        weights = weights.mean(axis=1) if average_attn_weights else weights
        return output, weights.squeeze(0) if unbatched else weights

    def _batch_first(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs as (N, L, E), one tensor where they are one."""
        if query.ndim == 3 and self.batch_first:
            return query, key, value
        unbatched = query.ndim == 2
        shared = query is key and key is value
        query, key, value = (x.unsqueeze(0) if unbatched else x.transpose(0, 1) for x in (query, key, value))
        return (query, query, query) if shared else (query, key, value)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """The projections of inputs (N, L, E); those of one input by one matrix product."""
        width, packed, bias = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        if packed is not None and query is key and key is value:
            joined = F.linear(query, packed, bias)
            return [joined[..., part * width : (part + 1) * width] for part in range(3)]
        weights: list[Tensor]
        if packed is not None:
            weights = [packed[part * width : (part + 1) * width] for part in range(3)]
        else:
            assert self.q_proj_weight is not None
            assert self.k_proj_weight is not None
            assert self.v_proj_weight is not None
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if bias is None else bias[part * width : (part + 1) * width] for part in range(3)]
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]

    def _append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, int]:
        """Keys and values (N, S, E) with those that are learned or zero, and how many these are."""
        appended = 0
        if self.bias_k is not None and self.bias_v is not None:
            shape = (k.shape[0], 1, self.embed_dim)
            k = st.concat([k, self.bias_k.expand(*shape)], axis=1)
            v = st.concat([v, self.bias_v.expand(*shape)], axis=1)
            appended += 1
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
            appended += 1
        return k, v, appended

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, E) as (N, heads, L, E / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)

    def _joint_mask(
        self, key_padding_mask: Tensor | None, attn_mask: Tensor | None, like: Tensor, appended: int
    ) -> Tensor | None:
        """Both masks as one to add, which broadcasts to (N, heads, L, S) and leaves the appended keys on."""
        total: Tensor | None = None
        if attn_mask is not None:
            total = F.pad(_additive(attn_mask, like), (0, appended))
            if total.ndim == 3:
                total = total.reshape(-1, self.num_heads, *total.shape[1:])
        if key_padding_mask is not None:
            padding = F.pad(_additive(key_padding_mask, like), (0, appended))
            padding = padding.reshape(-1, 1, 1, padding.shape[-1])
            total = padding if total is None else total + padding
        return total

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The weighted values as (N, L, heads, E / heads), and the weights if they are needed."""
        if need_weights:
            weights = F.dropout(attention_weights(q, k, mask, causal, None), self.dropout, self.training)
            return st.matmul(weights, v).transpose(1, 2), weights
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, causal).transpose(1, 2), None

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"
