"""Kernels of primitives that stand alone: scans, scatters and sorts; attention is in `attend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dtypes import int64
from ...ir.expr import Buffer, Load, Space, Value, cast, lookup
from ...ir.guard import Guard, guard, less
from ...ir.index import INFINITY, Index, index
from ...ir.loops import renamed_nest
from ...ir.reductions import identity
from ...ir.stmt import Accumulate, Alloc, For, Kernel, Stmt, Store, block, loop, loop_nest
from ...ir.target import Target
from ...kernels.radix import LONG, SHORTEST, Key, Put, Radix, sort_parts
from ...kernels.sort import argsort_passes
from ..program import ATTENTIONS, SORTS, Val
from .attention import lower_attention

if TYPE_CHECKING:
    from ..fusion.placement import Cluster
    from .lower import Lowered

SCAN_OP = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}
SCATTER_OP = {"add": "add", "mul": "mul", "max": "max", "min": "min"}


def lower_single(cluster: Cluster, target: Target) -> Lowered:
    """The kernel of a scan, a sort, a scatter or an attention."""
    val = cluster.members[0]
    if val.prim in ATTENTIONS:
        return lower_attention(cluster, val, target)
    if val.prim == "join":
        return _join(cluster, val)
    if val.prim in SCAN_OP:
        return _scan(cluster, val, 64 if target.has_vectors else 1)
    if val.prim in SORTS:
        return _sort(cluster, val, target)
    return _scatter(cluster, val, target.throughput_oriented)


def _loops(shape: tuple[int, ...], prefix: str = "o") -> list[For]:
    return [loop(f"{prefix}{d}", e) for d, e in enumerate(shape)]


def _at(loops: list[For]) -> list[Index]:
    return [index(one.var) for one in loops]


def _scan(cluster: Cluster, val: Val, width: int) -> Lowered:
    """The scanned axis runs in order with its total in registers; the last axis, if another, in blocks of lanes."""
    from .lower import Lowered

    (x,), axis = val.args, val.params[0]
    emitter, out = cluster.emitter, cluster.emitter.buffer(val)
    first = identity(SCAN_OP[val.prim], val.dtype)
    loops = _loops(val.shape)
    step = loop("t", val.shape[axis])
    place = _at(loops)
    place[axis] = index(step.var)
    last = len(val.shape) - 1
    if axis == last or val.shape[last] == 1:
        acc = Buffer("total", (), val.dtype, Space.REGISTER)
        value = emitter.value(x, tuple(place))
        body = block(Accumulate(acc, (), SCAN_OP[val.prim], value), Store(out, tuple(place), Load(acc, ())))
        inside = Alloc(acc, block(Store(acc, (), first), loop_nest([step], body)))
        outer = [one for d, one in enumerate(loops) if d != axis]
        kernel = Kernel(val.prim, (), loop_nest(outer, inside))
        return Lowered(kernel, "serial", [one.var.name for one in outer], work=4 * val.size)
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
    return Lowered(
        kernel, "columns", [one.var.name for one in outer], [["oi0"], ["t", "oi1"]], [False, False], work=4 * val.size
    )


def _join(cluster: Cluster, val: Val) -> Lowered:
    """A copy of each part to its place."""
    from .lower import Lowered

    axis, start = val.params[0], 0
    out, parts, phases = cluster.emitter.buffer(val), [], []
    for n, x in enumerate(val.args):
        if not x.size:
            continue
        loops = _loops(x.shape, f"j{n}_")
        place = _at(loops)
        there = (*place[:axis], place[axis] + start, *place[axis + 1 :])
        parts.append(loop_nest(loops, Store(out, there, cluster.emitter.value(x, tuple(place)))))
        phases.append([one.var.name for one in loops])
        start += x.shape[axis]
    return Lowered(Kernel("join", (), block(*parts)), "phases", [], phases, work=2 * val.size)


def _scatter(cluster: Cluster, val: Val, wide: bool) -> Lowered:
    """A copy of the base, then the updates: those of one cell in order; where `wide`, for throughput, cells side by side."""
    from .lower import Lowered

    base, idx, upd = val.args
    axis, mode = val.params
    emitter = cluster.emitter
    copy = _loops(val.shape, "c")
    out = emitter.buffer(val)
    start = loop_nest(copy, Store(out, tuple(_at(copy)), emitter.value(base, tuple(_at(copy)))))
    loops = _loops(upd.shape, "u")
    place = _at(loops)
    rank = len(idx.shape) if val.prim == "scatter" else 1
    where = tuple(place[axis : axis + rank]) if val.prim == "scatter" else tuple(place)
    row = cast(emitter.value(idx, where), int64)
    extent = val.shape[axis]
    inside = _inside(row, extent)
    target = (*place[:axis], lookup(row, extent - 1), *place[axis + rank :])
    value = emitter.value(upd, tuple(place))
    leaf: Stmt
    if mode == "set":
        leaf = Store(out, target, value, inside)
    else:
        leaf = Accumulate(out, target, SCATTER_OP[mode], value, inside)
    after = [one.var.name for one in loops[axis + rank :]] if val.prim == "scatter" else [
        one.var.name for one in loops[axis + 1 :]
    ] if idx.shape[axis] == 1 else []  # fmt: skip
    if wide:
        ordered = [one for d, one in enumerate(loops) if axis <= d < axis + rank]
        free = [one for d, one in enumerate(loops) if not axis <= d < axis + rank]
        kernel = Kernel(val.prim, (), block(start, loop_nest([*free, *ordered], leaf)))
        names = [[one.var.name for one in group] for group in (copy, free)]
        return Lowered(kernel, "phases", [], names, work=4 * (val.size + upd.size))
    kernel = Kernel(val.prim, (), block(start, loop_nest(loops, leaf)))
    phases = [[one.var.name for one in copy], [one.var.name for one in loops]]
    lowered = Lowered(kernel, "scatter", [], phases, [False, False], work=4 * (val.size + upd.size))
    lowered.terms = after if val.prim == "scatter" else []
    return lowered


def _inside(row: Value, extent: int) -> Guard:
    raw = lookup(row, INFINITY, -INFINITY)
    return guard(raw, index(extent - 1) - raw)


def _sort(cluster: Cluster, val: Val, target: Target) -> Lowered:
    """A sort of each row by digits, or of a short one by merging. For a throughput-oriented device a merge sort with one launch for each
    pass."""
    from .lower import Lowered

    (x,), (axis, descending), wide = val.args, val.params, target.throughput_oriented
    emitter = cluster.emitter
    out = emitter.buffer(val)
    loops = _loops(val.shape)
    place = _at(loops)
    outer = [one for d, one in enumerate(loops) if d != axis]

    def key(position: Index) -> Value:
        return emitter.value(x, (*place[:axis], position, *place[axis + 1 :]))

    def store(position: Index, value: Value) -> Store:
        return Store(out, (*place[:axis], position, *place[axis + 1 :]), value)

    n = val.shape[axis]
    if not wide and n >= SHORTEST:
        return _radix(val, key, store, outer, target)
    work = val.size * max(1, n.bit_length()) ** 2 * 2
    tables, parts = argsort_passes(
        n, x.dtype, key, store, descending, outer if wide else [], Space.GLOBAL if wide else Space.SCRATCH
    )
    phases: list[list[str]] = []
    if wide:
        nests = [renamed_nest(outer, part, lambda name, k=k: f"{name}.{k}") for k, part in enumerate(parts)]  # type: ignore[misc]
        for k, part in enumerate(parts):
            assert isinstance(part, For)
            phases.append([*(f"{one.var.name}.{k}" for one in outer), part.var.name])
        body = block(*nests)
    else:
        body = block(*parts)
    for table in tables:
        body = Alloc(table, body)
    if wide:
        return Lowered(Kernel("argsort", (), body), "phases", [], phases, work=work)
    kernel = Kernel("argsort", (), loop_nest(outer, body))
    return Lowered(kernel, "serial", [one.var.name for one in outer], work=work)


def _radix(val: Val, key: Key, store: Put, outer: list[For], target: Target) -> Lowered:
    """A thread to a row, or where there are fewer long rows than threads, several to each."""
    from .lower import Lowered

    (x,), (axis, descending) = val.args, val.params
    n = val.shape[axis]
    rows = val.size // n
    shared = n >= LONG and 1 < target.threads and rows < 2 * target.threads
    groups = 2 * target.threads if shared else 1
    space = Space.GLOBAL if shared else Space.SCRATCH
    of = Radix(n, x.dtype, descending, val.prim == "argsort", groups)
    scratch, parts = sort_parts(of, key, store, outer if shared else [], space)
    unrolled = [name for part in parts for name in part.unrolled]
    lanes = [part.spatial[-1] for part in parts if part.lanes]
    if shared:
        nests = [renamed_nest(outer, part.nest, lambda name, k=k: f"{name}.{k}") for k, part in enumerate(parts)]  # type: ignore[misc]
        body: Stmt = block(*nests)
        spatial = [[*(f"{one.var.name}.{k}" for one in outer), *part.spatial] for k, part in enumerate(parts)]
    else:
        body = block(*[part.nest for part in parts])
        spatial = [[one.var.name for one in outer]]
    for buffer in scratch:
        body = Alloc(buffer, body)
    body = body if shared else loop_nest(outer, body)
    return Lowered(Kernel(val.prim, (), body), "sort", lanes, spatial, work=val.size * 64, terms=unrolled)
