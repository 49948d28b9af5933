"""Instance normalisation of channels, with optional running statistics for evaluation."""

from __future__ import annotations

from ..errors import ShapeError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from .running_norm import RunningNorm


class _InstanceNorm(RunningNorm):
    """Base of the instance norms: statistics of each channel of each element, or running ones in evaluation."""

    rank = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalises the channels of each element of `input`; in training it moves the running statistics.

        Args:
            input: shape (N, num_features, *spatial) or (num_features, *spatial).

        Returns:
            A tensor of the same shape and dtype.

        Raises:
            ShapeError: another number of axes or of channels.
            ArgumentError: only one value per channel, where statistics are taken from the input.
        """
        channel_axis = input.ndim - self.rank + 1
        if channel_axis not in (0, 1) or input.shape[channel_axis] != self.num_features:
            raise ShapeError(
                f"[{type(self).__name__}] expected {self.rank} axes, or {self.rank - 1} without a batch, with "
                f"{self.num_features} channels, got shape={tuple(input.shape)}; change num_features or the input"
            )
        result = F.instance_norm(
            input if channel_axis else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            use_input_stats=self.training or not self.track_running_stats,
            momentum=0.0 if self.momentum is None else self.momentum,
            eps=self.eps,
        )
        return result if channel_axis else result.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each element (Ulyanov et al., 2016).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C, L) or (C, L) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.InstanceNorm1d(1, eps=0.0)(st.tensor([[[1.0, 3.0]]])).tolist()
        [[[-1.0, 1.0]]]
    """

    rank = 3


class InstanceNorm2d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each element (Ulyanov et al., 2016).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C, H, W) or (C, H, W) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.InstanceNorm2d(3)
        InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)
    """

    rank = 4


class InstanceNorm3d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each element (Ulyanov et al., 2016).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C, D, H, W) or (C, D, H, W) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.InstanceNorm3d(2)(st.zeros(1, 2, 3, 3, 3)).shape
        (1, 2, 3, 3, 3)
    """

    rank = 5
