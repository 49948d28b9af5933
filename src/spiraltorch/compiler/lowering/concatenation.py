"""Kernels that copy many parts into one value."""

from __future__ import annotations

from ...ir.stmt import Kernel, Store, block, loop_nest
from ...ir.target import Target
from .cluster import Cluster
from .loops import axis_loops, positions
from .lowered import KernelKind, Lowered, PhaseRole, named, phase
from .registry import Lowering, Operands, Role, register


def lower_join(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """A copy of each part to its place."""
    val = cluster.members[0]
    axis, start = val.params[0], 0
    out, parts, phases = cluster.emitter.buffer(val), [], []
    for n, x in enumerate(val.args):
        if not x.size:
            continue
        loops = axis_loops(x.shape, f"j{n}_")
        place = positions(loops)
        there = (*place[:axis], place[axis] + start, *place[axis + 1 :])
        parts.append(loop_nest(loops, Store(out, there, cluster.emitter.value(x, tuple(place)))))
        phases.append(phase(PhaseRole.ELEMENTWISE, named(loops)))
        start += x.shape[axis]
    return Lowered(Kernel("join", (), block(*parts)), KernelKind.PHASES, [], phases, work=2 * val.size)


register(["join"], Lowering(Role.STANDALONE, Operands.CHEAP, kernel=lower_join))
