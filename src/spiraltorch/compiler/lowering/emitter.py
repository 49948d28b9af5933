"""Emission of expressions: the element of a value at a position, as an expression of the kernel IR.

Contract
- Emission is demand-driven: a reader emits its operands at the positions that it reads. Element-wise operations read
  the same position, views map it, and values in memory become loads. `registry.LOWERINGS` has each primitive's rule.
- The same value at the same position under the same guard is one expression, which is emitted once.
- Nothing is stored here; which values are in memory is decided by fusion.
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
    """A value reads a result of the same kernel at a position that the kernel does not compute at that point."""


class Emitter:
    """Emits the expressions of one kernel and collects its parameters.

    Attributes:
        resolve: `resolve(val, position, guard)` returns the expression of a value in memory or in an accumulator, or
            None for values that are computed inline.
        buffers: the kernel's buffers by the id of the value that each holds.
        values: those values by id.
        scalars: the kernel's scalar parameters by slot.
        memo: emitted expressions by (id, position, guard), with keys of their own for indices.
    """

    def __init__(self, resolve: Callable[[Val, Position, Guard], Value | None]) -> None:
        self.resolve = resolve
        self.buffers: dict[int, Buffer] = {}
        self.values: dict[int, Val] = {}
        self.scalars: dict[int, Scalar] = {}
        self.memo: dict[object, Value] = {}

    def buffer(self, val: Val) -> Buffer:
        """The kernel's buffer that holds `val`."""
        buffer = self.buffers.get(val.id)
        if buffer is None:
            shape = tuple([index(e) for e in val.shape])
            buffer = self.buffers[val.id] = Buffer(f"p{len(self.buffers)}", shape, val.dtype)
            self.values[val.id] = val
        return buffer

    def load(self, val: Val, position: Position, condition: Guard) -> Value:
        """The element of `val` at `position`, read from its buffer."""
        return Load(self.buffer(val), position, condition)

    def value(self, val: Val, position: Position, condition: Guard = ALWAYS) -> Value:
        """The element of `val` at `position`; reads happen only where `condition` holds."""
        key = (val.id, position, condition)
        value = self.memo.get(key)
        if value is None:
            value = self.resolve(val, position, condition)
            if value is None:
                value = self.computed(val, position, condition)
            self.memo[key] = value
        return value

    def computed(self, val: Val, position: Position, condition: Guard = ALWAYS) -> Value:
        """The element of `val` at `position`, computed from its operands even if `val` is in memory."""
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
