"""Sums in blocks: the pass that bounds how many terms are added one after the other.

The error of a sum of n terms that are added in order grows like n; that of blocks of blocks grows like the logarithm of n
(Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14(4), 1993). `block_sums` makes blocks of the
loops in which a register tile or a scratch array is added to: each block starts a partial sum of its own, which is added to
the whole at its end. It works on any kernel, whatever the schedule was, after `lower_reductions`.

A chain of a buffer is a serial loop of whose variable the buffer's positions do not depend, and in which all that happens to
the buffer is that values are added. Its length is the number of additions to an element. Products, whose error does not
depend on their order, extremes and integers are left as they are, and so is a chain of less than two blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from .expr import Buffer, Load, Space
from .guard import ALWAYS, Guard
from .index import Var, ceil_div, index, minimum
from .reductions import identity
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
    leaf_loads,
    substitute_stmt,
    walk,
    with_children,
)
from .tree import copy_loop_nest, replace_buffer, touches

PARTS = 16  # partial sums that are added to a larger one: they are few, so their additions cost next to nothing


class _Site(NamedTuple):
    """Where a chain adds to its buffer: the loops inside the chain on which the position depends, and the statement."""

    loops: tuple[For, ...]
    update: Accumulate

    @property
    def elements(self) -> int:
        """The number of elements that it adds to."""
        total = 1
        for one in self.loops:
            total *= one.var.upper + 1
        return total


def block_sums(kernel: Kernel, terms: int) -> Kernel:
    """The kernel with long sums in blocks.

    Args:
        kernel: a scheduled kernel without reductions that have axes.
        terms: the number of terms of a block. Blocks of blocks have at most `PARTS` of them.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Const, at
    >>> from spiraltorch.ir.stmt import format_kernel, loop, loop_nest
    >>> x, y, acc = Buffer("x", at(96), float32), Buffer("y", (), float32), Buffer("acc", (), float32, Space.REGISTER)
    >>> i = loop("i", 96)
    >>> add = loop_nest([i], Accumulate(acc, (), "add", Load(x, at(i.var))))
    >>> body = block(Store(acc, (), Const(0.0, float32)), add, Store(y, (), Load(acc, ())))
    >>> print(format_kernel(block_sums(Kernel("sum", (x, y), Alloc(acc, body)), 32)))
    kernel sum(x: float32[96], y: float32[])
      alloc acc: float32[] in register
      acc[] = 0.0
      for i.0 in 3:
        alloc acc.1: float32[] in register
        acc.1[] = 0.0
        for i in 32:
          acc.1[] add= x[i.0*32 + i]
        acc[] add= acc.1[]
      y[] = acc[]
    """
    buffers = _with_long_chains(kernel.body, 2 * terms)
    body = kernel.body
    for buffer in buffers:
        body = _Blocks(buffer, terms).visit(body)[0]
    return kernel if body is kernel.body else kernel.with_body(body)


def _with_long_chains(body: Stmt, least: int) -> list[Buffer]:
    """The buffers to which the loops around a statement may add `least` terms, in the order of their allocation."""
    allocated: list[Buffer] = []
    found: set[Buffer] = set()

    def visit(s: Stmt, loops: tuple[For, ...]) -> None:
        if isinstance(s, Accumulate) and s.op == "add" and s.buffer in allocated:
            moving = {v for i in s.position for v in i.variables}
            length = 1
            for one in loops:
                length *= 1 if one.var in moving else one.var.upper + 1
            if length >= least:
                found.add(s.buffer)
        elif isinstance(s, Alloc) and s.buffer.space in (Space.REGISTER, Space.SCRATCH) and s.buffer.dtype.is_float:
            allocated.append(s.buffer)
        inside = (*loops, s) if isinstance(s, For) and s.kind in (Kind.SERIAL, Kind.UNROLLED) else loops
        for child in children(s):
            visit(child, inside)

    visit(body, ())
    return [b for b in allocated if b in found]


class _Blocks:
    """Makes blocks of the chains of one buffer."""

    def __init__(self, buffer: Buffer, terms: int) -> None:
        self.buffer, self.terms, self.numbers = buffer, terms, count()

    def visit(self, s: Stmt) -> tuple[Stmt, bool]:
        """The statement with its chains in blocks, and whether there are any."""
        if not any(touches(t, self.buffer) for t in walk(s)):
            return s, False
        if isinstance(s, For) and self.is_chain(s) and self.length(s) >= 2 * self.terms:
            return self.blocked(s), True
        visited = [self.visit(c) for c in children(s)]
        return with_children(s, tuple([c for c, _ in visited])), any(changed for _, changed in visited)

    def is_chain(self, one: For) -> bool:
        """Whether a loop is a chain; see the module's text."""
        if one.kind is not Kind.SERIAL:
            return False
        for s in walk(one.body):
            if not touches(s, self.buffer):
                continue
            if not isinstance(s, Accumulate) or s.buffer is not self.buffer or s.op != "add" or s.axes or s.finish:
                return False
            if any(one.var in i.variables for i in s.position) or any(r.buffer is self.buffer for r in leaf_loads(s)):
                return False
        return True

    def length(self, s: Stmt) -> int:
        """The additions to one element in a statement, at most. Lanes that share an element are added in a tree."""
        if isinstance(s, Accumulate):
            return int(s.buffer is self.buffer)
        if isinstance(s, If):
            return max([self.length(c) for c in children(s)], default=0)
        inside = sum(self.length(c) for c in children(s))
        if not isinstance(s, For) or not inside or s.kind is Kind.VECTOR:
            return inside
        moves = any(s.var in i.variables for _, update in _sites(s.body, self.buffer) for i in update.position)
        return inside if moves else inside * (s.var.upper + 1)

    def blocked(self, one: For) -> Stmt:
        """A long chain in blocks, and those in blocks again."""
        body, has_blocks = self.visit(one.body)
        one, most = one.replace(body=body), PARTS if has_blocks else self.terms
        while self.length(one) > most:
            site = max(_sites(one.body, self.buffer), key=lambda s: s.elements)
            each = _block_extent(one.var.upper + 1, max(1, most // self.length(one.body)))
            outer, inner = self.split(one, each)
            part = inner if each > 1 else inner.body  # a single iteration of the outer loop is a block already
            one = outer.replace(body=self.with_partial_sum(part, site))
            most = PARTS
        return one

    def split(self, one: For, each: int) -> tuple[For, For]:
        """The loop over blocks, without a body, and the loop inside a block."""
        if each == 1:
            return one, one
        name = f"{one.var.name}.{next(self.numbers)}"
        extent = ceil_div(one.extent, each)
        outer = For(Var(name, extent.bounds[1] - 1), extent, Block(()))
        start = index(outer.var) * each
        inside = minimum(each, one.extent - start)
        var = Var(one.var.name, inside.bounds[1] - 1)
        return outer, For(var, inside, substitute_stmt(one.body, {one.var: start + index(var)}))

    def with_partial_sum(self, part: Stmt, site: _Site) -> Stmt:
        """`part` with a partial sum in place of the buffer, between its start and its addition to the buffer."""
        old, number = self.buffer, next(self.numbers)
        moving = frozenset(one.var for one in site.loops)
        dims = [d for d, i in enumerate(site.update.position) if i.variables & moving]
        new = Buffer(f"{old.name}.{number}", tuple([old.shape[d] for d in dims]), old.dtype, old.space)
        place = tuple([site.update.position[d] for d in dims])
        inside = replace_buffer(part, old, new, lambda position: tuple([position[d] for d in dims]))
        exists = self.elements_guard(part, site.update)
        start = Store(new, place, identity("add", old.dtype), exists)
        add = Accumulate(old, site.update.position, "add", Load(new, place, exists), exists)
        return Alloc(
            new,
            block(
                copy_loop_nest(site.loops, start, lambda n: f"{n}.{number}.start"),
                inside,
                copy_loop_nest(site.loops, add, lambda n: f"{n}.{number}.add"),
            ),
        )

    def elements_guard(self, part: Stmt, update: Accumulate) -> Guard:
        """The condition that an element exists. Registers have all elements of a tile."""
        if self.buffer.space is Space.REGISTER:
            return ALWAYS
        chains = {s.var for s in walk(part) if isinstance(s, For)} - {v for i in update.position for v in i.variables}
        return Guard(tuple([t for t in update.guard.terms if t.variables.isdisjoint(chains)]))


def _sites(s: Stmt, buffer: Buffer, loops: tuple[For, ...] = ()) -> Iterator[_Site]:
    """The statements below `s` that add to the buffer."""
    if isinstance(s, Accumulate):
        if s.buffer is buffer:
            moving = {v for i in s.position for v in i.variables}
            yield _Site(tuple([one for one in loops if one.var in moving]), s)
        return
    inside = (*loops, s) if isinstance(s, For) else loops
    for child in children(s):
        yield from _sites(child, buffer, inside)


def _block_extent(extent: int, most: int) -> int:
    """Iterations of a block: a divisor of the extent that is at most `most` and more than half of it, else `most`."""
    return next((d for d in range(min(most, extent), most // 2, -1) if extent % d == 0), most)
