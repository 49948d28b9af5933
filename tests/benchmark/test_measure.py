"""The measuring loop with fake workers: order of requests, crashes, limits and budgets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from spiraltorch.benchmark import machine
from spiraltorch.benchmark.measure import MIN_ROUNDS, Process, RowResult, Timing, measure
from spiraltorch.benchmark.row import Row

WORKER = """
import json, os, sys, time
library, log = sys.argv[1], {log!r}
row = None
for line in sys.stdin:
    order = json.loads(line)
    row = order.get("row", row)
    with open(log, "a") as file:
        print(library, order["do"], row, file=file)
    if row == "crash" and library == "bad":
        print("out of luck", file=sys.stderr)
        os._exit(3)
    if row == "killed" and library == "bad" and order["do"] == "time":
        os.kill(os.getpid(), 9)
    if row == "hang" and library == "bad":
        time.sleep(60)
    if row == "refuse" and library in ("bad", "float64"):
        answer = {{"error": "ValueError: not today"}}
    elif order["do"] == "time":
        answer = {{"median": 2.0 if library == "spiraltorch" else 1.0}}
    else:
        answer = {{"relative": 0.5 if library == "bad" else 0.0, "first": 1.0, "call": 5.0 if row == "slow" else 0.001}}
    print(json.dumps(answer), flush=True)
"""
LIBRARIES = ("spiraltorch", "good", "bad")


def row(name: str) -> Row:
    return Row(name, name, lambda rng: (), {}, tolerance=1e-5)


class Fake:
    """Runs the measuring loop with fake workers; `log` has a line for each request."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log"

    def __call__(self, *names: str, rounds: int = 2, **options: Any) -> list[RowResult]:
        command = [sys.executable, "-c", WORKER.format(log=str(self.path))]
        options = {"libraries": LIBRARIES, "has": lambda library, row: True, **options}
        return measure([row(n) for n in names], rounds=rounds, threads=1, command=command, **options)

    @property
    def log(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def test_libraries_take_turns(fake: Fake) -> None:
    (found,) = fake("plain", rounds=3)
    prepared = [f"{name} prepare plain" for name in LIBRARIES]
    assert fake.log == ["float64 reference plain", *prepared, *[f"{name} time plain" for name in LIBRARIES] * 3]
    assert [len(t.rounds) for t in found.timings.values()] == [3, 3, 3]


def test_the_ratio_is_to_the_best_peer_that_is_right(fake: Fake) -> None:
    (found,) = fake("plain")
    assert found.timings["bad"].verdict == "WRONG" and found.timings["good"].verdict == "ok"
    assert (found.best, found.ratio) == ("good", 2.0)


def test_a_crash_is_reported_for_its_row_and_the_next_row_runs(fake: Fake) -> None:
    said: list[str] = []
    crashed, after = fake("crash", "plain", log=said.append)
    assert crashed.timings["bad"].problem == "ended with exit code 3: out of luck"
    assert crashed.timings["bad"].verdict == "failed" and crashed.ratio == 2.0
    assert len(after.timings["bad"].rounds) == 2
    assert len(said) == 2 and "out of luck" in said[0]


def test_a_worker_that_is_killed_while_it_is_timed(fake: Fake) -> None:
    (found,) = fake("killed")
    assert found.timings["bad"].problem == "ended by SIGKILL" and len(found.timings["good"].rounds) == 2


def test_a_limit_of_time(fake: Fake) -> None:
    hung, after = fake("hang", "plain", limit=3.0)
    assert hung.timings["bad"].problem == "no answer within 3 s"
    assert after.timings["bad"].problem is None


def test_a_row_that_cannot_be_checked_says_why(fake: Fake) -> None:
    (found,) = fake("refuse")
    assert found.unchecked == "ValueError: not today" and found.timings["bad"].problem == "ValueError: not today"


def test_slow_rows_have_fewer_rounds(fake: Fake) -> None:
    slow, plain = fake("slow", "plain", rounds=9, budget=20.0)
    assert {len(t.rounds) for t in slow.timings.values()} == {4}
    assert {len(t.rounds) for t in plain.timings.values()} == {9}
    (slowest,) = fake("slow", rounds=9, budget=1.0)
    assert {len(t.rounds) for t in slowest.timings.values()} == {MIN_ROUNDS}


def test_libraries_without_a_program_are_not_asked(fake: Fake) -> None:
    (found,) = fake("plain", has=lambda library, row: library != "good")
    assert set(found.timings) == {"spiraltorch", "bad"} and not any("good" in line for line in fake.log)
    assert found.best is None and found.ratio is None


def test_verdicts() -> None:
    assert Timing([1.0], relative=1e-6, tolerance=1e-5).verdict == "ok"
    assert Timing([1.0], relative=1e-4, tolerance=1e-5).verdict == "WRONG"
    assert Timing([1.0], relative=0.0, tolerance=0.0).verdict == "ok"
    assert Timing([1.0]).verdict == "unchecked"
    assert Timing(problem="no").verdict == "failed" and Timing().median is None


def test_a_real_worker(tmp_path: Path) -> None:
    worker = Process("spiraltorch", 1, machine.SUITE, (sys.executable, "-m", "spiraltorch.benchmark.worker"))
    order = {"row": "rowsum", "size": {"n": 8, "m": 8}, "path": str(tmp_path / "none.npz")}
    try:
        answer = worker.ask({"do": "prepare", **order}, 60.0)
        assert answer["relative"] is None and answer["first"] > answer["call"] > 0
        assert 0 < worker.ask({"do": "time", "seconds": 0.01}, 60.0)["median"] < answer["first"]
    finally:
        worker.end()


def test_the_environment_gives_every_library_its_threads() -> None:
    environment = machine.environment(3)
    names = ("SPIRALTORCH_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    assert [environment[name] for name in names] == ["3"] * 4
    assert "--xla_cpu_multi_thread_eigen=true" in environment["XLA_FLAGS"]
    assert "--xla_cpu_multi_thread_eigen=false" in machine.environment(1)["XLA_FLAGS"]
