"""Verifies the invariants of a kernel's IR. Tests verify after every schedule step, the tuner verifies its candidates.

Invariants: names of loops are unique, and variables are used inside their loops; buffers and scalars are declared; dtypes
agree; every access is inside its buffer, provably from the bounds of variables, the extents of enclosing loops and the
guards; registers are addressed by constants, lanes and unrolled loops; parallel, group and item loops are nested as devices
nest them, and the iterations of parallel and group loops access disjoint elements where one writes; all items of a group
reach the same barriers.

Limits: proofs are incomplete (see `proofs`), so a correct kernel may be refused. Whether items of a group race for
workgroup memory is not verified: barriers are inserted by a pass, and the interpreter detects races.
"""

from __future__ import annotations

from ..errors import SpiralTorchError
from .disjoint import meeting_accesses
from .expr import (
    ARITY,
    COMPARISONS,
    FLOAT_UNARY,
    Buffer,
    Cast,
    FromGuard,
    FromIndex,
    Load,
    Op,
    Scalar,
    Space,
    Value,
    format_value,
    lookups,
)
from .guard import Guard
from .index import Index, index
from .proofs import Facts
from .reductions import is_reduction
from .stmt import (
    IDENTITY,
    Accumulate,
    Alloc,
    Barrier,
    For,
    If,
    Kernel,
    Kind,
    Stmt,
    Store,
    children,
    walk,
)
from .tree import statement_loads

INTEGER_OPERATIONS = frozenset(["and", "or", "xor", "not", "shl", "shr", "mulhi"])
ONLY_INSIDE = {Kind.PARALLEL: frozenset[Kind](), Kind.GROUP: frozenset((Kind.GROUP,)),
               Kind.ITEM: frozenset((Kind.GROUP, Kind.ITEM))}  # fmt: skip


class IRError(SpiralTorchError, ValueError):
    """A kernel violates an invariant of the IR."""


def verify(kernel: Kernel, lowered: bool = False) -> Kernel:
    """Returns the kernel, or raises `IRError` with the invariant that it violates.

    With `lowered`, also what renderers rely on is verified: no reduction has axes, and no buffer is virtual.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Buffer, Const, at
    >>> from spiraltorch.ir.stmt import Kernel, Store, loop, loop_nest
    >>> y, i = Buffer("y", at(3), float32), loop("i", 4)
    >>> verify(Kernel("k", (y,), loop_nest([i], Store(y, at(i.var), Const(0.0, float32)))))
    Traceback (most recent call last):
    spiraltorch.ir.verifier.IRError: [verify] k: y[i] is not provably inside (shape=[3]): needs i*-1 + 2 >= 0
    """
    _Verifier(kernel, lowered).statement(kernel.body, _Scope.of(kernel))
    return kernel


class _Scope:
    """The context of a statement: loops around it, allocated buffers, facts, and whether all items of a group reach it."""

    __slots__ = ("buffers", "facts", "loops", "uniform")

    def __init__(self, loops: tuple[For, ...], buffers: frozenset[Buffer], facts: Facts, uniform: bool) -> None:
        self.loops = loops
        self.buffers = buffers
        self.facts = facts
        self.uniform = uniform

    @staticmethod
    def of(kernel: Kernel) -> _Scope:
        """The scope of a kernel's body."""
        return _Scope((), frozenset(kernel.params), Facts(), True)

    def extended(
        self, *, loop: For | None = None, buffer: Buffer | None = None, terms: tuple[Index, ...] = (),
        uniform: bool = True,
    ) -> _Scope:  # fmt: skip
        """The scope inside a loop or an allocation, or under conditions."""
        return _Scope(
            self.loops if loop is None else (*self.loops, loop),
            self.buffers if buffer is None else self.buffers | {buffer},
            Facts(self.facts, terms) if terms else self.facts,
            self.uniform and uniform,
        )


