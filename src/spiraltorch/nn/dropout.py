"""Dropout layers."""

from __future__ import annotations

from ..errors import ArgumentError
from . import functional as F
from .api import Tensor
from .module import Module


class Dropout(Module):
    """Sets elements to 0 with probability `p` in training and scales the others by 1/(1-p)."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ArgumentError(f"[{type(self).__name__}] expected p in [0, 1], got {p}; change it")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """Drops whole channels of (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.dropout2d(input, self.p, self.training, self.inplace)
