"""Kernels of scans: running sums, products and extremes along one axis."""

from __future__ import annotations

from ...ir.expr import Buffer, Load, Space
from ...ir.guard import less
from ...ir.index import index
from ...ir.reductions import identity
from ...ir.stmt import Accumulate, Alloc, Kernel, Store, block, loop, loop_nest
from ...ir.target import Target
from ..decompositions.scan import decompose_scan
from .cluster import Cluster
from .loops import axis_loops, positions
from .lowered import KernelKind, LoopRole, Lowered, PhaseRole, named, phase
from .registry import Lowering, Operands, Role, register

SCAN_OP = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}


def lower_scan(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The scanned axis runs in order with its total in registers; the last axis, if another, in blocks of lanes."""
    val, width = cluster.members[0], 64 if target.has_vectors else 1
    (x,), axis = val.args, val.params[0]
    emitter, out = cluster.emitter, cluster.emitter.buffer(val)
    first = identity(SCAN_OP[val.prim], val.dtype)
    loops = axis_loops(val.shape)
    step = loop("t", val.shape[axis])
    place = positions(loops)
    place[axis] = index(step.var)
    last = len(val.shape) - 1
    if axis == last or val.shape[last] == 1:
        acc = Buffer("total", (), val.dtype, Space.REGISTER)
        value = emitter.value(x, tuple(place))
        body = block(Accumulate(acc, (), SCAN_OP[val.prim], value), Store(out, tuple(place), Load(acc, ())))
        inside = Alloc(acc, block(Store(acc, (), first), loop_nest([step], body)))
        outer = [one for d, one in enumerate(loops) if d != axis]
        kernel = Kernel(val.prim, (), loop_nest(outer, inside))
        return Lowered(kernel, KernelKind.SERIAL, named(outer), work=4 * val.size)
    extent = val.shape[last]
    width = min(width, 1 << (extent - 1).bit_length())
    blocks, begin, inner = loop("ob", -(-extent // width)), loop("oi0", width), loop("oi1", width)
    acc = Buffer("total", (index(width),), val.dtype, Space.REGISTER)
    here = index(blocks.var) * width + index(inner.var)
    place[last] = here
    value = emitter.value(x, tuple(place))
    within = less(here, extent)
    body = block(
        Accumulate(acc, (index(inner.var),), SCAN_OP[val.prim], value, within),
        Store(out, tuple(place), Load(acc, (index(inner.var),)), within),
    )
    start = loop_nest([begin], Store(acc, (index(begin.var),), first))
    outer = [*(one for d, one in enumerate(loops) if d not in (axis, last)), blocks]
    kernel = Kernel(val.prim, (), loop_nest(outer, Alloc(acc, block(start, loop_nest([step, inner], body)))))
    phases = [
        phase(PhaseRole.ELEMENTWISE, named([begin], LoopRole.LANE)),
        phase(PhaseRole.SEQUENTIAL, named([step], LoopRole.SEQUENTIAL), named([inner], LoopRole.LANE)),
    ]
    return Lowered(kernel, KernelKind.COLUMNS, named(outer), phases, work=4 * val.size)


register(SCAN_OP, Lowering(Role.STANDALONE, Operands.CHEAP, decompose=decompose_scan, kernel=lower_scan))
