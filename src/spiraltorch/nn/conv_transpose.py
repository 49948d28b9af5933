"""Transposed convolution layers. Inputs are (N, C, *spatial), or (C, *spatial) without a batch."""

from __future__ import annotations

from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from .arguments import Size1d, Size2d, Size3d
from .conv import Convolution


class ConvTranspose1d(Convolution):
    """Transposed convolution over one spatial axis: the gradient of `Conv1d` with respect to its input.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = out_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel in the output.
        padding: the number of elements removed at both ends of the output.
        output_padding: the number of elements added at the end of the output; less than `stride` or `dilation`.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        dilation: distance between the kernel's elements.
        padding_mode: `zeros`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') with
        L' = (L - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1;
        weight (in_channels, out_channels / groups, K), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ConvTranspose1d(2, 1, 4, stride=2, padding=1)(st.zeros(1, 2, 5)).shape
        (1, 1, 10)
    """

    axes = 1
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size1d,
        stride: Size1d = 1,
        padding: Size1d = 0,
        output_padding: Size1d = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size1d = 1,
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
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, L) to (N, out_channels, L')."""
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(Convolution):
    """Transposed convolution over two spatial axes: the gradient of `Conv2d` with respect to its input.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = out_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel in the output.
        padding: the number of elements removed at both ends of the output.
        output_padding: the number of elements added at the end of the output; less than `stride` or `dilation`.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        dilation: distance between the kernel's elements.
        padding_mode: `zeros`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W') with
        H' = (H - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1, and so on;
        weight (in_channels, out_channels / groups, KH, KW), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)(st.zeros(1, 8, 4, 4)).shape
        (1, 3, 8, 8)
    """

    axes = 2
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: Size2d = 0,
        output_padding: Size2d = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size2d = 1,
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
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H', W')."""
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose3d(Convolution):
    """Transposed convolution over three spatial axes: the gradient of `Conv3d` with respect to its input.

    Weight and bias are drawn uniformly from +-1/sqrt(fan_in), fan_in = out_channels / groups * kernel elements.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: extent of the kernel.
        stride: step of the kernel in the output.
        padding: the number of elements removed at both ends of the output.
        output_padding: the number of elements added at the end of the output; less than `stride` or `dilation`.
        groups: groups of channels that are convolved separately; it divides both numbers of channels.
        bias: whether a bias is added.
        dilation: distance between the kernel's elements.
        padding_mode: `zeros`.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (N, in_channels, D, H, W) or (in_channels, D, H, W), output (N, out_channels, D', H', W') with
        D' = (D - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1, and so on;
        weight (in_channels, out_channels / groups, KD, KH, KW), bias (out_channels,).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.ConvTranspose3d(2, 3, 2, stride=2)(st.zeros(1, 2, 3, 3, 4)).shape
        (1, 3, 6, 6, 8)
    """

    axes = 3
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size3d,
        stride: Size3d = 1,
        padding: Size3d = 0,
        output_padding: Size3d = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size3d = 1,
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
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, in_channels, D, H, W) to (N, out_channels, D', H', W')."""
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
