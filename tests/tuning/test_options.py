"""Every option of every decision means the same as the rule's choice, and no decision means no change."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tuning_samples import DEVICES, GRAPHS, lowered

from spiraltorch.compiler.choices import Choices
from spiraltorch.compiler.schedules import schedule
from spiraltorch.ir.interpreter import run
from spiraltorch.ir.kernel_key import kernel_key
from spiraltorch.ir.schedule import ScheduleError
from spiraltorch.ir.stmt import format_kernel
from spiraltorch.ir.wire import pack, unpack
from spiraltorch.runtime import device
from spiraltorch.runtime.interpreter import deep_recursion
from spiraltorch.tuning.trial import Trial

SAMPLED = 6  # options and pairs of options that are run for one kernel


def _expected(trial: Trial) -> list[Any]:
    """What the kernel means, by the interpreter on the unscheduled loops."""
    kernel = trial.kernel
    arrays = {
        b.name: array.copy().reshape([e.const for e in b.shape])
        for b, array in zip(kernel.params, trial.arrays, strict=True)
    }
    run(kernel, arrays, {s.name: np.asarray(0.5 if s.dtype.is_float else 1, s.dtype.numpy) for s in kernel.scalars})
    return [arrays[kernel.params[n].name].reshape(-1) for n in trial.stored]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("where", DEVICES)
def test_options_mean_the_same(where: str, name: str) -> None:
    opened = device.get(where)
    rng = random.Random(f"{where}{name}")
    for low in lowered(GRAPHS[name](where)):
        with deep_recursion():
            choices = Choices()
            schedule(low, opened.target, choices)
            trial = Trial(opened, low.kernel)
            trial.expected = _expected(trial)
            trial.check(trial.load(schedule(low, opened.target)))
            others = [{n: o} for n, one in choices.asked.items() for o in one.options if o != one.default]
            pairs = [{**a, **b} for a in others for b in others if a.keys() != b.keys()]
            wanted = rng.sample(others, min(len(others), SAMPLED)) + rng.sample(pairs, min(len(pairs), SAMPLED // 2))
            for decisions in wanted:
                try:
                    kernel = schedule(low, opened.target, Choices(decisions))
                except ScheduleError:
                    continue  # a search leaves it out
                trial.check(trial.load(kernel))


@pytest.mark.parametrize("where", DEVICES)
def test_rules_ask_for_what_matters(where: str) -> None:
    """The decisions that a search may change are those that the design names."""
    target = device.get(where).target
    asked: set[str] = set()
    for make in GRAPHS.values():
        for low in lowered(make(where)):
            choices = Choices()
            with deep_recursion():
                schedule(low, target, choices)
            asked |= choices.asked.keys()
    if target.has_grid:
        wanted = {"items", "each", "share", "row.items", "tiled", "side", "each_m", "each_n", "step"}
    else:
        wanted = {
            "unroll",
            "unroll.0",
            "side",
            "chunk",
            "threads",
            "tile",
            "pack",
            "depth",
            "mc",
            "nc",
            "form",
            "lines",
        }
    assert wanted <= asked


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("where", DEVICES)
def test_no_decision_changes_nothing(where: str, name: str) -> None:
    target = device.get(where).target
    for low in lowered(GRAPHS[name](where)):
        choices, unknown = Choices(), Choices({"no such decision": 3, "tile": [99, 99], "unroll": True})
        with deep_recursion():
            plain = schedule(low, target)
            assert format_kernel(schedule(low, target, choices)) == format_kernel(plain)
            assert format_kernel(schedule(low, target, unknown)) == format_kernel(plain)
        assert choices.changed == unknown.changed == {}
        key = kernel_key(low.kernel, low.kind.value, target.key)
        assert choices.key(key) == key != unknown.key(key)


def test_decisions_are_part_of_the_key() -> None:
    keys = [Choices(d).key("k") for d in ({}, {"a": 1}, {"a": 2}, {"a": True}, {"b": 1}, {"a": (1, 2)})]
    assert len(set(keys)) == len(keys) and keys[0] == "k"
    assert Choices({"a": [1, 2]}).key("k") == Choices({"a": (1, 2)}).key("k")


@pytest.mark.parametrize("name", GRAPHS)
def test_kernels_travel(name: str) -> None:
    """A kernel that was packed is the same kernel, and can be scheduled."""
    target = device.get("cpu:0").target
    for low in lowered(GRAPHS[name]("cpu:0")):
        with deep_recursion():
            low.params, low.stores = [], []
            other = unpack(pack(low), type(low))
            assert format_kernel(other.kernel) == format_kernel(low.kernel)
            assert kernel_key(other.kernel, "", "") == kernel_key(low.kernel, "", "")
            assert format_kernel(schedule(other, target)) == format_kernel(schedule(low, target))
