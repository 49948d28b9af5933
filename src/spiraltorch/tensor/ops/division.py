"""Remainders with the sign of the dividend, quotients that are rounded towards zero, and other functions of C's library."""

from __future__ import annotations

from ...dtypes import float32, float64
from ...typing import ArrayLike
from ..arguments import torch_spellings
from ..dispatch import promoted_nodes
from ..tensor import Tensor
from .casting import cast
from .elementwise import floor_divide, logaddexp, maximum, minimum, pow, remainder
from .logic import isnan, signbit
from .selection import where
from .unary import abs, exp2, trunc


def common_operands(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of their common dtype."""
    (a, b), _ = promoted_nodes(x, y)
    return Tensor(a), Tensor(b)


@torch_spellings
def fmod(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x - y * trunc(x / y), with the sign of x, as C's `fmod` does; `remainder` has the sign of y.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and dtype, without rounding; NaN where a floating y is 0.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.fmod(st.tensor([-5, 5]), 3).tolist()
        [-2, 2]
    """
    a, b = common_operands(x, y)
    if a.dtype.is_float:
        magnitude = abs(b)
        return where(signbit(a), -remainder(-a, magnitude), remainder(a, magnitude))
    rest = remainder(a, b)
    return where((rest != 0) & ((a < 0) != (b < 0)), rest - b, rest)


def truncated_quotient(x: ArrayLike, y: ArrayLike) -> Tensor:
    """x / y rounded towards zero, in the common dtype."""
    a, b = common_operands(x, y)
    if a.dtype.is_float:
        return trunc(a / b)
    quotient = floor_divide(a, b)
    return where((remainder(a, b) != 0) & ((a < 0) != (b < 0)), quotient + 1, quotient)


@torch_spellings
def fmax(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Takes the greater of x and y, and of a NaN and a number the number.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and dtype; NaN where both are.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.fmax(st.tensor([st.nan, 1.0]), 2.0).tolist()
        [2.0, 2.0]
    """
    a, b = common_operands(x, y)
    if not a.dtype.is_float:
        return maximum(a, b)
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


@torch_spellings
def fmin(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Takes the lesser of x and y, and of a NaN and a number the number.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and dtype; NaN where both are.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.fmin(st.tensor([st.nan, 1.0]), 2.0).tolist()
        [2.0, 1.0]
    """
    a, b = common_operands(x, y)
    if not a.dtype.is_float:
        return minimum(a, b)
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


@torch_spellings
def float_power(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x ** y in float64.

    Args:
        x: the base, any shape and dtype, or a number.
        y: the exponent, any shape that broadcasts with x's.

    Returns:
        A float64 tensor of the common shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        DTypeError: the device has no float64.

    Example:
        >>> import spiraltorch as st
        >>> st.float_power(st.tensor([2, 3]), -1).tolist()[0]
        0.5
    """
    a, b = common_operands(x, y)
    return pow(cast(a, float64), cast(b, float64))


@torch_spellings
def ldexp(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x * 2**y.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: the exponents, any shape that broadcasts with x's.

    Returns:
        A floating tensor of the common shape.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.ldexp(st.tensor([3.0]), st.tensor([2])).tolist()
        [12.0]
    """
    a, b = common_operands(x, y)
    half = trunc(b * 0.5)
    return a * exp2(half) * exp2(b - half)  # in two steps, of which neither overflows before the result does


@torch_spellings
def logaddexp2(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes log2(2**x + 2**y) without overflow.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and floating dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.logaddexp2(st.tensor([1000.0]), 1000.0).tolist()
        [1001.0]
    """
    a, b = common_operands(x, y)
    if a.dtype.is_float and a.dtype.itemsize == 2:
        return cast(logaddexp2(cast(a, float32), cast(b, float32)), a.dtype)
    log_2 = 0.6931471805599453
    return logaddexp(a * log_2, b * log_2) / log_2
