"""Passes that prepare a scheduled kernel for a renderer, and the specialization of loops.

`finish` is the list of passes. Barriers are inserted here, from the accesses to workgroup memory; no rule schedules them.
"""

from __future__ import annotations

from .expr import Buffer, Load, Rewriter, Space, has_lookup
from .guard import Guard, guard
from .index import ONE, ZERO, Index, Min, Var, index
from .reductions import is_reduction, lower_reductions
from .stmt import (
    Accumulate,
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Kernel,
    Kind,
    Stmt,
    Store,
    block,
    children,
    rewrite_leaf,
    substitute_stmt,
    transform,
    walk,
    with_children,
)
from .summation import block_sums
from .tree import rename_loops, rewrite_loop, statement_loads, with_guard

BLOCK_TERMS = 64  # terms of a sum that are added one after the other: see `block_sums`


def finish(kernel: Kernel, terms: int = BLOCK_TERMS) -> Kernel:
    """The kernel as renderers expect it, by `lower_reductions`, `block_sums` with blocks of `terms`, `insert_barriers`,
    `drop_single_iterations` and `hoist_guards` in this order."""
    kernel = block_sums(lower_reductions(kernel), terms)
    return hoist_guards(drop_single_iterations(insert_barriers(kernel)))


def insert_barriers(kernel: Kernel) -> Kernel:
    """Puts a barrier between accesses to the same workgroup buffer of which one is a write.

    Walks the statements in order and records the accesses since the last barrier. A loop whose last accesses conflict
    with its first ones gets one more barrier at the end of its body.
    """
    if not any(isinstance(s, Alloc) and s.buffer.space is Space.WORKGROUP for s in walk(kernel.body)):
        return kernel
    return kernel.with_body(_Barriers().visit(kernel.body))


class _Barriers:
    """The walk of `insert_barriers`, with the workgroup buffers accessed since the last barrier."""

    def __init__(self) -> None:
        self.wrote: frozenset[Buffer] = frozenset()
        self.read: frozenset[Buffer] = frozenset()

    def conflicts(self, wrote: frozenset[Buffer], read: frozenset[Buffer]) -> bool:
        """Whether accesses conflict with those since the last barrier."""
        return bool(read & self.wrote or wrote & self.read)

    def clear(self) -> None:
        """Forgets the accesses: there is a barrier."""
        self.wrote = self.read = frozenset()

    def visit(self, s: Stmt) -> Stmt:
        """The statement with the barriers that it needs, before it and inside."""
        # Only the control flow that all items share may hold a barrier, so the walk enters these alone.
        if isinstance(s, For) and s.kind is Kind.ITEM and self.conflicts(*_shared(s)):
            self.clear()  # before the loop: its items may be fewer than the group's
            return block(Barrier(), self.visit(s))
        passes = isinstance(s, (Block, Alloc)) or (isinstance(s, For) and s.kind not in (Kind.SERIAL, Kind.UNROLLED))
        if passes and children(s):
            return with_children(s, tuple([self.visit(c) for c in children(s)]))
        wrote, read = _shared(s)
        barrier = self.conflicts(wrote, read)
        if barrier:
            self.clear()
        if isinstance(s, For):
            body = self.visit(s.body)
            if self.conflicts(wrote, read):
                body = block(body, Barrier())
                self.clear()
            s = s.replace(body=body)
        elif isinstance(s, If):
            s = self.branches(s)
        self.wrote, self.read = self.wrote | wrote, self.read | read
        return block(Barrier(), s) if barrier else s

    def branches(self, s: If) -> If:
        """A branch whose arms both follow the accesses before it."""
        before = self.wrote, self.read
        parts: list[Stmt] = []
        for branch in children(s):
            self.wrote, self.read = before
            parts.append(self.visit(branch))
        return If(s.condition, *parts)


def _shared(s: Stmt) -> tuple[frozenset[Buffer], frozenset[Buffer]]:
    """The workgroup buffers that a tree writes, and those that it reads."""
    wrote: set[Buffer] = set()
    read: set[Buffer] = set()
    for t in walk(s):
        if isinstance(t, (Store, Accumulate)) and t.buffer.space is Space.WORKGROUP:
            wrote.add(t.buffer)
        read |= {r.buffer for r in statement_loads(t) if r.buffer.space is Space.WORKGROUP}
    return frozenset(wrote), frozenset(read)


def hoist_guards(kernel: Kernel) -> Kernel:
    """Moves conditions out of the serial, unrolled and vector loops that they do not depend on."""

    def visit(s: Stmt) -> Stmt:
        if not isinstance(s, For) or s.kind in (Kind.PARALLEL, Kind.GROUP, Kind.ITEM):
            return s
        inside = s.body
        if isinstance(inside, (Store, Accumulate)) and not is_reduction(inside):
            fixed, varying = _partition(inside.guard, s.var)
            return If(fixed, s.replace(body=with_guard(inside, varying))) if fixed.terms else s
        if isinstance(inside, If) and inside.otherwise is None:
            fixed, varying = _partition(inside.condition, s.var)
            if fixed.terms:
                return If(fixed, s.replace(body=inside.then if varying.always else If(varying, inside.then)))
        return s

    return kernel.with_body(transform(kernel.body, visit))


