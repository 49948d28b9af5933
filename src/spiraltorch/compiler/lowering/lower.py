"""From a cluster to an unscheduled kernel: loops over its space, and what they store.

The loops are named so that `rules` can address them: `o0, o1, ...` over kept axes, `r{phase}_{axis}` over reduced ones,
`ob` and `oi{phase}` where the innermost kept axis is taken in blocks, and `k0, k1, ...` for a contraction's terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ir.expr import Buffer, Cast, Const, Load, Op, Rewriter, Space, Value, cast, op
from ...ir.guard import guard, less
from ...ir.index import ZERO, Index, Var, index
from ...ir.loops import find_loop
from ...ir.reductions import identity
from ...ir.stmt import (
    Accumulate,
    Alloc,
    For,
    Kernel,
    Kind,
    Stmt,
    Store,
    block,
    leaf_loads,
    loop,
    loop_nest,
    substitute_stmt,
    transform,
    walk,
)
from ...ir.target import Target
from ...kernels.attention import Nest
from ..fusion.placement import COSTLY, Cluster, weight
from ..program import CONTRACTIONS, REDUCTIONS, Val
from ..schedules.choices import Choices

REDUCE_OP = {"reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min"}
STASH_ROWS = 8
NARROW, WIDE = 64, 256  # columns that are walked together
STASH_BYTES = 128 << 10  # a row of dear values is kept, rather than computed again, up to this size


@dataclass(slots=True)
class Lowered:
    """An unscheduled kernel, with what the rules need to know of it."""

    kernel: Kernel
    kind: str  # map, rows, columns, dot, conv, serial, scatter, sort, phases, attention
    loops: list[str]  # spatial loops, outermost first
    phases: list[list[str]] = field(default_factory=list)  # of rows: the loops of each phase; reductions first
    reductions: list[bool] = field(default_factory=list)  # which phases reduce
    terms: list[str] = field(default_factory=list)  # of contractions: the loops over terms
    batch: int = 0  # of contractions: how many of `loops` are batch axes
    rows: int = 0  # of contractions: how many of `loops` come from the left operand
    nests: list[Nest] = field(default_factory=list)  # of attention
    work: int = 1  # operations, roughly
    params: list[Val] = field(default_factory=list)
    scalars: list[int] = field(default_factory=list)
    stores: list[Val] = field(default_factory=list)
    choices: Choices = field(default_factory=Choices)  # decisions of the rules


def lower(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of a cluster; `stored` says which members go to memory."""
    if cluster.kind == "contract":
        lowered = _contract(cluster, stored)
    elif cluster.kind == "rows":
        column = len(cluster.shape) - 1 not in cluster.reduced
        if column:
            lowered = _columns(cluster, stored, _width(cluster, target) if target.has_vectors else 1)
        else:
            lowered = _rows(cluster, stored, STASH_BYTES if target.private_scratch else 0)
    elif cluster.kind == "map":
        lowered = _map(cluster, stored)
    else:
        from .single import lower_single

        lowered = lower_single(cluster, target)
    emitter = cluster.emitter
    lowered.params = [emitter.values[i] for i in emitter.buffers]
    lowered.scalars = list(emitter.scalars)
    lowered.stores = [m for m in cluster.members if m.id in stored]
    kernel = lowered.kernel
    lowered.kernel = Kernel(kernel.name, tuple(emitter.buffers.values()), kernel.body, tuple(emitter.scalars.values()))
    return lowered


def _store(cluster: Cluster, val: Val, value: Value) -> Store:
    place = cluster.place_of(val)
    assert place is not None
    return Store(cluster.emitter.buffer(val), place, value)


def _size(cluster: Cluster) -> int:
    size = 1
    for e in cluster.shape:
        size *= e
    return size


def ordered(stores: list[Store]) -> list[Store]:
    """Stores of one loop nest, those that read most buffers first.

    What a later store does not read, the one before may be written over: see `reuse`.
    """

    def reads(s: Store) -> int:
        return len({r.buffer for r in leaf_loads(s)})

    return sorted(stores, key=reads, reverse=True)


# ---------------------------------------------------------------- element-wise


