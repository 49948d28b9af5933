"""Kernels of scans: running sums, products and extremes along one axis.

A long running sum of floats goes along its axis in blocks: an element is the sum of its block so far, which starts at 0, plus
the sum of all blocks before. Those are added in blocks of blocks, so that the error of an element grows like the logarithm of
its position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...ir.expr import Buffer, Load, Space, Value, op
from ...ir.guard import ALWAYS, Guard, less
from ...ir.index import ZERO, Index, ceil_div, index, minimum
from ...ir.passes import BLOCK_TERMS
from ...ir.reductions import identity
from ...ir.stmt import Accumulate, Alloc, For, Kernel, Stmt, Store, block, loop, loop_nest
from ...ir.summation import PARTS
from ...ir.target import Target
from ..decompositions.scan import IDENTITY_OF, decompose_scan
from ..program import Val
from .cluster import Cluster
from .loops import axis_loops, positions
from .lowered import KernelKind, LoopRole, Lowered, Phase, PhaseRole, named, phase
from .registry import Lowering, Operands, Role, register

LANES = 64  # elements of the last axis that are scanned together


def lower_scan(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The scanned axis runs in order with its total in registers; the last axis, if another, in blocks of lanes."""
    val = cluster.members[0]
    (x,), axis = val.args, val.params[0]
    emitter, out = cluster.emitter, cluster.emitter.buffer(val)
    loops, last = axis_loops(val.shape), len(val.shape) - 1
    place = positions(loops)
    row = _Row(IDENTITY_OF[val.prim], val, _levels(val))
    outer = [one for d, one in enumerate(loops) if d not in (axis, last)]
    if axis == last or val.shape[last] == 1:
        outer = [one for d, one in enumerate(loops) if d != axis]
    else:
        extent = val.shape[last]
        width = min(LANES if target.has_vectors else 1, 1 << (extent - 1).bit_length())
        blocks = loop("ob", -(-extent // width))
        row.width, row.first, row.extent = width, index(blocks.var) * width, extent
        outer.append(blocks)

    def element(step: Index, lane: Index) -> tuple[tuple[Index, ...], Value]:
        at = list(place)
        at[axis] = step
        if row.width:
            at[last] = row.first + lane
        return tuple(at), emitter.value(x, tuple(at))

    kernel = Kernel(val.prim, (), loop_nest(outer, row.build(out, element)))
    kind = KernelKind.COLUMNS if row.width else KernelKind.SERIAL
    return Lowered(kernel, kind, named(outer), row.phases, work=4 * val.size)


def _levels(val: Val) -> list[int]:
    """The extents of blocks: elements of a block, blocks of a larger block and so on, the last for all that is left."""
    n = val.shape[val.params[0]]
    if val.prim != "cumsum" or not val.dtype.is_float or n < 2 * BLOCK_TERMS:
        return [n]
    extents = [BLOCK_TERMS]
    rest = -(-n // BLOCK_TERMS)
    while rest > PARTS:
        extents.append(PARTS)
        rest = -(-rest // PARTS)
    return [*extents, rest]


@dataclass(slots=True)
class _Row:
    """Builds the scan of one row, or of a block of `width` columns side by side."""

    op: str
    val: Val
    levels: list[int]
    width: int = 0  # columns; 0: one row
    first: Index = ZERO  # the first of the columns
    extent: int = 0  # of the last axis
    phases: list[Phase] = field(default_factory=list)
    lanes: int = 0  # loops over columns so far

    def build(self, out: Buffer, element: Callable[[Index, Index], tuple[tuple[Index, ...], Value]]) -> Stmt:
        """The statements of the row. `element` gives the position and the operand at a step and a column."""
        shape = (index(self.width),) if self.width else ()
        names = ["total", *[f"total.{n}" for n in range(1, len(self.levels))]]
        totals = [Buffer(name, shape, self.val.dtype, Space.REGISTER) for name in names]
        before = Buffer("before", shape, self.val.dtype, Space.REGISTER)

        def step(t: Index, role: For) -> Stmt:
            def body(lane: Index, here: tuple[Index, ...], exists: Guard) -> list[Stmt]:
                at, value = element(t, lane)
                total: Value = Load(totals[0], here)
                if len(self.levels) > 1:
                    total = op(self.op, Load(before, here), total)
                return [Accumulate(totals[0], here, self.op, value, exists), Store(out, at, total, exists)]

            return self.over_columns(body, role)

        def level(n: int, start: Index, size: int) -> Stmt:
            """The loop over the parts of a block of level `n`, which begins with the part number `start`."""
            count = minimum(self.levels[n], ceil_div(index(self.val.shape[self.val.params[0]]), size) - start)
            one = loop("t" if n == 0 else f"t.{n}", count)
            t = start + index(one.var)
            if n == 0:
                return loop_nest([one], step(t, one))
            parts = [self.start(totals[n - 1])]
            if n == 1:
                parts.append(self.over_columns(lambda _, here, __: [Store(before, here, self.sum(totals[1:], here))]))
            parts.append(level(n - 1, t * self.levels[n - 1], size // self.levels[n - 1]))
            parts.append(self.add(totals[n], totals[n - 1]))
            return loop_nest([one], block(*parts))

        size = 1
        for extent in self.levels[:-1]:
            size *= extent
        body: Stmt = block(self.start(totals[-1]), level(len(self.levels) - 1, ZERO, size))
        for buffer in [*totals, *([before] if len(self.levels) > 1 else [])]:
            body = Alloc(buffer, body)
        return body

    def sum(self, totals: list[Buffer], here: tuple[Index, ...]) -> Value:
        """The sum of totals, the smallest blocks first."""
        result: Value = Load(totals[0], here)
        for buffer in totals[1:]:
            result = op(self.op, result, Load(buffer, here))
        return result

    def start(self, total: Buffer) -> Stmt:
        """The total set to the identity."""
        return self.over_columns(lambda _, here, __: [Store(total, here, identity(self.op, total.dtype))])

    def add(self, target: Buffer, total: Buffer) -> Stmt:
        """One total added to another."""
        return self.over_columns(lambda _, here, __: [Accumulate(target, here, self.op, Load(total, here))])

    def over_columns(
        self, body: Callable[[Index, tuple[Index, ...], Guard], list[Stmt]], step: For | None = None
    ) -> Stmt:  # fmt: skip
        """Statements for each column: `body` gets the column, its element of a total, and whether it exists."""
        if not self.width:
            if step is not None and len(self.levels) > 1:
                self.phases.append(phase(PhaseRole.SEQUENTIAL, named([step], LoopRole.SEQUENTIAL)))
            return block(*body(ZERO, (), ALWAYS))
        one = loop(f"oi{self.lanes}", self.width)
        self.lanes += 1
        here = index(one.var)
        if step is None:
            self.phases.append(phase(PhaseRole.ELEMENTWISE, named([one], LoopRole.LANE)))
        else:
            sequential = named([step], LoopRole.SEQUENTIAL)
            self.phases.append(phase(PhaseRole.SEQUENTIAL, sequential, named([one], LoopRole.LANE)))
        return loop_nest([one], block(*body(here, (here,), less(self.first + here, self.extent))))


register(IDENTITY_OF, Lowering(Role.STANDALONE, Operands.CHEAP, decompose=decompose_scan, kernel=lower_scan))
