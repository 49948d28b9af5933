"""Compiled functions follow the state of this library's own objects: settings of optimizers, schedules, what users store there."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.errors import TracingError
from spiraltorch.runtime.device import backends


class Case:
    """Objects of an optimizer and its schedule, of either library, and one of SpiralTorch for the compiled function."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.p = library.tensor([1.0, 2.0]).requires_grad_(True)
        self.optimizer = library.optim.SGD([self.p], lr=0.5, momentum=0.5)
        self.group = self.optimizer.param_groups[0]
        self.group["mine"] = 1.0
        self.optimizer.state[self.p]["count"] = 1.0
        self.optimizer.scale = 3.0
        self.schedule = library.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)

    def train(self, x: Any) -> Any:
        self.optimizer.zero_grad()
        ((self.p * x) ** 2).sum().backward()
        self.optimizer.step()
        return self.p.detach() * 1


def reading(read: Callable[[Case], Any]) -> Callable[[Case], Callable[[Any], Any]]:
    return lambda case: lambda x: x * read(case)


def setting(name: str) -> Callable[[Case, int], None]:
    return lambda case, n: case.group.__setitem__(name, 0.5 / (n + 2))


def stepping(case: Case, n: int) -> None:
    case.optimizer.step()
    case.schedule.step()


READ = {
    "lr": (lambda c: c.optimizer.param_groups[0]["lr"], setting("lr")),
    "lr by a list of groups": (lambda c: max(g["lr"] for g in c.optimizer.param_groups), setting("lr")),
    "momentum": (lambda c: c.optimizer.param_groups[0]["momentum"], setting("momentum")),
    "an entry of the user's": (lambda c: c.optimizer.param_groups[0].get("mine"), setting("mine")),
    "all entries": (lambda c: dict(c.group.items())["mine"] + c.group["lr"], setting("mine")),
    "defaults": (lambda c: c.optimizer.defaults["lr"], lambda c, n: c.optimizer.defaults.update(lr=n + 1.0)),
    "an attribute of the user's": (lambda c: c.optimizer.scale, lambda c, n: setattr(c.optimizer, "scale", n + 5.0)),
    "a number in the state": (
        lambda c: c.optimizer.state[c.p]["count"],
        lambda c, n: c.optimizer.state[c.p].__setitem__("count", n + 5.0),
    ),
    "the epoch": (lambda c: c.schedule.last_epoch, stepping),
    "the last rate": (lambda c: c.schedule.get_last_lr()[0], stepping),
    "the state of a schedule": (lambda c: c.schedule.state_dict()["last_epoch"], stepping),
    "the state of an optimizer": (lambda c: c.optimizer.state_dict()["param_groups"][0]["lr"], stepping),
}


@pytest.mark.parametrize("name", READ)
def test_numbers_that_are_read_are_those_of_the_call(name: str) -> None:
    read, change = READ[name]
    ours, theirs = Case(st), Case(torch)
    compiled = st.compile(lambda x: x * read(ours))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(5):
            expected = torch.ones(2) * read(theirs)
            np.testing.assert_allclose(compiled(st.ones(2)).numpy(), expected.numpy(), rtol=1e-6)
            change(ours, n)
            change(theirs, n)


def scale_rate(case: Case, x: Any) -> Any:
    case.optimizer.param_groups[0]["lr"] *= 0.5
    return case.train(x)


def update_rate(case: Case, x: Any) -> Any:
    for group in case.optimizer.param_groups:
        group.update(lr=group["lr"] * 0.5)
    return case.train(x)


def count_entry(case: Case, x: Any) -> Any:
    case.group["mine"] += 1
    return x * case.group["mine"]


def count_attribute(case: Case, x: Any) -> Any:
    case.optimizer.calls = getattr(case.optimizer, "calls", 0) + 1
    return x * case.optimizer.calls


def count_state(case: Case, x: Any) -> Any:
    case.optimizer.state[case.p]["count"] += 1
    return x * case.optimizer.state[case.p]["count"]


def step_schedule(case: Case, x: Any) -> Any:
    result = case.train(x)
    case.schedule.step()
    return result


CHANGES = [scale_rate, update_rate, count_entry, count_attribute, count_state, step_schedule]


@pytest.mark.parametrize("function", CHANGES)
def test_functions_that_change_settings_change_them_at_each_call(function: Callable[[Case, Any], Any]) -> None:
    ours, theirs = Case(st), Case(torch)
    compiled = st.compile(lambda x: function(ours, x))
    with pytest.warns(RuntimeWarning, match="expected .* to be replayed"):
        for _ in range(7):
            expected = function(theirs, torch.ones(2))
            np.testing.assert_allclose(compiled(st.ones(2)).numpy(), expected.numpy(), rtol=1e-5)
    assert ours.group["lr"] == pytest.approx(theirs.group["lr"])
    assert ours.schedule.last_epoch == theirs.schedule.last_epoch


