"""PyTorch's methods that sort, scan and pick by order: pairs of values and positions."""

from __future__ import annotations

from typing import overload

from ...dtypes import default_float, float32, int64
from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike, DTypeLike
from ..arguments import array_api_spellings, axis_of
from ..dispatch import node_of, unshared
from ..filling import zeros_like
from ..layout import with_value
from ..ops import scan, sorting, statistics
from ..ops.casting import cast
from ..ops.elementwise import logaddexp
from ..ops.extrema import Extreme, argmax
from ..ops.gathering import take_along_axis
from ..ops.joining import concat
from ..ops.logic import isnan
from ..ops.reduction import sum
from ..ops.selection import where
from ..ops.slicing import narrow
from ..tensor import Tensor
from .reductions import along, summed_dtype


@array_api_spellings
def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True, *, axis: int = -1) -> Extreme:
    """Sorts elements along an axis; `st.sort` gives the values only.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        dim: the axis.
        descending: whether the greatest comes first.
        stable: accepted for compatibility: equal elements always keep their order.
        axis: alias of `dim`.

    Returns:
        A pair of values and int64 indices of x's shape: where each value stood.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([3, 1, 2]).sort()]
        [[1, 2, 3], [1, 2, 0]]
    """
    indices = sorting.argsort(x, axis=dim, descending=descending)
    return Extreme(take_along_axis(x, indices, axis=dim) if x.ndim else x, indices)


def msort(x: Tensor) -> Tensor:
    """Sorts elements along the first axis.

    Args:
        x: any shape and dtype. NaN counts as the greatest.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[3, 1], [2, 4]]).msort().tolist()
        [[2, 1], [3, 4]]
    """
    return sorting.sort(x, axis=0)


@array_api_spellings
def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, axis: int = -1) -> Extreme:
    """Finds the `k` greatest or least elements along an axis, in order, and their positions.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        k: the number of elements, from 0 to the extent of the axis.
        dim: the axis.
        largest: whether the greatest are wanted, in descending order, or the least, in ascending order.
        sorted: accepted for compatibility: the elements always come in order.
        axis: alias of `dim`.

    Returns:
        A pair of values and int64 indices, with extent `k` along the axis. Of equal elements the first comes first.

    Raises:
        ArgumentError: `k` lies outside its range.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([3, 1, 2]).topk(2)]
        [[3, 2], [0, 2]]
    """
    return sorting.topk(x, k, axis=dim, largest=largest)


@array_api_spellings
def cumsum(x: Tensor, dim: int | None = None, dtype: DTypeLike | None = None, *, axis: int | None = None) -> Tensor:
    """Computes inclusive sums along an axis: element i is the sum of elements 0 to i.

    Args:
        x: any shape and dtype.
        dim: the axis; by default the flattened tensor is summed.
        dtype: the dtype of the sums; by default x's where that is floating, else int64 (uint64 for uint64).
        axis: alias of `dim`.

    Returns:
        A tensor of x's shape; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2, 3]).cumsum(0).tolist()
        [1, 3, 6]
    """
    return scan.cumsum(x, axis=dim, dtype=summed_dtype(x, dtype))


@array_api_spellings
def cumprod(x: Tensor, dim: int | None = None, dtype: DTypeLike | None = None, *, axis: int | None = None) -> Tensor:
    """Computes inclusive products along an axis: element i is the product of elements 0 to i.

    Args:
        x: any shape and dtype.
        dim: the axis; by default the flattened tensor is multiplied.
        dtype: the dtype of the products; by default x's where that is floating, else int64 (uint64 for uint64).
        axis: alias of `dim`.

    Returns:
        A tensor of x's shape; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2, 3]).cumprod(0).tolist()
        [1, 2, 6]
    """
    return scan.cumprod(x, axis=dim, dtype=summed_dtype(x, dtype))


@array_api_spellings
def cummax(x: Tensor, dim: int = 0, *, axis: int = 0) -> Extreme:
    """Computes inclusive maxima along an axis, and their positions; `st.cummax` gives the values only.

    Args:
        x: any shape and dtype. After a NaN all are NaN.
        dim: the axis.
        axis: alias of `dim`.

    Returns:
        A pair of values and int64 indices of x's shape: of equal elements the position of the last.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([1, 3, 2]).cummax(0)]
        [[1, 3, 3], [0, 1, 1]]
    """
    return _running(x, scan.cummax(x, axis=dim), dim, "cummax")


@array_api_spellings
def cummin(x: Tensor, dim: int = 0, *, axis: int = 0) -> Extreme:
    """Computes inclusive minima along an axis, and their positions; `st.cummin` gives the values only.

    Args:
        x: any shape and dtype. After a NaN all are NaN.
        dim: the axis.
        axis: alias of `dim`.

    Returns:
        A pair of values and int64 indices of x's shape: of equal elements the position of the last.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([3, 1, 2]).cummin(0)]
        [[3, 1, 1], [0, 1, 1]]
    """
    return _running(x, scan.cummin(x, axis=dim), dim, "cummin")


