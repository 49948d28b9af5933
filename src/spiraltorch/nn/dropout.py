"""Dropout layers."""

from __future__ import annotations

from ..tensor.tensor import Tensor
from . import functional as F
from .arguments import check_probability
from .module import Module


class _Dropout(Module):
    """Base of the dropout layers: their settings."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(type(self).__name__, "p", p)
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Sets random elements to 0 and scales the others by 1 / (1 - p) (Srivastava et al., 2014).

    In evaluation it returns its input.

    Args:
        p: the probability that an element is set to 0.
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Raises:
        ArgumentError: `p` lies outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Dropout(0.5).eval()(st.ones(2)).tolist()
        [1.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drops elements of `input` in training."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Sets random channels to 0 and scales the others by 1 / (1 - p) (Tompson et al., 2015).

    In evaluation it returns its input.

    Args:
        p: the probability that a channel is set to 0.
        inplace: whether the result is written to the input.

    Shape:
        input (N, C, *) of a floating dtype, output (N, C, *).

    Raises:
        ArgumentError: `p` lies outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Dropout2d(1.0)(st.ones(1, 2, 3, 3)).sum().item()
        0.0
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drops channels of `input` in training."""
        return F.dropout2d(input, self.p, self.training, self.inplace)
