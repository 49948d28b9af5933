"""A plan's launch as one generated function: no loops over buffers, no lists of pointers.

It does what `Plan.run` does for a plan without checks whose leaves nobody gives away; whatever else comes up is left to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...telemetry.counting import COUNTS
from ...telemetry.spans import ACTIVE
from ..schedules.tuned import GENERATION

if TYPE_CHECKING:
    from .plan import Plan

MOST = 512  # leaves and results above which the loops of `Plan.run` are as good


def launcher(plan: Plan, leaves: int, scalars: int) -> Callable[..., Any]:
    """A function of the leaves' buffers and the scalars that gives what `Plan.run` gives.

    It is of the plan as it is linked now: another generation of tunings goes the long way.
    """
    outputs = plan.output_bytes
    given = [f"l{n}" for n in range(leaves)]
    numbers = [f"s{n}" for n in range(scalars)]
    long_way = f"run([{', '.join(given)}], [{', '.join(numbers)}])"
    lines = [f"def launch({', '.join(given + numbers)}):"]
    if plan.checks or plan.convert or plan.kernels == 0 or leaves + len(outputs) > MOST:
        lines.append(f"    return {long_way}")
    else:
        runs, _ = plan.programs[-1]
        arena = ["0"]
        lines.append(f"    if ACTIVE or GENERATION[0] != {GENERATION[0]}: return {long_way}")
        lines += [f"    b{n} = allocate({nbytes})" for n, nbytes in enumerate(outputs)]
        if plan.arena_bytes:
            lines.append(f"    arena = allocate({plan.arena_bytes})")
            arena = ["arena.ptr"]
        pointers = [f"l{n}.ptr" for n in range(leaves)] + [f"b{n}.ptr" for n in range(len(outputs))] + arena
        lines += [
            f"    try: pack(table, 0, {', '.join(pointers + numbers)})",
            f"    except OverflowError: return {long_way}",
            "    start()",
            "    COUNTS['plans_run'] += 1",
            f"    COUNTS['kernels_launched'] += {plan.kernels}",
            f"    COUNTS['kernels_before_fusion'] += {plan.unfused}",
            f"    COUNTS['bytes_moved'] += {plan.bytes_moved}",
        ]
        made = [f"l{n}" if is_leaf else f"b{n}" for is_leaf, n in plan.aliases]
        lines.append(f"    return ({''.join(f'{m}, ' for m in made)})")
    scope: dict[str, Any] = {"ACTIVE": ACTIVE, "GENERATION": GENERATION, "COUNTS": COUNTS, "run": plan.run}
    if plan.programs:
        runs, _ = plan.programs[-1]
        scope.update(allocate=plan.device.allocate, pack=plan.pack, table=runs.table, start=runs.run)
    exec("\n".join(lines), scope)  # the text is made of names and numbers only
    made_launch: Callable[..., Any] = scope["launch"]
    return made_launch