def _map(cluster: Cluster, stored: set[int]) -> Lowered:
    stores = ordered([_store(cluster, m, cluster.values[m.id]) for m in cluster.members])
    loops = [For(v, index(e), block(), Kind.SERIAL) for v, e in zip(cluster.vars, cluster.shape, strict=True)]
    for n, one in enumerate(loops):
        one.var.name = f"o{n}"
    kernel = Kernel("map", (), loop_nest(loops, block(*stores)))
    work = _size(cluster) * weight([s.value for s in stores])
    return Lowered(kernel, "map", [f"o{n}" for n in range(len(loops))], work=work)


# ---------------------------------------------------------------- reductions


def _phases(cluster: Cluster, stored: set[int]) -> list[list[Val]]:
    """Members that can share loops, in order: each reduction alone, runs of full-shape or of kept-shape stores."""
    phases: list[list[Val]] = []
    kinds: list[str] = []
    for m in cluster.members:
        if m.prim in REDUCTIONS:
            phases.append([m])
            kinds.append("reduce")
            if m.id in stored:
                phases.append([m])
                kinds.append("kept")
            continue
        place = cluster.place_of(m)
        full = any(v in i.variables for i in place or () for v in (cluster.vars[d] for d in cluster.reduced))
        kind = "full" if full else "kept"
        if kinds and kinds[-1] == kind:
            phases[-1].append(m)
        else:
            phases.append([m])
            kinds.append(kind)
    return phases


def _is_full(cluster: Cluster, val: Val) -> bool:
    place = cluster.place_of(val) or ()
    return any(cluster.vars[d] in i.variables for i in place for d in cluster.reduced)


def _bodies(cluster: Cluster, stored: set[int]) -> list[tuple[str, list[Stmt]]]:
    """For each phase its kind (reduce, full, kept) and its statements at the cluster's variables."""
    bodies: list[tuple[str, list[Stmt]]] = []
    done: set[int] = set()
    axes = tuple([cluster.vars[d] for d in cluster.reduced])
    for members in _phases(cluster, stored):
        first = members[0]
        if first.prim in REDUCTIONS and first.id not in done:
            done.add(first.id)
            acc, value = cluster.accumulators[first.id], cluster.values[first.id]
            name = REDUCE_OP[first.prim]
            bodies.append(("reduce", [Accumulate(acc, (), name, value, axes=axes, init=identity(name, first.dtype))]))
            continue
        stores: list[Stmt] = []
        for m in members:
            value = Load(cluster.accumulators[m.id], ()) if m.prim in REDUCTIONS else cluster.values[m.id]
            stores.append(_store(cluster, m, value))
        bodies.append(("full" if _is_full(cluster, first) else "kept", stores))
    return bodies


def _stash(cluster: Cluster, bodies: list[tuple[str, list[Stmt]]], limit: int) -> list[Buffer]:
    """Dear values that several phases compute are stored in a row of scratch by the first. Changes `bodies`."""
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
        if isinstance(v, Op) and v.name in COSTLY and v.variables & inner:
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
    """The innermost axis is reduced: each row is walked once for each phase."""
    bodies = _bodies(cluster, stored)
    scratch = _stash(cluster, bodies, stash)
    outer = [For(cluster.vars[d], index(cluster.shape[d]), block()) for d in cluster.kept]
    for n, one in enumerate(outer):
        one.var.name = f"o{n}"
    parts: list[Stmt] = []
    names: list[list[str]] = []
    reductions: list[bool] = []
    values: list[Value] = []
    for n, (kind, body) in enumerate(bodies):
        values += [s.value for s in body]  # type: ignore[union-attr]
        if kind == "kept":
            parts += body
            continue
        nest, loops = _renamed(cluster, body, n)
        parts.append(nest)
        names.append(loops)
        reductions.append(kind == "reduce")
    inside = block(*parts)
    for acc in cluster.accumulators.values():
        inside = Alloc(acc, inside)
    for row in scratch:
        inside = Alloc(row, inside)
    kernel = Kernel("rows", (), loop_nest(outer, inside))
    spatial = [one.var.name for one in outer]
    return Lowered(kernel, "rows", spatial, names, reductions, work=_size(cluster) * weight(values))


