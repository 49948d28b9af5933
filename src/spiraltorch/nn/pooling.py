"""Pooling layers. Inputs are (N, C, *spatial), or (C, *spatial) without a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor.tensor import Tensor
from . import functional as F
from .arguments import Size1d, Size2d, Size3d
from .module import Module


class _MaxPool(Module):
    """Base of the maximum pools: their settings."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: int | Sequence[int],
        dilation: int | Sequence[int],
        ceil_mode: bool,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window over one spatial axis.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: elements of -inf at both ends, at most half of `kernel_size`.
        dilation: distance between a window's elements.
        ceil_mode: whether the last window may extend beyond the end of the input.

    Shape:
        input (N, C, L) or (C, L), output (N, C, L') with
        L' = floor((L + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.MaxPool1d(2)(st.tensor([[[1.0, 3.0, 2.0, 4.0]]])).tolist()
        [[[3.0, 4.0]]]
    """

    def __init__(
        self,
        kernel_size: Size1d,
        stride: Size1d | None = None,
        padding: Size1d = 0,
        dilation: Size1d = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, L) to (N, C, L')."""
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """The largest element of each window over two spatial axes.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: elements of -inf at both ends, at most half of `kernel_size`.
        dilation: distance between a window's elements.
        ceil_mode: whether the last window may extend beyond the end of the input.

    Shape:
        input (N, C, H, W) or (C, H, W), output (N, C, H', W') with
        H' = floor((H + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1, and so on.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.MaxPool2d(2)(st.zeros(1, 3, 8, 6)).shape
        (1, 3, 4, 3)
    """

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        dilation: Size2d = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, H', W')."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool3d(_MaxPool):
    """The largest element of each window over three spatial axes.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: elements of -inf at both ends, at most half of `kernel_size`.
        dilation: distance between a window's elements.
        ceil_mode: whether the last window may extend beyond the end of the input.

    Shape:
        input (N, C, D, H, W) or (C, D, H, W), output (N, C, D', H', W') with
        D' = floor((D + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1, and so on.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.MaxPool3d(2)(st.zeros(1, 3, 8, 6, 4)).shape
        (1, 3, 4, 3, 2)
    """

    def __init__(
        self,
        kernel_size: Size3d,
        stride: Size3d | None = None,
        padding: Size3d = 0,
        dilation: Size3d = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, D, H, W) to (N, C, D', H', W')."""
        return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class _AvgPool(Module):
    """Base of the average pools: their settings."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: int | Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window over one spatial axis.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: zeros at both ends, at most half of `kernel_size`.
        ceil_mode: whether the last window may extend beyond the end of the input.
        count_include_pad: whether padding counts as elements of the mean.

    Shape:
        input (N, C, L) or (C, L) of a floating dtype, output (N, C, L') with
        L' = floor((L + 2 * padding - kernel_size) / stride) + 1.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AvgPool1d(2)(st.tensor([[[1.0, 3.0, 2.0, 4.0]]])).tolist()
        [[[2.0, 3.0]]]
    """

    def __init__(
        self,
        kernel_size: Size1d,
        stride: Size1d | None = None,
        padding: Size1d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, L) to (N, C, L')."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window over two spatial axes.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: zeros at both ends, at most half of `kernel_size`.
        ceil_mode: whether the last window may extend beyond the end of the input.
        count_include_pad: whether padding counts as elements of the mean.
        divisor_override: the divisor of the sum, instead of the number of elements.

    Shape:
        input (N, C, H, W) or (C, H, W) of a floating dtype, output (N, C, H', W') with
        H' = floor((H + 2 * padding - kernel_size) / stride) + 1, and so on.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AvgPool2d(2)(st.zeros(1, 3, 8, 6)).shape
        (1, 3, 4, 3)
    """

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, H', W')."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_AvgPool):
    """The mean of each window over three spatial axes.

    Args:
        kernel_size: extent of a window.
        stride: step between windows; `kernel_size` by default.
        padding: zeros at both ends, at most half of `kernel_size`.
        ceil_mode: whether the last window may extend beyond the end of the input.
        count_include_pad: whether padding counts as elements of the mean.
        divisor_override: the divisor of the sum, instead of the number of elements.

    Shape:
        input (N, C, D, H, W) or (C, D, H, W) of a floating dtype, output (N, C, D', H', W') with
        D' = floor((D + 2 * padding - kernel_size) / stride) + 1, and so on.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AvgPool3d(2)(st.zeros(1, 3, 8, 6, 4)).shape
        (1, 3, 4, 3, 2)
    """

    def __init__(
        self,
        kernel_size: Size3d,
        stride: Size3d | None = None,
        padding: Size3d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, D, H, W) to (N, C, D', H', W')."""
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool1d(Module):
    """Means over bins of nearly equal extent, along one spatial axis.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m).

    Args:
        output_size: the number of bins.

    Shape:
        input (N, C, L) or (C, L) of a floating dtype, output (N, C, output_size).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AdaptiveAvgPool1d(2)(st.tensor([[[1.0, 3.0, 2.0, 4.0]]])).tolist()
        [[[2.0, 3.0]]]
    """

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, L) to (N, C, output_size)."""
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(Module):
    """Means over bins of nearly equal extent, along two spatial axes.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m).

    Args:
        output_size: the numbers of bins; None keeps an extent, an int stands for both axes.

    Shape:
        input (N, C, H, W) or (C, H, W) of a floating dtype, output (N, C, *output_size).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AdaptiveAvgPool2d(1)(st.zeros(1, 3, 5, 7)).shape
        (1, 3, 1, 1)
    """

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, *output_size)."""
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool3d(Module):
    """Means over bins of nearly equal extent, along three spatial axes.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m).

    Args:
        output_size: the numbers of bins; None keeps an extent, an int stands for all axes.

    Shape:
        input (N, C, D, H, W) or (C, D, H, W) of a floating dtype, output (N, C, *output_size).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.AdaptiveAvgPool3d((2, 1, None))(st.zeros(1, 3, 5, 6, 7)).shape
        (1, 3, 2, 1, 7)
    """

    def __init__(self, output_size: int | tuple[int | None, int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, D, H, W) to (N, C, *output_size)."""
        return F.adaptive_avg_pool3d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
