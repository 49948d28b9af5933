"""The suite where torch is not installed: every module is collected, and what does not compare with torch still runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HIDE = """
import sys
import pytest

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
sys.exit(pytest.main(sys.argv[1:]))
"""


def without_torch(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDE, "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_module_is_collected() -> None:
    done = without_torch("--collect-only", "tests")
    assert done.returncode == 0, done.stdout[-2000:]


def test_only_comparisons_with_torch_are_skipped() -> None:
    done = without_torch("-rs", "tests/tensor/test_tensor_shape.py")
    assert done.returncode == 0, done.stdout[-2000:]
    tally = done.stdout.splitlines()[-1]
    assert " passed" in tally and " skipped" in tally
    assert "torch is not installed; requirements-test.txt says how to get it" in done.stdout
