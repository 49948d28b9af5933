"""Diagonals and triangles of matrices."""

from __future__ import annotations

from ...dtypes import int64
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...typing import ArrayLike
from ..aliasing import strides_of
from ..arguments import axis_of, integer
from ..dispatch import P, as_tensor, nary, node_of, view_of
from ..ranges import eye
from ..tensor import Tensor
from .reduction import sum
from .repetition import pad
from .transposition import moveaxis


def diagonal(x: ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Takes the elements whose positions on two axes are equal.

    Args:
        x: at least 2 axes, any dtype.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.
        dim1: the axis of rows.
        dim2: the axis of columns.

    Returns:
        A tensor of x's dtype without the two axes, and with the diagonal as the last axis.

    Raises:
        ArgumentError: both axes are the same.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.diagonal(st.tensor([[1, 2], [3, 4]])).tolist()
        [1, 4]
    """
    x = as_tensor(x)
    a, b = axis_of(dim1, x.ndim, "diagonal"), axis_of(dim2, x.ndim, "diagonal")
    if a == b:
        raise ArgumentError(f"[diagonal] expected two axes, got {dim1} twice; choose two different axes")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    offset = integer(offset, "diagonal", "offset")
    first = max(-offset, 0)
    n = max(0, min(rows - first, columns - max(offset, 0)))
    batch = x.shape[:-2]
    flat = build.reshape(node_of(x), (*batch, rows * columns))
    start = first * columns + max(offset, 0) if n else 0
    stop = start + (n - 1) * (columns + 1) + 1 if n else 0
    ones, zeros = (1,) * len(batch), (0,) * len(batch)
    strides = strides_of(x)
    if strides is not None:
        strides = (*strides[:-2], strides[-2] + strides[-1])
    return view_of(x, build.slice(flat, (*zeros, start), (*batch, stop), (*ones, columns + 1)), strides)


def trace(x: ArrayLike, offset: int = 0) -> Tensor:
    """Sums the diagonal of the last two axes.

    Args:
        x: shape (..., m, n), any dtype.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.

    Returns:
        A tensor of shape (...), of x's dtype where that is floating, else of 64-bit integers.

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.trace(st.tensor([[1, 2], [3, 4]])).item()
        5
    """
    x = as_tensor(x)
    return sum(diagonal(x, offset, -2, -1), axis=-1)


def diag(x: ArrayLike, k: int = 0) -> Tensor:
    """Takes the diagonal of a matrix, or makes a matrix with a given diagonal.

    Args:
        x: shape (m, n) or (n,), any dtype.
        k: the diagonal: positive ones lie above the main diagonal, negative ones below.

    Returns:
        Of a matrix its diagonal, 1-d; of a 1-d tensor a square matrix of n + |k| rows, 0 elsewhere.

    Example:
        >>> import spiraltorch as st
        >>> st.diag(st.tensor([1, 2])).tolist()
        [[1, 0], [0, 2]]
    """
    x, k = as_tensor(x), integer(k, "diag", "k")
    if x.ndim == 2:
        return diagonal(x, k)
    columns = pad(x, (max(k, 0), max(-k, 0)))  # the diagonal's element of each column
    on_diagonal = eye(x.size + abs(k), k=k, dtype=int64, device=x.device) == 1
    return Tensor(build.where(node_of(on_diagonal), node_of(columns.unsqueeze(0)), build.const(0, x.dtype, x.device)))


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    """The elements on one side of the `k`-th diagonal, itself included; zeros on the other."""
    if x.ndim < 2:
        raise ShapeError(
            f"[{'tril' if lower else 'triu'}] expected at least 2 axes, got shape {x.shape}; add axes with reshape()"
        )
    n = node_of(x)
    shape = x.shape[-2:]
    i, j = build.iota(shape, 0, int64, x.device), build.iota(shape, 1, int64, x.device)
    shifted = build.add(i, build.number(integer(k, "tril" if lower else "triu", "k"), int64, x.device))
    kept = build.le(j, shifted) if lower else build.le(shifted, j)
    return nary(P["where"], (kept, n, build.const(0, x.dtype, x.device)))


def tril(x: Tensor, k: int = 0) -> Tensor:
    """Takes the lower triangle of matrices and sets the rest to 0.

    Args:
        x: shape (..., m, n), any dtype.
        k: the last diagonal that is kept: 0 is the main one, positive ones lie above it, negative ones below.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tril(st.ones(2, 2)).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle(x, k, True)


def triu(x: Tensor, k: int = 0) -> Tensor:
    """Takes the upper triangle of matrices and sets the rest to 0.

    Args:
        x: shape (..., m, n), any dtype.
        k: the first diagonal that is kept: 0 is the main one, positive ones lie above it, negative ones below.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.triu(st.ones(2, 2)).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return _triangle(x, k, False)
