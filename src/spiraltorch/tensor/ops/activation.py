"""Activations: element-wise functions between the layers of networks."""

from __future__ import annotations

import math

from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike
from ..dispatch import P, as_tensor, nary, node_of
from ..tensor import Tensor
from .casting import in_float32
from .selection import where
from .unary import erf, exp, log1p, tanh


def relu(x: ArrayLike) -> Tensor:
    """Computes max(x, 0), element by element.

    Args:
        x: any shape; floating or integer dtypes. NaN stays NaN.

    Returns:
        A tensor of x's shape and dtype. The gradient at 0 is 0.

    Example:
        >>> import spiraltorch as st
        >>> st.relu(st.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    x = as_tensor(x)
    zero = build.const(0, x.dtype, x.device)
    n = node_of(x)
    return nary(P["where"], (build.le(n, zero), zero, n))


def sigmoid(x: ArrayLike) -> Tensor:
    """Computes the logistic function 1 / (1 + e**-x), element by element.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A tensor of x's shape and floating dtype, in [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.sigmoid(st.tensor([0.0])).tolist()
        [0.5]
    """
    x = as_tensor(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(sigmoid, x)
    # The power is at most 1: it overflows on neither side, nor does the derivative become 0 * inf.
    left = x < 0
    power = exp(where(left, x, -x))
    return where(left, power, 1.0) / (power + 1.0)


def silu(x: ArrayLike) -> Tensor:
    """Computes x * sigmoid(x), element by element: the sigmoid linear unit, or swish.

    The name and the function are of Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), section 4.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A tensor of x's shape and floating dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.silu(st.tensor([0.0])).tolist()
        [0.0]
    """
    x = as_tensor(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(silu, x)
    return x * sigmoid(x)


def softplus(x: ArrayLike, beta: float = 1.0) -> Tensor:
    """Computes log(1 + e**(beta * x)) / beta without overflow, element by element.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        beta: the sharpness: the greater it is, the closer the function is to `relu`.

    Returns:
        A tensor of x's shape and floating dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.softplus(st.tensor([1000.0])).tolist()
        [1000.0]
    """
    x = as_tensor(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(softplus, x, beta)
    x = x * beta
    left = x < 0  # either branch is the function itself, so that its derivatives hold at 0
    return (where(left, 0.0, x) + log1p(exp(where(left, x, -x)))) / beta


def gelu(x: ArrayLike, approximate: str = "none") -> Tensor:
    """Computes x * Phi(x), where Phi is the normal distribution function, element by element.

    The Gaussian error linear unit of Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).

    Args:
        x: any shape. Integers and booleans are converted to float32.
        approximate: "none" for the exact function, by erf, or "tanh" for the paper's approximation
            x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))).

    Returns:
        A tensor of x's shape and floating dtype.

    Raises:
        ArgumentError: `approximate` is neither "none" nor "tanh".

    Example:
        >>> import spiraltorch as st
        >>> st.gelu(st.tensor([0.0, 100.0])).tolist()
        [0.0, 100.0]
    """
    x = as_tensor(x)
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}; choose one")
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(gelu, x, approximate)
    if approximate == "none":
        return x * 0.5 * (erf(x * (1 / math.sqrt(2))) + 1.0)
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (tanh(inner) + 1.0)
