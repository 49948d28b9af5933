"""Schedule steps on reductions: a register tile for the target, and the explicit form of what is left.

`accumulate` keeps the target in registers while the loops of the reduction run. `lower_reductions` makes `init` and
`finish` of all other reductions statements of their own, and then gives every `VIRTUAL` buffer a real place.

Conditions of a reduction are of two kinds. Those that mention an axis decide what is combined, and stay on the
statement. The others say which cells of the target exist: they only limit what is stored at the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..dtypes import DType
from .expr import Buffer, Const, Load, Rewriter, Space, Value
from .guard import ALWAYS, Guard, guard
from .index import Index, Var, index
from .loops import (
    ScheduleError,
    copy_loop_nest,
    find_path,
    guard_loads,
    leaf_statements,
    make_if,
    perfect_nest,
    rebuild,
    rewrite_loop,
    statement_loads,
    touches,
)
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
    block,
    children,
    leaf_stores,
    loop_nest,
    rewrite_leaf,
    transform,
    walk,
)


def identity(op: str, dtype: DType) -> Const:
    """The value that changes nothing under `op`, one of `add`, `mul`, `max`, `min`."""
    if op == "add":
        return Const(False if dtype.is_bool else 0.0 if dtype.is_float else 0, dtype)
    if op == "mul":
        return Const(True if dtype.is_bool else 1.0 if dtype.is_float else 1, dtype)
    if dtype.is_bool:
        return Const(op == "min", dtype)
    if dtype.is_float:
        return Const(float("-inf") if op == "max" else float("inf"), dtype)
    info = np.iinfo(dtype.numpy)
    return Const(int(info.min if op == "max" else info.max), dtype)


def is_reduction(s: Stmt) -> bool:
    """Whether the statement still starts or finishes its target; without axes it does so in every iteration."""
    return isinstance(s, Accumulate) and (bool(s.axes) or s.init is not None or bool(s.finish))


# ---------------------------------------------------------------- register tiles


def accumulate(kernel: Kernel, at: str, name: str = "acc", partial: tuple[str, ...] = ()) -> Kernel:
    """Keeps the targets of the reductions below loop `at` in registers while that loop runs.

    The tile has one dimension for every loop from `at` inwards that is not a reduction axis, and one for each axis in
    `partial`: those are combined after the loop, so a sum over columns can use vector lanes. Several reductions of
    one nest get tiles called `{name}`, `{name}.1` and so on. The new loops around the tile keep the names of the old
    ones with `.start`, `.resume`, `.save` or `.finish` appended, and their kinds: mark loops first.

    Reduction axes outside `at` make the tile start from the target and go back to it, so the target must be memory:
    see `realize`. Raises `ScheduleError` otherwise.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import at
    >>> from spiraltorch.ir.stmt import format_kernel, loop
    >>> x, y = Buffer("x", at(3, 8), float32), Buffer("y", at(3), float32)
    >>> i, j = loop("i", 3), loop("j", 8)
    >>> value = Load(x, at(i.var, j.var))
    >>> total = Accumulate(y, at(i.var), "add", value, axes=(j.var,), init=Const(0.0, float32))
    >>> print(format_kernel(accumulate(Kernel("sum", (x, y), loop_nest([i, j], total)), "j")))
    kernel sum(x: float32[3, 8], y: float32[3])
      for i in 3:
        alloc acc: float32[] in register
        acc[] = 0.0
        for j in 8:
          acc[] add= x[i, j]
        y[i] = acc[]
    """

    def rewrite(top: For, enclosing: list[For]) -> Stmt:
        nest, body = perfect_nest(top)
        leaves = leaf_statements(body)
        found = [s for s in leaves or () if is_reduction(s) and isinstance(s, Accumulate)]
        if not leaves or not found:
            raise ScheduleError(f"[accumulate] loop {at} expected a perfect nest that ends in a reduction with axes")
        if len({frozenset(s.axes) for s in found}) > 1:
            raise ScheduleError(f"[accumulate] the reductions below {at} have different axes: give each its own nest")
        axes = found[0].axes
        unknown = [n for n in partial if n not in {one.var.name for one in nest if one.var in axes}]
        if unknown:
            raise ScheduleError(f"[accumulate] partial axes {unknown} are no reduction axes below {at}")
        kept = [one for one in nest if one.var not in axes or one.var.name in partial]
        inner = {one.var for one in nest}
        outer = tuple(a for a in axes if a not in inner)
        tiles = [_tile(s, kept, name if n == 0 else f"{name}.{n}") for n, s in enumerate(found)]
        steps = {id(s): _update(s, tile, kept) for s, tile in zip(found, tiles, strict=True)}
        main = loop_nest(nest, block(*(steps.get(id(s), s) for s in leaves)))
        if partial:
            parts = _partial(found, tiles, kept, partial, outer, main)
        else:
            parts = _whole(kernel, found, tiles, kept, outer, enclosing, main)
        for tile in reversed(tiles):
            parts = Alloc(tile, parts)
        return parts

    before = {s.buffer for s in walk(kernel.body) if isinstance(s, Alloc)}
    kernel = rewrite_loop(kernel, at, rewrite, "accumulate")
    return _drop_unused(kernel, before)


def realize(kernel: Kernel, name: str, space: Space = Space.GLOBAL) -> Kernel:
    """Gives the virtual buffer `name` memory of its full shape, so that a reduction may leave and resume it.

    Raises `ScheduleError` where there is no such virtual buffer.
    """
    path = find_path(kernel.body, lambda s: isinstance(s, Alloc) and s.buffer.name == name)
    alloc = path[-1] if path else None
    if path is None or not isinstance(alloc, Alloc) or alloc.buffer.space is not Space.VIRTUAL:
        raise ScheduleError(f"[realize] expected a virtual buffer called {name!r}")
    old = alloc.buffer
    new = Buffer(name, old.shape, old.dtype, space)
    body = replace_buffer(alloc.body, old, new, lambda position: position)
    return kernel.with_body(rebuild(path, Alloc(new, body)))


def _tile(s: Accumulate, kept: list[For], name: str) -> Buffer:
    return Buffer(name, tuple(index(one.var.upper + 1) for one in kept), s.buffer.dtype, Space.REGISTER)


def _place(kept: list[For]) -> tuple[Index, ...]:
    return tuple(index(one.var) for one in kept)


def _of_axes(s: Accumulate) -> tuple[Guard, Guard]:
    """The conditions that decide what is combined, and those that say which cells exist."""
    axes = set(s.axes)
    deciding = tuple(t for t in s.guard.terms if not t.variables.isdisjoint(axes))
    cells = tuple(t for t in s.guard.terms if t.variables.isdisjoint(axes))
    return Guard(deciding, s.guard.never), Guard(cells)


def _update(s: Accumulate, tile: Buffer, kept: list[For]) -> Stmt:
    deciding, cells = _of_axes(s)
    return Accumulate(tile, _place(kept), s.op, guard_loads(s.value, cells), deciding)


def _partial(
    found: list[Accumulate], tiles: list[Buffer], kept: list[For], partial: tuple[str, ...], outer: tuple[Var, ...],
    main: Stmt,
) -> Stmt:  # fmt: skip
    """Every lane starts from the identity; after the loop the lanes are reduced into the target."""
    place = _place(kept)
    starts = [Store(t, place, identity(s.op, t.dtype)) for s, t in zip(found, tiles, strict=True)]
    axes = (*(one.var for one in kept if one.var.name in partial), *outer)
    rest = [
        Accumulate(s.buffer, s.position, s.op, Load(t, place), _of_axes(s)[1], axes, s.init, s.finish)
        for s, t in zip(found, tiles, strict=True)
    ]
    # Axes go innermost, so that one target at a time is reduced and needs one register.
    order = sorted(kept, key=lambda one: one.var.name in partial)
    return block(
        copy_loop_nest(kept, block(*starts), lambda n: f"{n}.start"),
        main,
        copy_loop_nest(order, block(*rest), lambda n: f"{n}.finish"),
    )


def _whole(
    kernel: Kernel, found: list[Accumulate], tiles: list[Buffer], kept: list[For], outer: tuple[Var, ...],
    enclosing: list[For], main: Stmt,
) -> Stmt:  # fmt: skip
    place = _place(kept)
    params = set(kernel.params)
    starts: list[Stmt] = []
    resumes: list[Stmt] = []
    saves: list[Stmt] = []
    ends: list[Stmt] = []
    for s, tile in zip(found, tiles, strict=True):
        target, cells = s.buffer, _of_axes(s)[1]
        used = target in params or any(touches(t, target) for t in walk(kernel.body) if t is not s)
        if (outer or s.init is None) and target.space is Space.VIRTUAL:
            raise ScheduleError(
                f"[accumulate] {target.name} is virtual, but the reduction also runs over "
                f"{[a.name for a in outer]} outside: realize it first, or accumulate at an outer loop"
            )
        resume = Store(tile, place, Load(target, s.position, cells))
        save = Store(target, s.position, Load(tile, place), cells)
        finish = _finish_stores(s, tile, place, cells)
        resumes.append(resume)
        starts.append(resume if s.init is None else Store(tile, place, s.init))
        saves.append(save)
        if used and not any(f.buffer is target and f.position == s.position for f in finish):
            ends.append(save)
        ends += finish
    finishes = any(s.finish for s in found)
    start = copy_loop_nest(kept, block(*starts), lambda n: f"{n}.start")
    end: Stmt = copy_loop_nest(kept, block(*ends), lambda n: f"{n}.finish" if finishes else f"{n}.save")
    if outer:
        first = guard(*(-index(a) for a in outer))
        last = guard(*(index(one.var) - one.extent + 1 for one in enclosing if one.var in outer))
        start = make_if(first, start, copy_loop_nest(kept, block(*resumes), lambda n: f"{n}.resume"))
        if finishes or len(ends) != len(saves):
            end = make_if(last, end, copy_loop_nest(kept, block(*saves), lambda n: f"{n}.save"))
    return block(start, main, end)


def _finish_stores(s: Accumulate, tile: Buffer, place: tuple[Index, ...], cells: Guard) -> list[Store]:
    """The stores of `finish`, which read the tile until one of them overwrites the target."""
    target = s.buffer

    def on_load(load: Load) -> Value:
        if load.buffer is not target:
            return load
        if load.position != s.position:
            raise ScheduleError(f"[accumulate] finish reads {target.name} at another position")
        return Load(tile, place)

    stores: list[Store] = []
    for f in s.finish:
        changed = any(done.buffer is target for done in stores)
        value = f.value if changed else Rewriter(None, on_load).value(f.value)
        stores.append(Store(f.buffer, f.position, value, f.guard & cells))
    return stores


def _drop_unused(kernel: Kernel, candidates: set[Buffer]) -> Kernel:
    """Removes the virtual buffers that nothing touches any more."""
    virtual = {b for b in candidates if b.space is Space.VIRTUAL}
    if not virtual:
        return kernel
    unused = {b for b in virtual if not any(touches(s, b) for s in walk(kernel.body))}
    while unused:
        path = find_path(kernel.body, lambda s: isinstance(s, Alloc) and s.buffer in unused)
        if path is None:
            break
        alloc = path[-1]
        assert isinstance(alloc, Alloc)
        unused.discard(alloc.buffer)
        kernel = kernel.with_body(rebuild(path, alloc.body))
    return kernel


# ---------------------------------------------------------------- what no step handled


def lower_reductions(kernel: Kernel) -> Kernel:
    """Makes `init` and `finish` of the remaining reductions explicit, and gives virtual buffers a real place.

    A virtual buffer whose cells are used one at a time becomes a register; else it becomes scratch memory inside the
    innermost loop around all its uses, or global memory where tasks or groups share it.
    """
    return _place_virtual(explicit_reductions(kernel))


def explicit_reductions(kernel: Kernel) -> Kernel:
    """The kernel with `init` and `finish` of every reduction as stores before and after its outermost axis."""
    while True:
        path = find_path(kernel.body, is_reduction)
        if path is None:
            return kernel
        pending = path[-1]
        assert isinstance(pending, Accumulate)
        depth = next((n for n, s in enumerate(path) if isinstance(s, For) and s.var in pending.axes), len(path) - 1)
        lowered = _lowered(path[depth:], pending)
        kernel = kernel.with_body(rebuild(path[: depth + 1], lowered))


def _lowered(path: list[Stmt], pending: Accumulate) -> Stmt:
    """The tree below the outermost axis with what happens before and after it."""
    loops = [s for s in path if isinstance(s, For)]
    kept = [one for one in loops if one.var not in pending.axes]
    if any(isinstance(s, If) for s in path) or any(not one.extent.variables.isdisjoint(pending.axes) for one in kept):
        raise ScheduleError(f"[lower_reductions] a loop or branch inside the axes of {pending.buffer.name} needs them")
    deciding, cells = _of_axes(pending)
    plain = Accumulate(pending.buffer, pending.position, pending.op, pending.value, pending.guard)
    register = pending.buffer.space is Space.REGISTER
    if register:  # cells beyond the edge are never stored, so only the loads need the mask
        value = guard_loads(pending.value, cells)
        plain = Accumulate(pending.buffer, pending.position, pending.op, value, deciding)
    parts = [rebuild(path, plain)]
    if pending.init is not None:
        first = Store(pending.buffer, pending.position, pending.init, ALWAYS if register else cells)
        parts.insert(0, copy_loop_nest(kept, first, lambda n: f"{n}.start"))
    if pending.finish:
        last = [Store(f.buffer, f.position, f.value, f.guard & cells) for f in pending.finish]
        parts.append(copy_loop_nest(kept, block(*last), lambda n: f"{n}.finish"))
    return block(*parts)


def _place_virtual(kernel: Kernel) -> Kernel:
    while True:
        path = find_path(kernel.body, lambda s: isinstance(s, Alloc) and s.buffer.space is Space.VIRTUAL)
        if path is None:
            return kernel
        alloc = path[-1]
        assert isinstance(alloc, Alloc)
        bound = frozenset(s.var for s in path if isinstance(s, For))
        kernel = kernel.with_body(rebuild(path, _sink(alloc.buffer, alloc.body, bound)))


def _sink(buffer: Buffer, body: Stmt, bound: frozenset[Var]) -> Stmt:
    """Moves the buffer inwards to the innermost statement around all its uses, and drops constant dimensions."""
    s, path = body, [body]
    while not touches(s, buffer):
        users = [c for c in children(s) if any(touches(t, buffer) for t in walk(c))]
        if not users:
            return body
        if len(users) > 1:
            break
        if isinstance(s, For):
            bound |= {s.var}
        s = users[0]
        path.append(s)
    if not isinstance(s, (For, If, Block, Alloc)) and len(path) > 1:
        path.pop()  # a single leaf: its memory must be there before it
        s = path[-1]
        if isinstance(s, For):
            bound -= {s.var}
    positions = _positions(s, buffer)
    first = positions[0]
    fixed = [d for d in range(len(first)) if all(p[d] == first[d] for p in positions) and first[d].variables <= bound]
    dims = [d for d in range(len(first)) if d not in fixed]
    new = Buffer(buffer.name, tuple(buffer.shape[d] for d in dims), buffer.dtype, _space(s, buffer, bool(dims)))
    inside = replace_buffer(s, buffer, new, lambda position: tuple(position[d] for d in dims))
    return rebuild(path, Alloc(new, inside))


def _space(s: Stmt, buffer: Buffer, dims: bool) -> Space:
    """Memory that all users below `s` can share."""
    kinds = {
        t.kind for t in walk(s) if isinstance(t, For) and any(touches(u, buffer) for u in walk(t))
    }  # fmt: skip
    if kinds & {Kind.PARALLEL, Kind.GROUP}:
        return Space.GLOBAL
    if Kind.ITEM in kinds:
        return Space.WORKGROUP
    return Space.SCRATCH if dims else Space.REGISTER


def _positions(s: Stmt, buffer: Buffer) -> list[tuple[Index, ...]]:
    found: list[tuple[Index, ...]] = []
    for t in walk(s):
        if isinstance(t, Accumulate) and t.buffer is buffer:
            found.append(t.position)
        found += [f.position for f in leaf_stores(t) if f.buffer is buffer]
        found += [r.position for r in statement_loads(t) if r.buffer is buffer]
    return found


def replace_buffer(
    stmt: Stmt, old: Buffer, new: Buffer, place: Callable[[tuple[Index, ...]], tuple[Index, ...]]
) -> Stmt:  # fmt: skip
    """All reads and writes of one buffer go to another."""
    rewriter = Rewriter(None, lambda r: Load(new, place(r.position), r.guard) if r.buffer is old else r)

    def visit(s: Stmt) -> Stmt:
        if not touches(s, old):
            return s
        s = rewrite_leaf(s, rewriter)
        if isinstance(s, Store) and s.buffer is old:
            return Store(new, place(s.position), s.value, s.guard)
        if isinstance(s, Accumulate):
            hit = s.buffer is old
            finish = tuple(
                [Store(new, place(f.position), f.value, f.guard) if f.buffer is old else f for f in s.finish]
            )
            return Accumulate(
                new if hit else s.buffer, place(s.position) if hit else s.position, s.op, s.value, s.guard, s.axes,
                s.init, finish,
            )  # fmt: skip
        return s

    return transform(stmt, visit)
