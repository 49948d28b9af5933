"""The compiler's decisions as `explain` and traces show them.

Passes and placement make their `Decision`s where they decide. This module numbers kernels as they are launched, and reads
from a scheduled kernel what its rule chose, in the same way for every rule and target.
"""

from __future__ import annotations

from ...ir.expr import Space
from ...ir.stmt import Alloc, For, Kernel, Kind, Stmt, children, walk
from ...ir.target import Target
from ...runtime.interpreter import deep_recursion
from ...telemetry import Decision
from ...telemetry.names import COMPILE_SCHEDULE
from ...telemetry.spans import span
from ..fusion.phases import FusedKernel
from ..fusion.placement import FusionResult
from ..lowering.lowered import KernelKind


def fusion_decisions(fusion: FusionResult, fused: list[FusedKernel]) -> list[Decision]:
    """The decisions of fusion, with the numbers of kernels in launch order in place of those of clusters."""
    launched = [n for n, one in enumerate(fused) for _ in one.nests]
    kernel = {cluster.number: n for cluster, n in zip(fusion.clusters, launched, strict=True)}
    return [d if d.kernel is None else d._replace(kernel=kernel[d.kernel]) for d in fusion.decisions]


def phase_decisions(fused: list[FusedKernel]) -> list[Decision]:
    """Why several loop nests run as phases of one kernel."""
    decisions = []
    for n, one in enumerate(fused):
        if len(one.nests) > 1:
            work = sum(m.work for m in one.nests)
            reason = f"a launch is saved, and about {work:,} operations need no threads of their own between the phases"
            if all(m.kind is KernelKind.MAP for m in one.nests):
                reason = "a launch is saved: they are element-wise"
            decisions.append(Decision("fuse", f"{len(one.nests)} phases", reason, n))
    return decisions


def reuse_decisions(placed: list[tuple[int, int, int, int, str]]) -> list[Decision]:
    """Which values reuse memory, from (start, stop, first kernel, last kernel, name) of all values in one region."""
    decisions = []
    for start, stop, first, _, name in sorted(placed, key=lambda p: p[2]):
        before = [(last, other) for a, b, _, last, other in placed if a < stop and start < b and last < first]
        if before:
            last = max(before)[0]  # the decisions of its successors name earlier owners
            names = ", ".join(other for n, other in before if n == last)
            reason = f"it takes memory of {names}, which nothing reads after kernel {last}"
            decisions.append(Decision("reuse", name, reason))
    return decisions


def scheduled(one: FusedKernel, number: int, target: Target) -> Kernel:
    """The scheduled kernel of a group, in a span that has the schedule as an attribute."""
    with span(COMPILE_SCHEDULE, kernel=number) as s:
        kernel = one.scheduled_kernel(target)
        if s:
            s.set(schedule=describe(kernel, one, target))
        return kernel


def schedule_decisions(fused: list[FusedKernel], target: Target) -> list[Decision]:
    """How each kernel runs, and why. It schedules every kernel again, as kernels from a cache were not scheduled."""
    with deep_recursion():
        return [
            Decision("schedule", f"kernel {n}", describe(g.scheduled_kernel(target), g, target))
            for n, g in enumerate(fused)
        ]


def describe(kernel: Kernel, one: FusedKernel, target: Target) -> str:
    """How a schedule transformed a kernel's loops, with the facts of the target that decided it."""
    loops = [s for s in walk(kernel.body) if isinstance(s, For)]
    parts = []
    lanes = [_extent(s) for s in loops if s.kind is Kind.VECTOR]
    if lanes:
        parts.append(f"vectors of {max(lanes)} lanes ({target.vector_bytes * 8} bits wide on this target)")
    grid, items = _iterations(kernel.body, Kind.GROUP), _iterations(kernel.body, Kind.ITEM)
    if target.has_grid:
        parts.append(f"at most {grid:,} x {items} items (groups x items of each)")
    else:
        parts.append(_threads(loops, sum(m.work for m in one.nests), target))
    for space, word in ((Space.REGISTER, "registers"), (Space.SCRATCH, "a thread's scratch"),
                        (Space.WORKGROUP, "shared memory"), (Space.GLOBAL, "packed memory")):  # fmt: skip
        size = sum(s.buffer.nbytes for s in walk(kernel.body) if isinstance(s, Alloc) and s.buffer.space is space)
        if size:
            parts.append(f"{size:,} bytes in {word}")
    parts += dict.fromkeys(m.choices.origin for m in one.nests if m.choices.origin)
    return ", ".join(parts)


def _threads(loops: list[For], work: int, target: Target) -> str:
    """How many threads share a kernel, and why."""
    tasks = [_extent(s) for s in loops if s.kind is Kind.PARALLEL]
    if tasks:
        return f"{max(tasks):,} tasks on {target.threads} threads since there are about {work:,} operations"
    if target.threads < 2:
        return "one thread since the target has no more"
    if work < (pays := target.parallel_work):
        return f"one thread since about {work:,} operations are fewer than the {pays:,} that pay for more"
    return "one thread since no outer loop can be shared"


def _extent(s: For) -> int:
    """The most iterations of a loop."""
    return s.extent.bounds[1]


def _iterations(stmt: Stmt, kind: Kind) -> int:
    """The iterations of nested loops of a kind, in the phase that has most."""
    inner = max((_iterations(child, kind) for child in children(stmt)), default=1)
    return inner * _extent(stmt) if isinstance(stmt, For) and stmt.kind is kind else inner
