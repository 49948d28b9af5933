"""The passes that split reductions and scans with too little parallelism, or too many steps for one item of a group."""

from __future__ import annotations

from ...ir.target import Target
from ..decompositions.common import part_count
from ..decompositions.reduction import in_parts
from ..decompositions.scan import in_blocks
from ..lowering.registry import is_reduction
from ..program import Builder, Program, Val, rebuild

LOOPS_OF_ITEM = (
    4  # the iterations that an item may execute are shared by nested loops and several reductions of a kernel
)
SHORT_SCAN = 256  # elements that one item scans, where there are not enough rows
SCANS = ("cumsum", "cumprod", "cummax", "cummin")
OVERSUBSCRIBED = 64  # parts are made for this many times the items that occupy the device, as they are cheap


def spread_reductions(program: Program, target: Target) -> Program:
    """Splits reductions into partial reductions and a final one, so that all items of a GPU have work.

    Where the device limits the iterations of an item, a reduction has at least the parts that it needs to stay below.
    """
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
        terms = x.size // val.size
        needed = -(-terms // (target.item_iterations // LOOPS_OF_ITEM))
        parts = max(min(-(-wanted_results // val.size), terms // min_terms, 1024), needed)
        if parts < 2:
            return None
        return in_parts(b, val.prim, x, axes, axis, part_count(x.shape[axis], parts, max(-(-parts // 4), needed)))

    return rebuild(program, rule)


def spread_scans(program: Program, target: Target) -> Program:
    """Splits scans of few long rows into blocks, which are scanned side by side, so that all items of a GPU have work."""
    if not target.throughput_oriented or not any(v.prim in SCANS for v in program.vals):
        return program
    longest = target.item_iterations // LOOPS_OF_ITEM

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim not in SCANS:
            return None
        (x,), axis = args, val.params[0]
        n, busy = x.shape[axis], x.size // x.shape[axis] >= target.busy_items
        if n <= (longest if busy else SHORT_SCAN):
            return None
        return in_blocks(b, val.prim, x, axis, SHORT_SCAN, longest)

    return rebuild(program, rule)
