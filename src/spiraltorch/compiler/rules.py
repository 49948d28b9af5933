"""Which schedule steps a lowered kernel gets on a target: plain functions of shapes and of the target's facts.

Nothing here asks which backend it is. `schedule` is the one entry; each kind of kernel has its rule.
"""

from __future__ import annotations

from ..dtypes import DType, float32
from ..ir import schedule as steps
from ..ir.expr import Space
from ..ir.schedule import ScheduleError
from ..ir.stmt import For, Kernel, Kind, leaf_values, walk
from ..ir.target import Target
from .lower import Lowered, depends_on_right
from .rules_groups import schedule_groups

PARALLEL_WORK = 1 << 17  # operations below which waking other threads costs more than it gives
TASKS_A_THREAD = 4


def schedule(lowered: Lowered, target: Target) -> Kernel:
    """The scheduled kernel."""
    if target.groups:
        return steps.finish(schedule_groups(lowered, target))
    return steps.finish(_RULES[lowered.kind](lowered, target))


# ---------------------------------------------------------------- shared pieces


def _narrowest(kernel: Kernel) -> DType:
    """The dtype that decides how many lanes a vector has: the widest that is computed with, bool aside."""
    best = None
    for s in walk(kernel.body):
        for v in leaf_values(s):
            if not v.dtype.is_bool and (best is None or v.dtype.itemsize > best.itemsize):
                best = v.dtype
    return best or float32


def _directly_nested(kernel: Kernel, outer: str, inner: str) -> bool:
    body = steps.find_loop(kernel, outer).body
    return isinstance(body, For) and body.var.name == inner


def _fusible(kernel: Kernel, outer: str, inner: str) -> bool:
    return _directly_nested(kernel, outer, inner) and steps.find_loop(kernel, inner).extent.is_const


def _collapse(kernel: Kernel, names: list[str]) -> tuple[Kernel, list[str]]:
    """Fuses neighbouring loops wherever the fused index needs no division."""
    names = list(names)
    n = len(names) - 2
    while n >= 0:
        if n + 1 < len(names) and _directly_nested(kernel, names[n], names[n + 1]):
            try:
                fused = f"{names[n]}{names[n + 1]}"
                kernel = steps.fuse(kernel, names[n], names[n + 1], fused)
                names[n : n + 2] = [fused]
            except ScheduleError:
                pass
        n -= 1
    return kernel, names


def _vectorize(kernel: Kernel, name: str, lanes: int, unroll: int) -> tuple[Kernel, str | None, list[str]]:
    """Splits a loop into vectors, `unroll` of them an iteration. Gives the outer loop's name and the inner names."""
    extent = steps.iterations(kernel, name)
    if lanes == 1 or extent < 2:
        return kernel, name, []
    lanes = min(lanes, 1 << (extent - 1).bit_length())
    while unroll > 1 and (extent < lanes * unroll or extent % (lanes * unroll)) and unroll * lanes * 4 > extent:
        unroll //= 2
    inner, outer = f"{name}i", f"{name}o"
    if extent > lanes * unroll:
        kernel = steps.split(kernel, name, lanes * unroll, outer, inner)
    else:
        outer, inner = "", name
    if unroll > 1 or steps.iterations(kernel, inner) > lanes:
        kernel = steps.split(kernel, inner, lanes, f"{name}u", f"{name}l")
        kernel = steps.mark(kernel, Kind.UNROLLED, f"{name}u")
        kernel = steps.mark(kernel, Kind.VECTOR, f"{name}l")
        parts = [f"{name}u", f"{name}l"]
    else:
        if steps.iterations(kernel, inner) < lanes:
            kernel = steps.split(kernel, inner, lanes, f"{name}u", f"{name}l")
            kernel = steps.mark(kernel, Kind.UNROLLED, f"{name}u")
            inner = f"{name}l"
        kernel = steps.mark(kernel, Kind.VECTOR, inner)
        parts = [inner]
    return kernel, outer or None, parts


def _interior(kernel: Kernel, outer: str | None, extent: int, parts: list[str]) -> Kernel:
    """Where the last vectors are ragged, all but the last iteration run without masks."""
    step = 1
    for name in parts:
        step *= steps.iterations(kernel, name)
    return steps.specialize(kernel, outer) if outer and extent % step else kernel


