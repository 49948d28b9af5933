"""`spiraltorch trace` through its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import helper
import spiraltorch as st

if __name__ == "__main__":
    print("arguments", *sys.argv[1:])
    print((st.ones(4) * helper.FACTOR).tolist())
    if "--exit" in sys.argv:
        sys.exit(int(sys.argv[sys.argv.index("--exit") + 1]))
    if "--fail" in sys.argv:
        raise ValueError("on purpose")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("FACTOR = 3\n")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def trace(script: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spiraltorch", "trace", str(script), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=script.parent)


def launches(path: Path) -> int:
    return sum(e["name"] == "spiraltorch.launch" for e in json.loads(path.read_text())["traceEvents"])


def test_a_script_runs_as_a_program_and_is_traced(script: Path, tmp_path: Path) -> None:
    done = trace(script, "--epochs", "3", "-o", "out.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "arguments --epochs 3\n[3.0, 3.0, 3.0, 3.0]\n"
    assert launches(tmp_path / "out.json") == 1 and "1 kernels in 1 launches" in done.stderr


def test_json_is_the_only_output(script: Path, tmp_path: Path) -> None:
    done = trace(script, "--json", "--", "-o", "7")
    figures = json.loads(done.stdout)
    assert figures["kernels"] == figures["launches"] == 1 and figures["device_seconds"] > 0
    assert "arguments -o 7" in done.stderr and launches(tmp_path / figures["trace"]) == 1


@pytest.mark.parametrize(("args", "code"), [(("--exit", "5"), 5), (("--fail",), 1)])
def test_the_exit_code_is_the_scripts_and_the_trace_is_written(
    script: Path, tmp_path: Path, args: tuple[str, ...], code: int
) -> None:
    done = trace(script, *args)
    assert done.returncode == code and launches(tmp_path / "trace.json") == 1
    assert ("ValueError: on purpose" in done.stderr) == (code == 1)


def test_what_a_script_raises_is_shown_without_the_commands_own_frames(script: Path) -> None:
    shown = trace(script, "--fail").stderr
    assert shown.startswith("Traceback (most recent call last):\n") and shown.count('  File "') == 1
    assert "script.py" in shown.splitlines()[1] and "runpy" not in shown
    script.write_text("def f(:\n")
    shown = trace(script).stderr
    assert "SyntaxError" in shown and shown.startswith('  File "') and "runpy" not in shown


def test_an_unknown_option_is_called_one(script: Path) -> None:
    done = trace(Path("--jsno"), str(script))
    assert done.returncode == 2, done.stdout
    assert "[trace] expected an option of its own" in done.stderr and "'--jsno'" in done.stderr


def test_bad_arguments_are_one_line(script: Path) -> None:
    for done in (trace(script.parent / "none.py"), trace(script, "-o", "nowhere/out.json")):
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "[trace] expected" in done.stderr
