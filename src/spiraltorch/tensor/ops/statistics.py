"""Order statistics, sums that pass over NaN, histograms and covariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...dtypes import default_float, float32, int64
from ...errors import ArgumentError, DTypeError, ShapeError
from ..arguments import axes_of, axis_of, torch_spellings
from ..creation import asarray
from ..dispatch import handle
from ..ranges import arange
from ..tensor import Tensor, evaluated
from .casting import cast
from .elementwise import maximum
from .extrema import Extreme, amax, amin
from .gathering import take, take_along_axis
from .logic import isnan
from .reduction import mean, sum
from .selection import where
from .sorting import argsort, sort
from .transposition import moveaxis

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def median(x: Any, axis: Any = None, keepdims: bool = False, dim: Any = None, keepdim: bool = False) -> Any:
    """The middle element in order, over axes; NaN where one is. Raises `ArgumentError` where there is none.

    NumPy's meaning: of an even number of elements it is the mean of the middle two, in floating point. With PyTorch's
    argument `dim` it is PyTorch's: a pair of the lower of the middle two, in the dtype of `x`, and its place on that axis.

    >>> import spiraltorch as st
    >>> median(st.tensor([3.0, 1.0, 2.0, 8.0])).item()
    2.5
    >>> [t.item() for t in median(st.tensor([3.0, 1.0, 2.0, 8.0]), dim=0)]
    [2.0, 2]
    """
    x = handle(x)
    if dim is None:
        return quantile(x, 0.5, axis=axis, keepdims=keepdims or keepdim, method="midpoint")
    if axis is not None:
        raise ArgumentError("[median] expected one of dim and axis, got both")
    d = axis_of(dim, x.ndim, "median")
    line = x if x.ndim else x.reshape(1)
    n = line.shape[d]
    if n == 0:
        raise ArgumentError(f"[median] expected at least one element along axis {d}, got shape {x.shape}")
    order = argsort(line, axis=d)
    place = take(order, [(n - 1) // 2], axis=d)
    if line.dtype.is_float:  # NaN is the last in order
        last = take(order, [n - 1], axis=d)
        place = where(isnan(take_along_axis(line, last, axis=d)), last, place)
    values = take_along_axis(line, place, axis=d)
    if x.ndim == 0 or not (keepdims or keepdim):
        return Extreme(values.squeeze(d), place.squeeze(d))
    return Extreme(values, place)


@torch_spellings
def quantile(x: Any, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Tensor:
    """The values below which the fractions `q` (0 to 1) of the elements lie, over axes; NaN where an element is.

    `q` is a number, or a sequence of the shape that is put before the result's. Between two elements `method` says
    what to take: linear, lower, higher, midpoint or nearest. Integers are taken as float32. Raises `ArgumentError`.

    >>> import spiraltorch as st
    >>> quantile(st.tensor([1.0, 2.0, 4.0]), [0.5, 0.75]).tolist()
    [2.0, 3.0]
    """
    x = handle(x)
    fractions = np.asarray(q.numpy() if isinstance(q, Tensor) else q, np.float64)
    if method not in _METHODS:
        raise ArgumentError(f"[quantile] expected method of {', '.join(_METHODS)}, got {method!r}")
    if not ((fractions >= 0) & (fractions <= 1)).all():
        raise ArgumentError(f"[quantile] expected fractions from 0 to 1, got {fractions.tolist()}")
    if not x.dtype.is_float:
        x = cast(x, default_float)
    if x.dtype.itemsize == 2:
        return cast(quantile(cast(x, float32), fractions, axis, keepdims, method), x.dtype)
    axes = axes_of(axis, x.ndim, "quantile")
    line = moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim)))
    n = math.prod([x.shape[a] for a in axes])
    if n == 0:
        raise ArgumentError(f"[quantile] expected at least one element over axes {axes}, got shape {x.shape}")
    rest = line.shape[: x.ndim - len(axes)]
    line = sort(line.reshape((*rest, n)), axis=-1)
    place = fractions.reshape(-1) * (n - 1)
    below, above = np.floor(place), np.ceil(place)
    if method in ("lower", "higher", "nearest"):
        below = above = {"lower": below, "higher": above, "nearest": np.round(place)}[method]
    a, b = (take(line, asarray(i.astype(np.int64), device=x.device), axis=-1) for i in (below, above))
    if method == "midpoint":
        made = where(a == b, a, a * 0.5 + b * 0.5)
    else:
        part = asarray(place - below, dtype=x.dtype, device=x.device)
        made = where((a == b) | (part == 0), a, a + (b - a) * part)
    greatest = take(line, [n - 1], axis=-1)
    made = moveaxis(where(isnan(greatest), greatest, made), -1, 0)
    kept = tuple([1 if d in axes else e for d, e in enumerate(x.shape)]) if keepdims else rest
    return made.reshape((*fractions.shape, *kept))  # type: ignore[no-any-return]


@torch_spellings
def nansum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """`sum` that takes NaN for 0.

    >>> import spiraltorch as st
    >>> nansum(st.tensor([1.0, st.nan, 2.0])).item()
    3.0
    """
    x = handle(x)
    return sum(where(isnan(x), 0.0, x) if x.dtype.is_float else x, axis=axis, dtype=dtype, keepdims=keepdims)


@torch_spellings
def nanmean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """`mean` of the elements that are not NaN; NaN where there are none.

    >>> import spiraltorch as st
    >>> nanmean(st.tensor([1.0, st.nan, 2.0])).item()
    1.5
    """
    x = handle(x)
    x = cast(x, dtype) if dtype is not None else x
    if not x.dtype.is_float:
        return mean(x, axis=axis, keepdims=keepdims)
    if x.dtype.itemsize == 2:
        return cast(nanmean(cast(x, float32), axis=axis, keepdims=keepdims), x.dtype)
    count = sum(cast(x == x, x.dtype), axis=axis, keepdims=keepdims)
    return nansum(x, axis=axis, keepdims=keepdims) / count


def histogram(
    x: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool = False
) -> tuple[Tensor, Tensor]:  # NumPy's names
    """NumPy's histogram: how many elements of `x` (or how much of their `weights`) lie in each bin, and the bins' edges.

    `bins` is a number of equal bins over `range` (low, high), or their edges in order. A bin holds its lower edge and
    not its upper one, but for the last, which holds both. Without a range the extremes of `x` are needed at once. Counts
    are int64; with `density` the sum of counts times widths is 1. Raises `ArgumentError`, `ShapeError`, `DTypeError`.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in histogram(st.tensor([0.0, 1.0, 1.5, 4.0]), bins=2)]
    [[3, 1], [0.0, 2.0, 4.0]]
    """
    x = handle(x)
    flat = x.reshape(-1)
    edges = _edges(flat, bins, range)
    low, high = edges[:-1].unsqueeze(1), edges[1:].unsqueeze(1)
    last = (arange(low.shape[0], device=x.device) == low.shape[0] - 1).unsqueeze(1)
    inside = (flat >= low) & ((flat < high) | (last & (flat == high)))
    if weights is None:
        counts = sum(cast(inside, int64), axis=1)
    else:
        weights = handle(weights, x)
        if weights.shape != x.shape:
            raise ShapeError(f"[histogram] expected weights of shape {x.shape}, got {weights.shape}")
        if weights.dtype.is_bool:
            raise DTypeError("[histogram] expected weights that are numbers, got bool; cast with .to(st.int64)")
        counts = sum(where(inside, weights.reshape(-1), 0), axis=1)
    if density:
        counts = counts / (edges[1:] - edges[:-1]) / sum(counts)
    return counts, edges


def _edges(x: Tensor, bins: Any, limits: Any) -> Tensor:
    """The edges of the bins, in the dtype of `x` where that is floating and of at least 32 bits, else in float32."""
    dtype = x.dtype if x.dtype.is_float and x.dtype.itemsize > 2 else default_float
    if isinstance(bins, str):
        raise ArgumentError(f"[histogram] expected a number of bins or their edges, got {bins!r}")
    if not isinstance(bins, (int, np.integer)):
        edges = handle(bins, x)
        known = edges.numpy() if edges.ndim == 1 else np.empty(0)
        if len(known) < 2 or not (known[1:] >= known[:-1]).all():
            raise ArgumentError(f"[histogram] expected at least 2 edges in ascending order, got {edges.tolist()}")
        return edges
    if bins < 1:
        raise ArgumentError(f"[histogram] expected at least 1 bin, got {bins}")
    if limits is None:
        evaluated(x, "histogram without a range")
        limits = (amin(x).item(), amax(x).item()) if x.size else (0.0, 1.0)
    low, high = (float(v) for v in limits)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ArgumentError(f"[histogram] expected a finite range, low before high, got {low} and {high}; pass range=")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return asarray(np.linspace(low, high, int(bins) + 1), dtype=dtype, device=x.device)


def cov(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None, rowvar: bool = True) -> Tensor:
    """The covariances of variables, which are the rows of `x` (its columns unless `rowvar`), over observations.

    The divisor is their number less `correction`. `fweights` are how often each observation counts, `aweights` its
    importance, as in NumPy and PyTorch. One variable gives a 0-d tensor. Raises `ShapeError`.

    >>> import spiraltorch as st
    >>> cov(st.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = handle(x)
    if x.ndim > 2:
        raise ShapeError(f"[cov] expected at most 2 axes, got shape {x.shape}")
    if not x.dtype.is_float:
        x = cast(x, default_float)
    if x.dtype.itemsize == 2:
        return cast(cov(cast(x, float32), correction, fweights, aweights, rowvar), x.dtype)
    rows = x.reshape((1, -1)) if x.ndim < 2 else x if rowvar else x.T
    weight: Any = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        w = cast(handle(given, x), x.dtype)
        if w.shape != rows.shape[1:]:
            raise ShapeError(f"[cov] expected {name} of shape {rows.shape[1:]}, got {w.shape}")
        weight = w if weight is None else weight * w
    if weight is None:
        total: Any = float(rows.shape[1])
        divisor: Any = max(total - correction, 0.0)
        gap = rows - mean(rows, axis=1, keepdims=True)
        made = gap @ gap.T
    else:
        total = sum(weight)
        used = correction if aweights is None else sum(weight * cast(handle(aweights, x), x.dtype)) / total * correction
        divisor = maximum(total - used, 0.0)
        gap = rows - sum(rows * weight, axis=1, keepdims=True) / total
        made = (gap * weight) @ gap.T
    made = made / divisor
    return made.reshape(()) if made.size == 1 else made  # type: ignore[no-any-return]
