"""Plans as text: the kernels, the bytes that they move, what was fused and why."""

from __future__ import annotations

from .decisions import schedule_decisions
from .kernels import nbytes
from .plan import Plan


def explain_plan(plan: Plan) -> str:
    """One line for the plan, one for each loop nest, figures of memory, and the reasons of the decisions."""
    figures, device = plan.statistics, plan.executable.device
    memory = figures.memory
    counted = f"{_count(figures.kernels, 'kernel')} for {_count(figures.operations, 'operation')}"
    lines = [f"plan: {counted} on {device.name}"]
    for n, one in enumerate(plan.kernels.fused):
        for m, nest in enumerate(one.nests):
            moved = sum(nbytes(v) for v in nest.params)
            stored = ", ".join(f"%{v.id} {v.prim} {v.dtype.name}{list(v.shape)}" for v in nest.stores)
            head = f"kernel {n}" if m == 0 else "  and then"
            lines.append(f"  {head} ({nest.kind.value}): {moved:,} bytes, about {nest.work:,} operations -> {stored}")
    work = sum(nest.work for nest in plan.kernels.lowered)
    lines.append(f"moves {memory.moved_bytes:,} bytes in about {work:,} operations")
    lines.append(
        f"intermediates: {memory.arena_bytes:,} bytes, {memory.reused_bytes:,} bytes saved by reuse; results: "
        f"{memory.output_bytes:,} bytes"
    )
    over = 100 * memory.peak_bytes / memory.bound_bytes - 100 if memory.bound_bytes else 0.0
    lines.append(
        f"memory: {memory.peak_bytes:,} bytes at most beside the arguments, where liveness allows "
        f"{memory.bound_bytes:,} ({over:+.1f} %); {memory.donatable_bytes:,} bytes of results can take that of arguments"
    )
    lines.append(f"compiled in {figures.seconds * 1e3:.1f} ms")
    schedules = schedule_decisions(plan.kernels.fused, device.target)
    lines += [f"  {decision}" for decision in (*plan.decisions, *schedules)]
    return "\n".join(lines)


def _count(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