def test_every_schedule_works_inside_a_compiled_step() -> None:
    schedules: list[Callable[[Any, Any], Any]] = [
        lambda s, o: s.ExponentialLR(o, 0.9),
        lambda s, o: s.CosineAnnealingLR(o, 10),
        lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
        lambda s, o: s.OneCycleLR(o, 0.3, total_steps=10),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o), s.ExponentialLR(o, 0.9)], [3]),
    ]
    for make in schedules:
        ours, theirs = Case(st), Case(torch)
        for case in (ours, theirs):
            case.schedule = make(case.library.optim.lr_scheduler, case.optimizer)
        compiled = st.compile(lambda x, case=ours: step_schedule(case, x))
        with pytest.warns(RuntimeWarning, match=r"LR.step \(.*test_library_state.py"):
            for _ in range(7):
                expected = step_schedule(theirs, torch.ones(2))
                np.testing.assert_allclose(compiled(st.ones(2)).numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_a_schedule_inside_raises_where_replays_are_demanded() -> None:
    case = Case(st)
    compiled = st.compile(lambda x: step_schedule(case, x), strict=True)
    with pytest.raises(TracingError, match=r"StepLR.step"):
        for _ in range(3):
            compiled(st.ones(2))


PAIRS = [
    (st.exp, st.sin), (st.add, st.subtract), (st.sum, st.mean), (st.max, st.min), (st.nn.functional.relu, st.nn.functional.silu),
    (st.Tensor.exp, st.Tensor.log), (st.Tensor.mul_, st.Tensor.sub_), (st.equal, st.not_equal), (st.Tensor.float, st.Tensor.half),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda f: f.__name__)
def test_functions_of_the_library_are_told_apart(first: Callable[..., Any], second: Callable[..., Any]) -> None:
    table: dict[str, Any] = {}

    def apply(function: Callable[..., Any]) -> Any:
        x = st.tensor([1.0, 2.0, 4.0]) * 1
        binary = function in (st.add, st.subtract, st.Tensor.mul_, st.Tensor.sub_, st.equal, st.not_equal)
        return function(x, x + 1) if binary else function(x)

    by_argument, by_table = st.compile(apply), st.compile(lambda: apply(table["f"]))
    for function in (first, second, first, second):
        table["f"] = function
        expected = apply(function)
        for result in (by_argument(function), by_table()):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result.numpy(), expected.numpy())


def test_gradient_functions_are_followed_into_what_they_differentiate() -> None:
    scale = {"k": 2.0}
    gradient = st.grad(lambda w: (w * w * scale["k"]).sum())
    table = [gradient]
    compiled = st.compile(lambda w: table[0](w))
    for k in (2.0, 3.0):
        scale["k"] = k
        np.testing.assert_allclose(compiled(st.ones(2)).numpy(), [2 * k] * 2)
    table[0] = st.grad(lambda w: (w**3).sum())
    np.testing.assert_allclose(compiled(st.ones(2)).numpy(), [3.0] * 2)


def test_attributes_of_a_metaclass_are_followed() -> None:
    class Meta(type):
        scale = 2.0

    class Layer(metaclass=Meta):
        pass

    compiled = st.compile(lambda x: x * Layer.scale)
    for scale in (2.0, 5.0):
        Meta.scale = scale
        assert compiled(st.ones(1)).item() == scale


def test_the_default_device_is_that_of_the_call() -> None:
    names = [names[0] for names in (b.devices() for b in backends().values()) if names]
    before = st.default_device()
    compiled = st.compile(lambda: st.ones(2) * 2)
    try:
        for name in (*names, *names):
            st.set_default_device(name)
            assert compiled().device == name
    finally:
        st.set_default_device(before)


def test_a_users_optimizer_is_replayed() -> None:
    class Descent(st.optim.Optimizer):
        step_key = None

        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.25})

        def _update(self, group: Any, params: Any) -> None:
            for p in params:
                self._set(p, p - p.grad * group["lr"])

    p = st.nn.Parameter(st.ones(2))
    optimizer = Descent([p])

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()
        return p.detach() * 1

    compiled = st.compile(step, strict=True)
    for n in range(4):
        np.testing.assert_allclose(compiled(st.ones(2)).numpy(), [1 - 0.25 * (n + 1)] * 2)
    assert compiled.traces <= 2
    optimizer.param_groups[0]["lr"] = 0.5
    np.testing.assert_allclose(compiled(st.ones(2)).numpy(), [-0.5] * 2)


def test_constants_that_a_compiled_function_makes_can_be_read() -> None:
    mask, rows, captured = np.array([True, False, True]), [2, 0], st.tensor([True, False, True])

    def function(x: Any) -> Any:
        chosen = x[:, mask] + x[:, st.tensor(mask)] * 0
        repeated = x.repeat_interleave(st.tensor(rows), dim=0)
        return chosen, repeated, x * st.tensor(3.0).item()

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    compiled = st.compile(function)
    for changed in (False, False, True):
        if changed:
            mask[1], rows[1] = True, 3
        results = compiled(st.asarray(x))
        np.testing.assert_array_equal(results[0].numpy(), x[:, mask])
        np.testing.assert_array_equal(results[1].numpy(), np.repeat(x, rows, axis=0))
        np.testing.assert_array_equal(results[2].numpy(), x * 3)
    for reading in (
        lambda x: x[:, captured],
        lambda x: x * captured.sum().item(),
        lambda x: x * st.from_dlpack(captured).tolist()[0],
        lambda x: x[x > 0],
        lambda x: x * x.detach().view(-1)[0].item(),
        lambda x: x * (st.tensor(2.0) * x.sum()).item(),
        lambda x: x * captured.view(3)[0].item(),
    ):
        with pytest.raises(TracingError, match="read"):
            st.compile(reading)(st.asarray(x))


def test_rates_that_only_the_optimizer_reads_are_followed_without_recording_again() -> None:
    p = st.nn.Parameter(st.ones(2))
    optimizer = st.optim.SGD([p], lr=0.5)
    schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()
        return p.detach() * 1

    compiled = st.compile(step)
    for _ in range(3):
        compiled(st.ones(2))
    recordings = compiled.traces
    rates = []
    for _ in range(4):
        schedule.step()
        rates.append(0.5 * 0.5**schedule.last_epoch)
        before = p.numpy()
        np.testing.assert_allclose(compiled(st.ones(2)).numpy(), before - rates[-1], rtol=1e-6)
    assert compiled.traces == recordings
    assert compiled.reason == ""
