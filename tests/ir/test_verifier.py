"""Each rule of the verifier has a kernel that breaks it, and the proofs have kernels that need them."""

from __future__ import annotations

import ir_samples as samples
import pytest

from spiraltorch.dtypes import float32, float64, int32, int64
from spiraltorch.ir import schedule as sc
from spiraltorch.ir.expr import Cast, Const, FromIndex, Load, Op, Scalar, Space, at, lookup
from spiraltorch.ir.guard import ALWAYS, guard, less
from spiraltorch.ir.index import Index, Var, index, minimum
from spiraltorch.ir.proofs import Facts
from spiraltorch.ir.stmt import (
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
    loop,
    loop_nest,
)
from spiraltorch.ir.verifier import IRError, verify

ONE = Const(1.0, float32)
I4, W = loop("i", 4), loop("w", 9)
Y4 = samples.buffer("y", 4)


def fill(kind: Kind = Kind.SERIAL, position: Index | None = None) -> Stmt:
    i = loop("i", 4, kind)
    return loop_nest([i], Store(Y4, (index(i.var) if position is None else position,), ONE))


def register(kind: Kind) -> Stmt:
    r, i = samples.buffer("r", 4, space=Space.REGISTER), loop("i", 4, kind)
    return Alloc(r, loop_nest([i], Store(r, at(i.var), ONE)))


def inside(kinds: list[Kind]) -> Stmt:
    return loop_nest([loop(f"l{n}", 4, k) for n, k in enumerate(kinds)], Store(Y4, at(0), ONE))


def barrier_when(items: bool) -> Stmt:
    g, t = loop("g", 4), loop("t", 4, Kind.ITEM)
    return loop_nest([t, g], If(less(t.var if items else g.var, 2), Barrier()))


def private(space: Space, kind: Kind) -> Stmt:
    s, i = samples.buffer("s", 4, space=space), loop("i", 4, kind)
    return Alloc(s, loop_nest([i], Block((Store(s, at(0), ONE), Store(Y4, at(i.var), Load(s, at(0)))))))


def symbolic(kind: Kind) -> Stmt:
    n = Var("n", 4)
    return loop_nest([loop("i", index(n), kind)], Store(Y4, at(0), ONE))


def meet(kind: Kind, position: Index) -> Stmt:
    i = For(P.var, P.extent, Block(()), kind)
    return loop_nest([i, Q], Store(Y4, (position,), ONE))


P, Q = loop("p", 2), loop("q", 2)
p, q = index(P.var), index(Q.var)
OTHER = samples.buffer("other", 4)

