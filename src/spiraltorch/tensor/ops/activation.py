"""Activations: element-wise functions between the layers of networks."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError
from ...graph import build
from ..dispatch import P, handle, nary, see
from ..tensor import Tensor
from .casting import in_float32
from .selection import where
from .unary import erf, exp, log1p, tanh


def relu(x: Any) -> Tensor:
    """max(x, 0). The gradient at 0 is 0.

    >>> import spiraltorch as st
    >>> relu(st.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = handle(x)
    zero = build.const(0, x.dtype, x.device)
    n = see(x)
    return nary(P["where"], (build.le(n, zero), zero, n))


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e**-x).

    >>> import spiraltorch as st
    >>> sigmoid(st.tensor([0.0])).tolist()
    [0.5]
    """
    x = handle(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(sigmoid, x)
    # The power is at most 1: it overflows on neither side, nor does the derivative become 0 * inf.
    left = x < 0
    power = exp(where(left, x, -x))
    return where(left, power, 1.0) / (power + 1.0)  # type: ignore[no-any-return]


def silu(x: Any) -> Tensor:
    """x * sigmoid(x).

    >>> import spiraltorch as st
    >>> silu(st.tensor([0.0])).tolist()
    [0.0]
    """
    x = handle(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(silu, x)
    return x * sigmoid(x)  # type: ignore[no-any-return]


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """log(1 + e**(beta x)) / beta, without overflow.

    >>> import spiraltorch as st
    >>> softplus(st.tensor([1000.0])).tolist()
    [1000.0]
    """
    x = handle(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(softplus, x, beta)
    x = x * beta
    left = x < 0  # either branch is the function itself, so that its derivatives hold at 0
    return (where(left, 0.0, x) + log1p(exp(where(left, x, -x)))) / beta  # type: ignore[no-any-return]


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x * Phi(x), exactly by erf, or by tanh (Hendrycks and Gimpel, 2016) with `approximate="tanh"`.

    >>> import spiraltorch as st
    >>> gelu(st.tensor([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """
    x = handle(x)
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}")
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(gelu, x, approximate)
    if approximate == "none":
        return x * 0.5 * (erf(x * (1 / math.sqrt(2))) + 1.0)  # type: ignore[no-any-return]
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (tanh(inner) + 1.0)  # type: ignore[no-any-return]
