"""Pooling over windows of the spatial axes, in PyTorch's layout (N, C, *space)."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal, overload

import numpy as np

from ...dtypes import bool_, int64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node
from ...typing import ArrayLike, Shape
from ..creation import asarray
from ..dispatch import as_tensor, node_of
from ..tensor import Tensor
from .casting import in_float32
from .convolution import IntPerAxis, per_axis


def _extent(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are. With `ceil_mode`, the last may run over the end, but must begin before it."""
    span = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def _windows(
    op: str, rank: int, x: Tensor, kernel_size: IntPerAxis, stride: IntPerAxis | None, padding: IntPerAxis,
    dilation: IntPerAxis, ceil_mode: bool, fill: float,
) -> tuple[Node, list[int], tuple[Shape, Shape, Shape]]:  # fmt: skip
    """The windows (..., *out, *kernel) of the padded input; the result's shape; kernel, stride and padding."""
    kernel = per_axis(kernel_size, rank, op, "kernel_size", 1)
    strides = (
        kernel
        if stride is None or (isinstance(stride, tuple) and not stride)
        else per_axis(stride, rank, op, "stride", 1)
    )
    pads = per_axis(padding, rank, op, "padding", 0)
    dilations = per_axis(dilation, rank, op, "dilation", 1)
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"[{op}] expected an input of {rank + 2} (or {rank + 1}) axes, got shape {x.shape}; add or remove axes"
        )
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ArgumentError(
            f"[{op}] expected padding of at most half the kernel, got {pads} and {kernel}; reduce the padding"
        )
    lead = x.ndim - rank
    edges, out = [(0, 0, 0)] * lead, []
    for d in range(rank):
        size, span = x.shape[lead + d], (kernel[d] - 1) * dilations[d] + 1
        count = _extent(size, kernel[d], strides[d], pads[d], dilations[d], ceil_mode)
        if count < 1 or size == 0:
            raise ShapeError(
                f"[{op}] expected windows that fit, got a window of {span} over {size} elements padded by {pads[d]}; "
                "use a smaller kernel"
            )
        out.append(count)
        edges.append((pads[d], max(0, (count - 1) * strides[d] + span - size - pads[d]), 0))
    node = build.pad(node_of(x), tuple(edges), fill)
    node = build.windows(node, tuple(range(lead, x.ndim)), kernel, strides, dilations)
    return node, [*x.shape[:lead], *out], (kernel, strides, pads)


