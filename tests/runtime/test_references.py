"""Reference counts: what they decide where they are exact, and that results are the same where they are not."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler import references
from spiraltorch.runtime import allocator
from spiraltorch.runtime.allocator import Allocator
from spiraltorch.telemetry import counters

TESTS = Path(__file__).resolve().parent.parent
SUITE = (
    "runtime/test_evaluation.py", "runtime/test_donation.py", "runtime/test_replay.py", "runtime/test_footguns.py",
    "compiler/test_plan.py", "optim/test_optim_compiled.py",
)  # fmt: skip
# What these measure is memory or work that only exact counts save.
SAVING = {
    "runtime/test_donation.py::test_an_update_is_written_over_the_old_value",
    "runtime/test_donation.py::test_a_compiled_update_is_written_over_the_old_value",
    "runtime/test_donation.py::test_an_update_in_a_contractions_epilogue",
    "runtime/test_donation.py::test_a_training_step_needs_no_second_copy_of_the_parameters[SGD]",
    "runtime/test_donation.py::test_a_training_step_needs_no_second_copy_of_the_parameters[AdamW]",
    "runtime/test_donation.py::test_a_training_step_needs_no_second_copy_of_the_parameters[RMSprop]",
    "runtime/test_evaluation.py::test_a_value_that_is_still_held_is_computed_once",
    "runtime/test_evaluation.py::test_a_chain_that_is_read_at_each_step_costs_the_same_at_each_step",
}


@pytest.fixture
def inexact(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter whose reference counts say nothing."""
    monkeypatch.setattr(references, "EXACT", False)
    monkeypatch.setattr(references, "_getrefcount", lambda x: 1 / 0)
    monkeypatch.setattr(references, "_COMPUTED", weakref.WeakSet())


def operations(run: object) -> int:
    """Operations that `run()` computes."""
    before = counters()["kernels_before_fusion"]
    run()  # type: ignore[operator]
    return int(counters()["kernels_before_fusion"] - before)


def test_counts_are_exact_here() -> None:
    assert references.EXACT or os.environ.get("SPIRALTORCH_EXACT_REFERENCES") == "0" or not references.HAS_GLOBAL_LOCK


def test_a_value_that_is_met_again_is_kept(inexact: None) -> None:
    x = st.tensor(np.linspace(-1, 1, 64, dtype=np.float32))
    y = st.exp(x) * 2
    y.sum().item()
    assert y.node.buf is None
    np.testing.assert_allclose(y.mean().item(), (np.exp(x.numpy()) * 2).mean(), rtol=1e-6)
    assert y.node.buf is not None
    assert operations(lambda: y.max().item()) == 1


def test_a_carried_value_does_not_grow(inexact: None) -> None:
    y, costs = st.ones(8), []
    for _ in range(12):
        y = y * 1.5 + 1
        costs.append(operations(lambda: y.sum().item()))  # noqa: B023
    assert len(set(costs[1:])) == 1 and costs[-1] <= costs[0] + 2
    want = np.ones(8, np.float32)
    for _ in range(12):
        want = want * np.float32(1.5) + 1
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-6)


def test_nothing_is_donated(inexact: None) -> None:
    x = st.tensor(np.arange(1000, dtype=np.float32)) + 0
    st.eval(x)
    address = x.node.buf.ptr
    x = x * 2
    st.eval(x)
    assert x.node.buf.ptr != address

    @st.compile
    def double(t: st.Tensor) -> st.Tensor:
        t *= 2
        return t.sum()

    for _ in range(3):
        old = x.node.buf
        double(x)
        assert x.node.buf is not old
    np.testing.assert_array_equal(x.numpy(), np.arange(1000) * 16)


def test_computed_values_are_not_kept_alive(inexact: None) -> None:
    x = st.tensor(np.ones(16, np.float32))
    for _ in range(5):
        (st.exp(x) + 1).sum().item()
    gc.collect()
    assert not len(references._COMPUTED)


@pytest.mark.slow
def test_the_suite_passes_without_exact_counts() -> None:
    """A part of the tests in an interpreter that may not count: all fail that measure savings, and no other."""
    paths = [str(TESTS / name) for name in SUITE]
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", "-rf", *paths]
    environment = {**os.environ, "SPIRALTORCH_EXACT_REFERENCES": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=TESTS.parent)
    lines = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert {line.removeprefix("tests/") for line in lines} == SAVING, done.stdout[-2000:]
    assert done.returncode == 1, done.stdout[-2000:]


def test_allocators_are_locked_where_threads_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "HAS_GLOBAL_LOCK", False)
    numbers = iter(range(1 << 20))
    blocks = Allocator("test", 1 << 30, lambda size: (next(numbers), object()))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def work() -> None:
            for n in range(500):
                one = blocks.size_class(64 << n % 3)
                one.release(one.take())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(before)
    free = [address for one in blocks.classes.values() for address in one.free]
    assert blocks.in_use == 0 and sorted(free) == sorted(blocks.blocks)
    assert blocks.reserved == sum(one.size * len(one.free) for one in blocks.classes.values())
