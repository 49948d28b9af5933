"""Contractions: `dot`, as in XLA's dot_general, and `conv`, a cross-correlation with an explicit axis of groups.

Contract
- Operands have one dtype, which is the result's; float16 and bfloat16 accumulate in float32.
- Both are bilinear. The cotangents of a convolution are convolutions again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import build as b
from ..node import Aval, Node, Params, apply, aval_of
from ..primitive import Primitive


def _check(name: str, avals: tuple[Aval, ...]) -> None:
    """Raises `DTypeError` or `DeviceError` where the operands' dtypes or devices differ."""
    x, y = avals
    if x.dtype is not y.dtype:
        raise DTypeError(f"[{name}] expected operands of one dtype, got {x.dtype.name} and {y.dtype.name}; cast one")


def _free(ndim: int, *taken: tuple[int, ...]) -> list[int]:
    """The axes that are in none of the tuples."""
    used = {a for t in taken for a in t}
    return [d for d in range(ndim) if d not in used]


def _dot_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of a `dot`."""
    x, y = avals
    xc, yc, xb, yb = params
    _check("dot", avals)
    for what, ax, ay in (("contracted", xc, yc), ("batch", xb, yb)):
        if [x.shape[a] for a in ax] != [y.shape[a] for a in ay]:
            raise ShapeError(
                f"[matmul] expected equal {what} axes, got shapes {x.shape} and {y.shape} (axes {ax} and {ay}); "
                "transpose or reshape one operand"
            )
    shape = [x.shape[a] for a in xb] + [x.shape[d] for d in _free(x.ndim, xc, xb)]
    return aval_of(tuple(shape + [y.shape[d] for d in _free(y.ndim, yc, yb)]), x.dtype, x.device)


def _dot(x: Any, y: Any, params: Params) -> Any:
    """`dot` in NumPy."""
    xc, yc, xb, yb = params
    fx, fy = _free(x.ndim, xc, xb), _free(y.ndim, yc, yb)
    dtype = x.dtype
    if dtype.itemsize == 2 and dtype.kind in "fV":
        x, y = x.astype(np.float32), y.astype(np.float32)
    batch = [x.shape[a] for a in xb]
    rows, columns = [x.shape[d] for d in fx], [y.shape[d] for d in fy]
    k = int(np.prod([x.shape[a] for a in xc], dtype=np.int64))
    left = x.transpose(*xb, *fx, *xc).reshape(*batch, int(np.prod(rows, dtype=np.int64)), k)
    right = y.transpose(*yb, *yc, *fy).reshape(*batch, k, int(np.prod(columns, dtype=np.int64)))
    return np.matmul(left, right).reshape((*batch, *rows, *columns)).astype(dtype)


def _dot_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
    """The cotangents of a `dot`, of those operands that require a gradient."""
    x, y = args
    xc, yc, xb, yb = out.spec.params
    gx = _dot_operand_cotangent(g, x, y, xc, yc, xb, yb, False) if x.rg else None
    gy = _dot_operand_cotangent(g, y, x, yc, xc, yb, xb, True) if y.rg else None
    return gx, gy


def _dot_operand_cotangent(
    g: Node, x: Node, y: Node, xc: tuple[int, ...], yc: tuple[int, ...], xb: tuple[int, ...], yb: tuple[int, ...],
    second: bool,
) -> Node:  # fmt: skip
    """The cotangent of `x`: `g` contracted with `y` over the free axes of `y`, permuted to the order of x's axes.

    Args:
        g: the cotangent of the product.
        x: the operand whose cotangent is computed.
        y: the other operand.
        xc: the contracted axes of `x`.
        yc: the contracted axes of `y`.
        xb: the batch axes of `x`.
        yb: the batch axes of `y`.
        second: whether `x` is the second operand of the product.
    """
    fx, fy = _free(x.aval.ndim, xc, xb), _free(y.aval.ndim, yc, yb)
    n = len(xb)
    first = n + (len(fx) if not second else 0)
    g_free = tuple(range(first, first + len(fy)))
    product = b.dot(g, y, g_free, tuple(fy), tuple(range(n)), yb)
    # The product has the batch axes, x's free axes, and y's contracted axes, in y's order, in place of x's.
    by_y = sorted(range(len(yc)), key=lambda i: yc[i])
    axes = [*xb, *fx, *(xc[i] for i in by_y)]
    return b.permute(product, tuple([axes.index(d) for d in range(len(axes))]))


def _bilinear_jvp(ts: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
    """The product rule."""
    (x, y), (tx, ty), prim = args, ts, out.spec.prim
    assert prim is not None
    from_x = None if tx is None else apply(prim, (tx, y), out.spec.params)
    from_y = None if ty is None else apply(prim, (x, ty), out.spec.params)
    if from_x is None or from_y is None:
        return from_y if from_x is None else from_x
    return b.add(from_x, from_y)


dot = Primitive("dot", "contract", _dot_infer, _dot, _dot_vjp, _bilinear_jvp)


def _conv_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of a `conv`."""
    x, w = avals
    strides, padding, lhs, rhs = params
    _check("conv", avals)
    if x.ndim != w.ndim or x.shape[1] != w.shape[0] or x.shape[2] != w.shape[2]:
        raise ShapeError(
            f"[conv] expected (N, G, C, ...) and (G, O, C, ...), got {x.shape} and {w.shape}; reshape the operands"
        )
    shape = [x.shape[0], x.shape[1], w.shape[1]]
    for n, (extent, size) in enumerate(zip(x.shape[3:], w.shape[3:], strict=True)):
        lo, hi = padding[n]
        dilated = (extent - 1) * lhs[n] + 1 if extent else 0
        last_start = dilated + lo + hi - (size - 1) * rhs[n] - 1
        if last_start < 0:
            raise ShapeError(
                f"[conv] expected a window that fits, got extent {extent} padded by {padding[n]} and a kernel of "
                f"{size} with dilation {rhs[n]}; pad more or use a smaller kernel"
            )
        shape.append(last_start // strides[n] + 1)
    return aval_of(tuple(shape), x.dtype, x.device)


def _conv(x: Any, w: Any, params: Params) -> Any:
    """`conv` in NumPy."""
    strides, padding, lhs, rhs = params
    dtype = x.dtype
    if dtype.itemsize == 2 and dtype.kind in "fV":
        x, w = x.astype(np.float32), w.astype(np.float32)
    rank = x.ndim - 3
    for d in range(rank):
        axis, n = d + 3, x.shape[d + 3]
        dilated = np.zeros((*x.shape[:axis], (n - 1) * lhs[d] + 1 if n else 0, *x.shape[axis + 1 :]), x.dtype)
        around = [slice(None)] * axis
        places = (*around, slice(None, None, lhs[d]))
        dilated[places] = x
        lo, hi = padding[d]
        width = [(0, 0)] * x.ndim
        width[axis] = (max(lo, 0), max(hi, 0))
        x = np.pad(dilated, width)
        kept = (*around, slice(max(-lo, 0), x.shape[axis] - max(-hi, 0)))
        x = x[kept]
    for d in range(rank):
        axis = d + 3
        span = (w.shape[axis] - 1) * rhs[d] + 1
        view: Any = np.lib.stride_tricks.sliding_window_view(x, span, axis)
        stepped = (*[slice(None)] * axis, slice(None, None, strides[d]), ...)
        x = view[stepped][..., :: rhs[d]]
    space, window = "hijk"[:rank], "pqrs"[:rank]
    return np.einsum(f"ngc{space}{window},goc{window}->ngo{space}", x, w, optimize=True).astype(dtype)


def _conv_vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
    """The cotangents of a `conv`, of those operands that require a gradient."""
    x, w = args
    return (_conv_input_cotangent(g, x, w, out) if x.rg else None), (
        _conv_kernel_cotangent(g, x, w, out) if w.rg else None
    )


def _conv_input_cotangent(g: Node, x: Node, w: Node, out: Node) -> Node:
    """The cotangent of the input: the dilated cotangent convolved with the flipped kernel, its channel axes swapped."""
    strides, padding, lhs, rhs = out.spec.params
    rank = x.aval.ndim - 3
    space = tuple(range(3, 3 + rank))
    flipped = b.permute(b.flip(w, space), (0, 2, 1, *space))
    pads = []
    for d in range(rank):
        extent, size, results = x.aval.shape[3 + d], w.aval.shape[3 + d], out.aval.shape[3 + d]
        lo = (size - 1) * rhs[d] - padding[d][0]
        dilated = (results - 1) * strides[d] + 1
        need = (extent - 1) * lhs[d] + 1 + (size - 1) * rhs[d]
        pads.append((lo, need - lo - dilated))
    return b.conv(g, flipped, lhs, tuple(pads), strides, rhs)


def _conv_kernel_cotangent(g: Node, x: Node, w: Node, out: Node) -> Node:
    """The cotangent of the kernel: the input convolved with the cotangent, with batch and input channels swapped."""
    strides, padding, lhs, rhs = out.spec.params
    rank = x.aval.ndim - 3
    space = tuple(range(3, 3 + rank))
    left = b.permute(x, (2, 1, 0, *space))
    right = b.permute(g, (1, 2, 0, *space))
    pads = []
    for d in range(rank):
        extent, size, results = x.aval.shape[3 + d], w.aval.shape[3 + d], out.aval.shape[3 + d]
        dilated = (extent - 1) * lhs[d] + 1
        need = (results - 1) * strides[d] + 1 + (size - 1) * rhs[d]
        pads.append((padding[d][0], need - padding[d][0] - dilated))
    folded = b.conv(left, right, rhs, tuple(pads), lhs, strides)
    return b.permute(folded, (1, 2, 0, *space))


conv = Primitive("conv", "contract", _conv_infer, _conv, _conv_vjp, _bilinear_jvp)
