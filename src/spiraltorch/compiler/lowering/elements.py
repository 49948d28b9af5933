"""Inline primitives that are not element-wise: views as index maps, and rules that emit an element.

An index map gives the position in the operand of the element at a position of the result. A rule emits the element as
an expression; loads are guarded so that nothing outside of an operand is read.
"""

from __future__ import annotations

from ...dtypes import int64
from ...ir.expr import Const, FromGuard, FromIndex, Load, Scalar, Value, cast, lookup, op
from ...ir.guard import Guard, guard
from ...ir.index import ZERO, Index, index
from ..program import Val
from .emitter import Emitter, Position, broadcast_position
from .registry import Lowering, Operands, register

# ---------------------------------------------------------------- views as index maps


def _reshape(val: Val, position: Position) -> Position:
    """Maps each group of axes with equal products by itself, so that unrelated axes do not appear in one expression."""
    source, target = val.args[0].shape, val.shape
    result: list[Index] = []
    i = j = 0
    while i < len(source) or j < len(target):
        first_i, first_j = i, j
        a = b = 1
        if i < len(source):
            a, i = source[i], i + 1
        if j < len(target):
            b, j = target[j], j + 1
        while a != b:
            if a < b:
                a, i = a * source[i], i + 1
            else:
                b, j = b * target[j], j + 1
        flat = ZERO
        for extent, p in zip(target[first_j:j], position[first_j:j], strict=True):
            flat = flat * extent + p
        parts: list[Index] = []
        for extent in reversed(source[first_i:i]):
            if len(parts) == i - first_i - 1:
                parts.append(flat if extent != 1 else ZERO)
            else:
                parts.append(flat % extent)
                flat = flat // extent
        result += reversed(parts)
    return tuple(result)


def _expand(val: Val, position: Position) -> Position:
    """Index map of a broadcast: 0 along axes of extent 1."""
    return broadcast_position(val.args[0], val, position)


def _permute(val: Val, position: Position) -> Position:
    """Index map of a permutation."""
    axes = val.params[0]
    result: list[Index] = [ZERO] * len(axes)
    for place, axis in enumerate(axes):
        result[axis] = position[place]
    return tuple(result)


def _slice(val: Val, position: Position) -> Position:
    """Index map of a strided slice."""
    starts, _, steps = val.params
    return tuple([p * step + start for p, start, step in zip(position, starts, steps, strict=True)])


def _flip(val: Val, position: Position) -> Position:
    """Index map of a reversal."""
    axes = val.params[0]
    return tuple([(val.shape[d] - 1) - p if d in axes else p for d, p in enumerate(position)])


def _windows(val: Val, position: Position) -> Position:
    """Index map of sliding windows."""
    axes, _, strides, dilations = val.params
    rank = len(val.args[0].shape)
    result = list(position[:rank])
    for n, axis in enumerate(axes):
        result[axis] = result[axis] * strides[n] + position[rank + n] * dilations[n]
    return tuple(result)


for _name, _index_map in {
    "reshape": _reshape, "expand": _expand, "permute": _permute, "slice": _slice, "flip": _flip, "windows": _windows,
}.items():  # fmt: skip
    register([_name], Lowering(index_map=_index_map, repositions=True))


# ---------------------------------------------------------------- sources, padding, concatenation, gather


def _const(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """A constant."""
    return Const(val.params[0], val.dtype)


def _scalar(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """A scalar parameter of the kernel, which is created at its first use."""
    scalar = e.scalars.get(val.slot)
    if scalar is None:
        scalar = e.scalars[val.slot] = Scalar(f"s{val.slot}", val.dtype)
    return scalar


def _iota(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """The index along an axis, converted to the dtype."""
    axis = val.params[1]
    if val.dtype.is_integer:
        return FromIndex(position[axis], val.dtype)
    return cast(FromIndex(position[axis], int64), val.dtype)


def _pad(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """The element of the operand inside of the padding, the fill value elsewhere."""
    pads, fill = val.params
    (x,) = val.args
    source: list[Index] = []  # the position in the operand
    bounds: list[Index] = []  # not negative where that is an element of the operand
    for p, (lo, _, interior), extent in zip(position, pads, x.shape, strict=True):
        i = p - lo
        if interior:  # the bounds apply to the quotient, which the verifier sees at the access
            bounds.append((i % (interior + 1)) * -1)
            i = i // (interior + 1)
        bounds += [i, index(extent - 1) - i]
        source.append(i)
    inside = guard(*bounds)
    if inside.never:
        return Const(fill, val.dtype)
    if inside.always:
        return e.value(x, tuple(source), g)
    value = e.value(x, tuple(source), g & inside)
    if isinstance(value, Load) and value.guard == g & inside and fill == 0 and g.always:
        return value  # a guarded load gives 0
    return op("select", FromGuard(inside), value, Const(fill, val.dtype))


def _concat(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """The element of the operand that holds the position, selected by comparisons."""
    axis = val.params[0]
    start = sum(a.shape[axis] for a in val.args)
    result: Value | None = None
    for x in reversed(val.args):
        end = start
        start -= x.shape[axis]
        i = position[axis] - start
        inside = guard(i, index(end - 1) - position[axis])
        if inside.never:
            continue
        value = e.value(x, (*position[:axis], i, *position[axis + 1 :]), g & inside)
        below = guard(index(end - 1) - position[axis])
        result = value if result is None or below.always else op("select", FromGuard(below), value, result)
    assert result is not None
    return result


def _clamped(e: Emitter, idx: Val, position: Position, g: Guard, extent: int) -> Index:
    """The index at a position of `idx`, clamped to [0, extent).

    It is memoized, so that one element of `idx` is one variable and equal positions compare equal.
    """
    key = ("lookup", idx.id, position, g, extent)
    known = e.memo.get(key)
    if known is None:
        value = cast(e.value(idx, position, g), int64)
        zero, last = Const(0, int64), Const(extent - 1, int64)
        clamped = op("min", op("max", value, zero), last)
        known = e.memo[key] = FromIndex(lookup(clamped, extent - 1), int64)
    assert isinstance(known, FromIndex)
    return known.position


def _take(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """The element at an index that is read from memory and clamped."""
    x, idx = val.args
    axis = val.params[0]
    rank = len(idx.shape)
    i = _clamped(e, idx, position[axis : axis + rank], g, x.shape[axis])
    return e.value(x, (*position[:axis], i, *position[axis + rank :]), g)


def _take_along(e: Emitter, val: Val, position: Position, g: Guard) -> Value:
    """The element at an index of the same rank, which is clamped."""
    x, idx = val.args
    axis = val.params[0]
    i = _clamped(e, idx, position, g, x.shape[axis])
    return e.value(x, (*position[:axis], i, *position[axis + 1 :]), g)


register(["leaf", "result"], Lowering())  # always in memory
register(["const"], Lowering(element=_const))
register(["scalar"], Lowering(element=_scalar))
register(["iota"], Lowering(element=_iota))
register(["pad"], Lowering(element=_pad, repositions=True))
register(["concat"], Lowering(element=_concat, repositions=True))
register(["take"], Lowering(element=_take, operands=Operands.TABLE, repositions=True))
register(["take_along"], Lowering(element=_take_along, operands=Operands.TABLE, repositions=True))
