"""Optimizers against PyTorch, step by step, and their state."""

import math

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim
from spiraltorch.errors import ArgumentError, CheckpointError, DTypeError
from spiraltorch.tensor.tracing.tracer import TRACING

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.9), "maximize": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True, "eps": 1e-4}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "centered": True, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
]


class Pair:
    """The same parameters and optimizer in both libraries, fed with the same gradients."""

    def __init__(self, name, kwargs, dtype=np.float32, groups=None):
        self.rng = np.random.default_rng(1)
        start = [self.rng.normal(size=shape).astype(dtype) for shape in ((3, 2), (4,))]
        self.ours = [nn.Parameter(st.tensor(x)) for x in start]
        self.theirs = [torch.nn.Parameter(torch.tensor(x)) for x in start]
        build = groups or (lambda params: params)
        self.a = getattr(optim, name)(build(self.ours), **kwargs)
        self.b = getattr(torch.optim, name)(build(self.theirs), **kwargs)

    def step(self, which=(0, 1)):
        for number, (p, q) in enumerate(zip(self.ours, self.theirs)):
            p.grad = q.grad = None
            if number in which:
                grad = self.rng.normal(size=tuple(q.shape)).astype(q.detach().numpy().dtype)
                p.grad, q.grad = st.tensor(grad), torch.tensor(grad)
        self.a.step()
        self.b.step()

    def check(self, tolerance=2e-6):
        for p, q in zip(self.ours, self.theirs):
            assert p.requires_grad
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_ten_steps(name, kwargs):
    pair = Pair(name, kwargs)
    for _ in range(10):
        pair.step()
        pair.check()
    mine, other = pair.a.state_dict(), pair.b.state_dict()
    assert list(mine["state"]) == list(other["state"])
    for number, slots in other["state"].items():
        theirs = {k: v for k, v in slots.items() if v is not None}
        assert set(mine["state"][number]) == set(theirs)
        for key, value in theirs.items():
            np.testing.assert_allclose(mine["state"][number][key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
    for own, group in zip(mine["param_groups"], other["param_groups"]):
        assert all(group[key] == value for key, value in own.items())


@pytest.mark.parametrize(("name", "kwargs"), CASES[1:])
def test_state_of_torch_is_taken_over(name, kwargs):
    pair = Pair(name, kwargs)
    for _ in range(3):
        pair.step()
    state = pair.b.state_dict()
    as_numpy = {n: {k: v if v is None else v.numpy() for k, v in s.items()} for n, s in state["state"].items()}
    fresh = getattr(optim, name)(pair.ours, lr=0.7)
    fresh.load_state_dict({"state": as_numpy, "param_groups": state["param_groups"]})
    pair.a = fresh
    for _ in range(3):
        pair.step()
    pair.check()


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_parameters_without_gradient_keep_their_own_count(name):
    pair = Pair(name, {"lr": 0.1})
    if name == "Adagrad":
        kwargs = {"lr": 0.1, "lr_decay": 0.5}
        pair = Pair(name, kwargs)
    for which in ((0, 1), (0,), (0, 1), (1,), (0, 1)):
        pair.step(which)
        pair.check()
    state = pair.a.state_dict()["state"]
    assert [state[n]["step"].item() for n in (0, 1)] == [4.0, 4.0]


def test_parameters_with_one_history_share_one_count():
    pair = Pair("AdamW", {})
    pair.step()
    first = pair.a.state[pair.ours[0]]["step"]
    pair.step()
    assert pair.a.state[pair.ours[0]]["step"] is first and pair.a.state[pair.ours[1]]["step"] is first
    assert first.shape == () and first.dtype is st.float32 and first.item() == 2.0
    pair.a.load_state_dict(pair.a.state_dict())
    assert pair.a.state[pair.ours[0]]["step"] is pair.a.state[pair.ours[1]]["step"]


def test_groups_with_own_settings():
    pair = Pair(
        "SGD", {"lr": 0.1, "momentum": 0.5}, groups=lambda ps: [{"params": ps[0]}, {"params": [ps[1]], "lr": 1.0}]
    )
    for _ in range(3):
        pair.step()
        pair.check()
    extra = nn.Parameter(st.ones(1))
    pair.a.add_param_group({"params": [extra], "weight_decay": 0.5})
    assert pair.a.param_groups[2]["lr"] == 0.1 and pair.a.param_groups[2]["weight_decay"] == 0.5
    with pytest.raises(ArgumentError, match="once"):
        pair.a.add_param_group({"params": [extra]})


@pytest.mark.parametrize(("name", "kwargs"), [CASES[2], CASES[5], CASES[7], CASES[10], CASES[13]])
def test_settings_may_change_between_steps(name, kwargs):
    pair = Pair(name, kwargs)
    for number in range(6):
        pair.step()
        pair.check(5e-6)
        for optimizer in (pair.a, pair.b):
            group = optimizer.param_groups[0]
            group["lr"] = 0.1 / (number + 1)
            group["weight_decay"] = 0.02 * number
            if "betas" in group:
                group["betas"] = (0.7 + 0.02 * number, 0.9)
            elif group.get("momentum"):
                group["momentum"] = 0.5 + 0.05 * number


def test_a_new_rate_reaches_the_same_handle_without_a_new_epoch():
    pair = Pair("AdamW", {"lr": 0.1})
    pair.step()
    group = pair.a.param_groups[0]
    (handle,) = [entry[2] for entry in group.handles.values()]
    before = TRACING.version
    group["lr"] = 0.025
    group.update(lr=0.5)
    assert handle.item() == 0.5 and handle.dtype is st.float32 and handle.shape == ()
    assert TRACING.version == before
    pair.step()
    assert [entry[2] for entry in group.handles.values()] == [handle] and TRACING.version == before
    group["eps"] = 1e-6
    assert TRACING.version > before, "a number that was a constant starts to vary"
    pair.step()
    before = TRACING.version
    group["eps"] = 1e-7
    assert TRACING.version == before
    group["weight_decay"] = 0.0
    assert TRACING.version > before, "the form of the update changes"


def test_double_precision_stays_double():
    pair = Pair("AdamW", {"lr": 0.01}, np.float64)
    for _ in range(5):
        pair.step()
        pair.check(1e-7)
    assert pair.a.state[pair.ours[0]]["exp_avg"].dtype is st.float64


def test_half_width_parameters_update_in_float32():
    p = nn.Parameter(st.ones(8).to(st.bfloat16))
    optimizer = optim.AdamW([p], lr=0.1)
    for _ in range(3):
        p.grad = st.full((8,), 0.5).to(st.bfloat16)
        optimizer.step()
    assert p.dtype is st.bfloat16 and optimizer.state[p]["exp_avg"].dtype is st.bfloat16
    assert p.float().tolist() == pytest.approx([0.7] * 8, abs=0.01)


def test_lion():
    p = nn.Parameter(st.tensor([1.0, -2.0]))
    optimizer = optim.Lion([p], lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    value, mean = np.array([1.0, -2.0]), np.zeros(2)
    for grad in ([0.3, -0.2], [-0.1, 0.4], [-5.0, 0.0]):
        p.grad = st.tensor(grad)
        optimizer.step()
        g = np.array(grad)
        value = value * (1 - 0.1 * 0.5) - 0.1 * np.sign(0.9 * mean + 0.1 * g)
        mean = 0.99 * mean + 0.01 * g
        np.testing.assert_allclose(p.detach().numpy(), value, rtol=1e-5)


def test_closure_and_zero_grad():
    p = nn.Parameter(st.tensor([2.0]))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert p.item() == pytest.approx(1.6)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.item() == pytest.approx(1.6)


def test_everything_has_its_value_after_a_step():
    layer = nn.Linear(3, 2)
    optimizer = optim.Adam(layer.parameters())
    layer(st.ones(2, 3)).sum().backward()
    optimizer.step()
    handles = [*layer.parameters(), *(v for s in optimizer.state.values() for v in s.values())]
    assert len(handles) == 2 + 2 * 3 and all(handle.node.buf is not None for handle in handles)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"lr": math.nan}),
        ("SGD", {"lr": math.inf}),
        ("SGD", {"lr": 0.1, "momentum": -0.1}),
        ("SGD", {"lr": 0.1, "nesterov": True}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, math.nan)}),
        ("AdamW", {"eps": -1e-8}),
        ("AdamW", {"weight_decay": math.inf}),
        ("RMSprop", {"alpha": -1.0}),
        ("Adagrad", {"lr_decay": -0.1}),
        ("Lion", {"betas": (0.9,)}),
        ("Lion", {"betas": 0.5}),
        ("Adam", {"betas": 0.9}),
        ("Adam", {"betas": (0.9,)}),
        ("Adam", {"betas": ("a", "b")}),
        ("SGD", {"lr": "fast"}),
        ("SGD", {"lr": None}),
        ("SGD", {"lr": (0.1, 0.2)}),
        ("SGD", {"lr": 0.1, "momentum": "much", "nesterov": True}),
    ],
)
def test_impossible_settings(name, kwargs):
    with pytest.raises(ArgumentError, match=rf"^\[{name}\] expected"):
        getattr(optim, name)([nn.Parameter(st.ones(1))], **kwargs)


