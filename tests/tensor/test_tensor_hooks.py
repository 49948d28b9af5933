"""`register_hook`, `retain_grad` and `create_graph` against PyTorch."""

import gc

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim
from spiraltorch.errors import ArgumentError, GradientError, ShapeError

START = np.array([0.3, -1.2, 2.0], np.float32)


def both(program):
    """Runs a program with this package and with PyTorch, which have to give the same numbers."""
    mine, other = program(st), program(torch)
    assert len(mine) == len(other)
    for a, b in zip(mine, other):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-5, atol=1e-6)


def test_hooks_of_leaves_and_results():
    def program(lib):
        seen = []
        x = lib.tensor(START.copy(), requires_grad=True)
        y = lib.sin(x)
        z = (y * y * x).sum()
        x.register_hook(lambda g: seen.append(g) or g * 2)
        x.register_hook(lambda g: g + 1)
        y.register_hook(lambda g: seen.append(g))
        gone = y.register_hook(lambda g: g * 100)
        kept = y.register_hook(lambda g: g * 3)
        gone.remove()
        gone.remove()
        (z * 2 + y.sum()).backward()
        kept.remove()
        (x * x).sum().backward()
        return [x.grad, *seen]

    both(program)


def test_retained_gradients_accumulate_and_see_other_hooks():
    def program(lib):
        x = lib.tensor(START.copy(), requires_grad=True)
        y = x * 3
        y.retain_grad()
        y.retain_grad()
        x.retain_grad()
        y.register_hook(lambda g: g * 5)
        assert y.retains_grad
        assert not x.retains_grad
        (y * y).sum().backward(retain_graph=True)
        y.sum().backward()
        return [y.grad, x.grad]

    both(program)


def test_a_retained_gradient_belongs_to_the_value_it_was_asked_for():
    x = st.tensor(START, requires_grad=True)
    y = x * 1
    y.retain_grad()
    z = (y * y).sum()
    y += 1
    assert not y.retains_grad
    z.backward()
    np.testing.assert_allclose(y.grad.numpy(), 2 * START, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_second_order_by_create_graph():
    def program(lib):
        x = lib.tensor(START.copy(), requires_grad=True)
        w = lib.tensor(START.copy() + 1, requires_grad=True)
        (lib.exp(x) * w * w).sum().backward(create_graph=True)
        gradient, x.grad = x.grad, None
        first, w.grad = w.grad, None
        ((gradient * gradient).sum() + first.sum()).backward()
        return [gradient, first, x.grad, w.grad]

    both(program)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_gradients_accumulate_with_their_graph():
    def program(lib):
        x = lib.tensor(START.copy(), requires_grad=True)
        (x**3).sum().backward(create_graph=True)
        (x**2).sum().backward(create_graph=True)
        total, x.grad = x.grad, None
        total.sum().backward()
        return [total, x.grad]

    both(program)


def test_without_create_graph_a_gradient_has_none():
    x = st.tensor(START, requires_grad=True)
    (x**3).sum().backward()
    assert not x.grad.requires_grad


def test_a_hook_outlives_updates_of_its_parameter():
    p = nn.Parameter(st.ones(2))
    p.register_hook(lambda g: g * 0.5)
    sgd = optim.SGD([p], lr=1.0)
    for n in range(3):
        sgd.zero_grad()
        (p * 2).sum().backward()
        sgd.step()
        assert p.tolist() == [-n, -n]


@pytest.mark.parametrize("kind", ["leaf", "result"])
def test_hooks_in_a_compiled_function(kind):
    factor = [2.0]
    p = nn.Parameter(st.ones(2))

    def step(x):
        p.grad = None
        y = p * x
        if kind == "result":
            y.register_hook(lambda g: g * factor[0])
        y.sum().backward()

    handle = p.register_hook(lambda g: g * factor[0]) if kind == "leaf" else None
    compiled = st.compile(step)
    for expected in (2.0, 2.0, 2.0, 4.0, 4.0):
        factor[0] = expected
        compiled(st.ones(2))
        assert p.grad.tolist() == [expected] * 2
    assert compiled.traces == 3  # the first call found no gradient
    if handle is not None:
        handle.remove()
        compiled(st.ones(2))
        assert p.grad.tolist() == [1.0, 1.0]


def test_create_graph_in_a_compiled_function():
    x = st.tensor(START, requires_grad=True)

    def penalty(scale):
        x.grad = None
        (x**3).sum().backward(create_graph=True)
        gradient, x.grad = x.grad, None
        (gradient * gradient * scale).sum().backward()
        return x.grad * 1

    compiled = st.compile(penalty)
    for n in range(4):
        scale = st.tensor(float(n))
        np.testing.assert_allclose(compiled(scale).numpy(), n * 36 * START**3, rtol=1e-4, atol=1e-5)
    left = st.compile(lambda: (x**3).sum().backward(create_graph=True))
    for _ in range(3):
        x.grad = None
        left()
        assert x.grad.requires_grad


def test_hooks_within_a_checkpointed_segment():
    x = st.tensor(START, requires_grad=True)

    def segment(v):
        inner = v * 2
        inner.register_hook(lambda g: g * 10)
        return inner * inner

    st.checkpoint(segment, x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 10 * 8 * START, rtol=1e-6)


def test_dead_leaves_take_their_hooks_along():
    from spiraltorch.tensor.tracing.tracer import TRACING

    before = len(TRACING.leaf_hooks)
    x = st.tensor(START, requires_grad=True)
    x.register_hook(lambda g: g)
    assert len(TRACING.leaf_hooks) == before + 1
    del x
    gc.collect()
    assert len(TRACING.leaf_hooks) == before


def test_bad_arguments():
    plain, x = st.ones(2), st.tensor(START, requires_grad=True)
    with pytest.raises(GradientError, match="register_hook"):
        plain.register_hook(lambda g: g)
    with pytest.raises(GradientError, match="retain_grad"):
        plain.retain_grad()
    with pytest.raises(ArgumentError, match="callable"):
        x.register_hook(3)
    with x.register_hook(lambda g: g.sum()), pytest.raises(ShapeError, match="hook"):
        x.sum().backward()
    assert x.grad is None
