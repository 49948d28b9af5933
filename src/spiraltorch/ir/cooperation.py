"""Schedule steps for devices that run grids of groups: loops bound to groups and items, and cooperative reductions.

The iterations of an item loop are the items (threads) of a group. Statements beside item loops, inside a group's loop, are
executed once for the group. Bound loops have constant extents.
"""

from __future__ import annotations

from .expr import Buffer, Load, Space, op, substitute_value
from .guard import ALWAYS, Guard, less, substitute_guard
from .index import ZERO, Index, index
from .loops import fuse, mark, split
from .reductions import identity
from .stmt import Accumulate, Alloc, For, Kernel, Kind, Stmt, Store, block, loop, loop_nest, substitute_stmt
from .tree import ScheduleError, find_loop, guard_leaves, leaf_statements, rewrite_loop

UNLIMITED = (1 << 62, 1 << 62, 1 << 62)  # groups along x, y and z


def flatten(kernel: Kernel, names: list[str]) -> tuple[Kernel, str]:
    """Fuses loops that are directly inside each other, also where divisions are left in indices.

    Returns:
        The kernel, and the name of the fused loop.
    """
    flat = names[0]
    for inner in names[1:]:
        kernel = fuse(kernel, flat, inner, f"{flat}{inner}", simple=False)
        flat += inner
    return kernel, flat


