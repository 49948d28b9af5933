"""Elements written or combined at indices, by name."""

from __future__ import annotations

from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike
from ..arguments import axis_of, number_of
from ..dispatch import as_tensor, as_tensors, node_of
from ..tensor import Tensor
from .casting import cast
from .gathering import at_least_1d, cropped
from .index_checks import checked_indices
from .indexing import setitem

_MODES = {None: "set", "add": "add", "sum": "add", "multiply": "mul", "prod": "mul", "amax": "max", "amin": "min"}


def scatter(x: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike, reduce: str | None = None) -> Tensor:
    """Writes elements at indices along an axis, one index for each position, as PyTorch's `scatter`.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), of x's rank; other axes may be shorter than x's, whose rest then stays.
        src: a number, or a tensor at least as large as `index`; it is cast to x's dtype.
        reduce: how an element is combined with the existing one: None replaces it (of equal indices the last wins),
            "add" or "sum", "multiply" or "prod", "amax", "amin".

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        ArgumentError: `reduce` is not one of these.
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: the ranks differ, or `index` is too long on another axis.

    Example:
        >>> import spiraltorch as st
        >>> st.scatter(st.zeros(3), 0, st.tensor([2]), 5.0).tolist()
        [0.0, 0.0, 5.0]
    """
    x, index = as_tensors(x, index)
    if reduce not in _MODES:
        raise ArgumentError(
            f"[scatter] expected reduce of {sorted(m for m in _MODES if m)}, got {reduce!r}; choose one"
        )
    d = axis_of(dim, x.ndim, "scatter")
    if x.ndim == 0 or index.ndim == 0:
        flat = src if number_of(src) is not None else at_least_1d(as_tensor(src, x))
        return scatter(at_least_1d(x), d, at_least_1d(index), flat, reduce).reshape(x.shape)
    src = as_tensor(src, x)
    src = cropped(src, index.shape, -1, "scatter") if src.ndim else src.expand(index.shape)
    idx = checked_indices(index, x.shape[d], "scatter")
    src = cast(src, x.dtype)
    part = cropped(x, index.shape, d, "scatter")
    result = Tensor(build.scatter_along(node_of(part), node_of(idx), node_of(src), d, _MODES[reduce]))
    if part.shape == x.shape:
        return result
    return setitem(x, tuple([slice(0, n) for n in part.shape]), result)


def scatter_add(x: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike) -> Tensor:
    """Adds elements at indices along an axis, one index for each position, as PyTorch's `scatter_add`.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), of x's rank; other axes may be shorter than x's, whose rest then stays.
        src: a number, or a tensor at least as large as `index`; it is cast to x's dtype.

    Returns:
        A new tensor of x's shape and dtype. Elements with equal indices are all added.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: the ranks differ, or `index` is too long on another axis.

    Example:
        >>> import spiraltorch as st
        >>> st.scatter_add(st.ones(2), 0, st.tensor([1, 1]), st.ones(2)).tolist()
        [1.0, 3.0]
    """
    return scatter(x, dim, index, src, "add")


def index_add(x: ArrayLike, dim: int, index: ArrayLike, source: ArrayLike, alpha: float = 1) -> Tensor:
    """Adds slices at indices along an axis.

    Args:
        x: shape (..., n, ...), any dtype.
        dim: the axis that is indexed.
        index: integers in [-n, n), 1-d.
        source: one slice for each index: x's shape with the extent of `index` along the axis.
        alpha: a number by which `source` is multiplied first.

    Returns:
        A new tensor of x's shape and dtype. Slices with equal indices are all added.

    Raises:
        IndexOutOfRange: an index lies outside [-n, n), or the axis outside [-x.ndim, x.ndim).
        DTypeError: `index` is not of integers.
        ShapeError: `source` does not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.index_add(st.zeros(3), 0, st.tensor([2, 2]), st.ones(2)).tolist()
        [0.0, 0.0, 2.0]
    """
    x, idx, source = as_tensors(x, index, source)
    d = axis_of(dim, x.ndim, "index_add")
    if x.ndim == 0 or idx.ndim == 0:
        added = index_add(at_least_1d(x), d, at_least_1d(idx), at_least_1d(source), alpha)
        return added.reshape(x.shape)
    idx = checked_indices(idx, x.shape[d], "index_add")
    update = cast(source * alpha if alpha != 1 else source, x.dtype)
    return Tensor(build.scatter(node_of(x), node_of(idx), node_of(update), d, "add"))
