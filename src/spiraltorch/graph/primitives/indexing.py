"""Gathers and scatters along one axis, and moves between devices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, DTypeError, ShapeError
from .. import build as b
from ..node import Aval, Node, Params, apply, aval_of
from ..primitive import Primitive
from .elementwise import same_device

MODES = ("set", "add", "max", "min", "mul")


def _check(name: str, x: Aval, idx: Aval, axis: int) -> None:
    if not 0 <= axis < x.ndim:
        raise ArgumentError(f"[{name}] expected an axis in [0, {x.ndim}), got {axis}")
    if not idx.dtype.is_integer:
        raise DTypeError(f"[{name}] expected integer indices, got {idx.dtype.name}; cast with .to(st.int64)")
    same_device(name, (x, idx))


def _take_shape(x: Aval, idx: Aval, axis: int) -> tuple[int, ...]:
    return x.shape[:axis] + idx.shape + x.shape[axis + 1 :]


def _take_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    x, idx = avals
    _check("take", x, idx, params[0])
    if x.shape[params[0]] == 0 and idx.size:
        raise ShapeError(f"[take] expected a non-empty axis {params[0]}, got shape {x.shape}")
    return aval_of(_take_shape(x, idx, params[0]), x.dtype, x.device)


def _clip(idx: Any, n: int) -> Any:
    return np.clip(idx.astype(np.int64), 0, max(n - 1, 0))


def _gather_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    prim = out.spec.prim
    assert prim is not None
    return None if ts[0] is None else apply(prim, (ts[0], args[1]), out.spec.params)


take = Primitive(
    "take", "index", _take_infer, lambda x, idx, params: np.take(x, _clip(idx, x.shape[params[0]]), params[0]),
    lambda g, args, out: (b.scatter(b.zeros(args[0].aval), args[1], g, out.spec.params[0], "add"), None),
    _gather_jvp,
)  # fmt: skip


def _along_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    x, idx = avals
    _check("take_along", x, idx, params[0])
    axis = params[0]
    if x.ndim != idx.ndim or any(d != axis and p != q for d, (p, q) in enumerate(zip(x.shape, idx.shape, strict=True))):
        raise ShapeError(f"[take_along] expected shapes equal except along axis {axis}, got {x.shape} and {idx.shape}")
    if x.shape[axis] == 0 and idx.size:
        raise ShapeError(f"[take_along] expected a non-empty axis {axis}, got shape {x.shape}")
    return aval_of(idx.shape, x.dtype, x.device)


take_along = Primitive(
    "take_along", "index", _along_infer,
    lambda x, idx, params: np.take_along_axis(x, _clip(idx, x.shape[params[0]]), params[0]),
    lambda g, args, out: (b.scatter_along(b.zeros(args[0].aval), args[1], g, out.spec.params[0], "add"), None),
    _gather_jvp,
)  # fmt: skip


def _scatter_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
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
    out = np.array(base)
    with np.errstate(all="ignore"):
        if mode == "set":
            out[where] = upd
        elif out.dtype.itemsize == 2 and out.dtype.kind in "fV":
            for n in range(upd.size):
                at = tuple([w.reshape(-1)[n] for w in where])
                out[at] = _AT[mode](out[at].astype(np.float32), upd.reshape(-1)[n].astype(np.float32))
        else:
            _AT[mode].at(out, where, upd)
    return out


def _scatter(base: Any, idx: Any, upd: Any, params: Params) -> Any:
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
    axis, mode = params
    grids = list(np.indices(upd.shape, sparse=False))
    grids[axis] = idx.astype(np.int64)
    keep = (grids[axis] >= 0) & (grids[axis] < base.shape[axis])
    return _combine(base, tuple([w[keep] for w in grids]), upd[keep], mode)


def _scatter_rules(along: bool) -> tuple[Any, Any]:
    """The vjp and the jvp. For all modes but `mul` at zeros, any order of derivative is exact."""
    gather = b.take_along if along else b.take
    spread = b.scatter_along if along else b.scatter

    def winners(base: Node, idx: Node, upd: Node, axis: int) -> Node:
        """True for the update that `set` kept: the last of those with equal indices."""
        here = b.reshape(b.iota((upd.aval.size,), 0, int64, upd.aval.device), upd.aval.shape)
        none = b.full(base.aval.shape, -1, int64, base.aval.device)
        return b.eq(gather(spread(none, idx, here, axis, "set"), idx, axis), here)

    def slopes(args: tuple[Node, ...], out: Node) -> tuple[Node, Node]:
        """The derivatives of the result with respect to the base and, where they landed, to the updates."""
        base, idx, upd = args
        axis, mode = out.spec.params
        zero, one = _numbers(base)
        if mode in ("max", "min"):
            from_base = b.cast(b.eq(base, out), base.aval.dtype)
            from_upd = b.cast(b.eq(upd, gather(out, idx, axis)), base.aval.dtype)
            count = spread(from_base, idx, from_upd, axis, "add")
            return b.div(from_base, count), b.div(from_upd, gather(count, idx, axis))
        # mul: the product of the other factors; zeros are counted, so that nothing is divided by one.
        no_base, no_upd = b.eq(base, zero), b.eq(upd, zero)
        full_base, full_upd = b.where(no_base, one, base), b.where(no_upd, one, upd)
        product = spread(full_base, idx, full_upd, axis, "mul")
        zeros_base, zeros_upd = b.cast(no_base, base.aval.dtype), b.cast(no_upd, base.aval.dtype)
        zeros = spread(zeros_base, idx, zeros_upd, axis, "add")
        to_base = b.where(b.eq(zeros, zeros_base), b.div(product, full_base), zero)
        alone = b.eq(gather(zeros, idx, axis), zeros_upd)
        return to_base, b.where(alone, b.div(gather(product, idx, axis), full_upd), zero)

    def vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
        base, idx, upd = args
        axis, mode = out.spec.params
        if base.aval.shape[axis] == 0 or upd.aval.size == 0:
            return g, None, b.zeros(upd.aval)
        if mode in ("add", "set"):
            keep = g if mode == "add" else spread(g, idx, b.zeros(upd.aval), axis, "set")
            taken = _within(gather(g, idx, axis), idx, base, axis, along)
            if mode == "set" and upd.rg:
                taken = b.where(winners(base, idx, upd, axis), taken, _numbers(g)[0])
            return keep, None, taken
        to_base, to_upd = slopes(args, out)
        return b.mul(g, to_base), None, _within(b.mul(gather(g, idx, axis), to_upd), idx, base, axis, along)

    def jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
        base, idx, upd = args
        axis, mode = out.spec.params
        if ts[0] is None and ts[2] is None:
            return None
        tb = b.zeros(base.aval) if ts[0] is None else ts[0]
        tu = b.zeros(upd.aval) if ts[2] is None else ts[2]
        if mode in ("add", "set"):
            return spread(tb, idx, tu, axis, mode)
        if base.aval.shape[axis] == 0 or upd.aval.size == 0:
            return tb
        to_base, to_upd = slopes(args, out)
        return spread(b.mul(tb, to_base), idx, b.mul(tu, to_upd), axis, "add")

    return vjp, jvp


def _numbers(x: Node) -> tuple[Node, Node]:
    dtype, device = x.aval.dtype, x.aval.device
    return b.const(0, dtype, device), b.const(1, dtype, device)


def _within(taken: Node, idx: Node, base: Node, axis: int, along: bool) -> Node:
    """Zero for updates that were dropped because their index lies outside the axis."""
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
