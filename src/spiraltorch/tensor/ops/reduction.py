"""Sums, products, means, variances and logical reductions over axes."""

from __future__ import annotations

import math

from ...dtypes import as_dtype, default_float, default_int, int64, uint64
from ...graph import build
from ...typing import ArrayLike, Axis, DTypeLike
from ..arguments import axes_of, torch_spellings
from ..dispatch import P, as_tensor, condition_node, nary, node_of
from ..tensor import Tensor
from .casting import cast, in_float32
from .selection import where
from .unary import sqrt


def reduced(primitive: str, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """One reducing primitive over sorted axes, which stay with extent 1 where `keepdims` says so."""
    node = node_of(x)
    shape = x.shape
    result = nary(P[primitive], (node,), (axes,)) if axes else Tensor(node)
    return result.reshape([1 if d in axes else e for d, e in enumerate(shape)]) if keepdims and axes else result


def accumulated(x: ArrayLike, dtype: DTypeLike | None) -> Tensor:
    """The operand in the dtype in which it is summed: 64 bits for integers and booleans, unless `dtype` says another."""
    x = as_tensor(x)
    if dtype is not None:
        return cast(x, as_dtype(dtype))
    if x.dtype.is_bool or x.dtype.kind == "i":
        return cast(x, default_int)
    return cast(x, uint64) if x.dtype.kind == "u" else x


@torch_spellings
def sum(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Sums elements over axes.

    float16 and bfloat16 are summed in float32 and rounded once.

    Args:
        x: any shape and dtype.
        axis: the axes that are summed over; all by default.
        dtype: the dtype of the sum; by default x's where that is floating, else a 64-bit integer.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's shape without the axes. The sum of no elements is 0.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.sum(st.tensor([[1, 2], [3, 4]]), axis=0).tolist()
        [4, 6]
    """
    x = accumulated(x, dtype)
    return reduced("reduce_sum", x, axes_of(axis, x.ndim, "sum"), keepdims)


@torch_spellings
def prod(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Multiplies elements over axes.

    float16 and bfloat16 are multiplied in float32 and rounded once.

    Args:
        x: any shape and dtype.
        axis: the axes that are multiplied over; all by default.
        dtype: the dtype of the product; by default x's where that is floating, else a 64-bit integer.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's shape without the axes. The product of no elements is 1.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.prod(st.tensor([[1, 2], [3, 4]]), axis=1).tolist()
        [2, 12]
    """
    x = accumulated(x, dtype)
    return reduced("reduce_prod", x, axes_of(axis, x.ndim, "prod"), keepdims)


@torch_spellings
def mean(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Computes the arithmetic mean over axes.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes that are averaged over; all by default.
        dtype: the dtype in which the mean is computed and returned.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of x's shape without the axes. The mean of no elements is NaN.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.mean(st.tensor([1, 2, 6])).item()
        3.0
    """
    x = as_tensor(x)
    x = cast(x, dtype) if dtype is not None else x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "mean")
    count = math.prod([x.shape[a] for a in axes])
    if x.dtype.itemsize == 2:
        return in_float32(mean, x, axis=axes, keepdims=keepdims)
    total = reduced("reduce_sum", x, axes, keepdims)
    return total / (count or 0.0)


@torch_spellings
def var(
    x: ArrayLike,
    axis: Axis = None,
    correction: float = 0,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
    unbiased: bool = False,
) -> Tensor:
    """Computes the variance over axes: the mean of squared distances from the mean.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes over which elements vary; all by default.
        correction: the number subtracted from the number of elements to give the divisor: 0 as in NumPy, 1 for the
            unbiased estimate of a sample's distribution (Bessel's correction), as in PyTorch.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.
        unbiased: alias of `correction`, as in older versions of PyTorch: True is 1.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.var(st.tensor([1.0, 3.0])).item()
        1.0
    """
    x = as_tensor(x)
    x = x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "var")
    if x.dtype.itemsize == 2:
        return in_float32(var, x, axis=axes, correction=correction, keepdims=keepdims)
    count = math.prod([x.shape[a] for a in axes])
    distance = x - center(x, axes)
    total = reduced("reduce_sum", distance * distance, axes, keepdims)
    if count:  # the rounded mean leaves something, whose square the sum holds
        left = reduced("reduce_sum", distance, axes, keepdims).detach()
        total = total - left * left / count
        total = where(total < 0.0, 0.0, total)
    divisor = count - float(correction)
    return total / divisor if divisor > 0 else total / 0.0


def center(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The mean over axes, which stay, with the mean of what it leaves added: exact where all elements are equal.

    It is the mean of the corrected two-pass algorithm (Chan, Golub and LeVeque, "Algorithms for computing the sample
    variance", The American Statistician 37(3), 1983). The derivative of the correction is 0.
    """
    first = mean(x, axis=axes, keepdims=True)
    return first + mean(x - first, axis=axes, keepdims=True).detach()


@torch_spellings
def std(
    x: ArrayLike,
    axis: Axis = None,
    correction: float = 0,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
    unbiased: bool = False,
) -> Tensor:
    """Computes the standard deviation over axes: the square root of `var`.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes over which elements vary; all by default.
        correction: the number subtracted from the number of elements to give the divisor: 0 as in NumPy, 1 for Bessel's
            correction, as in PyTorch.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.
        unbiased: alias of `correction`, as in older versions of PyTorch: True is 1.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive. Where the deviation is
        0, so is its gradient.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.std(st.tensor([1.0, 3.0])).item()
        1.0
    """
    x = as_tensor(x)
    if x.dtype.is_float and x.dtype.itemsize == 2:
        return in_float32(std, x, axis=axis, correction=correction, keepdims=keepdims)
    return root(var(x, axis=axis, correction=correction, keepdims=keepdims))


def root(x: Tensor, order: float = 2) -> Tensor:
    """A root of what is not negative. Where x is 0 the derivative is infinite; it is taken as 0, as in PyTorch."""
    zero = x == 0
    safe = where(zero, 1.0, x)
    return where(zero, x, sqrt(safe) if order == 2 else safe ** (1.0 / order))


@torch_spellings
def any(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Tests over axes whether any element is true.

    Args:
        x: any shape and dtype; numbers are true where they are not 0.
        axis: the axes that are reduced; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of booleans, of x's shape without the axes. False over no elements.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.any(st.tensor([[0, 1], [0, 0]]), axis=1).tolist()
        [True, False]
    """
    return _logical("reduce_max", Tensor(condition_node(x)), axis, keepdims, False)


@torch_spellings
def all(x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Tests over axes whether all elements are true.

    Args:
        x: any shape and dtype; numbers are true where they are not 0.
        axis: the axes that are reduced; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of booleans, of x's shape without the axes. True over no elements.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.all(st.tensor([[1, 1], [0, 1]]), axis=1).tolist()
        [True, False]
    """
    return _logical("reduce_min", Tensor(condition_node(x)), axis, keepdims, True)


def _logical(primitive: str, x: Tensor, axis: Axis, keepdims: bool, identity: bool) -> Tensor:
    """A reduction of booleans, whose result over no elements is `identity`."""
    axes = axes_of(axis, x.ndim, "any or all")
    if math.prod([x.shape[a] for a in axes]) == 0:
        shape = tuple([1 if d in axes else e for d, e in enumerate(x.shape) if keepdims or d not in axes])
        return Tensor(build.full(shape, identity, x.dtype, x.device))
    return reduced(primitive, x, axes, keepdims)


@torch_spellings
def count_nonzero(
    x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> Tensor:
    """Counts over axes the elements that are not 0.

    Args:
        x: any shape and dtype.
        axis: the axes that are counted over; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        An int64 tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.count_nonzero(st.tensor([0, 3, 4])).item()
        2
    """
    return sum(cast(Tensor(condition_node(x)), int64), axis=axis, keepdims=keepdims)
