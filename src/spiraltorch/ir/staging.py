"""A schedule step on memory: a tile of an operand near the loops that use it (packing, shared memory).

`stage` works on values, not on buffers: a tile holds an operand of the reduction's product with everything that was fused
into it, so casts and prologues are computed once for each element, and the layout of the tile is free.

Limits: the reduction sums a product of two operands, the tile has a constant size, and the operand reads nothing that the
nest writes.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from .expr import Buffer, Cast, FromGuard, FromIndex, Load, Op, Rewriter, Space, Value, loads, substitute_value
from .guard import ALWAYS, Guard, guard, less
from .index import ZERO, Index, Var, ceil_div, index, substitute
from .stmt import (
    Accumulate,
    Alloc,
    For,
    Kernel,
    Kind,
    Stmt,
    Store,
    block,
    children,
    loop,
    loop_nest,
    written_buffers,
)
from .tree import ScheduleError, copy_loop_nest, guard_loads, in_bounds, loop_names, rebuild


def stage(
    kernel: Kernel, operand: int, at: str | None, name: str, space: Space = Space.SCRATCH,
    order: tuple[str, ...] | None = None, within: str | None = None, windows: tuple[tuple[str, ...], ...] = (),
) -> Kernel:  # fmt: skip
    """Copies operand 0 or 1 of the product that a reduction sums into a tile, and reads the tile instead.

    The tile has a dimension for each loop inside `at` (for `WORKGROUP` also for each item loop around it) that the
    operand depends on. With `at=None` the tile is `GLOBAL`, and its copy is a phase before the nest. The copy loops are
    called `{name}.{loop}` and are serial; a copy to `WORKGROUP` is shared by the items of the group in one loop
    `{name}.step`. Conditions that keep the operand inside its buffers move to the copy, which fills with zero;
    conditions on axes stay on the reduction too.

    Args:
        kernel: a kernel with one reduction of a product below `at`.
        operand: 0 or 1, the operand of the product.
        at: the loop in whose body the copy is made; None: before the nest.
        name: the name of the tile.
        space: the memory of the tile where `at` is a loop.
        order: the loops of the tile's dimensions, the outermost first; None: as in the nest.
        within: a loop around the reduction, where several reductions of products lie below `at`.
        windows: loops of which the operand knows only a weighted sum, as a window's position and the offset in it. The
            tile has one dimension `{name}.{first loop}` for the values of the sum, at the place of the first loop in
            `order`, so each element is copied once. The weight of the first loop is 1.

    Raises:
        ScheduleError: there is not one such reduction; the tile has no constant size; the operand depends on a window's
            loops otherwise than by their sum; or it reads what the nest writes.

    Example:
        >>> from spiraltorch.dtypes import float32
        >>> from spiraltorch.ir.expr import Const, at, op
        >>> from spiraltorch.ir.stmt import format_kernel
        >>> m, v, y = (Buffer(n, at(*s), float32) for n, s in (("m", (3, 8)), ("v", (8,)), ("y", (3,))))
        >>> i, j = loop("i", 3), loop("j", 8)
        >>> product = op("mul", Load(m, at(i.var, j.var)), op("exp", Load(v, at(j.var))))
        >>> total = Accumulate(y, at(i.var), "add", product, axes=(j.var,), init=Const(0.0, float32))
        >>> print(format_kernel(stage(Kernel("mv", (m, v, y), loop_nest([i, j], total)), 1, None, "t")))
        kernel mv(m: float32[3, 8], v: float32[8], y: float32[3])
          alloc t: float32[8] in global
          for t.j in 8:
            t[t.j] = exp(v[t.j])
          for i in 3:
            for j in 8:
              y[i] add= mul(m[i, j], t[j])  over j
    """
    path = _path_to_product(kernel, at, within)
    first = next((n for n, s in enumerate(path) if isinstance(s, For) and (at is None or s.var.name == at)), None)
    if first is None:
        raise ScheduleError(f"[stage] expected a loop {at!r} around the reduction, got {loop_names(kernel)}")
    leaf, value = _operand(path, operand)
    changed = written_buffers(path[first]) & {r.buffer for r in loads(value)}
    if changed:
        raise ScheduleError(f"[stage] the operand reads {', '.join(b.name for b in changed)}, which the nest writes")
    inside = [s for s in path[first if at is None else first + 1 :] if isinstance(s, For)]
    shares = space is Space.WORKGROUP
    items = [s for s in path[:first] if isinstance(s, For) and s.kind is Kind.ITEM] if shares else []
    by_name = {one.var.name: one for one in inside}
    sums = [_window(value, [by_name[n] for n in names], name) for names in windows if names]
    value, loops = _in_windows(value, [*items, *inside], sums)
    dims = _dimensions(value, loops, order, name)
    tile = Buffer(name, tuple(_size(one, name) for one in dims), value.dtype, Space.GLOBAL if at is None else space)
    bound = {one.var for one in inside} - {one.var for one in dims} | {v for w in sums for v in w.total.variables}
    cells = Guard(tuple(t for t in leaf.guard.terms if t.variables.isdisjoint(bound)), leaf.guard.never)
    source = guard_loads(value, cells)
    copy = _shared_copy(tile, source, dims, items) if items else _copy(tile, source, dims, bound)
    totals = {w.loop.var: w.total for w in sums}
    read = Load(tile, tuple(totals.get(one.var, index(one.var)) for one in dims))
    return kernel.with_body(_insert(path, first, at is None, tile, copy, _with_operand(leaf, operand, read)))


def _path_to_product(kernel: Kernel, at: str | None, within: str | None) -> list[Stmt]:
    """The statements from the root to the one reduction of a product inside the loops `at` and `within`."""
    paths: list[list[Stmt]] = []
    required = {n for n in (at, within) if n is not None}

    def visit(s: Stmt, path: list[Stmt], missing: set[str]) -> None:
        path = [*path, s]
        if isinstance(s, For) and s.var.name in missing:
            missing = missing - {s.var.name}
        if not missing and isinstance(s, Accumulate) and isinstance(s.value, Op) and s.value.name == "mul":
            paths.append(path)
        for c in children(s):
            visit(c, path, missing)

    visit(kernel.body, [], required)
    if len(paths) != 1:
        where = f"below {' and '.join(sorted(required))}" if required else "in the kernel"
        raise ScheduleError(
            f"[stage] expected one reduction of a product {where}, found {len(paths)}; "
            f"name a loop with `within` (loops: {loop_names(kernel)})"
        )
    return paths[0]


def _operand(path: list[Stmt], operand: int) -> tuple[Accumulate, Value]:
    """The reduction at the end of a path of `_path_to_product`, and an operand of its product."""
    leaf = path[-1]
    assert isinstance(leaf, Accumulate) and isinstance(leaf.value, Op)
    return leaf, leaf.value.args[operand]


def _with_operand(leaf: Accumulate, operand: int, value: Value) -> Accumulate:
    """The reduction with another operand of its product."""
    product = leaf.value
    assert isinstance(product, Op)
    args = (value, product.args[1]) if operand == 0 else (product.args[0], value)
    return Accumulate(
        leaf.buffer, leaf.position, leaf.op, Op("mul", args, product.dtype), leaf.guard, leaf.axes, leaf.init,
        leaf.finish,
    )  # fmt: skip


def _insert(path: list[Stmt], first: int, before: bool, tile: Buffer, copy: Stmt, leaf: Accumulate) -> Stmt:
    """The root with the reduction replaced, and the tile and its copy before loop `path[first]` or at its body's start."""
    below = rebuild(path[first:], leaf)
    if before:
        return rebuild(path[: first + 1], Alloc(tile, block(copy, below)))
    assert isinstance(below, For)
    return rebuild(path[: first + 1], below.replace(body=Alloc(tile, block(copy, below.body))))


