"""The pass that sorts values directly where the sorting permutation is only used to gather them."""

from __future__ import annotations

from ...ir.target import Target
from ...kernels.radix_sort import SHORTEST_ROW
from ..program import Builder, Program, Val, rebuild


def sort_values(program: Program, target: Target) -> Program:
    """Rewrites `take_along(x, argsort(x))` to a sort of `x`, which need not move indices along with its keys.

    This holds where the permutation has no other reader, on CPUs, and for rows that the radix sort handles.
    """
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
        if x.shape[val.params[0]] < SHORTEST_ROW:
            return None
        return b.make("sort", (x,), order.params, x.shape, x.dtype, x.device)

    return rebuild(program, rule)
