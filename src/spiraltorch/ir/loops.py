"""Schedule steps on loops, and the tree surgery that all steps share.

A step is a function from kernel to kernel that keeps its meaning, or raises `ScheduleError`. A loop is addressed by
its name, which is unique in a kernel. Only the path from the root to the loop is rebuilt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..errors import SpiralTorchError
from .expr import Buffer, Cast, FromGuard, FromIndex, Load, Op, Rewriter, Value, has_lookup, index_loads
from .guard import Guard, guard, less
from .index import FloorDiv, Index, Min, Mod, Var, ceil_div, index, minimum, substitute
from .stmt import (
    Accumulate,
    Alloc,
    Block,
    For,
    If,
    Kernel,
    Kind,
    Stmt,
    Store,
    children,
    leaf_loads,
    leaf_stores,
    leaf_values,
    loop_nest,
    substitute_stmt,
    transform,
    walk,
    with_children,
)


class ScheduleError(SpiralTorchError, ValueError):
    """A schedule step does not fit the kernel, or would change its meaning."""


# ---------------------------------------------------------------- steps


def split(kernel: Kernel, name: str, factor: int, outer: str, inner: str, exact: bool = False) -> Kernel:
    """`for name` becomes `for outer: for inner`, with `factor` iterations of `inner`.

    A ragged end is guarded at the statements (`exact=False`: the inner extent stays constant) or shortens the inner
    loop (`exact=True`, which reduction axes want: a guard on an axis stays on the statement).

    Raises `ScheduleError` where there is not exactly one loop of that name.

    >>> from spiraltorch.ir.stmt import For, Kernel, Block, loop, walk
    >>> k = split(Kernel("k", (), loop("i", 10)), "i", 4, "io", "ii", exact=True)
    >>> [f"{s.var.name} < {s.extent}" for s in walk(k.body) if isinstance(s, For)]
    ['io < 3', 'ii < min(4, io*-4 + 10)']
    """
    if factor < 1:
        raise ScheduleError(f"[split] loop {name} expected a factor of at least 1, got {factor}")

    def rewrite(one: For, _: list[For]) -> Stmt:
        outer_extent = ceil_div(one.extent, factor)
        outer_var = Var(outer, outer_extent.bounds[1] - 1)
        start = index(outer_var) * factor
        inner_extent = minimum(factor, one.extent - start) if exact else index(factor)
        inner_var = Var(inner, inner_extent.bounds[1] - 1)
        position = start + index(inner_var)
        body = substitute_stmt(one.body, {one.var: position}, {one.var: (outer_var, inner_var)})
        if not exact:
            body = guard_leaves(body, less(position, one.extent))
        return For(outer_var, outer_extent, For(inner_var, inner_extent, body, one.kind), one.kind, one.axis)

    return rewrite_loop(kernel, name, rewrite, "split")


def reorder(kernel: Kernel, *names: str) -> Kernel:
    """Loops of one perfect nest come in the order of `names`, in the places that they occupy together now.

    Raises `ScheduleError` where the loops are not one perfect nest, where an extent needs a loop that would move
    inside, or where the order of iterations decides the result.

    >>> from spiraltorch.ir.stmt import Block, Kernel, loop, loop_nest
    >>> k = Kernel("k", (), loop_nest([loop("i", 4), loop("j", 5), loop("k", 6)], Block(())))
    >>> loop_names(reorder(k, "k", "i"))
    ['k', 'j', 'i']
    """
    top_name = next((s.var.name for s in walk(kernel.body) if isinstance(s, For) and s.var.name in names), None)
    if top_name is None:
        raise ScheduleError(f"[reorder] expected loops {names}, got {loop_names(kernel)}")

    def rewrite(top: For, _: list[For]) -> Stmt:
        nest, leaf = perfect_nest(top)
        places = [n for n, one in enumerate(nest) if one.var.name in names]
        if len(places) != len(names):
            got = [one.var.name for one in nest]
            raise ScheduleError(f"[reorder] expected one perfect nest that holds {list(names)}, got {got}")
        by_name = {one.var.name: one for one in nest}
        order = list(nest)
        for place, name in zip(places, names, strict=True):
            order[place] = by_name[name]
        inside, bound = {one.var for one in nest}, set[Var]()
        for one in order:
            if (one.extent.variables & inside) - bound:
                raise ScheduleError(f"[reorder] the extent of {one.var.name} needs a loop that would move inside it")
            bound.add(one.var)
        if [one.var for one in order] != [one.var for one in nest]:
            _require_independent(leaf, [a.var for a, b in zip(nest, order, strict=True) if a is not b])
        return loop_nest(order, leaf)

    return rewrite_loop(kernel, top_name, rewrite, "reorder")


def fuse(kernel: Kernel, outer: str, inner: str, name: str, simple: bool = True) -> Kernel:
    """Two loops, one directly inside the other, become one: `outer` is `name // E`, `inner` is `name % E`.

    With `simple`, raises `ScheduleError` where a quotient or a remainder of the new variable is left in any index:
    then the loops do not run over contiguous memory, and each element would pay for the arithmetic.

    >>> from spiraltorch.ir.stmt import Block, Kernel, loop, loop_nest
    >>> k = fuse(Kernel("k", (), loop_nest([loop("i", 4), loop("j", 5)], Block(()))), "i", "j", "f")
    >>> loop_names(k), loop_extent(k, "f")
    (['f'], 20)
    """

    def rewrite(one: For, _: list[For]) -> Stmt:
        inside = one.body
        if not isinstance(inside, For) or inside.var.name != inner or inside.kind is not one.kind:
            raise ScheduleError(f"[fuse] expected loop {inner} of the same kind directly inside {outer}")
        if not inside.extent.is_const:
            raise ScheduleError(f"[fuse] expected a constant extent of {inner}, got {inside.extent}")
        extent = one.extent * inside.extent
        var = Var(name, extent.bounds[1] - 1)
        position, count = index(var), inside.extent.const
        for s in walk(inside.body):
            if isinstance(s, Accumulate) and (one.var in s.axes) is not (inside.var in s.axes):
                raise ScheduleError(f"[fuse] {outer} and {inner}: one is a reduction axis and the other is not")
        body = substitute_stmt(
            inside.body, {one.var: position // count, inside.var: position % count}, {one.var: (var,), inside.var: ()}
        )
        if simple and any(_divides(i, var) for s in walk(body) for i in leaf_indices(s)):
            raise ScheduleError(f"[fuse] {outer} and {inner} do not collapse: an index keeps a division of {name}")
        return For(var, extent, body, one.kind, one.axis)

    return rewrite_loop(kernel, outer, rewrite, "fuse")


def mark(kernel: Kernel, kind: Kind, *names: str, axis: int = 0) -> Kernel:
    """Sets how loops run. Vector, unrolled and item loops need constant extents; a parallel loop stands outermost.

    `axis` picks x, y or z of group and item loops. Raises `ScheduleError` where an extent or a place does not fit.

    >>> from spiraltorch.ir.stmt import Block, Kernel, Kind, loop, loop_nest
    >>> k = Kernel("k", (), loop_nest([loop("i", 4), loop("j", 8)], Block(())))
    >>> find_loop(mark(k, Kind.VECTOR, "j"), "j").kind
    <Kind.VECTOR: 'vector'>
    """

    def rewrite(one: For, enclosing: list[For]) -> Stmt:
        if kind in (Kind.VECTOR, Kind.ITEM, Kind.UNROLLED) and not one.extent.is_const:
            raise ScheduleError(f"[mark] {one.var.name} expected a constant extent, got {one.extent}")
        if kind is Kind.PARALLEL and enclosing:
            outside = enclosing[-1].var.name
            raise ScheduleError(f"[mark] parallel loop {one.var.name} must stand outermost, it is inside {outside}")
        return one.replace(kind=kind, axis=axis)

    for name in names:
        kernel = rewrite_loop(kernel, name, rewrite, "mark")
    return kernel


# ---------------------------------------------------------------- looking


def loop_names(kernel: Kernel) -> list[str]:
    """The names of all loops, outermost first."""
    return [s.var.name for s in walk(kernel.body) if isinstance(s, For)]


def find_loop(kernel: Kernel, name: str) -> For:
    """The loop of that name; raises `ScheduleError` where there is none."""
    for s in walk(kernel.body):
        if isinstance(s, For) and s.var.name == name:
            return s
    raise ScheduleError(f"[schedule] expected a loop called {name!r}, got {loop_names(kernel)}")


def loop_extent(kernel: Kernel, name: str) -> Index:
    """The extent of the loop of that name."""
    return find_loop(kernel, name).extent


def iterations(kernel: Kernel, *names: str) -> int:
    """How often the loops of these names run together, at most."""
    total = 1
    for name in names:
        total *= loop_extent(kernel, name).bounds[1]
    return total


def perfect_nest(top: For) -> tuple[list[For], Stmt]:
    """The loops that stand directly inside each other, and the first statement that is none."""
    nest: list[For] = []
    s: Stmt = top
    while isinstance(s, For):
        nest.append(s)
        s = s.body
    return nest, s


def find_path(top: Stmt, wanted: Callable[[Stmt], bool]) -> list[Stmt] | None:
    """The statements from `top` down to the first that is wanted, both included."""
    if wanted(top):
        return [top]
    for child in children(top):
        path = find_path(child, wanted)
        if path is not None:
            return [top, *path]
    return None


def leaf_indices(s: Stmt) -> Iterator[Index]:
    """Every index of one statement: positions, guards, extents, those inside loads included."""
    if isinstance(s, For):
        yield s.extent
    elif isinstance(s, If):
        yield from s.condition.terms
    elif isinstance(s, (Store, Accumulate)):
        for one in (s, *leaf_stores(s)):
            yield from one.position
            yield from one.guard.terms
        for value in leaf_values(s):
            yield from _value_indices(value)
    for load in statement_loads(s):
        yield from load.position
        yield from load.guard.terms


def statement_loads(s: Stmt) -> Iterator[Load]:
    """The loads of one statement, those that decide extents and branches included."""
    if isinstance(s, For):
        yield from index_loads(s.extent)
    elif isinstance(s, If):
        for term in s.condition.terms:
            yield from index_loads(term)
    else:
        yield from leaf_loads(s)


def touches(s: Stmt, buffer: Buffer) -> bool:
    """Whether one statement, children excluded, reads or writes the buffer."""
    if isinstance(s, Accumulate) and s.buffer is buffer:
        return True
    return any(t.buffer is buffer for t in leaf_stores(s)) or any(r.buffer is buffer for r in statement_loads(s))


def in_bounds(load: Load, dim: int) -> bool:
    """Whether the bounds of the variables alone keep one dimension of a load inside its buffer."""
    i = load.position[dim]
    return i.bounds[0] >= 0 and (load.buffer.shape[dim] - i).bounds[0] >= 1


# ---------------------------------------------------------------- rebuilding


def rewrite_loop(kernel: Kernel, name: str, rewrite: Callable[[For, list[For]], Stmt], step: str) -> Kernel:
    """Replaces the one loop called `name`; `rewrite` also gets the loops around it, outermost first."""
    paths: list[list[Stmt]] = []
    _collect(kernel.body, name, [], paths)
    if len(paths) != 1:
        raise ScheduleError(f"[{step}] expected one loop called {name!r}, found {len(paths)} in {loop_names(kernel)}")
    path = paths[0]
    one = path[-1]
    assert isinstance(one, For)
    new = rewrite(one, [s for s in path[:-1] if isinstance(s, For)])
    return kernel.with_body(rebuild(path, new))


def rebuild(path: list[Stmt], new: Stmt) -> Stmt:
    """The root of a path after its last statement became `new`."""
    old = path[-1]
    for parent in reversed(path[:-1]):
        new, old = with_children(parent, tuple([new if c is old else c for c in children(parent)])), parent
    return new


def _collect(s: Stmt, name: str, path: list[Stmt], found: list[list[Stmt]]) -> None:
    path.append(s)
    if isinstance(s, For) and s.var.name == name:
        found.append(list(path))
    for child in children(s):
        _collect(child, name, path, found)
    path.pop()


def copy_loop_nest(loops: Iterable[For], body: Stmt, rename: Callable[[str], str]) -> Stmt:
    """The nest around the body with fresh variables, so that every loop of a kernel keeps its own name."""
    loops = list(loops)
    if not loops:
        return body
    fresh = {one.var: Var(rename(one.var.name), one.var.upper, one.var.lower) for one in loops}
    mapping = {old: index(new) for old, new in fresh.items()}
    body = substitute_stmt(body, mapping, {old: (new,) for old, new in fresh.items()})
    renamed = [one.replace(var=fresh[one.var], extent=substitute(one.extent, mapping)) for one in loops]
    return loop_nest(renamed, body)


def rename_loops(stmt: Stmt, suffix: str) -> Stmt:
    """The tree with all its loops renamed."""
    fresh = {s.var: Var(s.var.name + suffix, s.var.upper, s.var.lower) for s in walk(stmt) if isinstance(s, For)}
    renamed = transform(stmt, lambda s: s.replace(var=fresh[s.var]) if isinstance(s, For) else s)
    axes = {old: (new,) for old, new in fresh.items()}
    return substitute_stmt(renamed, {old: index(new) for old, new in fresh.items()}, axes)


def with_guard(s: Stmt, condition: Guard) -> Stmt:
    """The statement under another guard."""
    if isinstance(s, Store):
        return Store(s.buffer, s.position, s.value, condition)
    assert isinstance(s, Accumulate)
    return Accumulate(s.buffer, s.position, s.op, s.value, condition, s.axes, s.init, s.finish)


def guard_leaves(stmt: Stmt, condition: Guard) -> Stmt:
    """Every store and reduction of the tree under one more condition."""
    if condition.always:
        return stmt
    return transform(
        stmt, lambda s: with_guard(s, s.guard & condition) if isinstance(s, (Store, Accumulate)) else s
    )  # fmt: skip


def guard_loads(value: Value, condition: Guard) -> Value:
    """Puts the conditions on the loads that need them to stay inside their buffers; the rest is over-computed."""
    if not condition.terms:
        return value

    def on_load(load: Load) -> Value:
        unproven = [i for d, i in enumerate(load.position) if not in_bounds(load, d)]
        if not unproven:
            return load
        needs = frozenset[Var]().union(*(i.variables for i in unproven))
        terms = [t for t in condition.terms if not t.variables.isdisjoint(needs)]
        return Load(load.buffer, load.position, load.guard & guard(*terms)) if terms else load

    return Rewriter(None, on_load).value(value)


def make_if(condition: Guard, then: Stmt, otherwise: Stmt) -> Stmt:
    """`If`, or the branch that is known."""
    return then if condition.always else otherwise if condition.never else If(condition, then, otherwise)


def leaf_statements(body: Stmt) -> tuple[Stmt, ...] | None:
    """The statements of a loop's body where all are leaves."""
    inside = body.body if isinstance(body, Block) else (body,)
    return None if any(children(s) for s in inside) else inside


