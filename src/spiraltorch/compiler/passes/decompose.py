"""Rewrites primitives into those that kernels are made of.

- float16 and bfloat16 reductions and contractions go through float32; boolean ones through uint8.
- `argmax` and `argmin` become two reductions, which fuse into one kernel.
- Convolutions that are products of matrices, or several without gaps, become those (`convolution`).
- A contraction with one row or one column is a product and a sum, which fuses with what surrounds it.
- `random_bits` becomes integer arithmetic (Philox 4x32-10, Salmon et al., SC 2011).
- A reduction of much data to few results is done in two steps, so that threads and lanes have work.
- Values without elements, and reductions over nothing, become constants.
"""

from __future__ import annotations

from typing import Any

from ...dtypes import DType, bool_, float32, int32, int64, uint8, uint32, uint64
from ...ir.target import Target
from ...kernels.radix import SHORTEST
from ..program import CONTRACTIONS, REDUCTIONS, SCANS, SCATTERS, Builder, Program, Val, rebuild
from . import convolution

SPLIT_WORK = 1 << 16  # reduced elements above which a reduction to few results is split
SPLIT_RESULTS = 16
MANY_PARTS = 8
OVERSUBSCRIBED = 64  # as many times the items that keep a device busy: partial results are cheap


def decompose(program: Program) -> Program:
    """Applies the rules bottom-up once."""
    return rebuild(program, _rule)


def apart(target: Target) -> frozenset[str]:
    """Primitives that a target has no good kernel for, and gets in parts.

    The gradient of attention adds up those of its keys in one task for each head: too few for throughput-oriented devices.
    """
    return frozenset(("attention_grad",)) if target.throughput_oriented else frozenset()


