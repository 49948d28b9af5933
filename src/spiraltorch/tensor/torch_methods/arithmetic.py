"""PyTorch's methods of element-wise arithmetic: with a factor, with a rounding mode, with bounds."""

from __future__ import annotations

from ...errors import ArgumentError, ShapeError
from ...typing import ArrayLike, Operand
from ..arguments import axis_of, number_of
from ..dispatch import as_tensor
from ..ops import elementwise
from ..ops.casting import cast
from ..ops.division import truncated_quotient
from ..ops.norms import vector_norm
from ..ops.selection import where
from ..ops.unary import round as round_to_even
from ..tensor import Tensor


def add(x: Tensor, other: ArrayLike, *, alpha: float = 1) -> Tensor:
    """Computes x + alpha * other.

    Args:
        x: any shape and dtype.
        other: a number, or any shape that broadcasts with x's.
        alpha: the factor of `other`.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).add(st.tensor([10, 20]), alpha=2).tolist()
        [21, 42]
    """
    return elementwise.add(x, other if alpha == 1 else _scaled(x, other, alpha))


def _scaled(x: Tensor, other: ArrayLike, alpha: float) -> ArrayLike:
    """alpha * other, a number where both are, whose dtype is weak beside `x`."""
    number, factor = number_of(other), number_of(alpha)
    if number is not None and factor is not None:
        return number * factor
    return elementwise.multiply(as_tensor(other, x), alpha)


def sub(x: Tensor, other: ArrayLike, *, alpha: float = 1) -> Tensor:
    """Computes x - alpha * other.

    Args:
        x: any shape and dtype.
        other: a number, or any shape that broadcasts with x's.
        alpha: the factor of `other`.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).sub(st.tensor([10, 20]), alpha=2).tolist()
        [-19, -38]
    """
    return elementwise.subtract(x, other if alpha == 1 else _scaled(x, other, alpha))


def div(x: Tensor, other: ArrayLike, *, rounding_mode: str | None = None) -> Tensor:
    """Computes x / other.

    Args:
        x: any shape and dtype.
        other: a number, or any shape that broadcasts with x's.
        rounding_mode: None for the floating quotient; "trunc" to round towards zero, as C's integers do; "floor" to round
            down, as `//` does.

    Returns:
        A tensor of the common shape: of the common floating dtype, or float32; of the common dtype where it is rounded.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError: `rounding_mode` is not one of these.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([-7]).div(2).tolist(), st.tensor([-7]).div(2, rounding_mode="trunc").tolist()
        ([-3.5], [-3])
    """
    if rounding_mode is None:
        return elementwise.divide(x, other)
    if rounding_mode not in ("trunc", "floor"):
        raise ArgumentError(f"[div] expected rounding_mode None, 'trunc' or 'floor', got {rounding_mode!r}; choose one")
    return truncated_quotient(x, other) if rounding_mode == "trunc" else elementwise.floor_divide(x, other)


def addcmul(x: Tensor, tensor1: ArrayLike, tensor2: ArrayLike, *, value: float = 1) -> Tensor:
    """Computes x + value * tensor1 * tensor2.

    Args:
        x: any shape and dtype.
        tensor1: any shape that broadcasts with x's.
        tensor2: likewise.
        value: a factor.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0]).addcmul(st.tensor([2.0]), st.tensor([3.0]), value=10).tolist()
        [61.0]
    """
    return add(x, elementwise.multiply(tensor1, tensor2), alpha=value)


def addcdiv(x: Tensor, tensor1: ArrayLike, tensor2: ArrayLike, *, value: float = 1) -> Tensor:
    """Computes x + value * tensor1 / tensor2.

    Args:
        x: any shape and dtype.
        tensor1: any shape that broadcasts with x's.
        tensor2: likewise.
        value: a factor.

    Returns:
        A tensor of the common shape and floating dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0]).addcdiv(st.tensor([6.0]), st.tensor([3.0]), value=10).tolist()
        [21.0]
    """
    return add(x, elementwise.divide(tensor1, tensor2), alpha=value)