# ---------------------------------------------------------------- dependences


def _require_independent(body: Stmt, moved: list[Var]) -> None:
    """Raises where the order of the iterations of `moved` decides what the body leaves in memory."""
    private = {s.buffer for s in walk(body) if isinstance(s, Alloc)}
    cells: dict[Buffer, set[tuple[Index, ...]]] = {}
    statements = [s for s in walk(body) if isinstance(s, (Store, Accumulate))]
    for s in statements:
        for one in (s, *leaf_stores(s)):
            if one.buffer not in private:
                cells.setdefault(one.buffer, set()).add(one.position)
                axes = s.axes if isinstance(s, Accumulate) else ()
                if isinstance(one, Store):
                    _require_own_cell(one, [v for v in moved if v not in axes])
    for read in (r for s in walk(body) for r in statement_loads(s)):
        written = cells.get(read.buffer)
        if written and written != {read.position}:
            raise ScheduleError(
                f"[reorder] {read.buffer.name}{list(read.position)} is read where other iterations write it"
            )


def _require_own_cell(store: Store, moved: list[Var]) -> None:
    if any(has_lookup(i) for i in store.position):
        raise ScheduleError(f"[reorder] the last write to {store.buffer.name}{list(store.position)} must stay last")
    used = frozenset[Var]().union(*(i.variables for i in store.position))
    clash = [v.name for v in moved if v not in used and v in store.value.variables and v.upper > v.lower]
    if clash:
        raise ScheduleError(f"[reorder] iterations of {', '.join(clash)} write the same cell of {store.buffer.name}")


def _divides(i: Index, var: Var) -> bool:
    for monomial in i.terms:
        for atom in monomial:
            if isinstance(atom, (FloorDiv, Mod)):
                if var in atom.left.variables:
                    return True
            elif isinstance(atom, Min) and (_divides(atom.left, var) or _divides(atom.right, var)):
                return True
    return False


def _value_indices(value: Value) -> Iterator[Index]:
    """Indices that a value uses outside loads."""
    if isinstance(value, Op):
        for a in value.args:
            yield from _value_indices(a)
    elif isinstance(value, Cast):
        yield from _value_indices(value.value)
    elif isinstance(value, FromIndex):
        yield value.position
    elif isinstance(value, FromGuard):
        yield from value.guard.terms


__all__ = ["ScheduleError", "find_loop", "fuse", "loop_extent", "loop_names", "mark", "reorder", "split"]
