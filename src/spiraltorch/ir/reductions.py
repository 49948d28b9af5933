"""Schedule steps on reductions, and their lowering to plain loops and stores.

`accumulate` keeps the targets of reductions in a register tile while the loops of the reduction run. `lower_reductions`
makes the starts and ends of all other reductions explicit, and then gives every `VIRTUAL` buffer registers or memory.

The terms of a reduction's guard are of two kinds. Those that depend on an axis decide which values are combined, and stay
on the statement. The others say which elements of the target exist: they only restrict what is stored at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..dtypes import DType
from .expr import Buffer, Const, Load, Rewriter, Space, Value
from .guard import ALWAYS, Guard, guard
from .index import Index, Var, index
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
    walk,
)
from .tree import (
    ScheduleError,
    copy_loop_nest,
    find_path,
    guard_loads,
    leaf_statements,
    make_if,
    perfect_nest,
    rebuild,
    replace_buffer,
    rewrite_loop,
    statement_loads,
    touches,
)


def identity(op: str, dtype: DType) -> Const:
    """The identity element of `op`, one of `add`, `mul`, `max`, `min`, for values of a dtype."""
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
    """Whether a statement is a reduction with axes, a start or an end, which `lower_reductions` would make explicit."""
    return isinstance(s, Accumulate) and (bool(s.axes) or s.init is not None or bool(s.finish))


# ---------------------------------------------------------------- register tiles


def accumulate(kernel: Kernel, at: str, name: str = "acc", partial: tuple[str, ...] = ()) -> Kernel:
    """Keeps the targets of the reductions below loop `at` in registers while that loop runs.

    The tile has one dimension for every loop from `at` inwards that is not a reduction axis, and one for each axis in
    `partial`: partial results along those are combined after the loop, so a sum over columns can use vector lanes. The
    tiles of several reductions in one nest are called `{name}`, `{name}.1` and so on. The loops that start, load, store
    or finish a tile have the names of the old ones with `.start`, `.resume`, `.save` or `.finish` appended, and their
    kinds, so loops are marked before.

    Where reduction axes are outside `at`, each of their iterations has a sum of its own in the tile, which is combined with
    the target at its end, so the target must be memory: see `realize`.

    Raises `ScheduleError` where `at` is not a perfect nest that ends in reductions over the same axes, where `partial`
    names no axis below `at`, or where a target that must be memory is virtual.

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
        nest, leaves, reductions = _reductions_below(top, partial)
        axes = reductions[0].axes
        tile_loops = [one for one in nest if one.var not in axes or one.var.name in partial]
        inner = {one.var for one in nest}
        outer = tuple(a for a in axes if a not in inner)
        tiles = [_tile(s, tile_loops, name if n == 0 else f"{name}.{n}") for n, s in enumerate(reductions)]
        updates = {id(s): _update(s, tile, tile_loops) for s, tile in zip(reductions, tiles, strict=True)}
        main = loop_nest(nest, block(*(updates.get(id(s), s) for s in leaves)))
        if partial:
            body = _with_partial_tiles(reductions, tiles, tile_loops, partial, outer, main)
        else:
            body = _with_tiles(kernel, reductions, tiles, tile_loops, outer, enclosing, main)
        for tile in reversed(tiles):
            body = Alloc(tile, body)
        return body

    before = {s.buffer for s in walk(kernel.body) if isinstance(s, Alloc)}
    kernel = rewrite_loop(kernel, at, rewrite, "accumulate")
    return _drop_unused(kernel, before)