def _running(x: Tensor, values: Tensor, dim: int, op: str) -> Extreme:
    """Running extremes with their positions: the last element that was equal to the extreme."""
    d = axis_of(dim, x.ndim, op)
    if x.ndim == 0:
        return Extreme(values, zeros_like(x, dtype=int64))
    position = Tensor(build.iota(x.shape, d, int64, str(x.device)))
    record = (x == values) | isnan(x)
    return Extreme(values, scan.cummax(where(record, position, 0), axis=d))


@array_api_spellings
def logcumsumexp(x: Tensor, dim: int, *, axis: int = 0) -> Tensor:
    """Computes log(cumsum(exp(x))) along an axis, without overflow.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        dim: the axis.
        axis: alias of `dim`.

    Returns:
        A floating tensor of x's shape.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1000.0, -1000.0]).logcumsumexp(0).tolist()
        [1000.0, 1000.0]
    """
    d = axis_of(dim, x.ndim, "logcumsumexp")
    if not x.dtype.is_float:
        x = cast(x, default_float)
    if x.dtype.itemsize == 2:
        return cast(logcumsumexp(cast(x, float32), d), x.dtype)
    step, n = 1, x.shape[d] if x.ndim else 1
    while step < n:  # each element is joined with the sums of the `step` elements before it (Hillis and Steele 1986)
        joined = logaddexp(narrow(x, d, step, n - step), narrow(x, d, 0, n - step))
        x = concat([narrow(x, d, 0, step), joined], axis=d)
        step *= 2
    return x if n > 1 else unshared(x)


@array_api_spellings
def diff(
    x: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
    *,
    axis: int = -1,
) -> Tensor:
    """Computes differences of neighbours along an axis: element i is x[i + 1] - x[i].

    Args:
        x: at least one axis, any dtype. Of booleans the difference is whether they differ.
        n: the number of times that differences are taken. In `st.diff` the axis comes before it.
        dim: the axis.
        prepend: joined before `x` along the axis first.
        append: joined after `x` along the axis first.
        axis: alias of `dim`.

    Returns:
        A tensor of x's dtype, `n` elements shorter along the axis, but not shorter than 0.

    Raises:
        ArgumentError: `n` is negative, or there is no axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 4, 9]).diff(2).tolist()
        [2]
    """
    return scan.diff(x, axis=dim, n=n, prepend=prepend, append=append)


# ---------------------------------------------------------------- order statistics


@array_api_spellings
def kthvalue(
    x: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, axis: int = -1, keepdims: bool = False
) -> Extreme:
    """Finds the `k`-th least element along an axis, and its position.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        k: from 1, for the least, to the extent of the axis.
        dim: the axis.
        keepdim: whether the axis stays, with extent 1.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A pair of values and int64 indices of x's shape without the axis.

    Raises:
        ArgumentError: `k` lies outside its range.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.item() for t in st.tensor([3, 1, 2]).kthvalue(2)]
        [2, 2]
    """
    n = x.shape[axis_of(dim, x.ndim, "kthvalue")] if x.ndim else 1
    if not 1 <= k <= n:
        raise ArgumentError(f"[kthvalue] expected k from 1 to {n}, got {k}; change k")
    return along(x, dim, keepdim, "kthvalue", lambda rows, d: narrow(sorting.argsort(rows, axis=d), d, k - 1, 1))


