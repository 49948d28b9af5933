"""A roofline model of a scheduled kernel, from its loops and the target's facts: it prunes candidates of the search.

There are three ceilings (Williams, Waterman and Patterson, "Roofline", CACM 2009): instructions, bytes that come into the
first cache, and bytes that come into the second. A loop whose data fit into a cache brings them in once; a larger one brings
in what its body does, as often as it runs. The constants are those of a typical processor and nothing is measured, so
predictions compare schedules of one kernel on one target only.
"""

from __future__ import annotations

import math

from ..ir.expr import Buffer, Cast, Const, Load, Op, Space, Value
from ..ir.index import Index, Var, index, substitute
from ..ir.stmt import Accumulate, Alloc, Block, For, If, Kernel, Kind, Stmt, Store, leaf_values
from ..ir.target import Target

HERTZ = 3e9
CACHE_LINE = 64  # bytes
L2_BYTES_PER_CYCLE, MEMORY_BYTES_PER_CYCLE = 32.0, 4.0  # bandwidth of the second cache and of memory
ADD_LATENCY = 4  # cycles between dependent additions
VECTORS_PER_CYCLE = 2  # vector instructions
TASK_CYCLES, WAKE_CYCLES = 300, 6000  # the cost of a task, and of waking threads
LEAST_MEMORY_SHARE = 0.25  # of the bandwidth for each thread: a few threads saturate the memory
EXPENSIVE_COST = 8  # the cost of a function, a division or a root; an addition costs 1
EXPENSIVE = frozenset("exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf "
                      "pow atan2 sqrt div mod floordiv mulhi".split())  # fmt: skip


def predict(kernel: Kernel, target: Target) -> float:
    """The predicted seconds of one run."""
    return sum(_phase_cycles(s, target) for s in _phases(kernel.body)) / HERTZ


def _phases(s: Stmt) -> list[Stmt]:
    """The nests that run one after the other."""
    if isinstance(s, Alloc):
        return _phases(s.body)
    return [p for part in s.body for p in _phases(part)] if isinstance(s, Block) else [s]


def _phase_cycles(s: Stmt, target: Target) -> float:
    """Cycles of one phase, spread over threads or items."""
    work = _cycles(s, [], target)
    near = _cache_misses(s, target.l1_bytes) / L2_BYTES_PER_CYCLE
    memory = _cache_misses(s, target.l2_bytes) / MEMORY_BYTES_PER_CYCLE
    if target.has_grid:
        items = _parallel_iterations(s, (Kind.GROUP, Kind.ITEM))
        return (work + near + memory) * max(1.0, target.busy_items / items)
    tasks = _parallel_iterations(s, (Kind.PARALLEL,))
    if tasks < 2:
        return work + near + memory
    share = math.ceil(tasks / target.threads) / tasks
    waiting = TASK_CYCLES * tasks / target.threads + WAKE_CYCLES
    return (work + near) * share + memory * max(share, LEAST_MEMORY_SHARE) + waiting


def _extent(s: For) -> int:
    """The most iterations that a loop may have."""
    return max(1, s.extent.bounds[1])


def _parallel_iterations(s: Stmt, kinds: tuple[Kind, ...]) -> int:
    """Iterations of nested loops of some kinds, of the nest that has most."""
    inner = max((_parallel_iterations(c, kinds) for c in _inside(s)), default=1)
    return inner * _extent(s) if isinstance(s, For) and s.kind in kinds else inner


def _inside(s: Stmt) -> tuple[Stmt, ...]:
    """The statements directly inside; of two branches the first, which is the one without conditions."""
    if isinstance(s, (For, Alloc)):
        return (s.body,)
    if isinstance(s, Block):
        return s.body
    return (s.then,) if isinstance(s, If) else ()


# ---------------------------------------------------------------- instructions


def _cycles(s: Stmt, around: list[For], target: Target) -> float:
    """Cycles of the instructions of a statement inside some loops, in all iterations, by one thread or item."""
    if isinstance(s, For):
        return _cycles(s.body, [*around, s], target)
    if isinstance(s, (Store, Accumulate)):
        return _leaf(s, around, target)
    return sum(_cycles(c, around, target) for c in _inside(s))


