"""Norms of vectors."""

from __future__ import annotations

import math
from numbers import Real

from ...dtypes import default_float, int32, int64
from ...errors import ArgumentError
from ...typing import ArrayLike, Axis
from ..arguments import axes_of, torch_spellings
from ..dispatch import P, as_tensor, nary, node_of
from ..tensor import Tensor
from .casting import cast, in_float32
from .elementwise import maximum
from .extrema import amax, amin
from .reduction import root, sum
from .selection import where
from .unary import abs


@torch_spellings
def vector_norm(
    x: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    ord: float = 2,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Computes the p-norm of vectors: sum(|x|**p) ** (1/p) over axes.

    Elements are divided by the greatest magnitude first (by the least for negative orders), so that powers neither
    overflow nor underflow.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes that make up a vector; all by default.
        keepdims: whether the axes stay, with extent 1.
        ord: the order p. inf is the greatest magnitude, -inf the least, 0 the number of elements that are not 0.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of x's shape without the axes. The gradient of a norm that is 0 is 0, and so is that of an
        element that is 0.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, `ord` is not a number, or it is infinite and there is no element.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.vector_norm(st.tensor([3.0, 4.0])).item()
        5.0
    """
    if not isinstance(ord, Real) or math.isnan(ord):
        raise ArgumentError(
            f"[vector_norm] expected ord as a number, got {ord!r}; pass 2 for the root of the sum of squares, or use "
            "st.linalg.matrix_norm for norms of matrices"
        )
    x = as_tensor(x)
    x = x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "vector_norm")
    if x.dtype.itemsize == 2:
        return in_float32(vector_norm, x, axis=axes, keepdims=keepdims, ord=ord)
    if ord == 2:
        return _euclidean(x, axes, keepdims)
    x = abs(x)
    if ord == math.inf:
        return amax(x, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return amin(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(cast(x != 0, x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(x, axis=axis, keepdims=keepdims)
    return _of_order(x, float(ord), axes, keepdims)


def _euclidean(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The root of the sum of squares. The scale is a power of two, so that it rounds nothing."""
    scale = _power_of_two(_extremum(abs(x), axes, True))
    scaled = x / scale
    total = root(sum(scaled * scaled, axis=axes, keepdims=True)) * scale
    return _without(total, axes, keepdims)


def _of_order(x: Tensor, order: float, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The norm of an order that is neither 0 nor infinite, of magnitudes."""
    extremum = _extremum(x, axes, order > 0)
    scale = where((extremum > 0) & (extremum < math.inf), extremum, 1.0)
    zero = x == 0  # where the derivative is infinite or undefined for orders below 1; it is taken as 0
    powers = where(zero, 0.0, where(zero, 1.0, x / scale) ** order)
    total = sum(powers, axis=axes, keepdims=True)
    norm = root(total, order) if order > 0 else total ** (1.0 / order)
    norm = norm * scale
    return _without(norm if order > 0 else where(extremum == 0, 0.0, norm), axes, keepdims)


def _extremum(x: Tensor, axes: tuple[int, ...], greatest: bool) -> Tensor:
    """The greatest or least magnitude over axes, which stay, without gradient; 0 over no elements."""
    if not x.size:
        return sum(x, axis=axes, keepdims=True).detach()
    return (amax if greatest else amin)(x, axis=axes, keepdims=True).detach()


def _power_of_two(x: Tensor) -> Tensor:
    """The greatest power of two up to a magnitude, at least the least normal number; 1 for infinity and NaN."""
    whole, exponent, least = (
        (int32, 0x7F800000, 2.0**-126) if x.dtype.itemsize == 4 else (int64, 0x7FF << 52, 2.0**-1022)
    )
    bits = nary(P["bitcast"], (node_of(x),), (whole,)) & exponent
    power = maximum(nary(P["bitcast"], (node_of(bits),), (x.dtype,)), least)
    return where(power < math.inf, power, 1.0)


def _without(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """A tensor whose `axes` of extent 1 are dropped, unless they are to stay."""
    return x if keepdims or not axes else x.squeeze(axes)


def norm(x: ArrayLike, p: float | str = 2, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Computes the p-norm of vectors; PyTorch's name for `st.linalg.vector_norm`.

    Args:
        x: any shape and dtype.
        p: the order; "fro" is 2.
        dim: the axes that make up a vector; all by default.
        keepdim: whether the axes stay, with extent 1.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, or `p` is infinite and there is no element.

    Example:
        >>> import spiraltorch as st
        >>> st.norm(st.tensor([3.0, -4.0]), p=1).item()
        7.0
    """
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if p == "fro" else p)  # type: ignore[arg-type]