class _Verifier:
    """Walks a kernel's statements with a `_Scope`, and raises at the first violation."""

    def __init__(self, kernel: Kernel, lowered: bool) -> None:
        self.kernel = kernel
        self.lowered = lowered
        self.names: set[str] = set()
        self.scalars = {s.name for s in kernel.scalars}

    def fail(self, text: str) -> IRError:
        """The error of a violation."""
        return IRError(f"[verify] {self.kernel.name}: {text}")

    # ------------------------------------------------ statements

    def statement(self, s: Stmt, scope: _Scope) -> None:
        if isinstance(s, For):
            self.loop(s, scope)
        elif isinstance(s, If):
            self.guard(s.condition, scope)
            uniform = all(self.is_uniform(t, scope) for t in s.condition.terms)
            self.statement(s.then, scope.extended(terms=s.condition.terms, uniform=uniform))
            if s.otherwise is not None:
                terms = s.condition.terms
                negated = (-terms[0] - 1,) if len(terms) == 1 else ()
                self.statement(s.otherwise, scope.extended(terms=negated, uniform=uniform))
        elif isinstance(s, Alloc):
            self.alloc(s, scope)
        elif isinstance(s, Store):
            self.guard(s.guard, scope)
            self.store(s, scope.extended(terms=s.guard.terms))
        elif isinstance(s, Accumulate):
            self.accumulate(s, scope)
        elif isinstance(s, Barrier):
            if not scope.uniform:
                raise self.fail("a barrier stands where only some items of the group pass")
            if not any(one.kind in (Kind.ITEM, Kind.GROUP) for one in scope.loops):
                raise self.fail("a barrier stands outside the loops of a group")
        else:
            for child in children(s):
                self.statement(child, scope)

    def loop(self, s: For, scope: _Scope) -> None:
        name = s.var.name
        if name in self.names:
            raise self.fail(f"loop {name} appears twice; names of loops are unique")
        self.names.add(name)
        self.index(s.extent, scope)
        if s.kind in (Kind.VECTOR, Kind.UNROLLED, Kind.ITEM) and not s.extent.is_const:
            raise self.fail(f"{s.kind.value} loop {name} expected a constant extent, got {s.extent}")
        allowed = ONLY_INSIDE.get(s.kind)
        outside = [one.var.name for one in scope.loops if allowed is not None and one.kind not in allowed]
        if outside:
            raise self.fail(f"{s.kind.value} loop {name} stands inside {outside}")
        if s.var.lower > 0 or s.var.upper < s.extent.bounds[1] - 1:
            raise self.fail(f"loop {name} has bounds {s.var.lower}..{s.var.upper} and extent {s.extent}")
        if s.kind in (Kind.PARALLEL, Kind.GROUP):
            self.disjoint(s, scope)
        terms = (s.extent - index(s.var) - 1,)
        self.statement(s.body, scope.extended(loop=s, terms=terms, uniform=self.is_uniform(s.extent, scope)))

    def alloc(self, s: Alloc, scope: _Scope) -> None:
        b = s.buffer
        kinds = {one.kind for one in scope.loops}
        below = {t.kind for t in walk(s.body) if isinstance(t, For)}
        for extent in b.shape:
            self.index(extent, scope)
        if b.space is Space.VIRTUAL and self.lowered:
            raise self.fail(f"{b.name} is still virtual")
        if b.space in (Space.REGISTER, Space.WORKGROUP) and not all(e.is_const for e in b.shape):
            raise self.fail(f"{b.name} in {b.space.value} expected a constant shape, got {list(b.shape)}")
        if b.space is Space.GLOBAL and kinds & {Kind.PARALLEL, Kind.GROUP, Kind.ITEM}:
            raise self.fail(f"{b.name} is global memory inside a {' '.join(sorted(k.value for k in kinds))} loop")
        private = b.space in (Space.REGISTER, Space.SCRATCH)
        shared_by = below & ({Kind.PARALLEL, Kind.GROUP} | ({Kind.ITEM} if private else set()))
        if b.space in (Space.REGISTER, Space.SCRATCH, Space.WORKGROUP) and shared_by:
            raise self.fail(f"{b.name} in {b.space.value} is shared by {' '.join(sorted(k.value for k in shared_by))}")
        self.statement(s.body, scope.extended(buffer=b))

    def store(self, s: Store, scope: _Scope) -> None:
        self.access(s.buffer, s.position, scope)
        self.value(s.value, scope, {})
        if s.value.dtype is not s.buffer.dtype:
            raise self.fail(f"{s.buffer.name} is {s.buffer.dtype.name}, the stored value {s.value.dtype.name}")

    def accumulate(self, s: Accumulate, scope: _Scope) -> None:
        if self.lowered and is_reduction(s):
            raise self.fail(
                f"the reduction into {s.buffer.name} still has axes {[a.name for a in s.axes]}, a start or a finish"
            )
        unbound = [a.name for a in s.axes if all(one.var is not a for one in scope.loops)]
        if unbound:
            raise self.fail(f"the reduction into {s.buffer.name} has axes {unbound} without loops")
        if s.op not in IDENTITY:
            raise self.fail(f"a reduction expected one of {sorted(IDENTITY)}, got {s.op}")
        self.guard(s.guard, scope)
        on_elements = tuple([t for t in s.guard.terms if t.variables.isdisjoint(s.axes)])
        self.store(Store(s.buffer, s.position, s.value), scope.extended(terms=s.guard.terms))
        around = scope.extended(terms=on_elements)
        if s.init is not None:
            self.store(Store(s.buffer, s.position, s.init), around)
        for f in s.finish:
            self.guard(f.guard, around)
            self.store(f, around.extended(terms=f.guard.terms))

    # ------------------------------------------------ accesses and values

    def access(self, buffer: Buffer, position: tuple[Index, ...], scope: _Scope) -> None:
        """Verifies that an access is inside its buffer."""
        if buffer not in scope.buffers:
            raise self.fail(f"{buffer.name} is neither a parameter nor allocated around its use")
        if len(position) != len(buffer.shape):
            raise self.fail(f"{buffer.name}{list(position)} expected {len(buffer.shape)} indices")
        for i, extent in zip(position, buffer.shape, strict=True):
            self.index(i, scope)
            for need in (i, extent - i - 1):
                if not scope.facts.prove(need):
                    raise self.fail(
                        f"{buffer.name}{list(position)} is not provably inside (shape={list(buffer.shape)}): "
                        f"needs {need} >= 0"
                    )
        if buffer.space is Space.REGISTER and self.lowered:
            fixed = {one.var for one in scope.loops if one.kind in (Kind.VECTOR, Kind.UNROLLED)}
            moving = [v.name for i in position for v in i.variables if v not in fixed]
            if moving:
                raise self.fail(f"register {buffer.name}{list(position)} is addressed by {moving}; unroll these loops")

    def index(self, i: Index, scope: _Scope) -> None:
        """Verifies that variables are used inside their loops, and that lookups are integers."""
        bound = {one.var for one in scope.loops} | set(self.kernel.sizes)
        loose = [v.name for v in i.variables if v not in bound]
        if loose:
            raise self.fail(f"{i} uses {loose} outside their loops")
        for atom in lookups(i):
            self.value(atom.value, scope, {})
            if not atom.value.dtype.is_integer:
                raise self.fail(f"a lookup expected an integer, got {atom.value.dtype.name}")

    def guard(self, g: Guard, scope: _Scope) -> None:
        for term in g.terms:
            self.index(term, scope)

    def value(self, v: Value, scope: _Scope, seen: dict[int, Value]) -> None:
        """Verifies a value and its parts; `seen` holds those that were verified."""
        if id(v) in seen:
            return
        seen[id(v)] = v
        if isinstance(v, Load):
            self.guard(v.guard, scope)
            self.access(v.buffer, v.position, scope.extended(terms=v.guard.terms))
        elif isinstance(v, Op):
            for a in v.args:
                self.value(a, scope, seen)
            problem = _op_problem(v)
            if problem:
                raise self.fail(f"{format_value(v)}: {problem}")
        elif isinstance(v, Cast):
            self.value(v.value, scope, seen)
            if v.bits and v.dtype.itemsize != v.value.dtype.itemsize:
                raise self.fail(f"bits of {v.value.dtype.name} do not fit {v.dtype.name}")
        elif isinstance(v, FromIndex):
            self.index(v.position, scope)
            if v.dtype.is_bool:
                raise self.fail(f"index {v.position} as bool: use a FromGuard")
        elif isinstance(v, FromGuard):
            self.guard(v.guard, scope)
        elif isinstance(v, Scalar) and v.name not in self.scalars:
            raise self.fail(f"scalar {v.name} is not a parameter")

    # ------------------------------------------------ items and tasks

    def disjoint(self, s: For, scope: _Scope) -> None:
        """Iterations of a parallel loop access no element that another one writes."""
        meeting = meeting_accesses(s, scope.facts)
        if meeting is not None:
            raise self.fail(f"iterations of {s.kind.value} loop {s.var.name} may meet in {meeting}")

    def is_uniform(self, i: Index, scope: _Scope) -> bool:
        """Whether all items of a group compute the same index."""
        own = {one.var for one in scope.loops if one.kind is Kind.ITEM}
        own |= {one.var for one in scope.loops if not own.isdisjoint(one.extent.variables)}
        if not own.isdisjoint(i.variables):
            return False
        return all(r.buffer.space is Space.GLOBAL for r in statement_loads(If(Guard((i,)), Barrier())))


def _op_problem(v: Op) -> str | None:
    """What is wrong with the arguments or dtypes of an operation, or None."""
    if len(v.args) != ARITY[v.name]:
        return f"expected {ARITY[v.name]} arguments"
    of = v.args[1:] if v.name == "select" else v.args
    names = [a.dtype.name for a in v.args]
    if any(a.dtype is not of[0].dtype for a in of):
        return f"expected one dtype, got {names}"
    if v.name == "select" and not v.args[0].dtype.is_bool:
        return f"expected a bool condition, got {names}"
    if v.name in COMPARISONS:
        return None if v.dtype.is_bool else f"a comparison gives bool, not {v.dtype.name}"
    if v.dtype is not of[0].dtype:
        return f"gives {of[0].dtype.name}, not {v.dtype.name}"
    if (v.name in FLOAT_UNARY or v.name in ("div", "atan2", "fma")) and not v.dtype.is_float:
        return f"expected floating dtypes, got {names}"
    if v.name in INTEGER_OPERATIONS and v.dtype.is_float:
        return f"expected integers or bool, got {names}"
    return None
