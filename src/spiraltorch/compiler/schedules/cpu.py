"""Which schedule steps a lowered kernel gets on a target: plain functions of shapes and of the target's facts.

Nothing here asks which backend it is. `schedule` is the one entry; each kind of kernel has its rule.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir import schedule as steps
from ...ir.expr import Op, Space, loads
from ...ir.stmt import Accumulate, Kernel, Kind, Store, leaf_loads, walk
from ...ir.target import Target
from ..choices import Choices
from ..lowering.lowered import Lowered
from .attention import attention
from .common import (
    TASKS_A_THREAD,
    UNROLL,
    collapse,
    far,
    interior,
    is_virtual,
    leaf_dtype,
    multiples,
    narrowest,
    parallel,
    parallel_copy,
    parallel_nest,
    register_tile,
    step,
    tiles,
    vector_copy,
    vectorize,
)
from .convolution import conv
from .gpu import schedule_groups

DEEP = 1040  # terms of a block whose right operand is packed
PANEL = 256  # the same where each thread packs a panel before it uses it, and the result waits in the cache
PANEL_MOST = 256  # rows up to which that is better than packing all of the operand first
FAR_ROWS = 8192  # bytes between rows of the right operand from which on they are packed for few rows too
SHALLOW = 128  # and where it is read in place, a few lines of many rows at a time
DEPTHS = (0, 128, 256, PANEL, DEEP, 2080)  # 0: all terms at once


def schedule(lowered: Lowered, target: Target, choices: Choices | None = None) -> Kernel:
    """The scheduled kernel. The rules ask `choices` at each decision, by default those that came with the kernel."""
    if choices is not None:
        lowered = replace(lowered, choices=choices)
    if target.has_grid:
        return steps.finish(schedule_groups(lowered, target))
    return steps.finish(_RULES[lowered.kind](lowered, target))


def _map(lowered: Lowered, target: Target) -> Kernel:
    kernel, names = collapse(lowered.kernel, lowered.loops)
    if not names:
        return kernel
    across = _across(kernel, names)
    if across is not None:
        return _crossed(lowered, kernel, names, across, target)
    lanes = target.lanes(narrowest(kernel))
    unroll = lowered.choices.pick("unroll", 4 if lowered.work < 8 * steps.iterations(kernel, *names) else 2, UNROLL)
    extent = steps.iterations(kernel, names[-1])
    kernel, outer, parts = vectorize(kernel, names[-1], lanes, unroll)
    kernel = interior(kernel, outer, extent, parts)
    spatial = names[:-1] + ([outer] if outer else [])
    return parallel(kernel, spatial, lowered.work, target, lowered.choices)


def _across(kernel: Kernel, names: list[str]) -> str | None:
    """The loop along which memory lies that the innermost loop strides over, as in a transposition."""
    last = steps.find_loop(kernel, names[-1]).var
    if len(names) < 2 or steps.iterations(kernel, names[-1]) < 2:
        return None
    for s in walk(kernel.body):
        for load in leaf_loads(s) if isinstance(s, Store) else ():
            if far(load, last):
                for name in names[:-1]:
                    if step(load, steps.find_loop(kernel, name).var) == 1 and steps.iterations(kernel, name) > 4:
                        return name
    return None


def _crossed(lowered: Lowered, kernel: Kernel, names: list[str], across: str, target: Target) -> Kernel:
    """Small squares of two loops, so that a line of either operand is used while it is in the cache."""
    lanes = target.lanes(narrowest(kernel))
    last, extent = names[-1], steps.iterations(kernel, names[-1])
    lanes = min(lanes, 1 << (extent - 1).bit_length())
    side = lowered.choices.pick("side", 64 // max(1, narrowest(kernel).itemsize), (4, 8, 16, 32, 64))
    others = [n for n in names[:-1] if n != across]
    kernel = steps.split(kernel, across, side, "so", "si", exact=True)
    kernel = steps.split(kernel, last, side, "to", "t1", exact=True)
    if lanes > 1:
        kernel = steps.split(kernel, "t1", lanes, "tv", "tl")
        kernel = steps.mark(steps.reorder(kernel, *others, "so", "to", "si", "tv", "tl"), Kind.VECTOR, "tl")
    else:
        kernel = steps.reorder(kernel, *others, "so", "to", "si", "t1")
    return parallel(kernel, [*others, "so", "to"], lowered.work, target, lowered.choices)


def _rows(lowered: Lowered, target: Target) -> Kernel:
    kernel = lowered.kernel
    lanes = target.lanes(narrowest(kernel))
    for n, (names, reduces) in enumerate(zip(lowered.phases, lowered.reductions, strict=True)):
        kernel, names = collapse(kernel, names)
        first = names[0]
        extent = steps.iterations(kernel, names[-1])
        unroll = lowered.choices.pick(f"unroll.{n}", 4 if reduces else 2, UNROLL)
        kernel, outer, parts = vectorize(kernel, names[-1], lanes, unroll)
        if len(names) == 1:
            first = outer or parts[0]
        if reduces and parts:
            if outer or len(names) > 1:
                kernel = steps.accumulate(kernel, first, f"{first}_part", tuple(parts))
        kernel = interior(kernel, outer, extent, parts)
    kernel, spatial = collapse(kernel, lowered.loops)
    return parallel(kernel, spatial, lowered.work, target, lowered.choices)


def _columns(lowered: Lowered, target: Target) -> Kernel:
    kernel = lowered.kernel
    lanes = target.lanes(narrowest(kernel))
    for names in lowered.phases:
        inner = names[-1]
        width = steps.iterations(kernel, inner)
        if width > lanes:
            kernel = steps.split(kernel, inner, lanes, f"{inner}u", f"{inner}l")
            kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, f"{inner}u"), Kind.VECTOR, f"{inner}l")
        elif width > 1:
            kernel = steps.mark(kernel, Kind.VECTOR, inner)
        if len(names) > 2:
            kernel, _ = collapse(kernel, names[:-1])
    return parallel(kernel, lowered.loops, lowered.work, target, lowered.choices)


def _phases(lowered: Lowered, target: Target) -> Kernel:
    """Nests after each other, each with lanes along its innermost loop."""
    kernel = lowered.kernel
    lanes = target.lanes(narrowest(kernel))
    for loops in lowered.phases:
        kernel, names = collapse(kernel, loops)
        kernel, outer, _ = vectorize(kernel, names[-1], lanes, 2)
        spatial = names[:-1] + ([outer] if outer else [])
        kernel = parallel(kernel, spatial, lowered.work // len(lowered.phases), target, lowered.choices)
    return kernel


def _sort(lowered: Lowered, target: Target) -> Kernel:
    """Copies in and out have lanes, blocks of a group go side by side; rows, or groups of blocks, are tasks."""
    kernel = lowered.kernel
    if lowered.terms:
        kernel = steps.mark(kernel, Kind.UNROLLED, *lowered.terms)
    split: dict[str, str] = {}
    for name in lowered.loops:
        kernel, outer, _ = vectorize(kernel, name, target.lanes(narrowest(kernel)), 2)
        split[name] = outer or ""
    for names in lowered.phases:
        spatial = [split.get(name, name) for name in names]
        kernel = parallel(kernel, [name for name in spatial if name], lowered.work, target, lowered.choices)
    return kernel


def _serial(lowered: Lowered, target: Target) -> Kernel:
    return parallel(lowered.kernel, lowered.loops, lowered.work, target, lowered.choices)


def _scatter(lowered: Lowered, target: Target) -> Kernel:
    """The copy is vectorised; the updates keep their order, lanes run over what follows the scattered axis."""
    kernel = lowered.kernel
    lanes = target.lanes(narrowest(kernel))
    copy, update = lowered.phases
    if copy:
        kernel, names = collapse(kernel, copy)
        extent = steps.iterations(kernel, names[-1])
        kernel, outer, parts = vectorize(kernel, names[-1], lanes, lowered.choices.pick("unroll", 2, UNROLL))
        kernel = interior(kernel, outer, extent, parts)
    if lowered.terms and update:
        kernel, names = collapse(kernel, lowered.terms)
        kernel, _, _ = vectorize(kernel, names[-1], lanes, 1)
    return kernel


def _dot(lowered: Lowered, target: Target) -> Kernel:
    """BLIS-like (Van Zee and van de Geijn, TOMS 2015): a register tile, operands packed where they are read again.

    Long sums are taken in blocks whose operands stay in the cache; the result waits in memory meanwhile.
    """
    kernel, choices = lowered.kernel, lowered.choices
    dtype = leaf_dtype(kernel)
    batch, names = lowered.loops[: lowered.batch], lowered.loops[lowered.batch :]
    rows_names, column_names = names[: lowered.rows], names[lowered.rows :]
    kernel, rows_names = collapse(kernel, rows_names)
    kernel, column_names = collapse(kernel, column_names)
    kernel, terms = collapse(kernel, lowered.terms)
    i, j, k = rows_names[-1], column_names[-1], terms[-1]
    m, height, n = (steps.iterations(kernel, *names) for names in (rows_names, [i], [j]))
    depth = steps.iterations(kernel, *terms)
    lanes = min(target.lanes(dtype), 1 << (n - 1).bit_length())
    best = register_tile(height, n, lanes, target.registers)
    rows, vectors = choices.pick("tile", best, tiles(height, n, lanes, target.registers))
    right = depth * n * dtype.itemsize
    few = rows if n * dtype.itemsize > FAR_ROWS else 2 * rows
    packs = choices.pick("pack", m > few and right > target.l1_bytes // 2, (False, True))
    if _near_terms(kernel, j, terms) and choices.pick("along", not packs and depth >= 4 * lanes, (False, True)):
        return _dot_along(lowered, kernel, [batch, rows_names, column_names, terms], target)
    over: list[str] = []
    panel = packs and choices.pick("panel", m <= PANEL_MOST and not rows_names[:-1], (False, True))
    near = m * n * dtype.itemsize <= target.l2_bytes // 4
    deep = (PANEL if panel and near else DEEP if packs else SHALLOW) if packs or right > target.l2_bytes // 2 else 0
    deep = choices.pick("depth", deep, [d for d in DEPTHS if 3 * d <= 2 * depth])
    if deep:
        kernel, over, terms = _blocked(kernel, terms, deep)
    kernel = steps.split(kernel, j, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    kernel = steps.split(kernel, i, rows, "ir", "ii")
    block = steps.iterations(kernel, *terms)
    most = steps.iterations(kernel, "ir")
    mc = max(1, min(most, target.l2_bytes // 2 // (block * rows * dtype.itemsize)))
    mc = choices.pick("mc", mc, multiples(mc, most))
    outer_rows, outer_columns = rows_names[:-1], column_names[:-1]
    k = terms[-1]
    fitting = [u for u in UNROLL if steps.iterations(kernel, k) % u == 0]
    unroll = choices.pick("unroll", max(u for u in fitting if u <= 4), fitting)
    if unroll > 1:
        kernel = steps.split(kernel, k, unroll, "ku", "kk")
        kernel = steps.mark(kernel, Kind.UNROLLED, "kk")
        terms = [*terms[:-1], "ku", "kk"]
    kernel = steps.split(kernel, "ir", mc, "ic", "i1", exact=True)
    count = steps.iterations(kernel, "jr")
    blocks = steps.iterations(kernel, "ic")
    want = max(1, (target.threads * TASKS_A_THREAD) // max(1, blocks)) if lowered.work >= target.parallel_work else 1
    nc = max(1, -(-count // want))
    nc = choices.pick("nc", nc, multiples(nc, count))
    kernel = steps.split(kernel, "jr", nc, "jc", "j1", exact=True)
    spatial = [*batch, *outer_rows, *outer_columns, "ic", "jc"]
    kernel = steps.reorder(kernel, *spatial, *over, "j1", "i1", *terms, "ii", "jv", "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, "ii", "jv")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    if packs:
        order = (*outer_columns, "jc", "j1", *over, *terms, "jv", "jl")
        if panel:
            kernel = steps.stage(kernel, 1, "j1", "pb", Space.SCRATCH, (*terms, "jv", "jl"))
        elif batch:
            kernel = steps.stage(kernel, 1, batch[-1], "pb", Space.SCRATCH, order)
        else:
            kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, order)
            kernel = parallel_copy(kernel, "pb", target, lowered.work)
        kernel = vector_copy(kernel, "pb", lanes)
        if not batch and choices.pick("left", _scattered(kernel, terms[-1]), (False, True)):
            kernel = steps.stage(kernel, 0, None, "pa", Space.GLOBAL, (*outer_rows, "ic", "i1", *over, *terms, "ii"))
            kernel = vector_copy(parallel_copy(kernel, "pa", target, lowered.work), "pa", lanes)
    if over:
        kernel = steps.realize(kernel, next(s.buffer.name for s in walk(kernel.body) if is_virtual(s)))
    kernel = steps.accumulate(kernel, terms[0], "tile")
    if height % rows:
        kernel = steps.specialize(kernel, "i1")
    return parallel_nest(kernel, spatial, lowered.work, target, choices)


def _near_terms(kernel: Kernel, column: str, terms: list[str]) -> bool:
    """Whether terms lie side by side in both operands, and columns of the right one far apart: a transposed matrix."""
    if len(terms) > 1:
        return False
    term, var = steps.find_loop(kernel, terms[0]).var, steps.find_loop(kernel, column).var
    leaf = next(s for s in walk(kernel.body) if isinstance(s, Accumulate))
    assert isinstance(leaf.value, Op)
    left, right = (list(loads(arg)) for arg in leaf.value.args)
    return all(step(load, term) == 1 for load in left + right) and any(far(load, var) for load in right)


def _dot_along(lowered: Lowered, kernel: Kernel, loops: list[list[str]], target: Target) -> Kernel:
    """Lanes run over terms, so that few rows times a transposed matrix read both as they lie; sums across lanes come last."""
    batch, rows_names, column_names, (k,) = loops
    i, j = rows_names[-1], column_names[-1]
    lanes = target.lanes(leaf_dtype(kernel))
    extents = [steps.iterations(kernel, name) for name in (i, j)]
    best = (min(4, extents[0]), min(4 if target.registers > 16 else 2, extents[1]))
    rows, columns = lowered.choices.pick("tile.along", best, [(a, b) for a in (1, 2, 4, 8) for b in (1, 2, 4)])
    ragged = steps.iterations(kernel, k) % lanes
    kernel = steps.split(kernel, i, rows, "ir", "ii")
    kernel = steps.split(kernel, j, columns, "jr", "ji")
    kernel = steps.split(kernel, k, lanes, "ko", "kl")
    spatial = [*batch, *rows_names[:-1], *column_names[:-1], "jr", "ir"]
    kernel = steps.reorder(kernel, *spatial, "ko", "ii", "ji", "kl")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, "ii", "ji"), Kind.VECTOR, "kl")
    kernel = steps.accumulate(kernel, "ko", "tile", ("kl",))
    if ragged:
        kernel = steps.specialize(kernel, "ko")
    count = steps.iterations(kernel, "jr")
    each = max(1, count // (target.threads * TASKS_A_THREAD * 2))
    if lowered.work >= target.parallel_work and each > 1:
        kernel = steps.split(kernel, "jr", each, "jc", "j1", exact=True)
        spatial[-2:] = ["jc"]
    return parallel_nest(kernel, spatial, lowered.work, target, lowered.choices)


def _scattered(kernel: Kernel, term: str) -> bool:
    """Whether neighbouring terms of the left operand lie on different lines of the cache."""
    var = steps.find_loop(kernel, term).var
    leaf = next(s for s in walk(kernel.body) if isinstance(s, Accumulate))
    assert isinstance(leaf.value, Op)
    return any(far(load, var) for load in loads(leaf.value.args[0]))


def _blocked(kernel: Kernel, terms: list[str], deep: int) -> tuple[Kernel, list[str], list[str]]:
    """The terms in blocks of about `deep`: the loops over blocks, and those inside."""
    if steps.iterations(kernel, *terms) < deep * 3 // 2:
        return kernel, [], terms
    depth = steps.iterations(kernel, terms[-1])
    if depth < deep * 3 // 2:
        return kernel, terms[:-1], terms[-1:]
    parts = -(-depth // deep)
    each = -(-depth // (8 * parts)) * 8
    kernel = steps.split(kernel, terms[-1], each, "kc", "k1", exact=True)
    return kernel, [*terms[:-1], "kc"], ["k1"]


_RULES = {
    "map": _map, "rows": _rows, "columns": _columns, "serial": _serial, "phases": _phases, "sort": _sort, "scatter": _scatter, "dot": _dot,
    "conv": conv, "attention": attention,
}  # fmt: skip
