"""`spiraltorch tune` through its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np
import spiraltorch as st

x = st.asarray(np.ones((200, 300), np.float32))
print("arguments", *sys.argv[1:])
print(round(st.softmax(x, -1).sum().item()))
sys.exit(4)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def tune(script: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SPIRALTORCH_CACHE_DIR": str(script.parent / "cache")}
    command = [sys.executable, "-m", "spiraltorch", "tune", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=script.parent, env=environment)


def test_a_script_is_tuned_shown_and_forgotten(script: Path) -> None:
    done = tune(script, "--seconds", "1", str(script), "--epochs", "3")
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith("arguments --epochs 3\n200\n2 kernels tuned")
    shown = tune(script, "--show")
    assert shown.returncode == 0, shown.stderr
    assert "of float32[200, 300] on cpu:0" in shown.stdout and "the rule's choice" in shown.stdout
    report = json.loads(tune(script, "--show", "--json").stdout)
    entry = report["entries"][0]
    assert (
        len(report["entries"]) == 2
        and entry["tried"]
        and entry["default"] >= entry["best"] > 0
        and entry["speedup"] >= 1
    )
    assert {t["outcome"] for t in entry["tried"]} <= {"timed", "predicted", "refused", "wrong", "failed"}
    again = json.loads(tune(script, "--json", str(script)).stdout)
    assert again["entries"] == [] and again["exit_code"] == 4
    assert "no kernel was searched" in tune(script, str(script)).stderr and "no kernel" not in done.stderr
    cleared = tune(script, "--clear")
    assert cleared.returncode == 0 and "2 entries forgotten" in cleared.stderr
    assert json.loads(tune(script, "--show", "--json").stdout)["entries"] == []


@pytest.mark.parametrize("args", [(), ("missing.py",), ("--seconds", "0", "script.py"), ("--shwo",)])
def test_what_cannot_be_done_is_said(script: Path, args: tuple[str, ...]) -> None:
    done = tune(script, *args)
    assert done.returncode == 2 and done.stderr.startswith("spiraltorch: [tune] expected"), done.stderr
