"""Linear layers, embeddings and changes of shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError
from . import functional as F
from . import init
from .api import Tensor, st
from .module import Module
from .parameter import Parameter
from .state import put


def new(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """A parameter of zeros."""
    return Parameter(st.zeros(*shape, dtype=dtype, device=device))


def positive(owner: str, **sizes: int) -> None:
    """Raises `ArgumentError` for a size below 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ArgumentError(f"[{owner}] expected a positive integer for {name}, got {size!r}; change it")


class Identity(Module):
    """Returns its input; all arguments are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input itself."""
        return input


class Linear(Module):
    """`x @ weight.T + bias` on the last axis: (..., in_features) to (..., out_features).

    >>> from spiraltorch import nn, zeros
    >>> nn.Linear(4, 2)(zeros(3, 4)).shape
    (3, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = new(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter("bias", new(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias from +-1/sqrt(in_features)."""
        init.reset_linear(self.weight, self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Shape (..., in_features) to (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of `num_embeddings` vectors, looked up by integer index; `padding_idx` is zero and not trained.

    >>> from spiraltorch import nn, tensor
    >>> nn.Embedding(10, 3)(tensor([[1, 2]])).shape
    (1, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"[Embedding] expected padding_idx in [{-num_embeddings}, {num_embeddings}), got {padding_idx}; change it"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx + num_embeddings if padding_idx is not None and padding_idx < 0 else padding_idx
        self.weight = new(num_embeddings, embedding_dim, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws normal numbers; the padding row is zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            rows = self.weight.detach()
            rows[self.padding_idx] = 0.0
            put(self.weight, rows)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A layer over the given (V, D) table, frozen by default."""
        layer = cls(
            embeddings.shape[0],
            embeddings.shape[1],
            padding_idx=padding_idx,
            dtype=embeddings.dtype,
            device=embeddings.device,
        )
        put(layer.weight, embeddings)
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """Integer indices of any shape to (*shape, embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim` into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same elements with fewer axes."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into several."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """The same elements with more axes."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
