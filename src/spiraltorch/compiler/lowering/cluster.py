"""A cluster: the values that one kernel computes, over one iteration space."""

from __future__ import annotations

from ...ir.expr import Buffer, Const, Load, Op, Value
from ...ir.guard import Guard
from ...ir.index import ZERO, Var, index
from ...ir.stmt import Store, leaf_loads
from ..program import Val
from .emitter import Emitter, NotFusible, Position
from .registry import is_reduction, starts_kernel

EXPENSIVE = frozenset(  # operations of the kernel IR, and primitives, that cost about eight additions
    "exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf pow atan2 "
    "sqrt div mod floordiv random_bits take take_along mulhi".split()
)


class Cluster:
    """One kernel to be. `deps` are the clusters that must run before it."""

    def __init__(self, number: int, kind: str, shape: tuple[int, ...], reduced: tuple[int, ...], device: str) -> None:
        self.number = number
        self.kind = kind
        self.shape = shape  # of the iteration space, without extents of 1
        self.reduced = reduced  # axes of `shape` that are reduced
        self.device = device
        self.vars = [Var(f"i{d}", e - 1) for d, e in enumerate(shape)]
        self.kept = tuple([d for d in range(len(shape)) if d not in reduced])
        self.members: list[Val] = []
        self.cost = 0  # operations of its code, see `operation_count`
        self.full = False
        self.rank = 0  # higher than those of `deps`
        self.values: dict[int, Value] = {}  # what each member computes, at the loop variables
        self.accumulators: dict[int, Buffer] = {}
        self.deps: set[int] = set()
        self.inside: dict[int, Val] = {}
        self.touched: set[int] = set()
        self.emitter = Emitter(self._resolve)
        self.placed: dict[int, Cluster] = {}
        self.stored: set[int] = set()

    def position(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> Position:
        """The loop variables of `axes`, as a position in a shape that may have extra extents of 1."""
        rest = iter(axes)
        return tuple([ZERO if e == 1 else index(self.vars[next(rest)]) for e in shape])

    def results(self) -> dict[int, Val]:
        """Of a primitive with several results those that are used, by their numbers."""
        return {m.params[0]: m for m in self.members if m.prim == "result"}

    def place_of(self, val: Val) -> Position | None:
        """Where this cluster computes a value of this shape, or None."""
        real = squeezed(val.shape)
        if val.id in self.inside and is_reduction(val):
            return self.position(val.shape, self.kept)
        if real == self.shape:
            return self.position(val.shape, tuple(range(len(self.shape))))
        if self.reduced and real == tuple([self.shape[d] for d in self.kept]):
            return self.position(val.shape, self.kept)
        return None

    def _resolve(self, val: Val, position: Position, g: Guard) -> Value | None:
        if val.id in self.inside:
            if not starts_kernel(val):
                return None
            if position != self.place_of(val):
                raise NotFusible
            acc = self.accumulators[val.id]
            place = () if not acc.shape else position
            return Load(acc, place)
        if val.prim == "leaf":
            return self.emitter.load(val, position, g)
        home = self.placed.get(val.id)
        if home is not None:
            if home is self:
                return None
            self.touched.add(home.number)
            return self.emitter.load(val, position, g)
        if starts_kernel(val):
            raise NotFusible
        return None


def operation_count(values: list[Value]) -> int:
    """Operations behind some values, each shared one counted once and expensive ones as eight."""
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
    """The store of a member's element at the place where the cluster computes it."""
    place = cluster.place_of(val)
    assert place is not None
    return Store(cluster.emitter.buffer(val), place, value)


def iterations(cluster: Cluster) -> int:
    """Elements of the iteration space."""
    size = 1
    for e in cluster.shape:
        size *= e
    return size


def stores_with_most_reads_first(stores: list[Store]) -> list[Store]:
    """Stores of one loop nest, those that read most buffers first.

    What a later store does not read, an earlier one may write over: see `planning.in_place`.
    """

    def reads(s: Store) -> int:
        return len({r.buffer for r in leaf_loads(s)})

    return sorted(stores, key=reads, reverse=True)
