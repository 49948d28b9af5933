"""Executes kernels, scheduled or not, with NumPy: the reference semantics of the IR.

- Where the guard of a statement is false, nothing of the statement is evaluated. An access outside a buffer raises.
- Scratch, workgroup, register and virtual memory starts as NaN or as a pattern, so that reads of uninitialized memory show.
- `PARALLEL` and `GROUP` loops run in an order that the caller chooses.
- The items of a group run one after the other from barrier to barrier, in an order that the caller chooses. Accesses to
  workgroup memory are logged; two items that access one element between two barriers, one of them writing, raise
  `RaceError`.

Nests of serial loops around one statement run as NumPy arrays over all iterations at once, where that gives the same
result.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, Union

import numpy as np

from ..errors import IndexOutOfRange, ShapeError, SpiralTorchError
from .expr import Buffer, Cast, Const, FromGuard, FromIndex, Load, Lookup, Op, Scalar, Space, Value
from .guard import Guard
from .index import Atom, FloorDiv, Index, Min, Mod, Var
from .numerics import Array, constant, convert, evaluate, uninitialized
from .reductions import explicit_reductions
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
    leaf_loads,
    walk,
)
from .tree import perfect_nest

GRID = 1 << 18  # the most iterations that run as one array
SEVERAL = -2  # in logs of workgroup memory: more than one item; -1: none
Ints = Union[int, Array]  # the value of an index: an int, or integers for many iterations
Bools = Union[bool, Array]
T = TypeVar("T")


class RaceError(SpiralTorchError, RuntimeError):
    """Items of a group access one element without a barrier between them, or do not all reach a barrier."""


def run(
    kernel: Kernel, arrays: Mapping[str, Array], scalars: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None, *, order: str = "forward", items: str = "forward", seed: int = 0,
) -> None:  # fmt: skip
    """Runs a kernel in place on NumPy arrays.

    Args:
        kernel: the kernel.
        arrays: an array for each buffer parameter, by name.
        scalars: a number for each scalar parameter, by name.
        sizes: a number for each symbolic size, by name.
        order: the order of parallel iterations and of groups: `forward`, `reverse` or `shuffle`.
        items: the order of the items in a group, likewise.
        seed: the seed of `shuffle`.

    Raises:
        ShapeError: an array does not have the shape and dtype of its parameter.
        IndexOutOfRange: an access is outside its buffer.
        RaceError: a barrier is missing or divergent.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Buffer, Load, at, op
    >>> from spiraltorch.ir.stmt import Kernel, Store, loop, loop_nest
    >>> x, y, i = Buffer("x", at(3), float32), Buffer("y", at(3), float32), loop("i", 3)
    >>> double = Store(y, at(i.var), op("add", Load(x, at(i.var)), Load(x, at(i.var))))
    >>> out = np.zeros(3, np.float32)
    >>> run(Kernel("double", (x, y), loop_nest([i], double)), {"x": np.ones(3, np.float32), "y": out})
    >>> out.tolist()
    [2.0, 2.0, 2.0]
    """
    machine = _Machine(_Orders(order, items, random.Random(seed)))
    for variable in kernel.sizes:
        machine.env[variable] = int((sizes or {})[variable.name])
    for scalar in kernel.scalars:
        machine.scalars[scalar.name] = constant((scalars or {})[scalar.name], scalar.dtype)
    for buffer in kernel.params:
        array = np.asarray(arrays[buffer.name])
        shape = tuple(int(machine.index(e)) for e in buffer.shape)
        if array.shape != shape or array.dtype != buffer.dtype.numpy:
            raise ShapeError(
                f"[run] {buffer.name} expected (shape={shape}, dtype={buffer.dtype.name}), got "
                f"(shape={array.shape}, dtype={array.dtype}); pass an array that fits the kernel's parameter"
            )
        machine.memory[buffer] = array
    with np.errstate(all="ignore"):
        machine.run(explicit_reductions(kernel).body)


class _Orders:
    """The orders in which parallel iterations, groups and items run."""

    def __init__(self, loops: str, items: str, shuffler: random.Random) -> None:
        self.loops = loops
        self.items = items
        self.shuffler = shuffler

    def arrange(self, iterations: list[T], order: str) -> list[T]:
        """The iterations in an order."""
        if order == "reverse":
            return iterations[::-1]
        if order == "shuffle":
            self.shuffler.shuffle(iterations)
        return iterations


class _Group:
    """Workgroup memory of one group, with the items that wrote and read each element since the last barrier."""

    def __init__(self) -> None:
        self.memory: dict[Buffer, Array] = {}
        self.writer: dict[Buffer, Array] = {}
        self.reader: dict[Buffer, Array] = {}

    def allocate(self, buffer: Buffer, shape: tuple[int, ...]) -> Array:
        """The memory of a buffer, which all items share."""
        if buffer not in self.memory:
            self.memory[buffer] = uninitialized(shape, buffer.dtype)
            self.writer[buffer] = np.full(shape, -1)
            self.reader[buffer] = np.full(shape, -1)
        return self.memory[buffer]

    def barrier(self) -> None:
        """Clears the logs."""
        for log in (*self.writer.values(), *self.reader.values()):
            log[...] = -1

    def on_read(self, buffer: Buffer, place: tuple[Array, ...], item: int) -> None:
        """Logs the elements that an item reads; raises `RaceError` where another item wrote one."""
        wrote = self.writer[buffer][place]
        if np.any((wrote != -1) & (wrote != item)):
            raise RaceError(f"[run] {buffer.name}: item {item} reads what another item wrote; a barrier is missing")
        log = self.reader[buffer]
        log[place] = np.where((log[place] == -1) | (log[place] == item), item, SEVERAL)

    def on_write(self, buffer: Buffer, place: tuple[Array, ...], item: int) -> None:
        """Logs the elements that an item writes; raises `RaceError` where another item accessed one."""
        wrote, read = self.writer[buffer][place], self.reader[buffer][place]
        if np.any((wrote != -1) & (wrote != item)) or np.any((read != -1) & (read != item)):
            raise RaceError(f"[run] {buffer.name}: item {item} writes what another item uses; a barrier is missing")
        self.writer[buffer][place] = item


class _Machine:
    """One thread of execution: the values of its variables, its memory, and the iterations in which it is active.

    While a nest runs as arrays, variables are arrays that broadcast to its iterations, and `active` says which of those
    exist.
    """

    def __init__(self, orders: _Orders) -> None:
        self.orders = orders
        self.env: dict[Var, Ints] = {}
        self.memory: dict[Buffer, Array] = {}
        self.scalars: dict[str, Array] = {}
        self.active: Bools = True
        self.group: _Group | None = None
        self.item = 0
        self.plans: dict[int, tuple[Stmt, list[tuple[For, int]] | None, Stmt, int]] = {}
        self.barriers: dict[int, tuple[Stmt, bool]] = {}

    def fork(self, item: int) -> _Machine:
        """The machine of an item, which sees the same memory."""
        other = _Machine(self.orders)
        other.env, other.memory, other.scalars = dict(self.env), dict(self.memory), self.scalars
        other.active, other.group, other.item = self.active, self.group, item
        other.plans, other.barriers = self.plans, self.barriers
        return other

    # ------------------------------------------------ indices

    def index(self, i: Index) -> Ints:
        """The value of an index."""
        total: Ints = i.const
        for monomial, coefficient in i.terms.items():
            product: Ints = coefficient
            for atom in monomial:
                product = product * self.atom(atom)
            total = total + product
        return total

    def atom(self, atom: Atom) -> Ints:
        """The value of an atom."""
        if isinstance(atom, Var):
            return self.env[atom]
        if isinstance(atom, FloorDiv):
            return self.index(atom.left) // atom.right
        if isinstance(atom, Mod):
            return self.index(atom.left) % atom.right
        if isinstance(atom, Min):
            return np.minimum(self.index(atom.left), self.index(atom.right))
        assert isinstance(atom, Lookup)
        return self.lookup(atom)

    def lookup(self, atom: Lookup) -> Ints:
        """The value of a lookup; raises `IndexOutOfRange` where it is outside its bounds."""
        values: Array = np.where(self.active, self.value(atom.value).astype(np.int64), atom.lower)
        if np.any((values < atom.lower) | (values > atom.upper)):
            raise IndexOutOfRange(
                f"[run] a lookup expected values in [{atom.lower}, {atom.upper}], got {values.min()}..{values.max()}"
            )
        return values if values.ndim else int(values)

    def holds(self, g: Guard) -> Bools:
        """The iterations in which a guard holds."""
        if g.never:
            return False
        result: Bools = True
        for term in g.terms:
            result = result & (self.index(term) >= 0)
        return result

    # ------------------------------------------------ values

    def value(self, v: Value) -> Array:
        """The value of an expression."""
        if isinstance(v, Load):
            return self.read(v)
        if isinstance(v, Op):
            return evaluate(v.name, [self.value(a) for a in v.args], v.dtype)
        if isinstance(v, Const):
            return constant(v.value, v.dtype)
        if isinstance(v, Cast):
            return convert(self.value(v.value), v.dtype, v.bits)
        if isinstance(v, FromIndex):
            return np.asarray(self.index(v.position)).astype(v.dtype.numpy)
        if isinstance(v, Scalar):
            return self.scalars[v.name]
        assert isinstance(v, FromGuard)
        return np.asarray(self.holds(v.guard), np.bool_)

    def read(self, v: Load) -> Array:
        """The elements that a load reads, and zero where its guard is false."""
        outer = self.active
        mask = self.active = outer & self.holds(v.guard)
        place = [self.index(i) for i in v.position]
        self.active = outer
        array = self.memory[v.buffer]
        if not np.any(mask):
            return np.zeros((), array.dtype)
        full = np.all(mask)
        safe = tuple(place if full else [np.where(mask, p, 0) for p in place])
        _check("load", v.buffer, v.position, safe, array.shape)
        if v.buffer.space is Space.WORKGROUP and self.group is not None:
            shape = np.broadcast_shapes(np.shape(mask), *(np.shape(p) for p in safe))
            chosen = np.broadcast_to(mask, shape)
            self.group.on_read(v.buffer, tuple(np.broadcast_to(p, shape)[chosen] for p in safe), self.item)
        elements = np.asarray(array[safe])
        return elements if full else np.where(mask, elements, np.zeros((), array.dtype))

    def write(self, s: Store | Accumulate) -> None:
        """Executes a store or a reduction step."""
        outer = self.active
        mask = self.active = outer & self.holds(s.guard)
        if np.any(mask):
            place = [self.index(i) for i in s.position]
            value = self.value(s.value)
            shape = np.broadcast_shapes(np.shape(mask), np.shape(value), *(np.shape(p) for p in place))
            chosen = np.broadcast_to(mask, shape)
            where = tuple(np.broadcast_to(p, shape)[chosen] for p in place)
            array = self.memory[s.buffer]
            _check("store", s.buffer, s.position, where, array.shape)
            if s.buffer.space is Space.WORKGROUP and self.group is not None:
                if isinstance(s, Accumulate):
                    self.group.on_read(s.buffer, where, self.item)
                self.group.on_write(s.buffer, where, self.item)
            new = np.broadcast_to(value, shape)[chosen]
            if isinstance(s, Store):
                array[where] = new if where else new[-1]
            else:
                self.combine(s, array, where, new)
        self.active = outer

    def combine(self, s: Accumulate, array: Array, where: tuple[Array, ...], new: Array) -> None:
        """Combines values with elements in the order of `new`: round by round, each element once in a round."""
        dtype = s.buffer.dtype
        if not where:
            total = np.asarray(array[()])
            for one in new:
                total = evaluate(s.op, [total, np.asarray(one)], dtype)
            array[()] = total
            return
        for part in _rounds(np.ravel_multi_index(where, array.shape)):
            place = tuple([w[part] for w in where])
            array[place] = evaluate(s.op, [array[place], new[part]], dtype)

    # ------------------------------------------------ statements

    def run(self, s: Stmt) -> None:
        """Executes a statement without barriers."""
        if isinstance(s, For):
            if s.kind is Kind.ITEM:
                self.run_items(s)
            else:
                self.run_loop(s)
        elif isinstance(s, Block):
            for child in s.body:
                self.run(child)
        elif isinstance(s, If):
            branch = s.then if self.holds(s.condition) else s.otherwise
            if branch is not None:
                self.run(branch)
        elif isinstance(s, Alloc):
            self.allocate(s.buffer)
            self.run(s.body)
        elif isinstance(s, (Store, Accumulate)):
            self.write(s)
        elif isinstance(s, Barrier) and self.group is not None:
            self.group.barrier()

    def run_loop(self, s: For) -> None:
        """Executes a loop that is not over items."""
        if s.kind in (Kind.PARALLEL, Kind.GROUP):
            for i in self.orders.arrange(list(range(int(self.index(s.extent)))), self.orders.loops):
                if s.kind is Kind.GROUP:
                    self.group = _Group()
                self.env[s.var] = i
                self.run(s.body)
            if s.kind is Kind.GROUP:
                self.group = None
            return
        loops, leaf, rank = self.plan(s)
        if loops is not None:
            self.run_grid(loops, leaf, rank)
            return
        for i in range(int(self.index(s.extent))):
            self.env[s.var] = i
            self.run(s.body)

    def allocate(self, buffer: Buffer) -> None:
        """Allocates a buffer."""
        shape = tuple(int(self.index(e)) for e in buffer.shape)
        if buffer.space is Space.WORKGROUP:
            self.group = self.group or _Group()
            self.memory[buffer] = self.group.allocate(buffer, shape)
        else:
            self.memory[buffer] = uninitialized(shape, buffer.dtype)

    # ------------------------------------------------ whole nests as arrays

    def plan(self, s: For) -> tuple[list[tuple[For, int]] | None, Stmt, int]:
        """How a nest runs: the loops around its one statement, each with its array axis or -1, or None where the nest runs
        iteration by iteration; the statement; and the number of array axes."""
        known = self.plans.get(id(s))
        if known is None:
            nest, leaf = perfect_nest(s)
            loops: list[tuple[For, int]] | None = None
            rank = 0
            kinds = {one.kind for one in nest}
            if isinstance(leaf, (Store, Accumulate)) and not kinds & {Kind.PARALLEL, Kind.GROUP, Kind.ITEM}:
                loops, rank = _axes_of(nest, leaf), 0
                rank = 0 if loops is None else sum(axis >= 0 for _, axis in loops)
            self.plans[id(s)] = known = (s, loops, leaf, rank)
        return known[1], known[2], known[3]

    def run_grid(self, loops: list[tuple[For, int]], leaf: Stmt, rank: int) -> None:
        """Executes a planned nest: loops with an array axis at once, the others iteration by iteration."""
        if not loops:
            assert isinstance(leaf, (Store, Accumulate))
            self.write(leaf)
            return
        (one, axis), rest = loops[0], loops[1:]
        extent, outer = self.index(one.extent), self.active
        count = int(np.max(extent))
        if axis >= 0:
            if count > 0:
                steps = np.arange(count).reshape([count if n == axis else 1 for n in range(rank)])
                self.env[one.var] = steps
                # A reduction combines in every iteration, also where nothing of it depends on the loop.
                repeats = bool(np.ndim(extent)) or isinstance(leaf, Accumulate)
                self.active = outer & (steps < extent) if repeats else outer
                self.run_grid(rest, leaf, rank)
        else:
            for i in range(count):
                self.env[one.var] = i
                self.active = outer & (i < extent) if np.ndim(extent) else outer
                self.run_grid(rest, leaf, rank)
        self.active = outer

    # ------------------------------------------------ items of a group

    def run_items(self, s: For) -> None:
        """Executes nested item loops: each item until its next barrier, in turn."""
        loops = [s]
        while isinstance(loops[-1].body, For) and loops[-1].body.kind is Kind.ITEM:
            loops.append(loops[-1].body)
        outside_groups = self.group is None
        self.group = self.group or _Group()
        extents = [int(self.index(one.extent)) for one in loops]
        waiting: list[Iterator[None]] = []
        for place in self.orders.arrange(list(np.ndindex(*extents)), self.orders.items):
            # The number follows from the values of the variables, so an item is the same one in every nest of the group.
            item = self.fork(int(np.ravel_multi_index(place, extents)))
            for one, i in zip(loops, place, strict=True):
                item.env[one.var] = int(i)
            waiting.append(item.steps(loops[-1].body))
        while waiting:
            remaining = [w for w in waiting if next(w, "done") is None]
            if remaining and len(remaining) < len(waiting):
                raise RaceError(f"[run] {len(remaining)} of {len(waiting)} items of {s.var.name} wait at a barrier")
            if remaining:
                self.group.barrier()
            waiting = remaining
        if outside_groups:
            self.group = None

    def steps(self, s: Stmt) -> Iterator[None]:
        """Runs a statement and stops at each barrier."""
        if isinstance(s, Barrier):
            yield None
        elif not self.has_barrier(s):
            self.run(s)
        elif isinstance(s, For):
            for i in range(int(self.index(s.extent))):
                self.env[s.var] = i
                yield from self.steps(s.body)
        elif isinstance(s, Block):
            for child in s.body:
                yield from self.steps(child)
        elif isinstance(s, If):
            branch = s.then if self.holds(s.condition) else s.otherwise
            if branch is not None:
                yield from self.steps(branch)
        else:
            assert isinstance(s, Alloc)
            self.allocate(s.buffer)
            yield from self.steps(s.body)

    def has_barrier(self, s: Stmt) -> bool:
        """Whether a tree holds a barrier."""
        known = self.barriers.get(id(s))
        if known is None:
            known = self.barriers[id(s)] = (s, any(isinstance(t, Barrier) for t in walk(s)))
        return known[1]


def _axes_of(nest: list[For], leaf: Store | Accumulate) -> list[tuple[For, int]] | None:
    """The array axis of each loop, -1 for outer ones that do not fit into one array; None where an iteration may read what
    another one writes."""
    own = [r for r in leaf_loads(leaf) if r.buffer is leaf.buffer]
    if any(r.position != leaf.position for r in own):
        return None
    if own and not _injective(leaf.position, nest):
        return None
    size, rank = 1, 0
    for one in reversed(nest):
        if size * (one.var.upper + 1) > GRID:
            break
        size *= one.var.upper + 1
        rank += 1
    serial = len(nest) - rank
    return [(one, n - serial if n >= serial else -1) for n, one in enumerate(nest)]


def _rounds(elements: Array) -> Sequence[slice | Array]:
    """Splits the indices of an array of element numbers into rounds in which no number occurs twice.

    The n-th occurrence of a number is in round n.
    """
    order = np.argsort(elements, kind="stable")
    ranked = elements[order]
    first = np.append(True, ranked[1:] != ranked[:-1]) if ranked.size else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(ranked.size), 0))
    occurrence = np.arange(ranked.size) - starts
    if not occurrence.any():
        return [slice(None)]
    by_occurrence = np.argsort(occurrence, kind="stable")
    return np.split(order[by_occurrence], np.cumsum(np.bincount(occurrence))[:-1])


def _injective(position: tuple[Index, ...], nest: list[For]) -> bool:
    """Whether each loop alone moves one dimension of the position, so that no two iterations share an element."""
    single = {v for i in position if len(i.variables) == 1 for v in i.variables}
    linear = {v for v in single if any(i.terms.keys() == {(v,)} for i in position)}
    return all(one.var in linear for one in nest)


def _check(
    access: str, buffer: Buffer, position: tuple[Index, ...], place: tuple[Ints, ...], shape: tuple[int, ...]
) -> None:  # fmt: skip
    """Raises `IndexOutOfRange` where a place is outside the shape."""
    for p, extent in zip(place, shape, strict=True):
        if (p < 0 or p >= extent) if isinstance(p, int) else p.size and (p.min() < 0 or p.max() >= extent):
            raise IndexOutOfRange(
                f"[{access}] {buffer.name}{list(position)} expected a place inside (shape={tuple(shape)}), got {p}"
            )
