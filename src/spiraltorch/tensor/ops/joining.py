"""Tensors joined along an axis."""

from __future__ import annotations

from collections.abc import Iterable

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...typing import ArrayLike
from ..arguments import axis_of, torch_spellings
from ..creation import stacked
from ..dispatch import as_tensors, node_of
from ..tensor import Tensor
from .shape import ravel


@torch_spellings
def concat(arrays: Iterable[ArrayLike], axis: int | None = 0, *, dim: int | None = 0) -> Tensor:
    """Joins tensors along an axis that they have.

    Args:
        arrays: at least one tensor; shapes are equal but for the axis. A tensor of shape (0,) joins any shape, as in
            PyTorch.
        axis: the axis; None flattens the tensors first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of the common dtype, whose extent along the axis is the sum of theirs.

    Raises:
        ArgumentError: there is no tensor.
        ShapeError: shapes differ beside the axis, or the tensors are 0-d.
        IndexOutOfRange: the axis lies outside those of the tensors.

    Example:
        >>> import spiraltorch as st
        >>> st.concat([st.tensor([1]), st.tensor([2, 3])]).tolist()
        [1, 2, 3]
    """
    tensors = as_tensors(*_several(arrays, "concat"))
    if not tensors:
        raise ArgumentError("[concat] expected at least one tensor, got none; pass a non-empty sequence")
    if axis is None:
        tensors, axis = [ravel(t) for t in tensors], 0
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = promote(dtype, t.dtype)
    tensors = [t for t in tensors if t.shape != (0,)] or tensors[:1]
    number = axis_of(axis, tensors[0].ndim, "concat")
    if tensors[0].ndim == 0:
        raise ShapeError("[concat] expected at least one axis, got 0-d tensors; use stack()")
    return Tensor(build.concat(tuple([build.cast(node_of(t), dtype) for t in tensors]), number))


@torch_spellings
def stack(arrays: Iterable[ArrayLike], axis: int = 0, *, dim: int = 0) -> Tensor:
    """Joins tensors along a new axis.

    Args:
        arrays: at least one tensor; all of one shape.
        axis: the position of the new axis in the result.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of the common dtype, whose extent along the new axis is the number of tensors.

    Raises:
        ArgumentError: there is no tensor.
        ShapeError: the shapes differ.
        IndexOutOfRange: the position lies outside the axes of the result.

    Example:
        >>> import spiraltorch as st
        >>> st.stack([st.tensor([1, 2]), st.tensor([3, 4])]).tolist()
        [[1, 2], [3, 4]]
    """
    tensors = as_tensors(*_several(arrays, "stack"))
    if not tensors:
        raise ArgumentError("[stack] expected at least one tensor, got none; pass a non-empty sequence")
    return stacked(tensors, axis_of(axis, tensors[0].ndim + 1, "stack"))


def _several(arrays: Iterable[ArrayLike], op: str) -> Iterable[ArrayLike]:
    """The tensors to join. Raises `ArgumentError` for a single number."""
    if isinstance(arrays, str) or not hasattr(arrays, "__iter__"):
        raise ArgumentError(f"[{op}] expected a sequence of tensors, got {arrays!r}; pass a list")
    return arrays
