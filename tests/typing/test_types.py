"""What type checkers see: code as users write it passes, their mistakes are reported, and the stub is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


@pytest.mark.slow
def test_user_code() -> None:
    files = [HERE / "user_code.py", HERE / "user_errors.py"]
    command = [sys.executable, "-m", "mypy", "--strict", "--show-error-codes", "--hide-error-context", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    reported = re.findall(r"^(\S+):(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    lines = (HERE / "user_errors.py").read_text(encoding="utf-8").splitlines()
    expected = {(n, m[1]) for n, line in enumerate(lines, 1) if (m := re.search(r"# E: ([a-z-]+)", line))}
    elsewhere = [line for line in done.stdout.splitlines() if ": error:" in line and "user_errors.py" not in line]
    assert not elsewhere, done.stdout + done.stderr
    found = {(int(n), code) for file, n, code in reported if file.endswith("user_errors.py")}
    assert found == expected, f"not reported: {expected - found}; beside: {found - expected}"


def test_user_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    import user_code

    user_code.main(tmp_path)


def test_the_stub_shows_the_attached_methods() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "stubs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
