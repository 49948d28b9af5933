"""The pass that splits contractions over very many terms."""

from __future__ import annotations

from typing import Any

from ...ir.target import Target
from ..decompositions.common import part_count, slice_axis, split_axis
from ..decompositions.contraction import decompose_contraction
from ..lowering.registry import is_contraction
from ..program import Builder, Program, Val, rebuild

LONG_CONTRACTION = (
    1 << 15
)  # terms that a schedule adds up: it may keep sums of blocks in memory, which are added in order
LOOPS_OF_ITEM = 4  # see `passes.reductions`


def split_contractions(program: Program, target: Target) -> Program:
    """Makes a sum of a contraction with too many terms: for accuracy, or as an item may not execute so many iterations."""
    most = target.item_iterations // LOOPS_OF_ITEM
    if not any(is_contraction(v) and v.args[1].size > min(most, LONG_CONTRACTION) for v in program.vals):
        return program  # the terms of a contraction are elements of its second operand

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim == "dot":
            return _split_dot(b, val, args, min(most, LONG_CONTRACTION) if val.dtype.is_float else most)
        return _split_conv(b, val, args, most) if val.prim == "conv" else None

    return rebuild(program, rule)


def _split_dot(b: Builder, val: Val, args: tuple[Val, ...], most: int) -> Val | None:
    """A product with parts of its terms as a batch, whose results are added; None for one of at most `most` terms."""
    (x, y), (xc, yc, xb, yb) = args, val.params
    terms = _product(tuple([x.shape[d] for d in xc]))
    if terms <= most:
        return None
    which = max(range(len(xc)), key=lambda n: x.shape[xc[n]])
    ax, ay = xc[which], yc[which]
    parts = part_count(x.shape[ax], -(-terms // most), -(-terms // most))
    if parts < 2:
        return None
    equal = x.shape[ax] // parts * parts
    left, right = (split_axis(b, slice_axis(b, v, a, 0, equal), a, parts) for v, a in ((x, ax), (y, ay)))

    def moved(axes: tuple[int, ...], at: int) -> tuple[int, ...]:
        return tuple([a if a < at else a + 1 for a in axes])

    params = (moved(xc, ax), moved(yc, ay), (ax, *moved(xb, ax)), (ay, *moved(yb, ay)))
    each = b.make("dot", (left, right), params, (parts, *val.shape), val.dtype, val.device)
    total = b.reduce("reduce_sum", each, (0,))
    if equal == x.shape[ax]:
        return total
    rest = tuple([slice_axis(b, v, a, equal, v.shape[a]) for v, a in ((x, ax), (y, ay))])
    return b.op("add", total, _decomposed(b, b.make("dot", rest, val.params, val.shape, val.dtype, val.device)))


def _split_conv(b: Builder, val: Val, args: tuple[Val, ...], most: int) -> Val | None:
    """A convolution with parts of its input channels as groups, whose results are added, or of two parts of its window."""
    x, w = args
    channels, window = w.shape[2], w.shape[3:]
    if channels * _product(window) <= most:
        return None
    if channels == 1:
        return _split_window(b, val, x, w, most)
    parts = part_count(channels, max(2, -(-channels * _product(window) // most)), 2)
    equal = channels // parts * parts
    n, groups = x.shape[:2]
    left = slice_axis(b, x, 2, 0, equal)
    left = b.reshape(left, (n, groups * parts, equal // parts, *x.shape[3:]))
    right = split_axis(b, slice_axis(b, w, 2, 0, equal), 2, parts)
    right = b.permute(right, (0, 2, 1, *range(3, len(right.shape))))
    right = b.reshape(right, (groups * parts, *right.shape[2:]))
    each = _conv(b, val, left, right, val.params, (n, groups * parts, *val.shape[2:]), most)
    total = b.reduce("reduce_sum", b.reshape(each, (n, groups, parts, *val.shape[2:])), (2,))
    if equal == channels:
        return total
    rest = (slice_axis(b, x, 2, equal, channels), slice_axis(b, w, 2, equal, channels))
    return b.op("add", total, _conv(b, val, *rest, val.params, val.shape, most))


def _split_window(b: Builder, val: Val, x: Val, w: Val, most: int) -> Val | None:
    """The sum of the convolutions with both halves of the longest axis of the window."""
    strides, padding, lhs, rhs = val.params
    d = max(range(len(strides)), key=lambda n: w.shape[3 + n])
    extent = w.shape[3 + d]
    halves = []
    for start, stop in ((0, extent // 2), (extent // 2, extent)):
        low, high = padding[d]
        moved = (low - start * rhs[d], high - (extent - stop) * rhs[d])
        params = (strides, (*padding[:d], moved, *padding[d + 1 :]), lhs, rhs)
        halves.append(_conv(b, val, x, slice_axis(b, w, 3 + d, start, stop), params, val.shape, most))
    return b.op("add", *halves)


def _conv(
    b: Builder, val: Val, x: Val, w: Val, params: tuple[Any, ...], shape: tuple[int, ...], most: int
) -> Val:  # fmt: skip
    """A convolution of the type of `val`, split as it needs."""
    made = b.make("conv", (x, w), params, shape, val.dtype, val.device)
    return _split_conv(b, made, (x, w), most) or _decomposed(b, made)


def _decomposed(b: Builder, val: Val) -> Val:
    """A contraction, rewritten where it has another form with so few terms: see `decompositions.contraction`."""
    return decompose_contraction(b, val, val.args) or val


def _product(extents: tuple[int, ...]) -> int:
    """The product of extents."""
    size = 1
    for e in extents:
        size *= e
    return size