def _leaf(s: Store | Accumulate, around: list[For], target: Target) -> float:
    """Cycles of one store or accumulation in all its iterations."""
    iterations = 1.0
    for one in around:
        if one.kind not in (Kind.UNROLLED, Kind.VECTOR):
            iterations *= _extent(one)
    unrolled = [one for one in around if one.kind is Kind.UNROLLED]
    lane = next((one.var for one in around if one.kind is Kind.VECTOR), None)

    def copies(variables: frozenset[Var]) -> int:
        """How often unrolling repeats what depends on these variables."""
        return math.prod(_extent(one) for one in unrolled if one.var in variables)

    issued, seen, stack = 0.0, set[int](), list[Value](leaf_values(s))
    while stack:
        v = stack.pop()
        if id(v) in seen or isinstance(v, Const):
            continue
        seen.add(id(v))
        if isinstance(v, Load):
            if v.buffer.space is not Space.REGISTER:
                issued += copies(v.variables) * _access(v.buffer, v.position, lane, around)
        elif isinstance(v, Op):
            issued += copies(v.variables) * (EXPENSIVE_COST if v.name in EXPENSIVE else 1)
            stack += v.args
        elif isinstance(v, Cast):
            issued += copies(v.variables)
            stack.append(v.value)
    place: frozenset[Var] = frozenset().union(*(i.variables for i in s.position))
    each = math.prod(_extent(one) for one in unrolled)
    if s.buffer.space is Space.REGISTER:
        chains = copies(place)
        spilled = max(0, chains + 2 - target.registers) if target.registers else 0
        issued += 2 * spilled
        waiting = ADD_LATENCY * each / chains if isinstance(s, Accumulate) else 0.0
        return iterations * (max(issued / VECTORS_PER_CYCLE, waiting) + 1)
    issued += each * _access(s.buffer, s.position, lane, around) * (2 if isinstance(s, Accumulate) else 1)
    return iterations * (issued / VECTORS_PER_CYCLE + 1)


def _access(buffer: Buffer, position: tuple[Index, ...], lane: Var | None, around: list[For]) -> float:
    """Instructions that read or write memory for all lanes: one where lanes are contiguous, else one to a lane."""
    if lane is None or not any(lane in i.variables for i in position):
        return 1.0
    extent = next(_extent(one) for one in around if one.var is lane)
    return 1.0 if _stride(buffer, position, lane) in (1, -1) else float(extent)


def _stride(buffer: Buffer, position: tuple[Index, ...], var: Var) -> int | None:
    """By how many elements a loop moves a position; None where that is not always the same."""
    flat = buffer.flat(position)
    moved = substitute(flat, {var: index(var) + 1}) - flat
    return moved.const if moved.is_const else None


# ---------------------------------------------------------------- memory


def _cache_misses(s: Stmt, cache: int) -> float:
    """Bytes that come into a cache of this size."""
    if isinstance(s, For):
        whole = _footprint(s)
        return whole if whole <= cache else _extent(s) * _cache_misses(s.body, cache)
    if isinstance(s, (Store, Accumulate)):
        return _footprint(s)
    return sum(_cache_misses(c, cache) for c in _inside(s))


def _footprint(s: Stmt) -> float:
    """Bytes of the cache lines that a statement accesses."""
    touched: dict[tuple[Buffer, tuple[Index, ...]], float] = {}

    def visit(s: Stmt, loops: tuple[For, ...]) -> None:
        if isinstance(s, For):
            visit(s.body, (*loops, s))
        elif isinstance(s, (Store, Accumulate)):
            places = [(s.buffer, s.position)]
            seen, stack = set[int](), list[Value](leaf_values(s))
            while stack:
                v = stack.pop()
                if id(v) in seen:
                    continue
                seen.add(id(v))
                if isinstance(v, Load):
                    places.append((v.buffer, v.position))
                elif isinstance(v, Op):
                    stack += v.args
                elif isinstance(v, Cast):
                    stack.append(v.value)
            for buffer, position in places:
                if buffer.space in (Space.GLOBAL, Space.SCRATCH):
                    touched[buffer, position] = _touched(buffer, position, loops)
        else:
            for c in _inside(s):
                visit(c, loops)

    visit(s, ())
    by_buffer: dict[Buffer, float] = {}
    for (buffer, _), size in touched.items():
        by_buffer[buffer] = max(by_buffer.get(buffer, 0.0), size)
    return sum(by_buffer.values())


def _touched(buffer: Buffer, position: tuple[Index, ...], loops: tuple[For, ...]) -> float:
    """Bytes of the cache lines that one access reaches in the loops around it."""
    variables: frozenset[Var] = frozenset().union(*(i.variables for i in position))
    count, contiguous = 1, 1
    for one in loops:
        if one.var in variables:
            count *= _extent(one)
            if _stride(buffer, position, one.var) in (1, -1):
                contiguous *= _extent(one)
    lines = math.ceil(contiguous * buffer.dtype.itemsize / CACHE_LINE) * count / contiguous
    return float(min(lines * CACHE_LINE, -(-buffer.nbytes // CACHE_LINE) * CACHE_LINE))
