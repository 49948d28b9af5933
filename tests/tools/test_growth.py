"""Memory stays level: a small part of what `tools/growth.py` measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "growth.py"
CASES = ["steps", "compiled_steps", "compiled_functions", "models", "models_as_arguments", "few_indices", "checkpoint"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tool reads /proc")
def test_memory_stays_level() -> None:
    command = [sys.executable, "-W", "ignore", str(TOOL), "--quick", "--limit", "8", *CASES]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == 1 + len(CASES)
