"""Rules for targets with a grid of groups of items."""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.expr import Space
from ...ir.index import index
from ...ir.schedule import ScheduleError
from ...ir.stmt import Accumulate, For, Kernel, Kind, loop, walk
from ...ir.target import Target
from ..choices import Choices
from ..lowering.lowered import LoopRole, Lowered, PhaseRole
from .common import accumulator_dtype

GROUP_ITEMS = (16, 32, 64, 128, 256)  # options
SMALL_GROUP = 64  # items of a group where there are not many groups: more of them run at once
MANY_GROUPS = 256  # groups from which on they are as large as the target prefers

# Elements of a map from which on an item computes several: each reads its position from the grid once.
COARSENED_ELEMENTS = 1 << 16
ELEMENTS_PER_ITEM = 4

# A row shorter than this is reduced by one item; where there are many rows, one shorter than the second is too.
SHORT_ROW, SHORT_ROW_OF_MANY, MANY_ROWS = 64, 256, 1 << 14
ROW_ELEMENTS_PER_ITEM = 8
SUBGROUP_WIDTH = 32  # items that share a row at least, where the width of a subgroup is not known

# Contractions with fewer rows, columns or terms, or with fewer results, have no tiles in shared memory.
LEAST_TILE_EXTENT, LEAST_TILE_RESULTS = 8, 256
TILE_TERMS = (16, 8, 4)  # terms of a tile in shared memory, best first


def schedule_map(lowered: Lowered, target: Target) -> Kernel:
    """One item per few elements."""
    return _spread(lowered.kernel, lowered.spatial, target, lowered.choices, ELEMENTS_PER_ITEM)


def schedule_spatial(lowered: Lowered, target: Target) -> Kernel:
    """One item per iteration of the spatial loops, which executes the inner loops serially."""
    return _spread(lowered.kernel, lowered.spatial, target, lowered.choices)


def schedule_phases(lowered: Lowered, target: Target) -> Kernel:
    """Each phase is spread over a grid of its own."""
    kernel = lowered.kernel
    for n, phase in enumerate(lowered.phases):
        names = phase.names(LoopRole.SPATIAL)
        kernel = _spread(kernel, names, target, lowered.choices, part=f".{n}")
    return kernel


def _spread(
    kernel: Kernel, names: list[str], target: Target, choices: Choices, each: int = 1, part: str = ""
) -> Kernel:  # fmt: skip
    """Assigns one iteration of the loops to an item, or `each` where there are many. `part` is a suffix of decisions' names."""
    if not names:
        return kernel
    kernel, flat = steps.flatten(kernel, names)
    total = steps.iterations(kernel, flat)
    most = target.preferred_group_items
    items = most if total >= most * MANY_GROUPS else min(SMALL_GROUP, most, _power_of_two(total))
    items = choices.pick(f"items{part}", items, [i for i in GROUP_ITEMS if i <= min(most, _power_of_two(total))])
    each = each if total >= COARSENED_ELEMENTS else 1
    each = choices.pick(f"each{part}", each, [e for e in (1, 2, 4, 8) if e * items <= total])
    return steps.bind_items(kernel, flat, items, each, target.max_groups)


def _power_of_two(n: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, n - 1).bit_length()


def _power_of_two_within(n: int) -> int:
    """The greatest power of two that is not more; 0 where there is none."""
    return 1 << (n.bit_length() - 1) if n else 0


# ---------------------------------------------------------------- rows


