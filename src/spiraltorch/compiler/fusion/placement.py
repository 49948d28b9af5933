"""Which values share a kernel.

A cluster has an iteration space and members: values that it computes and, where others need them, stores. The rest of
the program is recomputed inside whoever reads it. Anchors (reductions, contractions, scans, sorts, scatters, and values
that must be in memory) are placed in dependency order; each joins a cluster where every result of that cluster that it
reads is read at the place being computed, or opens its own.

- `map`: one loop for each axis of the members' shape.
- `rows`: outer loops over the kept axes, and for each reduction or full-shape member a loop over the reduced axes.
- `contract`: a dot or convolution, with members of its result's shape as epilogue.
- `single`: a scan, sort, scatter or attention on its own.

Extents of 1 are ignored when shapes are compared.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...ir.expr import Buffer, Const, Load, Op, Space, Value
from ...ir.guard import ALWAYS, Guard
from ...ir.index import ZERO, Var, index
from ...telemetry import Decision
from ..program import ATTENTIONS, CONTRACTIONS, HEAVY, REDUCTIONS, SORTS, VIEWS, Program, Val
from .emitter import Emitter, NotFusible, Position

MAX_SIZE = 300  # values pulled into one member; beyond it something in the middle is stored
DEAR = 32  # operations from which on a value is stored rather than computed again by another kernel
MAX_COST = 512  # of a kernel's code, in operations: compilers take more than twice as long for twice as much
COSTLY = frozenset(
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
        self.cost = 0  # of its code, see `weight`
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

    def place_of(self, val: Val) -> Position | None:
        """Where this cluster computes a value of this shape, or None."""
        real = squeezed(val.shape)
        if val.prim in HEAVY and val.id in self.inside and val.prim in REDUCTIONS:
            return self.position(val.shape, self.kept)
        if real == self.shape:
            return self.position(val.shape, tuple(range(len(self.shape))))
        if self.reduced and real == tuple([self.shape[d] for d in self.kept]):
            return self.position(val.shape, self.kept)
        return None

    def _resolve(self, val: Val, position: Position, g: Guard) -> Value | None:
        if val.id in self.inside:
            if val.prim not in HEAVY:
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
        if val.prim in HEAVY:
            raise NotFusible
        return None


def weight(values: list[Value]) -> int:
    """Operations behind some values, dear ones counted more."""
    seen: set[int] = set()
    total, stack = 0, list(values)
    while stack:
        v = stack.pop()
        if id(v) in seen:
            continue
        seen.add(id(v))
        total += 8 if isinstance(v, Op) and v.name in COSTLY else 1
        if isinstance(v, Op):
            stack += v.args
        elif hasattr(v, "value") and not isinstance(v, Const):
            stack.append(v.value)
    return total


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without extents of 1."""
    return tuple([e for e in shape if e != 1])


class Fusion:
    """The result: clusters in launch order, which values are stored, and why. Decisions name clusters by their number.

    The first `checking` clusters are what the checks of indices need; nothing else runs before those are done.
    """

    def __init__(self, clusters: list[Cluster], checking: int, stored: set[int], decisions: list[Decision]) -> None:
        self.clusters = clusters
        self.checking = checking
        self.stored = stored
        self.decisions = decisions


def fuse(program: Program, max_buffers: int = 1 << 30) -> Fusion:
    """Places every anchor, with at most `max_buffers` buffers to a kernel. See the module's text."""
    return _Fuser(program, max_buffers).run()


