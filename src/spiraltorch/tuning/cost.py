"""A guess of how long a scheduled kernel runs, from its loops and the target's facts: good enough to leave out the hopeless.

It is a roofline with three ceilings (Williams, Waterman and Patterson, CACM 2009): instructions, what comes into the first
cache, what comes into the second. A loop whose data fit into a cache brings them in once; another brings in what its body
does, as often as it runs. Nothing here is measured, so predictions compare schedules of one kernel on one target only.
"""

from __future__ import annotations

import math

from ..ir.expr import Buffer, Cast, Const, Load, Op, Space, Value
from ..ir.index import Index, Var, index, substitute
from ..ir.stmt import Accumulate, Alloc, Block, For, If, Kernel, Kind, Stmt, Store, leaf_values
from ..ir.target import Target

HERTZ = 3e9
LINE = 64  # bytes that come together
FAST, SLOW = 32.0, 4.0  # bytes a cycle from the second cache, from memory
LATENCY = 4  # cycles until a sum can be added to
PER_CYCLE = 2  # vector instructions
TASK, WAKE = 300, 6000  # cycles for a task, and for waking threads
DEAR = 8  # of a function, a division or a root, against an addition
_DEAR = frozenset("exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf pow "
                  "atan2 sqrt div mod floordiv mulhi".split())  # fmt: skip


def predict(kernel: Kernel, target: Target) -> float:
    """Seconds for one run, roughly."""
    return sum(_phase(s, target) for s in _phases(kernel.body)) / HERTZ


def _phases(s: Stmt) -> list[Stmt]:
    if isinstance(s, Alloc):
        return _phases(s.body)
    return [p for part in s.body for p in _phases(part)] if isinstance(s, Block) else [s]


def _phase(s: Stmt, target: Target) -> float:
    """Cycles of one phase, spread over threads or items."""
    work = _cycles(s, [], target)
    near = _misses(s, target.l1_bytes) / FAST
    memory = _misses(s, target.l2_bytes) / SLOW
    if target.has_grid:
        items = _most(s, (Kind.GROUP, Kind.ITEM))
        return (work + near + memory) * max(1.0, target.busy_items / items)
    tasks = _most(s, (Kind.PARALLEL,))
    if tasks < 2:
        return work + near + memory
    share = math.ceil(tasks / target.threads) / tasks
    return (work + near) * share + memory * max(share, 0.25) + TASK * tasks / target.threads + WAKE


def _extent(s: For) -> int:
    return max(1, s.extent.bounds[1])


def _most(s: Stmt, kinds: tuple[Kind, ...]) -> int:
    inner = max((_most(c, kinds) for c in _inside(s)), default=1)
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
    if isinstance(s, For):
        return _cycles(s.body, [*around, s], target)
    if isinstance(s, (Store, Accumulate)):
        return _leaf(s, around, target)
    return sum(_cycles(c, around, target) for c in _inside(s))


def _leaf(s: Store | Accumulate, around: list[For], target: Target) -> float:
    """Cycles of a statement in all its iterations."""
    turns = 1.0
    for one in around:
        if one.kind not in (Kind.UNROLLED, Kind.VECTOR):
            turns *= _extent(one)
    unrolled = [one for one in around if one.kind is Kind.UNROLLED]
    lane = next((one.var for one in around if one.kind is Kind.VECTOR), None)

    def copies(variables: frozenset[Var]) -> int:
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
            issued += copies(v.variables) * (DEAR if v.name in _DEAR else 1)
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
        waiting = LATENCY * each / chains if isinstance(s, Accumulate) else 0.0
        return turns * (max(issued / PER_CYCLE, waiting) + 1)
    issued += each * _access(s.buffer, s.position, lane, around) * (2 if isinstance(s, Accumulate) else 1)
    return turns * (issued / PER_CYCLE + 1)


def _access(buffer: Buffer, position: tuple[Index, ...], lane: Var | None, around: list[For]) -> float:
    """Instructions that read or write memory for all lanes: one where they lie side by side."""
    if lane is None or not any(lane in i.variables for i in position):
        return 1.0
    extent = next(_extent(one) for one in around if one.var is lane)
    return 1.0 if _step(buffer, position, lane) in (1, -1) else float(extent)


def _step(buffer: Buffer, position: tuple[Index, ...], var: Var) -> int | None:
    flat = buffer.flat(position)
    apart = substitute(flat, {var: index(var) + 1}) - flat
    return apart.const if apart.is_const else None


# ---------------------------------------------------------------- memory


def _misses(s: Stmt, cache: int) -> float:
    """Bytes that come into a cache of this size."""
    if isinstance(s, For):
        whole = _footprint(s)
        return whole if whole <= cache else _extent(s) * _misses(s.body, cache)
    if isinstance(s, (Store, Accumulate)):
        return _footprint(s)
    return sum(_misses(c, cache) for c in _inside(s))


def _footprint(s: Stmt) -> float:
    """Bytes that a statement touches, in lines."""
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
    variables: frozenset[Var] = frozenset().union(*(i.variables for i in position))
    count, beside = 1, 1
    for one in loops:
        if one.var in variables:
            count *= _extent(one)
            if _step(buffer, position, one.var) in (1, -1):
                beside *= _extent(one)
    lines = math.ceil(beside * buffer.dtype.itemsize / LINE) * count / beside
    return float(min(lines * LINE, -(-buffer.nbytes // LINE) * LINE))