def realize(kernel: Kernel, name: str, space: Space = Space.GLOBAL) -> Kernel:
    """Gives the virtual buffer `name` memory of its full shape, so that a reduction may store and load partial results.

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


def _reductions_below(
    top: For, partial: tuple[str, ...]
) -> tuple[list[For], tuple[Stmt, ...], list[Accumulate]]:  # fmt: skip
    """For `accumulate`: the loops of the nest from `top` on, the statements inside it, and the reductions among those."""
    at = top.var.name
    nest, body = perfect_nest(top)
    leaves = leaf_statements(body) or ()
    reductions = [s for s in leaves if is_reduction(s) and isinstance(s, Accumulate)]
    if not reductions:
        raise ScheduleError(f"[accumulate] loop {at} expected a perfect nest that ends in a reduction with axes")
    axes = reductions[0].axes
    if any(set(s.axes) != set(axes) for s in reductions):
        raise ScheduleError(f"[accumulate] the reductions below {at} have different axes: give each its own nest")
    unknown = [n for n in partial if n not in {one.var.name for one in nest if one.var in axes}]
    if unknown:
        raise ScheduleError(f"[accumulate] partial axes {unknown} are no reduction axes below {at}")
    return nest, leaves, reductions


def _tile(s: Accumulate, tile_loops: list[For], name: str) -> Buffer:
    """The register tile of a reduction's target, over the loops `tile_loops`."""
    return Buffer(name, tuple(index(one.var.upper + 1) for one in tile_loops), s.buffer.dtype, Space.REGISTER)


def _tile_position(tile_loops: list[For]) -> tuple[Index, ...]:
    """The element of a tile in the current iteration."""
    return tuple(index(one.var) for one in tile_loops)


def _split_guard(s: Accumulate) -> tuple[Guard, Guard]:
    """The conditions on a reduction's values, and those on the elements of its target: see the module's text."""
    axes = set(s.axes)
    values = tuple(t for t in s.guard.terms if not t.variables.isdisjoint(axes))
    elements = tuple(t for t in s.guard.terms if t.variables.isdisjoint(axes))
    return Guard(values, s.guard.never), Guard(elements)


def _update(s: Accumulate, tile: Buffer, tile_loops: list[For]) -> Stmt:
    """The reduction's step on the tile. Elements that do not exist are combined too, of zeros, and never stored."""
    on_values, on_elements = _split_guard(s)
    return Accumulate(tile, _tile_position(tile_loops), s.op, guard_loads(s.value, on_elements), on_values)


def _with_partial_tiles(
    reductions: list[Accumulate], tiles: list[Buffer], tile_loops: list[For], partial: tuple[str, ...], outer: tuple[Var, ...],
    main: Stmt,
) -> Stmt:  # fmt: skip
    """The nest `main` with partial results in the tiles: they start from the identity, and are reduced into the targets
    after the nest."""
    place = _tile_position(tile_loops)
    starts = [Store(t, place, identity(s.op, t.dtype)) for s, t in zip(reductions, tiles, strict=True)]
    axes = (*(one.var for one in tile_loops if one.var.name in partial), *outer)
    rest = [
        Accumulate(s.buffer, s.position, s.op, Load(t, place), _split_guard(s)[1], axes, s.init, s.finish)
        for s, t in zip(reductions, tiles, strict=True)
    ]
    # Axes are innermost, so that one target at a time is reduced, in one register.
    order = sorted(tile_loops, key=lambda one: one.var.name in partial)
    return block(
        copy_loop_nest(tile_loops, block(*starts), lambda n: f"{n}.start"),
        main,
        copy_loop_nest(order, block(*rest), lambda n: f"{n}.finish"),
    )


class _TileStores(NamedTuple):
    """The statements that start a register tile, start it from the identity, combine it with the target, store it, and end
    its reduction; each a list over reductions."""

    start: list[Stmt]
    restart: list[Stmt]
    combine: list[Stmt]
    save: list[Stmt]
    end: list[Stmt]


