"""Gather and scatter along one axis, and copies between devices.

Contract
- `take` and `take_along` expect indices in [0, n); others are clamped, so that no memory is read out of bounds.
- `scatter` and `scatter_along` drop updates whose index lies outside [0, n). Among equal indices, `set` keeps the last.
- Derivatives of any order are exact, except those of `mul` where factors are zero, which are exact to the first order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, DTypeError, ShapeError
from .. import build as b
from ..node import Aval, Node, Params, apply, aval_of
from ..primitive import Jvp, Primitive, Vjp

MODES = ("set", "add", "max", "min", "mul")


def _check(name: str, x: Aval, idx: Aval, axis: int) -> None:
    """Raises a typed error for a wrong axis, indices that are not integers, or different devices."""
    if not 0 <= axis < x.ndim:
        raise ArgumentError(f"[{name}] expected an axis in [0, {x.ndim}), got {axis}")
    if not idx.dtype.is_integer:
        raise DTypeError(f"[{name}] expected integer indices, got {idx.dtype.name}; cast with .to(st.int64)")


def _take_shape(x: Aval, idx: Aval, axis: int) -> tuple[int, ...]:
    """The shape of `take`."""
    return x.shape[:axis] + idx.shape + x.shape[axis + 1 :]


def _take_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `take`."""
    x, idx = avals
    _check("take", x, idx, params[0])
    if x.shape[params[0]] == 0 and idx.size:
        raise ShapeError(f"[take] expected a non-empty axis {params[0]}, got shape {x.shape}; choose another axis")
    return aval_of(_take_shape(x, idx, params[0]), x.dtype, x.device)


def _clip(idx: Any, n: int) -> Any:
    """Indices clamped to [0, n)."""
    return np.clip(idx.astype(np.int64), 0, max(n - 1, 0))


def _gather_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The tangent of a gather: the same gather of the tangent."""
    prim = out.spec.prim
    assert prim is not None
    return None if ts[0] is None else apply(prim, (ts[0], args[1]), out.spec.params)


take = Primitive(
    "take", "index", _take_infer, lambda x, idx, params: np.take(x, _clip(idx, x.shape[params[0]]), params[0]),
    lambda g, args, out: (b.scatter(b.zeros(args[0].aval), args[1], g, out.spec.params[0], "add"), None),
    _gather_jvp,
)  # fmt: skip


def _along_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `take_along`."""
    x, idx = avals
    _check("take_along", x, idx, params[0])
    axis = params[0]
    if x.ndim != idx.ndim or any(d != axis and p != q for d, (p, q) in enumerate(zip(x.shape, idx.shape, strict=True))):
        raise ShapeError(f"[take_along] expected shapes equal except along axis {axis}, got {x.shape} and {idx.shape}")
    if x.shape[axis] == 0 and idx.size:
        raise ShapeError(f"[take_along] expected a non-empty axis {axis}, got shape {x.shape}; choose another axis")
    return aval_of(idx.shape, x.dtype, x.device)


take_along = Primitive(
    "take_along", "index", _along_infer,
    lambda x, idx, params: np.take_along_axis(x, _clip(idx, x.shape[params[0]]), params[0]),
    lambda g, args, out: (b.scatter_along(b.zeros(args[0].aval), args[1], g, out.spec.params[0], "add"), None),
    _gather_jvp,
)  # fmt: skip


def _scatter_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `scatter`."""
    base, idx, upd = avals
    axis, mode = params
    _check("scatter", base, idx, axis)
    if mode not in MODES:
        raise ArgumentError(f"[scatter] expected a mode of {MODES}, got {mode!r}")
    if upd.dtype is not base.dtype:
        raise DTypeError(f"[scatter] expected updates of dtype {base.dtype.name}, got {upd.dtype.name}; cast them")
    if upd.shape != _take_shape(base, idx, axis):
        raise ShapeError(f"[scatter] expected updates of shape {_take_shape(base, idx, axis)}, got {upd.shape}")
    return base


def _scatter_along_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `scatter_along`."""
    base, idx, upd = avals
    axis, mode = params
    _check("scatter_along", base, idx, axis)
    if mode not in MODES:
        raise ArgumentError(f"[scatter_along] expected a mode of {MODES}, got {mode!r}")
    if upd.dtype is not base.dtype:
        raise DTypeError(f"[scatter_along] expected updates of dtype {base.dtype.name}, got {upd.dtype.name}")
    fits = idx.shape == upd.shape and base.ndim == idx.ndim
    if not fits or any(d != axis and p != q for d, (p, q) in enumerate(zip(base.shape, idx.shape, strict=True))):
        raise ShapeError(f"[scatter_along] expected fitting shapes, got {base.shape}, {idx.shape} and {upd.shape}")
    return base


