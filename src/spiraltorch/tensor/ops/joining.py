"""Tensors joined along an axis."""

from __future__ import annotations

from typing import Any

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axis_of, torch_spellings
from ..creation import stacked
from ..dispatch import handles, see
from ..tensor import Tensor
from .shape import ravel


@torch_spellings
def concat(arrays: Any, axis: Any = 0) -> Tensor:
    """Operands joined along an axis (flattened first where it is None), in their common dtype.

    >>> import spiraltorch as st
    >>> concat([st.tensor([1]), st.tensor([2, 3])]).tolist()
    [1, 2, 3]
    """
    found = handles(*arrays)
    if not found:
        raise ArgumentError("[concat] expected at least one tensor, got none")
    if axis is None:
        found, axis = [ravel(h) for h in found], 0
    number = axis_of(axis, found[0].ndim, "concat")
    if found[0].ndim == 0:
        raise ShapeError("[concat] expected at least one axis, got 0-d tensors; use stack()")
    dtype = found[0].dtype
    for h in found[1:]:
        dtype = promote(dtype, h.dtype)
    return Tensor(build.concat(tuple([build.cast(see(h), dtype) for h in found]), number))


@torch_spellings
def stack(arrays: Any, axis: int = 0) -> Tensor:
    """Operands of one shape joined along a new axis.

    >>> import spiraltorch as st
    >>> stack([st.tensor([1, 2]), st.tensor([3, 4])]).tolist()
    [[1, 2], [3, 4]]
    """
    found = handles(*arrays)
    if not found:
        raise ArgumentError("[stack] expected at least one tensor, got none")
    return stacked(found, axis_of(axis, found[0].ndim + 1, "stack"))
