"""Latencies of imports, first calls and calls, measured with little work."""

from __future__ import annotations

import os
import sys

import pytest

from spiraltorch.benchmark import latency, machine, scaling
from spiraltorch.benchmark.libraries import SpiralTorch
from spiraltorch.benchmark.rows import ROWS


def test_the_overhead_of_a_call() -> None:
    library = SpiralTorch()
    few, many = latency.overhead(library, 0, 0.02), latency.overhead(library, 50, 0.02)
    assert 0 < few < 0.1 and 0 < many < 0.1


def test_the_first_call_is_timed_with_its_compilation() -> None:
    library = SpiralTorch()
    row = ROWS["mlp"].small()
    assert latency.first_call(library, row) > 0


def test_processes_find_bytecode_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    code = "import json, sys; print(json.dumps(bool(sys.pycache_prefix) and not sys.dont_write_bytecode))"
    with latency.bytecode_cache():
        assert latency._run_process([sys.executable, "-c", code], machine.environment(1)) == 1.0
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1" and "PYTHONPYCACHEPREFIX" not in os.environ


def test_a_chain_has_as_many_operations_as_it_says() -> None:
    import numpy as np

    x, y = (np.float64(a) for a in (3.0, 1.0))
    counted = 0

    class Counting:
        def __init__(self, value: float) -> None:
            self.value = value

        def __mul__(self, other: float) -> Counting:
            nonlocal counted
            counted += 1
            return Counting(self.value * other)

        def __add__(self, other: Counting) -> Counting:
            nonlocal counted
            counted += 1
            return Counting(self.value + other.value)

    row = latency.chain(10)
    row.programs["spiraltorch"](None, **row.size)(Counting(x), Counting(y))
    assert counted == 10


def test_compile_times_come_from_new_processes_with_empty_caches() -> None:
    curve = scaling.compile_times(["spiraltorch", "numpy"], 1, lengths=(10,))
    (seconds,) = curve.values["spiraltorch"]
    assert list(curve.values) == ["spiraltorch"] and isinstance(seconds, float) and 0 < seconds < 60


def test_what_went_wrong_is_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ModuleNotFoundError" in str(latency.import_time("there_is_no_such_module", 1))
    monkeypatch.setattr(latency, "LIMIT", 0.05)
    assert (
        latency._run_process([sys.executable, "-c", "import time; time.sleep(9)"], machine.environment(1))
        == "over 0.05 s"
    )
