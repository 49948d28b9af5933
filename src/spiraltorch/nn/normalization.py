"""Layer, RMS and group normalisation: statistics of each element of a batch by itself."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ArgumentError
from ..tensor.arguments import integers
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .arguments import check_positive
from .module import Module
from .parameter import Parameter, ones_parameter, zeros_parameter


def reset_affine(module: Module) -> None:
    """Sets the module's own `weight` to 1 and `bias` to 0, where they exist."""
    for name, parameter in module.named_parameters(recurse=False):
        init.constant_(parameter, 1.0 if name == "weight" else 0.0)


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba et al., 2016).

    Args:
        normalized_shape: the extents of the axes over which mean and variance are taken; an int stands for one axis.
        eps: the constant added to the variance for numerical stability.
        elementwise_affine: whether there are a weight and a bias.
        bias: whether there is a bias.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (..., *normalized_shape) of a floating dtype, output as input; weight and bias `normalized_shape`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.LayerNorm(2, eps=0.0)(st.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        shape = integers(normalized_shape, type(self).__name__, "normalized_shape")
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        affine, shifted = elementwise_affine, elementwise_affine and bias
        self.register_parameter("weight", ones_parameter(*shape, device=device, dtype=dtype) if affine else None)
        self.register_parameter("bias", zeros_parameter(*shape, device=device, dtype=dtype) if shifted else None)

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.LayerNorm(2)
            >>> layer.reset_parameters()
            >>> layer.weight.tolist()
            [1.0, 1.0]
        """
        reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Normalises `input` over its last axes."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """x / sqrt(mean(x * x) + eps) * weight over the last axes (Zhang and Sennrich, 2019).

    Args:
        normalized_shape: the extents of the axes over which the mean is taken; an int stands for one axis.
        eps: the constant added to the mean for numerical stability; the machine epsilon of the dtype of computation by
            default.
        elementwise_affine: whether there is a weight.
        device: the device of the weight.
        dtype: the weight's floating dtype; float32 by default.

    Shape:
        input (..., *normalized_shape) of a floating dtype, output as input; weight `normalized_shape`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.RMSNorm(2, eps=0.0)(st.tensor([[2.0, -2.0]])).tolist()
        [[1.0, -1.0]]
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        shape = integers(normalized_shape, type(self).__name__, "normalized_shape")
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        weight = ones_parameter(*shape, device=device, dtype=dtype) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Sets the weight to 1.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.RMSNorm(2)
            >>> layer.reset_parameters()
            >>> layer.weight.tolist()
            [1.0, 1.0]
        """
        reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Normalises `input` over its last axes."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of channels (Wu and He, 2018).

    Args:
        num_groups: the number of groups.
        num_channels: the number of channels, C, a multiple of `num_groups`.
        eps: the constant added to the variance for numerical stability.
        affine: whether there are a weight and a bias.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, C, *) of a floating dtype, output as input; weight and bias (C,).

    Raises:
        ArgumentError: `num_channels` is not a multiple of `num_groups`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.GroupNorm(2, 4, eps=0.0)(st.tensor([[1.0, 3.0, 5.0, 9.0]])).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        check_positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"[GroupNorm] expected num_channels to be a multiple of num_groups={num_groups}, got {num_channels}; "
                "change one of them"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", ones_parameter(num_channels, device=device, dtype=dtype) if affine else None)
        self.register_parameter("bias", zeros_parameter(num_channels, device=device, dtype=dtype) if affine else None)

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.GroupNorm(1, 2)
            >>> layer.reset_parameters()
            >>> layer.weight.tolist()
            [1.0, 1.0]
        """
        reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Normalises the groups of channels of `input`."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
