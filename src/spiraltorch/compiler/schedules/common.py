"""What the rules of several kinds of kernels share: vectors, tasks, register tiles and how memory is read."""

from __future__ import annotations

from typing import TypeGuard

from ...dtypes import DType, float32
from ...ir import schedule as steps
from ...ir.expr import Load, Space
from ...ir.index import Var, index, substitute
from ...ir.schedule import ScheduleError
from ...ir.stmt import Accumulate, Alloc, For, Kernel, Kind, Stmt, leaf_values, walk
from ...ir.target import Target
from ..choices import Choices

TASKS_PER_THREAD = 4  # so that a thread that is late does not keep the others waiting for long
CACHE_LINE = 64  # bytes
UNROLL = (1, 2, 4, 8)

# ---------------------------------------------------------------- dtypes and memory


def widest_dtype(kernel: Kernel) -> DType:
    """The widest dtype that the kernel computes with, booleans aside: it decides how many lanes a vector has."""
    best = None
    for s in walk(kernel.body):
        for v in leaf_values(s):
            if not v.dtype.is_bool and (best is None or v.dtype.itemsize > best.itemsize):
                best = v.dtype
    return best or float32


def accumulator_dtype(kernel: Kernel) -> DType:
    """The dtype that a contraction sums in."""
    return next(s.buffer.dtype for s in walk(kernel.body) if isinstance(s, Accumulate))


def is_virtual(s: Stmt) -> TypeGuard[Alloc]:
    """Whether the statement declares what a contraction sums into."""
    return isinstance(s, Alloc) and s.buffer.space is Space.VIRTUAL


def stride(load: Load, var: Var) -> int | None:
    """By how many elements a loop moves a load; None where that is not always the same."""
    flat = load.buffer.flat(load.position)
    moved = substitute(flat, {var: index(var) + 1}) - flat
    return moved.const if moved.is_const else None


def strided(load: Load, var: Var) -> bool:
    """Whether neighbouring iterations of a loop read different lines of the cache."""
    elements = stride(load, var)
    return elements is None or abs(elements) * load.dtype.itemsize >= CACHE_LINE


# ---------------------------------------------------------------- loops


def is_directly_nested(kernel: Kernel, outer: str, inner: str) -> bool:
    """Whether the body of one loop is the other and nothing else."""
    body = steps.find_loop(kernel, outer).body
    return isinstance(body, For) and body.var.name == inner


def is_fusible(kernel: Kernel, outer: str, inner: str) -> bool:
    """Whether `fuse` takes the two loops."""
    return is_directly_nested(kernel, outer, inner) and steps.find_loop(kernel, inner).extent.is_const


def fuse_contiguous(kernel: Kernel, names: list[str]) -> tuple[Kernel, list[str]]:
    """Fuses neighbouring loops wherever the fused index needs no division: where memory is contiguous across them.

    Returns:
        The kernel, and the names of the loops that are left, outermost first.
    """
    names = list(names)
    n = len(names) - 2
    while n >= 0:
        if n + 1 < len(names) and is_directly_nested(kernel, names[n], names[n + 1]):
            try:
                fused = f"{names[n]}{names[n + 1]}"
                kernel = steps.fuse(kernel, names[n], names[n + 1], fused)
                names[n : n + 2] = [fused]
            except ScheduleError:
                pass
        n -= 1
    return kernel, names


