"""Decompositions of contractions.

- float16 and bfloat16 contractions go through float32. So do boolean ones: a sum of ones that is rounded is never 0, while
  one of small integers wraps.
- A product of matrices with one row, one column or one term becomes an element-wise product and a sum, which fuse with
  their operands and readers.
- Convolutions that are products of matrices, or have a dilated input, are rewritten: see `convolution`.
- A contraction without terms is zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...dtypes import DType, bool_, float32
from ..program import Builder, Val
from . import convolution
from .common import filled, is_half_precision


def decompose_contraction(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Rewrites a `dot` or `conv` by the rules of the module's text; None keeps it."""
    x, y = args
    if x.size == 0 or y.size == 0 or (val.prim == "conv" and _reads_only_padding(val, x, y)):
        return filled(b, val, 0)
    if is_half_precision(val):
        return b.cast(_contract_in(b, val, x, y, float32), val.dtype)
    if val.dtype.is_bool:
        return b.cast(_contract_in(b, val, x, y, float32), bool_)
    if val.prim == "dot":
        return _vector_dot(b, val, x, y)
    return convolution.rewrite(b, val, x, y, _make_dot)


def _make_dot(b: Builder, x: Val, y: Val, params: tuple[Any, ...], shape: tuple[int, ...]) -> Val:
    """A `dot`, decomposed where it has one row, one column or one term."""
    dot = b.make("dot", (x, y), params, shape, x.dtype, x.device)
    return _vector_dot(b, dot, x, y) or dot


def _contract_in(b: Builder, val: Val, x: Val, y: Val, dtype: DType) -> Val:
    """The contraction with operands and result of another dtype."""
    wide = b.make(val.prim, (b.cast(x, dtype), b.cast(y, dtype)), val.params, val.shape, dtype, val.device)
    return decompose_contraction(b, wide, wide.args) or wide


def _reads_only_padding(val: Val, x: Val, w: Val) -> bool:
    """Whether along some axis all windows of a convolution read only padding and what input dilation inserts."""
    strides, padding, lhs, rhs = val.params
    for n, (low, _) in enumerate(padding):
        places = (o * strides[n] + p * rhs[n] - low for o in range(val.shape[3 + n]) for p in range(w.shape[3 + n]))
        if not any(0 <= i <= (x.shape[3 + n] - 1) * lhs[n] and i % lhs[n] == 0 for i in places):
            return True
    return False


def _vector_dot(b: Builder, val: Val, x: Val, y: Val) -> Val | None:
    """A dot with one row, one column or one term as an element-wise product and a sum; None for others."""
    xc, yc, xb, yb = val.params
    rows = [d for d in range(len(x.shape)) if d not in xc and d not in xb]
    columns = [d for d in range(len(y.shape)) if d not in yc and d not in yb]
    m, n, k = _extent(x, rows), _extent(y, columns), _extent(x, xc)
    if m > 1 and n > 1 and k > 1:
        return None
    batch = tuple([x.shape[d] for d in xb])
    free_x, free_y = tuple([x.shape[d] for d in rows]), tuple([y.shape[d] for d in columns])
    inner = tuple([x.shape[d] for d in xc])
    ones = (1,) * len(free_y)
    left = b.reshape(b.permute(x, (*xb, *rows, *xc)), batch + free_x + ones + inner)
    right = b.reshape(b.permute(y, (*yb, *columns, *yc)), batch + (1,) * len(free_x) + free_y + inner)
    if m == 1 and n > 1 and _columns_are_inner(y, yc, columns):  # the columns of y are contiguous: keep them innermost
        start = len(batch)
        left = b.reshape(b.permute(x, (*xb, *xc, *rows)), batch + inner + free_x + ones)
        right = b.reshape(b.permute(y, (*yb, *yc, *columns)), batch + inner + (1,) * len(free_x) + free_y)
        axes = tuple(range(start, start + len(inner)))
    else:
        start = len(batch) + len(free_x) + len(free_y)
        axes = tuple(range(start, start + len(inner)))
    product = b.op("mul", left, right)
    summed = tuple([a for a in axes if product.shape[a] != 1])
    total = b.reshape(product, tuple([e for d, e in enumerate(product.shape) if d not in axes or d in summed]))
    dropped = [a for a in axes if a not in summed]
    total = b.reduce("reduce_sum", total, tuple([a - sum(1 for d in dropped if d < a) for a in summed]))
    return b.reshape(total, val.shape)


def _columns_are_inner(y: Val, contracted: tuple[int, ...], columns: list[int]) -> bool:
    """Whether a column axis of `y` is inside of its contracted axes in memory, under permutations."""
    while y.prim == "permute":
        axes = y.params[0]
        contracted = tuple([axes[c] for c in contracted])
        columns = [axes[c] for c in columns]
        y = y.args[0]
    return max(columns) > max(contracted, default=-1)


def _extent(x: Val, axes: Iterable[int]) -> int:
    """The product of the extents of axes."""
    size = 1
    for a in axes:
        size *= x.shape[a]
    return size
