"""Activations: element-wise functions between the layers of networks."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import float32
from ..errors import ArgumentError
from ..graph import build
from .elementwise import abs, cast, erf, exp, log1p, maximum, tanh
from .record import P, handle, nary, see
from .tensor import Tensor


def relu(x: Any) -> Tensor:
    """max(x, 0). The gradient at 0 is 0.

    >>> import spiraltorch as st
    >>> relu(st.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = handle(x)
    zero = build.const(0, x.dtype, x.device)
    n = see(x)
    return nary(P["where"], (build.le(n, zero), zero, n))  # type: ignore[no-any-return]


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e**-x).

    >>> import spiraltorch as st
    >>> sigmoid(st.tensor([0.0])).tolist()
    [0.5]
    """
    x = handle(x)
    if x.dtype.itemsize == 2:
        return cast(sigmoid(cast(x, float32)), x.dtype)
    # e**-x must stay finite, or the derivative far to the left would be 0 * inf
    low = -700.0 if x.dtype.itemsize == 8 else -87.0
    return 1.0 / (exp(-maximum(x, low)) + 1.0)  # type: ignore[no-any-return]


def silu(x: Any) -> Tensor:
    """x * sigmoid(x).

    >>> import spiraltorch as st
    >>> silu(st.tensor([0.0])).tolist()
    [0.0]
    """
    x = handle(x)
    return x * sigmoid(x)  # type: ignore[no-any-return]


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """log(1 + e**(beta x)) / beta, without overflow.

    >>> import spiraltorch as st
    >>> softplus(st.tensor([1000.0])).tolist()
    [1000.0]
    """
    x = handle(x) * beta
    return (maximum(x, 0.0) + log1p(exp(-abs(x)))) / beta  # type: ignore[no-any-return]


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x * Phi(x), exactly by erf, or by tanh (Hendrycks and Gimpel, 2016) with `approximate="tanh"`.

    >>> import spiraltorch as st
    >>> gelu(st.tensor([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """
    x = handle(x)
    if approximate == "none":
        return x * 0.5 * (erf(x * (1 / math.sqrt(2))) + 1.0)  # type: ignore[no-any-return]
    if approximate != "tanh":
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}")
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (tanh(inner) + 1.0)  # type: ignore[no-any-return]
