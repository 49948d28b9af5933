"""A compiled training step follows everything that varies: rates, counts, state, statistics, settings."""

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn, optim
from spiraltorch.errors import TracingError

rng = np.random.default_rng(0)
DATA = rng.normal(size=(8, 4, 3)).astype(np.float32)


def build(name, **kwargs):
    st.manual_seed(5)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = getattr(optim, name)(model.parameters(), **kwargs)

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, optimizer, step


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
        ("AdamW", {"lr": 0.05}),
        ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    ],
)
def test_compiled_steps_are_plain_steps(name, kwargs):
    plain, compiled = build(name, **kwargs), build(name, **kwargs)
    run = st.compile(compiled[2])
    schedules = [optim.lr_scheduler.ExponentialLR(parts[1], 0.7) for parts in (plain, compiled)]
    for number, x in enumerate(DATA):
        np.testing.assert_allclose(run(st.tensor(x)).item(), plain[2](st.tensor(x)).item(), rtol=1e-4)
        for schedule in schedules:
            schedule.step()
        if number == 4:
            for parts in (plain, compiled):
                parts[1].param_groups[0]["weight_decay"] = 0.3
    for key, value in plain[0].state_dict().items():
        np.testing.assert_allclose(compiled[0].state_dict()[key].numpy(), value.numpy(), rtol=1e-3, atol=1e-5)
    expected = plain[1].state_dict()["state"]
    for number, slots in compiled[1].state_dict()["state"].items():
        for key, value in slots.items():
            np.testing.assert_allclose(value.numpy(), expected[number][key].numpy(), rtol=1e-3, atol=1e-6)


def test_a_new_rate_does_not_record_again():
    _, optimizer, step = build("AdamW", lr=0.1)
    run = st.compile(step)
    for x in DATA[:3]:
        run(st.tensor(x))
    recordings = run.traces
    for x in DATA[3:]:
        optimizer.param_groups[0]["lr"] *= 0.5
        run(st.tensor(x))
    assert run.traces == recordings


def test_evaluation_mode_records_again():
    layer = nn.Sequential(nn.BatchNorm1d(3))
    run = st.compile(lambda x: layer(x).detach())
    x = st.tensor(DATA[0])
    for mode in (True, False, True):
        layer.train(mode)
        twin = nn.BatchNorm1d(3)
        twin.load_state_dict(layer[0].state_dict())
        np.testing.assert_allclose(run(x).numpy(), twin.train(mode)(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_schedules_that_a_compiled_function_steps_are_not_replayed():
    _, optimizer, _ = build("SGD", lr=0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1)

    def step(x):
        schedule.step()
        return x + 1

    with pytest.raises(TracingError, match=r"StepLR\.step"):
        st.compile(step, strict=True)(st.ones(1))
    compiled = st.compile(step)
    with pytest.warns(RuntimeWarning, match=r"StepLR\.step"):
        assert [compiled(st.ones(1)).item() for _ in range(3)] == [2.0, 2.0, 2.0]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1**5)
