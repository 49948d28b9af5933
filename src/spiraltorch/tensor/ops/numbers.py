"""Element-wise functions of one operand that are composed of others: parts of numbers, angles, special values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...dtypes import default_float
from ...typing import ArrayLike
from ..dispatch import as_tensor, unshared
from ..filling import full_like
from ..tensor import Tensor
from .casting import cast, in_float32, require_float
from .elementwise import clip
from .logic import isinf, isnan
from .selection import where
from .unary import log, log1p, sin, trunc


def _floating(x: ArrayLike) -> Tensor:
    """The operand as a floating tensor."""
    x = as_tensor(x)
    return x if x.dtype.is_float else cast(x, default_float)


def nan_to_num(x: ArrayLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Replaces NaN and infinities by numbers.

    Args:
        x: any shape and dtype; integers and booleans are returned as they are.
        nan: in place of NaN.
        posinf: in place of infinity; by default the greatest finite number of the dtype.
        neginf: in place of minus infinity; by default the least finite number of the dtype.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nan_to_num(st.tensor([st.nan, 1.0, st.inf]), posinf=9.0).tolist()
        [0.0, 1.0, 9.0]
    """
    x = as_tensor(x)
    if not x.dtype.is_float:
        return unshared(x)
    greatest = _greatest(x)
    high, low = greatest if posinf is None else posinf, -greatest if neginf is None else neginf
    return where(isnan(x), nan, where(x == math.inf, high, where(x == -math.inf, low, x)))


def _greatest(x: Tensor) -> float:
    """The greatest finite number of a floating dtype."""
    if x.dtype.name == "bfloat16":
        return float.fromhex("0x1.fep+127")
    return float(np.finfo(x.dtype.numpy).max)


def isposinf(x: ArrayLike) -> Tensor:
    """Tests whether elements are infinite and positive.

    Args:
        x: any shape and dtype; integers and booleans never are.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isposinf(st.tensor([st.inf, -st.inf])).tolist()
        [True, False]
    """
    x = as_tensor(x)
    return isinf(x) & (x > 0)


def isneginf(x: ArrayLike) -> Tensor:
    """Tests whether elements are infinite and negative.

    Args:
        x: any shape and dtype; integers and booleans never are.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isneginf(st.tensor([st.inf, -st.inf])).tolist()
        [False, True]
    """
    x = as_tensor(x)
    return isinf(x) & (x < 0)


def frac(x: ArrayLike) -> Tensor:
    """Computes x - trunc(x), the part behind the decimal point, with the sign of x.

    Args:
        x: any shape, floating.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        DTypeError: x is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.frac(st.tensor([1.5, -1.25])).tolist()
        [0.5, -0.25]
    """
    x = as_tensor(x)
    require_float(x, "frac")
    return x - trunc(x)


def _in_float(function: Callable[[Tensor], Tensor], x: ArrayLike) -> Tensor:
    """A function of floating numbers, in float32 for those of 16 bits, whose results are rounded once."""
    y = _floating(x)
    return in_float32(function, y) if y.dtype.itemsize == 2 else function(y)


def deg2rad(x: ArrayLike) -> Tensor:
    """Converts angles from degrees to radians.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A floating tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.deg2rad(st.tensor([180.0])).item() == st.tensor(st.pi).item()
        True
    """
    return _in_float(lambda y: y * (math.pi / 180), x)


def rad2deg(x: ArrayLike) -> Tensor:
    """Converts angles from radians to degrees.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A floating tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.rad2deg(st.tensor([st.pi])).tolist()
        [180.0]
    """
    return _in_float(lambda y: y * (180 / math.pi), x)


def sinc(x: ArrayLike) -> Tensor:
    """Computes sin(pi x) / (pi x), and 1 at 0.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A floating tensor of x's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.sinc(st.tensor([0.0])).tolist()
        [1.0]
    """
    return _in_float(_sinc, x)


def _sinc(x: Tensor) -> Tensor:
    """The same of float32 or float64."""
    angle = x * math.pi
    zero = angle == 0
    safe = where(zero, 1.0, angle)
    return where(zero, 1.0 - angle * angle * (1 / 6), sin(safe) / safe)  # the series has the derivatives at 0


def logit(x: ArrayLike, eps: float | None = None) -> Tensor:
    """Computes log(x / (1 - x)), the inverse of the sigmoid.

    Args:
        x: any shape, from 0 to 1. Integers and booleans are converted to float32.
        eps: x is limited to [eps, 1 - eps] first; None for no limits.

    Returns:
        A floating tensor of x's shape; infinite at 0 and 1, NaN outside.

    Example:
        >>> import spiraltorch as st
        >>> st.logit(st.tensor([0.5, 1.0])).tolist()
        [0.0, inf]
    """
    x = _floating(x)
    x = x if eps is None else clip(x, eps, 1 - eps)
    return log(x) - log1p(-x)


def real(x: ArrayLike) -> Tensor:
    """Returns the real part: the tensor itself, as no dtype is complex.

    Args:
        x: any shape and dtype.

    Returns:
        x.

    Example:
        >>> import spiraltorch as st
        >>> st.real(st.tensor([1.0])).tolist()
        [1.0]
    """
    return as_tensor(x)


def conj(x: ArrayLike) -> Tensor:
    """Returns the complex conjugate: the tensor itself, as no dtype is complex.

    Args:
        x: any shape and dtype.

    Returns:
        x.

    Example:
        >>> import spiraltorch as st
        >>> st.conj(st.tensor([1.0])).tolist()
        [1.0]
    """
    return unshared(as_tensor(x))


def isreal(x: ArrayLike) -> Tensor:
    """Tests whether elements have no imaginary part: all, as no dtype is complex.

    Args:
        x: any shape and dtype.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isreal(st.tensor([st.nan])).tolist()
        [True]
    """
    x = as_tensor(x)
    return (x == x) | (x != x)


def angle(x: ArrayLike) -> Tensor:
    """Returns the angle of elements as complex numbers: pi where they are negative, else 0.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A floating tensor of x's shape; NaN where x is.

    Example:
        >>> import spiraltorch as st
        >>> st.angle(st.tensor([2.0, -0.0])).tolist()
        [0.0, 0.0]
    """
    x = _floating(x)
    return where(isnan(x), x, where(x < 0, full_like(x, math.pi), 0.0))
