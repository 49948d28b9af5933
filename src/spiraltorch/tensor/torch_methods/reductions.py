"""PyTorch's methods that reduce axes: their order of arguments, its dtypes, its divisors, and its pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, overload

from ...dtypes import int64
from ...errors import ArgumentError
from ...typing import Axis, DTypeLike
from ..arguments import array_api_spellings, axis_of
from ..ops import reduction, statistics
from ..ops.elementwise import maximum, minimum
from ..ops.extrema import Extreme, amax, amin, argmax, argmin
from ..ops.gathering import take_along_axis
from ..tensor import Tensor


def summed_dtype(x: Tensor, dtype: DTypeLike | None) -> DTypeLike | None:
    """The dtype in which PyTorch adds and multiplies: int64 also for small integers without sign."""
    return int64 if dtype is None and x.dtype.kind == "u" and x.itemsize < 8 else dtype


def axes_or_all(dim: Axis) -> Axis:
    """The axes of a reduction: PyTorch takes an empty sequence for all of them."""
    return None if isinstance(dim, (tuple, list)) and not dim else dim


@array_api_spellings
def sum(
    x: Tensor,
    dim: Axis = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Sums elements over axes.

    float16 and bfloat16 are summed in float32 and rounded once.

    Args:
        x: any shape and dtype.
        dim: the axes that are summed over; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype of the sum; by default x's where that is floating, else int64 (uint64 for uint64).
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A tensor of x's shape without the axes. The sum of no elements is 0.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).sum(1, True).tolist()
        [[3], [7]]
    """
    return reduction.sum(x, axis=axes_or_all(dim), dtype=summed_dtype(x, dtype), keepdims=keepdim)


@array_api_spellings
def prod(
    x: Tensor,
    dim: Axis = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Multiplies elements over axes.

    float16 and bfloat16 are multiplied in float32 and rounded once.

    Args:
        x: any shape and dtype.
        dim: the axes that are multiplied over; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype of the product; by default x's where that is floating, else int64 (uint64 for uint64).
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A tensor of x's shape without the axes. The product of no elements is 1.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).prod(1).tolist()
        [2, 12]
    """
    return reduction.prod(x, axis=axes_or_all(dim), dtype=summed_dtype(x, dtype), keepdims=keepdim)


@array_api_spellings
def mean(
    x: Tensor,
    dim: Axis = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Computes the arithmetic mean over axes.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        dim: the axes that are averaged over; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype in which the mean is computed and returned.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A floating tensor of x's shape without the axes. The mean of no elements is NaN.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1.0, 2.0], [3.0, 6.0]]).mean(0, True).tolist()
        [[2.0, 4.0]]
    """
    return reduction.mean(x, axis=axes_or_all(dim), dtype=dtype, keepdims=keepdim)


@array_api_spellings
def nansum(
    x: Tensor,
    dim: Axis = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Sums elements over axes, taking NaN for 0.

    Args:
        x: any shape and dtype.
        dim: the axes that are summed over; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype of the sum; by default x's where that is floating, else int64 (uint64 for uint64).
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, st.nan, 2.0]).nansum().item()
        3.0
    """
    return statistics.nansum(x, axis=axes_or_all(dim), dtype=summed_dtype(x, dtype), keepdims=keepdim)


@array_api_spellings
def nanmean(
    x: Tensor,
    dim: Axis = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Computes the mean over axes of the elements that are not NaN.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        dim: the axes that are averaged over; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype in which the mean is computed and returned.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A floating tensor of x's shape without the axes; NaN where all elements are NaN.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, st.nan, 2.0]).nanmean().item()
        1.5
    """
    return statistics.nanmean(x, axis=axes_or_all(dim), dtype=dtype, keepdims=keepdim)