def multiples(number: int, most: int) -> list[int]:
    """A number, its halves and its doubles, from 1 to `most`."""
    return sorted({n for n in (number // 4, number // 2, number, 2 * number, 4 * number) if 1 <= n <= most})


def lanes_that_fit(lanes: int, extent: int) -> int:
    """Lanes of a vector along a loop: not more than the least power of two that covers its extent."""
    return min(lanes, 1 << (extent - 1).bit_length())


# ---------------------------------------------------------------- vectors


def vectorize(kernel: Kernel, name: str, lanes: int, unroll: int) -> tuple[Kernel, str | None, list[str]]:
    """Splits a loop into vectors, `unroll` of them per iteration of the outer loop.

    Returns:
        The kernel, the outer loop or None where one iteration covers all, and the inner loops, outermost first.
    """
    extent = steps.iterations(kernel, name)
    if lanes == 1 or extent < 2:
        return kernel, name, []
    lanes = lanes_that_fit(lanes, extent)
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


def peel_remainder(kernel: Kernel, outer: str | None, extent: int, inner: list[str]) -> Kernel:
    """Where `inner` loops do not divide the extent, all but the last iteration of `outer` run without masks."""
    covered = 1
    for name in inner:
        covered *= steps.iterations(kernel, name)
    return steps.specialize(kernel, outer) if outer and extent % covered else kernel


def vectorize_copy(kernel: Kernel, name: str, lanes: int) -> Kernel:
    """The innermost loop of a packing copy becomes vectors."""
    loops = _copy_loops(kernel, name)
    if loops and loops[-1].extent.is_const and loops[-1].extent.const > 1:
        return vectorize(kernel, loops[-1].var.name, lanes, 2)[0]
    return kernel


def _copy_loops(kernel: Kernel, name: str) -> list[For]:
    """The loops of the copy into a packed operand, outermost first."""
    return [s for s in walk(kernel.body) if isinstance(s, For) and s.var.name.startswith(f"{name}.")]


# ---------------------------------------------------------------- tasks


def parallel(
    kernel: Kernel, names: list[str], work: int, target: Target, choices: Choices | None = None
) -> Kernel:  # fmt: skip
    """Makes tasks of the outermost loops, where the work pays for waking threads. Without `choices` nothing is asked."""
    if not names or not _is_worth_threads(work, target, choices):
        return kernel
    tasks = target.threads * TASKS_PER_THREAD
    first = names[0]
    extent = steps.iterations(kernel, first)
    if extent < tasks and len(names) > 1 and is_fusible(kernel, first, names[1]):
        kernel = steps.fuse(kernel, first, names[1], f"{first}{names[1]}", simple=False)
        first = f"{first}{names[1]}"
        extent = steps.iterations(kernel, first)
    if extent < 2:
        return kernel
    chunk = max(1, extent // (tasks * 4))
    if choices is not None:
        chunk = choices.pick("chunk", chunk, [c for c in multiples(chunk, extent) if 2 * c <= extent])
    if chunk > 1:  # few large tasks: each call of a task costs
        kernel = steps.split(kernel, first, chunk, f"{first}t", f"{first}c", exact=True)
        first = f"{first}t"
    return steps.mark(kernel, Kind.PARALLEL, first)


def parallel_nest(
    kernel: Kernel, names: list[str], work: int, target: Target, choices: Choices | None = None
) -> Kernel:  # fmt: skip
    """Fuses the leading loops until there are enough tasks, then runs them on all threads."""
    if not _is_worth_threads(work, target, choices):
        return kernel
    first = names[0]
    for name in names[1:]:
        if steps.iterations(kernel, first) >= target.threads * TASKS_PER_THREAD:
            break
        if not is_fusible(kernel, first, name):
            break
        kernel = steps.fuse(kernel, first, name, f"{first}{name}", simple=False)
        first = f"{first}{name}"
    return steps.mark(kernel, Kind.PARALLEL, first) if steps.iterations(kernel, first) > 1 else kernel


def parallel_copy(kernel: Kernel, name: str, target: Target, work: int) -> Kernel:
    """A packing copy that is a phase of its own runs on all threads, over panels."""
    loops = [one.var.name for one in _copy_loops(kernel, name)]
    return parallel(kernel, loops[:2], work, target) if len(loops) > 1 else kernel


def _is_worth_threads(work: int, target: Target, choices: Choices | None) -> bool:
    """Whether the work is worth waking threads. The tuner is asked where it is near the limit."""
    if target.threads < 2:
        return False
    pays = work >= target.parallel_work
    if choices is None or not target.parallel_work // 16 <= work <= target.parallel_work * 16:
        return pays
    return choices.pick("threads", pays, (False, True))


# ---------------------------------------------------------------- register tiles

# (rows, vectors, rate): the part of the peak that a tile reaches where nothing is ragged. A large tile loads few elements for
# each multiplication and has enough independent sums to hide their latency.
REGISTER_TILES = (
    (6, 4, 1.0), (8, 3, 1.0), (12, 2, 1.0), (7, 3, 0.97), (8, 2, 0.93), (4, 4, 0.9), (14, 1, 0.8), (4, 2, 0.7),
    (8, 1, 0.6), (4, 1, 0.5), (2, 4, 0.6), (2, 2, 0.4), (1, 4, 0.35), (1, 1, 0.2),
)  # fmt: skip


def fits_registers(rows: int, vectors: int, registers: int) -> bool:
    """Whether the sums of a tile, one row of the right operand and one broadcast element fit into registers."""
    return rows * vectors + vectors + 1 <= registers


def register_tile(m: int, n: int, lanes: int, registers: int) -> tuple[int, int]:
    """Rows and vectors of the register tile for m x n results: the least waste on ragged edges, weighted by rate."""

    def rate(tile: tuple[int, int, float]) -> float:
        rows, vectors, own = tile
        if not fits_registers(rows, vectors, registers):
            return 0.0
        width = vectors * lanes
        return own * m / (-(-m // rows) * rows) * n / (-(-n // width) * width)

    rows, vectors, _ = max(REGISTER_TILES, key=rate)
    return rows, vectors


def register_tiles(m: int, n: int, lanes: int, registers: int) -> list[tuple[int, int]]:
    """Register tiles that fit, and are not larger than what they cover needs: the options of `register_tile`."""
    fitting = [(rows, vectors) for rows, vectors, _ in REGISTER_TILES if fits_registers(rows, vectors, registers)]
    return [(rows, vectors) for rows, vectors in fitting if rows < 2 * m and (vectors - 1) * lanes < n]
