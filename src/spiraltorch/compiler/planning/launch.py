"""Generated launchers: running a plan as one function without loops over buffers or lists of pointers.

A launcher does what `Plan.run` does without donated leaves. It calls that for everything else: plans with checks, scalars
that need conversion, listeners of telemetry, a change of tuners.
"""

from __future__ import annotations

from typing import Any

from ...telemetry.counting import COUNTS
from ...telemetry.spans import ACTIVE
from ..tuning_state import TUNING
from .plan import Launcher, Plan

MAX_BUFFERS = 512  # leaves and outputs above which the loops of `Executable.run` are as fast


def make_launcher(plan: Plan) -> Launcher:
    """A function of the leaves' buffers and the scalars that returns what `Plan.run` returns.

    It holds for the plan as it is linked now. After a change of tuners it calls `Plan.run`.
    """
    executable, figures = plan.executable, plan.statistics
    leaves = [f"l{n}" for n in range(plan.interface.leaf_count)]
    scalars = [f"s{n}" for n in range(len(plan.interface.scalars))]
    run = f"run([{', '.join(leaves)}], [{', '.join(scalars)}])"
    lines = [f"def launch({', '.join(leaves + scalars)}):"]
    scope: dict[str, Any] = {"ACTIVE": ACTIVE, "TUNING": TUNING, "COUNTS": COUNTS, "run": plan.run}
    outputs, main = executable.output_bytes, executable.main
    if executable.checks or executable.table.converts or main is None or len(leaves) + len(outputs) > MAX_BUFFERS:
        lines.append(f"    return {run}")
    else:
        program = main.program
        scope.update(
            allocate=executable.device.allocate, pack=executable.table.pack, table=program.table, start=program.run
        )
        pointers = [f"{leaf}.ptr" for leaf in leaves] + [f"b{n}.ptr" for n in range(len(outputs))]
        lines.append(f"    if ACTIVE or TUNING.generation != {TUNING.generation}: return {run}")
        lines += [f"    b{n} = allocate({nbytes})" for n, nbytes in enumerate(outputs)]
        if executable.arena_bytes:
            lines.append(f"    arena = allocate({executable.arena_bytes})")
        pointers.append("arena.ptr" if executable.arena_bytes else "0")
        lines += [
            f"    try: pack(table, 0, {', '.join(pointers + scalars)})",
            f"    except OverflowError: return {run}",
            "    start()",
            "    COUNTS['plans_run'] += 1",
            f"    COUNTS['kernels_launched'] += {figures.kernels}",
            f"    COUNTS['kernels_before_fusion'] += {figures.operations}",
            f"    COUNTS['bytes_moved'] += {figures.memory.moved_bytes}",
        ]
        results = [f"l{n}" if is_leaf else f"b{n}" for is_leaf, n in executable.results]
        lines.append(f"    return ({''.join(f'{r}, ' for r in results)})")
    exec("\n".join(lines), scope)  # the text is made of names and numbers only
    launch: Launcher = scope["launch"]
    return launch
