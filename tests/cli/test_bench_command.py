"""`spiraltorch bench`: its arguments, and what it refuses before anything is measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from spiraltorch.benchmark.libraries import LIBRARIES
from spiraltorch.benchmark.measure import RowResult, Timing
from spiraltorch.benchmark.rows import ROWS
from spiraltorch.cli import bench as command
from spiraltorch.cli.main import main


class Bench:
    """The command with measuring and writing replaced by notes of it in `calls`, on eight cores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.calls: list[Any] = []
        self.patch, self.capsys = monkeypatch, capsys
        self.relative = 1e-7
        monkeypatch.setattr(command, "measure", self.measure)
        monkeypatch.setattr(command, "measure_curves", lambda *given, **options: self.calls.append("curves") or [])
        monkeypatch.setattr(command.latency, "measure", lambda *given: [])
        monkeypatch.setattr(command.documents, "require", lambda root: None)
        monkeypatch.setattr(command.documents, "write", lambda report, root: self.calls.append("write") or [])
        monkeypatch.setattr(command.machine.os, "cpu_count", lambda: 8)

    def measure(self, rows: Any, libraries: Any, rounds: int, threads: int, *rest: Any, **options: Any) -> Any:
        self.calls.append((tuple(row.name for row in rows), tuple(libraries), rounds, threads))
        return [RowResult(row, {"spiraltorch": Timing([1.0], self.relative, tolerance=1e-5)}) for row in rows]

    def __call__(self, *args: str, load: float = 0.0) -> tuple[int, str, str]:
        self.patch.setattr(command.machine.os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
        self.patch.setattr(sys, "argv", ["spiraltorch", "bench", *args])
        with pytest.raises(SystemExit) as stopped:
            main()
        return (int(stopped.value.code or 0), *self.capsys.readouterr())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(monkeypatch, capsys)


def test_a_busy_machine_writes_nothing(bench: Bench) -> None:
    code, _, said = bench("--write", load=2.4)
    assert code == 2 and bench.calls == []
    assert "idle" in said and "at most 0.25 a core" in said and "got 0.30" in said


def test_an_idle_machine_writes(bench: Bench) -> None:
    assert bench("--write", load=1.9)[0] == 0
    assert [name if isinstance(name, str) else "measure" for name in bench.calls] == ["measure", "write"]


def test_a_busy_machine_may_look(bench: Bench) -> None:
    code, out, _ = bench("--rows", "gelu,mlp", "--peers", "numpy", "--rounds", "3", "--threads", "5", load=8.0)
    assert code == 0 and bench.calls == [(("gelu", "mlp"), ("spiraltorch", "numpy"), 3, 5)]
    assert out.startswith("Measured ") and ROWS["gelu"].label in out


def test_all_rows_and_all_peers_are_the_default(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES.values():
        monkeypatch.setattr(library, "installed", classmethod(lambda cls: True))
    bench()
    assert bench.calls[0][:3] == (tuple(ROWS), tuple(LIBRARIES), 7)


def test_peers_that_are_not_installed_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIBRARIES["jax"], "installed", classmethod(lambda cls: False))
    code, out, said = bench("--rows", "tiny", "--peers", "jax,numpy", "--json")
    assert code == 0 and bench.calls[0][1] == ("spiraltorch", "numpy")
    assert "jax is not installed" in said and json.loads(out)["missing"] == ["jax"]


def test_curves_take_the_place_of_rows(bench: Bench) -> None:
    assert bench("--scaling", "--write")[0] == 0
    assert bench.calls == ["curves", "write"]


def test_a_wrong_result_is_the_exit_code(bench: Bench) -> None:
    bench.relative = 1e-2
    code, out, _ = bench("--rows", "gelu", "--peers", "")
    assert code == 1 and "WRONG" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--rows", "gelu,none"), "got none"),
        (("--rows", "gelu", "--write"), "omit --rows"),
        (("--rows", "gelu", "--scaling"), "omit --rows"),
        (("--peers", "torch,tensorfloe"), "got tensorfloe"),
        (("--suite", "abacus"), "got 'abacus'"),
        (("--rounds", "-1"), "at least one round, got -1"),
        (("--seconds", "nan"), "seconds above 0, got nan"),
        (("--seconds", "inf"), "seconds above 0, got inf"),
        (("--threads", "0"), "at least one thread, got 0"),
    ],
)
def test_what_cannot_be_is_refused_before_measuring(bench: Bench, args: tuple[str, ...], message: str) -> None:
    code, _, said = bench(*args)
    assert code == 2 and bench.calls == [] and message in said


def test_writing_needs_the_documents(monkeypatch: pytest.MonkeyPatch, bench: Bench, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spiraltorch", "bench", "--write"])
    with pytest.raises(SystemExit):
        main()
    assert "root of a checkout" in bench.capsys.readouterr().err
