"""`Embedding`: vectors that are looked up by index."""

from __future__ import annotations

from ..errors import ArgumentError
from ..tensor.arguments import integer
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, zeros_parameter


class Embedding(Module):
    """A table of vectors that are looked up by integer index.

    The table is drawn from the standard normal distribution.

    Args:
        num_embeddings: the number of vectors, V.
        embedding_dim: the extent of a vector, D.
        padding_idx: the index of a vector that is zero at first and gets no gradient; it may be negative.
        device: the device of the table.
        dtype: the table's floating dtype; float32 by default.

    Shape:
        input (*) of integers in [0, V), output (*, D); weight (V, D).

    Raises:
        ArgumentError: `padding_idx` lies outside the table.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Embedding(10, 3)(st.tensor([[1, 2]])).shape
        (1, 2, 3)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        num_embeddings = integer(num_embeddings, "Embedding", "num_embeddings", 0)
        embedding_dim = integer(embedding_dim, "Embedding", "embedding_dim", 0)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"[Embedding] expected padding_idx in [{-num_embeddings}, {num_embeddings}), got {padding_idx}"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx + num_embeddings if padding_idx is not None and padding_idx < 0 else padding_idx
        self.weight = zeros_parameter(num_embeddings, embedding_dim, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the table anew from the standard normal distribution; the padding vector is zero.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Embedding(4, 2, padding_idx=0)
            >>> layer.reset_parameters()
            >>> layer.weight[0].tolist()
            [0.0, 0.0]
        """
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.detach()[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """Creates a layer with a given table.

        Args:
            embeddings: the table, of shape (V, D) and a floating dtype. The layer shares its elements.
            freeze: whether the table gets no gradient.
            padding_idx: as in the constructor; the given vector is kept.

        Returns:
            The layer.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Embedding.from_pretrained(st.eye(3))(st.tensor([2])).tolist()
            [[0.0, 0.0, 1.0]]
        """
        layer = cls(
            embeddings.shape[0],
            embeddings.shape[1],
            padding_idx=padding_idx,
            dtype=embeddings.dtype,
            device=embeddings.device,
        )
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """Maps integer indices (*) to vectors (*, embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
