"""The store: across processes, damaged, shared, and where nothing can be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tuning_samples import normal, store

import spiraltorch as st
from spiraltorch.compiler import schedules
from spiraltorch.compiler.lowering import Lowered
from spiraltorch.compiler.state import STATE
from spiraltorch.ir.schedule import ScheduleError
from spiraltorch.ir.stmt import Kernel
from spiraltorch.ir.target import Target
from spiraltorch.runtime import files, tunings
from spiraltorch.runtime.tunings import Entry, entry_key

PROGRAM = """
import warnings, sys
import numpy as np
import spiraltorch as st
x = st.asarray(np.ones((150, 300), np.float32)) * 2
total = st.softmax(x, -1).sum().item()
print(st.telemetry.counters()["kernels_tuned"], round(total))
print(st.explain(st.softmax(x, -1).sum()))
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with store(tmp_path / "cache", monkeypatch) as folder:
        yield folder


def python(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    import os

    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def entry(number: int = 0) -> Entry:
    return Entry(
        entry_key(f"k{number}", "t"), "map float32[8]", "cpu:0", st.__version__, {"tile": (6, 4)}, 2.0, 1.0,
        {"tile": (8, 3)}, [{"decisions": {"tile": (6, 4)}, "outcome": "timed", "ratio": 0.5}],
    )  # fmt: skip


def test_other_processes_know_what_was_found(root: Path) -> None:
    first = python("-c", PROGRAM, SPIRALTORCH_TUNE="1")
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert int(out.split()[0]) > 0 and out.split()[1] == "150" and "the tuner tried" in out
    second = python("-c", PROGRAM, SPIRALTORCH_TUNE="0")
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0 and out.startswith("0 150\n") and "the tuner tried" in out, err
    third = python("-c", PROGRAM, SPIRALTORCH_TUNE="1")
    out, err = third.communicate(timeout=60)
    assert third.returncode == 0 and out.startswith("0 150\n"), err
    elsewhere = python("-c", PROGRAM, SPIRALTORCH_CACHE_DIR=str(root / "other"))
    out, _ = elsewhere.communicate(timeout=60)
    assert "the tuner tried" not in out


def test_a_setting_that_means_nothing_is_refused() -> None:
    one = python("-c", "import spiraltorch", SPIRALTORCH_TUNE="yes please")
    _, err = one.communicate(timeout=60)
    assert (
        one.returncode == 1
        and "ArgumentError: [tune] expected SPIRALTORCH_TUNE to be 1" in err
        and "'yes please'" in err
    )


def test_processes_that_tune_at_once(root: Path) -> None:
    both = [python("-c", PROGRAM, SPIRALTORCH_TUNE="1") for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=200)
        assert one.returncode == 0 and "Warning" not in err and "the tuner tried" in out, err
    files = list((root / "tuning").iterdir())
    assert files and all(f.suffix == ".json" for f in files)
    for file in files:
        assert Entry(**json.loads(file.read_text())).key == file.stem


def test_writers_do_not_damage_each_other(root: Path) -> None:
    """Many processes write and read one entry; nobody ever sees a part of one."""
    program = """
import sys, warnings
warnings.simplefilter("error")
from spiraltorch.runtime import files, tunings
sys.path.insert(0, sys.argv[1])
from test_store import entry
one = entry()
for n in range(200):
    tunings.write(one)
    tunings._ENTRIES.clear()
    assert tunings.read(one.key).decisions == {"tile": [6, 4]}
"""
    several = [python("-c", program, str(Path(__file__).parent)) for _ in range(3)]
    for one in several:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
    assert len(list((root / "tuning").iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b'{"key": "x"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"key",
        b"times",
        b"decisions",
        b"tried",
        b"kernel",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_damaged_entry_is_rebuilt(root: Path, content: bytes) -> None:
    one = entry()
    tunings.write(one)
    path = root / "tuning" / f"{one.key}.json"
    broken = {
        b"key": {**asdict(one), "key": "another"}, b"times": {**asdict(one), "best": -1}, b"decisions": {**asdict(one), "decisions": 3},
        b"tried": {**asdict(one), "tried": [3]}, b"kernel": {**asdict(one), "kernel": None},
    }  # fmt: skip
    path.write_bytes(json.dumps(broken[content]).encode() if content in broken else content)
    tunings._ENTRIES.clear()
    with pytest.warns(RuntimeWarning, match="is damaged"):
        assert tunings.read(one.key) is None
    assert not path.exists()
    tunings.write(one)
    tunings._ENTRIES.clear()
    found = tunings.read(one.key)
    assert found is not None and found.speedup == 2.0 and found.origin.endswith("2.00 times as fast as the rule's")


def test_an_entry_for_decisions_that_nothing_offers_is_the_rule(root: Path) -> None:
    """An entry that somebody wrote by hand cannot break a kernel."""
    x = normal("cpu", 90, 400)
    with st.tune(seconds=0.3) as session:
        want = st.sigmoid(x).numpy()
    (one,) = session.entries
    path = root / "tuning" / f"{one.key}.json"
    path.write_text(json.dumps({**asdict(one), "decisions": {"unroll": 77, "chunk": "all", "x": None, "threads": [1]}}))
    tunings._ENTRIES.clear()
    with st.tune(seconds=0.3) as again:
        assert (st.sigmoid(x).numpy() == want).all()
    assert again.entries == []


def test_decisions_that_are_refused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal("cpu", 91, 400)
    with st.tune(seconds=0.3) as session:
        want = st.sigmoid(x).numpy()
    (one,) = session.entries
    tunings.write(replace(one, decisions={"unroll": 1, "chunk": 1}))
    plain = schedules.schedule

    def refusing(low: Lowered, target: Target) -> Kernel:
        if low.choices.decisions:
            raise ScheduleError("[split] on purpose")
        return plain(low, target)

    monkeypatch.setattr(schedules, "schedule", refusing)
    STATE.graphs.clear()
    assert (st.sigmoid(x).numpy() == want).all()
    assert "what the tuner's store has for it is refused ([split] on purpose)" in st.explain(st.sigmoid(x))


@pytest.mark.parametrize("where", ["file", "", "/dev/null/nowhere"])
def test_folders_that_cannot_be_written(where: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found holds in this process."""
    root.mkdir(exist_ok=True)
    (root / "file").write_text("not a folder")
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(root / "file") if where == "file" else where)
    monkeypatch.setattr(files._Process, "warned", False)
    one = entry(7)
    if where:
        with pytest.warns(RuntimeWarning, match="cannot be written"):
            tunings.write(one)
    else:
        tunings.write(one)
    assert tunings.read(one.key) == one and tunings.entries() == [one]
    assert tunings.clear() == 1 and tunings.entries() == []


def test_keys_tell_versions_and_targets_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {entry_key("k", "t"), entry_key("k2", "t"), entry_key("k", "t2")}
    monkeypatch.setattr(tunings, "VERSION", tunings.VERSION + 1)
    keys.add(entry_key("k", "t"))
    monkeypatch.setattr(tunings, "__version__", "9.9")
    keys.add(entry_key("k", "t"))
    assert len(keys) == 5


def test_clear_and_entries() -> None:
    for n in range(3):
        tunings.write(entry(n))
    tunings._ENTRIES.clear()
    assert len(st.tuning.entries()) == 3 and st.tuning.clear() == 3 and st.tuning.entries() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_program_has_a_worker_of_its_own() -> None:
    with st.tune(seconds=0.3) as session:
        st.sigmoid(normal("cpu", 90, 400)).numpy()
        (client,) = session._clients.values()
        process = client._process
        child = os.fork()
        if child == 0:
            taken = client.running
            session.close()
            os._exit(int(taken))
        assert os.waitpid(child, 0)[1] == 0
        assert client.running and process is not None and process.poll() is None
        st.tanh(normal("cpu", 90, 401)).numpy()
        assert len(session.entries) == 2