_AT = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def _combine(base: Any, where: tuple[Any, ...], upd: Any, mode: str) -> Any:
    """A copy of `base` with updates combined at positions, in their order."""
    out = np.array(base)
    with np.errstate(all="ignore"):
        if mode == "set":
            out[where] = upd
        elif out.dtype.itemsize == 2 and out.dtype.kind in "fV":
            wide = out.astype(np.float32)
            _AT[mode].at(wide, where, upd.astype(np.float32))
            out = wide.astype(out.dtype)
        else:
            _AT[mode].at(out, where, upd)
    return out


def _scatter(base: Any, idx: Any, upd: Any, params: Params) -> Any:
    """`scatter` in NumPy."""
    axis, mode = params
    grids = np.indices(upd.shape, sparse=False)
    rank = idx.ndim
    rows = np.broadcast_to(
        idx.astype(np.int64).reshape((1,) * axis + idx.shape + (1,) * (upd.ndim - axis - rank)), upd.shape
    )
    keep = (rows >= 0) & (rows < base.shape[axis])
    where = (*grids[:axis], rows, *grids[axis + rank :])
    return _combine(base, tuple([w[keep] for w in where]), upd[keep], mode)


def _scatter_along(base: Any, idx: Any, upd: Any, params: Params) -> Any:
    """`scatter_along` in NumPy."""
    axis, mode = params
    grids = list(np.indices(upd.shape, sparse=False))
    grids[axis] = idx.astype(np.int64)
    keep = (grids[axis] >= 0) & (grids[axis] < base.shape[axis])
    return _combine(base, tuple([w[keep] for w in grids]), upd[keep], mode)


def _gather(x: Node, idx: Node, axis: int, along: bool) -> Node:
    """`take_along` or `take`: the inverse of `_spread` with the same `along`."""
    return b.take_along(x, idx, axis) if along else b.take(x, idx, axis)


def _spread(base: Node, idx: Node, upd: Node, axis: int, mode: str, along: bool) -> Node:
    """`scatter_along` or `scatter`."""
    return b.scatter_along(base, idx, upd, axis, mode) if along else b.scatter(base, idx, upd, axis, mode)


def _kept_updates(base: Node, idx: Node, upd: Node, axis: int, along: bool) -> Node:
    """A mask of the updates that `set` keeps: the last of those with equal indices."""
    number = b.reshape(b.iota((upd.aval.size,), 0, int64, upd.aval.device), upd.aval.shape)
    empty = b.full(base.aval.shape, -1, int64, base.aval.device)
    return b.eq(_gather(_spread(empty, idx, number, axis, "set", along), idx, axis, along), number)


def _extremum_partials(args: tuple[Node, ...], out: Node, along: bool) -> tuple[Node, Node]:
    """The derivatives of `max` and `min` with respect to base and updates, divided evenly among equal extrema."""
    base, idx, upd = args
    axis = out.spec.params[0]
    from_base = b.cast(b.eq(base, out), base.aval.dtype)
    from_upd = b.cast(b.eq(upd, _gather(out, idx, axis, along)), base.aval.dtype)
    count = _spread(from_base, idx, from_upd, axis, "add", along)
    return b.div(from_base, count), b.div(from_upd, _gather(count, idx, axis, along))


