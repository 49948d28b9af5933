"""What becomes one kernel, and that it is still right: graphs recorded by hand, and what users write."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from compiler_helpers import compare, data, kept, layer_norm, normal, number, plan

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.lowering.cluster import Cluster
from spiraltorch.compiler.lowering.emitter import broadcast_position
from spiraltorch.compiler.lowering.loops import axis_loops, positions
from spiraltorch.compiler.lowering.lowered import KernelKind, Lowered, named
from spiraltorch.compiler.lowering.registry import LOWERINGS, Lowering, Role
from spiraltorch.graph import build as b
from spiraltorch.graph import primitive
from spiraltorch.graph.node import Node
from spiraltorch.graph.primitive import REGISTRY, Decomposition
from spiraltorch.graph.results import apply_multiple
from spiraltorch.ir.expr import op
from spiraltorch.ir.stmt import Kernel, Store, block, loop_nest
from spiraltorch.ir.target import Target


def kernels(*tensors: st.Tensor) -> int:
    return int(st.explain(*tensors).split()[1])


def rows(*shape: int) -> st.Tensor:
    """A tensor that has its value."""
    x = st.asarray(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    st.eval(x)
    return x


@pytest.mark.parametrize("shape", [(4, 33), (2, 3, 64), (1, 7), (300, 5), (64, 48)])
def test_softmax_is_one_kernel(shape: tuple[int, ...]) -> None:
    x = rows(*shape)
    y = st.softmax(x, -1)
    assert kernels(y) == 1
    np.testing.assert_allclose(y.numpy(), scipy.special.softmax(x.numpy(), -1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(4, 33), (2, 3, 64), (300, 5)])
def test_layer_norm_by_hand_is_one_kernel(shape: tuple[int, ...]) -> None:
    made = layer_norm(normal(*shape), normal(shape[-1]), normal(shape[-1]))
    assert plan(made).statistics.kernels == 1
    compare(made, tolerance=1e-5)


def test_the_module_s_layer_norm_is_one_kernel() -> None:
    x = rows(64, 48)
    with st.no_grad():
        y = nn.LayerNorm(48)(x)
    assert kernels(y) == 1
    np.testing.assert_allclose(y.numpy(), torch.nn.LayerNorm(48)(torch.tensor(x.numpy())).detach(), atol=1e-5)


def test_cross_entropy_of_each_row_is_one_kernel() -> None:
    x, target = normal(8, 11), data(np.arange(8) % 11)
    top = b.reshape(b.reduce_max(x, (1,)), kept(x, 1))
    total = b.log(b.reduce_sum(b.exp(b.sub(x, top)), (1,)))
    chosen = b.reshape(b.take_along(x, b.reshape(target, (8, 1)), 1), (8,))
    made = b.sub(b.add(total, b.reshape(top, (8,))), chosen)
    assert plan(made).statistics.kernels == 1
    compare(made, tolerance=1e-5)


def test_the_mean_cross_entropy_is_one_kernel() -> None:
    x, labels = rows(64, 48), st.asarray(np.arange(64) % 48)
    loss = nn.CrossEntropyLoss()(x, labels)
    assert kernels(loss) == 1
    want = torch.nn.functional.cross_entropy(torch.tensor(x.numpy()), torch.tensor(labels.numpy()))
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)


def test_an_adamw_update_by_hand_is_one_kernel() -> None:
    parameter, gradient, first, second = normal(50, 7), normal(50, 7), normal(50, 7), b.abs_(normal(50, 7))
    evaluate.evaluate([second])
    rate, decay = number(1e-3), number(0.01)
    m = b.add(b.mul(first, number(0.9)), b.mul(gradient, number(0.1)))
    v = b.add(b.mul(second, number(0.999)), b.mul(b.mul(gradient, gradient), number(0.001)))
    step = b.div(m, b.add(b.sqrt(v), number(1e-8)))
    new = b.sub(b.mul(parameter, b.sub(number(1.0), b.mul(rate, decay))), b.mul(rate, step))
    assert plan(new, m, v).statistics.kernels == 1
    compare(new, m, v, tolerance=1e-5)


def test_an_adamw_update_of_all_parameters_is_one_kernel() -> None:
    rng = np.random.default_rng(1)
    shapes = [(30, 20), (20,), (7, 3, 2), (400,), (3,)]
    start = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    ours = [nn.Parameter(st.tensor(v)) for v in start]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in start]
    optimizer, reference = optim.AdamW(ours), torch.optim.AdamW(theirs)
    update = st.compile(lambda: optimizer.step())
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            g = rng.standard_normal(p.shape).astype(np.float32)
            p.grad, q.grad = st.tensor(g), torch.tensor(g)
        update()
        reference.step()
    assert update.report()["kernels"] == 1
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_what_follows_a_contraction_is_its_epilogue() -> None:
    made = b.tanh(b.add(b.dot(normal(9, 8), normal(8, 17), (1,), (0,)), normal(17)))
    assert plan(made).statistics.kernels == 1
    compare(made, tolerance=1e-5)


def test_element_wise_work_joins_the_product_before_it() -> None:
    x = rows(64, 48)
    w = st.asarray(np.random.default_rng(2).standard_normal((48, 40)).astype(np.float32))
    bias = st.ones(40)
    st.eval(bias)
    y = st.gelu(x @ w + bias) * 2
    assert kernels(y) == 1
    want = torch.nn.functional.gelu(torch.tensor(x.numpy() @ w.numpy()) + 1) * 2
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-5)


def test_views_are_never_copies() -> None:
    x = normal(6, 8)
    turned = b.flip(b.slice(b.permute(x, (1, 0)), (1, 0), (8, 6), (2, 1)), (0,))
    made = b.exp(b.reshape(turned, (24,)))
    assert plan(made).statistics.kernels == 1
    compare(made, tolerance=1e-6)


def test_a_chain_too_long_for_one_kernel_is_cut() -> None:
    x = normal(10)
    y = x
    for n in range(400):
        y = b.add(y, b.mul(x, number(1.0 / (n + 3))))
    assert 1 <= plan(y).statistics.kernels <= 6
    compare(y, tolerance=1e-5)


def test_checkpointing_keeps_the_second_computation_apart() -> None:
    x = rows(64, 48).detach().requires_grad_()
    f = lambda t: (t * 3).exp().sin()
    plain = st.grad(lambda t: f(t).sum())(x)
    again = st.grad(lambda t: st.checkpoint(f, t).sum())(x)
    np.testing.assert_allclose(again.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)


def test_a_state_in_steps_is_stored_and_not_computed_again() -> None:
    """Each step's kernel computes one step, though products stand between them."""
    w, c = st.randn(8, 8), st.zeros(8, 8)
    h = c
    for _ in range(6):
        gates = h @ w
        c = st.sigmoid(gates) * c + st.tanh(gates) * st.exp(gates)
        h = st.tanh(c)
    text = st.explain(h)
    moved = [int(line.split(": ")[1].split(" ")[0].replace(",", "")) for line in text.splitlines() if "(dot)" in line]
    assert len(set(moved[1:-1])) == 1, moved  # what a step reads does not grow with the steps
    assert text.count("the kernel computes it anyway") == 5


