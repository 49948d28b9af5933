"""The pass that splits reductions with too little parallelism for a throughput-oriented device."""

from __future__ import annotations

from ...ir.target import Target
from ..decompositions.common import divisor
from ..decompositions.reduction import in_parts
from ..lowering.registry import is_reduction
from ..program import Builder, Program, Val, rebuild

OVERSUBSCRIBED = 64  # parts are made for this many times the items that occupy the device, as they are cheap


def spread_reductions(program: Program, target: Target) -> Program:
    """Splits reductions into partial reductions and a final one, so that all items of a GPU have work."""
    if not target.throughput_oriented or not any(is_reduction(v) for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if not is_reduction(val) or not args[0].size:
            return None
        (x,), axes = args, val.params[0]
        axis = max(axes, key=lambda a: x.shape[a])
        # A group reduces a row if the innermost axis is reduced; otherwise an item reduces a column.
        innermost = len(x.shape) - 1 in axes
        items, min_terms = OVERSUBSCRIBED * target.busy_items, 2048 if innermost else 32
        wanted_results = items // target.preferred_group_items if innermost else items
        parts = min(-(-wanted_results // val.size), x.size // val.size // min_terms, 1024)
        return in_parts(b, val.prim, x, axes, axis, divisor(x.shape[axis], parts)) if parts > 1 else None

    return rebuild(program, rule)