# ---------------------------------------------------------------- windows


class _Window(NamedTuple):
    """Loops of which an operand knows only their weighted sum `total`; `loop` runs over the values of the sum."""

    loop: For
    total: Index
    vars: tuple[Var, ...]


def _window(value: Value, loops: list[For], name: str) -> _Window:
    """The window of some loops, whose weights are their strides in the operand's positions."""
    weights: dict[Var, int] = {}
    loops = [loops[0], *(one for one in loops[1:] if one.var in value.variables)]  # loops of one iteration are folded
    first = loops[0].var
    for one in loops:
        strides = {_stride(i, one.var) for r in loads(value) for i in r.position} - {0}
        stride = strides.pop() if len(strides) == 1 else None
        if stride is None or not one.extent.is_const:
            raise ScheduleError(f"[stage] {name} expected {one.var.name} to move one position of the operand evenly")
        weights[one.var] = stride
    if weights[first] != 1 or min(weights.values()) < 1:
        raise ScheduleError(f"[stage] {name} expected {first.name} to count by one, got steps {list(weights.values())}")
    total = ZERO
    for var, weight in weights.items():
        total = total + index(var) * weight
    over = Var(first.name, total.bounds[1])
    return _Window(For(over, index(over.upper + 1), block()), total, tuple(weights))


def _stride(i: Index, var: Var) -> int | None:
    """By how much an index grows with each iteration of a loop; None where that is not a constant."""
    if var not in i.variables:
        return 0
    moved = substitute(i, {var: index(var) + 1}) - i
    return moved.const if moved.is_const else None


