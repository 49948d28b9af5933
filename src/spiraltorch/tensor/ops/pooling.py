"""Pooling over windows of the spatial axes, in PyTorch's layout (N, C, *space)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node
from ..creation import asarray
from ..dispatch import handle, see
from ..tensor import Tensor
from .convolution import per_axis

Ints = int | Sequence[int]


def _extent(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are. With `ceil_mode`, the last may run over the end, but must begin before it."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def _windows(
    op: str, rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, fill: Any
) -> tuple[Node, list[int], tuple[Any, ...]]:
    """The windows (..., *out, *kernel) of the padded input; the result's shape; kernel, stride and padding."""
    x = handle(x)
    kernel = per_axis(kernel_size, rank, op, "kernel_size", 1)
    strides = kernel if stride is None or stride == () else per_axis(stride, rank, op, "stride", 1)
    pads = per_axis(padding, rank, op, "padding", 0)
    dilations = per_axis(dilation, rank, op, "dilation", 1)
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"[{op}] expected an input of {rank + 2} (or {rank + 1}) axes, got shape {x.shape}")
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ArgumentError(f"[{op}] expected padding of at most half the kernel, got {pads} and {kernel}")
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
    node = build.pad(see(x), tuple(edges), fill)
    node = build.windows(node, tuple(range(lead, x.ndim)), kernel, strides, dilations)
    return node, [*x.shape[:lead], *out], (kernel, strides, pads)


def _max_pool(
    rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
) -> Any:
    op = f"max_pool{rank}d"
    x = handle(x)
    dtype = x.dtype
    least: Any = -math.inf if dtype.is_float else False if dtype.is_bool else int(np.iinfo(dtype.numpy).min)
    node, shape, (kernel, strides, pads) = _windows(
        op, rank, x, kernel_size, stride, padding, dilation, ceil_mode, least
    )
    axes = tuple(range(len(shape), len(shape) + rank))
    if not indices and not (node.rg and GRAD_MODE.on):
        return Tensor(build.reduce_max(node, axes))
    # PyTorch gives the gradient to the first of equal elements, `reduce_max` shares it: so pick the element by place.
    flat = build.reshape(node, (*shape, math.prod(kernel)))
    place = build.argmax(flat, len(shape))
    spread = build.reshape(place, (*shape, 1))
    chosen = build.eq(build.iota(flat.aval.shape, len(shape), int64, x.device), spread)
    zero = build.const(0, dtype, x.device)
    made = Tensor(build.reduce_sum(build.where(chosen, flat, zero), (len(shape),)))
    if not indices:
        return made
    dilations = per_axis(dilation, rank, op, "dilation", 1)
    return made, _flat_places(Tensor(place), x.shape[-rank:], kernel, strides, pads, dilations)


def _flat_places(place: Any, space: Any, kernel: Any, strides: Any, pads: Any, dilations: Any) -> Tensor:
    """Places within windows as places in the flattened spatial axes of the input."""
    total: Any = 0
    rank, lead = len(space), place.ndim - len(space)
    for d in range(rank):
        within = place // math.prod(kernel[d + 1 :]) % kernel[d]
        start = Tensor(build.iota(place.shape, lead + d, int64, place.device)) * strides[d] - pads[d]
        total = total + (start + within * dilations[d]) * math.prod(space[d + 1 :])
    return total  # type: ignore[no-any-return]


