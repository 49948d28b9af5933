"""Inclusive scans along one axis, and the stable sorting permutation.

Contract
- A scan with `reverse` starts at the end of the axis. float16 and bfloat16 accumulate in float32.
- The derivative of `cumprod` needs no division, so it is right where elements are zero.
- `argsort` puts NaN last and keeps the order of equal elements, in descending order too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...dtypes import bool_, int64
from ...errors import ArgumentError, DTypeError
from .. import build as b
from ..node import Aval, Node, Params, aval_of
from ..primitive import Primitive


def _check_axis(name: str, x: Aval, axis: int) -> None:
    """Raises `ArgumentError` for an axis that `x` does not have."""
    if not 0 <= axis < x.ndim:
        raise ArgumentError(f"[{name}] expected an axis in [0, {x.ndim}), got {axis}")


def _scan_infer(name: str) -> Callable[[tuple[Aval, ...], Params], Aval]:
    """The shape and dtype rule of a scan."""

    def infer(avals: tuple[Aval, ...], params: Params) -> Aval:
        _check_axis(name, avals[0], params[0])
        if avals[0].dtype is bool_:
            raise DTypeError(f"[{name}] expected a number dtype, got bool; cast first")
        return avals[0]

    return infer


def _scan(fn: Any) -> Any:
    """The NumPy reference of a scan, which accumulates 16-bit floats in float32."""

    def reference(x: Any, params: Params) -> Any:
        axis, reverse = params
        dtype = x.dtype
        wide = np.float32 if dtype.itemsize == 2 and dtype.kind in "fV" else dtype
        x = np.flip(x, axis) if reverse else x
        with np.errstate(all="ignore"):
            done = fn(x.astype(wide), axis).astype(dtype)
        return np.flip(done, axis) if reverse else done

    return reference


def _cumsum_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The sums of the cotangent from the other end."""
    axis, reverse = out.spec.params
    return (b.cumsum(g, axis, not reverse),)


def _cumsum_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The sums of the tangent."""
    return None if ts[0] is None else b.cumsum(ts[0], *out.spec.params)


def _cumprod_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The product before `x[i]` times `g[i] + x[i+1] * (g[i+1] + x[i+2] * ...)`, without a division by elements."""
    (x,), (axis, reverse) = args, out.spec.params
    after = _shift(x, axis, 1, reverse, 0)
    return (b.mul(_exclusive_cumprod(x, axis, reverse), _recurrence(after, g, axis, reverse)),)


def _cumprod_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The tangent by the product rule, as a recurrence."""
    (x,), (axis, reverse) = args, out.spec.params
    return (
        None if ts[0] is None else _recurrence(x, b.mul(ts[0], _exclusive_cumprod(x, axis, reverse)), axis, not reverse)
    )


def _shift(x: Node, axis: int, by: int, forward: bool, fill: int) -> Node:
    """Shifts `x` along an axis: element i is `x[i - by]` if `forward`, else `x[i + by]`, and `fill` outside of `x`."""
    shape = x.aval.shape
    by = min(by, shape[axis])
    starts = tuple([by if d == axis and not forward else 0 for d in range(len(shape))])
    stops = tuple([e - by if d == axis and forward else e for d, e in enumerate(shape)])
    pads = tuple([((by, 0, 0) if forward else (0, by, 0)) if d == axis else (0, 0, 0) for d in range(len(shape))])
    return b.pad(b.slice(x, starts, stops, (1,) * len(shape)), pads, fill)


def _exclusive_cumprod(x: Node, axis: int, reverse: bool) -> Node:
    """The exclusive cumulative product along an axis, from the end if `reverse`."""
    return b.cumprod(_shift(x, axis, 1, not reverse, 1), axis, reverse) if x.aval.size else x


def _recurrence(a: Node, c: Node, axis: int, forward: bool) -> Node:
    """Solves `y[i] = c[i] + a[i] * y[i - 1]` (`y[i + 1]` if not `forward`) in a logarithmic number of steps."""
    by, n = 1, a.aval.shape[axis]
    while by < n:
        c = b.add(c, b.mul(a, _shift(c, axis, by, forward, 0)))
        a = b.mul(a, _shift(a, axis, by, forward, 0))
        by *= 2
    return c


def _extremum_index(x: Node, out: Node) -> Node:
    """For each element of a running extremum, the index of the last element of the operand that it equals."""
    axis, reverse = out.spec.params
    positions = b.iota(x.aval.shape, axis, int64, x.aval.device)
    no_position = b.number(max(x.aval.shape[axis] - 1, 0) if reverse else 0, int64, x.aval.device)
    record_positions = b.where(b.eq(x, out), positions, no_position)
    return b.cummin(record_positions, axis, True) if reverse else b.cummax(record_positions, axis, False)


def _running_extremum_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangents, added at the elements that were the extremum."""
    (x,) = args
    return (b.scatter_along(b.zeros(x.aval), _extremum_index(x, out), g, out.spec.params[0], "add"),)


def _running_extremum_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The tangents of the elements that were the extremum."""
    return None if ts[0] is None else b.take_along(ts[0], _extremum_index(args[0], out), out.spec.params[0])


cumsum = Primitive("cumsum", "scan", _scan_infer("cumsum"), _scan(np.cumsum), _cumsum_vjp, _cumsum_jvp)
cumprod = Primitive("cumprod", "scan", _scan_infer("cumprod"), _scan(np.cumprod), _cumprod_vjp, _cumprod_jvp)
cummax = Primitive(
    "cummax", "scan", _scan_infer("cummax"), _scan(np.maximum.accumulate), _running_extremum_vjp, _running_extremum_jvp
)
cummin = Primitive(
    "cummin", "scan", _scan_infer("cummin"), _scan(np.minimum.accumulate), _running_extremum_vjp, _running_extremum_jvp
)


def _argsort_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `argsort`."""
    _check_axis("argsort", avals[0], params[0])
    return aval_of(avals[0].shape, int64, avals[0].device)


def _argsort(x: Any, params: Params) -> Any:
    """The reference of `argsort`: stable in both orders, with NaN last."""
    axis, descending = params
    if x.dtype.itemsize == 2 and x.dtype.kind in "fV":
        x = x.astype(np.float32)
    if not descending:
        return np.argsort(x, axis, kind="stable")
    n = x.shape[axis]
    backwards = np.argsort(np.flip(x, axis), axis, kind="stable")
    return n - 1 - np.flip(backwards, axis)


argsort = Primitive("argsort", "sort", _argsort_infer, _argsort)
