"""Clusters: the values that one kernel computes, over one iteration space. `fusion.placement` forms them."""

from __future__ import annotations

from typing import Literal

from ...ir.expr import Buffer, Const, Load, Op, Value
from ...ir.guard import Guard
from ...ir.index import ZERO, Var, index
from ...ir.stmt import Store, leaf_loads
from ..program import Val
from .emitter import Emitter, NotFusible, Position
from .registry import is_reduction, starts_kernel

ClusterKind = Literal["map", "rows", "contract", "standalone"]
EXPENSIVE = frozenset(  # operations of the kernel IR, and primitives, that cost about eight additions
    "exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf pow atan2 "
    "sqrt div mod floordiv random_bits take take_along mulhi".split()
)


class Cluster:
    """The values that become one kernel.

    Attributes:
        number: its index among the clusters of the program, in the order of creation.
        kind: the form of its loops; see `fusion.placement`.
        shape: extents of the iteration space, without those of 1.
        reduced: axes of `shape` that are reduced.
        kept: the other axes.
        device: the name of the device.
        vars: the loop variables, one for each axis of `shape`.
        members: the values that it computes, in dependency order.
        cost: the operations in its code, see `operation_count`.
        full: whether its code is too long for more members.
        values: for each member but those that start a kernel of their own kind, the expression at the loop variables.
        accumulators: the buffers that reductions and contractions accumulate in.
        deps: numbers of the clusters that must run before it.
        level: a number that is greater than those of all its dependencies.
        computed: the members, with a value that is being added, by id.
        producers: numbers of the clusters whose results it reads.
        emitter: emits its expressions.
        cluster_of: the cluster of every member of any cluster, by id; shared by all clusters.
    """

    def __init__(
        self, number: int, kind: ClusterKind, shape: tuple[int, ...], reduced: tuple[int, ...], device: str
    ) -> None:
        self.number = number
        self.kind = kind
        self.shape = shape
        self.reduced = reduced
        self.device = device
        self.vars = [Var(f"i{d}", e - 1) for d, e in enumerate(shape)]
        self.kept = tuple([d for d in range(len(shape)) if d not in reduced])
        self.members: list[Val] = []
        self.cost = 0
        self.full = False
        self.level = 0
        self.values: dict[int, Value] = {}
        self.accumulators: dict[int, Buffer] = {}
        self.deps: set[int] = set()
        self.computed: dict[int, Val] = {}
        self.producers: set[int] = set()
        self.emitter = Emitter(self._resolve)
        self.cluster_of: dict[int, Cluster] = {}
        self.stored: set[int] = set()

    def position(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> Position:
        """The loop variables of `axes`, as a position in a shape whose other extents are 1."""
        remaining = iter(axes)
        return tuple([ZERO if e == 1 else index(self.vars[next(remaining)]) for e in shape])

    def results(self) -> dict[int, Val]:
        """The members that are results of a primitive with several results, by their number."""
        return {m.params[0]: m for m in self.members if m.prim == "result"}

    def position_of(self, val: Val) -> Position | None:
        """The position at which this cluster computes a value of this shape; None where the shape does not match."""
        shape = squeezed(val.shape)
        if val.id in self.computed and is_reduction(val):
            return self.position(val.shape, self.kept)
        if shape == self.shape:
            return self.position(val.shape, tuple(range(len(self.shape))))
        if self.reduced and shape == tuple([self.shape[d] for d in self.kept]):
            return self.position(val.shape, self.kept)
        return None

    def _resolve(self, val: Val, position: Position, g: Guard) -> Value | None:
        """The element of a value that is in memory or accumulated here; None for values that are computed inline.

        Raises:
            NotFusible: the value is computed by this cluster at another position, or has no cluster yet.
        """
        if val.id in self.computed:
            if not starts_kernel(val):
                return None
            if position != self.position_of(val):
                raise NotFusible
            accumulator = self.accumulators[val.id]
            return Load(accumulator, position if accumulator.shape else ())
        if val.prim == "leaf":
            return self.emitter.load(val, position, g)
        producer = self.cluster_of.get(val.id)
        if producer is not None:
            if producer is self:
                return None
            self.producers.add(producer.number)
            return self.emitter.load(val, position, g)
        if starts_kernel(val):
            raise NotFusible
        return None


def operation_count(values: list[Value]) -> int:
    """The operations in some expressions; one that is shared counts once, and one of `EXPENSIVE` counts as eight."""
    seen: set[int] = set()
    total, stack = 0, list(values)
    while stack:
        v = stack.pop()
        if id(v) in seen:
            continue
        seen.add(id(v))
        total += 8 if isinstance(v, Op) and v.name in EXPENSIVE else 1
        if isinstance(v, Op):
            stack += v.args
        elif hasattr(v, "value") and not isinstance(v, Const):
            stack.append(v.value)
    return total


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without extents of 1."""
    return tuple([e for e in shape if e != 1])


def store_member(cluster: Cluster, val: Val, value: Value) -> Store:
    """The statement that stores an element of a member at the position at which the cluster computes it."""
    position = cluster.position_of(val)
    assert position is not None
    return Store(cluster.emitter.buffer(val), position, value)


def iterations(cluster: Cluster) -> int:
    """The number of points of the iteration space."""
    size = 1
    for e in cluster.shape:
        size *= e
    return size


def stores_with_most_reads_first(stores: list[Store]) -> list[Store]:
    """The stores of one loop nest, ordered so that those that read most buffers come first.

    A store may be in place over a buffer that no later store of the nest reads: see `planning.in_place`.
    """

    def reads(s: Store) -> int:
        """The number of buffers that a store reads."""
        return len({r.buffer for r in leaf_loads(s)})

    return sorted(stores, key=reads, reverse=True)