def spread_reductions(program: Program, target: Target) -> Program:
    """A reduction that would keep few items of a throughput-oriented device busy is done in two steps."""
    if not target.throughput_oriented or not any(v.prim in REDUCTIONS for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim not in REDUCTIONS or not args[0].size:
            return None
        (x,), axes = args, val.params[0]
        axis = max(axes, key=lambda a: x.shape[a])
        # One group to a row of the innermost axis, one item to a column of another.
        along = len(x.shape) - 1 in axes
        items, least = OVERSUBSCRIBED * target.busy_items, 2048 if along else 32
        want = items // target.preferred_group_items if along else items
        parts = min(-(-want // val.size), x.size // val.size // least, 1024)
        return _in_parts(b, val.prim, x, axes, axis, _divisor(x.shape[axis], parts)) if parts > 1 else None

    return rebuild(program, rule)


def sort_values(program: Program, target: Target) -> Program:
    """Elements taken in sorted order, where nothing else wants the order, are sorted themselves: digits carry no places."""
    if target.throughput_oriented or not any(v.prim == "argsort" for v in program.vals):
        return program
    readers: dict[int, int] = {o.id: 2 for o in program.outputs}
    for val in program.vals:
        for arg in val.args:
            readers[arg.id] = readers.get(arg.id, 0) + 1
    only = {v.id for v in program.vals if v.prim == "take_along" and readers[v.args[1].id] == 1}

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.id not in only:
            return None
        x, order = args
        if order.prim != "argsort" or order.args[0] is not x or order.params[0] != val.params[0]:
            return None
        if x.shape[val.params[0]] < SHORTEST:
            return None
        return b.make("sort", (x,), order.params, x.shape, x.dtype, x.device)

    return rebuild(program, rule)


def join_in_steps(program: Program, target: Target) -> Program:
    """Joins of more values than a kernel can bind beside the result become joins of joins."""
    most = target.max_buffers - 1
    if not any(v.prim == "concat" and len(v.args) > most for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        return _joined(b, args, val.params[0], most) if val.prim == "concat" and len(args) > most else None

    return rebuild(program, rule)


def copy_joins(program: Program, target: Target) -> Program:
    """A join of many is copied part by part: inside another kernel each element would ask which part it is in."""
    if not any(v.prim == "concat" and len(v.args) >= MANY_PARTS for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim != "concat" or len(args) < MANY_PARTS:
            return None
        return b.make("join", args, val.params, val.shape, val.dtype, val.device)

    return rebuild(program, rule)


def _joined(b: Builder, args: tuple[Val, ...], axis: int, most: int) -> Val:
    while len(args) > 1:
        parts = []
        for start in range(0, len(args), most):
            group = args[start : start + most]
            first = group[0]
            extent = sum(a.shape[axis] for a in group)
            shape = (*first.shape[:axis], extent, *first.shape[axis + 1 :])
            parts.append(
                first if len(group) == 1 else b.make("concat", group, (axis,), shape, first.dtype, first.device)
            )
        args = tuple(parts)
    return args[0]


def _rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    if val.size == 0:
        return None if val.prim in ("leaf", "const") else _filled(b, val, 0)
    if val.prim in SCATTERS and args[2].size == 0:
        return args[0]
    if val.prim in REDUCTIONS:
        return _reduce(b, val, args[0])
    rule = _RULES.get(val.prim)
    return rule(b, val, args) if rule else None


def _filled(b: Builder, val: Val, number: float) -> Val:
    value: Any = bool(number) if val.dtype.is_bool else float(number) if val.dtype.is_float else int(number)
    return b.expand(b.const(value, val.dtype, val.device), val.shape)


def _narrow(val: Val) -> bool:
    return val.dtype.is_float and val.dtype.itemsize == 2


def _reduce(b: Builder, val: Val, x: Val) -> Val | None:
    if x.size == 0:
        return _filled(b, val, 1 if val.prim == "reduce_prod" else 0)
    if val.dtype.is_bool:
        return b.cast(_split(b, val.prim, b.cast(x, uint8), val.params[0]), bool_)
    if _narrow(val):
        return b.cast(_split(b, val.prim, b.cast(x, float32), val.params[0]), val.dtype)
    return _split(b, val.prim, x, val.params[0])


def _split(b: Builder, prim: str, x: Val, axes: tuple[int, ...]) -> Val:
    results = 1
    for d, e in enumerate(x.shape):
        results *= 1 if d in axes else e
    work = x.size // max(1, results)
    if work < SPLIT_WORK or results > SPLIT_RESULTS:
        return b.reduce(prim, x, axes)
    axis = max(axes, key=lambda a: x.shape[a])
    parts = _divisor(x.shape[axis], 64)
    if parts < 4:
        return b.reduce(prim, x, axes)
    return _in_parts(b, prim, x, axes, axis, parts)


def _in_parts(b: Builder, prim: str, x: Val, axes: tuple[int, ...], axis: int, parts: int) -> Val:
    """The reduction of `parts` equal parts of one axis, and then of their results."""
    if parts < 2:
        return b.reduce(prim, x, axes)
    shape = (*x.shape[:axis], parts, x.shape[axis] // parts, *x.shape[axis + 1 :])
    inner = tuple([a if a < axis else a + 1 for a in axes])
    partial = b.reduce(prim, b.reshape(x, shape), inner)
    kept = axis - sum(1 for a in axes if a < axis)
    return b.reduce(prim, partial, (kept,))


def _divisor(n: int, limit: int) -> int:
    """The largest divisor of `n` up to `limit`."""
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)


def _arg(b: Builder, val: Val, args: tuple[Val, ...]) -> Val:
    (x,), axis = args, val.params[0]
    wide = b.cast(x, uint8 if x.dtype.is_bool else float32) if x.dtype.is_bool or _narrow(x) else x
    best = _split(b, "reduce_max" if val.prim == "argmax" else "reduce_min", wide, (axis,))
    kept = tuple([1 if d == axis else e for d, e in enumerate(x.shape)])
    hit = b.op("eq", wide, b.reshape(best, kept), dtype=bool_)
    if wide.dtype.is_float:
        hit = b.op("bitor", hit, b.op("isnan", wide, dtype=bool_), dtype=bool_)
    place = int32 if x.shape[axis] < 1 << 31 else int64  # twice the lanes
    count = b.make("iota", (), (x.shape, axis, place, x.device), x.shape, place, x.device)
    last = b.const(x.shape[axis], place, x.device)
    return b.cast(_split(b, "reduce_min", b.op("where", hit, count, last), (axis,)), int64)


def _contract(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    x, y = args
    if x.size == 0 or y.size == 0 or (val.prim == "conv" and _misses(val, x, y)):
        return _filled(b, val, 0)
    if _narrow(val):
        return b.cast(_wide_contract(b, val, x, y, float32), val.dtype)
    if val.dtype.is_bool:
        return b.cast(_wide_contract(b, val, x, y, uint8), bool_)
    if val.prim == "dot":
        return _thin_dot(b, val, x, y)
    return convolution.rewrite(b, val, x, y, _dot)


def _dot(b: Builder, x: Val, y: Val, params: tuple[Any, ...], shape: tuple[int, ...]) -> Val:
    """A product of matrices, or what is better in its place."""
    made = b.make("dot", (x, y), params, shape, x.dtype, x.device)
    return _thin_dot(b, made, x, y) or made


def _wide_contract(b: Builder, val: Val, x: Val, y: Val, dtype: DType) -> Val:
    wide = b.make(val.prim, (b.cast(x, dtype), b.cast(y, dtype)), val.params, val.shape, dtype, val.device)
    return _contract(b, wide, wide.args) or wide


def _misses(val: Val, x: Val, w: Val) -> bool:
    """Whether some axis of a convolution meets nothing but padding and the gaps between spread elements."""
    strides, padding, lhs, rhs = val.params
    for n, (low, _) in enumerate(padding):
        places = (o * strides[n] + p * rhs[n] - low for o in range(val.shape[3 + n]) for p in range(w.shape[3 + n]))
        if not any(0 <= i <= (x.shape[3 + n] - 1) * lhs[n] and i % lhs[n] == 0 for i in places):
            return True
    return False


def _thin_dot(b: Builder, val: Val, x: Val, y: Val) -> Val | None:
    """A dot with one row, one column or one term, as a product and a sum."""
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
    if m == 1 and n > 1 and _strides_last(y, yc, columns):  # keep the columns innermost: rows of y are added up
        start = len(batch)
        left = b.reshape(b.permute(x, (*xb, *xc, *rows)), batch + inner + free_x + ones)
        right = b.reshape(b.permute(y, (*yb, *yc, *columns)), batch + inner + (1,) * len(free_x) + free_y)
        axes = tuple(range(start, start + len(inner)))
    else:
        start = len(batch) + len(free_x) + len(free_y)
        axes = tuple(range(start, start + len(inner)))
    product = b.op("mul", left, right)
    real = tuple([a for a in axes if product.shape[a] != 1])
    total = b.reshape(product, tuple([e for d, e in enumerate(product.shape) if d not in axes or d in real]))
    gone = [a for a in axes if a not in real]
    total = b.reduce("reduce_sum", total, tuple([a - sum(1 for g in gone if g < a) for a in real]))
    return b.reshape(total, val.shape)


def _strides_last(y: Val, contracted: tuple[int, ...], columns: list[int]) -> bool:
    while y.prim == "permute":
        axes = y.params[0]
        contracted = tuple([axes[c] for c in contracted])
        columns = [axes[c] for c in columns]
        y = y.args[0]
    return max(columns) > max(contracted, default=-1)


def _extent(x: Val, axes: Any) -> int:
    size = 1
    for a in axes:
        size *= x.shape[a]
    return size


def _scan(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    (x,), (axis, reverse) = args, val.params
    if reverse:
        flipped = b.make("flip", (x,), ((axis,),), x.shape, x.dtype, x.device)
        done = b.make(val.prim, (flipped,), (axis, False), x.shape, x.dtype, x.device)
        return b.make("flip", (_scan(b, done, (flipped,)) or done,), ((axis,),), x.shape, x.dtype, x.device)
    if _narrow(val):
        wide = b.make(val.prim, (b.cast(x, float32),), val.params, val.shape, float32, val.device)
        return b.cast(wide, val.dtype)
    return None


def _bool_arithmetic(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    if not val.dtype.is_bool:
        return None
    return b.op("bitor" if val.prim in ("add", "maximum") else "bitand", *args, dtype=bool_)


def _bool_order(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    if not args[0].dtype.is_bool:
        return None
    return b.op(val.prim, *[b.cast(a, uint8) for a in args], dtype=bool_)


def _philox(b: Builder, val: Val, args: tuple[Val, ...]) -> Val:
    """Word e % 4 of the block `counter + e // 4` under the key `seed`."""
    seed, counter = args
    device, shape = val.device, val.shape

    def number(value: int) -> Val:
        return b.const(value, uint32, device)

    def halves(x: Val) -> tuple[Val, Val]:
        shift = b.const(32, uint64, device)
        return b.cast(x, uint32), b.cast(b.op("shr", x, shift), uint32)

    size = val.size
    element = b.reshape(b.make("iota", (), ((size,), 0, uint64, device), (size,), uint64, device), shape)
    block = b.op("add", b.op("shr", element, b.const(2, uint64, device)), counter)
    low, high = halves(block)
    state = [low, high, number(0), number(0)]
    keys = list(halves(seed))
    for step in range(10):
        if step:
            keys = [b.op("add", keys[0], number(0x9E3779B9)), b.op("add", keys[1], number(0xBB67AE85))]
        hi0, lo0 = b.op("mulhi", state[0], number(0xD2511F53)), b.op("mul", state[0], number(0xD2511F53))
        hi1, lo1 = b.op("mulhi", state[2], number(0xCD9E8D57)), b.op("mul", state[2], number(0xCD9E8D57))
        state = [
            b.op("bitxor", b.op("bitxor", hi1, state[1]), keys[0]), lo1,
            b.op("bitxor", b.op("bitxor", hi0, state[3]), keys[1]), lo0,
        ]  # fmt: skip
    word = b.cast(b.op("bitand", element, b.const(3, uint64, device)), uint32)
    result = state[3]
    for k in (2, 1, 0):
        result = b.op("where", b.op("eq", word, number(k), dtype=bool_), state[k], result)
    return b.expand(result, shape)


_RULES: dict[str, Any] = {
    "argmax": _arg, "argmin": _arg, "random_bits": _philox,
    **dict.fromkeys(CONTRACTIONS, _contract), **dict.fromkeys(SCANS, _scan),
    **dict.fromkeys(("add", "mul", "maximum", "minimum"), _bool_arithmetic),
    **dict.fromkeys(("lt", "le"), _bool_order),
}  # fmt: skip
