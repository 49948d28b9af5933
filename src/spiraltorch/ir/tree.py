"""Search in trees of statements and their reconstruction, for schedule steps and passes.

A path is a list of statements from the root down, each a child of the one before. Rebuilding shares everything that is not
on the path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..errors import SpiralTorchError
from .expr import Buffer, Cast, FromGuard, FromIndex, Load, Op, Rewriter, Value, index_loads
from .guard import Guard, guard
from .index import Index, Var, index, substitute
from .stmt import (
    Accumulate,
    Block,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    children,
    leaf_loads,
    leaf_stores,
    leaf_values,
    loop_nest,
    rewrite_leaf,
    substitute_stmt,
    transform,
    walk,
    with_children,
)


class ScheduleError(SpiralTorchError, ValueError):
    """A schedule step does not apply to the kernel, or would change its results."""


def loop_names(kernel: Kernel) -> list[str]:
    """The names of all loops, in the order of the text."""
    return [s.var.name for s in walk(kernel.body) if isinstance(s, For)]


def find_loop(kernel: Kernel, name: str) -> For:
    """The first loop of that name.

    Raises:
        ScheduleError: there is none.
    """
    for s in walk(kernel.body):
        if isinstance(s, For) and s.var.name == name:
            return s
    raise ScheduleError(f"[schedule] expected a loop called {name!r}, got {loop_names(kernel)}")


def loop_extent(kernel: Kernel, name: str) -> Index:
    """The extent of the loop of that name."""
    return find_loop(kernel, name).extent


def iterations(kernel: Kernel, *names: str) -> int:
    """The product of the extents of these loops, at most."""
    total = 1
    for name in names:
        total *= loop_extent(kernel, name).bounds[1]
    return total


def perfect_nest(top: For) -> tuple[list[For], Stmt]:
    """The loops from `top` on that are directly inside each other, and the first statement that is not a loop."""
    nest: list[For] = []
    s: Stmt = top
    while isinstance(s, For):
        nest.append(s)
        s = s.body
    return nest, s


def find_path(top: Stmt, matches: Callable[[Stmt], bool]) -> list[Stmt] | None:
    """The statements from `top` down to the first that matches, both included; None where none does."""
    if matches(top):
        return [top]
    for child in children(top):
        path = find_path(child, matches)
        if path is not None:
            return [top, *path]
    return None


def leaf_indices(s: Stmt) -> Iterator[Index]:
    """Every index of a statement alone: positions, guards and extents, those of loads included."""
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
    """The loads of a statement alone, those of its extent or condition included."""
    if isinstance(s, For):
        yield from index_loads(s.extent)
    elif isinstance(s, If):
        for term in s.condition.terms:
            yield from index_loads(term)
    else:
        yield from leaf_loads(s)


def touches(s: Stmt, buffer: Buffer) -> bool:
    """Whether a statement alone reads or writes the buffer."""
    if isinstance(s, Accumulate) and s.buffer is buffer:
        return True
    return any(t.buffer is buffer for t in leaf_stores(s)) or any(r.buffer is buffer for r in statement_loads(s))


def in_bounds(load: Load, dim: int) -> bool:
    """Whether the bounds of the variables prove that a load is inside its buffer along one dimension."""
    i = load.position[dim]
    return i.bounds[0] >= 0 and (load.buffer.shape[dim] - i).bounds[0] >= 1


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


# ---------------------------------------------------------------- rebuilding


def rewrite_loop(kernel: Kernel, name: str, rewrite: Callable[[For, list[For]], Stmt], step: str) -> Kernel:
    """Replaces a loop by what `rewrite` makes of it and of the loops around it, the outermost first.

    Raises:
        ScheduleError: there is not exactly one loop of that name; the message begins with `[step]`.
    """
    paths: list[list[Stmt]] = []
    _collect_paths(kernel.body, name, [], paths)
    if len(paths) != 1:
        raise ScheduleError(f"[{step}] expected one loop called {name!r}, found {len(paths)} in {loop_names(kernel)}")
    path = paths[0]
    one = path[-1]
    assert isinstance(one, For)
    new = rewrite(one, [s for s in path[:-1] if isinstance(s, For)])
    return kernel.with_body(rebuild(path, new))


def rebuild(path: list[Stmt], new: Stmt) -> Stmt:
    """The root of a path with the path's last statement replaced by `new`; everything beside the path is shared."""
    old = path[-1]
    for parent in reversed(path[:-1]):
        new, old = with_children(parent, tuple([new if c is old else c for c in children(parent)])), parent
    return new