@array_api_spellings
def var(
    x: Tensor,
    dim: Axis | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Computes the variance over axes, with the divisor n - 1 by default; that of `st.var` is n.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        dim: the axes over which elements vary; all by default. A bool stands for `unbiased`.
        unbiased: True for a correction of 1, False for none.
        keepdim: whether the axes stay, with extent 1.
        correction: the number subtracted from the number of elements to give the divisor; 1 by default.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, or both `unbiased` and `correction` are given.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([1.0, 3.0])
        >>> x.var().item(), x.var(unbiased=False).item(), st.var(x).item()
        (2.0, 1.0, 1.0)
    """
    dim, correction = _divisor("var", dim, unbiased, correction)
    return reduction.var(x, axis=axes_or_all(dim), correction=correction, keepdims=keepdim)


@array_api_spellings
def std(
    x: Tensor,
    dim: Axis | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Computes the standard deviation over axes, with the divisor n - 1 by default; that of `st.std` is n.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        dim: the axes over which elements vary; all by default. A bool stands for `unbiased`.
        unbiased: True for a correction of 1, False for none.
        keepdim: whether the axes stay, with extent 1.
        correction: the number subtracted from the number of elements to give the divisor; 1 by default.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, or both `unbiased` and `correction` are given.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, 3.0]).std(0, unbiased=False).item()
        1.0
    """
    dim, correction = _divisor("std", dim, unbiased, correction)
    return reduction.std(x, axis=axes_or_all(dim), correction=correction, keepdims=keepdim)


def _divisor(op: str, dim: Axis | bool, unbiased: bool | None, correction: float | None) -> tuple[Axis, float]:
    """The axes and the correction of a variance, from PyTorch's overloads."""
    if isinstance(dim, bool):
        if unbiased is not None:
            raise ArgumentError(f"[{op}] expected an axis before unbiased, got {dim!r}; pass unbiased once")
        dim, unbiased = None, dim
    if unbiased is None:
        return dim, 1 if correction is None else correction
    if correction is not None:
        raise ArgumentError(f"[{op}] expected one of unbiased and correction, got both; pass one of them")
    return dim, int(unbiased)


# ---------------------------------------------------------------- extremes


class MinMax(NamedTuple):
    """The least and the greatest elements."""

    min: Tensor
    max: Tensor


@overload
def max(x: Tensor) -> Tensor: ...
@overload
def max(x: Tensor, dim: Tensor, /) -> Tensor: ...
@overload
def max(x: Tensor, *, other: Tensor) -> Tensor: ...
@overload
def max(x: Tensor, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def max(x: Tensor, *, axis: int, keepdims: bool = False, keepdim: bool = False) -> Extreme: ...
def max(x: Tensor, *args: object, **kwargs: object) -> Tensor | Extreme:
    """Finds the greatest element of all, or along an axis with its position, or element by element beside a tensor.

    Args:
        x: any shape and dtype.
        *args: nothing, for the greatest of all elements; an axis `dim`, and `keepdim`, whether it stays with extent 1; or
            another tensor `other`, for the greater of both.
        **kwargs: the same by name: `dim` (or `axis`), `keepdim` (or `keepdims`), `other`.

    Returns:
        A tensor; along an axis a pair of values and int64 indices, of equal elements that of the first. `st.max` and
        `amax` give values only. NaN counts as the greatest.

    Raises:
        ArgumentError: there is no element, or the axis is not one int.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[1, 5], [3, 4]])
        >>> x.max().item(), x.max(0).values.tolist(), x.max(axis=0).indices.tolist()
        (5, [3, 5], [1, 0])
    """
    return _maximum(x, *args, **kwargs)


@overload
def min(x: Tensor) -> Tensor: ...
@overload
def min(x: Tensor, dim: Tensor, /) -> Tensor: ...
@overload
def min(x: Tensor, *, other: Tensor) -> Tensor: ...
@overload
def min(x: Tensor, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def min(x: Tensor, *, axis: int, keepdims: bool = False, keepdim: bool = False) -> Extreme: ...
def min(x: Tensor, *args: object, **kwargs: object) -> Tensor | Extreme:
    """Finds the least element of all, or along an axis with its position, or element by element beside a tensor.

    Args:
        x: any shape and dtype.
        *args: nothing, for the least of all elements; an axis `dim`, and `keepdim`, whether it stays with extent 1; or
            another tensor `other`, for the lesser of both.
        **kwargs: the same by name: `dim` (or `axis`), `keepdim` (or `keepdims`), `other`.

    Returns:
        A tensor; along an axis a pair of values and int64 indices, of equal elements that of the first. `st.min` and
        `amin` give values only. NaN counts as the least.

    Raises:
        ArgumentError: there is no element, or the axis is not one int.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[1, 5], [3, 4]])
        >>> x.min().item(), x.min(0).values.tolist(), x.min(axis=0).indices.tolist()
        (1, [1, 4], [0, 1])
    """
    return _minimum(x, *args, **kwargs)


def _extreme(which: str) -> Callable[..., Tensor | Extreme]:
    """PyTorch's three meanings of `max` or `min`."""

    def extreme(
        x: Tensor, dim: int | Tensor | None = None, keepdim: bool = False, *, other: Tensor | None = None
    ) -> Tensor | Extreme:
        if isinstance(dim, Tensor):
            dim, other = None, dim
        if other is not None:
            return (maximum if which == "max" else minimum)(x, other)
        if dim is None:
            if keepdim:
                raise ArgumentError(f"[{which}] expected an axis beside keepdim, got none; use a{which}(keepdim=True)")
            return (amax if which == "max" else amin)(x)
        if isinstance(dim, (tuple, list)):
            raise ArgumentError(
                f"[{which}] expected one axis, since positions are along one, got {dim}; use a{which}()"
            )
        find = argmax if which == "max" else argmin
        return along(x, dim, keepdim, which, lambda rows, d: find(rows, axis=d, keepdims=True))

    extreme.__name__ = extreme.__qualname__ = which  # errors of wrong keywords name it
    return array_api_spellings(extreme)


_maximum, _minimum = _extreme("max"), _extreme("min")


def along(x: Tensor, dim: int, keepdim: bool, op: str, find: Any) -> Extreme:
    """The elements along an axis that `find(x, axis)` gives the positions of, with extent 1 on the axis."""
    d = axis_of(dim, x.ndim, op)
    rows = x if x.ndim else x.reshape(1)
    indices = find(rows, d)
    values = take_along_axis(rows, indices, axis=d)
    if keepdim and x.ndim:
        return Extreme(values, indices)
    return Extreme(values.squeeze(d), indices.squeeze(d))


@array_api_spellings
def aminmax(
    x: Tensor, *, dim: int | None = None, keepdim: bool = False, axis: int | None = None, keepdims: bool = False
) -> MinMax:
    """Finds the least and the greatest element.

    Args:
        x: any shape and dtype.
        dim: the axis that is searched; all by default.
        keepdim: whether the axis stays, with extent 1.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A pair (min, max) of tensors of x's shape without the axis. NaN where any element is NaN.

    Raises:
        ArgumentError: there is no element.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.item() for t in st.tensor([3, 1, 2]).aminmax()]
        [1, 3]
    """
    return MinMax(amin(x, axis=dim, keepdims=keepdim), amax(x, axis=dim, keepdims=keepdim))