def clamp_min(x: Tensor, min: ArrayLike) -> Tensor:
    """Replaces elements below a bound by the bound.

    Args:
        x: any shape and dtype.
        min: a number, or any shape that broadcasts with x's.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([-1, 2]).clamp_min(0).tolist()
        [0, 2]
    """
    return elementwise.clip(x, min)


def clamp_max(x: Tensor, max: ArrayLike) -> Tensor:
    """Replaces elements above a bound by the bound.

    Args:
        x: any shape and dtype.
        max: a number, or any shape that broadcasts with x's.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([-1, 2]).clamp_max(0).tolist()
        [-1, 0]
    """
    return elementwise.clip(x, None, max)


def pow(x: Tensor, exponent: Operand) -> Tensor:
    """Computes x ** exponent.

    Args:
        x: any shape and dtype.
        exponent: a number, or any shape that broadcasts with x's.

    Returns:
        A tensor of the common shape and dtype. NaN for a negative base with an exponent that is not an integer.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([2.0, 3.0]).pow(2).tolist()
        [4.0, 9.0]
    """
    return elementwise.pow(x, exponent)


def heaviside(x: Tensor, values: ArrayLike) -> Tensor:
    """Takes 0 where x is negative, 1 where it is positive, and `values` where it is 0.

    Args:
        x: any shape and dtype.
        values: any shape that broadcasts with x's.

    Returns:
        A tensor of the common shape and of x's dtype. 0 where x is NaN, as in PyTorch.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([-2.0, 0.0, 3.0]).heaviside(st.tensor(0.5)).tolist()
        [0.0, 0.5, 1.0]
    """
    return where(x == 0, cast(as_tensor(values, x), x.dtype), cast(x > 0, x.dtype))


def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """Replaces elements from -lambd to lambd by 0.

    Args:
        x: any shape, floating.
        lambd: the bound.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.25, -1.0]).hardshrink().tolist()
        [0.0, -1.0]
    """
    return where((x >= -lambd) & (x <= lambd), 0.0, x)


def prelu(x: Tensor, weight: ArrayLike) -> Tensor:
    """Multiplies negative elements by a slope (He et al., 2015).

    Args:
        x: any shape, floating.
        weight: one slope, or one for each position of axis 1.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: the numbers of slopes and of positions differ.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([-2.0, 3.0]).prelu([0.25]).tolist()
        [-0.5, 3.0]
    """
    slope = as_tensor(weight, x)
    if slope.size != 1:
        if x.ndim < 2 or slope.size != x.shape[1]:
            raise ShapeError(f"[prelu] expected one slope, or one for each channel of {x.shape}, got {slope.shape}")
        slope = slope.reshape((-1, *(1,) * (x.ndim - 2)))
    else:
        slope = slope.reshape(())
    return where(x > 0, x, x * slope)


def round(x: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounds to the nearest number of so many decimal places, halves to even.

    Args:
        x: any shape and dtype; integers are returned as they are.
        decimals: the number of places behind the decimal point; before it where negative.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.5, 1.5, 2.7]).round().tolist(), st.tensor([1234.0]).round(decimals=-2).tolist()
        ([0.0, 2.0, 3.0], [1200.0])
    """
    if decimals == 0 or not x.dtype.is_float:
        return round_to_even(x)
    scale = 10.0 ** abs(decimals)
    return round_to_even(x * scale) / scale if decimals > 0 else round_to_even(x / scale) * scale


def renorm(x: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Scales the slices along an axis whose p-norm is greater than a bound, so that it is the bound.

    Args:
        x: at least 2 axes, floating.
        p: the order of the norm.
        dim: the axis; a slice is what one position of it holds.
        maxnorm: the bound.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[3.0, 4.0], [0.0, 1.0]]).renorm(2, 0, 1.0).tolist()[1]
        [0.0, 1.0]
    """
    d = axis_of(dim, x.ndim, "renorm")
    size = vector_norm(x, axis=tuple([a for a in range(x.ndim) if a != d]), keepdims=True, ord=p)
    return x * where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