class _Fuser:
    def __init__(self, program: Program, max_buffers: int) -> None:
        self.program = program
        self.max_buffers = max_buffers
        self.clusters: list[Cluster] = []
        self.placed: dict[int, Cluster] = {}
        self.stored: set[int] = set()  # values that must be in memory
        self.why: dict[int, str] = {}  # why they must
        self.decisions: list[Decision] = []
        self.readers: dict[int, set[int]] = {}  # which clusters read a value from memory
        self.computed: dict[int, Cluster] = {}  # values that a cluster computes and could store
        self.by_id = {v.id: v for v in program.vals if v.prim not in HEAVY and v.prim not in VIEWS}
        self.after: dict[int, set[int]] = {}  # which clusters wait for a cluster

    def run(self) -> Fusion:
        self.why = _must_store(self.program, self.max_buffers)
        self.stored = set(self.why)
        for val in self.program.vals:
            if val.prim in HEAVY or val.id in self.stored:
                self._place(val)
        for cluster in self.clusters:
            for val in cluster.emitter.values.values():
                if val.prim != "leaf":
                    self.stored.add(val.id)
        checking = self._checking()
        return Fusion(self._ordered(checking), len(checking), self.stored, self.decisions)

    def _checking(self) -> set[int]:
        """The clusters that make the watched extremes of indices, and those that they wait for."""
        watched = self.program.watched
        numbers = {self.placed[v.id].number for v in watched if v.id in self.placed}
        stack = list(numbers)
        while stack:
            new = set(self.clusters[stack.pop()].deps) - numbers
            numbers |= new
            stack += new
        return numbers

    # ------------------------------------------------------------ placing

    def _place(self, val: Val) -> None:
        candidates = self._candidates(val)
        self._share(val, candidates[:1])
        for cluster in candidates:
            if self._join(cluster, val):
                reason = f"it fits the loops over {list(cluster.shape)} ({cluster.kind}) and shares data with them"
                self._decided("fuse", val, reason, cluster)
                return
        reason = self._why_alone(val, candidates)
        for full in [c for c in candidates if c.full][:1]:
            reason = f"kernel code of more than {MAX_COST} operations takes too long to compile"
            self._cut(val, full)
        self._share(val, [])
        cluster = self._open(val)
        if not self._join(cluster, val):
            raise AssertionError(f"[fuse] {val} does not fit its own kernel")
        self._decided("split", val, reason, cluster)

    def _cut(self, val: Val, cluster: Cluster) -> None:
        """Stores what a full cluster computes of a value, so that the next one need not compute it again."""
        seen: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen or v.id in self.placed or v.prim in HEAVY or v.prim in ("leaf", "const", "scalar"):
                continue
            seen.add(v.id)
            place = cluster.place_of(v) if v.prim not in VIEWS else None
            known = None if place is None else cluster.emitter.memo.get((v.id, place, ALWAYS))
            if known is None or isinstance(known, Load) or not self._join(cluster, v, force=True):
                stack += v.args
                continue
            self.stored.add(v.id)
            self.why[v.id] = "the kernel that computes it is full"
            self._decided("fuse", v, "the kernel computes it anyway", cluster)

    def _share(self, val: Val, near: list[Cluster]) -> None:
        """Stores dear values that a kernel computes on its way, so that another need not, as a state in steps.

        Those in `near` are likely to become the value's own kernel.
        """
        seen: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen or v.id in self.placed or v.prim in HEAVY or v.prim in ("leaf", "const", "scalar"):
                continue
            seen.add(v.id)
            home = self.computed.get(v.id)
            if home is None or home in near or self._to_compute(v) < DEAR or not self._join(home, v, force=True):
                stack += v.args
                continue
            self.stored.add(v.id)
            self.why[v.id] = "another kernel would have to compute it again, and it is dear"
            self._decided("fuse", v, "the kernel computes it anyway", home)

    def _to_compute(self, val: Val) -> int:
        """Roughly the operations behind one element, from what is in memory."""
        return _cost_of(val, self.placed)

    def _decided(self, kind: str, val: Val, reason: str, cluster: Cluster) -> None:
        stored = self.why.get(val.id)
        reason += f"; in memory since {stored}" if stored else ""
        self.decisions.append(Decision(kind, f"%{val.id} {val.prim}", reason, cluster.number))

    def _why_alone(self, val: Val, candidates: list[Cluster]) -> str:
        """Why a value opens a kernel."""
        if val.prim in HEAVY and val.prim not in REDUCTIONS:
            return f"a {val.prim} starts a kernel of its own"
        if candidates:
            return "what it reads of the kernels that it fits is not at the place being computed, or they need it first"
        if any(c.kind != "single" and self._fits(c, val) for c in self.clusters):
            return "it shares no data with the kernels that it fits"
        return "no kernel before it has its loops"

    def _open(self, val: Val) -> Cluster:
        shape, kind = squeezed(val.shape), "map"
        reduced: tuple[int, ...] = ()
        if val.prim in REDUCTIONS:
            x = val.args[0]
            kind, shape = "rows", squeezed(x.shape)
            real = [d for d, e in enumerate(x.shape) if e != 1]
            reduced = tuple([real.index(a) for a in val.params[0] if x.shape[a] != 1])
        elif val.prim in CONTRACTIONS:
            kind = "contract"
        elif val.prim in HEAVY:
            kind = "single"
        cluster = Cluster(len(self.clusters), kind, shape, reduced, val.device)
        cluster.placed = self.placed
        self.clusters.append(cluster)
        return cluster

    def _candidates(self, val: Val) -> list[Cluster]:
        """Clusters whose space fits, those that share data with the value first."""
        if val.prim in HEAVY and val.prim not in REDUCTIONS:
            return []
        near = self._neighbours(val)
        fitting = [c for c in self.clusters if not c.full and c.kind != "single" and self._fits(c, val)]
        related = [c for c in fitting if c.number in near]
        if val.prim not in HEAVY:
            related += [c for c in fitting if c.number not in near and c.kind == "map" and _shares_input(c, val)]
        return related[::-1]

    def _fits(self, cluster: Cluster, val: Val) -> bool:
        if cluster.device != val.device:
            return False
        if val.prim in REDUCTIONS:
            x = val.args[0]
            real = [d for d, e in enumerate(x.shape) if e != 1]
            reduced = tuple([real.index(a) for a in val.params[0] if x.shape[a] != 1])
            return cluster.kind == "rows" and cluster.shape == squeezed(x.shape) and cluster.reduced == reduced
        real_shape = squeezed(val.shape)
        if real_shape == cluster.shape:
            return True
        return cluster.kind == "rows" and real_shape == tuple([cluster.shape[d] for d in cluster.kept])

    def _neighbours(self, val: Val) -> set[int]:
        """Clusters that the value reads, and clusters that read the memory it reads."""
        seen: set[int] = set()
        near: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen:
                continue
            seen.add(v.id)
            home = self.placed.get(v.id)
            if home is not None:
                near.add(home.number)
            if home is None and v.prim != "leaf":
                stack += v.args
            elif v.size > 1024:
                near |= self.readers.get(v.id, set())
        return near

    def _join(self, cluster: Cluster, val: Val, force: bool = False) -> bool:
        """Computes the value at the cluster's loop variables; False, and nothing changed, where that is impossible.

        A cluster whose code would become too long is full from then on; `force` lets a value in that is in its code.
        """
        emitter = cluster.emitter
        before = (dict(emitter.buffers), dict(emitter.values), dict(emitter.scalars), set(cluster.touched))
        memo = emitter.memo
        emitter.memo = dict(memo)
        cluster.inside[val.id] = val
        try:
            value = self._value(cluster, val)
            ok = not self._waits(cluster.touched, cluster)
            made = {v.id for v in cluster.members} | {val.id}
            ok = ok and (not cluster.members or len(made | set(emitter.values)) <= self.max_buffers)
            cost = self._cost(cluster, value) if ok else 0
            if ok and cluster.members and cost > MAX_COST and not force:
                cluster.full, ok = True, False
        except NotFusible:
            ok = False
        if not ok:
            del cluster.inside[val.id]
            emitter.memo = memo
            emitter.buffers, emitter.values, emitter.scalars, cluster.touched = before
            return False
        cluster.members.append(val)
        cluster.cost = cost
        if value is not None:
            cluster.values[val.id] = value
        for n in cluster.emitter.values:
            self.readers.setdefault(n, set()).add(cluster.number)
        for key in emitter.memo.keys() - memo.keys():
            self._note(cluster, key)
        self._wait(cluster, cluster.touched - cluster.deps)
        self.placed[val.id] = cluster
        if val.prim in HEAVY and val.prim in (REDUCTIONS | CONTRACTIONS):
            whole = val.prim in CONTRACTIONS
            shape = val.shape if whole else ()
            space = Space.VIRTUAL if whole else Space.REGISTER
            acc = Buffer(f"acc{len(cluster.accumulators)}", tuple([index(e) for e in shape]), val.dtype, space)
            cluster.accumulators[val.id] = acc
        return True

    def _note(self, cluster: Cluster, key: Any) -> None:
        """Remembers a value that a cluster now computes at the place where it could store it."""
        if len(key) == 3 and key[2] is ALWAYS and (v := self.by_id.get(key[0])) is not None:
            if v.id not in self.placed and key[1] == cluster.place_of(v):
                self.computed.setdefault(v.id, cluster)

    def _cost(self, cluster: Cluster, value: Value | None) -> int:
        """Of the cluster's code with one more member. Phases over rows compute again what the earlier ones did."""
        if value is None:
            return cluster.cost
        if cluster.kind == "rows":
            return cluster.cost + weight([value])
        return weight([value, *cluster.values.values()])

    def _value(self, cluster: Cluster, val: Val) -> Value | None:
        emitter = cluster.emitter
        if val.prim in REDUCTIONS:
            (x,) = val.args
            return emitter.value(x, cluster.position(x.shape, tuple(range(len(cluster.shape)))))
        if val.prim in HEAVY:  # its operands are emitted when it is lowered: here only the dependencies count
            for arg in val.args:
                free = tuple([index(Var(f"t{d}", e - 1)) for d, e in enumerate(arg.shape)])
                emitter.value(arg, free)
            emitter.memo = {}
            return None
        position = cluster.place_of(val)
        assert position is not None
        return emitter._pull(val, position, ALWAYS)

    def _waits(self, numbers: set[int], cluster: Cluster) -> bool:
        """Whether one of some clusters needs this one to run first. What it needs has a lower rank than it has."""
        seen, stack = set(numbers), list(numbers)
        while stack:
            one = self.clusters[stack.pop()]
            if one is cluster:
                return True
            if one.rank > cluster.rank:
                new = one.deps - seen
                seen |= new
                stack += new
        return False

    def _wait(self, cluster: Cluster, numbers: set[int]) -> None:
        """Makes a cluster wait for others: its rank, and that of all that wait for it, grows where it must."""
        cluster.deps |= numbers
        for n in numbers:
            self.after.setdefault(n, set()).add(cluster.number)
        rank = max((self.clusters[n].rank + 1 for n in numbers), default=0)
        stack = [(cluster, rank)]
        while stack:
            one, rank = stack.pop()
            if one.rank < rank:
                one.rank = rank
                stack += [(self.clusters[n], rank + 1) for n in self.after.get(one.number, ())]

    def _ordered(self, urgent: set[int]) -> list[Cluster]:
        """Launch order: `urgent` ones, then as placed, but what frees more memory than it takes goes as soon as it can.

        So a weight's gradient does not keep an activation waiting, and a checkpointed segment is computed again when
        the gradient gets there.
        """
        wanted = {o.id for o in self.program.outputs}
        readers: dict[int, int] = {}
        reads: list[list[Val]] = []
        makes: list[int] = []
        for c in self.clusters:
            read = [v for v in c.emitter.values.values() if v.prim != "leaf" and v.id not in c.inside]
            read = [v for v in read if v.id not in wanted and _kept_bytes(v)]
            for v in read:
                readers[v.id] = readers.get(v.id, 0) + 1
            reads.append(read)
            makes.append(sum(_kept_bytes(v) for v in c.members if v.id in self.stored and v.id not in wanted))
        missing = [len(c.deps) for c in self.clusters]
        ready = [c.number for c in self.clusters if not missing[c.number]]
        order: list[Cluster] = []
        while ready:
            able = [n for n in ready if n in urgent] or ready
            freed = [(makes[n] - sum(_kept_bytes(v) for v in reads[n] if readers[v.id] == 1), n) for n in able]
            least, best = min(freed)
            n = best if least < 0 else min(able)
            ready.remove(n)
            order.append(self.clusters[n])
            for v in reads[n]:
                readers[v.id] -= 1
            for m in self.after.get(n, ()):
                missing[m] -= 1
                if not missing[m]:
                    ready.append(m)
        return order