@overload
def median(x: Tensor) -> Tensor: ...
@overload
def median(x: Tensor, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def median(x: Tensor, *, axis: int, keepdims: bool = False, keepdim: bool = False) -> Extreme: ...
@array_api_spellings
def median(
    x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Tensor | Extreme:
    """Finds the middle element in order, of an even number the lower one; `st.median` gives the mean of the two.

    Args:
        x: any shape and dtype. NaN counts as the middle element where there is any.
        dim: the axis that is searched; all by default.
        keepdim: whether the axis stays, with extent 1.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A 0-d tensor of x's dtype, NaN of no floating element; along an axis a pair of values and int64 indices.

    Raises:
        ArgumentError: there is no element, of integers or along an axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([3, 1, 2, 8])
        >>> x.median().item(), [t.item() for t in x.median(0)], st.median(x).item()
        (2, [2, 2], 2.5)
    """
    return _middle(x, dim, keepdim, False)


@overload
def nanmedian(x: Tensor) -> Tensor: ...
@overload
def nanmedian(x: Tensor, dim: int, keepdim: bool = False) -> Extreme: ...
@overload
def nanmedian(x: Tensor, *, axis: int, keepdims: bool = False, keepdim: bool = False) -> Extreme: ...
@array_api_spellings
def nanmedian(
    x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Tensor | Extreme:
    """Finds the middle of the elements that are not NaN, of an even number the lower one.

    Args:
        x: any shape and dtype.
        dim: the axis that is searched; all by default.
        keepdim: whether the axis stays, with extent 1.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A 0-d tensor of x's dtype; along an axis a pair of values and int64 indices. NaN where all elements are.

    Raises:
        ArgumentError: there is no element, of integers or along an axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([3.0, st.nan, 1.0]).nanmedian().item()
        1.0
    """
    return _middle(x, dim, keepdim, True)


def _middle(x: Tensor, dim: int | None, keepdim: bool, skip: bool) -> Tensor | Extreme:
    """The lower middle element; `skip` leaves NaN out."""
    if dim is None:
        if x.dtype.is_float and not x.size:
            return sum(x) / 0  # NaN
        found = along(x.reshape(-1), 0, False, "median", lambda rows, d: _middle_position(rows, d, skip)).values
        return _with_even_gradient(x, found) if x.requires_grad else found
    return along(x, dim, keepdim, "median", lambda rows, d: _middle_position(rows, d, skip))


def _with_even_gradient(x: Tensor, found: Tensor) -> Tensor:
    """An element of `x`, with a gradient that all elements equal to it share evenly, as PyTorch's without an axis."""
    equal = (x == found) | (isnan(x) & isnan(found))
    shared = sum(where(equal, x, 0)) / sum(cast(equal, x.dtype))
    return Tensor(with_value(node_of(shared), node_of(found.detach())))


def _middle_position(x: Tensor, d: int, skip: bool) -> Tensor:
    """Positions of the lower middle elements, or of the first NaN where NaN is not left out."""
    n = x.shape[d]
    if n == 0:
        raise ArgumentError(
            f"[median] expected at least one element along axis {d}, got shape {x.shape}; reduce axes that are not empty"
        )
    order = sorting.argsort(x, axis=d)
    middle = narrow(order, d, (n - 1) // 2, 1)
    if not x.dtype.is_float:
        return middle
    missing = isnan(x)
    if not skip:
        return where(missing.any(d, True), argmax(missing, axis=d, keepdims=True), middle)
    count = sum(cast(~missing, int64), axis=d, keepdims=True)
    return take_along_axis(order, where(count > 0, (count - 1) // 2, 0), axis=d)


@array_api_spellings
def mode(x: Tensor, dim: int = -1, keepdim: bool = False, *, axis: int = -1, keepdims: bool = False) -> Extreme:
    """Finds the most frequent element along an axis, of equally frequent ones the least.

    Args:
        x: any shape and dtype. No NaN equals another.
        dim: the axis.
        keepdim: whether the axis stays, with extent 1.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A pair of values and int64 indices of x's shape without the axis: the position of the last such element.

    Raises:
        ArgumentError: there is no element.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.item() for t in st.tensor([2, 1, 2, 3]).mode()]
        [2, 2]
    """
    return along(x, dim, keepdim, "mode", _mode_position)


def _mode_position(x: Tensor, d: int) -> Tensor:
    """Positions of the most frequent elements: in sorted order, where the longest run of equal elements ends."""
    order = sorting.argsort(x, axis=d)
    ordered, n = take_along_axis(x, order, axis=d), x.shape[d]
    position = Tensor(build.iota(x.shape, d, int64, str(x.device)))
    first = narrow(position, d, 0, min(n, 1)) == 0
    begins = concat([first, narrow(ordered, d, 1, n - 1) != narrow(ordered, d, 0, n - 1)], axis=d) if n > 1 else first
    length = position - scan.cummax(where(begins, position, 0), axis=d)
    return take_along_axis(order, argmax(length, axis=d, keepdims=True), axis=d)


@array_api_spellings
def quantile(
    x: Tensor,
    q: ArrayLike,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Finds the values below which given fractions of the elements lie.

    Args:
        x: any shape and dtype, at least one element. Integers and booleans are converted to float32.
        q: fractions from 0 to 1, a number or 1-d. They are evaluated immediately.
        dim: the axis that is searched; all by default.
        keepdim: whether the axis stays, with extent 1.
        interpolation: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A floating tensor of the shape of `q`, followed by x's without the axis. NaN where any element is NaN.

    Raises:
        ArgumentError: a fraction lies outside [0, 1], there is no element, or `interpolation` is not one of these.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, 2.0, 4.0]).quantile(0.75).item()
        3.0
    """
    return statistics.quantile(x, q, axis=dim, keepdims=keepdim, method=interpolation)
