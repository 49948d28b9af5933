"""Fusion of values into clusters, each of which becomes one kernel.

Contract
- A cluster has an iteration space and members: the values that it computes there and, where other kernels or the caller
  read them, stores.
- Anchors are the values that are not computed inline: reductions, contractions, scans, sorts, scatters, and values that
  must be in memory (`storage.materialized_values`). All other values are recomputed inside each reader.
- Anchors are placed in dependency order. An anchor joins an existing cluster if its iteration space matches and every
  member of that cluster that it reads is read at the position that is being computed; otherwise it starts a cluster.
- No two clusters depend on each other, and a cluster binds at most `max_buffers` buffers.

Kinds of clusters
- `map`: one loop for each axis of the members' shape.
- `rows`: outer loops over the axes that are kept, and for each reduction or member of the full shape inner loops over
  the reduced axes.
- `contract`: a product of matrices or a convolution, with members of the result's shape as its epilogue.
- `standalone`: a scan, sort, scatter or attention without other members.

Limits
- Axes of extent 1 are ignored when iteration spaces are compared.
- Clusters are formed greedily; a placement is never revised.
"""

from __future__ import annotations

from typing import Any

from ...ir.expr import Buffer, Load, Space, Value
from ...ir.guard import ALWAYS
from ...ir.index import Var, index
from ...telemetry import Decision
from ..lowering.cluster import Cluster, ClusterKind, operation_count, squeezed
from ..lowering.emitter import NotFusible
from ..lowering.registry import in_memory, is_contraction, is_reduction, is_view, starts_kernel
from ..program import Program, Val
from .storage import inline_cost, materialized_values

RECOMPUTE_LIMIT = 32  # operations; a value that costs as many is stored if another kernel computes it anyway
MAX_KERNEL_OPERATIONS = 512  # in the code of one kernel: the time to compile it grows faster than linearly


class FusionResult:
    """The clusters of a program.

    Attributes:
        clusters: in launch order.
        index_check_count: the number of clusters at the beginning that index checks depend on. They run, and the checks
            are done, before the others.
        stored: ids of the values that are stored in memory.
        decisions: which values joined or started a kernel, and why; `Decision.kernel` is `Cluster.number`.
    """

    def __init__(
        self, clusters: list[Cluster], index_check_count: int, stored: set[int], decisions: list[Decision]
    ) -> None:
        self.clusters = clusters
        self.index_check_count = index_check_count
        self.stored = stored
        self.decisions = decisions


def fuse(program: Program, max_buffers: int = 1 << 30) -> FusionResult:
    """Places every anchor of a program in a cluster; see the module's text.

    Args:
        program: the values.
        max_buffers: the number of buffers that one kernel may bind.
    """
    return _FusionPass(program, max_buffers).run()


