"""Kernels of sorts, of values or of positions: merge passes for short rows, a radix sort for long ones."""

from __future__ import annotations

from ...ir.expr import Space, Value
from ...ir.index import Index
from ...ir.stmt import Alloc, For, Kernel, Stmt, Store, block, loop_nest
from ...ir.target import Target
from ...ir.tree import copy_loop_nest
from ...kernels.merge_sort import argsort_passes
from ...kernels.radix_sort import SHORTEST_ROW, WIDE_DIGIT_ROW, KeyFn, RadixSort, StoreFn, radix_sort_phases
from ..program import Val
from .cluster import Cluster
from .loops import axis_loops, positions
from .lowered import KernelKind, LoopRole, Lowered, NamedLoop, Phase, PhaseRole, named, phase
from .registry import Lowering, Operands, Role, register


def lower_sort(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """A radix sort of each row, or a merge sort of a short one; for throughput a merge sort with a phase for each pass."""
    val, throughput = cluster.members[0], target.throughput_oriented
    (x,), (axis, descending) = val.args, val.params
    emitter = cluster.emitter
    out = emitter.buffer(val)
    loops = axis_loops(val.shape)
    place = positions(loops)
    outer = [one for d, one in enumerate(loops) if d != axis]

    def key(position: Index) -> Value:
        return emitter.value(x, (*place[:axis], position, *place[axis + 1 :]))

    def store(position: Index, value: Value) -> Store:
        return Store(out, (*place[:axis], position, *place[axis + 1 :]), value)

    n = val.shape[axis]
    if not throughput and n >= SHORTEST_ROW:
        return _radix(val, key, store, outer, target)
    work = val.size * max(1, n.bit_length()) ** 2 * 2
    tables, parts = argsort_passes(
        n, x.dtype, key, store, descending, outer if throughput else [], Space.GLOBAL if throughput else Space.SCRATCH
    )
    phases: list[Phase] = []
    if throughput:
        nests = [copy_loop_nest(outer, part, lambda name, k=k: f"{name}.{k}") for k, part in enumerate(parts)]  # type: ignore[misc]
        for k, part in enumerate(parts):
            assert isinstance(part, For)
            phases.append(phase(PhaseRole.ELEMENTWISE, _copied(outer, k), named([part])))
        body = block(*nests)
    else:
        body = block(*parts)
    for table in tables:
        body = Alloc(table, body)
    if throughput:
        return Lowered(Kernel("argsort", (), body), KernelKind.PHASES, [], phases, work=work)
    kernel = Kernel("argsort", (), loop_nest(outer, body))
    return Lowered(kernel, KernelKind.SERIAL, named(outer), work=work)


def _copied(rows: list[For], number: int) -> list[NamedLoop]:
    """The loops over rows as each phase has its own."""
    return [NamedLoop(f"{one.var.name}.{number}", LoopRole.SPATIAL) for one in rows]


def _radix(val: Val, key: KeyFn, store: StoreFn, outer: list[For], target: Target) -> Lowered:
    """One thread per row, or several threads per row where there are fewer long rows than threads."""
    (x,), (axis, descending) = val.args, val.params
    n = val.shape[axis]
    rows = val.size // n
    shared = n >= WIDE_DIGIT_ROW and 1 < target.threads and rows < 2 * target.threads
    groups = 2 * target.threads if shared else 1
    space = Space.GLOBAL if shared else Space.SCRATCH
    of = RadixSort(n, x.dtype, descending, val.prim == "argsort", groups)
    scratch, parts = radix_sort_phases(of, key, store, outer if shared else [], space)
    if shared:
        nests = [copy_loop_nest(outer, part.nest, lambda name, k=k: f"{name}.{k}") for k, part in enumerate(parts)]  # type: ignore[misc]
        body: Stmt = block(*nests)
    else:
        body = block(*[part.nest for part in parts])
    inner = LoopRole.SPATIAL if shared else LoopRole.LANE
    phases = [
        phase(
            PhaseRole.ELEMENTWISE if part.vectorized else PhaseRole.SEQUENTIAL,
            _copied(outer, k) if shared else [],
            [NamedLoop(name, inner) for name in part.spatial],
            [NamedLoop(name, LoopRole.INTERLEAVED) for name in part.unrolled],
        )
        for k, part in enumerate(parts)
    ]
    for buffer in scratch:
        body = Alloc(buffer, body)
    body = body if shared else loop_nest(outer, body)
    around = [] if shared else named(outer)
    return Lowered(Kernel(val.prim, (), body), KernelKind.SORT, around, phases, work=val.size * 64)


register(["argsort", "sort"], Lowering(Role.STANDALONE, Operands.MEMORY, kernel=lower_sort))
