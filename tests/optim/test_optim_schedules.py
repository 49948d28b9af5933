"""Learning-rate schedules against PyTorch, and against closed forms where PyTorch has none."""

import math

import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim
from spiraltorch.errors import ArgumentError
from spiraltorch.optim import lr_scheduler as ours

theirs = torch.optim.lr_scheduler

CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 4}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.6, "total_iters": 7}),
    ("PolynomialLR", {"total_iters": 6, "power": 2.0}),
    ("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.02}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.8**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1.0 / (epoch + 1), lambda epoch: 0.5]}),
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 16}),
    ("OneCycleLR", {"max_lr": [0.4, 0.2], "epochs": 4, "steps_per_epoch": 4, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 18, "three_phase": True, "pct_start": 0.4}),
]


def pair(kind="SGD", **kwargs):
    kwargs = {"lr": 0.1, **({"momentum": 0.9} if kind == "SGD" else {}), **kwargs}
    a, b = ([nn.Parameter(st.ones(1)) for _ in "ab"], [torch.nn.Parameter(torch.ones(1)) for _ in "ab"])
    return tuple(
        getattr(lib, kind)([{"params": [p[0]]}, {"params": [p[1]], "lr": 0.3}], **kwargs)
        for lib, p in ((optim, a), (torch.optim, b))
    )


def same_groups(a, b):
    for mine, other in zip(a.param_groups, b.param_groups):
        for key in ("lr", "momentum", "betas"):
            if key in other:
                assert mine[key] == pytest.approx(other[key], rel=1e-9, abs=1e-15), key


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_schedule(name, kwargs, kind):
    a, b = pair(kind)
    mine, other = getattr(ours, name)(a, **kwargs), getattr(theirs, name)(b, **kwargs)
    for _ in range(15):
        same_groups(a, b)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr())
        b.step()
        mine.step()
        other.step()


def test_sequential_and_chained():
    a, b = pair()

    def build(lib, optimizer):
        parts = [
            lib.LinearLR(optimizer, start_factor=0.1, total_iters=3),
            lib.CosineAnnealingLR(optimizer, T_max=5),
            lib.ExponentialLR(optimizer, gamma=0.5),
        ]
        return lib.SequentialLR(optimizer, parts, milestones=[3, 8])

    mine, other = build(ours, a), build(theirs, b)
    for _ in range(12):
        same_groups(a, b)
        b.step()
        mine.step()
        other.step()
    a, b = pair()
    first = [lib.StepLR(o, 2, 0.5) for lib, o in ((ours, a), (theirs, b))]
    second = [lib.ExponentialLR(o, 0.9) for lib, o in ((ours, a), (theirs, b))]
    for _ in range(6):
        same_groups(a, b)
        b.step()
        for scheduler in (*first, *second):
            scheduler.step()


@pytest.mark.parametrize(
    "kwargs",
    [{"patience": 1}, {"mode": "max", "patience": 0, "cooldown": 2}, {"threshold_mode": "abs", "min_lr": 0.05}],
)
def test_plateau(kwargs):
    kwargs = {"factor": 0.5, "patience": 2, "threshold": 0.05, **kwargs}
    a, b = pair()
    mine, other = ours.ReduceLROnPlateau(a, **kwargs), theirs.ReduceLROnPlateau(b, **kwargs)
    for metric in (1.0, 0.9, 0.89, 0.88, 0.9, 0.95, 0.5, 0.5, 0.6, 0.7, 0.8, math.nan, 0.4, 0.4, 0.4, 0.4):
        mine.step(metric)
        other.step(metric)
        same_groups(a, b)
    mine.step(st.tensor(0.1))
    assert mine.best == (pytest.approx(0.1) if kwargs.get("mode") != "max" else mine.best)


def test_warmup_cosine_closed_form():
    a, _ = pair()
    schedule = ours.WarmupCosineLR(a, warmup_steps=3, total_steps=11, eta_min=0.01)
    for epoch in range(15):
        expected = (
            0.1 * (epoch + 1) / 4
            if epoch < 3
            else 0.01 + 0.09 * 0.5 * (1 + math.cos(math.pi * min((epoch - 3) / 8, 1.0)))
        )
        assert a.param_groups[0]["lr"] == pytest.approx(expected)
        schedule.step()


@pytest.mark.parametrize(("name", "kwargs"), [CASES[0], CASES[5], CASES[7], CASES[11]])
def test_state_goes_on(name, kwargs):
    a, _ = pair()
    first = getattr(ours, name)(a, **kwargs)
    for _ in range(4):
        first.step()
    state, saved = first.state_dict(), a.state_dict()
    rest = []
    for _ in range(5):
        first.step()
        rest.append(first.get_last_lr())
    again, _ = pair()
    second = getattr(ours, name)(again, **kwargs)
    second.load_state_dict(state)
    again.load_state_dict(saved)
    for expected in rest:
        second.step()
        assert second.get_last_lr() == pytest.approx(expected)


@pytest.mark.parametrize(
    "build",
    [
        lambda o: ours.StepLR(o, 0),
        lambda o: ours.ExponentialLR(o, math.nan),
        lambda o: ours.CosineAnnealingLR(o, 0),
        lambda o: ours.LinearLR(o, start_factor=0.0),
        lambda o: ours.LambdaLR(o, [lambda e: 1.0]),
        lambda o: ours.OneCycleLR(o, 0.1),
        lambda o: ours.OneCycleLR(o, math.inf, total_steps=5),
        lambda o: ours.SequentialLR(o, [ours.StepLR(o, 1)], milestones=[1]),
        lambda o: ours.ReduceLROnPlateau(o, factor=1.0),
        lambda o: ours.WarmupCosineLR(o, 5, 5),
        lambda o: ours.StepLR(o, 1, last_epoch=3),
    ],
)
def test_bad_arguments(build):
    with pytest.raises(ArgumentError, match=r"^\[\w+\] expected"):
        build(pair()[0])
