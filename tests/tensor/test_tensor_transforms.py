"""`grad`, `vjp`, `jvp`, Jacobians, `checkpoint` and `custom_vjp`, against torch.func and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, GradientError, ShapeError

X, W = sample((3,), "float64", 1), sample((2, 3), "float64", 2)


def test_grad_and_value() -> None:
    f = lambda x: (x**3).sum()
    x = st.asarray(X)
    close(st.grad(f)(x), 3 * X**2)
    value, slope = st.value_and_grad(f)(x)
    close(value, (X**3).sum())
    close(slope, 3 * X**2)
    assert not value.requires_grad
    assert not slope.requires_grad
    assert not x.requires_grad
    with st.no_grad():
        close(st.grad(f)(x), 3 * X**2)
    assert st.grad(lambda v: v * v)(3.0).item() == 6.0


def test_arguments() -> None:
    f = lambda a, b, scale=1.0: (a * b * scale).sum()
    a, b = st.asarray(X), st.asarray(X + 1)
    close(st.grad(f, argnums=1)(a, b), X)
    got = st.grad(f, argnums=(0, -1))(a, b, scale=2.0)
    assert isinstance(got, tuple)
    close(got[0], 2 * (X + 1))
    close(got[1], 2 * X)
    (_, aux), g = st.value_and_grad(lambda v: ((v * v).sum(), {"twice": v * 2}), has_aux=True)(a)
    close(g, 2 * X)
    close(aux["twice"], 2 * X)
    assert not aux["twice"].requires_grad
    g, aux = st.grad(lambda v: ((v * v).sum(), "aux"), has_aux=True)(a)
    assert aux == "aux"


def test_nested_structures() -> None:
    params = {"w": st.asarray(W), "b": [st.asarray(X[:2]), (st.asarray(X[:1]),)]}
    f = lambda p, x: ((p["w"] @ x + p["b"][0]) * p["b"][1][0]).sum()
    got = st.grad(f)(params, st.asarray(X))
    assert list(got) == ["w", "b"]
    close(got["w"], np.outer([1, 1], X) * X[0])
    close(got["b"][0], np.array([X[0]] * 2))
    close(got["b"][1][0], np.array([(W @ X + X[:2]).sum()]))


def test_higher_orders() -> None:
    f = lambda x: x**5
    g, x = f, 2.0
    for want in (5 * x**4, 20 * x**3, 60 * x**2, 120 * x, 120.0):
        g = st.grad(g)
        assert g(st.asarray(x)).item() == pytest.approx(want)


def test_nested_transforms_see_different_variables() -> None:
    """d/dx [x * d/dy (x + y)] is 1, not 2: the classic perturbation confusion."""
    f = st.grad(lambda x: x * st.grad(lambda y: x + y)(st.asarray(1.0)))
    assert f(st.asarray(1.0)).item() == 1.0
    h = st.grad(lambda x: x * st.grad(lambda y: x * y)(x))  # the same handle inside and outside
    assert h(st.asarray(3.0)).item() == 6.0
    mixed = st.grad(lambda x: st.jvp(lambda y: y * y * x, (x,), (st.asarray(1.0),))[1])
    assert mixed(st.asarray(3.0)).item() == pytest.approx(12.0)  # d/dx 2 x x


def test_captured_parameters_keep_their_gradients() -> None:
    w = st.tensor(W, requires_grad=True)
    penalty = (st.grad(lambda x: (w @ x).sum())(st.asarray(X)) ** 2).sum()
    penalty.backward()
    close(w.grad, np.broadcast_to(2 * W.sum(0), W.shape))


def test_vjp() -> None:
    (y, z), pull = st.vjp(lambda a, b: (a @ b, a.sum()), st.asarray(W), st.asarray(X))
    close(y, W @ X)
    close(z, W.sum())
    ga, gb = pull((st.asarray([1.0, 2.0]), st.asarray(3.0)))
    close(ga, np.outer([1, 2], X) + 3)
    close(gb, W.T @ [1.0, 2.0])
    assert not ga.requires_grad
    with pytest.raises(ArgumentError):
        pull(st.ones(2))
    with pytest.raises(ShapeError):
        pull((st.ones(3), st.asarray(1.0)))


def test_jvp() -> None:
    f = lambda a, b: st.sin(a) * b + b.cumsum(axis=0)
    ta, tb = sample((3,), "float64", 3), sample((3,), "float64", 4)
    y, t = st.jvp(f, (st.asarray(X), st.asarray(X + 1)), (st.asarray(ta), st.asarray(tb)))
    close(y, np.sin(X) * (X + 1) + np.cumsum(X + 1))
    close(t, np.cos(X) * ta * (X + 1) + np.sin(X) * tb + np.cumsum(tb))
    assert not t.requires_grad
    y, t = st.jvp(lambda a: (a.detach(), a.argmax()), (st.asarray(X),), (st.asarray(ta),))
    assert not t[0].numpy().any()
    with pytest.raises(ShapeError):
        st.jvp(f, (st.asarray(X), st.asarray(X)), (st.asarray(ta), st.ones(2)))


FUNCTIONS = [
    lambda m, x: m.sin(x) * x.sum(), lambda m, x: m.softmax(x, -1), lambda m, x: m.exp(x).sum(), lambda m, x: m.cumsum(x, 0) ** 2,
    lambda m, x: x[1:] * x[:-1], lambda m, x: m.logsumexp(x, -1), lambda m, x: m.tanh(x[:, None] * x), lambda m, x: x.max() * x,
]  # fmt: skip


@pytest.mark.parametrize("call", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_jacobians(call: Any) -> None:
    r = torch.tensor(X)
    want = torch.func.jacrev(lambda v: call(torch, v))(r).numpy()
    for transform in (st.jacrev, st.jacfwd, st.jacobian):
        got = transform(lambda v: call(st, v))(st.asarray(X))
        close(got, want, 1e-9)
        assert not got.requires_grad
    hessian = torch.func.hessian(lambda v: call(torch, v).sum())(r).numpy()
    close(st.hessian(lambda v: call(st, v).sum())(st.asarray(X)), hessian, 1e-8)
    forward = st.jacfwd(st.jacrev(lambda v: call(st, v).sum()))(st.asarray(X))
    close(forward, hessian, 1e-8)


def test_jacobian_in_another_argument() -> None:
    got = st.jacrev(lambda a, b: a @ b, argnums=1)(st.asarray(W), st.asarray(X))
    close(got, W)
    with pytest.raises(ArgumentError):
        st.jacrev(lambda x: (x, x))(st.asarray(X))


@pytest.mark.parametrize(("call", "error"), [
    (lambda: st.grad(lambda x: x)(st.ones(2)), ShapeError), (lambda: st.grad(lambda x: x)(st.asarray(1)), DTypeError),
    (lambda: st.grad(lambda x: (x > 0).any())(st.ones(2)), GradientError), (lambda: st.grad(lambda x: x, 1)(st.asarray(1.0)), ArgumentError),
    (lambda: st.grad(lambda x: x, has_aux=True)(st.asarray(1.0)), ArgumentError), (lambda: st.grad(lambda x: x)("a"), DTypeError),
])  # fmt: skip
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^\[grad\] expected"):
        call()


def test_checkpoint() -> None:
    w = st.tensor(W, requires_grad=True)
    x = st.tensor(X, requires_grad=True)
    calls = []

    def block(v: Any, scale: float) -> Any:
        calls.append(1)
        return st.tanh(w @ v) * scale, v.sum()

    y, z = st.checkpoint(block, x, 2.0)
    (y.sum() * z).backward()
    r, s = torch.tensor(W, requires_grad=True), torch.tensor(X, requires_grad=True)
    ((torch.tanh(r @ s) * 2).sum() * s.sum()).backward()
    close(w.grad, r.grad.numpy())
    close(x.grad, s.grad.numpy())
    assert len(calls) == 1


def test_checkpoint_keeps_random_masks() -> None:
    st.manual_seed(1)
    x = st.ones(100, requires_grad=True)
    y = st.checkpoint(lambda v: st.dropout(v, 0.5), x)
    y.sum().backward()
    close(x.grad, y.numpy())


def test_custom_vjp() -> None:
    f = st.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, (x, y)), lambda saved, g: (g * saved[1] * 10, g * saved[0]))
    x, y = st.tensor(X, requires_grad=True), st.tensor(X + 1, requires_grad=True)
    out = f(x, y)
    close(out, X * (X + 1))
    (out * 2).sum().backward()
    close(x.grad, 20 * (X + 1))
    close(y.grad, 2 * X)
    close(st.grad(lambda v: f(v, v).sum())(st.asarray(X)), 11 * X)
    straight = st.custom_vjp(lambda v: v.round())
    straight.defvjp(lambda v: (v.round(), None), lambda _, g: g)
    close(st.grad(lambda v: (straight(v) * 3).sum())(st.asarray(X)), np.full(3, 3.0))


def test_custom_vjp_mistakes() -> None:
    f = st.custom_vjp(lambda x: x)
    with pytest.raises(GradientError, match="defvjp"):
        f(st.ones(1))
    f.defvjp(lambda x: (x * 1, None), lambda _, g: (g, g))
    with pytest.raises(GradientError):
        st.grad(lambda x: f(x).sum())(st.ones(2))
    f.defvjp(lambda x: (x * 1, None), lambda _, g: g.sum())
    with pytest.raises(GradientError):
        st.grad(lambda x: f(x).sum())(st.ones(2))
