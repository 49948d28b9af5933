"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError, ShapeError
from . import functional as F
from . import init, state
from .api import Tensor, st
from .linear import new, positive
from .module import Module
from .parameter import Parameter


def _ones(*shape: int, device: Any, dtype: Any) -> Parameter:
    return Parameter(st.ones(*shape, dtype=dtype, device=device))


class LayerNorm(Module):
    """Normalises over the last axes of extent `normalized_shape`, with weight and bias of that shape."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        affine, shifted = elementwise_affine, elementwise_affine and bias
        self.register_parameter("weight", _ones(*shape, device=device, dtype=dtype) if affine else None)
        self.register_parameter("bias", new(*shape, device=device, dtype=dtype) if shifted else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """Divides by the root mean square over the last axes of extent `normalized_shape`."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.register_parameter("weight", _ones(*shape, device=device, dtype=dtype) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Weight 1."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalises an (N, C, ...) input over `num_groups` groups of channels."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"[GroupNorm] expected num_channels to be a multiple of num_groups={num_groups}, got {num_channels}; "
                "change one of them"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", _ones(num_channels, device=device, dtype=dtype) if affine else None)
        self.register_parameter("bias", new(num_channels, device=device, dtype=dtype) if affine else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


def _reset_affine(module: Module) -> None:
    """Weight 1 and bias 0, where they exist."""
    for name, parameter in module.named_parameters(recurse=False):
        init.constant_(parameter, 1.0 if name == "weight" else 0.0)


def _register(
    module: Module, num_features: int, eps: float, momentum: float | None, affine: bool, track: bool, device: Any,
    dtype: Any,
) -> None:  # fmt: skip
    """Settings, parameters and buffers of a normalisation that may keep running statistics."""
    positive(type(module).__name__, num_features=num_features)
    module.num_features, module.eps, module.momentum = num_features, eps, momentum
    module.affine, module.track_running_stats = affine, track
    module.register_parameter("weight", _ones(num_features, device=device, dtype=dtype) if affine else None)
    module.register_parameter("bias", new(num_features, device=device, dtype=dtype) if affine else None)
    module.register_buffer("running_mean", st.zeros(num_features, dtype=dtype, device=device) if track else None)
    module.register_buffer("running_var", st.ones(num_features, dtype=dtype, device=device) if track else None)
    module.register_buffer("num_batches_tracked", st.tensor(0, device=device) if track else None)


def _reset_running(module: Module) -> None:
    """Mean 0, variance 1, no batches seen."""
    if module.track_running_stats:
        init.zeros_(module.running_mean)
        init.ones_(module.running_var)
        state.put(module.num_batches_tracked, st.tensor(0))


def _shown(module: Module) -> str:
    return (
        f"{module.num_features}, eps={module.eps}, momentum={module.momentum}, affine={module.affine}, "
        f"track_running_stats={module.track_running_stats}"
    )


class _BatchNorm(Module):
    """Batch statistics in training, running ones in evaluation."""

    ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _register(self, num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        _reset_running(self)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, fresh statistics."""
        self.reset_running_stats()
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype; (N, num_features, ...). Raises `ShapeError` for another rank or channel count."""
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            ranks = " or ".join(map(str, self.ranks))
            raise ShapeError(
                f"[{type(self).__name__}] expected {ranks} axes with {self.num_features} channels on axis 1, "
                f"got shape={tuple(input.shape)}; change num_features or the input"
            )
        tracking = self.track_running_stats and self.training
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if tracking:
            state.put(self.num_batches_tracked, self.num_batches_tracked + 1, pending=True)
            if self.momentum is None:
                momentum = 1.0 / self.num_batches_tracked.to(self.running_mean.dtype)
        batch_statistics = self.training or self.running_mean is None
        use_running = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if use_running else None,
            self.running_var if use_running else None,
            self.weight,
            self.bias,
            batch_statistics,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return _shown(self)


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W).

    >>> from spiraltorch import nn
    >>> sorted(nn.BatchNorm2d(2).state_dict())
    ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W)."""

    ranks = (5,)


class _InstanceNorm(Module):
    """Statistics of each channel of each element; running ones in evaluation, where they are kept."""

    rank = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _register(self, num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        _reset_running(self)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, fresh statistics."""
        self.reset_running_stats()
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype; (N, num_features, *space), or without N. Raises `ShapeError` for others."""
        channels = input.ndim - self.rank + 1
        if channels not in (0, 1) or input.shape[channels] != self.num_features:
            raise ShapeError(
                f"[{type(self).__name__}] expected {self.rank} axes, or {self.rank - 1} without a batch, with "
                f"{self.num_features} channels, got shape={tuple(input.shape)}; change num_features or the input"
            )
        batch = input if channels else input.unsqueeze(0)
        made = F.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return made if channels else made.squeeze(0)

    def extra_repr(self) -> str:
        return _shown(self)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    rank = 3


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W).

    >>> from spiraltorch import nn
    >>> nn.InstanceNorm2d(3)
    InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)
    """

    rank = 4


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    rank = 5
