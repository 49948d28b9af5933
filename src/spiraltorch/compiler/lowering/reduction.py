"""Kernels of reductions: rows, where the innermost axis is reduced, and columns, where it is kept.

A cluster's members become phases: reductions, and runs of stores over the whole space or over the kept axes. Reductions of
rows that do not depend on each other share a traversal.
"""

from __future__ import annotations

from ...ir.expr import Buffer, Cast, Const, Load, Op, Rewriter, Space, Value, loads
from ...ir.guard import less
from ...ir.index import Index, Var, index
from ...ir.reductions import identity
from ...ir.stmt import Accumulate, Alloc, For, Kernel, Stmt, Store, block, loop, loop_nest, substitute_stmt, transform
from ...ir.target import Target
from ..decompositions.reduction import decompose_arg_reduction, decompose_reduction
from ..program import Val
from .cluster import EXPENSIVE, Cluster, iterations, operation_count, store_member
from .lowered import KernelKind, LoopRole, Lowered, Phase, PhaseRole, named, phase
from .registry import Lowering, Role, is_reduction, register

REDUCE_OP = {"reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min"}
STASH_ROWS = 8
TOGETHER = 2  # reductions of a row in one traversal: several vectors of each are in registers
NARROW, WIDE = 64, 256  # columns that are processed together
STASH_SHARE = 4  # rows of expensive values up to this part of the second-level cache are stored instead of recomputed