def test_bad_parameters_and_later_settings():
    with pytest.raises(ArgumentError, match="at least one"):
        optim.SGD([])
    with pytest.raises(DTypeError, match="iterable"):
        optim.SGD(nn.Parameter(st.ones(1)))
    with pytest.raises(DTypeError, match="tensors"):
        optim.SGD([1.0])
    optimizer = optim.SGD([nn.Parameter(st.ones(1))], lr=0.1)
    for wrong in (math.nan, "fast", None, [0.1]):
        with pytest.raises(ArgumentError, match="lr"):
            optimizer.param_groups[0]["lr"] = wrong
        assert optimizer.param_groups[0]["lr"] == 0.1
    for group in ({"lr": 0.1}, [nn.Parameter(st.ones(1))]):
        with pytest.raises(ArgumentError, match="params"):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


def test_numbers_of_numpy_and_torch_are_numbers():
    p = nn.Parameter(st.ones(1))
    optimizer = optim.SGD([p], lr=np.float32(0.5))
    p.grad = st.ones(1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = torch.tensor(0.25)
    optimizer.step()
    assert p.tolist() == [0.25]
    with pytest.raises(ArgumentError, match="lr"):
        optimizer.param_groups[0]["lr"] = np.float32(-1.0)
    adam = optim.Adam([p], betas=(np.float32(0.5), torch.tensor(0.75).item()))
    assert adam.param_groups[0]["betas"] == (0.5, 0.75) and type(adam.param_groups[0]["betas"][0]) is float


def test_foreign_state_is_refused_and_changes_nothing():
    pair = Pair("Adam", {})
    pair.step()
    good = pair.a.state_dict()
    for damage in (
        lambda s: s.pop("state"),
        lambda s: s["param_groups"][0]["params"].pop(),
        lambda s: s["state"].update({9: {}}),
        lambda s: s["state"][0].update(exp_avg=st.ones(5)),
        lambda s: s["param_groups"][0].update(lr=math.nan),
    ):
        bad = pair.a.state_dict()
        damage(bad)
        with pytest.raises(CheckpointError, match="load_state_dict"):
            pair.a.load_state_dict(bad)
    after = pair.a.state_dict()
    assert after["param_groups"] == good["param_groups"]
    np.testing.assert_array_equal(after["state"][0]["exp_avg"].numpy(), good["state"][0]["exp_avg"].numpy())


def test_state_dict_is_a_snapshot():
    pair = Pair("Adam", {})
    pair.step()
    state = pair.a.state_dict()
    old = state["state"][0]["exp_avg"].numpy().copy()
    pair.step()
    np.testing.assert_array_equal(state["state"][0]["exp_avg"].numpy(), old)
    assert state["state"][0]["step"].item() == 1.0
