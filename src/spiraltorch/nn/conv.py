"""Convolution layers. Inputs are (N, C, *spatial), or (C, *spatial) without a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import ArgumentError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .arguments import Size1d, Size2d, Size3d, check_positive, per_axis
from .module import Module
from .parameter import Parameter, zeros_parameter


class Convolution(Module):
    """Base of convolutions and transposed convolutions: checked settings, weight and bias."""

    axes = 0
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int],
        padding: int | Sequence[int] | str,
        output_padding: int | Sequence[int],
        dilation: int | Sequence[int],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: DeviceLike | None,
        dtype: DTypeLike | None,
    ) -> None:
        super().__init__()
        owner, axes = type(self).__name__, self.axes
        check_positive(owner, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"[{owner}] expected in_channels and out_channels to be multiples of groups={groups}, "
                f"got {in_channels} and {out_channels}; change groups"
            )
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ArgumentError(f"[{owner}] expected padding_mode {', '.join(modes)}, got {padding_mode!r}; choose one")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(owner, "kernel_size", kernel_size, axes, 1)
        self.stride = per_axis(owner, "stride", stride, axes, 1)
        self.dilation = per_axis(owner, "dilation", dilation, axes, 1)
        self.output_padding = per_axis(owner, "output_padding", output_padding, axes)
        self.padding_mode = padding_mode
        self.padding = self._checked_padding(padding)
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = zeros_parameter(outer, inner // groups, *self.kernel_size, device=device, dtype=dtype)
        self.register_parameter("bias", zeros_parameter(out_channels, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def _checked_padding(self, padding: int | Sequence[int] | str) -> tuple[int, ...] | str:
        """The padding of each axis, or its name."""
        owner = type(self).__name__
        if not isinstance(padding, str):
            return per_axis(owner, "padding", padding, self.axes)
        if padding not in ("same", "valid"):
            raise ArgumentError(f"[{owner}] expected padding 'same', 'valid' or numbers, got {padding!r}")
        if padding == "same" and any(step != 1 for step in self.stride):
            raise ArgumentError(f"[{owner}] expected stride 1 for padding 'same', got {self.stride}; give numbers")
        return padding

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, uniformly from +-1/sqrt(fan_in).

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Conv1d(1, 2, 4)
            >>> layer.reset_parameters()
            >>> layer.weight.abs().max().item() <= 0.5
            True
        """
        init.reset_linear(self.weight, self.bias, math.prod(self.weight.shape[1:]))

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

    def _padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
        """The input with padding that is not zeros, and the zero padding that is left to the convolution."""
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


class Conv1d(Convolution):
    """Cross-correlation over one spatial axis.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = in_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel.
        padding: the number of elements added at both ends, or 'valid' (none), or 'same' (the output is as large as the
            input).
        dilation: distance between the kernel's elements.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        padding_mode: the padding values: `zeros`, `reflect`, `replicate` or `circular`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') with
        L' = floor((L + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
        weight (out_channels, in_channels / groups, K), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Conv1d(1, 2, 3)(st.zeros(4, 1, 8)).shape
        (4, 2, 6)
    """

    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size1d,
        stride: Size1d = 1,
        padding: Size1d | str = 0,
        dilation: Size1d = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding=0,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, L) to (N, out_channels, L')."""
        input, padding = self._padded(input)
        return F.conv1d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(Convolution):
    """Cross-correlation over two spatial axes.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = in_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel.
        padding: the number of elements added at both ends, or 'valid' (none), or 'same' (the output is as large as the
            input).
        dilation: distance between the kernel's elements.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        padding_mode: the padding values: `zeros`, `reflect`, `replicate` or `circular`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W') with
        H' = floor((H + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1, and so on;
        weight (out_channels, in_channels / groups, KH, KW), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Conv2d(3, 8, 3, stride=2, padding=1)(st.zeros(1, 3, 8, 8)).shape
        (1, 8, 4, 4)
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: Size2d | str = 0,
        dilation: Size2d = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding=0,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H', W')."""
        input, padding = self._padded(input)
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(Convolution):
    """Cross-correlation over three spatial axes.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = in_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel.
        padding: the number of elements added at both ends, or 'valid' (none), or 'same' (the output is as large as the
            input).
        dilation: distance between the kernel's elements.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        padding_mode: the padding values: `zeros`, `reflect`, `replicate` or `circular`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, D, H, W) or (in_channels, D, H, W), output (N, out_channels, D', H', W') with
        D' = floor((D + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1, and so on;
        weight (out_channels, in_channels / groups, KD, KH, KW), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Conv3d(1, 2, (1, 3, 3))(st.zeros(1, 1, 4, 5, 6)).shape
        (1, 2, 4, 3, 4)
    """

    axes = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size3d,
        stride: Size3d = 1,
        padding: Size3d | str = 0,
        dilation: Size3d = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding=0,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, D, H, W) to (N, out_channels, D', H', W')."""
        input, padding = self._padded(input)
        return F.conv3d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
