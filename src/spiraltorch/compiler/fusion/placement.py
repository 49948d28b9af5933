"""Which values share a kernel.

A cluster has an iteration space and members: values that it computes and, where others need them, stores. The rest of
the program is recomputed inside whoever reads it. Anchors (reductions, contractions, scans, sorts, scatters, and values
that must be in memory) are placed in dependency order; each joins a cluster where every result of that cluster that it
reads is read at the place being computed, or opens its own.

- `map`: one loop for each axis of the members' shape.
- `rows`: outer loops over the kept axes, and for each reduction or full-shape member a loop over the reduced axes.
- `contract`: a dot or convolution, with members of its result's shape as epilogue.
- `standalone`: a scan, sort, scatter or attention on its own.

Extents of 1 are ignored when shapes are compared.
"""

from __future__ import annotations

from typing import Any

from ...ir.expr import Buffer, Load, Space, Value
from ...ir.guard import ALWAYS
from ...ir.index import Var, index
from ...telemetry import Decision
from ..lowering.cluster import Cluster, operation_count, squeezed
from ..lowering.emitter import NotFusible
from ..lowering.registry import in_memory, is_contraction, is_reduction, is_view, starts_kernel
from ..program import Program, Val
from .storage import inline_cost, values_in_memory

DEAR = 32  # operations from which on a value is stored rather than computed again by another kernel
MAX_COST = 512  # of a kernel's code, in operations: compilers take more than twice as long for twice as much


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
        self.by_id = {v.id: v for v in program.vals if not in_memory(v) and not is_view(v)}
        self.results: dict[int, list[Val]] = {}  # of calls
        for v in program.vals:
            if v.prim == "result":
                self.results.setdefault(v.args[0].id, []).append(v)
        self.after: dict[int, set[int]] = {}  # which clusters wait for a cluster

    def run(self) -> Fusion:
        self.why = values_in_memory(self.program, self.max_buffers)
        self.stored = set(self.why)
        for val in self.program.vals:
            if val.prim != "result" and (starts_kernel(val) or val.id in self.stored):
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
            if v.id in seen or v.id in self.placed or in_memory(v) or v.prim in ("const", "scalar"):
                continue
            seen.add(v.id)
            place = cluster.place_of(v) if not is_view(v) else None
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
            if v.id in seen or v.id in self.placed or in_memory(v) or v.prim in ("const", "scalar"):
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
        return inline_cost(val, self.placed)

    def _decided(self, kind: str, val: Val, reason: str, cluster: Cluster) -> None:
        stored = self.why.get(val.id)
        reason += f"; in memory since {stored}" if stored else ""
        self.decisions.append(Decision(kind, f"%{val.id} {val.prim}", reason, cluster.number))

    def _why_alone(self, val: Val, candidates: list[Cluster]) -> str:
        """Why a value opens a kernel."""
        if starts_kernel(val) and not is_reduction(val):
            return f"a {val.prim} starts a kernel of its own"
        if candidates:
            return "what it reads of the kernels that it fits is not at the place being computed, or they need it first"
        if any(c.kind != "standalone" and self._fits(c, val) for c in self.clusters):
            return "it shares no data with the kernels that it fits"
        return "no kernel before it has its loops"

    def _open(self, val: Val) -> Cluster:
        shape, kind = squeezed(val.shape), "map"
        reduced: tuple[int, ...] = ()
        if is_reduction(val):
            x = val.args[0]
            kind, shape = "rows", squeezed(x.shape)
            real = [d for d, e in enumerate(x.shape) if e != 1]
            reduced = tuple([real.index(a) for a in val.params[0] if x.shape[a] != 1])
        elif is_contraction(val):
            kind = "contract"
        elif starts_kernel(val):
            kind = "standalone"
        cluster = Cluster(len(self.clusters), kind, shape, reduced, val.device)
        cluster.placed = self.placed
        self.clusters.append(cluster)
        return cluster

    def _candidates(self, val: Val) -> list[Cluster]:
        """Clusters whose space fits, those that share data with the value first."""
        if starts_kernel(val) and not is_reduction(val):
            return []
        near = self._neighbours(val)
        fitting = [c for c in self.clusters if not c.full and c.kind != "standalone" and self._fits(c, val)]
        related = [c for c in fitting if c.number in near]
        if not starts_kernel(val):
            related += [c for c in fitting if c.number not in near and c.kind == "map" and _shares_input(c, val)]
        return related[::-1]

    def _fits(self, cluster: Cluster, val: Val) -> bool:
        if cluster.device != val.device:
            return False
        if is_reduction(val):
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
        for result in self.results.get(val.id, ()):
            cluster.members.append(result)
            self.placed[result.id] = cluster
            self.stored.add(result.id)
        if is_reduction(val) or is_contraction(val):
            whole = is_contraction(val)
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
            return cluster.cost + operation_count([value])
        return operation_count([value, *cluster.values.values()])

    def _value(self, cluster: Cluster, val: Val) -> Value | None:
        emitter = cluster.emitter
        if is_reduction(val):
            (x,) = val.args
            return emitter.value(x, cluster.position(x.shape, tuple(range(len(cluster.shape)))))
        if starts_kernel(val):  # its operands are emitted when it is lowered: here only the dependencies count
            for arg in val.args:
                free = tuple([index(Var(f"t{d}", e - 1)) for d, e in enumerate(arg.shape)])
                emitter.value(arg, free)
            emitter.memo = {}
            return None
        position = cluster.place_of(val)
        assert position is not None
        return emitter.computed(val, position)

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
        if not in_memory(v):
            stack += v.args
    return False
