"""Element-wise choices by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ShapeError
from ..creation import asarray
from ..dispatch import (
    P,
    common,
    condition,
    first_handle,
    handle,
    nary,
)
from ..tensor import Tensor
from .casting import cast, host_values
from .joining import stack


def where(condition_: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where the condition holds, `y` elsewhere; with one argument, the places where it holds.

    >>> where(Tensor.__gt__(handle([1, -2]), 0), 1, 0).tolist()
    [1, 0]
    """
    if x is None and y is None:
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


def nonzero(x: Any, as_tuple: bool = True) -> Any:
    """The positions of elements that are not 0: an int64 tensor for each axis, or one of rows (`as_tuple=False`).

    >>> import spiraltorch as st
    >>> [t.tolist() for t in nonzero(st.tensor([0, 3, 4]))]
    [[1, 2]]
    """
    x = handle(x)
    found = [asarray(i, device=x.device) for i in np.nonzero(host_values(x, "nonzero"))]
    if as_tuple:
        return tuple(found)
    return stack(found, axis=1)
