"""Graph fusion: fewer kernels than operations, with the same results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch import nn, optim

from ...typing import NDArray
from .checking import equal, expect, kernels, probe


def _rows() -> tuple[st.Tensor, NDArray]:
    a = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    x = st.asarray(a)
    st.eval(x)
    return x, a.astype(np.float64)


def _one_kernel(what: str, *results: st.Tensor) -> None:
    count, operations = kernels(*results)
    expect(count == 1, f"{what}: expected 1 kernel, got {count} for {operations} operations")


@probe()
def chains(device: str) -> str:
    """Element-wise operations, casts and views in a chain are one kernel."""
    x, a = _rows()
    y, want = x, a
    for _ in range(10):
        y = st.sin(y) * 1.5 + y
        want = np.sin(want) * 1.5 + want
    y = (y.T[::2] > 0).astype(st.float32) + y.T[::2]
    want = (want.T[::2] > 0) + want.T[::2]
    _one_kernel("chain", y)
    equal("chain", y, want, 1e-3, 1e-3)
    return "34 operations in 1 kernel"


@probe()
def reductions(device: str) -> None:
    """Softmax, layer norm and cross-entropy over rows are one kernel each."""
    x, a = _rows()
    e = np.exp(a - a.max(1, keepdims=True))
    soft = st.softmax(x, -1)
    _one_kernel("softmax", soft)
    equal("softmax", soft, e / e.sum(1, keepdims=True), 1e-4, 1e-6)
    with st.no_grad():
        norm = nn.LayerNorm(48)(x)
    _one_kernel("layer norm", norm)
    equal("layer norm", norm, (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5), 1e-4, 1e-5)
    labels = np.arange(64) % 48
    given = st.asarray(labels)
    st.eval(given)
    loss = nn.CrossEntropyLoss()(x, given)
    _one_kernel("cross-entropy", loss)
    want = -np.log((e / e.sum(1, keepdims=True))[np.arange(64), labels]).mean()
    equal("cross-entropy", loss, want, 1e-4)


@probe()
def epilogues(device: str) -> None:
    """What follows a matrix product, a bias and an activation, is part of its kernel."""
    x, a = _rows()
    rng = np.random.default_rng(1)
    w, b = rng.standard_normal((48, 40)).astype(np.float32), rng.standard_normal(40).astype(np.float32)
    weight, bias = st.asarray(w), st.asarray(b)
    st.eval(weight, bias)
    y = st.relu(x @ weight + bias) * 2
    _one_kernel("product, bias, relu", y)
    equal("product, bias, relu", y, np.maximum(a @ w + b, 0) * 2, 1e-4, 1e-4)


@probe()
def optimizer_update(device: str) -> None:
    """A momentum update of several parameters is one kernel."""
    starts = [np.full(s, 2.0, np.float32) for s in ((30, 20), (20,))]
    params = [nn.Parameter(st.tensor(v)) for v in starts]
    optimizer = optim.SGD(params, lr=0.5, momentum=0.5)
    update: Any = st.compile(lambda: optimizer.step())
    for _ in range(4):
        for p in params:
            p.grad = st.ones(*p.shape)
            st.eval(p.grad)
        update()
    count = update.report()["kernels"]
    expect(count == 1, f"update: expected 1 kernel, got {count}")
    want = 2.0 - 0.5 * (1 + 1.5 + 1.75 + 1.875)  # velocities under a gradient of 1
    for p, v in zip(params, starts, strict=True):
        equal("parameter", p.detach(), np.full_like(v, want), 1e-6)


@probe()
def training_step(device: str) -> str:
    """A compiled training step has at most half the kernels of its operations, and the losses of the plain step."""
    rng = np.random.default_rng(2)
    x, y = st.asarray(rng.standard_normal((16, 8)).astype(np.float32)), st.asarray(np.arange(16) % 4)

    def losses(compiled: bool) -> tuple[list[float], Any]:
        st.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
        optimizer = optim.AdamW(model.parameters(), lr=0.05)

        def step() -> Any:
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        run: Any = st.compile(step) if compiled else step
        return [run().item() for _ in range(8)], run

    fused, run = losses(True)
    plain, _ = losses(False)
    equal("losses", fused, plain, 1e-4)
    expect(fused[-1] < math.log(4), f"losses: expected less than guessing, got {fused[-1]:.3f}")
    report = run.report()
    got = f"{report['kernels']} kernels for {report['kernels_unfused']} operations"
    expect(2 * report["kernels"] <= report["kernels_unfused"], f"fusion: expected at most half, got {got}")
    return got
