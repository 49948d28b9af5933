"""From clusters to unscheduled kernels: `LOWERINGS` says how each primitive is lowered, one module for each kind of kernel.

The loops are named so that the schedules can address them: `o0, o1, ...` over kept axes, `r{phase}_{axis}` over reduced
ones, `ob` and `oi{phase}` where the innermost kept axis is taken in blocks, and `k0, k1, ...` for a contraction's terms.
"""

from __future__ import annotations

from ...ir.stmt import Kernel
from ...ir.target import Target
from . import attention, concatenation, contraction, elements, reduction, scan, scatter, sort  # enter their lowerings
from .cluster import Cluster
from .elementwise import lower_elementwise
from .lowered import Lowered
from .registry import LOWERINGS

__all__ = ["LOWERINGS", "Lowered", "attention", "concatenation", "contraction", "elements", "lower", "reduction", "scan",
           "scatter", "sort"]  # fmt: skip


def lower(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The unscheduled kernel of a cluster.

    Args:
        cluster: values that share a kernel.
        stored: ids of the members that go to memory.
        target: facts of the device.
    """
    rule = LOWERINGS[cluster.members[0].prim].kernel or lower_elementwise
    lowered = rule(cluster, stored, target)
    emitter = cluster.emitter
    lowered.params = [emitter.values[i] for i in emitter.buffers]
    lowered.scalars = list(emitter.scalars)
    lowered.stores = [m for m in cluster.members if m.id in stored]
    kernel = lowered.kernel
    lowered.kernel = Kernel(kernel.name, tuple(emitter.buffers.values()), kernel.body, tuple(emitter.scalars.values()))
    return lowered