def _kept_bytes(val: Val) -> int:
    """Memory worth counting when kernels are ordered: small values do not decide."""
    nbytes = val.size * val.dtype.itemsize
    return nbytes if nbytes >= 1 << 16 else 0


def _shares_input(cluster: Cluster, val: Val) -> bool:
    """Whether an element-wise value reads memory that the cluster reads or writes."""
    seen: set[int] = set()
    stack = list(val.args)
    mine = set(cluster.emitter.values) | set(cluster.inside)
    while stack:
        v = stack.pop()
        if v.id in seen:
            continue
        seen.add(v.id)
        if v.id in mine and v.size > 1:
            return True
        if v.prim not in HEAVY:
            stack += v.args
    return False


# ---------------------------------------------------------------- what must be in memory


def _must_store(program: Program, max_buffers: int) -> dict[int, str]:
    """Outputs, operands of contractions and sorts, and values too dear to compute once for each reader; and why."""
    stored = {o.id: "it is a result" for o in program.outputs if o.prim != "leaf"}
    for val in program.vals:
        if val.prim in CONTRACTIONS or val.prim in ATTENTIONS or val.prim in SORTS:
            for arg in val.args:
                root = _view_root(arg)
                if root.prim not in ("leaf", "const") and root.prim not in HEAVY:
                    stored.setdefault(root.id, f"%{val.id} {val.prim} reads it")
        elif val.prim in ("take", "take_along") and _view_root(val.args[0]).prim not in ("leaf", "const", "scalar"):
            root = _view_root(val.args[0])
            if root.size <= 4 * val.size or root.prim in HEAVY:
                stored.setdefault(root.id, f"%{val.id} {val.prim} looks it up")
        elif val.prim in HEAVY and val.prim not in REDUCTIONS:
            for arg in val.args:
                if _cost_of(arg) > 2:
                    stored.setdefault(_view_root(arg).id, f"%{val.id} {val.prim} reads it")
    outputs = {o.id for o in program.outputs}
    for v in program.vals:
        if v.prim == "leaf" or (v.prim in ("const", "scalar") and v.id not in outputs):
            stored.pop(v.id, None)
    _store_shared(program, stored)
    _limit_sizes(program, stored)
    _limit_sources(program, stored, max_buffers)
    empty = {v.id for v in program.vals if v.size == 0}
    return {n: why for n, why in stored.items() if n not in empty}


