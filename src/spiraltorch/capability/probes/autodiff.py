"""Autodiff and hypergradients: derivatives of any order, against float64 finite differences and closed forms.

Each function is written once for both libraries: `m` is SpiralTorch or NumPy, which share the names it uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch import nn, optim

from ...typing import NDArray
from .checking import equal, expect, probe

SHIFT = np.linspace(0.2, 1.4, 12).reshape(3, 4)


def _cases() -> dict[str, Callable[[Any, Any], Any]]:
    """Smooth functions of a (3, 4) array, positive and below 2, to a number."""
    return {
        "arithmetic": lambda m, x: ((x * x + 3.0) / (x + 1.0) - x**3.0).sum(),
        "functions": lambda m, x: (m.exp(x) * m.sin(x) + m.log(x) * m.tanh(x) + m.sqrt(x) * m.cos(x)).sum(),
        "extremes": lambda m, x: (m.maximum(x, x[::-1] * 1.1) * m.minimum(x, 0.9)).sum(),
        "softmax": lambda m, x: m.log((m.exp(x) / m.exp(x).sum(axis=1, keepdims=True))[:, 0]).sum(),
        "norm": lambda m, x: ((x - x.mean(axis=1, keepdims=True)) / m.sqrt(m.var(x, axis=1, keepdims=True) + 0.1))[
            0
        ].sum(),
        "product": lambda m, x: m.sin(x @ x.T).sum() + (x.T @ x)[1, 2] ** 2,
        "moved": lambda m, x: (m.concat([x.T.reshape(2, 6), x.reshape(2, 6)[:, ::2]], axis=1) ** 3).sum(),
        "scan": lambda m, x: (m.cumulative_sum(x, axis=1) * m.prod(x, axis=0)).sum(),
        "select": lambda m, x: m.where(x > 0.8, x * x, m.sin(x)).sum() + (m.max(x, axis=1) * m.min(x, axis=1)).sum(),
        "sorted": lambda m, x: (m.sort(x, axis=1)[:, ::-1] * m.asarray([1.0, 2.0, 3.0, 4.0], dtype=x.dtype)).sum(),
    }


class _Numpy:
    """NumPy with the array API's names, also before version 2."""

    concat = staticmethod(np.concatenate)
    cumulative_sum = staticmethod(np.cumsum)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


REFERENCE = _Numpy()


def _slope(f: Callable[[NDArray], Any], x: NDArray, direction: NDArray, step: float = 1e-6) -> float:
    """The central difference of f along a direction, in float64."""
    return float((f(x + step * direction) - f(x - step * direction)) / (2 * step))


@probe()
def reverse_mode(device: str) -> str:
    """Gradients by `grad`, `vjp` and `backward` equal float64 finite differences."""
    for name, f in _cases().items():
        want = np.zeros_like(SHIFT)
        for place in np.ndindex(SHIFT.shape):
            unit = np.zeros_like(SHIFT)
            unit[place] = 1
            want[place] = _slope(lambda a: f(REFERENCE, a), SHIFT, unit)  # noqa: B023  # called at once
        x = st.tensor(SHIFT.astype(np.float32))
        equal(f"grad of {name}", st.grad(lambda a: f(st, a))(x), want, 3e-4, 3e-4)  # noqa: B023
        value, pull = st.vjp(lambda a: f(st, a), x)  # noqa: B023
        equal(f"value of {name}", value, f(REFERENCE, SHIFT), 1e-5, 1e-5)
        equal(f"vjp of {name}", _only(pull(st.ones_like(value) * 2)), 2 * want, 3e-4, 6e-4)
        leaf = st.tensor(SHIFT.astype(np.float32), requires_grad=True)
        f(st, leaf).backward()
        assert leaf.grad is not None
        equal(f"backward of {name}", leaf.grad, want, 3e-4, 3e-4)
    return f"{len(_cases())} functions"


def _only(x: Any) -> Any:
    return x[0] if isinstance(x, (tuple, list)) else x


