"""The transformer encoder, with PyTorch's state keys."""

from __future__ import annotations

import copy
from collections.abc import Callable

from ..errors import ArgumentError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from .arguments import check_positive
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm


def _activation(activation: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The function of a name."""
    known: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if not isinstance(activation, str):
        return activation
    if activation not in known:
        raise ArgumentError(
            f"[TransformerEncoderLayer] expected activation relu or gelu, got {activation!r}; choose one"
        )
    return known[activation]


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer perceptron, each with residual connection and layer norm (Vaswani et al., 2017).

    Args:
        d_model: features of input and output, E.
        nhead: the number of attention heads, which divides E.
        dim_feedforward: features between the layers of the perceptron.
        dropout: the probability of dropout, in training: of attention weights, in the perceptron, before each sum.
        activation: `relu`, `gelu`, or a function of a tensor.
        layer_norm_eps: the constant that the layer norms add to the variance.
        batch_first: whether the batch is the first axis.
        norm_first: whether the norms come before attention and perceptron (Xiong et al., 2020) rather than after.
        bias: whether linear layers and norms have biases.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        src (L, N, E), or (N, L, E) with `batch_first`, or (L, E); output as src.

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(st.zeros(1, 5, 8)).shape
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
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, device=device, dtype=dtype
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, device=device, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, device=device, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _activation(activation)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Encodes a sequence.

        Args:
            src: the sequence.
            src_mask: the `attn_mask` of `MultiheadAttention`.
            src_key_padding_mask: the `key_padding_mask` of `MultiheadAttention`.
            is_causal: whether position i attends to positions 0 to i only, if there is no `src_mask`.

        Returns:
            A tensor of the shape and dtype of `src`.
        """
        if self.norm_first:
            src = src + self._attend(self.norm1(src), src_mask, src_key_padding_mask, is_causal)
            return src + self._feed_forward(self.norm2(src))
        src = self.norm1(src + self._attend(src, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(src + self._feed_forward(src))

    def _attend(self, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        """The branch of self-attention."""
        output, _ = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
        )
        return self.dropout1(output)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """The branch of the perceptron."""
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """Copies of an encoder layer one after the other, and an optional norm at the end (Vaswani et al., 2017).

    Args:
        encoder_layer: the layer, which is copied with its values, such as a `TransformerEncoderLayer`.
        num_layers: the number of copies.
        norm: a module that is applied to the output of the last layer.

    Shape:
        src and output as those of `encoder_layer`.

    Raises:
        ArgumentError: `num_layers` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> layer = st.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> st.nn.TransformerEncoder(layer, 2)(st.zeros(1, 5, 8)).shape
        (1, 5, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        check_positive("TransformerEncoder", num_layers=num_layers)
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
        """Encodes a sequence.

        Args:
            src: the sequence.
            mask: the `src_mask` of every layer.
            src_key_padding_mask: the `src_key_padding_mask` of every layer.
            is_causal: the `is_causal` of every layer.

        Returns:
            A tensor of the shape and dtype of `src`.
        """
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=is_causal)
        if self.norm is not None:
            src = self.norm(src)
        return src