class _FusionPass:
    """The state of `fuse` for one program."""

    def __init__(self, program: Program, max_buffers: int) -> None:
        self.program = program
        self.max_buffers = max_buffers
        self.clusters: list[Cluster] = []
        self.cluster_of: dict[int, Cluster] = {}  # the cluster of each member
        self.stored: set[int] = set()  # values that are stored in memory
        self.storage_reasons: dict[int, str] = {}  # why they are stored
        self.decisions: list[Decision] = []
        self.reader_clusters: dict[int, set[int]] = {}  # numbers of the clusters that read a value from memory
        self.computed_in: dict[int, Cluster] = {}  # for inline values, a cluster that computes and could store it
        self.storable = {v.id: v for v in program.vals if not in_memory(v) and not is_view(v)}
        self.results_of_call: dict[int, list[Val]] = {}  # of calls with several results
        for v in program.vals:
            if v.prim == "result":
                call = v.args[0]
                if not starts_kernel(call):  # nothing would store its results
                    raise AssertionError(
                        f"[fuse] {call.prim} has several results: expected a lowering with a kernel, or a decomposition"
                    )
                self.results_of_call.setdefault(call.id, []).append(v)
        self.dependents: dict[int, set[int]] = {}  # numbers of the clusters that depend on one

    def run(self) -> FusionResult:
        """Places all anchors and orders the clusters."""
        self.storage_reasons = materialized_values(self.program)
        self.stored = set(self.storage_reasons)
        for val in self.program.vals:
            if val.prim != "result" and (starts_kernel(val) or val.id in self.stored):
                self._place(val)
        for cluster in self.clusters:
            for val in cluster.emitter.values.values():
                if val.prim != "leaf":
                    self.stored.add(val.id)
        index_checks = self._index_check_clusters()
        return FusionResult(self._launch_order(index_checks), len(index_checks), self.stored, self.decisions)

    def _index_check_clusters(self) -> set[int]:
        """Numbers of the clusters that compute the extremes of checked indices, and of those that they depend on."""
        extremes = self.program.index_extremes
        numbers = {self.cluster_of[v.id].number for v in extremes if v.id in self.cluster_of}
        stack = list(numbers)
        while stack:
            new = set(self.clusters[stack.pop()].deps) - numbers
            numbers |= new
            stack += new
        return numbers

    # ------------------------------------------------------------ placement

    def _place(self, val: Val) -> None:
        """Adds an anchor to the first candidate that it can join, or to a new cluster."""
        candidates = self._candidates(val)
        self._store_expensive_operands(val, candidates[:1])
        for cluster in candidates:
            if self._try_join(cluster, val):
                reason = (
                    f"the kernel has its iteration space {list(cluster.shape)} ({cluster.kind}) and shares data with it"
                )
                self._record_decision("fuse", val, reason, cluster)
                return
        reason = self._split_reason(val, candidates)
        for full in [c for c in candidates if c.full][:1]:
            reason = f"a kernel of more than {MAX_KERNEL_OPERATIONS} operations takes too long to compile"
            self._store_from_full_cluster(val, full)
        self._store_expensive_operands(val, [])
        self._limit_buffers(val)
        cluster = self._new_cluster(val)
        if not self._try_join(cluster, val):
            raise AssertionError(f"[fuse] {val} cannot be computed in a kernel of its own")
        self._record_decision("split", val, reason, cluster)

    def _store_from_full_cluster(self, val: Val, cluster: Cluster) -> None:
        """Stores those operands of a value that a full cluster computes, so that the next cluster can read them."""
        seen: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen or self._is_buffer(v) or v.prim in ("const", "scalar"):
                continue
            seen.add(v.id)
            position = cluster.position_of(v) if not is_view(v) else None
            emitted = None if position is None else cluster.emitter.memo.get((v.id, position, ALWAYS))
            if emitted is None or isinstance(emitted, Load) or not self._try_join(cluster, v, force=True):
                stack += v.args
                continue
            self.stored.add(v.id)
            self.storage_reasons[v.id] = "the kernel that computes it has reached the limit of its size"
            self._record_decision("fuse", v, "the kernel computes it anyway", cluster)

    def _store_expensive_operands(self, val: Val, excluded: list[Cluster]) -> None:
        """Stores expensive operands of a value that another cluster computes inline, instead of recomputing them.

        An example is the state of an unrolled recurrence, which both its output and the next step read.

        Args:
            val: the value that is to be placed.
            excluded: clusters that the value is likely to join, where its operands need not be stored.
        """
        seen: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen or self._is_buffer(v) or v.prim in ("const", "scalar"):
                continue
            seen.add(v.id)
            home = self.computed_in.get(v.id)
            cheap = home is None or home in excluded or inline_cost(v, self.cluster_of) < RECOMPUTE_LIMIT
            if home is None or cheap or not self._try_join(home, v, force=True):
                stack += v.args
                continue
            self.stored.add(v.id)
            self.storage_reasons[v.id] = "another kernel reads it, and recomputing it would be expensive"
            self._record_decision("fuse", v, "the kernel computes it anyway", home)

    def _limit_buffers(self, val: Val) -> None:
        """Stores operands of a value that is to start a kernel, until the kernel binds no more buffers than it may."""
        if len(self.program.vals) < self.max_buffers:
            return
        while len(self._buffers_read_for(val)) >= self.max_buffers:
            wide = val
            while len(self._buffers_read_for(wide)) >= self.max_buffers:
                wide = max(wide.args, key=lambda a: len(self._buffers_read_for(a)))
                while is_view(wide):
                    wide = wide.args[0]
                if self._is_buffer(wide):
                    raise AssertionError(f"[fuse] {val} has more operands than a kernel may bind: {self.max_buffers}")
            self.stored.add(wide.id)
            limit = f"%{val.id} {val.prim} would read more than the {self.max_buffers} buffers a kernel may bind"
            self.storage_reasons[wide.id] = limit
            self._place(wide)

    def _buffers_read_for(self, val: Val) -> set[int]:
        """Ids of the buffers that a kernel reads to have an element of a value: of its operands where it is to be placed."""
        if self._is_buffer(val):
            return {val.id}
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen:
                continue
            seen.add(v.id)
            if self._is_buffer(v):
                found.add(v.id)
            else:
                stack += v.args
        return found

    def _is_buffer(self, val: Val) -> bool:
        """Whether other kernels find a value in memory, with the present placements."""
        return val.id in self.cluster_of or in_memory(val)

    def _record_decision(self, kind: str, val: Val, reason: str, cluster: Cluster) -> None:
        """Records why a value is in a cluster and, if it is stored, why it is."""
        stored = self.storage_reasons.get(val.id)
        reason += f"; it is stored because {stored}" if stored else ""
        self.decisions.append(Decision(kind, f"%{val.id} {val.prim}", reason, cluster.number))

    def _split_reason(self, val: Val, candidates: list[Cluster]) -> str:
        """Why a value starts a new cluster."""
        if starts_kernel(val) and not is_reduction(val):
            return f"a {val.prim} starts a kernel of its own"
        if candidates:
            return "it reads the kernels with its iteration space at other positions, or they depend on it"
        if any(c.kind != "standalone" and self._has_space_of(c, val) for c in self.clusters):
            return "it shares no data with the kernels that have its iteration space"
        return "no earlier kernel has its iteration space"

    def _new_cluster(self, val: Val) -> Cluster:
        """Appends an empty cluster with the iteration space of a value."""
        shape = squeezed(val.shape)
        kind: ClusterKind = "map"
        reduced: tuple[int, ...] = ()
        if is_reduction(val):
            kind, shape, reduced = "rows", squeezed(val.args[0].shape), _reduced_axes(val)
        elif is_contraction(val):
            kind = "contract"
        elif starts_kernel(val):
            kind = "standalone"
        cluster = Cluster(len(self.clusters), kind, shape, reduced, val.device)
        cluster.cluster_of = self.cluster_of
        self.clusters.append(cluster)
        return cluster

    def _candidates(self, val: Val) -> list[Cluster]:
        """The clusters that a value may join, in the order in which they are tried: the latest first.

        They have its iteration space and share data with it; `map` clusters that share only an input come first.
        """
        if starts_kernel(val) and not is_reduction(val):
            return []
        related = self._related_clusters(val)
        matching = [c for c in self.clusters if not c.full and c.kind != "standalone" and self._has_space_of(c, val)]
        candidates = [c for c in matching if c.number in related]
        if not starts_kernel(val):
            candidates += [c for c in matching if c.number not in related and c.kind == "map" and _shares_input(c, val)]
        return candidates[::-1]

    def _has_space_of(self, cluster: Cluster, val: Val) -> bool:
        """Whether a value can be computed in the iteration space of a cluster, or in its loops over the kept axes."""
        if cluster.device != val.device:
            return False
        if is_reduction(val):
            same_shape = cluster.shape == squeezed(val.args[0].shape)
            return cluster.kind == "rows" and same_shape and cluster.reduced == _reduced_axes(val)
        shape = squeezed(val.shape)
        if shape == cluster.shape:
            return True
        return cluster.kind == "rows" and shape == tuple([cluster.shape[d] for d in cluster.kept])

    def _related_clusters(self, val: Val) -> set[int]:
        """Numbers of the clusters that a value reads from, and of those that read the same larger buffers as it."""
        seen: set[int] = set()
        related: set[int] = set()
        stack = list(val.args)
        while stack:
            v = stack.pop()
            if v.id in seen:
                continue
            seen.add(v.id)
            home = self.cluster_of.get(v.id)
            if home is not None:
                related.add(home.number)
            if home is None and v.prim != "leaf":
                stack += v.args
            elif v.size > 1024:
                related |= self.reader_clusters.get(v.id, set())
        return related

    def _try_join(self, cluster: Cluster, val: Val, force: bool = False) -> bool:
        """Adds a value to a cluster if it can be computed at the cluster's loop variables.

        A cluster whose code would become longer than `MAX_KERNEL_OPERATIONS` is marked as full.

        Args:
            cluster: the cluster.
            val: the value.
            force: ignores that limit, for a value that is in the cluster's code already.

        Returns:
            Whether the value was added. If not, the cluster is as before but for `full`.
        """
        emitter = cluster.emitter
        saved = (dict(emitter.buffers), dict(emitter.values), dict(emitter.scalars), set(cluster.producers))
        memo = emitter.memo
        emitter.memo = dict(memo)
        cluster.computed[val.id] = val
        try:
            value = self._emit(cluster, val)
            ok = not self._any_depends_on(cluster.producers, cluster)
            members = {v.id for v in cluster.members} | {val.id}
            ok = ok and (not cluster.members or len(members | set(emitter.values)) <= self.max_buffers)
            cost = self._code_cost(cluster, value) if ok else 0
            if ok and cluster.members and cost > MAX_KERNEL_OPERATIONS and not force:
                cluster.full, ok = True, False
        except NotFusible:
            ok = False
        if not ok:
            del cluster.computed[val.id]
            emitter.memo = memo
            emitter.buffers, emitter.values, emitter.scalars, cluster.producers = saved
            return False
        cluster.members.append(val)
        cluster.cost = cost
        if value is not None:
            cluster.values[val.id] = value
        for n in cluster.emitter.values:
            self.reader_clusters.setdefault(n, set()).add(cluster.number)
        for key in emitter.memo.keys() - memo.keys():
            self._record_computed(cluster, key)
        self._add_dependencies(cluster, cluster.producers - cluster.deps)
        self.cluster_of[val.id] = cluster
        for result in self.results_of_call.get(val.id, ()):
            cluster.members.append(result)
            self.cluster_of[result.id] = cluster
            self.stored.add(result.id)
        if is_reduction(val) or is_contraction(val):
            shape, space = (val.shape, Space.VIRTUAL) if is_contraction(val) else ((), Space.REGISTER)
            acc = Buffer(f"acc{len(cluster.accumulators)}", tuple([index(e) for e in shape]), val.dtype, space)
            cluster.accumulators[val.id] = acc
        return True

    def _record_computed(self, cluster: Cluster, key: Any) -> None:
        """Records that a cluster computes an inline value at the position where it could store it.

        Args:
            cluster: the cluster.
            key: a key of `Emitter.memo`; only those of elements, (id, position, guard), count.
        """
        if len(key) == 3 and key[2] is ALWAYS and (v := self.storable.get(key[0])) is not None:
            if v.id not in self.cluster_of and key[1] == cluster.position_of(v):
                self.computed_in.setdefault(v.id, cluster)

    def _code_cost(self, cluster: Cluster, value: Value | None) -> int:
        """Operations in the code of a cluster with one more member.

        In a `rows` cluster each member has loops of its own, which recompute what they share. Elsewhere shared
        operations count once.
        """
        if value is None:
            return cluster.cost
        if cluster.kind == "rows":
            return cluster.cost + operation_count([value])
        return operation_count([value, *cluster.values.values()])

    def _emit(self, cluster: Cluster, val: Val) -> Value | None:
        """The expression that a cluster evaluates for a member: of a reduction, its operand's element.

        Returns None for other values that start a kernel; their operands are emitted when they are lowered.
        """
        emitter = cluster.emitter
        if is_reduction(val):
            (x,) = val.args
            return emitter.value(x, cluster.position(x.shape, tuple(range(len(cluster.shape)))))
        if starts_kernel(val):  # emitted here only to find the buffers and clusters that it reads
            for arg in val.args:
                free = tuple([index(Var(f"t{d}", e - 1)) for d, e in enumerate(arg.shape)])
                emitter.value(arg, free)
            emitter.memo = {}
            return None
        position = cluster.position_of(val)
        assert position is not None
        return emitter.computed(val, position)

    def _any_depends_on(self, numbers: set[int], cluster: Cluster) -> bool:
        """Whether one of some clusters depends on a cluster, directly or not.

        A cluster has a higher level than its dependencies, so only clusters of a higher level are followed.
        """
        seen, stack = set(numbers), list(numbers)
        while stack:
            one = self.clusters[stack.pop()]
            if one is cluster:
                return True
            if one.level > cluster.level:
                new = one.deps - seen
                seen |= new
                stack += new
        return False

    def _add_dependencies(self, cluster: Cluster, numbers: set[int]) -> None:
        """Adds dependencies to a cluster and raises its level, and those of its dependents, above them."""
        cluster.deps |= numbers
        for n in numbers:
            self.dependents.setdefault(n, set()).add(cluster.number)
        level = max((self.clusters[n].level + 1 for n in numbers), default=0)
        stack = [(cluster, level)]
        while stack:
            one, level = stack.pop()
            if one.level < level:
                one.level = level
                stack += [(self.clusters[n], level + 1) for n in self.dependents.get(one.number, ())]

    def _launch_order(self, first: set[int]) -> list[Cluster]:
        """A topological order of the clusters that keeps little memory alive.

        Clusters whose numbers are in `first` come first. Otherwise clusters keep the order in which they were created,
        except that one which frees more memory than it allocates runs as soon as its dependencies have. The activations
        of a layer are thus freed by the gradient of its weights, and checkpointed segments are recomputed late.
        """
        outputs = {o.id for o in self.program.outputs}
        readers: dict[int, int] = {}
        reads: list[list[Val]] = []
        allocated: list[int] = []
        for c in self.clusters:
            read = [v for v in c.emitter.values.values() if v.prim != "leaf" and v.id not in c.computed]
            read = [v for v in read if v.id not in outputs and _significant_bytes(v)]
            for v in read:
                readers[v.id] = readers.get(v.id, 0) + 1
            reads.append(read)
            allocated.append(
                sum(_significant_bytes(v) for v in c.members if v.id in self.stored and v.id not in outputs)
            )
        pending = [len(c.deps) for c in self.clusters]
        ready = [c.number for c in self.clusters if not pending[c.number]]
        order: list[Cluster] = []
        while ready:
            eligible = [n for n in ready if n in first] or ready
            growth, best = min(
                (allocated[n] - sum(_significant_bytes(v) for v in reads[n] if readers[v.id] == 1), n) for n in eligible
            )
            n = best if growth < 0 else min(eligible)
            ready.remove(n)
            order.append(self.clusters[n])
            for v in reads[n]:
                readers[v.id] -= 1
            for m in self.dependents.get(n, ()):
                pending[m] -= 1
                if not pending[m]:
                    ready.append(m)
        return order


def _reduced_axes(val: Val) -> tuple[int, ...]:
    """The axes that a reduction reduces, counted among the axes of its operand that are longer than 1."""
    shape = val.args[0].shape
    axes = [d for d, e in enumerate(shape) if e != 1]
    return tuple([axes.index(a) for a in val.params[0] if shape[a] != 1])


def _significant_bytes(val: Val) -> int:
    """The size of a value for the launch order, in bytes; 0 for values that are too small to matter."""
    nbytes = val.size * val.dtype.itemsize
    return nbytes if nbytes >= 1 << 16 else 0


def _shares_input(cluster: Cluster, val: Val) -> bool:
    """Whether an element-wise value depends, through inline values, on memory that a cluster reads or writes."""
    seen: set[int] = set()
    stack = list(val.args)
    accessed = set(cluster.emitter.values) | set(cluster.computed)
    while stack:
        v = stack.pop()
        if v.id in seen:
            continue
        seen.add(v.id)
        if v.id in accessed and v.size > 1:
            return True
        if not in_memory(v):
            stack += v.args
    return False
