"""Scans and sorting: what keeps the axis that it goes along."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...dtypes import float32, int32, int64, uint8
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...graph.node import Node
from ..arguments import axis_of, torch_spellings
from ..dispatch import P, handle, handles, nary, see
from ..tensor import Tensor
from . import elementwise as ew
from .reduction import Extreme, summed
from .shape import concat
from .slicing import narrow

LONG = 1024  # elements from which on `topk` looks for the few before it sorts


def _scan(name: str, x: Any, axis: Any, dtype: Any = None, widen: bool = True) -> Tensor:
    x = summed(x, dtype) if widen else handle(x)
    if axis is None:
        if x.ndim > 1:
            x = x.reshape(-1)
        axis = 0
    number = axis_of(axis, x.ndim, name)
    if x.ndim == 0:
        return x  # type: ignore[no-any-return]
    return nary(P[name], (see(x),), (number, False))  # type: ignore[no-any-return]


@torch_spellings
def cumsum(x: Any, axis: Any = None, dtype: Any = None) -> Tensor:
    """Inclusive sums along an axis.

    >>> import spiraltorch as st
    >>> cumsum(st.tensor([1, 2, 3]), axis=0).tolist()
    [1, 3, 6]
    """
    return _scan("cumsum", x, axis, dtype)


@torch_spellings
def cumulative_sum(x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """The array API's cumulative sum; `include_initial` puts a zero in front.

    >>> import spiraltorch as st
    >>> cumulative_sum(st.tensor([1, 2, 3]), include_initial=True).tolist()
    [0, 1, 3, 6]
    """
    made = _scan("cumsum", x, axis, dtype)
    return _with_first(made, axis, 0) if include_initial else made


@torch_spellings
def cumulative_prod(x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """The array API's cumulative product; `include_initial` puts a one in front.

    >>> import spiraltorch as st
    >>> cumulative_prod(st.tensor([1, 2, 3])).tolist()
    [1, 2, 6]
    """
    made = _scan("cumprod", x, axis, dtype)
    return _with_first(made, axis, 1) if include_initial else made


def _with_first(x: Tensor, axis: Any, value: int) -> Tensor:
    number = axis_of(0 if axis is None else axis, x.ndim, "cumulative")
    pads = tuple([(1 if d == number else 0, 0, 0) for d in range(x.ndim)])
    return Tensor(build.pad(see(x), pads, value))


@torch_spellings
def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, `n` times; `prepend` and `append` are joined to `x` first.

    >>> diff(handle([1, 4, 9])).tolist()
    [3, 5]
    """
    parts = handles(*[p for p in (prepend, x, append) if p is not None])
    made = concat(parts, axis=axis) if len(parts) > 1 else parts[0]
    d = axis_of(axis, made.ndim, "diff")
    if n < 0 or made.ndim == 0:
        raise ArgumentError(f"[diff] expected n >= 0 and at least one axis, got n={n} and shape {made.shape}")
    for _ in range(n):
        extent = made.shape[d] - 1
        if extent < 0:
            break
        later, earlier = narrow(made, d, 1, extent), narrow(made, d, 0, extent)
        made = later != earlier if made.dtype.is_bool else later - earlier
    return made


@torch_spellings
def cumprod(x: Any, axis: Any = None, dtype: Any = None) -> Tensor:
    """Inclusive products along an axis.

    >>> import spiraltorch as st
    >>> cumprod(st.tensor([1, 2, 3]), axis=0).tolist()
    [1, 2, 6]
    """
    return _scan("cumprod", x, axis, dtype)


@torch_spellings
def cummax(x: Any, axis: Any = 0) -> Tensor:
    """Inclusive maxima along an axis.

    >>> import spiraltorch as st
    >>> cummax(st.tensor([1, 3, 2])).tolist()
    [1, 3, 3]
    """
    return _extremes("cummax", x, axis)


@torch_spellings
def cummin(x: Any, axis: Any = 0) -> Tensor:
    """Inclusive minima along an axis.

    >>> import spiraltorch as st
    >>> cummin(st.tensor([3, 1, 2])).tolist()
    [3, 1, 1]
    """
    return _extremes("cummin", x, axis)


def _extremes(name: str, x: Any, axis: Any) -> Tensor:
    x = handle(x)
    if x.dtype.is_bool:
        return ew.cast(_scan(name, ew.cast(x, uint8), axis, widen=False), x.dtype)
    return _scan(name, x, axis, widen=False)


