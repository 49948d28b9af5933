"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

from ...dtypes import int64
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axis_of
from ..dispatch import P, handle, nary, see
from ..ranges import arange, eye
from ..tensor import Tensor
from .repetition import pad
from .shape import reshape
from .transposition import moveaxis


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements with equal positions on two axes, as a new last axis.

    >>> import spiraltorch as st
    >>> import spiraltorch as st
    >>> diagonal(st.tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    x = handle(x)
    a, b = axis_of(dim1, x.ndim, "diagonal"), axis_of(dim2, x.ndim, "diagonal")
    if a == b:
        raise ArgumentError(f"[diagonal] expected two axes, got {dim1} twice")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    first = max(-offset, 0)
    n = max(0, min(rows - first, columns - max(offset, 0)))
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    start = first * columns + max(offset, 0)
    from .gathering import take

    return take(flat, arange(n, device=x.device) * (columns + 1) + start, axis=-1)


def trace(x: Any, offset: int = 0) -> Tensor:
    """The sum of the diagonal of the last two axes.

    >>> import spiraltorch as st
    >>> import spiraltorch as st
    >>> trace(st.tensor([[1, 2], [3, 4]])).item()
    5
    """
    from .reduction import sum as total

    x = handle(x)
    return total(diagonal(x, offset, -2, -1), axis=-1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with this diagonal.

    >>> import spiraltorch as st
    >>> import spiraltorch as st
    >>> diag(st.tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    x = handle(x)
    if x.ndim == 2:
        return diagonal(x, k)

    columns = pad(x, (max(k, 0), max(-k, 0)))  # the diagonal's element of each column
    hit = eye(x.size + abs(k), k=k, dtype=int64, device=x.device) == 1
    return Tensor(build.where(see(hit), see(columns.unsqueeze(0)), build.const(0, x.dtype, x.device)))


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(f"[{'tril' if lower else 'triu'}] expected at least 2 axes, got shape {x.shape}")
    n = see(x)
    shape = x.shape[-2:]
    i, j = build.iota(shape, 0, int64, x.device), build.iota(shape, 1, int64, x.device)
    shifted = build.add(i, build.number(k, int64, x.device))
    keep = build.le(j, shifted) if lower else build.le(shifted, j)
    return nary(P["where"], (keep, n, build.const(0, x.dtype, x.device)))


def tril(x: Tensor, k: int = 0) -> Tensor:
    """The lower triangle up to the `k`-th diagonal; zeros above.

    >>> import spiraltorch as st
    >>> tril(st.ones(2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle(x, k, True)


def triu(x: Tensor, k: int = 0) -> Tensor:
    """The upper triangle from the `k`-th diagonal on; zeros below.

    >>> import spiraltorch as st
    >>> triu(st.ones(2, 2)).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return _triangle(x, k, False)
