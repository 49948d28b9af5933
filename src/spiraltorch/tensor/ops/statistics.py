"""Order statistics, sums that skip NaN, histograms and covariances."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...dtypes import default_float, float32, int64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...typing import ArrayLike, Axis, DTypeLike, NDArray
from ..arguments import axes_of, integer, is_integer, torch_spellings
from ..creation import asarray
from ..dispatch import as_tensor
from ..ranges import arange
from ..tensor import Tensor, evaluated
from .casting import cast
from .elementwise import maximum
from .extrema import amax, amin
from .gathering import take
from .logic import isnan
from .reduction import center, mean, sum
from .selection import where
from .shape import reshape
from .sorting import sort
from .transposition import moveaxis

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@torch_spellings
def median(
    x: ArrayLike, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> Tensor:
    """Finds the middle element in order, over axes; of an even number the mean of the middle two, as NumPy does.

    The method `x.median()` takes the lower of the two, as PyTorch does, and gives its position along an axis.

    Args:
        x: any shape and dtype. Integers and booleans are converted to float32.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of x's shape without the axes, NaN where any element is NaN, or of no floating element.

    Raises:
        ArgumentError: there is no element, of integers.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.median(st.tensor([3.0, 1.0, 2.0, 8.0])).item()
        2.5
    """
    x = as_tensor(x)
    if x.dtype.is_float and not math.prod([x.shape[a] for a in axes_of(axis, x.ndim, "median")]):
        return mean(x, axis=axis, keepdims=keepdims)  # NaN
    return quantile(x, 0.5, axis=axis, keepdims=keepdims, method="midpoint")


@torch_spellings
def quantile(
    x: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    method: str = "linear",
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Finds the values below which given fractions of the elements lie, over axes.

    Args:
        x: any shape and dtype, at least one element. Integers and booleans are converted to float32.
        q: fractions from 0 to 1, any shape. They are evaluated immediately.
        axis: the axes that are searched; all by default.
        keepdims: whether the axes stay, with extent 1.
        method: the interpolation between two elements: "linear", "lower", "higher", "midpoint" or "nearest", as in
            NumPy.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of the shape of `q`, followed by x's without the axes. NaN where any element is NaN.

    Raises:
        ArgumentError: a fraction lies outside [0, 1], there is no element, or `method` is not one of these.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.quantile(st.tensor([1.0, 2.0, 4.0]), [0.5, 0.75]).tolist()
        [2.0, 3.0]
    """
    x = as_tensor(x)
    try:
        fractions: NDArray = np.asarray(q.numpy() if isinstance(q, Tensor) else q, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"[quantile] expected q as a fraction or several, got {q!r}; pass a number") from None
    if method not in _METHODS:
        raise ArgumentError(f"[quantile] expected method of {', '.join(_METHODS)}, got {method!r}; choose one")
    if not ((fractions >= 0) & (fractions <= 1)).all():
        raise ArgumentError(f"[quantile] expected fractions from 0 to 1, got {fractions.tolist()}; change q")
    if not x.dtype.is_float:
        x = cast(x, default_float)
    if x.dtype.itemsize == 2:
        return cast(quantile(cast(x, float32), fractions, axis, keepdims, method), x.dtype)
    axes = axes_of(axis, x.ndim, "quantile")
    rows = moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim)))
    n = math.prod([x.shape[a] for a in axes])
    if n == 0:
        raise ArgumentError(
            f"[quantile] expected at least one element over axes {axes}, got shape {x.shape}; "
            "reduce axes that are not empty"
        )
    rest = rows.shape[: x.ndim - len(axes)]
    rows = sort(rows.reshape((*rest, n)), axis=-1)
    result = _interpolated(rows, fractions.reshape(-1) * (n - 1), method)
    greatest = take(rows, [n - 1], axis=-1)
    result = moveaxis(where(isnan(greatest), greatest, result), -1, 0)
    kept = tuple([1 if d in axes else e for d, e in enumerate(x.shape)]) if keepdims else rest
    return reshape(result, (*fractions.shape, *kept))


