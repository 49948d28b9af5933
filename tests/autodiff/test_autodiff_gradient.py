"""The walks themselves: accumulation, depth, inputs inside the graph, checkpoints and rules given by hand."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from autodiff_cases import node

from spiraltorch import dtypes as dt
from spiraltorch.autodiff import custom
from spiraltorch.autodiff.checkpoint import checkpoint
from spiraltorch.autodiff.custom import custom_vjp, with_vjp
from spiraltorch.autodiff.gradient import check_differentiable, jvp, vjp
from spiraltorch.errors import GradientError, ShapeError
from spiraltorch.graph import build as b
from spiraltorch.graph.node import GRAD_MODE, Node
from spiraltorch.graph.reference import evaluate

ONE = b.const(1, dt.float64)


def value(x: Node | None) -> Any:
    assert x is not None
    return evaluate([x])[0].tolist()


def var(x: Any) -> Node:
    return node(np.asarray(x, np.float64), rg=True)


def test_accumulates_over_paths_and_outputs() -> None:
    x = var(3.0)
    y = b.mul(x, x)
    z = b.add(b.mul(y, x), y)  # x^3 + x^2
    assert value(vjp([z], [ONE], [x])[0]) == 33.0
    assert value(vjp([z, y, z], [ONE, ONE, None], [x])[0]) == 39.0
    assert value(vjp([z, z], [ONE, ONE], [x])[0]) == 66.0


def test_inputs_inside_the_graph() -> None:
    x = var(3.0)
    y = b.mul(x, x)
    z = b.mul(y, x)
    gx, gy = vjp([z], [ONE], [x, y])
    assert value(gy) == 3.0 and value(gx) == 27.0
    assert value(vjp([x], [ONE], [x])[0]) == 1.0
    assert vjp([b.exp(x)], [ONE], [var(1.0)]) == [None]
    assert value(jvp([z], [y], [ONE])[0]) == 3.0
    assert jvp([b.exp(x)], [var(1.0)], [ONE]) == [None]


def test_inputs_may_count_as_independent() -> None:
    x = var(3.0)
    y = b.mul(x, x)
    gx, gy = vjp([b.mul(y, x)], [ONE], [x, y], through_inputs=False)
    assert value(gy) == 3.0 and value(gx) == 9.0
    assert value(vjp([y], [ONE], [y, x], through_inputs=False)[0]) == 1.0


def test_what_is_not_on_the_way_is_not_recorded() -> None:
    x, w = var([1.0, 2.0]), var([3.0, 4.0])
    before = b.exp(w)
    (g,) = vjp([b.mul(x, before)], [node(np.ones(2))], [x])
    assert g is not None and g.args[1] is before


def test_third_derivative() -> None:
    x = var(2.0)
    y = b.mul(b.mul(x, x), b.mul(x, x))
    for expected in (32.0, 48.0, 48.0, 24.0):
        (g,) = vjp([y], [ONE], [x])
        assert g is not None and value(g) == expected
        y = g


def test_depth() -> None:
    x = y = var(1.0)
    for _ in range(10_000):
        y = b.add(y, x)
    assert value(vjp([y], [ONE], [x])[0]) == 10_001.0
    assert value(jvp([y], [x], [ONE])[0]) == 10_001.0


def test_no_grad_gives_plain_gradients() -> None:
    x = var(3.0)
    y = b.mul(x, x)
    GRAD_MODE.on = False
    try:
        (g,) = vjp([y], [ONE], [x])
    finally:
        GRAD_MODE.on = True
    assert g is not None and not g.rg and value(g) == 6.0


def test_errors() -> None:
    x = var([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"\[vjp\].*float64\[2\]"):
        vjp([b.exp(x)], [ONE], [x])
    with pytest.raises(ShapeError, match=r"\[jvp\].*float64\[2\]"):
        jvp([b.exp(x)], [x], [ONE])
    with pytest.raises(GradientError, match=r"\[backward\].*requires_grad"):
        check_differentiable(node(np.ones(2)), "backward")


# ---------------------------------------------------------------- checkpoint


def segment(args: tuple[Node, ...]) -> tuple[Node, ...]:
    x, y = args
    inner = b.sin(b.mul(x, y))
    return b.exp(inner), b.mul(inner, x)


def both(build: Any, seed: int = 0) -> list[Any]:
    """First and second derivatives and tangents of a function of two vectors."""
    rng = np.random.default_rng(seed)
    nodes = [var(rng.normal(size=3)) for _ in range(2)]
    cots = [node(rng.normal(size=3)) for _ in range(2)]
    outs = build(tuple(nodes))
    grads = vjp(outs, cots, nodes)
    assert all(g is not None for g in grads)
    firsts = [g for g in grads if g is not None]
    second = vjp(firsts, cots, nodes)
    tangents = jvp(outs, nodes, cots)
    return [value(n) for n in (*outs, *firsts, *second, *tangents)]


def test_checkpoint_changes_no_value() -> None:
    plain = both(segment)
    for got, expected in zip(both(lambda a: checkpoint(segment, a)), plain, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    nested = both(lambda a: checkpoint(lambda c: checkpoint(segment, c), a))
    for got, expected in zip(nested, plain, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def ancestors(roots: list[Node]) -> set[Node]:
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack += n.args
    return seen


def test_the_backward_pass_recomputes_behind_a_barrier() -> None:
    x = var([0.5, 1.5])
    made: list[Node] = []

    def fn(args: tuple[Node, ...]) -> tuple[Node, ...]:
        made.append(b.exp(b.sin(args[0])))
        return (b.mul(made[0], made[0]),)

    (y,) = checkpoint(fn, (x,))
    cotangent = node(np.ones(2))
    (g,) = vjp([y], [cotangent], [x])
    assert len(made) == 1 and g is not None
    used = ancestors([g])
    assert made[0] not in used and y not in used
    barriers = [n for n in used if n.spec.prim is not None and n.spec.prim.name == "barrier"]
    assert [n.args for n in barriers] == [(x, cotangent)]


def test_checkpoint_of_captured_leaves_and_intermediates() -> None:
    x, w = var([1.0, 2.0]), var([0.3, 0.7])
    outside = b.exp(w)
    (y,) = checkpoint(lambda a: (b.mul(b.sin(b.mul(a[0], w)), outside),), (x,))
    plain = b.mul(b.sin(b.mul(x, w)), outside)
    g = node(np.array([1.0, -2.0]))
    for wanted in ([x, w], [w], [x, outside], [outside], [x, w, outside]):
        for got, expected in zip(vjp([y], [g], wanted), vjp([plain], [g], wanted), strict=True):
            np.testing.assert_allclose(value(got), value(expected), rtol=1e-12)


def test_checkpoint_counts_a_leaf_once_that_operand_and_capture_share() -> None:
    w = var([0.3, 0.7])
    (y,) = checkpoint(lambda a: (b.mul(b.sin(a[0]), w),), (b.mul(w, w),))
    plain = b.mul(b.sin(b.mul(w, w)), w)
    ones = node(np.ones(2))
    np.testing.assert_allclose(value(vjp([y], [ones], [w])[0]), value(vjp([plain], [ones], [w])[0]), rtol=1e-12)


def test_checkpoint_inside_a_longer_graph_and_with_random_bits() -> None:
    x = var(np.linspace(-1, 1, 8))
    counter = iter(range(100))

    def drop(args: tuple[Node, ...]) -> tuple[Node, ...]:
        bits = b.random_bits(b.const(1, dt.uint64), b.scalar(next(counter), dt.uint64), (8,))
        keep = b.lt(bits, b.const(1 << 31, dt.uint32))
        return (b.where(keep, b.exp(args[0]), b.zeros_like(args[0])),)

    (y,) = checkpoint(drop, (b.mul(x, x),))
    (g,) = vjp([b.mul(y, x)], [node(np.ones(8))], [x])
    kept = evaluate([y])[0] != 0
    xs = np.linspace(-1, 1, 8)
    np.testing.assert_allclose(value(g), np.where(kept, np.exp(xs**2) * (1 + 2 * xs**2), 0), rtol=1e-12)
    assert kept.any() and not kept.all() and next(counter) == 1


def test_checkpoint_without_gradients_is_the_function() -> None:
    x = node(np.ones(2))
    (y,) = checkpoint(lambda a: (b.exp(a[0]),), (x,))
    assert y.spec.prim is not None and y.spec.prim.name == "exp"


# ---------------------------------------------------------------- rules given by hand


def test_custom_vjp_replaces_the_derivative() -> None:
    seen: list[Any] = []

    def forward(args: tuple[Node, ...]) -> tuple[tuple[Node, ...], object]:
        assert not any(a.rg for a in args)
        return (b.exp(args[0]), b.mul(args[0], args[1])), args

    def backward(residuals: Any, gs: tuple[Node, ...]) -> list[Node | None]:
        seen.append(gs)
        return [b.add(gs[0], b.mul(gs[1], residuals[1])), None]

    x, y = var([1.0, 2.0]), var([5.0, 7.0])
    e, p = custom_vjp(forward, backward, (x, y))
    np.testing.assert_allclose(value(e), np.exp([1.0, 2.0]))
    total = b.add(b.mul(e, e), p)
    gx, gy = vjp([total], [node(np.ones(2))], [x, y])
    assert gy is None and len(seen) == 1, "one call for all results"
    np.testing.assert_allclose(value(gx), 2 * np.exp([1.0, 2.0]) + [5.0, 7.0])
    (tangent,) = jvp([total], [x], [node(np.array([1.0, -1.0]))])
    np.testing.assert_allclose(value(tangent), np.array([1.0, -1.0]) * (2 * np.exp([1.0, 2.0]) + [5.0, 7.0]))
    (alone,) = vjp([p], [node(np.ones(2))], [x])
    assert value(alone) == [5.0, 7.0]


def test_custom_vjp_inside_a_checkpoint() -> None:
    def double(args: tuple[Node, ...]) -> tuple[Node, ...]:
        return custom_vjp(lambda a: ((a[0],), None), lambda _, gs: (b.add(gs[0], gs[0]),), args)

    x = var([1.0, 2.0])
    (y,) = checkpoint(lambda a: (b.sin(double((b.mul(a[0], a[0]),))[0]),), (x,))
    (g,) = vjp([y], [node(np.ones(2))], [x])
    np.testing.assert_allclose(value(g), np.cos([1.0, 4.0]) * 2 * np.array([2.0, 4.0]))


def test_custom_vjp_errors() -> None:
    x = var([1.0, 2.0])
    (y,) = custom_vjp(lambda a: ((a[0],), None), lambda _, gs: (), (x,))
    with pytest.raises(GradientError, match=r"\[custom_vjp\] expected 1 cotangents"):
        vjp([y], [node(np.ones(2))], [x])
    (y,) = custom_vjp(lambda a: ((a[0],), None), lambda _, gs: (ONE,), (x,))
    with pytest.raises(GradientError, match=r"\[custom_vjp\].*operand 0"):
        vjp([y], [node(np.ones(2))], [x])


def test_rules_die_with_their_results() -> None:
    x = var([1.0, 2.0])
    (y,) = checkpoint(lambda a: (b.exp(a[0]),), (x,))
    (z,) = custom_vjp(lambda a: ((a[0],), None), lambda _, gs: gs, (x,))
    assert custom.rule_of(y) is not None and custom.rule_of(z) is not None
    gone = [weakref.ref(one) for result in (y, z) for one in (result, result.rule[0])]
    del y, z
    gc.collect()
    assert [one() for one in gone] == [None] * 4


def test_with_vjp_sees_its_result_at_any_order() -> None:
    x = var([0.5, 1.5])
    y = with_vjp(b.exp(x), (x,), lambda g, args, out: (b.mul(g, out),))
    ones = node(np.ones(2))
    for _ in range(3):
        (g,) = vjp([y], [ones], [x])
        np.testing.assert_allclose(value(g), np.exp([0.5, 1.5]))
        assert g is not None
        y = g


def test_gradients_move_back_between_devices() -> None:
    x = b.cast(var([1.0, 2.0]), dt.float32)  # float64 would ask the device, which there is none of
    y = b.to_device(x, "other:0")
    (g,) = vjp([y], [b.ones_like(y)], [x])
    (t,) = jvp([y], [x], [b.ones_like(x)])
    assert y.aval.device == "other:0" and g is not None and t is not None
    assert g.aval is x.aval and t.aval is y.aval
