"""Products of matrices on targets with threads and vectors.

The loops are BLIS's (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS
41(3), 2015), with its names: a register tile of mr rows by nr columns, kc terms to a block, mc rows and nc columns of tiles to
a task. The right operand is packed into panels of nr columns where it is read again. Sums longer than kc wait in memory
between blocks.
"""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.expr import Load, Op, Space, loads
from ...ir.stmt import Accumulate, Kernel, Kind, walk
from ...ir.target import Target
from ..lowering.lowered import LoopRole, Lowered
from .common import (
    TASKS_PER_THREAD,
    UNROLL,
    accumulator_dtype,
    fuse_contiguous,
    is_virtual,
    lanes_that_fit,
    multiples,
    parallel_copy,
    parallel_nest,
    register_tile,
    register_tiles,
    stride,
    strided,
    vectorize_copy,
)

# Terms of a block, measured with one thread. 2,048 terms are best in two blocks of a packed operand, 1,024 at once.
KC_PACKED = 1040
# Where a thread packs each panel just before it uses it, the panel has to stay in the first cache beside the left rows.
KC_PANEL = 256
# An operand that is read in place strides: a few of its lines are used for many rows before the next ones come.
KC_IN_PLACE = 128
KC_OPTIONS = (0, KC_IN_PLACE, KC_PANEL, KC_PACKED, 2080)  # 0: all terms at once
# Up to so many rows panels are packed where they are used; above, packing the whole operand first was faster.
PANEL_ROWS = 256
# Rows of the right operand that lie so many bytes apart, each on pages of its own, are packed for few rows of the left too.
DISTANT_ROW_BYTES = 8192


class _Product:
    """A product while it is scheduled: its kernel, and the names of its loops by role, outermost first."""

    def __init__(self, lowered: Lowered, target: Target) -> None:
        self.lowered, self.choices, self.target = lowered, lowered.choices, target
        self.batch = lowered.names(LoopRole.BATCH)
        kernel, self.rows = fuse_contiguous(lowered.kernel, lowered.names(LoopRole.ROW))
        kernel, self.columns = fuse_contiguous(kernel, lowered.names(LoopRole.COLUMN))
        self.kernel, self.terms = fuse_contiguous(kernel, lowered.names(LoopRole.REDUCTION))
        self.blocks: list[str] = []  # loops over blocks of terms
        self.m, self.height, self.n, self.depth = (
            steps.iterations(self.kernel, *names)
            for names in (self.rows, self.rows[-1:], self.columns[-1:], self.terms)
        )
        self.dtype = accumulator_dtype(self.kernel)
        self.lanes = lanes_that_fit(target.lanes(self.dtype), self.n)
        self.right_bytes = self.depth * self.n * self.dtype.itemsize


