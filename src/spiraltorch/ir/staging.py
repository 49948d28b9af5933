"""Schedule steps on memory: copies of an operand near the loops that use it.

`stage` works on values, not on buffers: what is copied is an operand of the reduction's product with all that was
fused into it, so casts and prologues run once an element, and the layout of the tile is free.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from .expr import Buffer, Cast, FromGuard, FromIndex, Load, Op, Rewriter, Space, Value, loads, substitute_value
from .guard import ALWAYS, Guard, guard, less
from .index import ZERO, Index, Var, ceil_div, index, substitute
from .loops import (
    ScheduleError,
    copy_loop_nest,
    guard_loads,
    in_bounds,
    loop_names,
    rebuild,
)
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


def stage(
    kernel: Kernel, operand: int, at: str | None, name: str, space: Space = Space.SCRATCH,
    order: tuple[str, ...] | None = None, within: str | None = None, windows: tuple[tuple[str, ...], ...] = (),
) -> Kernel:  # fmt: skip
    """Copies operand 0 or 1 of the product that a reduction sums into a tile, and reads the tile instead.

    The tile has a dimension for each loop inside `at` (for `WORKGROUP` also each item loop around it) that the
    operand depends on, in the order of `order`, or in the order of the nest. With `at=None` the tile is `GLOBAL`, and
    its copy is a phase before the nest. The copy loops are called `{name}.{loop}`, and are serial; the items of a
    group share a copy to `WORKGROUP` in one loop `{name}.step`. Conditions that keep the operand inside its buffers
    move to the copy, which fills with zero; conditions on axes stay on the reduction too.

    Loops that an operand only knows by a sum, as a window's position and the place in it, are given in `windows`: the
    tile has one dimension `{name}.{first loop}` for what the sum reaches, at the place of the first loop in `order`,
    and each element is copied once. The first loop must count by one.

    `within` names a loop around the reduction where several reductions of products lie below `at`.

    Raises `ScheduleError` where there is not one such reduction, where the tile has no constant size, where the operand
    knows more of a window's loops than their sum, or where it reads what the nest writes.

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
    leaf = path[-1]
    assert isinstance(leaf, Accumulate)
    product = leaf.value
    assert isinstance(product, Op)
    value = product.args[operand]
    first = next((n for n, s in enumerate(path) if isinstance(s, For) and (at is None or s.var.name == at)), None)
    if first is None:
        raise ScheduleError(f"[stage] expected a loop {at!r} around the reduction, got {loop_names(kernel)}")
    top = path[first]
    assert isinstance(top, For)
    inside = [s for s in path[first if at is None else first + 1 :] if isinstance(s, For)]
    items = [s for s in path[:first] if isinstance(s, For) and s.kind is Kind.ITEM]
    if space is not Space.WORKGROUP:
        items = []
    changed = written_buffers(top) & {r.buffer for r in loads(value)}
    if changed:
        raise ScheduleError(f"[stage] the operand reads {', '.join(b.name for b in changed)}, which the nest writes")
    known = {one.var.name: one for one in inside}
    sums = [_window(value, [known[n] for n in names], name) for names in windows if names]
    value, loops = _in_windows(value, [*items, *inside], sums)
    dims = _dimensions(value, loops, order, name)
    tile = Buffer(name, tuple(_size(one, name) for one in dims), value.dtype, Space.GLOBAL if at is None else space)
    bound = {one.var for one in inside} - {one.var for one in dims} | {v for w in sums for v in w.reads.variables}
    cells = Guard(tuple(t for t in leaf.guard.terms if t.variables.isdisjoint(bound)), leaf.guard.never)
    source = guard_loads(value, cells)
    copy = _shared_copy(tile, source, dims, items) if items else _copy(tile, source, dims, bound)
    at_dim = {w.loop.var: w.reads for w in sums}
    reads = Load(tile, tuple(at_dim.get(one.var, index(one.var)) for one in dims))
    args = (reads, product.args[1]) if operand == 0 else (product.args[0], reads)
    new = Accumulate(
        leaf.buffer, leaf.position, leaf.op, Op("mul", args, product.dtype), leaf.guard, leaf.axes, leaf.init,
        leaf.finish,
    )  # fmt: skip
    below = rebuild(path[first:], new)
    if at is None:
        staged: Stmt = Alloc(tile, block(copy, below))
    else:
        assert isinstance(below, For)
        staged = below.replace(body=Alloc(tile, block(copy, below.body)))
    return kernel.with_body(rebuild(path[: first + 1], staged))