def _with_tiles(
    kernel: Kernel, reductions: list[Accumulate], tiles: list[Buffer], tile_loops: list[For], outer: tuple[Var, ...],
    enclosing: list[For], main: Stmt,
) -> Stmt:  # fmt: skip
    """The nest `main` with whole results in the tiles. With axes `outer` around it, the tiles are combined with the target
    in all iterations of those but the first, finished in the last one, and stored in the others."""
    stores = _tile_stores(kernel, reductions, tiles, _tile_position(tile_loops), outer)
    finishes = any(s.finish for s in reductions)
    start = copy_loop_nest(tile_loops, block(*stores.start), lambda n: f"{n}.start")
    end: Stmt = copy_loop_nest(tile_loops, block(*stores.end), lambda n: f"{n}.finish" if finishes else f"{n}.save")
    if outer:
        first = guard(*(-index(a) for a in outer))
        last = guard(*(index(one.var) - one.extent + 1 for one in enclosing if one.var in outer))
        if any(s.init is not None and not _is_identity(s.init, s.op) for s in reductions):
            start = make_if(first, start, copy_loop_nest(tile_loops, block(*stores.restart), lambda n: f"{n}.restart"))
        combine = copy_loop_nest(tile_loops, block(*stores.combine), lambda n: f"{n}.combine")
        main = block(main, make_if(first, _first_combination(reductions, stores, tile_loops), combine))
        if finishes or len(stores.end) != len(stores.save):
            end = make_if(last, end, copy_loop_nest(tile_loops, block(*stores.save), lambda n: f"{n}.save"))
    return block(start, main, end)


def _is_identity(value: Value, op: str) -> bool:
    """Whether a value is the constant that changes nothing under `op`."""
    return isinstance(value, Const) and value.value == identity(op, value.dtype).value


def _first_combination(reductions: list[Accumulate], stores: _TileStores, tile_loops: list[For]) -> Stmt:
    """What combines tiles with the target in the first iteration: those that start from what the target holds."""
    own = [combine for s, combine in zip(reductions, stores.combine, strict=True) if s.init is None]
    return copy_loop_nest(tile_loops, block(*own), lambda n: f"{n}.resume") if own else block()


def _tile_stores(
    kernel: Kernel, reductions: list[Accumulate], tiles: list[Buffer], place: tuple[Index, ...], outer: tuple[Var, ...]
) -> _TileStores:  # fmt: skip
    """The stores for `_with_tiles`. A target that nothing else uses is not stored: only what `finish` makes of it is."""
    params = set(kernel.params)
    stores = _TileStores([], [], [], [], [])
    for s, tile in zip(reductions, tiles, strict=True):
        target, on_elements = s.buffer, _split_guard(s)[1]
        used = target in params or any(touches(t, target) for t in walk(kernel.body) if t is not s)
        if (outer or s.init is None) and target.space is Space.VIRTUAL:
            raise ScheduleError(
                f"[accumulate] {target.name} is virtual, but the reduction also runs over "
                f"{[a.name for a in outer]} outside: realize it first, or accumulate at an outer loop"
            )
        existing = Load(target, s.position, on_elements)
        restart = Store(tile, place, identity(s.op, tile.dtype))
        save = Store(target, s.position, Load(tile, place), on_elements)
        finish = _finish_stores(s, tile, place, on_elements)
        stores.restart.append(restart)
        stores.combine.append(Accumulate(tile, place, s.op, existing))
        if s.init is not None:
            stores.start.append(Store(tile, place, s.init))
        else:
            stores.start.append(restart if outer else Store(tile, place, existing))
        stores.save.append(save)
        if used and not any(f.buffer is target and f.position == s.position for f in finish):
            stores.end.append(save)
        stores.end.extend(finish)
    return stores


def _finish_stores(s: Accumulate, tile: Buffer, place: tuple[Index, ...], on_elements: Guard) -> list[Store]:
    """The stores of `finish`, which read the tile instead of the target until one of them overwrites the target."""
    target = s.buffer

    def on_load(load: Load) -> Value:
        if load.buffer is not target:
            return load
        if load.position != s.position:
            raise ScheduleError(f"[accumulate] finish reads {target.name} at another position")
        return Load(tile, place)

    stores: list[Store] = []
    for f in s.finish:
        overwritten = any(store.buffer is target for store in stores)
        value = f.value if overwritten else Rewriter(None, on_load).value(f.value)
        stores.append(Store(f.buffer, f.position, value, f.guard & on_elements))
    return stores


