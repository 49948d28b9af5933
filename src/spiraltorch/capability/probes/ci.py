"""CI coverage: the checks that every change must pass, and the tests that run on the backend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ..rows import PACKAGE
from .checking import Missing, expect, probe

STEPS = ("ruff format", "ruff check", "mypy --strict", "lint-imports", "make test")


def _checkout() -> Path:
    """The root of the checkout; tests and CI are not part of a wheel."""
    root = PACKAGE.parents[1]
    if not (root / "pyproject.toml").exists():
        raise Missing("a checkout")
    return root


@probe()
def pipeline(device: str) -> str:
    """`.ci/run` is a valid program that checks format, lint, types and contracts, and runs the suite."""
    script = _checkout() / ".ci" / "run"
    if not script.exists():
        raise Missing("`.ci/run`")
    expect(os.access(script, os.X_OK), ".ci/run: expected it to be executable")
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f".ci/run: expected valid bash, got {done.stderr.strip()!r}")
    text = script.read_text(encoding="utf-8")
    for step in STEPS:
        expect(step in text, f".ci/run: expected it to run `{step}`")
    return f"{len(STEPS)} steps"


@probe(seconds=120)
def conformance(device: str) -> str:
    """The conformance suite is instantiated for the backend."""
    root = _checkout()
    if not (root / "tests" / "conformance").is_dir():
        raise Missing("`tests/conformance`")
    options = ["--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "tests/conformance"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if "No module named pytest" in done.stderr:
        raise Missing("pytest")
    expect(done.returncode == 0, f"conformance: {(done.stdout.strip().splitlines() or ['no output'])[-1]}")
    kind = device.partition(":")[0]
    count = len(re.findall(rf"^\S+\[{kind}(?::\d+)?-.*\]$", done.stdout, re.MULTILINE))
    expect(count > 0, f"conformance: expected tests for {kind}, got none")
    return f"{count} tests"
