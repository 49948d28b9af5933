"""From values of a program to values of the kernel IR: each value is a function of a position, pulled by its reader.

Element-wise operations ask their operands at the same position; views ask at another one; memory is read where a value
lives in a buffer. How each primitive does so is in `registry.LOWERINGS`. Nothing is stored here: fusion decides that.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.expr import Buffer, Cast, Load, Scalar, Value, cast, op
from ...ir.guard import ALWAYS, Guard
from ...ir.index import ZERO, Index, index
from ..program import Val
from .registry import LOWERINGS

Position = tuple[Index, ...]
OPS = {
    "maximum": "max", "minimum": "min", "bitand": "and", "bitor": "or", "bitxor": "xor", "invert": "not",
    "where": "select",
}  # fmt: skip


class NotFusible(Exception):
    """The value needs a result of the same kernel at a position that does not exist yet."""


class Emitter:
    """Pulls values for one kernel. `resolve` answers for values that live in memory or registers, or None."""

    def __init__(self, resolve: Callable[[Val, Position, Guard], Value | None]) -> None:
        self.resolve = resolve
        self.buffers: dict[int, Buffer] = {}  # val id -> parameter
        self.values: dict[int, Val] = {}
        self.scalars: dict[int, Scalar] = {}  # slot -> parameter
        self.memo: dict[object, Value] = {}

    def buffer(self, val: Val) -> Buffer:
        """The parameter that holds `val` in this kernel."""
        found = self.buffers.get(val.id)
        if found is None:
            shape = tuple([index(e) for e in val.shape])
            found = self.buffers[val.id] = Buffer(f"p{len(self.buffers)}", shape, val.dtype)
            self.values[val.id] = val
        return found

    def load(self, val: Val, position: Position, condition: Guard) -> Value:
        return Load(self.buffer(val), position, condition)

    def value(self, val: Val, position: Position, condition: Guard = ALWAYS) -> Value:
        """The element of `val` at `position`; reads happen only where `condition` holds."""
        key = (val.id, position, condition)
        known = self.memo.get(key)
        if known is None:
            known = self.resolve(val, position, condition)
            if known is None:
                known = self.computed(val, position, condition)
            self.memo[key] = known
        return known

    def computed(self, val: Val, position: Position, condition: Guard = ALWAYS) -> Value:
        """The element of `val` at `position`, computed from its operands even where `val` itself lives in memory."""
        prim, args = val.prim, val.args
        lowering = LOWERINGS[prim]
        if lowering.index_map is not None:
            return self.value(args[0], lowering.index_map(val, position), condition)
        if lowering.element is not None:
            return lowering.element(self, val, position, condition)
        values = [self.value(a, broadcast_position(a, val, position), condition) for a in args]
        if prim == "cast":
            return cast(values[0], val.dtype)
        if prim == "bitcast":
            return Cast(values[0], val.dtype, bits=True)
        return op(OPS.get(prim, prim), *values)


def broadcast_position(arg: Val, val: Val, position: Position) -> Position:
    """The position in an operand of the element that an element-wise operation reads for `position`."""
    if arg.shape == val.shape:
        return position
    skip = len(val.shape) - len(arg.shape)
    return tuple([ZERO if e == 1 else p for e, p in zip(arg.shape, position[skip:], strict=True)])