def _in_windows(value: Value, loops: list[For], sums: list[_Window]) -> tuple[Value, list[For]]:
    """The operand as a function of the windows' sums, and the loops with one for each window in place of its own.

    Raises:
        ScheduleError: the operand depends on a window's loops otherwise than by their sum.
    """
    for window in sums:
        value = Rewriter(None, partial(_guarded_inside, moving=window.vars)).value(value)
        first, *rest = window.vars
        new = substitute_value(value, {first: index(window.loop.var), **dict.fromkeys(rest, ZERO)})
        if _places(substitute_value(new, {window.loop.var: window.total})) != _places(value):
            raise ScheduleError(f"[stage] expected the operand to know only the sum {window.total} of its window")
        value = new
        removed = set(rest)
        loops = [window.loop if one.var is first else one for one in loops if one.var not in removed]
    return value, loops


def _guarded_inside(r: Load, moving: tuple[Var, ...]) -> Load:
    """The load under conditions that keep the dimensions that a window moves in bounds: for sums, the conditions of the
    single loops do not hold."""
    conditions: list[Index] = []
    for d, i in enumerate(r.position):
        if not i.variables.isdisjoint(moving) and not in_bounds(r, d):
            conditions += [i, r.buffer.shape[d] - 1 - i]
    return Load(r.buffer, r.position, r.guard & guard(*conditions)) if conditions else r


def _places(value: Value) -> list[object]:
    """Every position and condition in a value, in order, to compare two values of the same form."""
    if isinstance(value, Load):
        return [value.buffer, value.position, frozenset(value.guard.terms)]
    if isinstance(value, Op):
        return [x for a in value.args for x in _places(a)]
    if isinstance(value, Cast):
        return _places(value.value)
    if isinstance(value, FromGuard):
        return [frozenset(value.guard.terms)]
    return [value.position] if isinstance(value, FromIndex) else []


# ---------------------------------------------------------------- tiles and copies


def _dimensions(value: Value, loops: list[For], order: tuple[str, ...] | None, name: str) -> list[For]:
    """The loops of the tile's dimensions, in order."""
    uses = value.variables
    depends = [one for one in loops if one.var in uses]
    if order is None:
        return depends
    by_name = {one.var.name: one for one in loops}
    unknown = [n for n in order if n not in by_name]
    missing = [one.var.name for one in depends if one.var.name not in order]
    if unknown or missing:
        raise ScheduleError(f"[stage] order of {name}: no loops here {unknown}, missing {missing}")
    # A loop that the operand does not use repeats it: one of an axis of extent 1 that was folded away and then split.
    return [by_name[n] for n in order]


def _size(one: For, name: str) -> Index:
    """The extent of the tile along a loop."""
    if one.var.upper >= 1 << 40:
        raise ScheduleError(f"[stage] {name} expected bounded loops, {one.var.name} has extent {one.extent}")
    return index(one.var.upper + 1)


def _copy(tile: Buffer, source: Value, dims: list[For], free: set[Var]) -> Stmt:
    """The copy as serial loops. An extent that depends on a loop outside the copy, one of `free`, or on an inner loop of
    it is replaced by its maximum."""
    loops: list[For] = []
    inside = {one.var for one in dims}
    outer: set[Var] = set()
    for one in dims:
        extent = one.extent
        if not extent.variables.isdisjoint(free) or (extent.variables & inside) - outer:
            if not all(in_bounds(r, d) or r.guard.terms for r in loads(source) for d in range(len(r.position))):
                raise ScheduleError(f"[stage] the extent of {one.var.name} needs a loop that the copy does not have")
            extent = index(one.var.upper + 1)
        outer.add(one.var)
        loops.append(For(one.var, extent, one.body))
    store = Store(tile, tuple(index(one.var) for one in dims), source)
    return copy_loop_nest(loops, store, lambda n: f"{tile.name}.{n}")


def _shared_copy(tile: Buffer, source: Value, dims: list[For], items: list[For]) -> Stmt:
    """The copy, shared by the items of a group: consecutive items copy consecutive elements of the tile."""
    count, item = 1, ZERO
    for one in sorted(items, key=lambda one: -one.axis):  # axis 0 runs fastest on every device
        item = item * one.extent + one.var
        count *= one.extent.const
    total = 1
    for size in tile.shape:
        total *= size.const
    step = loop(f"{tile.name}.step", ceil_div(total, count))
    element = index(step.var) * count + item
    position = _unflattened(element, tile.shape)
    where = {one.var: i for one, i in zip(dims, position, strict=True)}
    exists = [substitute(one.extent - one.var - 1, where) for one in dims if one.extent != index(one.var.upper + 1)]
    value = substitute_value(source, where)
    if exists:
        condition = guard(*exists)
        value = Rewriter(None, lambda r: Load(r.buffer, r.position, r.guard & condition)).value(value)
    return loop_nest([step], Store(tile, position, value, less(element, total) if total % count else ALWAYS))


def _unflattened(element: Index, shape: tuple[Index, ...]) -> tuple[Index, ...]:
    """The position of an element by its row-major number, in an array of constant extents."""
    if not shape:
        return ()
    position: list[Index] = []
    for size in reversed(shape[1:]):
        position.insert(0, element % size.const)
        element = element // size.const
    return (element, *position)
