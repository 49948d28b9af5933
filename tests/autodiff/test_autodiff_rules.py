"""Every derivative rule against finite differences and torch, both ways and to second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autodiff_cases import CASES, Case, node, scatter_case

from peers import torch
from spiraltorch import dtypes as dt
from spiraltorch.autodiff.gradient import jvp, vjp
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node
from spiraltorch.graph.reference import evaluate

Arrays = list[np.ndarray[Any, Any]]


def value(x: Node | None, like: Any) -> np.ndarray[Any, Any]:
    return np.zeros_like(like) if x is None else evaluate([x])[0]


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(100 + seed).normal(size=shape)


def curved(case: Case, nodes: list[Node]) -> Node:
    """A scalar whose second derivatives are not zero even where the primitive is linear."""
    out = case.record(*nodes)
    total = b.mul(b.mul(out, out), node(weights(out.aval.shape, 3)))
    return b.reduce_sum(total, tuple(range(out.aval.ndim)))


def slope(case: Case, arrays: Arrays, directions: Arrays, step: float = 1e-5) -> np.ndarray[Any, Any]:
    """The central difference along directions."""
    ends = [
        evaluate([case.record(*[node(a + s * step * d) for a, d in zip(arrays, directions, strict=True)])])[0]
        for s in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_jvp_matches_differences(case: Case, seed: int) -> None:
    arrays = case.operands(seed)
    directions = [weights(a.shape, seed + n) for n, a in enumerate(arrays)]
    expected = slope(case, arrays, directions)
    nodes = [node(a, rg=True) for a in arrays]
    out = case.record(*nodes)
    (tangent,) = jvp([out], nodes, [node(d) for d in directions])
    np.testing.assert_allclose(value(tangent, expected), expected, rtol=2e-6, atol=2e-6)
    for n in range(len(nodes)):  # one tangent at a time: a missing one counts as zero
        (part,) = jvp([out], nodes, [node(d) if m == n else None for m, d in enumerate(directions)])
        alone = slope(case, arrays, [d if m == n else 0 * d for m, d in enumerate(directions)])
        np.testing.assert_allclose(value(part, expected), alone, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_vjp_is_the_transpose_of_jvp(case: Case, seed: int) -> None:
    arrays = case.operands(seed)
    nodes = [node(a, rg=True) for a in arrays]
    out = case.record(*nodes)
    g = weights(out.aval.shape, seed)
    directions = [weights(a.shape, seed + n) for n, a in enumerate(arrays)]
    (tangent,) = jvp([out], nodes, [node(d) for d in directions])
    grads = vjp([out], [node(g)], nodes)
    for grad, n in zip(grads, nodes, strict=True):
        assert grad is None or grad.aval is n.aval
    forwards = float((value(tangent, g) * g).sum())
    backwards = sum(float((value(gr, a) * d).sum()) for gr, a, d in zip(grads, arrays, directions, strict=True))
    assert backwards == pytest.approx(forwards, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch], ids=lambda c: c.name)
def test_vjp_matches_torch(case: Case) -> None:
    assert case.torch is not None
    arrays = case.operands(5)
    nodes = [node(a, rg=True) for a in arrays]
    out = case.record(*nodes)
    g = weights(out.aval.shape, 5)
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected_out = case.torch(*leaves)
    np.testing.assert_allclose(evaluate([out])[0], expected_out.detach().numpy(), rtol=1e-10, atol=1e-12)
    expected = torch.autograd.grad(expected_out, leaves, torch.from_numpy(g).reshape(expected_out.shape))
    for grad, array, e in zip(vjp([out], [node(g)], nodes), arrays, expected, strict=True):
        np.testing.assert_allclose(value(grad, array), e.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_second_order(case: Case) -> None:
    """Reverse over reverse and forward over reverse against differences of the gradient."""
    arrays = case.operands(9)
    directions = [weights(a.shape, 20 + n) for n, a in enumerate(arrays)]

    def gradient(at: Arrays) -> tuple[list[Node], list[Node | None]]:
        nodes = [node(a, rg=True) for a in at]
        return nodes, vjp([curved(case, nodes)], [b.const(1, dt.float64)], nodes)

    step = 1e-5
    ends = []
    for s in (1, -1):
        _, grads = gradient([a + s * step * d for a, d in zip(arrays, directions, strict=True)])
        ends.append([value(g, a) for g, a in zip(grads, arrays, strict=True)])
    expected = [(p - q) / (2 * step) for p, q in zip(*ends, strict=True)]
    nodes, grads = gradient(arrays)
    made = [g for g in grads if g is not None]
    places = [n for n, g in enumerate(grads) if g is not None]
    twice = vjp(made, [node(directions[n]) for n in places], nodes)
    forward = jvp(made, nodes, [node(d) for d in directions])
    for got, e in zip(twice, expected, strict=True):
        np.testing.assert_allclose(value(got, e), e, rtol=1e-5, atol=1e-5)
    for n, t in zip(places, forward, strict=True):
        np.testing.assert_allclose(value(t, expected[n]), expected[n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("along", [False, True])
def test_scatter_mul_with_zeros(along: bool) -> None:
    test_vjp_matches_torch(scatter_case("mul", along, zeros=True))


def grads_of(record: Any, *arrays: Any, g: Any = None) -> list[np.ndarray[Any, Any]]:
    nodes = [node(np.asarray(a, np.float64), rg=True) for a in arrays]
    out = record(*nodes)
    g = b.ones_like(out) if g is None else node(np.asarray(g, np.float64))
    grads = vjp([out], [g], nodes)
    return [value(r, np.zeros(n.aval.shape)) for r, n in zip(grads, nodes, strict=True)]


def test_ties_share() -> None:
    assert [v.tolist() for v in grads_of(b.maximum, [1.0, 2.0], [1.0, 3.0])] == [[0.5, 0.0], [0.5, 1.0]]
    assert [v.tolist() for v in grads_of(b.minimum, [1.0, 2.0], [1.0, 3.0])] == [[0.5, 1.0], [0.5, 0.0]]
    assert grads_of(lambda x: b.reduce_max(x, (0,)), [3.0, 1.0, 3.0, 2.0])[0].tolist() == [0.5, 0.0, 0.5, 0.0]
    assert grads_of(lambda x: b.cummax(x, 0), [1.0, 1.0, 0.0])[0].tolist() == [1.0, 2.0, 0.0]


def test_singular_points_follow_torch() -> None:
    assert grads_of(b.abs_, [0.0])[0].tolist() == [0.0]
    assert grads_of(b.sqrt, [0.0])[0].tolist() == [np.inf]
    for x, y in [(0.0, 0.0), (0.0, 2.0), (-2.0, 3.0), (3.0, 0.0), (0.0, 1.0), (-1.5, 2.0)]:
        leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, y)]
        torch.pow(*leaves).backward()
        for got, leaf in zip(grads_of(b.pow, x, y), leaves, strict=True):
            np.testing.assert_equal(np.float64(got), leaf.grad.numpy())


def test_scatter_set_pays_only_the_last_writer_and_drops_outside() -> None:
    idx = node(np.array([1, 1, 5, -1, 0]))
    base, upd = grads_of(lambda x, u: b.scatter(x, idx, u, 0, "set"), np.zeros(3), np.ones(5), g=[2.0, 3.0, 4.0])
    assert base.tolist() == [0.0, 0.0, 4.0]
    assert upd.tolist() == [0.0, 3.0, 0.0, 0.0, 2.0]
    _, upd = grads_of(lambda x, u: b.scatter(x, idx, u, 0, "add"), np.zeros(3), np.ones(5), g=[2.0, 3.0, 4.0])
    assert upd.tolist() == [3.0, 3.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize("dtype", [dt.float16, dt.bfloat16, dt.float32], ids=lambda d: d.name)
def test_cotangents_keep_the_dtype(dtype: dt.DType) -> None:
    for case in CASES:
        nodes = [node(a.astype(dtype.numpy), rg=True) for a in case.operands(2)]
        if case.name == "pow_cube":
            continue
        out = case.record(*nodes)
        grads = vjp([out], [b.ones_like(out)], nodes)
        tangents = jvp([out], nodes, [b.ones_like(n) for n in nodes])
        assert all(g is None or g.aval is n.aval for g, n in zip(grads, nodes, strict=True)), case.name
        assert tangents[0] is not None and tangents[0].aval is out.aval, case.name


def test_casts_pass_gradients_between_floats_only() -> None:
    x = node(np.ones(3, np.float32), rg=True)
    (g,) = vjp([b.cast(x, dt.float64)], [b.ones_like(b.cast(x, dt.float64))], [x])
    assert g is not None and g.aval is x.aval
    y = b.cast(b.cast(x, dt.int32), dt.float32)
    assert vjp([y], [b.ones_like(y)], [x]) == [None]
    assert jvp([y], [x], [b.ones_like(x)]) == [None]


def test_steps_have_no_gradient() -> None:
    x = node(np.array([0.2, 1.7]), rg=True)
    for name in ("floor", "ceil", "trunc", "round_", "sign"):
        y = getattr(b, name)(x)
        assert vjp([y], [b.ones_like(y)], [x]) == [None]
        assert jvp([y], [x], [b.ones_like(x)]) == [None]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_axes(shape: tuple[int, ...]) -> None:
    rows: list[Any] = [
        lambda x: b.reduce_sum(x, (0,)), lambda x: b.reduce_prod(x, (0,)), lambda x: b.cumprod(x, 0),
        lambda x: b.mul(x, x), lambda x: b.dot(x, x, (0,), (0,)), lambda x: b.pad(x, ((1, 1, 1), (0, 2, 0))),
    ]  # fmt: skip
    for record in rows:
        (g,) = grads_of(record, np.zeros(shape))
        assert g.shape == shape