def _product_partials(args: tuple[Node, ...], out: Node, along: bool) -> tuple[Node, Node]:
    """The derivatives of `mul` with respect to the base and the updates: the products of the other factors.

    Factors that are zero are counted and replaced by one, so that nothing is divided by zero.
    """
    base, idx, upd = args
    axis = out.spec.params[0]
    zero, one = _numbers(base)
    base_is_zero, upd_is_zero = b.eq(base, zero), b.eq(upd, zero)
    safe_base, safe_upd = b.where(base_is_zero, one, base), b.where(upd_is_zero, one, upd)
    product = _spread(safe_base, idx, safe_upd, axis, "mul", along)
    base_zeros, upd_zeros = b.cast(base_is_zero, base.aval.dtype), b.cast(upd_is_zero, base.aval.dtype)
    zeros = _spread(base_zeros, idx, upd_zeros, axis, "add", along)
    to_base = b.where(b.eq(zeros, base_zeros), b.div(product, safe_base), zero)
    others_nonzero = b.eq(_gather(zeros, idx, axis, along), upd_zeros)
    return to_base, b.where(others_nonzero, b.div(_gather(product, idx, axis, along), safe_upd), zero)


def _scatter_partials(args: tuple[Node, ...], out: Node, along: bool) -> tuple[Node, Node]:
    """The derivatives of a scatter by `max`, `min` or `mul` with respect to the base and the updates."""
    partials = _product_partials if out.spec.params[1] == "mul" else _extremum_partials
    return partials(args, out, along)


def _scatter_rules(along: bool) -> tuple[Vjp, Jvp]:
    """The vjp and the jvp of `scatter_along` or `scatter`."""

    def vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
        base, idx, upd = args
        axis, mode = out.spec.params
        if base.aval.shape[axis] == 0 or upd.aval.size == 0:
            return g, None, b.zeros(upd.aval)
        if mode in ("add", "set"):
            kept = g if mode == "add" else _spread(g, idx, b.zeros(upd.aval), axis, "set", along)
            taken = _within(_gather(g, idx, axis, along), idx, base, axis, along)
            if mode == "set" and upd.rg:
                taken = b.where(_kept_updates(base, idx, upd, axis, along), taken, _numbers(g)[0])
            return kept, None, taken
        to_base, to_upd = _scatter_partials(args, out, along)
        return b.mul(g, to_base), None, _within(b.mul(_gather(g, idx, axis, along), to_upd), idx, base, axis, along)

    def jvp(tangents: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
        base, idx, upd = args
        axis, mode = out.spec.params
        if tangents[0] is None and tangents[2] is None:
            return None
        base_tangent = b.zeros(base.aval) if tangents[0] is None else tangents[0]
        upd_tangent = b.zeros(upd.aval) if tangents[2] is None else tangents[2]
        if mode in ("add", "set"):
            return _spread(base_tangent, idx, upd_tangent, axis, mode, along)
        if base.aval.shape[axis] == 0 or upd.aval.size == 0:
            return base_tangent
        to_base, to_upd = _scatter_partials(args, out, along)
        return _spread(b.mul(base_tangent, to_base), idx, b.mul(upd_tangent, to_upd), axis, "add", along)

    return vjp, jvp


def _numbers(x: Node) -> tuple[Node, Node]:
    """0 and 1 of the dtype of `x`, on its device."""
    dtype, device = x.aval.dtype, x.aval.device
    return b.const(0, dtype, device), b.const(1, dtype, device)


def _within(taken: Node, idx: Node, base: Node, axis: int, along: bool) -> Node:
    """`taken`, with zeros for updates that were dropped because their index lies outside the axis."""
    wide, device = b.cast(idx, int64), idx.aval.device
    after, before = b.le(b.const(0, int64, device), wide), b.lt(wide, b.number(base.aval.shape[axis], int64, device))
    inside = b.bitand(after, before)
    if not along:
        inside = b.reshape(inside, idx.aval.shape + (1,) * (base.aval.ndim - axis - 1))
    return b.where(inside, taken, _numbers(taken)[0])


scatter = Primitive("scatter", "index", _scatter_infer, _scatter, *_scatter_rules(False))
scatter_along = Primitive("scatter_along", "index", _scatter_along_infer, _scatter_along, *_scatter_rules(True))
to_device = Primitive(
    "to_device", "move", lambda avals, p: aval_of(avals[0].shape, avals[0].dtype, p[0]), lambda x, params: x,
    lambda g, args, out: (b.to_device(g, args[0].aval.device),),
    lambda ts, args, out: None if ts[0] is None else b.to_device(ts[0], out.aval.device),
)  # fmt: skip
