"""Reductions over sorted axes, which are dropped, and arg-reductions over one axis.

Contract
- The dtype of the result is that of the operand; float16 and bfloat16 accumulate in float32. Arg-reductions give int64.
- The cotangent of a maximum or minimum is divided evenly among equal extrema.
- A product has a derivative without divisions, which is right where elements are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError
from .. import build as b
from ..node import Aval, Node, Params, aval_of
from ..primitive import Primitive


def _reduce_infer(name: str) -> Callable[[tuple[Aval, ...], Params], Aval]:
    """The shape and dtype rule of a reduction."""

    def infer(avals: tuple[Aval, ...], params: Params) -> Aval:
        (x,), (axes,) = avals, params
        if list(axes) != sorted(set(axes)) or any(not 0 <= a < x.ndim for a in axes):
            raise ArgumentError(f"[{name}] expected sorted, distinct axes of {x.ndim}, got {axes}")
        if name in ("reduce_max", "reduce_min") and any(x.shape[a] == 0 for a in axes):
            raise ArgumentError(
                f"[{name.removeprefix('reduce_')}] expected at least one element over axes {axes}, got shape {x.shape}; "
                "reduce axes that are not empty, or treat the empty tensor before"
            )
        return aval_of(tuple([e for d, e in enumerate(x.shape) if d not in axes]), x.dtype, x.device)

    return infer


def _reduce(fn: Any) -> Any:
    """The NumPy reference of a reduction, which accumulates 16-bit floats in float32."""

    def reference(x: Any, params: Params) -> Any:
        axes = params[0]
        with np.errstate(all="ignore"):
            if x.dtype.itemsize == 2 and x.dtype.kind in "fV":
                return fn(x.astype(np.float32), axis=axes).astype(x.dtype)
            return np.asarray(fn(x, axis=axes)).astype(x.dtype)

    return reference


def _keepdims_shape(x: Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of `x` with extents of 1 along axes."""
    return tuple([1 if d in axes else e for d, e in enumerate(x.aval.shape)])


def _broadcast_back(g: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """Broadcasts a reduced value `g` over the reduced axes to the shape of the operand `x`."""
    return b.expand(b.reshape(g, _keepdims_shape(x, axes)), x.aval.shape)


def _sum_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent, broadcast."""
    return (_broadcast_back(g, args[0], out.spec.params[0]),)


def _sum_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The sum of the tangent."""
    return None if ts[0] is None else b.reduce_sum(ts[0], out.spec.params[0])


def _extremum_mask(x: Node, out: Node) -> Node:
    """A mask of the operand's dtype that is 1 where an element equals the extremum `out`."""
    return b.cast(b.eq(x, _broadcast_back(out, x, out.spec.params[0])), x.aval.dtype)


def _extremum_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent, divided evenly among the elements that equal the extremum."""
    (x,), axes = args, out.spec.params[0]
    mask = _extremum_mask(x, out)
    return (b.mul(mask, _broadcast_back(b.div(g, b.reduce_sum(mask, axes)), x, axes)),)


def _extremum_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The mean of the tangents of the elements that equal the extremum."""
    if ts[0] is None:
        return None
    mask, axes = _extremum_mask(args[0], out), out.spec.params[0]
    return b.div(b.reduce_sum(b.mul(mask, ts[0]), axes), b.reduce_sum(mask, axes))


def _prod_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent times the product of the other elements."""
    (x,), axes = args, out.spec.params[0]
    return (b.mul(_product_of_others(x, axes), _broadcast_back(g, x, axes)),)


def _prod_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The sum of the tangents times the products of the other elements."""
    axes = out.spec.params[0]
    return None if ts[0] is None else b.reduce_sum(b.mul(_product_of_others(args[0], axes), ts[0]), axes)


def _product_of_others(x: Node, axes: tuple[int, ...]) -> Node:
    """For each element the product of all others along `axes`: of those before it times those after it."""
    shape = x.aval.shape
    if x.aval.size == 0:
        return b.zeros(x.aval)
    rest = tuple([d for d in range(x.aval.ndim) if d not in axes])
    order = (*rest, *axes)
    flat = b.reshape(b.permute(x, order), (*[shape[d] for d in rest], -1))
    last = len(rest)
    others = b.mul(_exclusive_cumprod(flat, last, False), _exclusive_cumprod(flat, last, True))
    back = b.reshape(others, tuple([shape[d] for d in order]))
    return b.permute(back, tuple([order.index(d) for d in range(len(order))]))


def _exclusive_cumprod(x: Node, axis: int, reverse: bool) -> Node:
    """The exclusive cumulative product along an axis, from the end if `reverse`."""
    shape = x.aval.shape
    starts = tuple([int(reverse and d == axis) for d in range(len(shape))])
    stops = tuple([e - int(not reverse and d == axis) for d, e in enumerate(shape)])
    inner = b.slice(x, starts, stops, (1,) * len(shape))
    edge = (0, 1, 0) if reverse else (1, 0, 0)
    pads = tuple([edge if d == axis else (0, 0, 0) for d in range(len(shape))])
    return b.cumprod(b.pad(inner, pads, 1), axis, reverse)


reduce_sum = Primitive("reduce_sum", "reduce", _reduce_infer("reduce_sum"), _reduce(np.sum), _sum_vjp, _sum_jvp)
reduce_prod = Primitive("reduce_prod", "reduce", _reduce_infer("reduce_prod"), _reduce(np.prod), _prod_vjp, _prod_jvp)
reduce_max = Primitive(
    "reduce_max", "reduce", _reduce_infer("reduce_max"), _reduce(np.max), _extremum_vjp, _extremum_jvp
)
reduce_min = Primitive(
    "reduce_min", "reduce", _reduce_infer("reduce_min"), _reduce(np.min), _extremum_vjp, _extremum_jvp
)


def _arg_infer(name: str) -> Callable[[tuple[Aval, ...], Params], Aval]:
    """The shape and dtype rule of an arg-reduction."""

    def infer(avals: tuple[Aval, ...], params: Params) -> Aval:
        (x,), (axis,) = avals, params
        if not 0 <= axis < x.ndim:
            raise ArgumentError(f"[{name}] expected an axis in [0, {x.ndim}), got {axis}")
        if x.shape[axis] == 0:
            raise ArgumentError(
                f"[{name}] expected at least one element along axis {axis}, got shape {x.shape}; "
                "choose an axis that is not empty"
            )
        return aval_of(tuple([e for d, e in enumerate(x.shape) if d != axis]), int64, x.device)

    return infer


def _arg(fn: Any) -> Any:
    """The NumPy reference of an arg-reduction."""

    def reference(x: Any, params: Params) -> Any:
        x = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind in "fV" else x
        return fn(x, axis=params[0])

    return reference


argmax = Primitive("argmax", "reduce", _arg_infer("argmax"), _arg(np.argmax))
argmin = Primitive("argmin", "reduce", _arg_infer("argmin"), _arg(np.argmin))