def schedule_rows(lowered: Lowered, target: Target) -> Kernel:
    """One group per row: items share its elements. Short rows take one item each."""
    kernel, choices = lowered.kernel, lowered.choices
    widest = max(steps.iterations(kernel, *phase.names()) for phase in lowered.phases)
    rows = steps.iterations(kernel, *lowered.spatial)
    short = widest < SHORT_ROW or (widest < SHORT_ROW_OF_MANY and rows >= MANY_ROWS)
    most = min(target.preferred_group_items, _items_within_shared_memory(kernel, target))
    if most < GROUP_ITEMS[0] or not choices.pick("share", not short, (False, True)):
        return schedule_spatial(lowered, target)
    least = target.subgroup_width or SUBGROUP_WIDTH
    items = min(most, max(least, _power_of_two(widest // ROW_ELEMENTS_PER_ITEM)))
    items = choices.pick("row.items", items, [i for i in GROUP_ITEMS if i <= min(most, _power_of_two(widest))])
    for phase in lowered.phases:
        kernel, flat = steps.flatten(kernel, phase.names())
        share = steps.reduce_in_group if phase.role is PhaseRole.REDUCTION else steps.share_loop
        kernel = share(kernel, flat, items)
    if not lowered.loops:
        one = loop("row", 1)
        return kernel.with_body(For(one.var, index(1), kernel.body, Kind.GROUP))
    kernel, flat = steps.flatten(kernel, lowered.spatial)
    return steps.bind_groups(kernel, flat, most=target.max_groups)


def _items_within_shared_memory(kernel: Kernel, target: Target) -> int:
    """The most items for which the parts of all reductions fit into shared memory: each item has one of each."""
    parts = sum(target.element_bytes(s.buffer.dtype) for s in walk(kernel.body) if isinstance(s, Accumulate))
    return _power_of_two_within(target.shared_bytes // max(1, parts))


# ---------------------------------------------------------------- contractions


def schedule_contraction(lowered: Lowered, target: Target) -> Kernel:
    """Tiles in shared memory where the shape is large enough, else one item per element.

    The rows of a convolution are the pixels of all images, its columns output channels, its terms the window's elements.
    """
    try:
        tiled = _tiled(lowered, target)
    except ScheduleError:
        tiled = None
    return schedule_spatial(lowered, target) if tiled is None else tiled


def _tiled(lowered: Lowered, target: Target) -> Kernel | None:
    """One tile of the result per group, both operands' tiles in shared memory; each item keeps a part in registers.

    Returns:
        The kernel, or None where the contraction is too small for tiles, or tiles too large for shared memory.
    """
    kernel, choices = lowered.kernel, lowered.choices
    batch, columns = lowered.names(LoopRole.BATCH), lowered.names(LoopRole.COLUMN)
    rows, terms = lowered.names(LoopRole.ROW, LoopRole.WINDOW), lowered.names(LoopRole.REDUCTION)
    if not (rows and columns and terms):
        return None
    m, n, depth = (steps.iterations(kernel, *names) for names in (rows, columns, terms))
    if min(m, n, depth) < LEAST_TILE_EXTENT or m * n < LEAST_TILE_RESULTS:
        return None
    if not choices.pick("tiled", True, (False, True)):
        return None
    most = target.group_items
    side = choices.pick("side", 16 if most >= 256 else 8, [s for s in (4, 8, 16) if s * s <= most])
    each_m = choices.pick("each_m", _register_rows(m, side), [e for e in (1, 2, 4, 8) if e * side < 2 * m])
    each_n = choices.pick("each_n", _register_rows(n, side), [e for e in (1, 2, 4, 8) if e * side < 2 * n])
    term_bytes = (each_m + each_n) * side * target.element_bytes(accumulator_dtype(kernel))  # of both tiles
    step = next((s for s in TILE_TERMS if s * term_bytes <= target.shared_bytes), TILE_TERMS[-1])
    step = choices.pick("step", step, [s for s in (4, 8, 16, 32) if s < 2 * depth])
    if step * term_bytes > target.shared_bytes:
        return None
    kernel = steps.reorder(kernel, *batch, *rows, *columns, *terms)
    kernel, i = steps.flatten(kernel, rows)
    kernel, j = steps.flatten(kernel, columns)
    kernel, k = steps.flatten(kernel, terms)
    kernel = steps.split(kernel, i, side * each_m, "gi", "i1")
    kernel = steps.split(kernel, "i1", side, "ri", "ti")
    kernel = steps.split(kernel, j, side * each_n, "gj", "j1")
    kernel = steps.split(kernel, "j1", side, "rj", "tj")
    kernel = steps.split(kernel, k, step, "ko", "kk", exact=True)
    kernel = steps.reorder(kernel, *batch, "gi", "gj", "ti", "tj", "ko", "kk", "ri", "rj")
    kernel = steps.mark(steps.mark(kernel, Kind.GROUP, "gj", axis=0), Kind.GROUP, "gi", axis=1)
    kernel = steps.mark(steps.mark(kernel, Kind.ITEM, "tj", axis=0), Kind.ITEM, "ti", axis=1)
    kernel = steps.mark(kernel, Kind.UNROLLED, "ri", "rj")
    kernel = steps.accumulate(kernel, "ko")
    kernel = steps.stage(kernel, 0, "ko", "SA", Space.WORKGROUP, ("ri", "ti", "kk"))
    kernel = steps.stage(kernel, 1, "ko", "SB", Space.WORKGROUP, ("kk", "rj", "tj"))
    if batch:
        kernel, flat = steps.flatten(kernel, batch)
        kernel = steps.bind_groups(kernel, flat, axis=2, most=target.max_groups)
    return kernel


def _register_rows(extent: int, side: int) -> int:
    """Rows or columns of an item's tile in registers: more where enough groups are left."""
    return 8 if extent >= 32 * side else 4 if extent >= 3 * side else 2 if extent > side else 1
