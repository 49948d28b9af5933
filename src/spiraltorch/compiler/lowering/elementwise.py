"""Element-wise kernels: one loop for each axis of the cluster's space, one store for each member."""

from __future__ import annotations

from ...graph import primitives as _primitives  # noqa: F401  # defines them
from ...graph.primitive import REGISTRY
from ...ir.index import index
from ...ir.stmt import For, Kernel, Kind, block, loop_nest
from ...ir.target import Target
from ..decompositions import boolean
from ..decompositions.random import decompose_random_bits
from .cluster import Cluster, iterations, operation_count, store_member, stores_with_most_reads_first
from .lowered import KernelKind, Lowered, named
from .registry import Lowering, register


def lower_elementwise(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of a cluster whose members are all element-wise."""
    stores = stores_with_most_reads_first([store_member(cluster, m, cluster.values[m.id]) for m in cluster.members])
    loops = [For(v, index(e), block(), Kind.SERIAL) for v, e in zip(cluster.vars, cluster.shape, strict=True)]
    for n, one in enumerate(loops):
        one.var.name = f"o{n}"
    kernel = Kernel("map", (), loop_nest(loops, block(*stores)))
    work = iterations(cluster) * operation_count([s.value for s in stores])
    return Lowered(kernel, KernelKind.MAP, named(loops), work=work)


_BOOLEAN_RULES = {
    **dict.fromkeys(("add", "mul", "maximum", "minimum"), boolean.decompose_arithmetic),
    **dict.fromkeys(("lt", "le"), boolean.decompose_order),
}
_OPERATIONS = [p.name for p in REGISTRY.values() if p.kind == "elementwise" and p.decompose is None]
for _name in (*_OPERATIONS, "mulhi"):
    register([_name], Lowering(decompose=_BOOLEAN_RULES.get(_name)))
register(["random_bits"], Lowering(decompose=decompose_random_bits))
