"""Sorting, the greatest elements, and binary search."""

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
from .casting import cast
from .extrema import Extreme
from .gathering import take_along_axis
from .logic import isnan

LONG = 1024  # elements from which on `topk` looks for the few before it sorts


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
        return cast(x, int64) * 0
    return nary(P["argsort"], (see(x),), (number, bool(descending)))


@torch_spellings
def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis; NaN counts as the greatest.

    Equal elements cannot be told apart, but for zeros of both signs: which comes first is not said. `argsort` keeps
    their order, so `take_along_axis(x, argsort(x))` does.

    >>> import spiraltorch as st
    >>> sort(st.tensor([3, 1, 2]), descending=True).tolist()
    [3, 2, 1]
    """

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


def searchsorted(x1: Any, x2: Any, side: str = "left") -> Tensor:
    """Where elements of `x2` would be inserted in the sorted 1-d `x1`, as int64; NaN counts as the greatest.

    >>> import spiraltorch as st
    >>> searchsorted(st.tensor([1, 3, 5]), st.tensor([3, 9])).tolist()
    [1, 3]
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"[searchsorted] expected side 'left' or 'right', got {side!r}")
    a, v = handles(x1, x2)
    if a.ndim != 1:
        raise ShapeError(f"[searchsorted] expected a sorted tensor of one axis, got shape {a.shape}; use ravel()")
    wide = v.reshape((*v.shape, 1))
    before = (a < wide) if side == "left" else (a <= wide)
    if wide.dtype.is_float:
        before = before | (isnan(wide) if side == "right" else isnan(wide) & (a == a))
    from .reduction import sum as total

    return total(cast(before, int64), axis=-1)