def _collect_paths(s: Stmt, name: str, path: list[Stmt], paths: list[list[Stmt]]) -> None:
    """Appends the path to every loop of that name below `s`; `path` is the one to `s`."""
    path.append(s)
    if isinstance(s, For) and s.var.name == name:
        paths.append(list(path))
    for child in children(s):
        _collect_paths(child, name, path, paths)
    path.pop()


def copy_loop_nest(loops: Iterable[For], body: Stmt, rename: Callable[[str], str]) -> Stmt:
    """As `loop_nest`, with new variables and names, for a second nest of the same loops in one kernel."""
    loops = list(loops)
    if not loops:
        return body
    fresh = {one.var: Var(rename(one.var.name), one.var.upper, one.var.lower) for one in loops}
    mapping = {old: index(new) for old, new in fresh.items()}
    body = substitute_stmt(body, mapping, {old: (new,) for old, new in fresh.items()})
    renamed = [one.replace(var=fresh[one.var], extent=substitute(one.extent, mapping)) for one in loops]
    return loop_nest(renamed, body)


def rename_loops(stmt: Stmt, suffix: str) -> Stmt:
    """A copy of the tree whose loops have new variables, with the suffix appended to their names."""
    fresh = {s.var: Var(s.var.name + suffix, s.var.upper, s.var.lower) for s in walk(stmt) if isinstance(s, For)}
    renamed = transform(stmt, lambda s: s.replace(var=fresh[s.var]) if isinstance(s, For) else s)
    axes = {old: (new,) for old, new in fresh.items()}
    return substitute_stmt(renamed, {old: index(new) for old, new in fresh.items()}, axes)


def with_guard(s: Stmt, condition: Guard) -> Stmt:
    """The store or reduction with another guard."""
    if isinstance(s, Store):
        return Store(s.buffer, s.position, s.value, condition)
    assert isinstance(s, Accumulate)
    return Accumulate(s.buffer, s.position, s.op, s.value, condition, s.axes, s.init, s.finish)


def guard_leaves(stmt: Stmt, condition: Guard) -> Stmt:
    """The tree with one more condition on each of its stores and reductions."""
    if condition.always:
        return stmt
    return transform(
        stmt, lambda s: with_guard(s, s.guard & condition) if isinstance(s, (Store, Accumulate)) else s
    )  # fmt: skip


def guard_loads(value: Value, condition: Guard) -> Value:
    """The value with the conditions moved to those loads that need them to stay inside their buffers.

    Where a condition fails, the rest of the value is computed all the same, of zeros.
    """
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
    """`If`, or the branch that is taken where the condition is decided."""
    return then if condition.always else otherwise if condition.never else If(condition, then, otherwise)


def leaf_statements(body: Stmt) -> tuple[Stmt, ...] | None:
    """The statements of a loop's body where all are leaves, else None."""
    inside = body.body if isinstance(body, Block) else (body,)
    return None if any(children(s) for s in inside) else inside


def replace_buffer(
    stmt: Stmt, old: Buffer, new: Buffer, place: Callable[[tuple[Index, ...]], tuple[Index, ...]]
) -> Stmt:  # fmt: skip
    """The tree with accesses of buffer `old` redirected to `new`, at positions mapped by `place`."""
    rewriter = Rewriter(None, lambda r: Load(new, place(r.position), r.guard) if r.buffer is old else r)

    def visit(s: Stmt) -> Stmt:
        if not touches(s, old):
            return s
        s = rewrite_leaf(s, rewriter)
        if isinstance(s, Store) and s.buffer is old:
            return Store(new, place(s.position), s.value, s.guard)
        if isinstance(s, Accumulate):
            target = s.buffer is old
            finish = tuple(
                [Store(new, place(f.position), f.value, f.guard) if f.buffer is old else f for f in s.finish]
            )
            return Accumulate(
                new if target else s.buffer, place(s.position) if target else s.position, s.op, s.value, s.guard, s.axes,
                s.init, finish,
            )  # fmt: skip
        return s

    return transform(stmt, visit)
