"""The benchmark's arguments. Nothing is measured here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/run.py with measuring and writing replaced by notes of it in `calls`, on eight cores."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module: Any = importlib.import_module("run")
    module.calls = []
    monkeypatch.setattr(module, "measure", lambda names, *rest: module.calls.append(("measure", tuple(names))) or {})
    monkeypatch.setattr(module, "first_calls", dict)
    monkeypatch.setattr(module, "write", lambda text: module.calls.append(("write", text)))
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    return module


def call(bench: Any, monkeypatch: pytest.MonkeyPatch, load: float, *args: str) -> None:
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(sys, "argv", ["run.py", *args])
    bench.main()


def test_a_busy_machine_writes_nothing(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(bench, monkeypatch, 2.4, "--write")
    assert stopped.value.code == 2 and bench.calls == []
    said = capsys.readouterr().err
    assert "idle" in said and "at most 0.25 a core" in said and "got 0.30" in said


def test_an_idle_machine_writes_the_table(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call(bench, monkeypatch, 1.9, "--write")
    assert [name for name, _ in bench.calls] == ["measure", "write"]


def test_a_busy_machine_may_look(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call(bench, monkeypatch, 8.0, "--rows", "gelu,mlp")
    assert bench.calls == [("measure", ("gelu", "mlp"))]


@pytest.mark.parametrize(
    ("args", "message"), [(("--rows", "gelu,none"), "got none"), (("--rows", "gelu", "--write"), "all rows")]
)
def test_wrong_rows_are_refused_before_measuring(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        call(bench, monkeypatch, 0.0, *args)
    assert bench.calls == [] and message in capsys.readouterr().err