@probe()
def forward_mode(device: str) -> str:
    """Directional derivatives by `jvp` and Jacobians equal float64 finite differences."""
    direction = np.cos(np.arange(12)).reshape(3, 4)
    for name, f in _cases().items():
        slope = _slope(lambda a: f(REFERENCE, a), SHIFT, direction)  # noqa: B023
        x, v = st.tensor(SHIFT.astype(np.float32)), st.tensor(direction.astype(np.float32))
        _, got = st.jvp(lambda a: f(st, a), (x,), (v,))  # noqa: B023
        equal(f"jvp of {name}", got, slope, 3e-4, 2e-3)
    x = st.tensor([0.3, 0.7, 1.1])
    want = np.diag(np.cos([0.3, 0.7, 1.1])) + 1
    for make in (st.jacrev, st.jacfwd):
        equal("Jacobian", make(lambda a: st.sin(a) + a.sum())(x), want, 1e-5, 1e-5)
    return f"{len(_cases())} functions"


@probe()
def higher_order(device: str) -> None:
    """Hessians and derivatives of fourth order equal closed forms."""
    a = np.array([0.4, -0.7, 1.2])
    x = st.tensor(a.astype(np.float32))
    hess = st.hessian(lambda t: (t**3).sum() + t[0] * t[1] * t[2] + st.exp(t[0] * t[2]))(x)
    want = np.diag(6 * a)
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        want[i, j] += a[k]
        want[j, i] += a[k]
    e = math.exp(a[0] * a[2])
    want += e * np.array([[a[2] ** 2, 0, 1 + a[0] * a[2]], [0, 0, 0], [1 + a[0] * a[2], 0, a[0] ** 2]])
    equal("hessian", hess, want, 1e-5, 1e-5)
    f: Any = st.sin
    for order, reference in enumerate((math.cos, lambda t: -math.sin(t), lambda t: -math.cos(t), math.sin), 1):
        f = st.grad(f)
        equal(f"derivative {order} of sin", f(st.tensor(0.6)), reference(0.6), 1e-5)
    mixed = st.grad(lambda t: st.jvp(lambda u: (u**4).sum(), (t,), (t,))[1])(x)
    equal("reverse over forward", mixed, 16 * a**3, 1e-5, 1e-5)  # the slope along x itself is 4 x^4


@probe()
def layers(device: str) -> None:
    """Gradients through convolution, pooling, gathering and attention equal directional finite differences."""
    rng = np.random.default_rng(0)
    image, kernel = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3))
    x, w = st.tensor(image.astype(np.float32)), st.tensor(kernel.astype(np.float32))

    def loss(a: st.Tensor, b: st.Tensor) -> Any:
        return (st.conv2d(a, b, None, 1, 1) ** 2).sum()

    gx, gw = st.grad(loss, (0, 1))(x, w)
    # The loss is a quadratic form in each operand, so <grad, operand> is twice the loss, exactly.
    twice = 2 * loss(x, w).item()
    equal("conv2d by input", (gx * x).sum(), twice, 1e-4)
    equal("conv2d by kernel", (gw * w).sum(), twice, 1e-4)
    pooled = st.grad(lambda a: (st.max_pool2d(a, 2) * 3).sum())(x).numpy()
    blocks = image.astype(np.float32).reshape(2, 3, 3, 2, 3, 2)
    want = 3.0 * (blocks == blocks.max((3, 5), keepdims=True)).reshape(image.shape)
    equal("max_pool2d", pooled, want)
    table = st.tensor(rng.standard_normal((5, 3)).astype(np.float32))
    index = np.array([1, 1, 4, 0, 1])
    want = np.bincount(index, minlength=5)[:, None] * np.ones(3)
    equal("gather", st.grad(lambda t: t[st.asarray(index)].sum())(table), want)
    q = rng.standard_normal((1, 2, 5, 4))
    parts = [st.tensor(q.astype(np.float32)) for _ in range(3)]
    grads = st.grad(lambda *p: (nn.functional.scaled_dot_product_attention(*p) ** 2).sum(), (0, 1, 2))(*parts)
    for n, got in enumerate(grads):
        way = rng.standard_normal(q.shape)
        slope = _slope(lambda a: _attention(*[a if i == n else q for i in range(3)]), q, way)  # noqa: B023
        equal(
            f"attention by operand {n}",
            (got * st.tensor(way.astype(np.float32))).sum(),
            slope,
            1e-3,
            1e-3,
        )


def _attention(q: NDArray, k: NDArray, v: NDArray) -> Any:
    scores = np.exp(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]))
    return ((scores / scores.sum(-1, keepdims=True) @ v) ** 2).sum()