def _parallel(kernel: Kernel, names: list[str], work: int, target: Target) -> Kernel:
    """Spreads the outermost loops over threads, where the work pays for it."""
    if target.threads < 2 or work < PARALLEL_WORK or not names:
        return kernel
    want = target.threads * TASKS_A_THREAD
    first = names[0]
    extent = steps.iterations(kernel, first)
    if extent < want and len(names) > 1 and _fusible(kernel, first, names[1]):
        kernel = steps.fuse(kernel, first, names[1], f"{first}{names[1]}", simple=False)
        first = f"{first}{names[1]}"
        extent = steps.iterations(kernel, first)
    if extent < 2:
        return kernel
    chunk = extent // (want * 4)
    if chunk > 1:  # few large tasks: each call of a task costs
        kernel = steps.split(kernel, first, chunk, f"{first}t", f"{first}c", exact=True)
        first = f"{first}t"
    return steps.mark(kernel, Kind.PARALLEL, first)


# ---------------------------------------------------------------- rules


def _map(lowered: Lowered, target: Target) -> Kernel:
    kernel, names = _collapse(lowered.kernel, lowered.loops)
    if not names:
        return kernel
    lanes = target.lanes(_narrowest(kernel))
    unroll = 4 if lowered.work < 8 * steps.iterations(kernel, *names) else 2
    extent = steps.iterations(kernel, names[-1])
    kernel, outer, parts = _vectorize(kernel, names[-1], lanes, unroll)
    kernel = _interior(kernel, outer, extent, parts)
    spatial = names[:-1] + ([outer] if outer else [])
    return _parallel(kernel, spatial, lowered.work, target)


def _rows(lowered: Lowered, target: Target) -> Kernel:
    kernel = lowered.kernel
    lanes = target.lanes(_narrowest(kernel))
    for names, reduces in zip(lowered.phases, lowered.reductions, strict=True):
        kernel, names = _collapse(kernel, names)
        first = names[0]
        extent = steps.iterations(kernel, names[-1])
        kernel, outer, parts = _vectorize(kernel, names[-1], lanes, 4 if reduces else 2)
        if len(names) == 1:
            first = outer or parts[0]
        if reduces and parts:
            if outer or len(names) > 1:
                kernel = steps.accumulate(kernel, first, f"{first}_part", tuple(parts))
        kernel = _interior(kernel, outer, extent, parts)
    kernel, spatial = _collapse(kernel, lowered.loops)
    return _parallel(kernel, spatial, lowered.work, target)


def _columns(lowered: Lowered, target: Target) -> Kernel:
    kernel = lowered.kernel
    lanes = target.lanes(_narrowest(kernel))
    for names in lowered.phases:
        inner = names[-1]
        width = steps.iterations(kernel, inner)
        if width > lanes:
            kernel = steps.split(kernel, inner, lanes, f"{inner}u", f"{inner}l")
            kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, f"{inner}u"), Kind.VECTOR, f"{inner}l")
        elif width > 1:
            kernel = steps.mark(kernel, Kind.VECTOR, inner)
        if len(names) > 2:
            kernel, _ = _collapse(kernel, names[:-1])
    return _parallel(kernel, lowered.loops, lowered.work, target)


def _serial(lowered: Lowered, target: Target) -> Kernel:
    return _parallel(lowered.kernel, lowered.loops, lowered.work, target)


def _scatter(lowered: Lowered, target: Target) -> Kernel:
    """The copy is vectorised; the updates keep their order, lanes run over what follows the scattered axis."""
    kernel = lowered.kernel
    lanes = target.lanes(_narrowest(kernel))
    copy, update = lowered.phases
    if copy:
        kernel, names = _collapse(kernel, copy)
        extent = steps.iterations(kernel, names[-1])
        kernel, outer, parts = _vectorize(kernel, names[-1], lanes, 2)
        kernel = _interior(kernel, outer, extent, parts)
    if lowered.terms and update:
        kernel, names = _collapse(kernel, lowered.terms)
        kernel, _, _ = _vectorize(kernel, names[-1], lanes, 1)
    return kernel


