"""Element-wise choices by a condition, and where a condition holds."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from ...errors import ShapeError
from ...typing import ArrayLike
from ..arguments import number_of
from ..creation import asarray
from ..dispatch import P, as_tensor, condition_node, first_tensor, nary, promoted_nodes, scalar_value
from ..tensor import Tensor
from .casting import cast, host_values
from .joining import stack


@overload
def where(condition: ArrayLike, x: ArrayLike, y: ArrayLike) -> Tensor: ...
@overload
def where(condition: ArrayLike) -> tuple[Tensor, ...]: ...
def where(condition: ArrayLike, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Tensor | tuple[Tensor, ...]:
    """Takes elements of `x` where a condition holds and of `y` elsewhere.

    With the condition alone it is `nonzero`: the positions at which the condition holds.

    Args:
        condition: booleans, any shape; other dtypes are true where they are not 0.
        x: a number, or any shape that broadcasts with the condition's.
        y: likewise.

    Returns:
        A tensor of the common shape and dtype; without `x` and `y`, a tuple with an int64 tensor for each axis.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.where(st.tensor([True, False]), st.tensor([1, 2]), 0).tolist()
        [1, 0]
    """
    if x is None and y is None:
        return nonzero(condition, as_tuple=True)
    like = first_tensor((condition, x, y))
    chosen = condition_node(condition, like)
    nodes, _ = promoted_nodes(x, y, like=like)  # type: ignore[arg-type]  # one None is refused there
    return nary(P["where"], (chosen, *nodes))


def masked_fill(x: ArrayLike, mask: ArrayLike, value: ArrayLike) -> Tensor:
    """Replaces the elements at which a mask holds by one value.

    Args:
        x: any shape and dtype.
        mask: booleans, any shape that broadcasts with x's.
        value: a number, or a tensor of one element, which is cast to x's dtype.

    Returns:
        A tensor of the common shape and, unless a number has a higher kind, of x's dtype.

    Raises:
        ShapeError: `value` has more than one element, or the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.masked_fill(st.ones(2), st.tensor([True, False]), 0.0).tolist()
        [0.0, 1.0]
    """
    x = as_tensor(x)
    number = number_of(value)
    if number is not None:
        value = scalar_value(number, x.dtype)
    else:
        value = cast(as_tensor(value, x), x.dtype)
        if value.size != 1:
            raise ShapeError(f"[masked_fill] expected a value of one element, got shape {value.shape}; use where()")
        value = value.reshape(())
    return where(mask, value, x)


@overload
def nonzero(x: ArrayLike, as_tuple: Literal[True] = True) -> tuple[Tensor, ...]: ...
@overload
def nonzero(x: ArrayLike, as_tuple: Literal[False]) -> Tensor: ...
def nonzero(x: ArrayLike, as_tuple: bool = True) -> tuple[Tensor, ...] | Tensor:
    """Finds the positions of the elements that are not 0.

    The value of `x` is evaluated immediately, because the result's shape depends on it.

    Args:
        x: at least one axis, any dtype.
        as_tuple: whether to return a tensor for each axis, as NumPy does, or one matrix.

    Returns:
        A tuple with a 1-d int64 tensor of positions for each axis, or an int64 tensor of shape (count, x.ndim).

    Raises:
        ShapeError: x is 0-d.
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.nonzero(st.tensor([0, 3, 4]))]
        [[1, 2]]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError("[nonzero] expected at least one axis, got a 0-d tensor; use reshape(1)")
    positions = [asarray(i, device=x.device) for i in np.nonzero(host_values(x, "nonzero"))]
    return tuple(positions) if as_tuple else stack(positions, axis=1)