@probe()
def training_steps(device: str) -> str:
    """Thirty compiled AdamW steps of a network equal the same steps written out in float64 NumPy."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((24, 6)), rng.standard_normal((24, 2))
    params = [rng.standard_normal(s) * 0.4 for s in ((8, 6), (8,), (2, 8), (2,))]
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    model.load_state_dict({k: st.tensor(v.astype(np.float32)) for k, v in zip(model.state_dict(), params, strict=True)})
    optimizer = optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.1)

    @st.compile
    def step(a: st.Tensor, b: st.Tensor) -> Any:
        optimizer.zero_grad()
        loss = ((model(a) - b) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    given = st.tensor(x.astype(np.float32)), st.tensor(y.astype(np.float32))
    got = [step(*given).item() for _ in range(30)]
    want = _reference_training(x, y, params, 30, 0.02, 0.1)
    equal("losses", got, want, 2e-4)
    for (name, p), reference in zip(model.state_dict().items(), params, strict=True):
        equal(name, p, reference, 1e-3, 1e-4)
    expect(got[-1] < got[0] / 2, f"training: expected the loss to halve, got {got[0]:.3f} to {got[-1]:.3f}")
    return "30 steps"


def _reference_training(
    x: NDArray, y: NDArray, params: list[NDArray], steps: int, rate: float, decay: float
) -> list[float]:
    """AdamW (Loshchilov and Hutter, 2019) on a network of one hidden layer, in place; the losses."""
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    losses = []
    for t in range(1, steps + 1):
        w1, b1, w2, b2 = params
        hidden = np.tanh(x @ w1.T + b1)
        error = hidden @ w2.T + b2 - y
        losses.append(float((error**2).mean()))
        top = 2 * error / error.size
        under = (top @ w2) * (1 - hidden**2)
        for p, g, m, v in zip(
            params, (under.T @ x, under.sum(0), top.T @ hidden, top.sum(0)), first, second, strict=True
        ):
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.999 * v + 0.001 * g * g
            p *= 1 - rate * decay
            p -= rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return losses


@probe()
def hypergradients(device: str) -> None:
    """The gradient of a validation loss through unrolled training, by learning rate and regularisation."""
    rng = np.random.default_rng(2)
    a, b, c, d = (rng.standard_normal(s) for s in ((20, 4), (20,), (10, 4), (10,)))

    def validation(m: Any, cast: Callable[[Any], Any], hyper: Any) -> Any:
        x, y, u, v = map(cast, (a, b, c, d))
        w = cast(np.zeros(4))
        for _ in range(12):
            slope = x.T @ (x @ w - y) / 20 + m.exp(hyper[1]) * w
            w = w - m.exp(hyper[0]) * slope
        return ((u @ w - v) ** 2).mean()

    at = np.array([-1.2, -2.0])
    want = [_slope(lambda h: validation(np, np.asarray, h), at, unit, 1e-5) for unit in np.eye(2)]

    def objective(h: st.Tensor) -> Any:
        return validation(st, lambda t: st.tensor(t.astype(np.float32)), h)

    hyper = st.tensor(at.astype(np.float32))
    equal("hypergradient", st.grad(objective)(hyper), want, 1e-3, 1e-4)
    equal("hypergradient, compiled", st.compile(st.grad(objective))(hyper), want, 1e-3, 1e-4)
    kept = st.grad(lambda h: st.checkpoint(objective, h))(hyper)
    equal("hypergradient, checkpointed", kept, want, 1e-3, 1e-4)
    rate = hyper.detach()
    before = objective(rate).item()
    for _ in range(25):
        rate = rate - 0.1 * st.grad(objective)(rate)
        st.eval(rate)
    expect(objective(rate).item() < before, "hypergradient: expected descent to lower the validation loss, it did not")


@probe()
def custom_rules(device: str) -> None:
    """A function with its own derivative rule uses it, inside other derivatives too."""
    double = st.custom_vjp(lambda x: x * 2)
    double.defvjp(lambda x: (x * 2, ()), lambda kept, g: (g * 10,))
    equal("custom rule", st.grad(lambda x: (double(x) ** 2).sum())(st.tensor([3.0])), [120.0])
