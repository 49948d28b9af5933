"""What becomes one kernel, and that it is still right."""

from __future__ import annotations

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim


def kernels(*tensors: st.Tensor) -> int:
    return int(st.explain(*tensors).split()[1])


@pytest.fixture
def rows() -> st.Tensor:
    x = st.asarray(np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32))
    st.eval(x)
    return x


def test_softmax_is_one_kernel(rows: st.Tensor) -> None:
    y = st.softmax(rows, -1)
    assert kernels(y) == 1
    np.testing.assert_allclose(y.numpy(), torch.softmax(torch.tensor(rows.numpy()), -1), rtol=1e-5, atol=1e-7)


def test_layer_norm_is_one_kernel(rows: st.Tensor) -> None:
    with st.no_grad():
        y = nn.LayerNorm(48)(rows)
    assert kernels(y) == 1
    np.testing.assert_allclose(y.numpy(), torch.nn.LayerNorm(48)(torch.tensor(rows.numpy())).detach(), atol=1e-5)


def test_cross_entropy_is_one_kernel(rows: st.Tensor) -> None:
    labels = st.asarray(np.arange(64) % 48)
    loss = nn.CrossEntropyLoss()(rows, labels)
    assert kernels(loss) == 1
    want = torch.nn.functional.cross_entropy(torch.tensor(rows.numpy()), torch.tensor(labels.numpy()))
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)


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


def test_element_wise_work_joins_the_product_before_it(rows: st.Tensor) -> None:
    w = st.asarray(np.random.default_rng(2).standard_normal((48, 40)).astype(np.float32))
    b = st.ones(40)
    st.eval(b)
    y = st.gelu(rows @ w + b) * 2
    assert kernels(y) == 1
    want = torch.nn.functional.gelu(torch.tensor(rows.numpy() @ w.numpy()) + 1) * 2
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-5)


def test_checkpointing_keeps_the_second_computation_apart(rows: st.Tensor) -> None:
    x = rows.detach().requires_grad_()
    f = lambda t: (t * 3).exp().sin()
    plain = st.grad(lambda t: f(t).sum())(x)
    kept = st.grad(lambda t: st.checkpoint(f, t).sum())(x)
    np.testing.assert_allclose(kept.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)
