"""Element-wise choices by a condition."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from ..dispatch import (
    P,
    common,
    condition,
    first_handle,
    handle,
    nary,
)
from ..tensor import Tensor
from .casting import cast


def where(condition_: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where the condition holds, `y` elsewhere; with one argument, the places where it holds.

    >>> where(Tensor.__gt__(handle([1, -2]), 0), 1, 0).tolist()
    [1, 0]
    """
    if x is None and y is None:
        from .gathering import nonzero

        return nonzero(condition_, as_tuple=True)
    like = first_handle((condition_, x, y))
    c = condition(condition_, like)
    nodes, _ = common(x, y, like=like)
    return nary(P["where"], (c, *nodes))


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """`x` with a number where the mask holds.

    >>> import spiraltorch as st
    >>> masked_fill(st.ones(2), st.tensor([True, False]), 0.0).tolist()
    [0.0, 1.0]
    """
    x = handle(x)
    if not isinstance(value, (int, float)):
        value = cast(handle(value, x), x.dtype)
        if value.size != 1:
            raise ShapeError(f"[masked_fill] expected a value of one element, got shape {value.shape}; use where()")
        value = value.reshape(())
    return where(mask, value, x)  # type: ignore[no-any-return]
