"""Kernels of scatters: a copy of the base, then the updates."""

from __future__ import annotations

from ...dtypes import int64
from ...ir.expr import Value, cast, lookup
from ...ir.guard import Guard, guard
from ...ir.index import INFINITY, index
from ...ir.stmt import Accumulate, Kernel, Stmt, Store, block, loop_nest
from ...ir.target import Target
from ..decompositions.scatter import decompose_scatter
from .cluster import Cluster
from .loops import axis_loops, positions
from .lowered import KernelKind, LoopRole, Lowered, PhaseRole, named, phase
from .registry import Lowering, Operands, Role, register

SCATTER_OP = {"add": "add", "mul": "mul", "max": "max", "min": "min"}


def lower_scatter(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """A copy of the base, then the updates: in order for each element; for throughput, elements in parallel."""
    val = cluster.members[0]
    base, idx, upd = val.args
    axis, mode = val.params
    emitter = cluster.emitter
    copy = axis_loops(val.shape, "c")
    out = emitter.buffer(val)
    start = loop_nest(copy, Store(out, tuple(positions(copy)), emitter.value(base, tuple(positions(copy)))))
    loops = axis_loops(upd.shape, "u")
    place = positions(loops)
    rank = len(idx.shape) if val.prim == "scatter" else 1
    where = tuple(place[axis : axis + rank]) if val.prim == "scatter" else tuple(place)
    row = cast(emitter.value(idx, where), int64)
    extent = val.shape[axis]
    inside = _inside(row, extent)
    destination = (*place[:axis], lookup(row, extent - 1), *place[axis + rank :])
    value = emitter.value(upd, tuple(place))
    leaf: Stmt
    if mode == "set":
        leaf = Store(out, destination, value, inside)
    else:
        leaf = Accumulate(out, destination, SCATTER_OP[mode], value, inside)
    ordered = loops[axis : axis + rank]
    if target.throughput_oriented:
        free = [one for d, one in enumerate(loops) if not axis <= d < axis + rank]
        kernel = Kernel(val.prim, (), block(start, loop_nest([*free, *ordered], leaf)))
        phases = [
            phase(PhaseRole.ELEMENTWISE, named(copy)),
            phase(PhaseRole.SEQUENTIAL, named(free), named(ordered, LoopRole.SEQUENTIAL)),
        ]
        return Lowered(kernel, KernelKind.PHASES, [], phases, work=4 * (val.size + upd.size))
    kernel = Kernel(val.prim, (), block(start, loop_nest(loops, leaf)))
    after = LoopRole.LANE if val.prim == "scatter" else LoopRole.SEQUENTIAL  # an index may be another in each lane
    updates = (named(loops[: axis + rank], LoopRole.SEQUENTIAL), named(loops[axis + rank :], after))
    phases = [phase(PhaseRole.ELEMENTWISE, named(copy)), phase(PhaseRole.SEQUENTIAL, *updates)]
    return Lowered(kernel, KernelKind.SCATTER, [], phases, work=4 * (val.size + upd.size))


def _inside(row: Value, extent: int) -> Guard:
    raw = lookup(row, INFINITY, -INFINITY)
    return guard(raw, index(extent - 1) - raw)


register(
    ["scatter", "scatter_along"],
    Lowering(Role.STANDALONE, Operands.CHEAP, decompose=decompose_scatter, kernel=lower_scatter),
)
