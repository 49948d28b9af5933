"""Activation functions as layers. `nn.functional` has the same functions."""

from __future__ import annotations

import spiraltorch as st

from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from .module import Module
from .parameter import Parameter


class _InPlace(Module):
    """Base of the activations whose only setting is `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """Rectified linear unit: max(x, 0) (Nair and Hinton, 2010).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ReLU()(st.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.relu(input, self.inplace)


class ReLU6(_InPlace):
    """Rectified linear unit with an upper limit: min(max(x, 0), 6) (Krizhevsky, 2010).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ReLU6()(st.tensor([-1.0, 8.0])).tolist()
        [0.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.relu6(input, self.inplace)


class SiLU(_InPlace):
    """Sigmoid linear unit, or swish: x * sigmoid(x) (Elfwing et al., 2018).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.SiLU()(st.tensor([1.0])).item(), 4)
        0.7311
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """Self-gated activation: x * tanh(log(1 + exp(x))) (Misra, 2019).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.Mish()(st.tensor([1.0])).item(), 4)
        0.8651
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.mish(input, self.inplace)


class SELU(_InPlace):
    """Self-normalising exponential linear unit: 1.0507 * elu(x, 1.6733) (Klambauer et al., 2017).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.SELU()(st.tensor([1.0])).item(), 4)
        1.0507
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.selu(input, self.inplace)


class Hardswish(_InPlace):
    """Swish with a piecewise linear sigmoid: x * hardsigmoid(x) (Howard et al., 2019).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Hardswish()(st.tensor([0.0, 4.0])).tolist()
        [0.0, 4.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_InPlace):
    """Piecewise linear sigmoid: min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    Args:
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Hardsigmoid()(st.tensor([-4.0, 0.0])).tolist()
        [0.0, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.hardsigmoid(input, self.inplace)


class Hardtanh(Module):
    """Piecewise linear tanh: min(max(x, min_val), max_val) (Collobert, 2004); the gradient at both limits is 0.

    Args:
        min_val: the lower limit.
        max_val: the upper limit.
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Hardtanh()(st.tensor([-3.0, 0.5])).tolist()
        [-1.0, 0.5]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class LeakyReLU(Module):
    """Leaky rectified linear unit: x where x > 0, elsewhere negative_slope * x (Maas et al., 2013).

    Args:
        negative_slope: the slope for x <= 0.
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.LeakyReLU(0.5)(st.tensor([-2.0, 2.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """Exponential linear unit: x where x > 0, elsewhere alpha * (exp(x) - 1) (Clevert et al., 2016).

    Args:
        alpha: the negated limit as x goes to -inf.
        inplace: whether the result is written to the input.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ELU()(st.tensor([0.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """Gaussian error linear unit: x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        approximate: `none`, or `tanh` for the approximation that `functional.gelu` names.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.GELU()(st.tensor([1.0])).item(), 4)
        0.8413
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """Smooth max(x, 0): log(1 + exp(beta * x)) / beta (Dugas et al., 2001), and x where beta * x > threshold.

    Args:
        beta: the sharpness: the greater it is, the closer the function is to max(x, 0).
        threshold: the value of beta * x above which the function is x.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.Softplus()(st.tensor([0.0])).item(), 4)
        0.6931
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Sigmoid(Module):
    """Logistic function: 1 / (1 + exp(-x)).

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Sigmoid()(st.tensor([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.sigmoid(input)


class LogSigmoid(Module):
    """Logarithm of the logistic function: log(1 / (1 + exp(-x))), without overflow.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.LogSigmoid()(st.tensor([0.0])).item(), 4)
        -0.6931
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.logsigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Tanh()(st.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.tanh(input)


class Softsign(Module):
    """Rational sigmoid: x / (1 + |x|).

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Softsign()(st.tensor([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.softsign(input)


class _AlongAxis(Module):
    """Base of the activations along one axis."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """Normalised exponential along an axis: exp(x) / sum(exp(x)), without overflow.

    Args:
        dim: the axis.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Softmax()(st.tensor([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function along `dim`."""
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongAxis):
    """Logarithm of `softmax` along an axis: x - log(sum(exp(x))), without overflow or underflow.

    Args:
        dim: the axis.

    Shape:
        input (*) of a floating dtype, output (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.LogSoftmax()(st.tensor([0.0, 0.0]))[0].item(), 4)
        -0.6931
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function along `dim`."""
        return F.log_softmax(input, self.dim)


class GLU(_AlongAxis):
    """Gated linear unit: a * sigmoid(b), a and b the halves of an axis (Dauphin et al., 2017).

    Args:
        dim: the axis that is halved.

    Shape:
        input (..., n, ...) with n even, of a floating dtype; output (..., n / 2, ...).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.GLU()(st.tensor([3.0, 0.0])).tolist()
        [1.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function along `dim`."""
        return F.glu(input, self.dim)


class PReLU(Module):
    """Leaky rectified linear unit with a learned slope: x where x > 0, elsewhere weight * x (He et al., 2015).

    Args:
        num_parameters: 1, or C for a slope for each channel.
        init: the initial slopes.
        device: the device of the slopes.
        dtype: the slopes' floating dtype; float32 by default.

    Shape:
        input (N, C, *), or (*) for one slope, of a floating dtype; output as input; weight (num_parameters,).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.PReLU()(st.tensor([-2.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(st.full((num_parameters,), init, dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        """Applies the function to each element."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