class _Window(NamedTuple):
    """Loops of which an operand knows the sum `reads`; `loop` runs over what the sum reaches."""

    loop: For
    reads: Index
    vars: tuple[Var, ...]


def _window(value: Value, loops: list[For], name: str) -> _Window:
    """The sum of a window's loops, by the factor of each in the operand's positions."""
    factors: dict[Var, int] = {}
    loops = [loops[0], *(one for one in loops[1:] if one.var in value.variables)]  # single iterations are folded away
    first = loops[0].var
    for one in loops:
        steps = {_step(i, one.var) for r in loads(value) for i in r.position} - {0}
        if len(steps) != 1 or None in steps or not one.extent.is_const:
            raise ScheduleError(f"[stage] {name} expected {one.var.name} to move one position of the operand evenly")
        factors[one.var] = steps.pop()  # type: ignore[assignment]
    if factors[first] != 1 or min(factors.values()) < 1:
        raise ScheduleError(f"[stage] {name} expected {first.name} to count by one, got steps {list(factors.values())}")
    total = ZERO
    for var, factor in factors.items():
        total = total + index(var) * factor
    over = Var(first.name, total.bounds[1])
    return _Window(For(over, index(over.upper + 1), block()), total, tuple(factors))


def _step(i: Index, var: Var) -> int | None:
    """By how much a position grows with a loop; None where that is not always the same."""
    if var not in i.variables:
        return 0
    moved = substitute(i, {var: index(var) + 1}) - i
    return moved.const if moved.is_const else None


def _in_windows(value: Value, loops: list[For], sums: list[_Window]) -> tuple[Value, list[For]]:
    """The operand as a function of its windows' sums, and the loops with each window's own in place of its parts."""
    for window in sums:
        value = Rewriter(None, partial(_inside, moving=window.vars)).value(value)
        first, *rest = window.vars
        new = substitute_value(value, {first: index(window.loop.var), **dict.fromkeys(rest, ZERO)})
        if _moved(substitute_value(new, {window.loop.var: window.reads})) != _moved(value):
            raise ScheduleError(f"[stage] expected the operand to know only the sum {window.reads} of its window")
        value = new
        gone = set(rest)
        loops = [window.loop if one.var is first else one for one in loops if one.var not in gone]
    return value, loops


def _inside(r: Load, moving: tuple[Var, ...]) -> Load:
    """The load where what a window moves is in bounds: the loops' own conditions do not hold for sums."""
    conditions: list[Index] = []
    for d, i in enumerate(r.position):
        if not i.variables.isdisjoint(moving) and not in_bounds(r, d):
            conditions += [i, r.buffer.shape[d] - 1 - i]
    return Load(r.buffer, r.position, r.guard & guard(*conditions)) if conditions else r


def _moved(value: Value) -> list[object]:
    """Every position and condition in a value, in order."""
    if isinstance(value, Load):
        return [value.buffer, value.position, frozenset(value.guard.terms)]
    if isinstance(value, Op):
        return [x for a in value.args for x in _moved(a)]
    if isinstance(value, Cast):
        return _moved(value.value)
    if isinstance(value, FromGuard):
        return [frozenset(value.guard.terms)]
    return [value.position] if isinstance(value, FromIndex) else []


