"""Views, which are index maps and never copies by themselves, and concatenation.

Contract
- Views are linear: the tangent of a view is the same view of the tangent.
- Parameters are static and normalized: axes are non-negative, steps are positive, starts and stops lie in the axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError, DTypeError, ShapeError
from .. import build as b
from ..node import Aval, Node, Params, apply, aval_of
from ..primitive import Primitive
from .elementwise import broadcast_shapes, unbroadcast


def _like(aval: Aval, shape: tuple[int, ...]) -> Aval:
    """The aval with another shape."""
    return aval_of(shape, aval.dtype, aval.device)


def _same_view_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The tangent of a view is the same view of the tangent."""
    return None if ts[0] is None else apply(_primitive_of(out), (ts[0],), out.spec.params)


def _primitive_of(out: Node) -> Primitive:
    """The primitive of a node that is not a leaf."""
    assert out.spec.prim is not None
    return out.spec.prim


def _reshape_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `reshape`."""
    (x,), (shape,) = avals, params
    size = 1
    for e in shape:
        size *= e
    if size != x.size or any(e < 0 for e in shape):
        raise ShapeError(
            f"[reshape] expected a shape with {x.size} elements, got {shape} from {x.shape}; change the shape"
        )
    return _like(x, shape)


reshape = Primitive(
    "reshape", "view", _reshape_infer, lambda x, params: np.reshape(x, params[0]),
    lambda g, args, out: (b.reshape(g, args[0].aval.shape),), _same_view_jvp,
)  # fmt: skip


def _expand_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `expand`."""
    (x,), (shape,) = avals, params
    if broadcast_shapes("expand", x.shape, shape) != shape:
        raise ShapeError(
            f"[expand] expected a shape that {x.shape} broadcasts to, got {shape}; reshape or choose another shape"
        )
    return _like(x, shape)


expand = Primitive(
    "expand", "view", _expand_infer, lambda x, params: np.broadcast_to(x, params[0]),
    lambda g, args, out: (unbroadcast(g, args[0]),), _same_view_jvp,
)  # fmt: skip


def _permute_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `permute`."""
    (x,), (axes,) = avals, params
    if sorted(axes) != list(range(x.ndim)):
        raise ArgumentError(f"[permute] expected each of {x.ndim} axes once, got {axes}")
    return _like(x, tuple([x.shape[a] for a in axes]))


def _permute_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent under the inverse permutation."""
    axes = out.spec.params[0]
    return (b.permute(g, tuple([axes.index(d) for d in range(len(axes))])),)


permute = Primitive(
    "permute", "view", _permute_infer, lambda x, params: np.transpose(x, params[0]), _permute_vjp, _same_view_jvp
)


def _pad_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `pad`."""
    (x,), (pads, _) = avals, params
    if len(pads) != x.ndim or any(v < 0 for p in pads for v in p):
        raise ArgumentError(f"[pad] expected (lo, hi, interior) >= 0 for each of {x.ndim} axes, got {pads}")
    return _like(x, _padded(x.shape, pads))


def _padded(shape: tuple[int, ...], pads: Any) -> tuple[int, ...]:
    """A shape after padding."""
    return tuple([lo + (e + (e - 1) * i if e else 0) + hi for e, (lo, hi, i) in zip(shape, pads, strict=True)])


def _pad(x: Any, params: Params) -> Any:
    """`pad` in NumPy."""
    pads, value = params
    shape = _padded(x.shape, pads)
    out = np.full(shape, value, x.dtype)
    at = tuple([slice(lo, n - hi, i + 1) for n, (lo, hi, i) in zip(shape, pads, strict=True)])
    out[at] = x
    return out


def _pad_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent without the padding."""
    pads, _ = out.spec.params
    shape = out.aval.shape
    starts = tuple([lo for lo, _, _ in pads])
    stops = tuple([n - hi for n, (_, hi, _) in zip(shape, pads, strict=True)])
    return (b.slice(g, starts, stops, tuple([i + 1 for _, _, i in pads])),)