TILES = ((6, 4, 1.0), (8, 3, 1.0), (12, 2, 1.0), (7, 3, 0.97), (8, 2, 0.93), (4, 4, 0.9), (14, 1, 0.8), (4, 2, 0.7),
         (8, 1, 0.6), (4, 1, 0.5), (2, 4, 0.6), (2, 2, 0.4), (1, 4, 0.35), (1, 1, 0.2))  # fmt: skip


def register_tile(m: int, n: int, lanes: int, registers: int) -> tuple[int, int]:
    """Rows and vectors of the register tile: the least waste on ragged edges, weighted by the tile's own rate."""

    def rate(tile: tuple[int, int, float]) -> float:
        rows, vectors, own = tile
        if rows * vectors + vectors + 1 > registers:
            return 0.0
        width = vectors * lanes
        return own * m / (-(-m // rows) * rows) * n / (-(-n // width) * width)

    rows, vectors, _ = max(TILES, key=rate)
    return rows, vectors


def _dot(lowered: Lowered, target: Target) -> Kernel:
    """BLIS-like: the right operand packed in panels of the tile's width, a tile of the result in registers."""
    kernel = lowered.kernel
    dtype = _leaf_dtype(kernel)
    batch, names = lowered.loops[: lowered.batch], lowered.loops[lowered.batch :]
    rows_names, column_names = names[: lowered.rows], names[lowered.rows :]
    kernel, rows_names = _collapse(kernel, rows_names)
    kernel, column_names = _collapse(kernel, column_names)
    kernel, terms = _collapse(kernel, lowered.terms)
    i, j = rows_names[-1], column_names[-1]
    m, n = steps.iterations(kernel, i), steps.iterations(kernel, j)
    depth = steps.iterations(kernel, *terms)
    lanes = min(target.lanes(dtype), 1 << (n - 1).bit_length())
    rows, vectors = register_tile(m, n, lanes, target.registers)
    kernel = steps.split(kernel, j, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    kernel = steps.split(kernel, i, rows, "ir", "ii")
    panel_bytes = depth * rows * dtype.itemsize
    mc = max(1, min(-(-m // rows), (target.l2_bytes // 2) // max(1, panel_bytes)))
    outer_rows, outer_columns = rows_names[:-1], column_names[:-1]
    k = terms[-1]
    unroll = next((u for u in (4, 2) if steps.iterations(kernel, k) % u == 0), 1)
    if unroll > 1:
        kernel = steps.split(kernel, k, unroll, "ku", "kk")
        kernel = steps.mark(kernel, Kind.UNROLLED, "kk")
        terms = [*terms[:-1], "ku", "kk"]
    kernel = steps.split(kernel, "ir", mc, "ic", "i1", exact=True)
    count = steps.iterations(kernel, "jr")
    blocks = steps.iterations(kernel, "ic")
    want = max(1, (target.threads * TASKS_A_THREAD) // max(1, blocks)) if lowered.work >= PARALLEL_WORK else 1
    nc = max(1, -(-count // want))
    kernel = steps.split(kernel, "jr", nc, "jc", "j1", exact=True)
    spatial = [*batch, *outer_rows, *outer_columns, "ic", "jc"]
    kernel = steps.reorder(kernel, *spatial, "j1", "i1", *terms, "ii", "jv", "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, "ii", "jv")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    if _packs(lowered, m, n, depth, rows):
        order = (*outer_columns, "jc", "j1", *terms, "jv", "jl")
        if batch:
            kernel = steps.stage(kernel, 1, batch[-1], "pb", Space.SCRATCH, order)
        else:
            kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, order)
            kernel = _parallel_copy(kernel, "pb", target, lowered.work)
        kernel = _vector_copy(kernel, "pb", lanes)
    kernel = steps.accumulate(kernel, terms[0], "tile")
    if m % rows:
        kernel = steps.specialize(kernel, "i1")
    return _parallel_nest(kernel, spatial, lowered.work, target)


def _packs(lowered: Lowered, m: int, n: int, depth: int, rows: int) -> bool:
    return m > 2 * rows


def _parallel_copy(kernel: Kernel, name: str, target: Target, work: int) -> Kernel:
    """The packing phase runs on all threads, over panels."""
    loops = [s.var.name for s in walk(kernel.body) if isinstance(s, For) and s.var.name.startswith(f"{name}.")]
    return _parallel(kernel, loops[:2], work, target) if len(loops) > 1 else kernel


def _parallel_nest(kernel: Kernel, names: list[str], work: int, target: Target) -> Kernel:
    """Fuses the leading loops until there are enough tasks, then runs them on all threads."""
    if target.threads < 2 or work < PARALLEL_WORK:
        return kernel
    first = names[0]
    for name in names[1:]:
        if steps.iterations(kernel, first) >= target.threads * TASKS_A_THREAD or not _fusible(kernel, first, name):
            break
        kernel = steps.fuse(kernel, first, name, f"{first}{name}", simple=False)
        first = f"{first}{name}"
    return steps.mark(kernel, Kind.PARALLEL, first) if steps.iterations(kernel, first) > 1 else kernel


def _leaf_dtype(kernel: Kernel) -> DType:
    from ..ir.stmt import Accumulate

    return next(s.buffer.dtype for s in walk(kernel.body) if isinstance(s, Accumulate))


def _conv(lowered: Lowered, target: Target) -> Kernel:
    """Lanes run over output channels, rows over the innermost spatial axis; both operands are packed."""
    kernel = lowered.kernel
    dtype = _leaf_dtype(kernel)
    loops, terms = lowered.loops, lowered.terms
    spatial = loops[lowered.batch :]
    if not spatial or not terms:
        return kernel
    if not lowered.rows:
        return _thin_conv(lowered, target)
    o, x = spatial[0], spatial[-1] if len(spatial) > 1 else None
    n = steps.iterations(kernel, o)
    lanes = min(target.lanes(dtype), 1 << (n - 1).bit_length())
    m = steps.iterations(kernel, x) if x else 1
    rows, vectors = register_tile(m, n, lanes, target.registers)
    kernel = steps.split(kernel, o, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    outer = [*loops[: lowered.batch], *spatial[1:-1]]
    inner = []
    if x:
        kernel = steps.split(kernel, x, rows, "ir", "ii")
        inner = ["ii"]
    order = [*outer, "jr", *(["ir"] if x else []), *terms, *inner, "jv", "jl"]
    kernel = steps.reorder(kernel, *order)
    kernel = steps.mark(kernel, Kind.UNROLLED, *inner, "jv")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    group = [name for name in loops[: lowered.batch] if depends_on_right(kernel, name)]
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, (*group, "jr", *terms, "jv", "jl"))
    kernel = _vector_copy(_parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)
    if x and outer:
        kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, (*terms, "ir", "ii"))
        kernel = _vector_copy(kernel, "pa", target.lanes(dtype))
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return _parallel_nest(kernel, outer or ["jr"], lowered.work, target)


def _thin_conv(lowered: Lowered, target: Target) -> Kernel:
    """One output channel: lanes run over the innermost spatial axis, the kernel's elements are broadcast."""
    kernel, loops, terms = lowered.kernel, lowered.loops, lowered.terms
    x = loops[-1]
    lanes = min(target.lanes(_leaf_dtype(kernel)), 1 << (steps.iterations(kernel, x) - 1).bit_length())
    kernel = steps.split(kernel, x, lanes, "jr", "jl")
    kernel = steps.reorder(kernel, *loops[:-1], "jr", *terms, "jl")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return _parallel_nest(kernel, [*loops[:-1], "jr"], lowered.work, target)


def _vector_copy(kernel: Kernel, name: str, lanes: int) -> Kernel:
    """The innermost loop of a copy becomes lanes, where it is short enough to be one vector."""
    loops = [s for s in walk(kernel.body) if isinstance(s, For) and s.var.name.startswith(f"{name}.")]
    last = loops[-1]
    if last.extent.is_const and 1 < last.extent.const <= lanes:
        return steps.mark(kernel, Kind.VECTOR, last.var.name)
    return kernel


_RULES = {
    "map": _map, "rows": _rows, "columns": _columns, "serial": _serial, "scatter": _scatter, "dot": _dot,
    "conv": _conv,
}  # fmt: skip
