"""Several Python threads at once: each has its gradient mode, and none sees another's recording."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import optim

ROUNDS = 6


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns so often that each is interrupted in the middle of everything."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*jobs: Callable[[], None]) -> None:
    """Runs each job in a thread; raises what one of them raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_the_gradient_mode_is_of_one_thread() -> None:
    inside, done = threading.Event(), threading.Event()

    def without() -> None:
        with st.no_grad():
            inside.set()
            done.wait(30)
            assert not st.is_grad_enabled()

    def beside() -> None:
        inside.wait(30)
        try:
            x = st.tensor([1.0, 2.0], requires_grad=True)
            (x * 3).sum().backward()
            assert x.grad is not None and x.grad.tolist() == [3.0, 3.0]
        finally:
            done.set()

    together(without, beside)


def test_operations_wait_for_a_recording_that_holds_their_tensor() -> None:
    shared, recording, asked = st.arange(4.0), threading.Event(), threading.Event()
    found: list[list[float]] = []

    @st.compile
    def record(x: st.Tensor) -> st.Tensor:
        y = x + shared
        recording.set()
        asked.wait(0.3)  # the other thread cannot be done before this one is
        return y * 2

    def beside() -> None:
        recording.wait(30)
        found.append((shared * 10).tolist())
        asked.set()

    together(lambda: found.append(record(st.ones(4)).tolist()), beside)
    assert sorted(found) == [[0.0, 10.0, 20.0, 30.0], [2.0, 4.0, 6.0, 8.0]]


def test_recordings_eager_operations_and_training_at_once() -> None:
    shared = st.arange(4.0)

    def compiled() -> None:
        for n in range(ROUNDS):
            f = st.compile(lambda x, n=n: (x * n + shared).sum(-1))
            for size in (1, 3, 3):
                assert f(st.ones(size, 4)).tolist() == [4.0 * n + 6.0] * size

    def eager() -> None:
        for n in range(20 * ROUNDS):
            assert (shared * n + st.ones(4)).sum().item() == 6.0 * n + 4.0

    def train() -> None:
        for n in range(ROUNDS):
            w = st.tensor([1.0, 2.0], requires_grad=True)
            optimizer = optim.SGD([w], lr=0.25)

            def step(w: st.Tensor = w, optimizer: optim.SGD = optimizer) -> st.Tensor:
                optimizer.zero_grad()
                loss = (w * w).sum()
                loss.backward()
                optimizer.step()
                return loss.detach()

            for run in [st.compile(step) if n % 2 else step] * 3:
                run()
            np.testing.assert_array_equal(w.detach().numpy(), [0.125, 0.25])

    together(compiled, compiled, eager, eager, train, train)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_program_that_is_forked_while_another_thread_records_goes_on() -> None:
    recording, children = threading.Event(), []

    @st.compile
    def record(x: st.Tensor) -> st.Tensor:
        recording.set()
        time.sleep(0.3)
        return x * 2

    def fork() -> None:
        recording.wait(30)
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # where it hangs, it ends so
            os._exit(int((st.ones(3) + 1).tolist() != [2.0, 2.0, 2.0]))
        children.append(os.waitpid(child, 0)[1])

    together(lambda: record(st.ones(3)), fork)
    assert children == [0]
