"""Means over nearly equal bins of the spatial axes, in PyTorch's layout (N, C, *space)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...errors import ArgumentError, DTypeError, ShapeError
from ...graph import build
from ...graph.node import Node
from ...typing import ArrayLike
from ..arguments import integer
from ..creation import asarray
from ..dispatch import as_tensor, node_of
from ..tensor import Tensor
from .casting import in_float32


def adaptive_avg_pool1d(input: ArrayLike, output_size: int) -> Tensor:
    """Computes the mean of nearly equal bins over one spatial axis, as in PyTorch.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m) of an axis of extent n.

    Args:
        input: shape (N, C, L) or (C, L); floating dtypes.
        output_size: the number of bins.

    Returns:
        A tensor with the bins in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes.
        ArgumentError: a number of bins is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.adaptive_avg_pool1d(st.tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2).tolist()
        [[[2.0, 3.0]]]
    """
    x = as_tensor(input)
    return adaptive_avg_pool2d(x.unsqueeze(-2), (1, output_size)).squeeze(-2)


def adaptive_avg_pool2d(input: ArrayLike, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Computes the mean of nearly equal bins over two spatial axes, as in PyTorch.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m) of an axis of extent n.

    Args:
        input: shape (N, C, H, W) or (C, H, W); floating dtypes.
        output_size: the number of bins, for all spatial axes or for each; None keeps an axis.

    Returns:
        A tensor with the bins in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes.
        ArgumentError: a number of bins is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.adaptive_avg_pool2d(st.ones(1, 3, 5, 7), (2, 1)).shape
        (1, 3, 2, 1)
    """
    return _adaptive(2, input, output_size)


def adaptive_avg_pool3d(input: ArrayLike, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Computes the mean of nearly equal bins over three spatial axes, as in PyTorch.

    Bin i of m covers the elements from floor(i * n / m) to ceil((i + 1) * n / m) of an axis of extent n.

    Args:
        input: shape (N, C, D, H, W) or (C, D, H, W); floating dtypes.
        output_size: the number of bins, for all spatial axes or for each; None keeps an axis.

    Returns:
        A tensor with the bins in place of the spatial axes, of the input's dtype.

    Raises:
        DTypeError: the input is not floating.
        ShapeError: the input has another number of axes.
        ArgumentError: a number of bins is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.adaptive_avg_pool3d(st.ones(1, 3, 5, 7, 4), (2, 1, None)).shape
        (1, 3, 2, 1, 4)
    """
    return _adaptive(3, input, output_size)


def _adaptive(rank: int, input: ArrayLike, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Means of nearly equal bins over `rank` spatial axes."""
    op = f"adaptive_avg_pool{rank}d"
    x = as_tensor(input)
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast it first")
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"[{op}] expected {rank + 2} (or {rank + 1}) axes, got shape {x.shape}; add or remove axes")
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    sizes = tuple([None if s is None else integer(s, op, "output_size", 1) for s in given])
    if len(sizes) != rank:
        raise ArgumentError(f"[{op}] expected 1 or {rank} sizes of at least 1, got {output_size!r}; change output_size")
    if x.dtype.itemsize == 2:
        return in_float32(partial(_adaptive, rank), x, output_size)
    node = node_of(x)
    for axis, size in zip(range(x.ndim - rank, x.ndim), sizes, strict=True):
        if size is not None:
            node = _bins(node, axis, size)
    return Tensor(node)


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
    matrix = node_of(asarray(weights.astype(x.aval.dtype.numpy), device=x.aval.device))
    bins = build.dot(x, matrix, (axis,), (0,))  # the new axis comes last
    rank = len(shape)
    return build.permute(bins, (*range(axis), rank - 1, *range(axis, rank - 1)))