def max_pool1d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest element of each window of (N, C, L) or (C, L); `stride` defaults to the kernel.

    The gradient goes to the first of equal elements. With `return_indices`, also their places in the flattened
    spatial axes, as int64. Raises `ShapeError` where no window fits, `ArgumentError` for impossible settings.

    >>> import spiraltorch as st
    >>> max_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
    [[[3.0, 4.0]]]
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest element of each window of (N, C, H, W); see `max_pool1d`.

    >>> import spiraltorch as st
    >>> max_pool2d(st.ones(1, 1, 4, 4), 2).shape
    (1, 1, 2, 2)
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest element of each window of (N, C, D, H, W); see `max_pool1d`.

    >>> import spiraltorch as st
    >>> max_pool3d(st.ones(1, 1, 4, 4, 4), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:  # fmt: skip
    op = f"avg_pool{rank}d"
    x = handle(x)
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast with .to(st.float32)")
    node, shape, (kernel, strides, pads) = _windows(op, rank, x, kernel_size, stride, padding, 1, ceil_mode, 0.0)
    total: Any = Tensor(build.reduce_sum(node, tuple(range(len(shape), len(shape) + rank))))
    if divisor_override is not None:
        if divisor_override == 0:
            raise ArgumentError(f"[{op}] expected a divisor that is not 0, got {divisor_override}")
        return total / divisor_override  # type: ignore[no-any-return]
    counts = np.ones((1,) * rank)
    for d in range(rank):
        begin = np.arange(shape[d - rank]) * strides[d] - pads[d]
        end = np.minimum(begin + kernel[d], x.shape[d - rank] + pads[d])
        if not count_include_pad:
            begin, end = np.maximum(begin, 0), np.minimum(end, x.shape[d - rank])
        counts = counts * (end - begin).reshape([-1 if a == d else 1 for a in range(rank)])
    if np.all(counts == counts.flat[0]):
        return total / float(counts.flat[0])  # type: ignore[no-any-return]
    return total / asarray(counts.astype(x.dtype.numpy), device=x.device)  # type: ignore[no-any-return]


def avg_pool1d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, L) or (C, L); `stride` defaults to the kernel. Floating dtypes.

    Padding counts as zeros, unless `count_include_pad` is False; what `ceil_mode` adds at the end never counts.

    >>> import spiraltorch as st
    >>> avg_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
    [[[2.0, 3.0]]]
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool2d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, H, W); see `avg_pool1d`.

    >>> import spiraltorch as st
    >>> avg_pool2d(st.ones(1, 1, 4, 4), 2).shape
    (1, 1, 2, 2)
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W); see `avg_pool1d`.

    >>> import spiraltorch as st
    >>> avg_pool3d(st.ones(1, 1, 4, 4, 4), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _adaptive(rank: int, input: Any, output_size: Any) -> Tensor:
    op = f"adaptive_avg_pool{rank}d"
    x = handle(input)
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast it first")
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"[{op}] expected {rank + 2} (or {rank + 1}) axes, got shape {x.shape}")
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(sizes) != rank or any(s is not None and (not isinstance(s, int) or s < 1) for s in sizes):
        raise ArgumentError(f"[{op}] expected 1 or {rank} sizes of at least 1, got {output_size!r}")
    node = see(x)
    for axis, size in zip(range(x.ndim - rank, x.ndim), sizes, strict=True):
        if size is not None:
            node = _bins(node, axis, size)
    return Tensor(node)


def adaptive_avg_pool2d(input: Any, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Averages (N, C, H, W) or (C, H, W) into nearly equal bins; an output size of None keeps that axis.

    Bin i covers the elements from floor(i * n / m) to ceil((i + 1) * n / m), as in PyTorch.

    >>> import spiraltorch as st
    >>> adaptive_avg_pool2d(st.ones(1, 3, 5, 7), (2, 1)).shape
    (1, 3, 2, 1)
    """
    return _adaptive(2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Averages (N, C, D, H, W) or (C, D, H, W) into nearly equal bins; see `adaptive_avg_pool2d`.

    >>> import spiraltorch as st
    >>> adaptive_avg_pool3d(st.ones(1, 3, 5, 7, 4), (2, 1, None)).shape
    (1, 3, 2, 1, 4)
    """
    return _adaptive(3, input, output_size)


def adaptive_avg_pool1d(input: Any, output_size: int) -> Tensor:
    """Averages (N, C, L) or (C, L) into nearly equal bins; see `adaptive_avg_pool2d`.

    >>> import spiraltorch as st
    >>> adaptive_avg_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
    [[[2.0, 3.0]]]
    """
    x = handle(input)
    return adaptive_avg_pool2d(x.unsqueeze(-2), (1, output_size)).squeeze(-2)  # type: ignore[no-any-return]


def _bins(x: Node, axis: int, size: int) -> Node:
    """Means of nearly equal bins of one axis: a reshape where they are equal, a small matrix otherwise."""
    shape, n = x.aval.shape, x.aval.shape[axis]
    if n == size:
        return x
    if n % size == 0:
        split = build.reshape(x, (*shape[:axis], size, n // size, *shape[axis + 1 :]))
        total = build.reduce_sum(split, (axis + 1,))
        return build.div(total, build.number(n // size, x.aval.dtype, x.aval.device))
    weights = np.zeros((n, size))
    for i in range(size):
        begin, end = i * n // size, -(-(i + 1) * n // size)
        weights[begin:end, i] = 1.0 / (end - begin)
    matrix = see(asarray(weights.astype(x.aval.dtype.numpy), device=x.aval.device))
    made = build.dot(x, matrix, (axis,), (0,))  # the new axis comes last
    rank = len(shape)
    return build.permute(made, (*range(axis), rank - 1, *range(axis, rank - 1)))
