"""Probes that crash, hang, print or fail end as such, and the rest go on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from capability_samples import CPU, SPARSE

from spiraltorch.capability import Outcome, runner
from spiraltorch.capability.probes.checking import Probe, probes_of
from spiraltorch.capability.rows import ROWS

WORKER = """
import os, sys, time
from spiraltorch.capability import worker
from spiraltorch.capability.probes import checking
def good(device): print("noise on stdout"); return device
def wrong(device): checking.equal("sum", [1.0, 2.0], [1.0, 3.0])
def error(device): return 1 / 0
def missing(device): checking.public("nothing.at_all")
def crash(device): os.write(2, b"last words\\n"); os._exit(7)
def killed(device): os.kill(os.getpid(), 11)
def hang(device): time.sleep(600)
functions = [good, wrong, error, missing, crash, killed, hang]
worker.probes_of = lambda row: [checking.Probe(f.__name__, "", f, 1) for f in functions]
worker.main(sys.argv[1:])
"""


def run(tmp_path: Path, *names: str) -> dict[str, tuple[Outcome, str]]:
    (tmp_path / "worker.py").write_text(WORKER)
    probes = [Probe(name, f"The title of {name}", lambda device: None, 1.0) for name in names]
    ended: list[str] = []
    found = runner.run(SPARSE, CPU, "cpu:0", probes, str(tmp_path), ended.append, [str(tmp_path / "worker.py")])
    assert ended == [r.name for r in found] == list(names)
    assert all(r.title == f"The title of {r.name}" for r in found)
    return {r.name: (r.outcome, r.detail) for r in found}


def test_each_way_to_end(tmp_path: Path) -> None:
    found = run(tmp_path, "good", "wrong", "error", "missing")
    assert found["good"] == (Outcome.PASS, "cpu:0")
    assert found["wrong"] == (Outcome.FAIL, "sum: 1 of 2 differ; at (1,) expected 3.0, got 2.0")
    assert found["error"] == (Outcome.FAIL, "ZeroDivisionError: division by zero")
    assert found["missing"] == (Outcome.MISSING, "`st.nothing`")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_crash_takes_nobody_with_it(tmp_path: Path) -> None:
    found = run(tmp_path, "crash", "good", "killed", "wrong")
    assert found["crash"][0] is Outcome.CRASH and found["crash"][1] == "exit code 7: last words"
    assert found["killed"][0] is Outcome.CRASH and "SIGSEGV" in found["killed"][1]
    assert found["good"][0] is Outcome.PASS and found["wrong"][0] is Outcome.FAIL


def test_a_hang_ends_at_its_limit(tmp_path: Path) -> None:
    started = time.perf_counter()
    found = run(tmp_path, "good", "hang", "error")
    assert time.perf_counter() - started < 60
    assert found["hang"] == (Outcome.TIMEOUT, "no result within 1 s")
    assert found["good"][0] is Outcome.PASS and found["error"][0] is Outcome.FAIL


def test_a_worker_that_cannot_start_is_a_crash(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')")
    probes = [Probe("one", "", lambda device: None, 1.0)]
    (result,) = runner.run(SPARSE, CPU, "cpu:0", probes, str(tmp_path), worker=[str(tmp_path / "broken.py")])
    assert result.outcome is Outcome.CRASH and "RuntimeError: no" in result.detail


def test_marked_probes_must_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("good", "wrong"):
        monkeypatch.setitem(runner.EXPECTED, ("cpu", "sparse", name), "known since long")
    found = run(tmp_path, "good", "wrong", "error")
    assert found["good"][0] is Outcome.UNEXPECTED_PASS and "take the mark away" in found["good"][1]
    assert found["wrong"] == (Outcome.EXPECTED_FAILURE, "known since long")
    assert found["error"][0] is Outcome.FAIL


def test_every_measured_row_has_probes_with_titles_and_names_of_its_own() -> None:
    for row in ROWS:
        if row.measured:
            probes = probes_of(row)
            assert probes and len({p.name for p in probes}) == len(probes), row.id
            assert all(p.title and not p.title.endswith(".") and p.seconds > 0 for p in probes), row.id


def test_marks_name_probes_that_exist() -> None:
    known = {(row.id, p.name) for row in ROWS if row.measured for p in probes_of(row)}
    assert all((row, name) in known for _, row, name in runner.EXPECTED)