def _partition(condition: Guard, var: Var) -> tuple[Guard, Guard]:
    """The terms that do not depend on the variable or on memory, and the others."""
    fixed = tuple([t for t in condition.terms if var not in t.variables and not has_lookup(t)])
    return Guard(fixed), Guard(tuple([t for t in condition.terms if t not in fixed]), condition.never)


def drop_single_iterations(kernel: Kernel) -> Kernel:
    """Removes loops of one iteration and branches whose condition is decided. Later steps cannot name those loops."""

    def visit(s: Stmt) -> Stmt:
        if isinstance(s, For) and s.extent == ONE and s.kind in (Kind.SERIAL, Kind.UNROLLED, Kind.VECTOR):
            return substitute_stmt(s.body, {s.var: ZERO})
        if isinstance(s, If) and s.condition.always:
            return s.then
        if isinstance(s, If) and s.condition.never:
            return s.otherwise or Block(())
        return s

    return kernel.with_body(transform(kernel.body, visit))


def specialize(kernel: Kernel, at: str) -> Kernel:
    """Two versions of the body of loop `at`, chosen in each iteration.

    The interior version has no guards that hold throughout the iteration, and constant extents; the general version is
    the old body, whose loops get the suffix `.edge`. The kernel stays as it is where no guard or extent can be removed.
    """

    def rewrite(top: For, _: list[For]) -> Stmt:
        loops = [s for s in walk(top.body) if isinstance(s, For)]
        inner = {s.var for s in loops}
        least_values: dict[Index, Index] = {}
        for term in _guard_terms(top.body):
            least = _least(term, inner)
            if least is not None and term not in least_values:
                least_values[term] = least
        full: dict[Var, Index] = {}  # extents that are constant in the interior
        required = list(least_values.values())
        for one in loops:
            constant = _constant_part(one.extent)
            least = None if constant is None else _least(constant[1] - constant[0], inner)
            if constant is not None and least is not None:
                full[one.var] = constant[0]
                required.append(least)
        if not required:
            return top

        def without(g: Guard) -> Guard:
            return Guard(tuple([t for t in g.terms if t not in least_values]), g.never) if g.terms else g

        rewriter = Rewriter(None, lambda r: Load(r.buffer, r.position, without(r.guard)) if r.guard.terms else r)

        def strip(s: Stmt) -> Stmt:
            if isinstance(s, For):
                return s.replace(extent=full[s.var]) if s.var in full else s
            s = rewrite_leaf(s, rewriter)
            return with_guard(s, without(s.guard)) if isinstance(s, (Store, Accumulate)) else s

        edge = rename_loops(top.body, ".edge")
        return top.replace(body=If(guard(*required), transform(top.body, strip), edge))

    return rewrite_loop(kernel, at, rewrite, "specialize")


def _guard_terms(stmt: Stmt) -> list[Index]:
    """The terms of all guards in a tree."""
    terms: list[Index] = []
    for s in walk(stmt):
        if isinstance(s, (Store, Accumulate)):
            terms += s.guard.terms
        for r in statement_loads(s):
            terms += r.guard.terms
    return terms


def _least(term: Index, inner: set[Var]) -> Index | None:
    """A lower bound of the term that does not depend on `inner`; None where it is always negative, or unknown."""
    if has_lookup(term):
        return None
    least = index(term.const)
    for monomial, coefficient in term.terms.items():
        part = Index({monomial: coefficient}, 0)
        least = least + (part if part.variables.isdisjoint(inner) else part.bounds[0])
    return least if least.bounds[1] >= 0 else None


def _constant_part(extent: Index) -> tuple[Index, Index] | None:
    """For an extent `min(constant, other)`: the constant and the other, else None."""
    if len(extent.terms) == 1 and not extent.const:
        ((monomial, coefficient),) = extent.terms.items()
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Min):
            left, right = monomial[0].left, monomial[0].right
            if left.is_const:
                return left, right
            if right.is_const:
                return right, left
    return None


def item_iterations(kernel: Kernel) -> int:
    """An upper bound on the iterations of serial loops that one item (or task) executes in a kernel's longest phase."""

    def count(s: Stmt) -> int:
        inside = sum(count(c) for c in children(s))
        if isinstance(s, If):
            inside = max(count(c) for c in children(s))
        return (s.var.upper + 1) * (1 + inside) if isinstance(s, For) and s.kind is Kind.SERIAL else inside

    phases = kernel.body.body if isinstance(kernel.body, Block) else (kernel.body,)
    return max(count(p) for p in phases)