def _drop_unused(kernel: Kernel, candidates: set[Buffer]) -> Kernel:
    """Removes those of the candidates that are virtual and that nothing accesses any more."""
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


# ---------------------------------------------------------------- lowering


def lower_reductions(kernel: Kernel) -> Kernel:
    """Makes `init` and `finish` of the remaining reductions explicit, and gives virtual buffers registers or memory.

    A virtual buffer of which one element at a time is used becomes a register; others become scratch memory inside the
    innermost loop around all their uses, workgroup memory where items share them, or global memory where tasks or groups
    do.
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
        lowered = _with_start_and_end(path[depth:], pending)
        kernel = kernel.with_body(rebuild(path[: depth + 1], lowered))


def _with_start_and_end(path: list[Stmt], pending: Accumulate) -> Stmt:
    """The tree from the outermost axis of a reduction on, between the nests that start and finish its target."""
    loops = [s for s in path if isinstance(s, For)]
    element_loops = [one for one in loops if one.var not in pending.axes]
    if any(isinstance(s, If) for s in path) or any(
        not one.extent.variables.isdisjoint(pending.axes) for one in element_loops
    ):
        raise ScheduleError(f"[lower_reductions] a loop or branch inside the axes of {pending.buffer.name} needs them")
    on_values, on_elements = _split_guard(pending)
    plain = Accumulate(pending.buffer, pending.position, pending.op, pending.value, pending.guard)
    register = pending.buffer.space is Space.REGISTER
    if register:  # elements beyond the edge are never stored, so only the loads need the condition
        value = guard_loads(pending.value, on_elements)
        plain = Accumulate(pending.buffer, pending.position, pending.op, value, on_values)
    parts = [rebuild(path, plain)]
    if pending.init is not None:
        first = Store(pending.buffer, pending.position, pending.init, ALWAYS if register else on_elements)
        parts.insert(0, copy_loop_nest(element_loops, first, lambda n: f"{n}.start"))
    if pending.finish:
        last = [Store(f.buffer, f.position, f.value, f.guard & on_elements) for f in pending.finish]
        parts.append(copy_loop_nest(element_loops, block(*last), lambda n: f"{n}.finish"))
    return block(*parts)


def _place_virtual(kernel: Kernel) -> Kernel:
    """The kernel with registers or memory in place of its virtual buffers."""
    while True:
        path = find_path(kernel.body, lambda s: isinstance(s, Alloc) and s.buffer.space is Space.VIRTUAL)
        if path is None:
            return kernel
        alloc = path[-1]
        assert isinstance(alloc, Alloc)
        bound = frozenset(s.var for s in path if isinstance(s, For))
        kernel = kernel.with_body(rebuild(path, _sink(alloc.buffer, alloc.body, bound)))


def _sink(buffer: Buffer, body: Stmt, bound: frozenset[Var]) -> Stmt:
    """The body with the allocation of a buffer moved to the innermost statement around all its uses, without the
    dimensions that have one index there. `bound` are the variables of the loops around the body."""
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
        path.pop()  # a single leaf: the allocation is around the statement that holds it
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
    """The memory that all statements below `s` that access the buffer can share; `dims`: whether it is an array."""
    kinds = {
        t.kind for t in walk(s) if isinstance(t, For) and any(touches(u, buffer) for u in walk(t))
    }  # fmt: skip
    if kinds & {Kind.PARALLEL, Kind.GROUP}:
        return Space.GLOBAL
    if Kind.ITEM in kinds:
        return Space.WORKGROUP
    return Space.SCRATCH if dims else Space.REGISTER


def _positions(s: Stmt, buffer: Buffer) -> list[tuple[Index, ...]]:
    """The positions of all accesses to a buffer in a tree."""
    positions: list[tuple[Index, ...]] = []
    for t in walk(s):
        if isinstance(t, Accumulate) and t.buffer is buffer:
            positions.append(t.position)
        positions += [f.position for f in leaf_stores(t) if f.buffer is buffer]
        positions += [r.position for r in statement_loads(t) if r.buffer is buffer]
    return positions