def test_a_join_of_many_copies_each_part() -> None:
    parts = [st.exp(st.randn(3, n)) for n in range(1, 20)]
    text = st.explain(st.concat(parts, 1))
    assert "join" in text and "concat" not in text
    want = np.concatenate([p.numpy() for p in parts], 1)
    np.testing.assert_array_equal(st.concat(parts, 1).numpy(), want)


def _sum_and_difference(monkeypatch: pytest.MonkeyPatch, decompose: Decomposition | None) -> tuple[Node, ...]:
    """The results of a primitive that only the test has."""
    monkeypatch.setattr(primitive, "REGISTRY", {})
    both = primitive.Primitive(
        "both", "elementwise", lambda avals, params: avals, lambda x, y, params: (x + y, x - y), decompose=decompose
    )
    monkeypatch.setitem(REGISTRY, "both", both)
    return apply_multiple(both, (normal(4, 5), normal(4, 5)))


def test_an_element_wise_primitive_with_several_results_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    total, difference = _sum_and_difference(monkeypatch, lambda args, params: (b.add(*args), b.sub(*args)))
    assert plan(b.mul(total, difference)).statistics.kernels == 1
    compare(b.mul(total, difference), total, difference)


def _lower_sum_and_difference(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The example of docs/adding_a_primitive.md."""
    results = cluster.results()
    some = next(iter(results.values()))
    loops = axis_loops(some.shape)
    position = tuple(positions(loops))
    x, y = [cluster.emitter.value(a, broadcast_position(a, some, position)) for a in cluster.members[0].args]
    values = {0: op("add", x, y), 1: op("sub", x, y)}
    body = block(*[Store(cluster.emitter.buffer(r), position, values[n]) for n, r in results.items()])
    kernel = Kernel("sum_and_difference", (), loop_nest(loops, body))
    return Lowered(kernel, KernelKind.MAP, named(loops), work=2 * some.size)


def test_a_kernel_stores_those_of_its_results_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOWERINGS, "both", Lowering(Role.STANDALONE, kernel=_lower_sum_and_difference))
    total, difference = _sum_and_difference(monkeypatch, None)
    for roots in ((total,), (difference,), (b.neg(difference), b.exp(total)), (total, difference)):
        compare(*roots, tolerance=1e-6)


def test_several_results_need_a_kernel_or_a_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOWERINGS, "both", Lowering())
    with pytest.raises(AssertionError, match="both has several results: expected a lowering"):
        plan(*_sum_and_difference(monkeypatch, None))
