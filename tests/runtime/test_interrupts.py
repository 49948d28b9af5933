"""Interrupts at random moments: a training step is done or not done, and what runs next works as ever."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import spiraltorch as st

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
INTERRUPTS = 100  # in each of five cases


def interruptible(call: Callable[[], object]) -> None:
    """Makes a call, the only one in which an alarm raises."""
    call()


def interrupt(_: int, frame: FrameType | None) -> None:
    """Raises where `interruptible` is at work, so that the test itself is not interrupted."""
    while frame is not None:
        if frame.f_code is interruptible.__code__:
            raise KeyboardInterrupt
        frame = frame.f_back


def interrupted(call: Callable[[], object], delay: float, interval: float = 0.0) -> bool:
    """Makes a call that an alarm interrupts after a delay, and maybe again. Returns whether it did."""
    signal.setitimer(signal.ITIMER_REAL, delay, interval)
    try:
        interruptible(call)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(0.001)
    signal.signal(signal.SIGALRM, before)


class Training:
    """A layer, an optimizer and a step; the state as arrays that can be compared and put back."""

    def __init__(self, kind: str, compiled: bool) -> None:
        rng = np.random.default_rng(0)
        self.layer = st.nn.Linear(100, 100)
        make: dict[str, Any] = {
            "SGD": lambda: st.optim.SGD(self.layer.parameters(), lr=0.01),
            "momentum": lambda: st.optim.SGD(self.layer.parameters(), lr=0.01, momentum=0.9),
            "Adam": lambda: st.optim.Adam(self.layer.parameters(), lr=0.01),
        }
        self.optimizer = make[kind]()
        self.x = st.asarray(rng.standard_normal((8, 100)).astype(np.float32))
        self.step = st.compile(self.plain) if compiled else self.plain

    def plain(self) -> st.Tensor:
        self.optimizer.zero_grad()
        loss = (self.layer(self.x) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def tensors(self) -> list[st.Tensor]:
        params = list(self.layer.parameters())
        states = [v for p in params for _, v in sorted(self.optimizer.state[p].items()) if isinstance(v, st.Tensor)]
        return params + states

    def state(self) -> list[Any]:
        return [np.array(t.detach().numpy()) for t in self.tensors()]

    def put(self, state: list[Any]) -> None:
        with st.no_grad():
            for tensor, array in zip(self.tensors(), state, strict=True):
                tensor.copy_(array)
        st.eval(*self.tensors())


def equal(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("kind", "compiled"),
    [("SGD", False), ("momentum", False), ("Adam", False), ("SGD", True), ("Adam", True)],
)
def test_a_step_is_done_or_not_done(kind: str, compiled: bool) -> None:
    training, rng = Training(kind, compiled), random.Random(0)
    for _ in range(6):
        training.step()
    began = time.perf_counter()
    for _ in range(10):
        training.step()
    duration = (time.perf_counter() - began) / 10
    caught, ends = 0, set()
    longest = 3 * duration
    for turn in range(20 * INTERRUPTS):
        before = training.state()
        training.step()
        after = training.state()
        training.put(before)
        hit = interrupted(training.step, rng.uniform(2e-5, longest), 1e-4 if turn % 2 else 0)
        longest = min(3 * duration, longest * 1.2) if hit else max(1e-4, longest * 0.95)  # a busy machine changes speed
        caught += hit
        now = training.state()
        old, new = equal(now, before), equal(now, after)
        assert old or new, f"turn {turn}: half a step, or two"
        ends.add(old)
        assert st.is_grad_enabled()
        if caught == INTERRUPTS:
            break
    assert caught == INTERRUPTS
    assert ends == {True, False}


def test_compilation_goes_on_after_interrupts() -> None:
    rng, caught = random.Random(0), 0
    for n in range(30):
        caught += interrupted(lambda: (st.ones(3, 104 + n) @ st.ones(104 + n, 7) + 1).numpy(), rng.uniform(0.001, 0.05))  # noqa: B023
        assert (st.ones(3, 104 + n) @ st.ones(104 + n, 7) + 1).sum().item() == 21 * (105 + n)
    assert caught


def test_a_signal_handler_evaluates_the_plan_that_it_interrupts() -> None:
    x, y = st.asarray(np.arange(1000, dtype=np.float32)), st.ones(1000)
    st.eval(y)
    calls = []

    def handler(*_: object) -> None:
        calls.append(bool(((y * 2 + 1).numpy() == 3).all()))
        if len(calls) % 50 == 0:
            (st.ones(5 + len(calls)) * 3).sum().item()  # compiles

    signal.signal(signal.SIGALRM, handler)
    want, rng, end = np.arange(1000, dtype=np.float32) * 2 + 1, random.Random(0), time.monotonic() + 5
    while time.monotonic() < end:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 3e-4))
        for _ in range(5):
            np.testing.assert_array_equal((x * 2 + 1).numpy(), want)
    assert len(calls) > 50 and all(calls)