def bind_groups(kernel: Kernel, name: str, axis: int = 0, most: tuple[int, int, int] = UNLIMITED) -> Kernel:
    """Binds a loop to groups along `axis`; where it has more iterations than `most` allows there, to the next axis too."""
    extent = find_loop(kernel, name).extent
    if not extent.is_const:
        raise ScheduleError(f"[bind_groups] {name} expected a constant extent, got {extent}")
    if extent.const > most[axis]:
        if axis == 2:
            raise ScheduleError(f"[bind_groups] {name} expected at most {most[axis]} groups along z, got {extent}")
        rows = -(-extent.const // most[axis])
        each = -(-extent.const // rows)
        kernel = split(kernel, name, each, f"{name}y", f"{name}x")
        kernel = mark(kernel, Kind.GROUP, f"{name}y", axis=axis + 1)
        name = f"{name}x"
    return mark(kernel, Kind.GROUP, name, axis=axis)


def bind_items(
    kernel: Kernel, name: str, items: int, each: int = 1, most: tuple[int, int, int] = UNLIMITED
) -> Kernel:  # fmt: skip
    """Binds a loop to groups of `items`; an item executes `each` iterations, `items` apart."""
    kernel = split(kernel, name, items * each, f"{name}g", f"{name}e")
    kernel = _swap(split(kernel, f"{name}e", items, f"{name}u", f"{name}t"), f"{name}u")
    kernel = mark(mark(kernel, Kind.UNROLLED, f"{name}u"), Kind.ITEM, f"{name}t")
    return bind_groups(kernel, f"{name}g", most=most)


def _swap(kernel: Kernel, name: str) -> Kernel:
    """Interchanges a loop with the one directly inside it; the caller knows that their iterations are independent."""

    def rewrite(one: For, _: list[For]) -> Stmt:
        inside = one.body
        if not isinstance(inside, For) or not inside.extent.is_const:
            raise ScheduleError(f"[bind_items] expected a loop of constant extent directly inside {name}")
        return inside.replace(body=one.replace(body=inside.body))

    return rewrite_loop(kernel, name, rewrite, "bind_items")


def share_loop(kernel: Kernel, name: str, items: int) -> Kernel:
    """Distributes the iterations of a loop over the items of a group: item t executes t, t + items, t + 2 items, ..."""

    def rewrite(one: For, _: list[For]) -> Stmt:
        steps, item, here, exists = _distributed(one, items)
        body = substitute_stmt(one.body, {one.var: here}, {one.var: (steps.var,)})
        return loop_nest([item, steps], guard_leaves(body, exists))

    return rewrite_loop(kernel, name, rewrite, "share_loop")


def _distributed(one: For, items: int) -> tuple[For, For, Index, Guard]:
    """The parts of a loop that is distributed over items.

    Returns:
        The loop over the steps of an item, the loop over items, the iteration as an index of both, and the condition that
        the iteration exists.
    """
    extent, name = one.extent.const, one.var.name
    steps, item = loop(f"{name}s", -(-extent // items)), loop(f"{name}t", items, Kind.ITEM)
    here = index(steps.var) * items + index(item.var)
    return steps, item, here, less(here, extent) if extent % items else ALWAYS


def reduce_in_group(kernel: Kernel, name: str, items: int) -> Kernel:
    """Reductions over one loop by the items of a group: each reduces a part, and the parts are combined in a tree.

    The tree is in workgroup memory and has log2(items) steps. Raises `ScheduleError` where the body of the loop is not one
    or several reductions into a single element each, along this loop and without `finish`. `items` is a power of two.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Const, at
    >>> from spiraltorch.ir.stmt import format_kernel
    >>> x, total = Buffer("x", at(8), float32), Buffer("total", (), float32, Space.VIRTUAL)
    >>> j = loop("j", 8)
    >>> leaf = Accumulate(total, (), "add", Load(x, at(j.var)), axes=(j.var,), init=Const(0.0, float32))
    >>> print(format_kernel(reduce_in_group(Kernel("sum", (x,), Alloc(total, loop_nest([j], leaf))), "j", 4)))
    kernel sum(x: float32[8])
      alloc total: float32[] in virtual
      alloc j.all: float32[4] in workgroup
      for jt in 4 (item):
        alloc j.part: float32[] in register
        j.part[] = 0.0
        for js in 2:
          j.part[] add= x[js*4 + jt]
        j.all[jt] = j.part[]
      for jt.2 in 2 (item):
        j.all[jt.2] = add(j.all[jt.2], j.all[jt.2 + 2])
      for jt.1 in 1 (item):
        j.all[0] = add(j.all[0], j.all[1])
      total[] = j.all[0]
    """

    def rewrite(one: For, _: list[For]) -> Stmt:
        leaves = leaf_statements(one.body) or ()
        reductions = [s for s in leaves if isinstance(s, Accumulate)]
        if (
            not reductions
            or len(reductions) < len(leaves)
            or any(s.axes != (one.var,) or s.finish or s.position for s in reductions)
        ):
            raise ScheduleError(f"[reduce_in_group] {name} expected reductions into registers, with no finish")
        steps, item, here, exists = _distributed(one, items)
        names = [name if n == 0 else f"{name}.{n}" for n in range(len(reductions))]
        parts = [
            Buffer(f"{n}.part", (), s.buffer.dtype, Space.REGISTER) for n, s in zip(names, reductions, strict=True)
        ]
        shared = [
            Buffer(f"{n}.all", (index(items),), s.buffer.dtype, Space.WORKGROUP)
            for n, s in zip(names, reductions, strict=True)
        ]

        updates: list[Stmt] = []
        for s, part in zip(reductions, parts, strict=True):
            condition = substitute_guard(s.guard, {one.var: here}) & exists
            updates.append(Accumulate(part, (), s.op, substitute_value(s.value, {one.var: here}), condition))
        own_part = block(
            *[Store(p, (), identity(s.op, p.dtype)) for s, p in zip(reductions, parts, strict=True)],
            loop_nest([steps], block(*updates)),
            *[Store(a, (index(item.var),), Load(p, ())) for a, p in zip(shared, parts, strict=True)],
        )
        for part in reversed(parts):
            own_part = Alloc(part, own_part)
        tree: list[Stmt] = [loop_nest([item], own_part)]
        half = items // 2
        while half:
            pair = loop(f"{name}t.{half}", half, Kind.ITEM)
            i = index(pair.var)
            halves = [
                Store(a, (i,), op(s.op, Load(a, (i,)), Load(a, (i + half,))))
                for s, a in zip(reductions, shared, strict=True)
            ]
            tree.append(loop_nest([pair], block(*halves)))
            half //= 2
        tree += [Store(s.buffer, (), Load(a, (ZERO,))) for s, a in zip(reductions, shared, strict=True)]
        body = block(*tree)
        for a in reversed(shared):
            body = Alloc(a, body)
        return body

    return rewrite_loop(kernel, name, rewrite, "reduce_in_group")
