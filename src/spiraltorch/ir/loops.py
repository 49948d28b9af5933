"""Schedule steps on loops: split, reorder, fuse, mark.

A step is a function from kernel to kernel that computes the same, or raises `ScheduleError`. A loop is addressed by its
name, which is unique in a kernel.
"""

from __future__ import annotations

from .expr import Buffer, has_lookup
from .guard import less
from .index import FloorDiv, Index, Min, Mod, Var, ceil_div, index, minimum
from .stmt import (
    Accumulate,
    Alloc,
    For,
    Kernel,
    Kind,
    Stmt,
    Store,
    leaf_stores,
    loop_nest,
    substitute_stmt,
    walk,
)
from .tree import ScheduleError, guard_leaves, leaf_indices, loop_names, perfect_nest, rewrite_loop, statement_loads


def split(kernel: Kernel, name: str, factor: int, outer: str, inner: str, exact: bool = False) -> Kernel:
    """`for name` becomes `for outer: for inner`, with `factor` iterations of `inner`.

    Where `factor` does not divide the extent, the last iterations are guarded at the statements (`exact=False`: the inner
    extent is constant), or the inner loop is shortened there (`exact=True`, for reduction axes, whose guards would stay
    on the reduction).

    Raises `ScheduleError` where there is not exactly one loop of that name, or the factor is less than 1.

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
    """Permutes loops of one perfect nest: they take, in the order of `names`, the positions that they occupy together.

    Raises `ScheduleError` where the loops are not in one perfect nest, where an extent depends on a loop that would move
    inside, or where the result depends on the order of iterations.

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

    Raises `ScheduleError` where the loops are not directly inside each other, have different kinds, or only one is a
    reduction axis. With `simple`, also where a quotient or a remainder of the new variable is left in any index: then
    the loops do not run over contiguous memory, and every element would pay for the arithmetic.

    >>> from spiraltorch.ir.stmt import Block, Kernel, loop, loop_nest
    >>> from spiraltorch.ir.tree import loop_extent
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

    `axis` picks x, y or z of group and item loops. Raises `ScheduleError` where an extent or a loop outside does not fit.

    >>> from spiraltorch.ir.stmt import Block, Kernel, Kind, loop, loop_nest
    >>> from spiraltorch.ir.tree import find_loop
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


# ---------------------------------------------------------------- dependences


def _require_independent(body: Stmt, moved: list[Var]) -> None:
    """Raises `ScheduleError` where the memory after the loops may depend on the order of the iterations of `moved`."""
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
        positions = cells.get(read.buffer)
        if positions and positions != {read.position}:
            raise ScheduleError(
                f"[reorder] {read.buffer.name}{list(read.position)} is read where other iterations write it"
            )


def _require_own_cell(store: Store, moved: list[Var]) -> None:
    """Raises `ScheduleError` where several iterations of `moved` may write different values to one element."""
    if any(has_lookup(i) for i in store.position):
        raise ScheduleError(f"[reorder] the last write to {store.buffer.name}{list(store.position)} must stay last")
    used = frozenset[Var]().union(*(i.variables for i in store.position))
    clash = [v.name for v in moved if v not in used and v in store.value.variables and v.upper > v.lower]
    if clash:
        raise ScheduleError(f"[reorder] iterations of {', '.join(clash)} write the same cell of {store.buffer.name}")


def _divides(i: Index, var: Var) -> bool:
    """Whether a quotient or a remainder of the variable is part of the index."""
    for monomial in i.terms:
        for atom in monomial:
            if isinstance(atom, (FloorDiv, Mod)):
                if var in atom.left.variables:
                    return True
            elif isinstance(atom, Min) and (_divides(atom.left, var) or _divides(atom.right, var)):
                return True
    return False