def _renamed(cluster: Cluster, body: list[Stmt], phase: int) -> tuple[Stmt, list[str]]:
    """The statements in loops of their own over the reduced axes."""
    fresh = {cluster.vars[d]: Var(f"r{phase}_{n}", cluster.shape[d] - 1) for n, d in enumerate(cluster.reduced)}
    loops = [For(fresh[cluster.vars[d]], index(cluster.shape[d]), block()) for d in cluster.reduced]
    mapping = {old: index(new) for old, new in fresh.items()}
    nest = loop_nest(loops, block(*body))
    return substitute_stmt(nest, mapping, {o: (v,) for o, v in fresh.items()}), [one.var.name for one in loops]


def _width(cluster: Cluster, target: Target) -> int:
    """How many columns are walked together: more, where they leave every thread enough to do, go along longer stretches."""
    blocks = 1
    for d in cluster.kept:
        blocks *= cluster.shape[d]
    return WIDE if blocks >= WIDE * target.threads * 8 else NARROW


def _columns(cluster: Cluster, stored: set[int], width: int) -> Lowered:
    """The innermost axis is kept: a block of it stays in registers while the reduced axes are walked."""
    last = cluster.vars[-1]
    extent = cluster.shape[-1]
    width = min(width, 1 << (extent - 1).bit_length())
    outer = [For(cluster.vars[d], index(cluster.shape[d]), block()) for d in cluster.kept[:-1]]
    for n, one in enumerate(outer):
        one.var.name = f"o{n}"
    blocks = loop("ob", -(-extent // width))
    tiles = {acc: Buffer(acc.name, (index(width),), acc.dtype, Space.REGISTER) for acc in cluster.accumulators.values()}
    parts: list[Stmt] = []
    names: list[list[str]] = []
    reductions: list[bool] = []
    values: list[Value] = []
    for n, (kind, body) in enumerate(_bodies(cluster, stored)):
        values += [s.value for s in body]  # type: ignore[union-attr]
        inner = loop(f"oi{n}", width)
        here = index(blocks.var) * width + index(inner.var)
        within = less(here, extent)
        body = [_tiled(s, tiles, index(last)) for s in body]
        loops: list[str] = []
        nest: Stmt = block(*body)
        if kind != "kept":
            fresh = {cluster.vars[d]: Var(f"r{n}_{m}", cluster.shape[d] - 1) for m, d in enumerate(cluster.reduced)}
            around = [For(fresh[cluster.vars[d]], index(cluster.shape[d]), block()) for d in cluster.reduced]
            loops = [one.var.name for one in around]
            nest = loop_nest([*around, inner], nest)
            mapping = {old: index(new) for old, new in fresh.items()}
            nest = substitute_stmt(nest, mapping, {o: (v,) for o, v in fresh.items()})
        else:
            nest = loop_nest([inner], nest)
        nest = substitute_stmt(nest, {last: here})
        nest = transform(nest, lambda s, w=within: _guarded(s, w))  # type: ignore[misc]
        nest = _local_tiles(nest, set(tiles.values()), index(inner.var))
        parts.append(nest)
        names.append([*loops, inner.var.name])
        reductions.append(kind == "reduce")
    inside = block(*parts)
    for tile in tiles.values():
        inside = Alloc(tile, inside)
    kernel = Kernel("columns", (), loop_nest([*outer, blocks], inside))
    spatial = [*(one.var.name for one in outer), "ob"]
    return Lowered(kernel, "columns", spatial, names, reductions, work=_size(cluster) * weight(values))


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


# ---------------------------------------------------------------- contractions


def _contract(cluster: Cluster, stored: set[int]) -> Lowered:
    val = cluster.members[0]
    assert val.prim in CONTRACTIONS
    acc = cluster.accumulators[val.id]
    place = cluster.place_of(val)
    assert place is not None
    loops = [For(v, index(e), block()) for v, e in zip(cluster.vars, cluster.shape, strict=True)]
    for n, one in enumerate(loops):
        one.var.name = f"o{n}"
    operands = _dot_operands if val.prim == "dot" else _conv_operands
    left, right, terms, batch, rows = operands(cluster, val, place)
    finish = []
    for m in cluster.members:
        if m.id in stored:
            finish.append(_store(cluster, m, Load(acc, place) if m is val else cluster.values[m.id]))
    zero = Const(0.0 if val.dtype.is_float else 0, val.dtype)
    leaf = Accumulate(
        acc,
        place,
        "add",
        op("mul", left, right),
        axes=tuple([t.var for t in terms]),
        init=zero,
        finish=tuple(ordered(finish)),
    )
    kernel = Kernel(val.prim, (), Alloc(acc, loop_nest([*loops, *terms], leaf)))
    work = 2 * val.size
    for t in terms:
        work *= t.extent.const
    return Lowered(
        kernel, val.prim, [one.var.name for one in loops], terms=[t.var.name for t in terms], batch=batch, rows=rows,
        work=work,
    )  # fmt: skip


Operands = tuple[Value, Value, list[For], int, int]


def _dot_operands(cluster: Cluster, val: Val, place: tuple[Index, ...]) -> Operands:
    x, y = val.args
    xc, yc, xb, yb = val.params
    terms = [loop(f"k{n}", x.shape[d]) for n, d in enumerate(xc) if x.shape[d] != 1]
    names = iter(terms)
    term_at = [ZERO if x.shape[d] == 1 else index(next(names).var) for d in xc]
    rows = [d for d in range(len(x.shape)) if d not in xc and d not in xb]
    columns = [d for d in range(len(y.shape)) if d not in yc and d not in yb]
    at_x, at_y = [ZERO] * len(x.shape), [ZERO] * len(y.shape)
    for n, (dx, dy) in enumerate(zip(xb, yb, strict=True)):
        at_x[dx] = at_y[dy] = place[n]
    for n, d in enumerate(rows):
        at_x[d] = place[len(xb) + n]
    for n, d in enumerate(columns):
        at_y[d] = place[len(xb) + len(rows) + n]
    for n, (dx, dy) in enumerate(zip(xc, yc, strict=True)):
        at_x[dx] = at_y[dy] = term_at[n]
    left = cluster.emitter.value(x, tuple(at_x))
    right = cluster.emitter.value(y, tuple(at_y))
    batch = sum(1 for d in xb if x.shape[d] != 1)
    return left, right, terms, batch, sum(1 for d in rows if x.shape[d] != 1)


def _conv_operands(cluster: Cluster, val: Val, place: tuple[Index, ...]) -> Operands:
    """`x[n, g, c, y*stride + p*dilation - lo]`, where that is an element and not between or beside elements."""
    x, w = val.args
    strides, padding, lhs, rhs = val.params
    group, channel = place[1], loop("k0", w.shape[2])
    window = [loop(f"k{1 + n}", e) for n, e in enumerate(w.shape[3:])]
    terms = [t for t in (channel, *window) if t.extent.const != 1]
    at = [place[0], group, index(channel.var)]
    inside: list[Index] = []
    for n, one in enumerate(window):
        i = place[3 + n] * strides[n] + index(one.var) * rhs[n] - padding[n][0]
        extent = x.shape[3 + n]
        if lhs[n] > 1:  # the bounds are of the quotient, which is what the verifier meets at the access
            inside.append((i % lhs[n]) * -1)
            i = i // lhs[n]
        inside += [i, index(extent - 1) - i]
        at.append(i)
    left = cluster.emitter.value(x, tuple(at), guard(*inside))
    right = cluster.emitter.value(w, (group, place[2], index(channel.var), *(index(one.var) for one in window)))
    if not isinstance(left, Load):  # what is not plain memory may not be zero outside
        from ...ir.expr import Test

        condition = guard(*inside)
        if not condition.always:
            zero = Const(0.0 if val.dtype.is_float else 0, val.dtype)
            left = op("select", Test(condition), cast(left, val.dtype), zero)
    real = [n for n, e in enumerate(val.shape) if e != 1]
    return left, right, terms, sum(1 for n in real if n < 2), int(val.shape[2] != 1)


def depends_on_right(kernel: Kernel, name: str) -> bool:
    """Whether the right operand of the contraction changes along this loop."""
    var = find_loop(kernel, name).var
    leaf = next(s for s in walk(kernel.body) if isinstance(s, Accumulate))
    assert isinstance(leaf.value, Op)
    return var in leaf.value.args[1].variables