def _view_root(val: Val) -> Val:
    """Through index maps, padding and casts: what a packing step reads for free."""
    while val.prim in VIEWS or val.prim in ("pad", "cast"):
        val = val.args[0]
    return val


def _cost_of(val: Val, placed: Collection[int] = ()) -> int:
    """A rough count of the operations behind one element, from what is in memory."""
    seen: set[int] = set()
    stack, cost = [val], 0
    while stack:
        v = stack.pop()
        if v.id in seen or v.id in placed or v.prim in HEAVY or v.prim in ("leaf", "const", "scalar"):
            continue
        seen.add(v.id)
        cost += 8 if v.prim in COSTLY else 0 if v.prim in VIEWS else 1
        stack += v.args
    return cost


def _store_shared(program: Program, stored: dict[int, str]) -> None:
    """A value that several far-apart readers want, and that costs much, is stored once.

    Readers are anchors. Those that read it at one position in one cluster share it anyway, so only values whose
    readers have different shapes, or that feed a reduction and something else of another shape, are stored.
    """
    spaces: dict[int, set[tuple[object, ...]]] = {v.id: set() for v in program.vals}
    for val in reversed(program.vals):
        anchor = val.prim in HEAVY or val.id in stored
        if anchor:
            if val.prim in REDUCTIONS:
                x = val.args[0]
                mine: set[tuple[object, ...]] = {
                    (squeezed(x.shape), tuple([squeezed((*x.shape[:a], 2)) for a in val.params[0]]))
                }
            elif val.prim in HEAVY:
                mine = {("heavy", val.id)}
            else:
                mine = {(squeezed(val.shape),)}
        else:
            mine = spaces[val.id]
            if len(mine) > 1 and val.prim not in ("const", "scalar", "leaf", "iota") and val.prim not in VIEWS:
                families = {s[0] for s in mine}
                reductions = {s for s in mine if len(s) > 1}
                if (len(families) > 1 or len(reductions) > 1) and _cost_of(val) >= 8 and val.size > 1:
                    stored[val.id] = "readers with different loops want it and it costs much"
                    mine = {(squeezed(val.shape),)}
        for arg in val.args:
            spaces[arg.id] |= mine