BROKEN: dict[str, tuple[Stmt, str]] = {
    "above": (fill(position=index(4)), "not provably inside"),
    "below": (fill(position=index(-1)), "not provably inside"),
    "load outside": (Store(Y4, at(0), Load(Y4, at(4))), "not provably inside"),
    "weak guard": (loop_nest([W], Store(Y4, at(W.var), ONE, less(W.var, 5))), "not provably inside"),
    "rank": (Store(Y4, at(0, 0), ONE), "expected 1 indices"),
    "loop twice": (block(fill(), fill()), "appears twice"),
    "variable outside its loop": (block(loop_nest([I4], Store(Y4, at(0), ONE)), Store(Y4, at(I4.var), ONE)), "outside"),
    "unknown buffer": (Store(OTHER, at(0), ONE), "neither a parameter"),
    "unknown scalar": (Store(Y4, at(0), Scalar("s", float32)), "scalar s"),
    "stored dtype": (Store(Y4, at(0), Const(1.0, float64)), "stored value float64"),
    "operands": (Store(Y4, at(0), Op("add", (ONE, Const(1, int32)), float32)), "one dtype"),
    "result": (Store(Y4, at(0), Op("lt", (ONE, ONE), float32)), "gives bool"),
    "condition": (Store(Y4, at(0), Op("select", (ONE, ONE, ONE), float32)), "bool condition"),
    "float op on ints": (
        Store(Y4, at(0), Cast(Op("exp", (Const(1, int32),), int32), float32)), "expected floating",
    ),
    "integer op on floats": (Store(Y4, at(0), Op("xor", (ONE, ONE), float32)), "expected integers"),
    "bits": (Store(Y4, at(0), Cast(Const(1.0, float64), float32, bits=True)), "do not fit"),
    "float lookup": (Store(Y4, (lookup(ONE, 3),), ONE), "expected an integer"),
    "reduction op": (Accumulate(Y4, at(0), "sub", ONE), "a reduction expected"),
    "axis without loop": (Accumulate(Y4, at(0), "add", ONE, ALWAYS, (I4.var,), ONE), "without loops"),
    "start dtype": (
        loop_nest([loop("j", 2)], Accumulate(Y4, at(0), "add", ONE, ALWAYS, (), Const(0, int64))), "stored value int64",
    ),
    "vector extent": (symbolic(Kind.VECTOR), "constant extent"),
    "item extent": (symbolic(Kind.ITEM), "constant extent"),
    "parallel inside": (inside([Kind.SERIAL, Kind.PARALLEL]), "stands inside"),
    "group inside item": (inside([Kind.ITEM, Kind.GROUP]), "stands inside"),
    "item inside serial": (inside([Kind.SERIAL, Kind.ITEM]), "stands inside"),
    "barrier outside": (Barrier(), "outside the loops of a group"),
    "divergent barrier": (barrier_when(items=True), "only some items"),
    "shared scratch": (private(Space.SCRATCH, Kind.PARALLEL), "shared by parallel"),
    "shared register": (private(Space.REGISTER, Kind.ITEM), "shared by item"),
    "global inside": (loop_nest([loop("i", 4, Kind.PARALLEL)], Alloc(OTHER, Block(()))), "inside a parallel loop"),
    "same cell": (meet(Kind.PARALLEL, q), "may meet"),
    "overlap": (meet(Kind.GROUP, p + q), "may meet"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_rejected(name: str) -> None:
    body, message = BROKEN[name]
    with pytest.raises(IRError, match=message):
        verify(Kernel("k", (Y4,), body, sizes=(Var("unused"),) if "extent" not in name else _sizes(body)))


def _sizes(body: Stmt) -> tuple[Var, ...]:
    assert isinstance(body, For)
    return tuple(body.extent.variables)


def test_loop_bounds_must_cover_the_extent() -> None:
    with pytest.raises(IRError, match=r"has bounds 0\.\.1"):
        verify(Kernel("k", (Y4,), For(Var("i", 1), index(4), Store(Y4, at(0), ONE))))


def test_reading_what_another_task_writes_is_rejected() -> None:
    i = loop("i", 3, Kind.PARALLEL)
    body = loop_nest([i], Store(Y4, at(i.var), Load(Y4, (index(i.var) + 1,))))
    with pytest.raises(IRError, match="may meet"):
        verify(Kernel("k", (Y4,), body))
    verify(Kernel("k", (Y4,), loop_nest([i], Store(Y4, at(i.var), Load(Y4, at(i.var))))))


def test_registers_of_a_finished_kernel_are_addressed_by_lanes() -> None:
    kernel = Kernel("k", (Y4,), register(Kind.SERIAL))
    with pytest.raises(IRError, match="unroll these loops"):
        verify(kernel, lowered=True)
    verify(sc.mark(kernel, Kind.VECTOR, "i"), lowered=True)


def test_fused_parallel_loops_are_kept_apart_by_their_digits() -> None:
    x, loops = samples.buffer("x", 3, 5, 8), [loop("a", 3), loop("b", 5), loop("c", 8)]
    kernel = Kernel("k", (x,), loop_nest(loops, Store(x, at(*(one.var for one in loops)), ONE)))
    kernel = sc.split(kernel, "c", 4, "co", "ci")
    kernel = sc.fuse(sc.fuse(kernel, "a", "b", "ab", simple=False), "ab", "co", "f", simple=False)
    verify(sc.mark(kernel, Kind.PARALLEL, "f"), lowered=True)
    y = samples.buffer("y", 3, 8)
    kernel = Kernel("k", (y,), loop_nest(loops, Store(y, at(loops[0].var, loops[2].var), ONE)))
    kernel = sc.mark(sc.fuse(kernel, "a", "b", "ab", simple=False), Kind.PARALLEL, "ab")
    with pytest.raises(IRError, match="may meet"):
        verify(kernel)


def test_a_finished_kernel_has_no_axes_and_no_virtual_memory() -> None:
    kernel = samples.gemm(3, 4, 5)
    verify(kernel)
    with pytest.raises(IRError, match="virtual"):
        verify(kernel, lowered=True)
    with pytest.raises(IRError, match="axes"):
        verify(sc.realize(kernel, "t"), lowered=True)
    verify(sc.finish(kernel), lowered=True)


def test_accepted() -> None:
    g, t = loop("g", 2), loop("t", 2)
    accepted: list[Stmt] = [
        fill(),
        fill(Kind.PARALLEL),
        register(Kind.UNROLLED),
        register(Kind.VECTOR),
        private(Space.SCRATCH, Kind.SERIAL),
        barrier_when(items=False),
        meet(Kind.PARALLEL, p * 2 + q),
        meet(Kind.GROUP, q * 2 + p),
        loop_nest([g, t], Store(Y4, (index(g.var) * 2 + t.var,), Cast(FromIndex(index(t.var), int64), float32))),
        loop_nest([loop("w", 9)], Block(())),
    ]
    for body in accepted:
        verify(Kernel("k", (Y4,), body))


def test_guards_prove_bounds() -> None:
    w = loop("w", 9)
    verify(Kernel("k", (Y4,), loop_nest([w], Store(Y4, at(w.var), ONE, less(w.var, 4)))))
    with pytest.raises(IRError, match="needs"):
        verify(Kernel("k", (Y4,), loop_nest([w], Store(Y4, at(w.var), ONE, less(w.var, 5)))))
    branch = If(less(w.var, 4), Store(Y4, at(w.var), ONE), Store(Y4, (index(w.var) - 5,), ONE))
    with pytest.raises(IRError, match="needs"):
        verify(Kernel("k", (Y4,), loop_nest([w], branch)))
    branch = If(less(w.var, 5), Store(Y4, (minimum(w.var, 3),), ONE), Store(Y4, (index(w.var) - 5,), ONE))
    verify(Kernel("k", (Y4,), loop_nest([w], branch)))


def test_symbolic_sizes() -> None:
    n = Var("n", 1 << 30, 1)
    y, i = samples.buffer("y", n), loop("i", n)
    kernel = Kernel("k", (y,), loop_nest([i], Store(y, at(i.var), ONE)), sizes=(n,))
    for exact in (True, False):
        verify(sc.split(sc.split(kernel, "i", 64, "io", "i1", exact=exact), "i1", 8, "iu", "il", exact=exact))
    with pytest.raises(IRError, match="needs"):
        verify(Kernel("k", (y,), loop_nest([i], Store(y, (index(i.var) + 1,), ONE)), sizes=(n,)))


def test_proofs() -> None:
    a, b, n = Var("a", 99), Var("b", 15), Var("n", 1 << 20)
    half = (index(a) + b) // 2
    facts = Facts(None, (100 - index(a) - b, index(n) - 16 * index(a) - b - 1, minimum(index(a), index(b)) - 3))
    for term in (
        50 - half, half, index(a) + b - 2 * half, index(n) - 1 - 16 * index(a), 2 * index(n) - 32 * index(a) - 2 * index(b) - 2,
        index(a) - 3, index(b) - 3, index(a) - minimum(a, b), index(n) - b - 49,
    ):  # fmt: skip
        assert facts.prove(term), term
    for term in (49 - half, index(a) - 4, index(n) - 16 * index(a) - 17, index(b) - index(a), minimum(a, b) - 4):
        assert not facts.prove(term), term
    assert Facts().with_guard(guard(index(a) - 5)).prove(2 * index(a) - 10)