def _interpolated(rows: Tensor, positions: NDArray, method: str) -> Tensor:
    """Values at fractional positions of sorted rows, along a new last axis."""
    below, above = np.floor(positions), np.ceil(positions)
    if method in ("lower", "higher", "nearest"):
        below = above = {"lower": below, "higher": above, "nearest": np.round(positions)}[method]
    a, b = (take(rows, asarray(i.astype(np.int64), device=rows.device), axis=-1) for i in (below, above))
    if method == "midpoint":
        return where(a == b, a, a * 0.5 + b * 0.5)
    weight = asarray(positions - below, dtype=rows.dtype, device=rows.device)
    return where((a == b) | (weight == 0), a, a + (b - a) * weight)


@torch_spellings
def nansum(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Sums elements over axes, taking NaN for 0.

    Args:
        x: any shape and dtype.
        axis: the axes that are summed over; all by default.
        dtype: the dtype of the sum; by default x's where that is floating, else a 64-bit integer.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.nansum(st.tensor([1.0, st.nan, 2.0])).item()
        3.0
    """
    x = as_tensor(x)
    return sum(where(isnan(x), 0.0, x) if x.dtype.is_float else x, axis=axis, dtype=dtype, keepdims=keepdims)


@torch_spellings
def nanmean(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Computes the mean over axes of the elements that are not NaN.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        axis: the axes that are averaged over; all by default.
        dtype: the dtype in which the mean is computed and returned.
        keepdims: whether the axes stay, with extent 1.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A floating tensor of x's shape without the axes; NaN where all elements are NaN.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.nanmean(st.tensor([1.0, st.nan, 2.0])).item()
        1.5
    """
    x = as_tensor(x)
    x = cast(x, dtype) if dtype is not None else x
    if not x.dtype.is_float:
        return mean(x, axis=axis, keepdims=keepdims)
    if x.dtype.itemsize == 2:
        return cast(nanmean(cast(x, float32), axis=axis, keepdims=keepdims), x.dtype)
    count = sum(cast(x == x, x.dtype), axis=axis, keepdims=keepdims)
    return nansum(x, axis=axis, keepdims=keepdims) / count


def histogram(
    x: ArrayLike,
    bins: int | ArrayLike = 10,
    range: Sequence[float] | None = None,
    weights: ArrayLike | None = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:
    """Counts the elements in each of a row of bins, as `numpy.histogram` does.

    A bin holds its lower edge and not its upper one, but for the last, which holds both.

    Args:
        x: any shape and dtype; it is flattened.
        bins: a number of equal bins over `range`, or the edges of the bins in ascending order.
        range: the lower and upper end of the bins; by default the extremes of `x`, whose value is then evaluated
            immediately.
        weights: the weight of each element, of x's shape; 1 by default.
        density: whether the counts are divided so that their sum times the widths of the bins is 1.

    Returns:
        The counts (int64; floating with `density`; in their dtype with `weights`), and the edges, one more than bins.

    Raises:
        ArgumentError: `bins` is neither a positive number nor ascending edges, or `range` is not finite.
        ShapeError: `weights` have another shape than `x`.
        DTypeError: `weights` are booleans.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.histogram(st.tensor([0.0, 1.0, 1.5, 4.0]), bins=2)]
        [[3, 1], [0.0, 2.0, 4.0]]
    """
    x = as_tensor(x)
    flat = x.reshape(-1)
    edges = _edges(flat, bins, range)
    low, high = edges[:-1].unsqueeze(1), edges[1:].unsqueeze(1)
    last = (arange(low.shape[0], device=x.device) == low.shape[0] - 1).unsqueeze(1)
    inside = (flat >= low) & ((flat < high) | (last & (flat == high)))
    if weights is None:
        counts = sum(cast(inside, int64), axis=1)
    else:
        weights = as_tensor(weights, x)
        if weights.shape != x.shape:
            raise ShapeError(f"[histogram] expected weights of shape {x.shape}, got {weights.shape}; reshape them")
        if weights.dtype.is_bool:
            raise DTypeError("[histogram] expected weights that are numbers, got bool; cast with .to(st.int64)")
        counts = sum(where(inside, weights.reshape(-1), 0), axis=1)
    if density:
        counts = counts / (edges[1:] - edges[:-1]) / sum(counts)
    return counts, edges


def _edges(x: Tensor, bins: int | ArrayLike, limits: Sequence[float] | None) -> Tensor:
    """The edges of the bins, in the dtype of `x` where that is floating and of at least 32 bits, else in float32."""
    dtype = x.dtype if x.dtype.is_float and x.dtype.itemsize > 2 else default_float
    if isinstance(bins, str):
        raise ArgumentError(
            f"[histogram] expected a number of bins or their edges, got {bins!r}; pass an int or a 1-d tensor"
        )
    if not is_integer(bins) or isinstance(bins, Tensor):
        edges = as_tensor(bins, x)
        known = edges.numpy() if edges.ndim == 1 else np.empty(0)
        if len(known) < 2 or not (known[1:] >= known[:-1]).all():
            raise ArgumentError(
                f"[histogram] expected at least 2 edges in ascending order, got {edges.tolist()}; sort the edges"
            )
        return edges
    bins = integer(bins, "histogram", "bins", 1)
    if limits is None:
        evaluated(x, "histogram without a range")
        limits = (amin(x).item(), amax(x).item()) if x.size else (0.0, 1.0)
    low, high = (float(v) for v in limits)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ArgumentError(f"[histogram] expected a finite range, low before high, got {low} and {high}; pass range=")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return asarray(np.linspace(low, high, int(bins) + 1), dtype=dtype, device=x.device)


def cov(
    x: ArrayLike,
    correction: int = 1,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    rowvar: bool = True,
) -> Tensor:
    """Computes the covariance matrix of variables over observations.

    Args:
        x: shape (variables, observations), or (observations,) for one variable. Integers are converted to float32.
        correction: the number subtracted from the number of observations to give the divisor; 1 is Bessel's correction.
        fweights: the number of times that each observation counts, shape (observations,).
        aweights: the importance of each observation, shape (observations,).
        rowvar: False where x is (observations, variables).

    Returns:
        A floating tensor of shape (variables, variables); 0-d for one variable.

    Raises:
        ShapeError: x has more than 2 axes, or weights have another shape than (observations,).

    Example:
        >>> import spiraltorch as st
        >>> st.cov(st.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = as_tensor(x)
    if x.ndim > 2:
        raise ShapeError(f"[cov] expected at most 2 axes, got shape {x.shape}; reshape it")
    if not x.dtype.is_float:
        x = cast(x, default_float)
    if x.dtype.itemsize == 2:
        return cast(cov(cast(x, float32), correction, fweights, aweights, rowvar), x.dtype)
    rows: Tensor = x.reshape((1, -1)) if x.ndim < 2 else x if rowvar else x.T
    weight = _observation_weights(rows, fweights, aweights)
    if weight is None:
        centered = rows - center(rows, (1,))
        left = sum(centered, axis=1, keepdims=True).detach()  # by the rounded mean
        products = (centered @ centered.T - left @ left.T / max(rows.shape[1], 1)) / max(
            float(rows.shape[1]) - correction, 0.0
        )
    else:
        total = sum(weight)
        lost: Tensor | float = correction
        if aweights is not None:
            lost = sum(weight * cast(as_tensor(aweights, x), x.dtype)) / total * correction
        first = sum(rows * weight, axis=1, keepdims=True) / total
        remainder = sum((rows - first) * weight, axis=1, keepdims=True) / total  # as in `center`
        centered = rows - (first + remainder.detach())
        products = (centered * weight) @ centered.T / maximum(total - lost, 0.0)
    return products.reshape(()) if products.size == 1 else products


def _observation_weights(rows: Tensor, fweights: ArrayLike | None, aweights: ArrayLike | None) -> Tensor | None:
    """The product of both kinds of weights, in the dtype of the rows; None without any."""
    product: Tensor | None = None
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        w = cast(as_tensor(weights, rows), rows.dtype)
        if w.shape != rows.shape[1:]:
            raise ShapeError(f"[cov] expected {name} of shape {rows.shape[1:]}, got {w.shape}; reshape them")
        product = w if product is None else product * w
    return product
