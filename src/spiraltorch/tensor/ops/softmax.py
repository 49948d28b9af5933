"""Sums of exponentials without overflow: logsumexp, softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from ...dtypes import default_float
from ..arguments import axes_of, torch_spellings
from ..dispatch import handle
from ..tensor import Tensor
from .casting import cast, in_float32, require_float
from .extrema import amax
from .logic import isfinite
from .reduction import sum
from .selection import where
from .unary import exp, log


def _greatest(x: Tensor, axis: Any) -> Tensor:
    """Maxima that keep exponentials from overflow; zeros where there are no elements."""
    found = amax(x, axis=axis, keepdims=True) if x.size else sum(x, axis=axis, keepdims=True)
    return found.detach()


@torch_spellings
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(e**x)) without overflow.

    >>> import spiraltorch as st
    >>> logsumexp(st.tensor([1000.0, -1000.0])).item()
    1000.0
    """
    x = handle(x)
    x = x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "logsumexp")
    if x.dtype.itemsize == 2:
        return in_float32(logsumexp, x, axis=axes, keepdims=keepdims)
    top = _greatest(x, axes)
    top = where(isfinite(top), top, 0.0)
    total = log(sum(exp(x - top), axis=axes, keepdims=True)) + top
    return total if keepdims else total.squeeze(axes) if axes else total


@torch_spellings
def softmax(x: Any, axis: int = -1, dtype: Any = None) -> Tensor:
    """e**x over its sum along an axis.

    >>> import spiraltorch as st
    >>> softmax(st.tensor([1.0, 1.0])).tolist()
    [0.5, 0.5]
    """
    x = handle(x) if dtype is None else cast(x, dtype)
    require_float(x, "softmax")
    if x.dtype.itemsize == 2:
        return in_float32(softmax, x, axis=axis)
    powers = exp(x - _greatest(x, axis))
    return powers / sum(powers, axis=axis, keepdims=True)


@torch_spellings
def log_softmax(x: Any, axis: int = -1, dtype: Any = None) -> Tensor:
    """log(softmax(x)) without overflow.

    >>> import spiraltorch as st
    >>> log_softmax(st.tensor([1000.0, -1000.0])).tolist()
    [0.0, -2000.0]
    """
    x = handle(x) if dtype is None else cast(x, dtype)
    require_float(x, "log_softmax")
    if x.dtype.itemsize == 2:
        return in_float32(log_softmax, x, axis=axis)
    moved = x - _greatest(x, axis)
    return moved - log(sum(exp(moved), axis=axis, keepdims=True))  # type: ignore[no-any-return]