def _path_to_product(kernel: Kernel, at: str | None, within: str | None) -> list[Stmt]:
    found: list[list[Stmt]] = []
    wanted = {n for n in (at, within) if n is not None}

    def visit(s: Stmt, path: list[Stmt], missing: set[str]) -> None:
        path = [*path, s]
        if isinstance(s, For) and s.var.name in missing:
            missing = missing - {s.var.name}
        if not missing and isinstance(s, Accumulate) and isinstance(s.value, Op) and s.value.name == "mul":
            found.append(path)
        for c in children(s):
            visit(c, path, missing)

    visit(kernel.body, [], wanted)
    if len(found) != 1:
        where = f"below {' and '.join(sorted(wanted))}" if wanted else "in the kernel"
        raise ScheduleError(
            f"[stage] expected one reduction of a product {where}, found {len(found)}; "
            f"name a loop with `within` (loops: {loop_names(kernel)})"
        )
    return found[0]


def _dimensions(value: Value, loops: list[For], order: tuple[str, ...] | None, name: str) -> list[For]:
    uses = value.variables
    depends = [one for one in loops if one.var in uses]
    if order is None:
        return depends
    by_name = {one.var.name: one for one in loops}
    unknown = [n for n in order if n not in by_name]
    missing = [one.var.name for one in depends if one.var.name not in order]
    if unknown or missing:
        raise ScheduleError(f"[stage] order of {name}: no loops here {unknown}, missing {missing}")
    # A loop that the operand does not use repeats it: an axis of extent 1, split after it was folded away.
    return [by_name[n] for n in order]


def _size(one: For, name: str) -> Index:
    if one.var.upper >= 1 << 40:
        raise ScheduleError(f"[stage] {name} expected bounded loops, {one.var.name} has extent {one.extent}")
    return index(one.var.upper + 1)


def _copy(tile: Buffer, source: Value, dims: list[For], free: set[Var]) -> Stmt:
    """Copy loops over what exists: an extent that another loop of the nest decides is replaced by its maximum."""
    loops: list[For] = []
    inside = {one.var for one in dims}
    known: set[Var] = set()
    for one in dims:
        extent = one.extent
        if not extent.variables.isdisjoint(free) or (extent.variables & inside) - known:
            if not all(in_bounds(r, d) or r.guard.terms for r in loads(source) for d in range(len(r.position))):
                raise ScheduleError(f"[stage] the extent of {one.var.name} needs a loop that the copy does not have")
            extent = index(one.var.upper + 1)
        known.add(one.var)
        loops.append(For(one.var, extent, one.body))
    store = Store(tile, tuple(index(one.var) for one in dims), source)
    return copy_loop_nest(loops, store, lambda n: f"{tile.name}.{n}")


def _shared_copy(tile: Buffer, source: Value, dims: list[For], items: list[For]) -> Stmt:
    """The items of a group share the copy: consecutive items copy consecutive elements of the tile."""
    count, item = 1, ZERO
    for one in sorted(items, key=lambda one: -one.axis):  # axis 0 runs fastest on every device
        item = item * one.extent + one.var
        count *= one.extent.const
    total = 1
    for size in tile.shape:
        total *= size.const
    step = loop(f"{tile.name}.step", ceil_div(total, count))
    element = index(step.var) * count + item
    place: list[Index] = []
    rest = element
    for size in reversed(tile.shape[1:]):
        place.insert(0, rest % size.const)
        rest = rest // size.const
    place.insert(0, rest)
    where = {one.var: p for one, p in zip(dims, place[len(place) - len(dims) :], strict=True)}
    exists = [substitute(one.extent - one.var - 1, where) for one in dims if one.extent != index(one.var.upper + 1)]
    value = substitute_value(source, where)
    if exists:
        condition = guard(*exists)
        value = Rewriter(None, lambda r: Load(r.buffer, r.position, r.guard & condition)).value(value)
    position = tuple(place[len(place) - len(dims) :])
    return loop_nest([step], Store(tile, position, value, less(element, total) if total % count else ALWAYS))
