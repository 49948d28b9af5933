"""`Linear`, and `Identity` for a place where a model needs no layer."""

from __future__ import annotations

from ..tensor.arguments import integer
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, zeros_parameter


class Identity(Module):
    """Returns its input.

    Args:
        *args: ignored, so that any layer can be replaced.
        **kwargs: ignored.

    Shape:
        input (*), output (*), any dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Identity()(st.tensor([1, 2])).tolist()
        [1, 2]
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Returns `input` itself."""
        return input


class Linear(Module):
    """`input @ weight.T + bias`, on the last axis.

    Weight and bias are drawn uniformly from +-1/sqrt(in_features).

    Args:
        in_features: extent of the input's last axis.
        out_features: extent of the output's last axis.
        bias: whether a bias is added.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (..., in_features), output (..., out_features); weight (out_features, in_features),
        bias (out_features,).

    Raises:
        ArgumentError: a number of features is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Linear(4, 2)(st.zeros(3, 4)).shape
        (3, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        in_features = integer(in_features, "Linear", "in_features", 0)
        out_features = integer(out_features, "Linear", "out_features", 0)
        self.in_features, self.out_features = in_features, out_features
        self.weight = zeros_parameter(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter("bias", zeros_parameter(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, uniformly from +-1/sqrt(in_features).

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Linear(4, 2)
            >>> layer.reset_parameters()
            >>> layer.weight.abs().max().item() <= 0.5
            True
        """
        init.reset_linear(self.weight, self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (..., in_features) to (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
