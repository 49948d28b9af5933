"""Reductions that would keep few items of a throughput-oriented device busy."""

from __future__ import annotations

from ...ir.target import Target
from ..decompositions.common import divisor
from ..decompositions.reduction import in_parts
from ..lowering.registry import is_reduction
from ..program import Builder, Program, Val, rebuild

OVERSUBSCRIBED = 64  # as many times the items that keep a device busy: partial results are cheap


def spread_reductions(program: Program, target: Target) -> Program:
    """A reduction that would keep few items of a throughput-oriented device busy is done in two steps."""
    if not target.throughput_oriented or not any(is_reduction(v) for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if not is_reduction(val) or not args[0].size:
            return None
        (x,), axes = args, val.params[0]
        axis = max(axes, key=lambda a: x.shape[a])
        # One group to a row of the innermost axis, one item to a column of another.
        along = len(x.shape) - 1 in axes
        items, least = OVERSUBSCRIBED * target.busy_items, 2048 if along else 32
        want = items // target.preferred_group_items if along else items
        parts = min(-(-want // val.size), x.size // val.size // least, 1024)
        return in_parts(b, val.prim, x, axes, axis, divisor(x.shape[axis], parts)) if parts > 1 else None

    return rebuild(program, rule)
