"""Activation functions as modules. See `nn.functional` for their formulas."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .api import Tensor, st
from .module import Module
from .parameter import Parameter


class _Elementwise(Module):
    """A function of one tensor without settings."""

    def extra_repr(self) -> str:
        return "inplace=True" if getattr(self, "inplace", False) else ""


class _Inplace(_Elementwise):
    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class ReLU(_Inplace):
    """max(x, 0).

    >>> from spiraltorch import nn, tensor
    >>> nn.ReLU()(tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.relu(input, self.inplace)


class ReLU6(_Inplace):
    """min(max(x, 0), 6)."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.relu6(input, self.inplace)


class SiLU(_Inplace):
    """x * sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """x * tanh(softplus(x))."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.mish(input, self.inplace)


class SELU(_Inplace):
    """The self-normalising ELU."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.selu(input, self.inplace)


class Hardswish(_Inplace):
    """x * hardsigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """(x + 3) / 6 cut to [0, 1]."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.hardsigmoid(input, self.inplace)


class Hardtanh(Module):
    """x cut to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class LeakyReLU(Module):
    """x where it is positive, elsewhere `negative_slope * x`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where it is positive, elsewhere `alpha * (exp(x) - 1)`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the normal distribution function of x."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.sigmoid(input)


class LogSigmoid(_Elementwise):
    """log(sigmoid(x))."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.logsigmoid(input)


class Tanh(_Elementwise):
    """The hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.tanh(input)


class Softsign(_Elementwise):
    """x / (1 + |x|)."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.softsign(input)


class _AlongAxis(Module):
    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """exp(x) normalised along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongAxis):
    """log(softmax(x))."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.log_softmax(input, self.dim)


class GLU(_AlongAxis):
    """The first half of an axis times the sigmoid of the second."""

    def forward(self, input: Tensor) -> Tensor:
        """Half the extent along `dim`."""
        return F.glu(input, self.dim)


class PReLU(Module):
    """Leaky ReLU with a learned slope: one, or one for each channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(st.full((num_parameters,), init, dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
