"""Pooling layers over (N, C, *spatial) or (C, *spatial)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import functional as F
from .api import Tensor
from .module import Module

Size = int | Sequence[int]


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        ceil_mode: bool = False,
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
    """The largest value of each window of (N, C, L)."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) to (N, C, L')."""
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """The largest value of each window of (N, C, H, W).

    >>> from spiraltorch import nn, zeros
    >>> nn.MaxPool2d(2)(zeros(1, 3, 8, 6)).shape
    (1, 3, 4, 3)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) to (N, C, H', W')."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool3d(_MaxPool):
    """The largest value of each window of (N, C, D, H, W).

    >>> from spiraltorch import nn, zeros
    >>> nn.MaxPool3d(2)(zeros(1, 3, 8, 6, 4)).shape
    (1, 3, 4, 3, 2)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) to (N, C, D', H', W')."""
        return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AvgPool1d(Module):
    """The mean of each window of (N, C, L)."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) to (N, C, L')."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def _settings(self) -> tuple[Any, ...]:
        """The arguments of the function after the input."""
        return (
            self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) to (N, C, H', W')."""
        return F.avg_pool2d(input, *self._settings())


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W).

    >>> from spiraltorch import nn, zeros
    >>> nn.AvgPool3d(2)(zeros(1, 3, 8, 6, 4)).shape
    (1, 3, 4, 3, 2)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) to (N, C, D', H', W')."""
        return F.avg_pool3d(input, *self._settings())


class AdaptiveAvgPool1d(Module):
    """Means over `output_size` nearly equal bins of (N, C, L)."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) to (N, C, output_size)."""
        return F.adaptive_avg_pool1d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(Module):
    """Means over a grid of nearly equal bins of (N, C, H, W); None keeps an extent."""

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) to (N, C, *output_size)."""
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool3d(Module):
    """Means over a grid of nearly equal bins of (N, C, D, H, W); None keeps an extent.

    >>> from spiraltorch import nn, zeros
    >>> nn.AdaptiveAvgPool3d((2, 1, None))(zeros(1, 3, 5, 6, 7)).shape
    (1, 3, 2, 1, 7)
    """

    def __init__(self, output_size: int | tuple[int | None, int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) to (N, C, *output_size)."""
        return F.adaptive_avg_pool3d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
