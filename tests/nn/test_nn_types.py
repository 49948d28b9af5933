"""A user's models and training loops pass `mypy --strict`, and calls of modules have the types of `forward`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spiraltorch

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_typical_code_is_well_typed() -> None:
    pytest.importorskip("mypy")
    source = Path(spiraltorch.__file__).parents[1]
    code = Path(__file__).with_name("typed_user_code.py")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(code)]
    result = subprocess.run(
        command, cwd=ROOT, env={"MYPYPATH": str(source), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