def schedule_dot(lowered: Lowered, target: Target) -> Kernel:
    """A register tile, operands packed where they are read again, and long sums in blocks."""
    p, choices = _Product(lowered, target), lowered.choices
    mr, vectors = choices.pick(
        "tile",
        register_tile(p.height, p.n, p.lanes, target.registers),
        register_tiles(p.height, p.n, p.lanes, target.registers),
    )
    few = mr if p.n * p.dtype.itemsize > DISTANT_ROW_BYTES else 2 * mr
    packs = choices.pick("pack", p.m > few and p.right_bytes > target.l1_bytes // 2, (False, True))
    if _contiguous_along_terms(p) and choices.pick("along", not packs and p.depth >= 4 * p.lanes, (False, True)):
        return _lanes_along_terms(p)
    panel = packs and choices.pick("panel", p.m <= PANEL_ROWS and not p.rows[:-1], (False, True))
    _block_terms(p, packs, panel)
    _split_register_tile(p, mr, vectors)
    spatial = _split_tasks(p, mr)
    _pack(p, packs, panel)
    if p.blocks:
        p.kernel = steps.realize(p.kernel, next(s.buffer.name for s in walk(p.kernel.body) if is_virtual(s)))
    p.kernel = steps.accumulate(p.kernel, p.terms[0], "tile")
    if p.height % mr:
        p.kernel = steps.specialize(p.kernel, "i1")
    return parallel_nest(p.kernel, spatial, lowered.work, target, choices)


def _block_terms(p: _Product, packs: bool, panel: bool) -> None:
    """Splits the terms into blocks of about kc, or takes their outer loops as blocks."""
    result_stays = p.m * p.n * p.dtype.itemsize <= p.target.l2_bytes // 4  # in the cache, between blocks
    kc = 0
    if packs or p.right_bytes > p.target.l2_bytes // 2:
        kc = KC_PANEL if panel and result_stays else KC_PACKED if packs else KC_IN_PLACE
    kc = p.choices.pick("depth", kc, [d for d in KC_OPTIONS if 3 * d <= 2 * p.depth])
    if not kc or p.depth < kc * 3 // 2:
        return
    innermost = steps.iterations(p.kernel, p.terms[-1])
    if innermost < kc * 3 // 2:
        p.blocks, p.terms = p.terms[:-1], p.terms[-1:]
        return
    count = -(-innermost // kc)
    each = -(-innermost // (8 * count)) * 8
    p.kernel = steps.split(p.kernel, p.terms[-1], each, "kc", "k1", exact=True)
    p.blocks, p.terms = [*p.terms[:-1], "kc"], ["k1"]


def _split_register_tile(p: _Product, mr: int, vectors: int) -> None:
    """Splits rows into tiles `ir` of `ii`, columns into tiles `jr` of vectors `jv` of lanes `jl`."""
    kernel = steps.split(p.kernel, p.columns[-1], p.lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", p.lanes, "jv", "jl")
    p.kernel = steps.split(kernel, p.rows[-1], mr, "ir", "ii")


def _split_tasks(p: _Product, mr: int) -> list[str]:
    """Splits tiles into mc x nc for a task, orders all loops, and marks those of the register tile.

    Returns:
        The loops over tasks, outermost first.
    """
    kernel, choices, target = p.kernel, p.choices, p.target
    kc = steps.iterations(kernel, *p.terms)
    row_tiles = steps.iterations(kernel, "ir")
    mc = max(1, min(row_tiles, target.l2_bytes // 2 // (kc * mr * p.dtype.itemsize)))  # half of the cache: left rows
    mc = choices.pick("mc", mc, multiples(mc, row_tiles))
    kernel, p.terms = _unroll_terms(p, kernel)
    kernel = steps.split(kernel, "ir", mc, "ic", "i1", exact=True)
    column_tiles = steps.iterations(kernel, "jr")
    tasks = 1
    if p.lowered.work >= target.parallel_work:
        tasks = max(1, (target.threads * TASKS_PER_THREAD) // max(1, steps.iterations(kernel, "ic")))
    nc = max(1, -(-column_tiles // tasks))
    nc = choices.pick("nc", nc, multiples(nc, column_tiles))
    kernel = steps.split(kernel, "jr", nc, "jc", "j1", exact=True)
    spatial = [*p.batch, *p.rows[:-1], *p.columns[:-1], "ic", "jc"]
    kernel = steps.reorder(kernel, *spatial, *p.blocks, "j1", "i1", *p.terms, "ii", "jv", "jl")
    p.kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, "ii", "jv"), Kind.VECTOR, "jl")
    return spatial


def _unroll_terms(p: _Product, kernel: Kernel) -> tuple[Kernel, list[str]]:
    """Several terms per iteration, as many as divide the innermost loop."""
    k = p.terms[-1]
    fitting = [u for u in UNROLL if steps.iterations(kernel, k) % u == 0]
    unroll = p.choices.pick("unroll", max(u for u in fitting if u <= 4), fitting)
    if unroll == 1:
        return kernel, p.terms
    kernel = steps.split(kernel, k, unroll, "ku", "kk")
    return steps.mark(kernel, Kind.UNROLLED, "kk"), [*p.terms[:-1], "ku", "kk"]


def _pack(p: _Product, packs: bool, panel: bool) -> None:
    """Copies the right operand into panels of a tile's columns, and a strided left operand into tiles of rows."""
    if not packs:
        return
    kernel, work = p.kernel, p.lowered.work
    order = (*p.columns[:-1], "jc", "j1", *p.blocks, *p.terms, "jv", "jl")
    if panel:
        kernel = steps.stage(kernel, 1, "j1", "pb", Space.SCRATCH, (*p.terms, "jv", "jl"))
    elif p.batch:
        kernel = steps.stage(kernel, 1, p.batch[-1], "pb", Space.SCRATCH, order)
    else:
        kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, order)
        kernel = parallel_copy(kernel, "pb", p.target, work)
    kernel = vectorize_copy(kernel, "pb", p.lanes)
    if not p.batch and p.choices.pick("left", _left_is_strided(kernel, p.terms[-1]), (False, True)):
        order = (*p.rows[:-1], "ic", "i1", *p.blocks, *p.terms, "ii")
        kernel = steps.stage(kernel, 0, None, "pa", Space.GLOBAL, order)
        kernel = vectorize_copy(parallel_copy(kernel, "pa", p.target, work), "pa", p.lanes)
    p.kernel = kernel


def _operands(kernel: Kernel) -> tuple[list[Load], list[Load]]:
    """What the left and the right factor of the product read."""
    leaf = next(s for s in walk(kernel.body) if isinstance(s, Accumulate))
    assert isinstance(leaf.value, Op)
    left, right = leaf.value.args
    return list(loads(left)), list(loads(right))


def _left_is_strided(kernel: Kernel, term: str) -> bool:
    """Whether neighbouring terms of the left operand lie on different lines of the cache."""
    var = steps.find_loop(kernel, term).var
    return any(strided(load, var) for load in _operands(kernel)[0])


def _contiguous_along_terms(p: _Product) -> bool:
    """Whether terms are contiguous in both operands and columns of the right one are strided: a transposed matrix."""
    if len(p.terms) > 1:
        return False
    term, column = (steps.find_loop(p.kernel, name).var for name in (p.terms[0], p.columns[-1]))
    left, right = _operands(p.kernel)
    return all(stride(load, term) == 1 for load in left + right) and any(strided(load, column) for load in right)


def _lanes_along_terms(p: _Product) -> Kernel:
    """Few rows times a transposed matrix: lanes run over terms, so that both operands are read as they lie.

    Each sum of the register tile is a vector; its lanes are added up after the last term.
    """
    kernel, choices, target = p.kernel, p.choices, p.target
    (k,) = p.terms
    lanes = target.lanes(p.dtype)
    best = (min(4, p.height), min(4 if target.registers > 16 else 2, p.n))
    mr, nr = choices.pick("tile.along", best, [(a, b) for a in (1, 2, 4, 8) for b in (1, 2, 4)])
    ragged = steps.iterations(kernel, k) % lanes
    kernel = steps.split(kernel, p.rows[-1], mr, "ir", "ii")
    kernel = steps.split(kernel, p.columns[-1], nr, "jr", "ji")
    kernel = steps.split(kernel, k, lanes, "ko", "kl")
    spatial = [*p.batch, *p.rows[:-1], *p.columns[:-1], "jr", "ir"]
    kernel = steps.reorder(kernel, *spatial, "ko", "ii", "ji", "kl")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, "ii", "ji"), Kind.VECTOR, "kl")
    kernel = steps.accumulate(kernel, "ko", "tile", ("kl",))
    if ragged:
        kernel = steps.specialize(kernel, "ko")
    each = max(1, steps.iterations(kernel, "jr") // (target.threads * TASKS_PER_THREAD * 2))
    if p.lowered.work >= target.parallel_work and each > 1:
        kernel = steps.split(kernel, "jr", each, "jc", "j1", exact=True)
        spatial[-2:] = ["jc"]
    return parallel_nest(kernel, spatial, p.lowered.work, target, choices)