def _max_pool(
    rank: int, input: ArrayLike, kernel_size: IntPerAxis, stride: IntPerAxis | None, padding: IntPerAxis,
    dilation: IntPerAxis, ceil_mode: bool, indices: bool,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """Maxima of windows over `rank` spatial axes, and their positions where `indices` asks for them."""
    op = f"max_pool{rank}d"
    x = as_tensor(input)
    dtype = x.dtype
    least = -math.inf if dtype.is_float else False if dtype.is_bool else int(np.iinfo(dtype.numpy).min)
    node, shape, (kernel, strides, pads) = _windows(
        op, rank, x, kernel_size, stride, padding, dilation, ceil_mode, least
    )
    axes = tuple(range(len(shape), len(shape) + rank))
    if not indices and not (node.rg and GRAD_MODE.on):
        return Tensor(build.reduce_max(node, axes))
    # PyTorch gives the gradient to the first of equal elements, `reduce_max` shares it: so pick it by its position.
    flat = build.reshape(node, (*shape, math.prod(kernel)))
    if any(pads) or ceil_mode:
        ones = Tensor(build.full(x.shape, True, bool_, x.device))
        inside, _, _ = _windows(op, rank, ones, kernel_size, stride, padding, dilation, ceil_mode, False)
        position = _first_greatest(flat, build.reshape(inside, flat.aval.shape))
    else:
        position = build.argmax(flat, len(shape))
    spread = build.reshape(position, (*shape, 1))
    chosen = build.eq(build.iota(flat.aval.shape, len(shape), int64, x.device), spread)
    zero = build.const(0, dtype, x.device)
    result = Tensor(build.reduce_sum(build.where(chosen, flat, zero), (len(shape),)))
    if not indices:
        return result
    dilations = per_axis(dilation, rank, op, "dilation", 1)
    return result, _flat_positions(Tensor(position), x.shape[-rank:], kernel, strides, pads, dilations)


def _first_greatest(windows: Node, inside: Node) -> Node:
    """The first position at which the last axis has its maximum or NaN, among those inside the input; 0 without any.

    Padding is the least number of the dtype, so an element that is that number equals it.
    """
    shape, axis, device = windows.aval.shape, windows.aval.ndim - 1, windows.aval.device
    best = build.expand(build.reshape(build.reduce_max(windows, (axis,)), (*shape[:-1], 1)), shape)
    hit = build.eq(windows, best)
    if windows.aval.dtype.is_float:
        hit = build.bitor(hit, build.isnan(windows))
    none = build.const(shape[axis], int64, device)
    numbers = build.where(build.bitand(hit, inside), build.iota(shape, axis, int64, device), none)
    first = build.reduce_min(numbers, (axis,))
    return build.where(build.eq(first, none), build.const(0, int64, device), first)


def _flat_positions(
    within: Tensor, space: Shape, kernel: Shape, strides: Shape, pads: Shape, dilations: Shape
) -> Tensor:
    """Positions in flattened windows as positions in the flattened spatial axes of the input."""
    total: Tensor | int = 0
    rank, lead = len(space), within.ndim - len(space)
    for d in range(rank):
        offset = within // math.prod(kernel[d + 1 :]) % kernel[d]
        start = Tensor(build.iota(within.shape, lead + d, int64, within.device)) * strides[d] - pads[d]
        total = total + (start + offset * dilations[d]) * math.prod(space[d + 1 :])
    return total  # type: ignore[return-value]  # there is at least one spatial axis


@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool1d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Finds the greatest element of each window over one spatial axis, as in PyTorch.

    Args:
        input: shape (N, C, L) or (C, L), any dtype.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        dilation: the distance between neighbouring elements of a window, for all spatial axes or for each.
        ceil_mode: whether the last window may extend beyond the end of the input.
        return_indices: whether the positions of the elements are returned as well.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype; NaN where a window has one. The
        gradient goes to the first of equal elements. With `return_indices` a pair, whose second tensor holds int64
        positions in the flattened spatial axes.

    Raises:
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.max_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
        [[[3.0, 4.0]]]
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool2d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Finds the greatest element of each window over two spatial axes, as in PyTorch.

    Args:
        input: shape (N, C, H, W) or (C, H, W), any dtype.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        dilation: the distance between neighbouring elements of a window, for all spatial axes or for each.
        ceil_mode: whether the last window may extend beyond the end of the input.
        return_indices: whether the positions of the elements are returned as well.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype; NaN where a window has one. The
        gradient goes to the first of equal elements. With `return_indices` a pair, whose second tensor holds int64
        positions in the flattened spatial axes.

    Raises:
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.max_pool2d(st.ones(1, 1, 4, 4), 2).shape
        (1, 1, 2, 2)
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool3d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    dilation: IntPerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Finds the greatest element of each window over three spatial axes, as in PyTorch.

    Args:
        input: shape (N, C, D, H, W) or (C, D, H, W), any dtype.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        dilation: the distance between neighbouring elements of a window, for all spatial axes or for each.
        ceil_mode: whether the last window may extend beyond the end of the input.
        return_indices: whether the positions of the elements are returned as well.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype; NaN where a window has one. The
        gradient goes to the first of equal elements. With `return_indices` a pair, whose second tensor holds int64
        positions in the flattened spatial axes.

    Raises:
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.max_pool3d(st.ones(1, 1, 4, 4, 4), 2).shape
        (1, 1, 2, 2, 2)
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    rank: int, input: ArrayLike, kernel_size: IntPerAxis, stride: IntPerAxis | None, padding: IntPerAxis,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> Tensor:  # fmt: skip
    """Means of windows over `rank` spatial axes."""
    op = f"avg_pool{rank}d"
    x = as_tensor(input)
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast with .to(st.float32)")
    if x.dtype.itemsize == 2:
        pool = partial(_avg_pool, rank)
        return in_float32(pool, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    node, shape, (kernel, strides, pads) = _windows(op, rank, x, kernel_size, stride, padding, 1, ceil_mode, 0.0)
    total = Tensor(build.reduce_sum(node, tuple(range(len(shape), len(shape) + rank))))
    if divisor_override is not None:
        if divisor_override == 0:
            raise ArgumentError(
                f"[{op}] expected a divisor that is not 0, got {divisor_override}; change divisor_override"
            )
        return total / divisor_override
    counts = np.ones((1,) * rank)
    for d in range(rank):
        begin = np.arange(shape[d - rank]) * strides[d] - pads[d]
        end = np.minimum(begin + kernel[d], x.shape[d - rank] + pads[d])
        if not count_include_pad:
            begin, end = np.maximum(begin, 0), np.minimum(end, x.shape[d - rank])
        counts = counts * (end - begin).reshape([-1 if a == d else 1 for a in range(rank)])
    if np.all(counts == counts.flat[0]):
        return total / float(counts.flat[0])
    return total / asarray(counts.astype(x.dtype.numpy), device=x.device)


def avg_pool1d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Computes the mean of each window over one spatial axis, as in PyTorch.

    Args:
        input: shape (N, C, L) or (C, L); floating dtypes.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        ceil_mode: whether the last window may extend beyond the end of the input; elements beyond it never count.
        count_include_pad: whether padding counts, as zeros.
        divisor_override: the divisor of the sums, instead of the number of elements.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.avg_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
        [[[2.0, 3.0]]]
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool2d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Computes the mean of each window over two spatial axes, as in PyTorch.

    Args:
        input: shape (N, C, H, W) or (C, H, W); floating dtypes.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        ceil_mode: whether the last window may extend beyond the end of the input; elements beyond it never count.
        count_include_pad: whether padding counts, as zeros.
        divisor_override: the divisor of the sums, instead of the number of elements.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.avg_pool2d(st.ones(1, 1, 4, 4), 2).shape
        (1, 1, 2, 2)
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: ArrayLike,
    kernel_size: IntPerAxis,
    stride: IntPerAxis | None = None,
    padding: IntPerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Computes the mean of each window over three spatial axes, as in PyTorch.

    Args:
        input: shape (N, C, D, H, W) or (C, D, H, W); floating dtypes.
        kernel_size: the extents of a window, for all spatial axes or for each.
        stride: the distance between neighbouring windows, for all spatial axes or for each; by default the extent of a
            window.
        padding: the number of elements added at both ends, for all spatial axes or for each; at most half a window.
        ceil_mode: whether the last window may extend beyond the end of the input; elements beyond it never count.
        count_include_pad: whether padding counts, as zeros.
        divisor_override: the divisor of the sums, instead of the number of elements.

    Returns:
        A tensor with the windows in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes, or no window fits.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.avg_pool3d(st.ones(1, 1, 4, 4, 4), 2).shape
        (1, 1, 2, 2, 2)
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
