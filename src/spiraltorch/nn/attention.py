"""Attention layers: `MultiheadAttention` and the transformer encoder, with PyTorch's state keys."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..dtypes import bool_
from ..errors import ArgumentError, ShapeError
from . import functional as F
from . import init
from .api import Tensor, st
from .containers import ModuleList
from .dropout import Dropout
from .functional.attention import attention_weights
from .linear import Linear, new, positive
from .module import Module
from .normalization import LayerNorm


def _additive(op: str, mask: Tensor, like: Tensor) -> Tensor:
    """A mask of PyTorch's layers (True switches off, or numbers to add) as numbers to add."""
    if mask.dtype is bool_:
        return st.where(mask, -math.inf, st.zeros((), dtype=like.dtype, device=like.device))
    if not mask.dtype.is_float:
        raise ArgumentError(f"[{op}] expected a boolean or floating mask, got dtype={mask.dtype.name}; convert it")
    return mask.to(like.dtype)


class MultiheadAttention(Module):
    """Attention in `num_heads` subspaces of `embed_dim`, between linear projections.

    Inputs are (L, N, E), or (N, L, E) with `batch_first`, or (L, E) without a batch.

    >>> from spiraltorch import nn, zeros
    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = zeros(1, 5, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    ((1, 5, 8), (1, 5, 5))
    """

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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        positive("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"[MultiheadAttention] expected embed_dim to be a multiple of num_heads={num_heads}, got {embed_dim}; "
                "change one of them"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        self._packed = self.kdim == embed_dim and self.vdim == embed_dim
        self.register_parameter("in_proj_weight", new(3 * embed_dim, embed_dim, **kind) if self._packed else None)
        for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            self.register_parameter(f"{name}_proj_weight", None if self._packed else new(embed_dim, width, **kind))
        self.register_parameter("in_proj_bias", new(3 * embed_dim, **kind) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **kind)
        self.register_parameter("bias_k", new(1, 1, embed_dim, **kind) if add_bias_kv else None)
        self.register_parameter("bias_v", new(1, 1, embed_dim, **kind) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """The projections of batch-first inputs."""
        width, bias = self.embed_dim, self.in_proj_bias
        if self._packed and query is key and key is value:
            joined = F.linear(query, self.in_proj_weight, bias)
            return [joined[..., part * width : (part + 1) * width] for part in range(3)]
        if self._packed:
            weights = [self.in_proj_weight[part * width : (part + 1) * width] for part in range(3)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if bias is None else bias[part * width : (part + 1) * width] for part in range(3)]
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, E) to (N, heads, L, E / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)

    def _mask(
        self, key_padding_mask: Tensor | None, attn_mask: Tensor | None, like: Tensor, extra: int
    ) -> Tensor | None:
        """Both masks as one tensor to add, of shape broadcastable to (N, heads, L, S)."""
        total: Tensor | None = None
        if attn_mask is not None:
            total = F.pad(_additive("MultiheadAttention", attn_mask, like), (0, extra))
            if total.ndim == 3:
                total = total.reshape(-1, self.num_heads, *total.shape[1:])
        if key_padding_mask is not None:
            padding = F.pad(_additive("MultiheadAttention", key_padding_mask, like), (0, extra))
            padding = padding.reshape(-1, 1, 1, padding.shape[-1])
            total = padding if total is None else total + padding
        return total

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
        """The output in the shape of `query`, and the weights (N, L, S), or (N, heads, L, S) when not averaged.

        In boolean masks True switches a position off. `is_causal` needs no `attn_mask`.
        """
        if query.shape[-1] != self.embed_dim or query.ndim not in (2, 3):
            raise ShapeError(
                f"[MultiheadAttention] expected query of 2 or 3 axes ending in {self.embed_dim}, "
                f"got shape={tuple(query.shape)}; change embed_dim or the input"
            )
        single = query.ndim == 2
        same = query is key and key is value
        if single:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        if same:
            key = value = query
        q, k, v = self._project(query, key, value)
        extra = 0
        if self.bias_k is not None:
            assert self.bias_v is not None
            shape = (k.shape[0], 1, self.embed_dim)
            k = st.concat([k, self.bias_k.expand(*shape)], axis=1)
            v = st.concat([v, self.bias_v.expand(*shape)], axis=1)
            extra += 1
        if self.add_zero_attn:
            k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
            extra += 1
        causal = is_causal and attn_mask is None
        if causal and (extra or key_padding_mask is not None):
            rows, columns = query.shape[1], key.shape[1]
            attn_mask = st.triu(st.ones(rows, columns, dtype=bool_, device=query.device), 1)
            causal = False
        mask = self._mask(key_padding_mask, attn_mask, q, extra)
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        weights = None
        if need_weights:
            weights = F.dropout(attention_weights(q, k, mask, causal, None), self.dropout, self.training)
            mixed = st.matmul(weights, v).transpose(1, 2)
        else:
            dropout = self.dropout if self.training else 0.0
            mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout, causal).transpose(1, 2)
        output = self.out_proj(mixed.reshape(mixed.shape[0], mixed.shape[1], self.embed_dim))
        if single:
            output = output.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if weights is None:
            return output, None
        shown = weights.mean(axis=1) if average_attn_weights else weights
        return output, shown.squeeze(0) if single else shown

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"


def _activation(activation: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    known: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if not isinstance(activation, str):
        return activation
    if activation not in known:
        raise ArgumentError(
            f"[TransformerEncoderLayer] expected activation relu or gelu, got {activation!r}; choose one"
        )
    return known[activation]


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer perceptron, each with a residual connection and a layer norm.

    >>> from spiraltorch import nn, zeros
    >>> nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(zeros(1, 5, 8)).shape
    (1, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **kind)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kind)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kind)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _activation(activation)

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        output, _ = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
        )
        dropped: Tensor = self.dropout1(output)
        return dropped

    def _feed(self, x: Tensor) -> Tensor:
        fed: Tensor = self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        return fed

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Same shape and dtype as `src`."""
        if self.norm_first:
            src = src + self._attend(self.norm1(src), src_mask, src_key_padding_mask, is_causal)
            return src + self._feed(self.norm2(src))
        src = self.norm1(src + self._attend(src, src_mask, src_key_padding_mask, is_causal))
        normed: Tensor = self.norm2(src + self._feed(src))
        return normed


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer, and an optional norm at the end."""

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        positive("TransformerEncoder", num_layers=num_layers)
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Same shape and dtype as `src`."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=is_causal)
        return src if self.norm is None else self.norm(src)
