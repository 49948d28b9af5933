"""`backward`, gradient modes and in-place updates, against torch."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import DTypeError, GradientError, ShapeError

X, Y = sample((3, 4), "float64", 1), sample((3, 4), "float64", 2)
POSITIVE = np.abs(X) + 0.5

COMPOSITES = [  # the same spelling in both libraries, of two operands
    lambda m, x, y: x + y * 2, lambda m, x, y: x - y / 3, lambda m, x, y: x / (y * y + 1), lambda m, x, y: (x * y) ** 3,
    lambda m, x, y: (x * x + 1) ** y, lambda m, x, y: 2.0 ** x, lambda m, x, y: 1 / (x * x + 1), lambda m, x, y: m.maximum(x, y),
    lambda m, x, y: m.minimum(x, y) * x, lambda m, x, y: m.where(x > y, x * y, y), lambda m, x, y: m.exp(x) * m.sin(y),
    lambda m, x, y: m.log(x * x + 1), lambda m, x, y: m.sqrt(x * x + y * y), lambda m, x, y: m.tanh(x) + m.sigmoid(y),
    lambda m, x, y: m.atan2(x, y), lambda m, x, y: m.erf(x) * m.expm1(y), lambda m, x, y: m.log1p(x * x) + m.abs(y),
    lambda m, x, y: x.sum(0) * y.sum(1).sum(), lambda m, x, y: x.mean(1) + y.prod(1), lambda m, x, y: x.amax(1) - y.amin(0).sum(),
    lambda m, x, y: x.var(dim=1) + y.std(dim=1), lambda m, x, y: m.softmax(x, dim=1) * y, lambda m, x, y: m.log_softmax(x, dim=0) * y,
    lambda m, x, y: m.logsumexp(x + y, dim=1), lambda m, x, y: m.cumsum(x, dim=1) * y, lambda m, x, y: m.cumprod(x, dim=0) * y,
    lambda m, x, y: x @ y.T, lambda m, x, y: (x[:, None] * y[None]).sum(2), lambda m, x, y: m.cat([x, y], dim=1) ** 2,
    lambda m, x, y: m.stack([x, y * x]).flatten().cumsum(dim=0), lambda m, x, y: x.reshape(2, 6).T @ y.reshape(2, 6),
    lambda m, x, y: x[1:, ::2] * y[:-1, 1::2], lambda m, x, y: x.flip(1) * y.roll(1, 0), lambda m, x, y: m.clip(x, -1, 1) * y,
    lambda m, x, y: x.expand(2, 3, 4) * y, lambda m, x, y: x.tril() @ y.triu().T, lambda m, x, y: x.norm() * y,
    lambda m, x, y: m.einsum("ij,kj->ik", x, y), lambda m, x, y: m.sort(y, dim=1)[0] * x if m is torch else m.sort(y, axis=1) * x,
    lambda m, x, y: x.detach() * y * x, lambda m, x, y: x.floor() + y % 2.0, lambda m, x, y: m.hypot(x, y) + m.logaddexp(x, y),
    lambda m, x, y: m.cosh(x) + m.sinh(y) + m.asinh(x) + m.atan(y), lambda m, x, y: m.relu(x) * m.rsqrt(y * y + 1),
    lambda m, x, y: m.xlogy(x * x, y * y + 1), lambda m, x, y: m.copysign(x, y), lambda m, x, y: m.square(x).unbind(1)[0],
    lambda m, x, y: m.tensordot(x, y, 2) if m is st else (x * y).sum(), lambda m, x, y: x.diagonal() * y.diagonal(),
    lambda m, x, y: m.lerp(x, y, 0.3), lambda m, x, y: x.masked_fill(y > 0, 0.0), lambda m, x, y: m.cummax(x, 1)[0] if m is torch else m.cummax(x, 1),
]  # fmt: skip


@pytest.mark.parametrize("call", COMPOSITES, ids=range(len(COMPOSITES)))
def test_gradients(call: Any) -> None:
    mine = [st.tensor(v, requires_grad=True) for v in (X, Y)]
    other = [torch.tensor(v, requires_grad=True) for v in (X, Y)]
    got, want = call(st, *mine), call(torch, *other)
    close(got, want.detach().numpy(), 1e-9)
    weight = sample(tuple(got.shape), "float64", 3)
    (got * st.asarray(weight)).sum().backward()
    (want * torch.from_numpy(weight)).sum().backward()
    for a, b in zip(mine, other, strict=True):
        if a.grad is None or b.grad is None:  # both libraries may say None where the gradient is zero
            assert not np.any(np.zeros(1) if a.grad is None else a.grad.numpy())
            assert b.grad is None or not b.grad.numpy().any()
        else:
            close(a.grad, b.grad.numpy(), 1e-9)


def test_accumulation_and_zeroing() -> None:
    x = st.tensor(X, requires_grad=True)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    close(x.grad, np.full_like(X, 5))
    x.grad = None
    assert x.grad is None
    (x * x).sum().backward()
    close(x.grad, 2 * X)


def test_a_tensor_used_many_times() -> None:
    x = st.tensor(2.0, requires_grad=True)
    y = x
    for _ in range(10):
        y = y * x + y
    r = torch.tensor(2.0, requires_grad=True)
    s = r
    for _ in range(10):
        s = s * r + s
    y.backward()
    s.backward()
    assert x.grad.item() == pytest.approx(r.grad.item(), rel=1e-5)


def test_a_long_chain_needs_no_recursion() -> None:
    x = st.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0


def test_backward_with_a_gradient() -> None:
    x = st.tensor(X, requires_grad=True)
    y = x * x
    with pytest.raises(GradientError, match="one number"):
        y.backward()
    with pytest.raises(ShapeError):
        y.backward(st.ones(3))
    y.backward(st.asarray(Y))
    close(x.grad, 2 * X * Y)
    with pytest.raises(GradientError, match="requires_grad"):
        st.ones(()).backward()


def test_gradients_reach_leaves_of_other_dtypes() -> None:
    x = st.ones(2, dtype=st.float16, requires_grad=True)
    w = st.ones(2, requires_grad=True)
    (x * w + w.to(st.int32)).sum().backward()
    assert x.grad.dtype is st.float16
    assert w.grad.tolist() == [1.0, 1.0]


def test_modes() -> None:
    x = st.ones(2, requires_grad=True)
    assert st.is_grad_enabled()
    with st.no_grad():
        assert not (x * 2).requires_grad
        with st.enable_grad():
            assert (x * 2).requires_grad
        assert not st.is_grad_enabled()
        assert not st.ones(2).requires_grad
        assert st.ones(2, requires_grad=True).requires_grad

    @st.no_grad()
    def f(t: Any) -> Any:
        return t * 2

    assert not f(x).requires_grad
    with st.set_grad_enabled(False):
        assert not (x + 1).requires_grad
    assert st.is_grad_enabled()
    st.set_grad_enabled(False)
    assert not st.is_grad_enabled()
    st.set_grad_enabled(True)
    with pytest.raises(ZeroDivisionError), st.no_grad():
        raise ZeroDivisionError
    assert st.is_grad_enabled()


def test_leaves_and_detach() -> None:
    x = st.tensor(X, requires_grad=True)
    y = x * 2
    assert x.is_leaf
    assert not y.is_leaf
    assert y.requires_grad
    assert not y.detach().requires_grad
    assert not (x > 0).requires_grad
    assert not x.to(st.int64).requires_grad
    assert not x.argmax().requires_grad
    d = x.detach()
    d += 1
    close(x, X + 1)
    d -= 1
    with pytest.raises(DTypeError):
        st.ones(2, dtype=st.int64).requires_grad_()
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad_(False)
    assert not x.requires_grad_(False).requires_grad
    z = st.ones(2) + 1  # not evaluated when it becomes a leaf
    z.requires_grad_()
    (z * z).sum().backward()
    assert z.grad.tolist() == [4.0, 4.0]


def test_in_place_on_a_leaf() -> None:
    x = st.tensor(X, requires_grad=True)
    for update in (
        lambda: x.__iadd__(1),
        lambda: x.__setitem__(0, 1.0),
        lambda: x.copy_(st.ones(3, 4)),
        lambda: x.exp_(),
    ):
        with pytest.raises(GradientError, match="no_grad"):
            update()
    (x * x).sum().backward()
    with st.no_grad():
        x -= x.grad * 0.5
    assert x.is_leaf
    assert x.requires_grad
    close(x, np.zeros_like(X), 1e-12)
    (x + 3).sum().backward()
    close(x.grad, 2 * X + 1)


def test_in_place_on_a_result() -> None:
    x, r = st.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    y, s = x * 2, r * 2
    y *= x
    s = s * r
    y[0] = 0.0
    s = torch.cat([torch.zeros(1, 4, dtype=torch.float64), s[1:]])
    y += y.exp()
    s = s + s.exp()
    y.sum().backward()
    s.sum().backward()
    close(x.grad, r.grad.numpy(), 1e-9)


def test_what_was_recorded_keeps_the_old_value() -> None:
    x = st.tensor([3.0], requires_grad=True)
    y = x * x
    with st.no_grad():
        x.fill_(100.0)
    y.sum().backward()  # torch raises here; values are immutable, so the gradient is that of the old value
    assert x.grad.tolist() == [6.0]


def test_graphs_do_not_outlive_their_handles() -> None:
    x = st.tensor(X, requires_grad=True)
    for _ in range(3):
        y = (x * x).sum()
        node = weakref.ref(y.node)
        y.backward()
        st.eval(x.grad)
        del y
    gc.collect()
    assert node() is None


def test_an_update_does_not_keep_old_values() -> None:
    x = st.tensor(X, requires_grad=True)
    first = weakref.ref(x.node)
    for _ in range(3):
        with st.no_grad():
            x -= 0.1
        st.eval(x)
    gc.collect()
    assert first() is None


def test_pending_losses_are_evaluated_with_the_next_evaluation() -> None:
    x = st.tensor(X, requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    st.eval(x.grad)
    assert loss.node.buf is not None


def test_grad_assignment_is_checked() -> None:
    x = st.ones(2, requires_grad=True)
    with pytest.raises(ShapeError):
        x.grad = st.ones(3)
    x.grad = st.ones(2)
    x.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_maximum_shares_ties_and_abs_is_flat_at_zero() -> None:
    x = st.tensor([1.0, 0.0], requires_grad=True)
    y = st.tensor([1.0, -1.0], requires_grad=True)
    (st.maximum(x, y) + st.abs(x * 0)).sum().backward()
    assert x.grad.tolist() == [0.5, 1.0]
    assert y.grad.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "silu", "softplus", "gelu", "tanh", "logsigmoid", "relu"])
def test_activations_have_finite_gradients_far_out(name: str, dtype: str) -> None:
    values = [-30000.0, -200.0, -20.0, 0.0, 20.0, 200.0, 30000.0]
    x = st.tensor(values, dtype=dtype, requires_grad=True)
    r = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    if name == "logsigmoid":
        mine, theirs = -st.softplus(-x), torch.nn.functional.logsigmoid(r)
    else:
        mine, theirs = getattr(st, name)(x), getattr(torch.nn.functional, name)(r)
    mine.sum().backward()
    theirs.sum().backward()
    close(x.grad, r.grad.numpy().astype(dtype), 2e-3 if dtype == "float16" else 1e-5)
    close(mine, theirs.detach().numpy().astype(dtype), 2e-3 if dtype == "float16" else 1e-5)


def test_norm_of_nothing_has_no_slope() -> None:
    x = st.zeros(3, requires_grad=True)
    x.norm().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


SMOOTH: dict[str, Any] = {
    "softplus": (lambda a, b: st.softplus(a) * b, lambda a, b: torch.nn.functional.softplus(a) * b),
    "hypot": (st.hypot, torch.hypot),
    "logaddexp": (st.logaddexp, torch.logaddexp),
    "xlogy": (lambda a, b: st.xlogy(a, b * b), lambda a, b: torch.special.xlogy(a, b * b)),
    "cube norm": (
        lambda a, b: st.vector_norm(a * 1, axis=1, ord=3),
        lambda a, b: torch.linalg.vector_norm(a, 3, dim=1),
    ),
    "std": (lambda a, b: st.std(a[:, :1], axis=1) + b[:1], lambda a, b: torch.std(a[:, :1], 1, correction=0) + b[:1]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_two_derivatives_where_branches_meet(name: str) -> None:
    """At zeros and ties, where a formula with abs() or maximum() has the right value and a wrong second derivative."""
    ours, theirs = SMOOTH[name]
    a, b = np.array([[0.0, 0.0], [1.0, -0.5], [0.0, 2.0]]), np.array([1.0, 0.5])
    if name in ("hypot", "logaddexp"):
        a[1] = b * [1, -1]
    x, y = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    first = torch.autograd.grad((theirs(x, y) ** 2).sum(), (x, y), create_graph=True, allow_unused=True)

    def slopes(a: Any, b: Any) -> Any:
        return st.grad(lambda a, b: (ours(a, b) ** 2).sum(), argnums=(0, 1))(a, b)

    mine = slopes(st.tensor(a), st.tensor(b))
    for got, want in zip(mine, first, strict=True):
        close(got, np.zeros_like(b) if want is None else want.detach().numpy(), 1e-10)
    if name in ("cube norm", "std"):
        return
    second = torch.autograd.grad((first[0] ** 2).sum() + (first[1] ** 2).sum(), (x, y))

    def bend(a: Any, b: Any) -> Any:
        p, q = slopes(a, b)
        return (p**2).sum() + (q**2).sum()

    for got, want in zip(st.grad(bend, argnums=(0, 1))(st.tensor(a), st.tensor(b)), second, strict=True):
        close(got, want.numpy(), 1e-10)


def test_xlogy_at_the_edges() -> None:
    x, y = np.array([0.0, 0.0, 0.0, 0.0, 2.0, np.nan]), np.array([0.0, np.inf, -1.0, np.nan, 0.0, 0.0])
    close(st.xlogy(st.tensor(x), st.tensor(y)), torch.special.xlogy(torch.tensor(x), torch.tensor(y)).numpy())


def test_clip_passes_the_derivative_at_its_bounds() -> None:
    v, low = np.array([-2.0, -1.0, 0.0, 1.0, 3.0, np.nan]), np.array([-2.0, 0.0, 0.0, 2.0, 1.0, 0.0])
    x, t = st.tensor(v, requires_grad=True), torch.tensor(v, requires_grad=True)
    (st.clip(x, -1.0, 1.0) * v + st.clip(x, st.tensor(low))).nansum().backward()
    (torch.clamp(t, -1.0, 1.0) * torch.tensor(v) + torch.clamp(t, torch.tensor(low))).nansum().backward()
    close(x.grad[:5], t.grad[:5].numpy())
    close(st.clip(x, st.tensor(low)).detach(), np.clip(v, low, None))
    close(st.clip(st.tensor(low), st.tensor(v)), np.clip(low, v, None))  # a NaN for a bound


def steps_of_gradients(library: Any) -> list[Any]:
    """What the tensor of a gradient is after further backward passes."""
    p, flat = library.ones(2, requires_grad=True), library.zeros(4)
    q = library.ones(2, requires_grad=True)
    p.grad, q.grad = flat[:2], flat[2:]
    held = p.grad
    for n in range(3):
        (p * (n + 1) + q * q).sum().backward()
    out = [flat.tolist(), held.tolist(), p.grad is held]
    flat.zero_()
    out += [p.grad.tolist(), q.grad.tolist()]
    (p**3).sum().backward(create_graph=True)
    return [*out, held.tolist(), p.grad.tolist(), p.grad is held]


def test_gradients_accumulate_in_place() -> None:
    """So those that are views of one tensor fill it; with `create_graph` they are other tensors."""
    assert steps_of_gradients(st) == steps_of_gradients(torch)


@pytest.mark.parametrize("compiled", [False, True])
def test_zeroed_gradients_stay_the_same_tensor(compiled: bool) -> None:
    layer = st.nn.Linear(2, 1)
    optimizer = st.optim.SGD(layer.parameters(), lr=0.0)

    def step(x: st.Tensor) -> None:
        optimizer.zero_grad(set_to_none=False)
        layer(x).sum().backward()

    step = st.compile(step) if compiled else step
    step(st.ones(1, 2))
    held = layer.weight.grad
    for n in range(3):
        step(st.ones(1, 2) * n)
        assert layer.weight.grad is held and held.tolist() == [[n, n]]
