"""Evidence made up for tests, and a copy of the package whose code may be broken."""

from __future__ import annotations

import shutil
from pathlib import Path

from spiraltorch.capability import Backend, Evidence, Outcome, ProbeResult
from spiraltorch.capability.rows import PACKAGE, row

DEVICE = {"name": "cpu:0", "device": "a processor", "vendor": "someone", "driver": "1.0", "software": False}
VERSIONS = {"spiraltorch": "0.1.0", "python": "3.11", "platform": "Linux", "numpy": "2.0"}


def result(outcome: Outcome, name: str = "one", detail: str = "") -> ProbeResult:
    return ProbeResult(name, "A claim", outcome, 0.5, detail)


def sample(
    *outcomes: Outcome,
    digest: str = "0" * 64,
    level: str = "hardware",
    backend: str = "cpu",
    capability: str = "sparse",
) -> Evidence:
    probes = tuple(result(o, f"probe-{n}", f"`st.thing{n}`") for n, o in enumerate(outcomes))
    return Evidence(backend, capability, digest, "2026-01-02", level, DEVICE, VERSIONS, probes)


def copied_package(to: Path) -> Path:
    """A copy of the package that may be changed; `to` is its parent."""
    return Path(shutil.copytree(PACKAGE, to / "spiraltorch", ignore=shutil.ignore_patterns("__pycache__")))


CPU, WGPU, SPARSE = Backend.CPU, Backend.WGPU, row("sparse")
