"""Plans as text for people: what runs, what it moves, what was fused and why."""

from __future__ import annotations

from .decisions import schedules
from .plan import Plan


def explain_plan(plan: Plan) -> str:
    """One line for the plan, one for each kernel, and the reasons of the fusion."""
    name = plan.device.name
    lines = [f"plan: {_count(plan.kernels, 'kernel')} for {_count(plan.unfused, 'operation')} on {name}"]
    total = 0
    for n, one in enumerate(plan.groups):
        for m, low in enumerate(one.members):
            moved = sum(v.size * v.dtype.itemsize for v in low.params)
            total += low.work
            made = ", ".join(f"%{v.id} {v.prim} {v.dtype.name}{list(v.shape)}" for v in low.stores)
            head = f"kernel {n}" if m == 0 else "  and then"
            lines.append(f"  {head} ({low.kind}): {moved:,} bytes, about {low.work:,} operations -> {made}")
    lines.append(f"moves {plan.bytes_moved:,} bytes in about {total:,} operations")
    lines.append(
        f"intermediates: {plan.arena_bytes:,} bytes, {plan.reuse:,} bytes saved by reuse; results: "
        f"{sum(plan.output_bytes):,} bytes"
    )
    over = 100 * plan.peak_bytes / plan.least_bytes - 100 if plan.least_bytes else 0.0
    lines.append(
        f"memory: {plan.peak_bytes:,} bytes at most beside the arguments, where liveness allows {plan.least_bytes:,} "
        f"({over:+.1f} %); {sum(plan.output_bytes[n] for n in plan.donors):,} bytes of results can take that of arguments"
    )
    lines.append(f"compiled in {plan.made * 1e3:.1f} ms")
    lines += [f"  {decision}" for decision in (*plan.decisions, *schedules(plan.groups, plan.device.target))]
    return "\n".join(lines)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
