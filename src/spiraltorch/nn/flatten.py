"""Layers that join axes or split them."""

from __future__ import annotations

from collections.abc import Sequence

import spiraltorch as st

from ..tensor.tensor import Tensor
from .module import Module


class Flatten(Module):
    """Joins neighbouring axes into one.

    Args:
        start_dim: the first axis that is joined.
        end_dim: the last axis that is joined.

    Shape:
        input (N, *), output (N, product of *) by default; the same elements in the same order.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Flatten()(st.zeros(2, 3, 4)).shape
        (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Joins the axes of `input` from `start_dim` to `end_dim`."""
        return st.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into several.

    Args:
        dim: the axis that is split.
        unflattened_size: the extents it is split into; one of them may be -1.

    Shape:
        input (..., n, ...), output (..., *unflattened_size, ...); the same elements in the same order.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Unflatten(1, (3, 4))(st.zeros(2, 12)).shape
        (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """Splits the axis `dim` of `input`."""
        return st.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