@torch_spellings
def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The permutation that sorts along an axis, stable; NaN counts as the greatest.

    >>> import spiraltorch as st
    >>> argsort(st.tensor([3, 1, 2])).tolist()
    [1, 2, 0]
    """
    x = handle(x)
    number = axis_of(axis, x.ndim, "argsort")
    if x.ndim == 0:
        return ew.cast(x, int64) * 0
    return nary(P["argsort"], (see(x),), (number, bool(descending)))  # type: ignore[no-any-return]


@torch_spellings
def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis; NaN counts as the greatest.

    Equal elements cannot be told apart, but for zeros of both signs: which comes first is not said. `argsort` keeps
    their order, so `take_along_axis(x, argsort(x))` does.

    >>> import spiraltorch as st
    >>> sort(st.tensor([3, 1, 2]), descending=True).tolist()
    [3, 2, 1]
    """
    from .indexing import take_along_axis

    x = handle(x)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis) if x.ndim else x


@torch_spellings
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    """The `k` greatest (or least) elements along an axis, in order, and their places.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in topk(st.tensor([3, 1, 2]), 2)]
    [[3, 2], [0, 2]]
    """
    x = handle(x)
    if x.ndim == 0:
        raise ShapeError("[topk] expected at least one axis, got a 0-d tensor; use reshape(1)")
    number = axis_of(axis, x.ndim, "topk")
    if not isinstance(k, int) or not 0 <= k <= x.shape[number]:
        raise ArgumentError(f"[topk] expected k from 0 to {x.shape[number]}, got {k}")
    n = x.shape[number]
    each = 1 << max(0, round(math.log2(n / k) / 2)) if 0 < k <= n else 1
    if n >= LONG and -(-n // each) + k * each <= n // 4:
        last = [d for d in range(x.ndim) if d != number] + [number]
        found = _places(build.stop_gradient(build.permute(see(x), tuple(last))), k, each, bool(largest))
        first = Tensor(build.permute(found, tuple([last.index(d) for d in range(x.ndim)])))
    else:
        first = Tensor(_first(see(argsort(x, axis=number, descending=largest)), k, number))
    return Extreme(Tensor(build.take_along(see(x), see(first), number)), first)


def _first(x: Node, k: int, axis: int) -> Node:
    stops = tuple([k if d == axis else e for d, e in enumerate(x.aval.shape)])
    return build.slice(x, (0,) * len(stops), stops, (1,) * len(stops))


def _places(x: Node, k: int, each: int, largest: bool) -> Node:
    """Where the `k` greatest of the last axis are, in order, without sorting all of it.

    They lie in those `k` groups of `each` neighbours whose own greatest elements are the greatest: the element of any
    other group has `k` before it.
    """
    keys, lead = _ordered(x), x.aval.shape[:-1]
    axis, n, dtype, device = len(lead), x.aval.shape[-1], keys.aval.dtype, x.aval.device
    groups = -(-n // each)
    info = np.iinfo(dtype.numpy)
    worst = int(info.min if largest else info.max)
    keys = build.pad(keys, ((0, 0, 0),) * axis + ((0, groups * each - n, 0),), worst)
    best = (build.reduce_max if largest else build.reduce_min)(build.reshape(keys, (*lead, groups, each)), (axis + 1,))
    chosen = _first(build.argsort(best, axis, largest), k, axis)
    chosen = build.take_along(chosen, build.argsort(chosen, axis), axis)  # in order, so that equals stay in order
    member = build.iota((*lead, k, each), axis + 1, int64, device)
    begin = build.mul(build.reshape(chosen, (*lead, k, 1)), build.const(each, int64, device))
    there = build.reshape(build.add(begin, member), (*lead, k * each))
    order = _first(build.argsort(build.take_along(keys, there, axis), axis, largest), k, axis)
    return build.take_along(there, order, axis)


def _ordered(x: Node) -> Node:
    """Integers in the order of the elements: NaN the greatest, zeros of both signs equal."""
    dtype, device = x.aval.dtype, x.aval.device
    if dtype.is_bool:
        return build.cast(x, uint8)
    if not dtype.is_float:
        return x
    wide = build.cast(x, float32) if dtype.itemsize == 2 else x
    whole = int64 if wide.aval.dtype.itemsize == 8 else int32
    zero, greatest = build.const(0, wide.aval.dtype, device), build.const(np.iinfo(whole.numpy).max, whole, device)
    bits = build.bitcast(build.where(build.eq(wide, zero), zero, wide), whole)
    keys = build.where(build.lt(bits, build.const(0, whole, device)), build.bitxor(bits, greatest), bits)
    return build.where(build.isnan(wide), greatest, keys)
