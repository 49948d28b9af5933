"""Convolutions and transposed convolutions. Inputs are (N, C, *spatial) or (C, *spatial)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError
from . import functional as F
from . import init
from .api import Tensor
from .linear import new, positive
from .module import Module

Size = int | Sequence[int]


def tuple_of(owner: str, name: str, value: Size, axes: int, least: int = 0) -> tuple[int, ...]:
    """`value` for each axis; raises `ArgumentError` for another number of entries, or one below `least`."""
    entries = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(entries) != axes or not all(isinstance(entry, int) and entry >= least for entry in entries):
        raise ArgumentError(
            f"[{owner}] expected {name} as an integer >= {least} or {axes} of them, got {value!r}; change it"
        )
    return entries


class _Conv(Module):
    """What all convolutions share: checked settings, weight, bias and their initialisation."""

    axes = 0
    transposed = False

    def _setup(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        output_padding: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        owner, axes = type(self).__name__, self.axes
        positive(owner, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"[{owner}] expected in_channels and out_channels to be multiples of groups={groups}, "
                f"got {in_channels} and {out_channels}; change groups"
            )
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ArgumentError(f"[{owner}] expected padding_mode {', '.join(modes)}, got {padding_mode!r}; choose one")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = tuple_of(owner, "kernel_size", kernel_size, axes, 1)
        self.stride = tuple_of(owner, "stride", stride, axes, 1)
        self.dilation = tuple_of(owner, "dilation", dilation, axes, 1)
        self.output_padding = tuple_of(owner, "output_padding", output_padding, axes)
        self.padding_mode = padding_mode
        self.padding: tuple[int, ...] | str
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ArgumentError(
                    f"[{owner}] expected padding 'same', 'valid' or numbers, got {padding!r}; change it"
                )
            if padding == "same" and any(step != 1 for step in self.stride):
                raise ArgumentError(f"[{owner}] expected stride 1 for padding 'same', got {self.stride}; give numbers")
            self.padding = padding
        else:
            self.padding = tuple_of(owner, "padding", padding, axes)
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = new(outer, inner // groups, *self.kernel_size, device=device, dtype=dtype)
        self.register_parameter("bias", new(out_channels, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias from +-1/sqrt(fan_in)."""
        init.reset_linear(self.weight, self.bias, math.prod(self.weight.shape[1:]))

    def _padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
        """The input with the padding that is not zeros, and what is left to pad with zeros."""
        if self.padding_mode == "zeros":
            return input, self.padding
        widths: list[int] = []
        for axis in reversed(range(self.axes)):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                widths += [total // 2, total - total // 2]
            else:
                widths += [0, 0] if isinstance(self.padding, str) else [self.padding[axis]] * 2
        return F.pad(input, widths, mode=self.padding_mode), (0,) * self.axes

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if any(step != 1 for step in self.dilation):
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else text + f", padding_mode={self.padding_mode}"


class _Forward(_Conv):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class _Transposed(_Conv):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip


class Conv1d(_Forward):
    """Cross-correlation of (N, C, L) with a weight (out_channels, in_channels / groups, kernel)."""

    axes = 1

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, L) to (N, out_channels, L')."""
        input, padding = self._padded(input)
        return F.conv1d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Forward):
    """Cross-correlation of (N, C, H, W) with a weight (out_channels, in_channels / groups, kernel, kernel).

    >>> from spiraltorch import nn, zeros
    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1)(zeros(1, 3, 8, 8)).shape
    (1, 8, 4, 4)
    """

    axes = 2

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, H, W) to (N, out_channels, H', W')."""
        input, padding = self._padded(input)
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Forward):
    """Cross-correlation of (N, C, D, H, W)."""

    axes = 3

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, D, H, W) to (N, out_channels, D', H', W')."""
        input, padding = self._padded(input)
        return F.conv3d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose1d(_Transposed):
    """The gradient of `Conv1d` as a layer; weight (in_channels, out_channels / groups, kernel)."""

    axes = 1

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, L) to (N, out_channels, L')."""
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(_Transposed):
    """The gradient of `Conv2d` as a layer; weight (in_channels, out_channels / groups, kernel, kernel)."""

    axes = 2

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, H, W) to (N, out_channels, H', W')."""
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose3d(_Transposed):
    """The gradient of `Conv3d` as a layer; weight (in_channels, out_channels / groups, kernel, kernel, kernel).

    >>> from spiraltorch import nn, zeros
    >>> nn.ConvTranspose3d(2, 3, 2, stride=2)(zeros(1, 2, 3, 3, 4)).shape
    (1, 3, 6, 6, 8)
    """

    axes = 3

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, D, H, W) to (N, out_channels, D', H', W')."""
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