def _pad_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The tangent, padded with zeros."""
    return None if ts[0] is None else b.pad(ts[0], out.spec.params[0], 0)


pad = Primitive("pad", "view", _pad_infer, _pad, _pad_vjp, _pad_jvp)


def _slice_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `slice`."""
    (x,), (starts, stops, steps) = avals, params
    for e, start, stop, step in zip(x.shape, starts, stops, steps, strict=True):
        if step < 1 or not 0 <= start <= e or not 0 <= stop <= e:
            raise ArgumentError(f"[slice] expected 0 <= start, stop <= {e} and step >= 1, got {start}:{stop}:{step}")
    shape = tuple([max(0, -(-(stop - start) // step)) for start, stop, step in zip(starts, stops, steps, strict=True)])
    return _like(x, shape)


def _slice(x: Any, params: Params) -> Any:
    """`slice` in NumPy."""
    return x[tuple([slice(*p) for p in zip(*params, strict=True)])]


def _slice_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """The cotangent, padded with zeros to the operand's shape."""
    starts, _, steps = out.spec.params
    pads = []
    for e, n, start, step in zip(args[0].aval.shape, out.aval.shape, starts, steps, strict=True):
        used = (n - 1) * step + 1 if n else 0
        pads.append((start, e - start - used, step - 1) if n else (0, e, 0))
    return (b.pad(g, tuple(pads), 0),)


slice_ = Primitive("slice", "view", _slice_infer, _slice, _slice_vjp, _same_view_jvp)


def _flip_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `flip`."""
    if any(not 0 <= a < avals[0].ndim for a in params[0]):
        raise ArgumentError(f"[flip] expected axes in [0, {avals[0].ndim}), got {params[0]}")
    return avals[0]


flip = Primitive(
    "flip", "view", _flip_infer, lambda x, params: np.flip(x, params[0]),
    lambda g, args, out: (b.flip(g, out.spec.params[0]),), _same_view_jvp,
)  # fmt: skip


def _windows_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `windows`."""
    (x,), (axes, sizes, strides, dilations) = avals, params
    shape = list(x.shape)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        span = (size - 1) * dilation + 1
        if size < 1 or stride < 1 or dilation < 1 or span > x.shape[axis]:
            raise ShapeError(
                f"[windows] expected windows that fit axis {axis} of extent {x.shape[axis]}, got size {size}, stride "
                f"{stride}, dilation {dilation}; pad the input or shrink the window"
            )
        shape[axis] = (x.shape[axis] - span) // stride + 1
    return _like(x, (*shape, *sizes))


def _windows(x: Any, params: Params) -> Any:
    """`windows` in NumPy."""
    for axis, size, stride, dilation in zip(*params, strict=True):
        view: Any = np.lib.stride_tricks.sliding_window_view(x, (size - 1) * dilation + 1, axis)
        stepped = (*[slice(None)] * axis, slice(None, None, stride), ...)
        x = view[stepped][..., ::dilation]
    return x


def _windows_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node, ...]:
    """Folds the window axes one at a time, so that the work grows with the sum of their extents, not the product."""
    shape = args[0].aval.shape
    for axis, size, stride, dilation in reversed(list(zip(*out.spec.params, strict=True))):
        g = _overlap_add(g, axis, shape[axis], size, stride, dilation)
    return (g,)


def _overlap_add(g: Node, axis: int, extent: int, size: int, stride: int, dilation: int) -> Node:
    """Adds overlapping windows: folds the last axis, a window, into `axis`, whose extent becomes `extent`."""
    shape = g.aval.shape[:-1]
    n = shape[axis]
    if dilation == 1 and (n == 1 or stride >= size):  # no element lies in two windows: a layout change
        step = stride if n > 1 else size
        spread = b.pad(g, ((0, 0, 0),) * len(shape) + ((0, step - size, 0),))
        order = (*range(axis + 1), len(shape), *range(axis + 1, len(shape)))
        joined = b.reshape(b.permute(spread, order), (*shape[:axis], n * step, *shape[axis + 1 :]))
        starts, steps = (0,) * len(shape), (1,) * len(shape)
        stops = tuple([min(e, extent) if d == axis else e for d, e in enumerate(joined.aval.shape)])
        kept = b.slice(joined, starts, stops, steps)
        return b.pad(kept, _pad_one_axis(len(shape), axis, (0, extent - stops[axis], 0)))
    total: Node | None = None
    for offset in range(size):
        starts = (0,) * len(shape) + (offset,)
        part = b.reshape(b.slice(g, starts, (*shape, offset + 1), (1,) * (len(shape) + 1)), shape)
        lo = offset * dilation
        part = b.pad(part, _pad_one_axis(len(shape), axis, (lo, extent - lo - (n - 1) * stride - 1, stride - 1)))
        total = part if total is None else b.add(total, part)
    assert total is not None
    return total


def _pad_one_axis(rank: int, axis: int, pads: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """The parameter of `pad` that pads one axis."""
    return tuple([pads if d == axis else (0, 0, 0) for d in range(rank)])


windows = Primitive("windows", "view", _windows_infer, _windows, _windows_vjp, _same_view_jvp)


def _concat_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `concat`."""
    axis = params[0]
    first = avals[0]
    for a in avals[1:]:
        if a.dtype is not first.dtype:
            raise DTypeError(f"[concat] expected one dtype, got {first.dtype.name} and {a.dtype.name}; cast first")
        if a.ndim != first.ndim or any(
            d != axis and p != q for d, (p, q) in enumerate(zip(a.shape, first.shape, strict=True))
        ):
            raise ShapeError(
                f"[concat] expected shapes equal except along axis {axis}, got {first.shape} and {a.shape}"
            )
    shape = (*first.shape[:axis], sum(a.shape[axis] for a in avals), *first.shape[axis + 1 :])
    return _like(first, shape)


def _concat_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
    """The cotangent's slices, for operands that require a gradient."""
    axis = out.spec.params[0]
    shape = out.aval.shape
    grads: list[Node | None] = []
    at = 0
    for a in args:
        stop = at + a.aval.shape[axis]
        starts = tuple([at if d == axis else 0 for d in range(len(shape))])
        stops = tuple([stop if d == axis else e for d, e in enumerate(shape)])
        grads.append(b.slice(g, starts, stops, (1,) * len(shape)) if a.rg else None)
        at = stop
    return tuple(grads)


def _concat_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The concatenated tangents."""
    if all(t is None for t in ts):
        return None
    parts = tuple([b.zeros(a.aval) if t is None else t for t, a in zip(ts, args, strict=True)])
    return b.concat(parts, out.spec.params[0])


concat = Primitive(
    "concat", "view", _concat_infer, lambda *xs, params: np.concatenate(xs, params[0]), _concat_vjp, _concat_jvp
)