def _limit_sizes(program: Program, stored: dict[int, str]) -> None:
    """Stores values in the middle of expressions that would pull too much into one kernel.

    The count is of (value, path of views) pairs: a value read through two different index maps is computed twice.
    """
    weight: dict[int, dict[int, int]] = {}
    for val in program.vals:
        if val.prim in ("leaf", "const", "scalar"):
            weight[val.id] = {}
            continue
        inside = [weight[a.id] for a in val.args if a.prim not in HEAVY and a.id not in stored]
        parts: dict[int, int] = {}
        if val.prim in VIEWS or val.prim in ("pad", "concat", "take", "take_along"):
            for counts in inside:
                for key, count in counts.items():
                    key = hash((key, val.id))
                    parts[key] = parts.get(key, 0) + count
        elif inside:
            first, *others = sorted(inside, key=len, reverse=True)
            parts = first.copy()
            for counts in others:
                for key, count in counts.items():
                    parts[key] = max(parts.get(key, 0), count)
        parts[val.id] = 1
        total = sum(parts.values())
        if total > MAX_SIZE and val.prim not in HEAVY:
            stored[val.id] = f"more than {MAX_SIZE} operations would be in one expression"
            parts = {}
        weight[val.id] = parts


def _limit_sources(program: Program, stored: dict[int, str], max_buffers: int) -> None:
    """Stores operands of values that would read more buffers than a kernel may bind beside its result."""
    sources: dict[int, frozenset[int]] = {}

    def seen_by_reader(v: Val) -> frozenset[int]:
        in_memory = v.prim == "leaf" or v.prim in HEAVY or v.id in stored
        return frozenset((v.id,)) if in_memory else sources[v.id]

    for val in program.vals:
        args = list(dict.fromkeys(val.args))
        while True:
            found = frozenset[int]().union(*(seen_by_reader(a) for a in args))
            if len(found) < max_buffers:
                break
            widest = max(args, key=lambda a: len(seen_by_reader(a)))
            if len(seen_by_reader(widest)) < 2:
                raise AssertionError(f"[fuse] {val} has more operands than a kernel may bind: {max_buffers}")
            stored[widest.id] = f"%{val.id} {val.prim} would read more than the {max_buffers} buffers a kernel may bind"
        sources[val.id] = found
