"""Schedule rules for devices that run groups of items: see `rules` for those with threads and vectors."""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.expr import Space
from ...ir.index import index
from ...ir.schedule import ScheduleError
from ...ir.stmt import Accumulate, For, Kernel, Kind, loop, walk
from ...ir.target import Target
from ..choices import Choices
from ..lowering.contraction import depends_on_right
from ..lowering.lowered import Lowered
from .attention import attention_groups
from .common import leaf_dtype

SHORT_ROW = 64  # a row shorter than this is reduced by one item
SUBGROUP = 32  # items that share a row at least, where the width of a subgroup is not known
MANY = 1 << 16  # elements from which on an item takes several
ITEMS = (16, 32, 64, 128, 256)  # of a group


def schedule_groups(lowered: Lowered, target: Target) -> Kernel:
    """The kernel with its loops bound to groups and items."""
    return _RULES[lowered.kind](lowered, target)


def _power_of_two(n: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, n - 1).bit_length()


def _power_of_two_within(n: int) -> int:
    """The greatest power of two that is not more; 0 where there is none."""
    return 1 << (n.bit_length() - 1) if n else 0


def _spread(
    kernel: Kernel, names: list[str], target: Target, choices: Choices, each: int = 1, part: str = ""
) -> Kernel:  # fmt: skip
    """Every iteration of the loops to one item. Decisions are named after the `part` of the kernel."""
    if not names:
        return kernel
    kernel, flat = steps.flatten(kernel, names)
    total = steps.iterations(kernel, flat)
    most = target.preferred_group_items
    items = most if total >= most * 256 else min(64, most, _power_of_two(total))
    items = choices.pick(f"items{part}", items, [i for i in ITEMS if i <= min(most, _power_of_two(total))])
    each = choices.pick(f"each{part}", each if total >= MANY else 1, [e for e in (1, 2, 4, 8) if e * items <= total])
    return steps.bind_items(kernel, flat, items, each, target.max_groups)


def _map(lowered: Lowered, target: Target) -> Kernel:
    return _spread(lowered.kernel, lowered.loops, target, lowered.choices, 4)


def _loops(lowered: Lowered, target: Target) -> Kernel:
    return _spread(lowered.kernel, lowered.loops, target, lowered.choices)


def _phases(lowered: Lowered, target: Target) -> Kernel:
    kernel = lowered.kernel
    for n, names in enumerate(lowered.phases):
        kernel = _spread(kernel, names, target, lowered.choices, part=f".{n}")
    return kernel


def _rows(lowered: Lowered, target: Target) -> Kernel:
    """A group to a row: items share its elements. Short rows take one item each."""
    kernel = lowered.kernel
    widest = max(steps.iterations(kernel, *names) for names in lowered.phases)
    rows = steps.iterations(kernel, *lowered.loops)
    short = widest < SHORT_ROW or (widest < 256 and rows >= 1 << 14)
    parts = sum(target.element_bytes(s.buffer.dtype) for s in walk(kernel.body) if isinstance(s, Accumulate))
    most = min(target.preferred_group_items, _power_of_two_within(target.shared_bytes // max(1, parts)))
    if most < ITEMS[0] or not lowered.choices.pick("share", not short, (False, True)):
        return _loops(lowered, target)
    items = min(most, max(target.subgroup_width or SUBGROUP, _power_of_two(widest // 8)))
    items = lowered.choices.pick("row.items", items, [i for i in ITEMS if i <= min(most, _power_of_two(widest))])
    for names, reduces in zip(lowered.phases, lowered.reductions, strict=True):
        kernel, flat = steps.flatten(kernel, names)
        kernel = (steps.reduce_in_group if reduces else steps.share_loop)(kernel, flat, items)
    if not lowered.loops:
        one = loop("row", 1)
        return kernel.with_body(For(one.var, index(1), kernel.body, Kind.GROUP))
    kernel, flat = steps.flatten(kernel, lowered.loops)
    return steps.bind_groups(kernel, flat, most=target.max_groups)


def _dot(lowered: Lowered, target: Target) -> Kernel:
    batch, names = lowered.loops[: lowered.batch], lowered.loops[lowered.batch :]
    return _contraction(lowered, batch, names[: lowered.rows], names[lowered.rows :], target)


def _conv(lowered: Lowered, target: Target) -> Kernel:
    """The same contraction: rows are pixels of all images, columns output channels, terms the window's elements."""
    outer, spatial = lowered.loops[: lowered.batch], lowered.loops[lowered.batch :]
    columns, pixels = spatial[: lowered.rows], spatial[lowered.rows :]
    group = [name for name in outer if depends_on_right(lowered.kernel, name)]
    rows = [name for name in outer if name not in group] + pixels
    return _contraction(lowered, group, rows, columns, target)


def _contraction(
    lowered: Lowered, batch: list[str], rows: list[str], columns: list[str], target: Target
) -> Kernel:  # fmt: skip
    """Tiles in shared memory where the shape is worth it, else an item to an element."""
    if rows and columns and lowered.terms:
        try:
            made = _tiled(lowered, batch, rows, columns, target)
        except ScheduleError:
            made = None
        if made is not None:
            return made
    return _loops(lowered, target)


def _tiled(lowered: Lowered, batch: list[str], rows: list[str], columns: list[str], target: Target) -> Kernel | None:
    """A tile of the result to a group, both operands' tiles in shared memory; each item keeps a part in registers."""
    kernel = lowered.kernel
    m, n, depth = (
        steps.iterations(kernel, *rows),
        steps.iterations(kernel, *columns),
        steps.iterations(kernel, *lowered.terms),
    )
    choices, most = lowered.choices, target.group_items
    if min(m, n) < 8 or depth < 8 or m * n < 256 or not choices.pick("tiled", True, (False, True)):
        return None
    side = choices.pick("side", 16 if most >= 256 else 8, [s for s in (4, 8, 16) if s * s <= most])
    each_m = choices.pick("each_m", _each(m, side), [e for e in (1, 2, 4, 8) if e * side < 2 * m])
    each_n = choices.pick("each_n", _each(n, side), [e for e in (1, 2, 4, 8) if e * side < 2 * n])
    column = (each_m + each_n) * side * target.element_bytes(leaf_dtype(kernel))  # of both tiles, for one term
    deepest = next((s for s in (16, 8) if s * column <= target.shared_bytes), 4)
    step = choices.pick("step", deepest, [s for s in (4, 8, 16, 32) if s < 2 * depth])
    if step * column > target.shared_bytes:
        return None
    kernel = steps.reorder(kernel, *batch, *rows, *columns, *lowered.terms)
    kernel, i = steps.flatten(kernel, rows)
    kernel, j = steps.flatten(kernel, columns)
    kernel, k = steps.flatten(kernel, lowered.terms)
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


def _each(extent: int, side: int) -> int:
    """Rows or columns of the register tile."""
    return 8 if extent >= 32 * side else 4 if extent >= 3 * side else 2 if extent > side else 1


_RULES = {
    "map": _map, "rows": _rows, "columns": _loops, "dot": _dot, "conv": _conv, "serial": _loops, "phases": _phases,
    "attention": attention_groups,
}  # fmt: skip
