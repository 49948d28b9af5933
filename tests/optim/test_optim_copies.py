"""Models are copied and pickled with their optimizers and schedules; tensors with their gradients and devices."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.backends.wgpu import adapters
from spiraltorch.runtime import device

X = st.tensor(np.random.RandomState(0).randn(4, 3).astype(np.float32))


def step(model: Any, optimizer: Any, schedule: Any) -> float:
    """One training step."""
    optimizer.zero_grad()
    loss = (model(X) ** 2).sum()
    loss.backward()
    optimizer.step()
    schedule.step()
    return float(loss.item())


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Lion"])
def test_training_goes_on_in_a_copy(name: str, duplicate: Callable[[Any], Any]) -> None:
    st.manual_seed(1)
    model = st.nn.Sequential(st.nn.Linear(3, 2), st.nn.BatchNorm1d(2), st.nn.Linear(2, 1))
    optimizer = getattr(st.optim, name)(model.parameters(), lr=0.01)
    whole = (model, optimizer, st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5))
    for _ in range(2):
        step(*whole)
    twin = duplicate(whole)
    assert twin[2].optimizer is twin[1]
    assert all(p is q for p, q in zip(twin[1].param_groups[0]["params"], twin[0].parameters(), strict=True))
    assert [step(*whole) for _ in range(3)] == [step(*twin) for _ in range(3)]
    for p, q in zip(model.parameters(), twin[0].parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    before = [p.tolist() for p in twin[0].parameters()]
    step(*whole)
    assert [p.tolist() for p in twin[0].parameters()] == before
    twin[1].param_groups[0]["lr"] = 0.0
    assert optimizer.param_groups[0]["lr"] != 0


def test_a_copy_of_a_tensor_keeps_its_gradient() -> None:
    """As in PyTorch: a copy has a copy of the gradient, a pickle and a copied parameter have none."""
    x = st.tensor([1.0, 2.0]).requires_grad_()
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.grad is not None
    assert twin.grad.tolist() == [2.0, 4.0]
    twin.grad.zero_()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    assert pickle.loads(pickle.dumps(x)).grad is None
    assert copy.deepcopy(st.ones(2)).grad is None


@pytest.mark.parametrize("make", [st.ones, lambda n, device: st.nn.Parameter(st.ones(n, device=device))])
def test_pickles_come_back_on_their_device(make: Callable[..., Any]) -> None:
    for name in ("cpu:0", *["wgpu:0" for _ in adapters.available()[:1]]):
        text = pickle.dumps(make(2, device=name))
        assert pickle.loads(text).device == name
    text = pickle.dumps(make(2, device="cpu:0")).replace(b"cpu:0", b"gpu:7")
    with pytest.warns(UserWarning, match=r"\[unpickle\] expected device gpu:7, which is not there, got cpu:0"):
        assert pickle.loads(text).tolist() == [1.0, 1.0]
    assert device.default() == "cpu:0"
