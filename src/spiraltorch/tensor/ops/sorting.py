"""Sorting, the greatest elements, and binary search."""

from __future__ import annotations

import math

import numpy as np

from ...dtypes import float32, int32, int64, uint8
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...graph.node import Node
from ...typing import ArrayLike
from ..arguments import axis_of, integer, torch_spellings
from ..dispatch import P, as_tensor, as_tensors, nary, node_of, unshared
from ..tensor import Tensor
from .casting import cast
from .extrema import Extreme
from .gathering import take_along_axis
from .logic import isnan
from .reduction import sum

SELECT_FROM = 1024  # elements from which on `topk` selects candidates before it sorts


@torch_spellings
def argsort(x: ArrayLike, axis: int = -1, descending: bool = False, stable: bool = True, *, dim: int = -1) -> Tensor:
    """Finds the permutation that sorts along an axis.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        axis: the axis.
        descending: whether the greatest comes first.
        stable: accepted for compatibility with the array API: equal elements always keep their order.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        An int64 tensor of x's shape.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.argsort(st.tensor([3, 1, 2])).tolist()
        [1, 2, 0]
    """
    x = as_tensor(x)
    number = axis_of(axis, x.ndim, "argsort")
    if x.ndim == 0:
        return cast(x, int64) * 0
    return nary(P["argsort"], (node_of(x),), (number, bool(descending)))


@torch_spellings
def sort(x: ArrayLike, axis: int = -1, descending: bool = False, stable: bool = True, *, dim: int = -1) -> Tensor:
    """Sorts elements along an axis.

    Zeros of both signs are equal and may come in either order; `take_along_axis(x, argsort(x))` keeps theirs.

    Args:
        x: any shape and dtype. NaN counts as the greatest.
        axis: the axis.
        descending: whether the greatest comes first.
        stable: accepted for compatibility with the array API: other equal elements cannot be told apart.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.sort(st.tensor([3, 1, 2]), descending=True).tolist()
        [3, 2, 1]
    """
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis) if x.ndim else unshared(x)


@torch_spellings
def topk(x: ArrayLike, k: int, axis: int = -1, largest: bool = True, *, dim: int = -1) -> Extreme:
    """Finds the `k` greatest or least elements along an axis, in order, and their positions.

    Args:
        x: at least one axis, any dtype. NaN counts as the greatest.
        k: the number of elements, from 0 to the extent of the axis.
        axis: the axis.
        largest: whether the greatest are wanted, in descending order, or the least, in ascending order.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A pair (values, indices) of x's shape with extent `k` along the axis; indices are int64. Of equal elements the
        first comes first.

    Raises:
        ShapeError: x is 0-d.
        ArgumentError: `k` lies outside its range.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.topk(st.tensor([3, 1, 2]), 2)]
        [[3, 2], [0, 2]]
    """
    x = as_tensor(x)
    number = axis_of(axis, x.ndim, "topk")
    k = integer(k, "topk", "k")
    if x.ndim == 0 and k in (0, 1):
        row = topk(x.reshape(1), k, largest=largest)
        return row if k == 0 else Extreme(row.values.reshape(()), row.indices.reshape(()))
    if not 0 <= k <= (x.shape[number] if x.ndim else 1):
        raise ArgumentError(f"[topk] expected k from 0 to {x.shape[number] if x.ndim else 1}, got {k}; change k")
    n = x.shape[number]
    group = 1 << max(0, round(math.log2(n / k) / 2)) if 0 < k <= n else 1
    if n >= SELECT_FROM and -(-n // group) + k * group <= n // 4:
        last = [d for d in range(x.ndim) if d != number] + [number]
        selected = _select(build.stop_gradient(build.permute(node_of(x), tuple(last))), k, group, bool(largest))
        indices = Tensor(build.permute(selected, tuple([last.index(d) for d in range(x.ndim)])))
    else:
        indices = Tensor(_first(node_of(argsort(x, axis=number, descending=largest)), k, number))
    return Extreme(Tensor(build.take_along(node_of(x), node_of(indices), number)), indices)


def _first(x: Node, k: int, axis: int) -> Node:
    """The first `k` elements along an axis."""
    stops = tuple([k if d == axis else e for d, e in enumerate(x.aval.shape)])
    return build.slice(x, (0,) * len(stops), stops, (1,) * len(stops))


def _select(x: Node, k: int, group: int, largest: bool) -> Node:
    """Positions of the `k` greatest elements of the last axis, in order, without sorting all of it.

    They lie in those `k` groups of `group` neighbours whose own greatest elements are the greatest: any element of
    another group has `k` before it.
    """
    keys, lead = _sort_keys(x), x.aval.shape[:-1]
    axis, n, dtype, device = len(lead), x.aval.shape[-1], keys.aval.dtype, x.aval.device
    groups = -(-n // group)
    info = np.iinfo(dtype.numpy)
    worst = int(info.min if largest else info.max)
    keys = build.pad(keys, ((0, 0, 0),) * axis + ((0, groups * group - n, 0),), worst)
    best = (build.reduce_max if largest else build.reduce_min)(build.reshape(keys, (*lead, groups, group)), (axis + 1,))
    chosen = _first(build.argsort(best, axis, largest), k, axis)
    chosen = build.take_along(chosen, build.argsort(chosen, axis), axis)  # in order, so that equals stay in order
    member = build.iota((*lead, k, group), axis + 1, int64, device)
    start = build.mul(build.reshape(chosen, (*lead, k, 1)), build.const(group, int64, device))
    candidates = build.reshape(build.add(start, member), (*lead, k * group))
    order = _first(build.argsort(build.take_along(keys, candidates, axis), axis, largest), k, axis)
    return build.take_along(candidates, order, axis)


def _sort_keys(x: Node) -> Node:
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


def searchsorted(x1: ArrayLike, x2: ArrayLike, side: str | None = None, *, right: bool | None = None) -> Tensor:
    """Finds where elements would be inserted in a sorted tensor to keep it sorted.

    Args:
        x1: the sorted tensor, 1-d.
        x2: the elements, any shape. NaN counts as the greatest.
        side: "left", the default, for the position before equal elements, "right" for the position after them.
        right: True for "right" and False for "left", as in PyTorch.

    Returns:
        An int64 tensor of x2's shape, of positions from 0 to the extent of `x1`.

    Raises:
        ArgumentError: `side` is neither "left" nor "right", or `right` says the other.
        ShapeError: `x1` is not 1-d.

    Example:
        >>> import spiraltorch as st
        >>> st.searchsorted(st.tensor([1, 3, 5]), st.tensor([3, 9])).tolist()
        [1, 3]
    """
    if right is not None:
        if side not in (None, "right" if right else "left"):
            raise ArgumentError(f"[searchsorted] expected one of side and right, got {side!r} and {right}; pass one")
        side = "right" if right else "left"
    side = "left" if side is None else side
    if side not in ("left", "right"):
        raise ArgumentError(f"[searchsorted] expected side 'left' or 'right', got {side!r}; choose one")
    a, v = as_tensors(x1, x2)
    if a.ndim != 1:
        raise ShapeError(f"[searchsorted] expected a sorted tensor of one axis, got shape {a.shape}; use ravel()")
    wide = v.reshape((*v.shape, 1))
    before = (a < wide) if side == "left" else (a <= wide)
    if wide.dtype.is_float:
        before = before | (isnan(wide) if side == "right" else isnan(wide) & (a == a))
    return sum(cast(before, int64), axis=-1)
