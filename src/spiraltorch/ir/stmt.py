"""Statements of the kernel IR, their traversal, and a printer.

Contract
- A kernel's body is a sequence of phases. All memory effects of a phase are visible to the next. A `PARALLEL` loop is the
  outermost of its phase, and its iterations may run in any order.
- `Accumulate` is the only statement that knows of reductions. With `axes` it means: in the first iteration of the axes
  the target is set to `init`; in each, `target = target op value`; after the last one, the stores of `finish` run in
  order (their values may load the target). So loops can be reordered freely, and the steps `accumulate` and
  `lower_reductions` make start and end explicit.
- Statements are immutable: passes build new ones and share what does not change. Names of loops are unique in a kernel.

A leaf is a statement that holds no other statements: `Store`, `Accumulate`, `Barrier`. Functions on a "statement alone"
leave its children out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Union

from .expr import Buffer, Load, Rewriter, Scalar, Value, format_value, index_loads, loads
from .guard import ALWAYS, Guard, substitute_guard
from .index import Index, IndexLike, Var, index, substitute


class Kind(Enum):
    """How the iterations of a loop run."""

    SERIAL = "serial"
    UNROLLED = "unrolled"  # expanded in the text; the extent is constant
    VECTOR = "vector"  # lanes of one SIMD value; the extent is constant
    PARALLEL = "parallel"  # iterations spread over CPU threads
    GROUP = "group"  # iterations are GPU workgroups; `axis` of the loop picks x, y or z
    ITEM = "item"  # iterations are the items (threads) of a workgroup; `axis` as for groups, the extent is constant


class For:
    """`for var in range(extent): body`. `axis` is that of a group or item loop, 0 elsewhere."""

    __slots__ = ("axis", "body", "extent", "kind", "var")

    def __init__(self, var: Var, extent: Index, body: Stmt, kind: Kind = Kind.SERIAL, axis: int = 0) -> None:
        self.var = var
        self.extent = extent
        self.body = body
        self.kind = kind
        self.axis = axis

    def replace(
        self, *, var: Var | None = None, extent: Index | None = None, body: Stmt | None = None,
        kind: Kind | None = None, axis: int | None = None,
    ) -> For:  # fmt: skip
        """The loop with some of its parts replaced."""
        return For(
            var or self.var, self.extent if extent is None else extent, body or self.body, kind or self.kind,
            self.axis if axis is None else axis,
        )  # fmt: skip


class Block:
    """Statements, one after the other. Build it with `block`."""

    __slots__ = ("body",)

    def __init__(self, body: tuple[Stmt, ...]) -> None:
        self.body = body


class If:
    """`then` where the guard holds, else `otherwise` if there is one."""

    __slots__ = ("condition", "otherwise", "then")

    def __init__(self, condition: Guard, then: Stmt, otherwise: Stmt | None = None) -> None:
        self.condition = condition
        self.then = then
        self.otherwise = otherwise


class Alloc:
    """A buffer that exists while `body` runs; its elements start undefined."""

    __slots__ = ("body", "buffer")

    def __init__(self, buffer: Buffer, body: Stmt) -> None:
        self.buffer = buffer
        self.body = body


class Store:
    """`buffer[position] = value` where the guard holds."""

    __slots__ = ("buffer", "guard", "position", "value")

    def __init__(self, buffer: Buffer, position: tuple[Index, ...], value: Value, guard: Guard = ALWAYS) -> None:
        self.buffer = buffer
        self.position = position
        self.value = value
        self.guard = guard


class Accumulate:
    """`buffer[position] = buffer[position] op value` where the guard holds; `op` is a key of `IDENTITY`.

    For `axes`, `init` and `finish` see the module's text.
    """

    __slots__ = ("axes", "buffer", "finish", "guard", "init", "op", "position", "value")

    def __init__(
        self, buffer: Buffer, position: tuple[Index, ...], op: str, value: Value, guard: Guard = ALWAYS,
        axes: tuple[Var, ...] = (), init: Value | None = None, finish: tuple[Store, ...] = (),
    ) -> None:  # fmt: skip
        self.buffer = buffer
        self.position = position
        self.op = op
        self.value = value
        self.guard = guard
        self.axes = axes
        self.init = init
        self.finish = finish


class Barrier:
    """All items of a group arrive here before any continues; what they wrote to workgroup memory is visible then."""

    __slots__ = ()


Stmt = Union[For, Block, If, Alloc, Store, Accumulate, Barrier]
IDENTITY: dict[str, float] = {"add": 0.0, "max": float("-inf"), "min": float("inf"), "mul": 1.0}


class Kernel:
    """A program over its parameters: buffers, scalars that are passed at launch, and symbolic sizes."""

    __slots__ = ("body", "name", "params", "scalars", "sizes")

    def __init__(
        self, name: str, params: tuple[Buffer, ...], body: Stmt, scalars: tuple[Scalar, ...] = (),
        sizes: tuple[Var, ...] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.params = params
        self.body = body
        self.scalars = scalars
        self.sizes = sizes

    def with_body(self, body: Stmt) -> Kernel:
        """The kernel with another body."""
        return Kernel(self.name, self.params, body, self.scalars, self.sizes)


def block(*statements: Stmt) -> Stmt:
    """The statements as one: nested blocks are flattened, and a single statement is returned as it is."""
    flat: list[Stmt] = []
    for s in statements:
        if isinstance(s, Block):
            flat += s.body
        else:
            flat.append(s)
    return flat[0] if len(flat) == 1 else Block(tuple(flat))


def loop(name: str, extent: IndexLike, kind: Kind = Kind.SERIAL) -> For:
    """A loop over [0, extent) with a new variable and an empty body, for `loop_nest`."""
    extent = index(extent)
    return For(Var(name, extent.bounds[1] - 1), extent, Block(()), kind)


def loop_nest(loops: list[For], body: Stmt) -> Stmt:
    """The loops around the body, the first outermost."""
    for one in reversed(loops):
        body = one.replace(body=body)
    return body


def children(stmt: Stmt) -> tuple[Stmt, ...]:
    """The statements directly inside a statement."""
    if isinstance(stmt, (For, Alloc)):
        return (stmt.body,)
    if isinstance(stmt, Block):
        return stmt.body
    if isinstance(stmt, If):
        return (stmt.then,) if stmt.otherwise is None else (stmt.then, stmt.otherwise)
    return ()


def with_children(stmt: Stmt, new: tuple[Stmt, ...]) -> Stmt:
    """The statement with other children; the same object where the children are the same."""
    if all(a is b for a, b in zip(children(stmt), new, strict=True)):
        return stmt
    if isinstance(stmt, For):
        return stmt.replace(body=new[0])
    if isinstance(stmt, Alloc):
        return Alloc(stmt.buffer, new[0])
    if isinstance(stmt, Block):
        return block(*new)
    if isinstance(stmt, If):
        return If(stmt.condition, *new)
    return stmt


def transform(stmt: Stmt, visit: Callable[[Stmt], Stmt]) -> Stmt:
    """The tree rebuilt from the leaves up: `visit` gets each statement, with children that it has returned already."""
    inside = children(stmt)
    return visit(with_children(stmt, tuple([transform(c, visit) for c in inside])) if inside else stmt)


def walk(stmt: Stmt) -> Iterator[Stmt]:
    """Every statement of the tree, parents before children."""
    yield stmt
    for child in children(stmt):
        yield from walk(child)


def rewrite_leaf(leaf: Stmt, rewriter: Rewriter) -> Stmt:
    """The statement with its own indices and values rebuilt; its children and buffers stay."""
    if isinstance(leaf, For):
        extent = rewriter.index(leaf.extent)
        return leaf if extent is leaf.extent else leaf.replace(extent=extent)
    if isinstance(leaf, If):
        condition = rewriter.on_guard(leaf.condition)
        return leaf if condition is leaf.condition else If(condition, leaf.then, leaf.otherwise)
    if isinstance(leaf, Store):
        return Store(
            leaf.buffer, rewriter.position(leaf.position), rewriter.value(leaf.value), rewriter.on_guard(leaf.guard)
        )
    if isinstance(leaf, Accumulate):
        return Accumulate(
            leaf.buffer, rewriter.position(leaf.position), leaf.op, rewriter.value(leaf.value),
            rewriter.on_guard(leaf.guard), leaf.axes, None if leaf.init is None else rewriter.value(leaf.init),
            tuple([rewrite_leaf(s, rewriter) for s in leaf.finish]),  # type: ignore[misc]
        )  # fmt: skip
    return leaf


def substitute_stmt(
    stmt: Stmt, mapping: Mapping[Var, Index], axes: Mapping[Var, tuple[Var, ...]] | None = None
) -> Stmt:
    """The tree with variables replaced in all indices, and each reduction axis by the variables that `axes` gives for it."""
    rewriter = Rewriter(lambda i: substitute(i, mapping), None, lambda g: substitute_guard(g, mapping))

    def visit(s: Stmt) -> Stmt:
        s = rewrite_leaf(s, rewriter)
        if axes and isinstance(s, Accumulate) and any(a in axes for a in s.axes):
            s.axes = tuple([v for a in s.axes for v in axes.get(a, (a,))])  # `rewrite_leaf` built this `s`
        return s

    return transform(stmt, visit)


def leaf_stores(leaf: Stmt) -> tuple[Store, ...]:
    """The stores of a statement alone, those of `finish` included."""
    if isinstance(leaf, Store):
        return (leaf,)
    return leaf.finish if isinstance(leaf, Accumulate) else ()


def leaf_values(leaf: Stmt) -> tuple[Value, ...]:
    """The values that a statement alone computes."""
    if isinstance(leaf, Store):
        return (leaf.value,)
    if isinstance(leaf, Accumulate):
        init = () if leaf.init is None else (leaf.init,)
        return (leaf.value, *init, *(s.value for s in leaf.finish))
    return ()


def leaf_loads(leaf: Stmt) -> Iterator[Load]:
    """The loads of a store or reduction, those inside positions and guards included."""
    seen: set[int] = set()
    for value in leaf_values(leaf):
        yield from loads(value, seen)
    if isinstance(leaf, (Store, Accumulate)):
        for store in (leaf, *leaf_stores(leaf)):
            for i in (*store.position, *store.guard.terms):
                yield from index_loads(i, seen)


def written_buffers(stmt: Stmt) -> set[Buffer]:
    """The buffers that a tree of statements writes."""
    buffers: set[Buffer] = set()
    for s in walk(stmt):
        if isinstance(s, Accumulate):
            buffers.add(s.buffer)
        buffers.update(t.buffer for t in leaf_stores(s))
    return buffers


# ---------------------------------------------------------------- printer


def format_kernel(kernel: Kernel) -> str:
    """The kernel as indented text, for messages, `st.explain` and tests."""
    params = ", ".join([f"{b.name}: {b.dtype.name}{list(b.shape)}" for b in kernel.params])
    scalars = "".join(f", {s.name}: {s.dtype.name}" for s in kernel.scalars)
    return f"kernel {kernel.name}({params}{scalars})\n" + "\n".join(_lines(kernel.body, 1))


def _lines(stmt: Stmt, depth: int) -> Iterator[str]:
    """The lines of a statement."""
    pad = "  " * depth
    if isinstance(stmt, For):
        suffix = "" if stmt.kind is Kind.SERIAL else f" ({stmt.kind.value})"
        yield f"{pad}for {stmt.var.name} in {stmt.extent}{suffix}:"
        yield from _lines(stmt.body, depth + 1)
    elif isinstance(stmt, Block):
        for s in stmt.body:
            yield from _lines(s, depth)
    elif isinstance(stmt, If):
        yield f"{pad}if {stmt.condition}:"
        yield from _lines(stmt.then, depth + 1)
        if stmt.otherwise is not None:
            yield f"{pad}else:"
            yield from _lines(stmt.otherwise, depth + 1)
    elif isinstance(stmt, Alloc):
        b = stmt.buffer
        yield f"{pad}alloc {b.name}: {b.dtype.name}{list(b.shape)} in {b.space.value}"
        yield from _lines(stmt.body, depth)
    elif isinstance(stmt, Store):
        yield f"{pad}{stmt.buffer.name}{list(stmt.position)} = {format_value(stmt.value)}{_format_guard(stmt.guard)}"
    elif isinstance(stmt, Accumulate):
        over = f"  over {', '.join(a.name for a in stmt.axes)}" if stmt.axes else ""
        target = f"{stmt.buffer.name}{list(stmt.position)}"
        yield f"{pad}{target} {stmt.op}= {format_value(stmt.value)}{over}{_format_guard(stmt.guard)}"
        for s in stmt.finish:
            yield from (f"{pad}  finish{line}" for line in _lines(s, 1))
    else:
        yield f"{pad}barrier"


def _format_guard(g: Guard) -> str:
    """A guard as the end of a line."""
    return "" if g.always else f"  when {g}"