def lower_reduction(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of a cluster with reductions."""
    if len(cluster.shape) - 1 not in cluster.reduced:
        return _columns(cluster, stored, _width(cluster, target) if target.has_vectors else 1)
    return _rows(cluster, stored, target.l2_bytes // STASH_SHARE if target.private_scratch else 0)


def _phases(cluster: Cluster, stored: set[int], together: int) -> list[list[Val]]:
    """Members that can share loops, in order: reductions of which none reads another, at most `together` of them, and runs
    of full-shape or of kept-shape stores."""
    phases: list[list[Val]] = []
    kinds: list[str] = []
    for m in cluster.members:
        if is_reduction(m):
            if kinds and kinds[-1] == "reduce" and len(phases[-1]) < together and not _reads(cluster, m, phases[-1]):
                phases[-1].append(m)
            else:
                phases.append([m])
                kinds.append("reduce")
            if m.id in stored:
                phases.append([m])
                kinds.append("kept")
            continue
        place = cluster.position_of(m)
        full = any(v in i.variables for i in place or () for v in (cluster.vars[d] for d in cluster.reduced))
        kind = "full" if full else "kept"
        if kinds and kinds[-1] == kind:
            phases[-1].append(m)
        else:
            phases.append([m])
            kinds.append(kind)
    return phases


def _reads(cluster: Cluster, val: Val, others: list[Val]) -> bool:
    """Whether what a reduction reduces depends on the results of others."""
    accumulators = {cluster.accumulators[v.id] for v in others}
    return any(r.buffer in accumulators for r in loads(cluster.values[val.id]))


def _is_full(cluster: Cluster, val: Val) -> bool:
    place = cluster.position_of(val) or ()
    return any(cluster.vars[d] in i.variables for i in place for d in cluster.reduced)


def _bodies(cluster: Cluster, stored: set[int], together: int = 1) -> list[tuple[str, list[Stmt]]]:
    """For each phase its kind (reduce, full, kept) and its statements at the cluster's variables."""
    bodies: list[tuple[str, list[Stmt]]] = []
    done: set[int] = set()
    axes = tuple([cluster.vars[d] for d in cluster.reduced])
    for members in _phases(cluster, stored, together):
        first = members[0]
        if is_reduction(first) and first.id not in done:
            done.update(m.id for m in members)
            bodies.append(("reduce", [_accumulation(cluster, m, axes) for m in members]))
            continue
        stores: list[Stmt] = []
        for m in members:
            value = Load(cluster.accumulators[m.id], ()) if is_reduction(m) else cluster.values[m.id]
            stores.append(store_member(cluster, m, value))
        bodies.append(("full" if _is_full(cluster, first) else "kept", stores))
    return bodies


def _accumulation(cluster: Cluster, val: Val, axes: tuple[Var, ...]) -> Stmt:
    """The statement of a reduction."""
    name = REDUCE_OP[val.prim]
    start = identity(name, val.dtype)
    return Accumulate(cluster.accumulators[val.id], (), name, cluster.values[val.id], axes=axes, init=start)


def _store_shared_values(cluster: Cluster, bodies: list[tuple[str, list[Stmt]]], limit: int) -> list[Buffer]:
    """Stores expensive values that several phases compute in a scratch row, in the first phase. Modifies `bodies`."""
    inner = {cluster.vars[d] for d in cluster.reduced}
    extents = tuple([index(cluster.shape[d]) for d in cluster.reduced])
    place = tuple([index(cluster.vars[d]) for d in cluster.reduced])
    count = 1
    for d in cluster.reduced:
        count *= cluster.shape[d]
    seen: dict[int, int] = {}  # id of a value -> first phase
    shared: dict[int, tuple[int, Value]] = {}

    def visit(v: Value, phase: int, mine: set[int]) -> None:
        if id(v) in mine:
            return
        mine.add(id(v))
        if isinstance(v, Op) and v.name in EXPENSIVE and v.variables & inner:
            if id(v) in seen and seen[id(v)] != phase:
                shared[id(v)] = (seen[id(v)], v)
                return
            seen.setdefault(id(v), phase)
        if isinstance(v, Op):
            for a in v.args:
                visit(a, phase, mine)
        elif not isinstance(v, Const) and hasattr(v, "value"):
            visit(v.value, phase, mine)

    for n, (kind, body) in enumerate(bodies):
        if kind != "kept":
            mine: set[int] = set()
            for s in body:
                visit(s.value, n, mine)  # type: ignore[union-attr]
    rows: list[Buffer] = []
    for first, value in shared.values():
        if len(rows) >= STASH_ROWS or (len(rows) + 1) * count * value.dtype.itemsize > limit:
            break
        row = Buffer(f"row{len(rows)}", extents, value.dtype, Space.SCRATCH)
        rows.append(row)
        for n in range(first + 1, len(bodies)):
            kind, body = bodies[n]
            if kind != "kept":
                bodies[n] = (kind, [_replace(s, value, Load(row, place)) for s in body])
        bodies[first] = (bodies[first][0], [Store(row, place, value), *bodies[first][1]])
    return rows


def _replace(s: Stmt, old: Value, new: Value) -> Stmt:
    """The statement with one value (by identity) replaced."""
    memo: dict[int, Value] = {}

    def go(v: Value) -> Value:
        if v is old:
            return new
        known = memo.get(id(v))
        if known is not None:
            return known
        result = v
        if isinstance(v, Op):
            args = tuple([go(a) for a in v.args])
            if any(a is not b for a, b in zip(args, v.args, strict=True)):
                result = Op(v.name, args, v.dtype)
        elif isinstance(v, Cast):
            inner = go(v.value)
            if inner is not v.value:
                result = Cast(inner, v.dtype, v.bits)
        memo[id(v)] = result
        return result

    if isinstance(s, Store):
        return Store(s.buffer, s.position, go(s.value), s.guard)
    assert isinstance(s, Accumulate)
    return Accumulate(s.buffer, s.position, s.op, go(s.value), s.guard, s.axes, s.init, s.finish)


def _rows(cluster: Cluster, stored: set[int], stash: int) -> Lowered:
    """The innermost axis is reduced: each row is traversed once for each phase."""
    bodies = _bodies(cluster, stored, TOGETHER)
    scratch = _store_shared_values(cluster, bodies, stash)
    outer = [For(cluster.vars[d], index(cluster.shape[d]), block()) for d in cluster.kept]
    for n, one in enumerate(outer):
        one.var.name = f"o{n}"
    parts: list[Stmt] = []
    phases: list[Phase] = []
    values: list[Value] = []
    for n, (kind, body) in enumerate(bodies):
        values += [s.value for s in body]  # type: ignore[union-attr]
        if kind == "kept":
            parts += body
            continue
        nest, loops = _renamed(cluster, body, n)
        parts.append(nest)
        phases.append(_phase(kind, loops, []))
    inside = block(*parts)
    for acc in cluster.accumulators.values():
        inside = Alloc(acc, inside)
    for row in scratch:
        inside = Alloc(row, inside)
    kernel = Kernel("rows", (), loop_nest(outer, inside))
    return Lowered(kernel, KernelKind.ROWS, named(outer), phases, work=iterations(cluster) * operation_count(values))


def _renamed(cluster: Cluster, body: list[Stmt], number: int) -> tuple[Stmt, list[For]]:
    """The statements in loops of their own over the reduced axes."""
    fresh = {cluster.vars[d]: Var(f"r{number}_{n}", cluster.shape[d] - 1) for n, d in enumerate(cluster.reduced)}
    loops = [For(fresh[cluster.vars[d]], index(cluster.shape[d]), block()) for d in cluster.reduced]
    mapping = {old: index(new) for old, new in fresh.items()}
    nest = loop_nest(loops, block(*body))
    return substitute_stmt(nest, mapping, {o: (v,) for o, v in fresh.items()}), loops


def _phase(kind: str, reduced: list[For], columns: list[For]) -> Phase:
    """A phase by its kind (reduce, full, kept): its loops over reduced axes, and those over columns inside."""
    if kind == "reduce":
        return phase(PhaseRole.REDUCTION, named(reduced, LoopRole.REDUCTION), named(columns, LoopRole.LANE))
    return phase(PhaseRole.ELEMENTWISE, named([*reduced, *columns], LoopRole.LANE))


def _width(cluster: Cluster, target: Target) -> int:
    """The number of columns that are processed together: more, for longer accesses, if all threads still have work."""
    blocks = 1
    for d in cluster.kept:
        blocks *= cluster.shape[d]
    return WIDE if blocks >= WIDE * target.threads * 8 else NARROW


def _columns(cluster: Cluster, stored: set[int], width: int) -> Lowered:
    """The innermost axis is kept: a block of it stays in registers while the reduced axes are traversed."""
    last = cluster.vars[-1]
    extent = cluster.shape[-1]
    width = min(width, 1 << (extent - 1).bit_length())
    outer = [For(cluster.vars[d], index(cluster.shape[d]), block()) for d in cluster.kept[:-1]]
    for n, one in enumerate(outer):
        one.var.name = f"o{n}"
    blocks = loop("ob", -(-extent // width))
    tiles = {acc: Buffer(acc.name, (index(width),), acc.dtype, Space.REGISTER) for acc in cluster.accumulators.values()}
    parts: list[Stmt] = []
    phases: list[Phase] = []
    values: list[Value] = []
    for n, (kind, body) in enumerate(_bodies(cluster, stored)):
        values += [s.value for s in body]  # type: ignore[union-attr]
        inner = loop(f"oi{n}", width)
        here = index(blocks.var) * width + index(inner.var)
        within = less(here, extent)
        body = [_tiled(s, tiles, index(last)) for s in body]
        around: list[For] = []
        nest: Stmt = block(*body)
        if kind != "kept":
            fresh = {cluster.vars[d]: Var(f"r{n}_{m}", cluster.shape[d] - 1) for m, d in enumerate(cluster.reduced)}
            around = [For(fresh[cluster.vars[d]], index(cluster.shape[d]), block()) for d in cluster.reduced]
            nest = loop_nest([*around, inner], nest)
            mapping = {old: index(new) for old, new in fresh.items()}
            nest = substitute_stmt(nest, mapping, {o: (v,) for o, v in fresh.items()})
        else:
            nest = loop_nest([inner], nest)
        nest = substitute_stmt(nest, {last: here})
        nest = transform(nest, lambda s, w=within: _guarded(s, w))  # type: ignore[misc]
        nest = _local_tiles(nest, set(tiles.values()), index(inner.var))
        parts.append(nest)
        phases.append(_phase(kind, around, [inner]))
    inside = block(*parts)
    for tile in tiles.values():
        inside = Alloc(tile, inside)
    outer.append(blocks)
    kernel = Kernel("columns", (), loop_nest(outer, inside))
    return Lowered(kernel, KernelKind.COLUMNS, named(outer), phases, work=iterations(cluster) * operation_count(values))


def _tiled(s: Stmt, tiles: dict[Buffer, Buffer], place: Index) -> Stmt:
    """Scalar accumulators become tiles, addressed by the innermost kept axis for now."""

    def on_load(load: Load) -> Value:
        return Load(tiles[load.buffer], (place,)) if load.buffer in tiles else load

    rewriter = Rewriter(on_load=on_load)
    if isinstance(s, Store):
        return Store(s.buffer, s.position, rewriter.value(s.value), s.guard)
    assert isinstance(s, Accumulate)
    return Accumulate(
        tiles[s.buffer], (place,), s.op, rewriter.value(s.value), s.guard, s.axes, s.init, s.finish
    )  # fmt: skip


def _local_tiles(s: Stmt, tiles: set[Buffer], place: Index) -> Stmt:
    """Tile accesses use the lane within the block, not the position in the array."""

    def on_load(load: Load) -> Value:
        return Load(load.buffer, (place,)) if load.buffer in tiles else load

    rewriter = Rewriter(on_load=on_load)

    def visit(leaf: Stmt) -> Stmt:
        if isinstance(leaf, Store):
            return Store(leaf.buffer, leaf.position, rewriter.value(leaf.value), leaf.guard)
        if isinstance(leaf, Accumulate):
            return Accumulate(
                leaf.buffer,
                (place,),
                leaf.op,
                rewriter.value(leaf.value),
                leaf.guard,
                leaf.axes,
                leaf.init,
                leaf.finish,
            )
        return leaf

    return transform(s, visit)


def _guarded(s: Stmt, condition: object) -> Stmt:
    if isinstance(s, Store):
        return Store(s.buffer, s.position, s.value, s.guard & condition)  # type: ignore[operator]
    if isinstance(s, Accumulate):
        return Accumulate(s.buffer, s.position, s.op, s.value, s.guard & condition, s.axes, s.init, s.finish)  # type: ignore[operator]
    return s


register(REDUCE_OP, Lowering(Role.REDUCTION, decompose=decompose_reduction, kernel=lower_reduction))
register(["argmax", "argmin"], Lowering(decompose=decompose_arg_reduction))
