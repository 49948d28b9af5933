"""Batch normalisation of channels, with running statistics for evaluation."""

from __future__ import annotations

from ..errors import ShapeError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from .in_place import set_value
from .running_norm import RunningNorm


class _BatchNorm(RunningNorm):
    """Base of the batch norms: the batch's statistics in training, the running ones in evaluation."""

    ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalises the channels of `input`; in training it moves the running statistics.

        Args:
            input: shape (N, num_features, *).

        Returns:
            A tensor of the same shape and dtype.

        Raises:
            ShapeError: another number of axes or of channels.
            ArgumentError: only one value per channel in training.
        """
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            ranks = " or ".join(map(str, self.ranks))
            raise ShapeError(
                f"[{type(self).__name__}] expected {ranks} axes with {self.num_features} channels on axis 1, "
                f"got shape={tuple(input.shape)}; change num_features or the input"
            )
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if self.track_running_stats and self.training:
            assert self.num_batches_tracked is not None and self.running_mean is not None
            set_value(self.num_batches_tracked, self.num_batches_tracked + 1, deferred=True)
            if self.momentum is None:  # the mean over all batches
                momentum = 1.0 / self.num_batches_tracked.to(self.running_mean.dtype)
        use_running = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if use_running else None,
            self.running_var if use_running else None,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=momentum,
            eps=self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (Ioffe and Szegedy, 2015).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics; None for the mean over all batches.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C) or (N, C, L) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.BatchNorm1d(1, eps=0.0)(st.tensor([[1.0], [3.0]])).tolist()
        [[-1.0], [1.0]]
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (Ioffe and Szegedy, 2015).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics; None for the mean over all batches.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C, H, W) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> sorted(st.nn.BatchNorm2d(2).state_dict())
        ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (Ioffe and Szegedy, 2015).

    Args:
        num_features: the number of channels, C.
        eps: the constant added to the variance for numerical stability.
        momentum: the weight of the batch in the running statistics; None for the mean over all batches.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: the device of parameters and buffers.
        dtype: the floating dtype of parameters and buffers; float32 by default.

    Shape:
        input (N, C, D, H, W) of a floating dtype, output as input; weight, bias, running_mean and
        running_var (C,).

    Raises:
        ArgumentError: `num_features` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.BatchNorm3d(2)(st.zeros(1, 2, 3, 3, 3)).shape
        (1, 2, 3, 3, 3)
    """

    ranks = (5,)
