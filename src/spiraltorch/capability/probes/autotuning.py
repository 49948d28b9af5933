"""Kernel autotuning: schedules are searched, kept, and never slower than the rule's choice."""

from __future__ import annotations

import numpy as np

import spiraltorch as st

from .checking import equal, expect, probe, public


@probe(seconds=240)
def search(device: str) -> str:
    """Tuning a product tries several schedules, keeps the best, and leaves the results right."""
    tune = public("tuning.tune")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((96, 128)).astype(np.float32), rng.standard_normal((128, 64)).astype(np.float32)
    x, y = st.asarray(a), st.asarray(b)
    report = tune(x @ y)
    expect(len(report.candidates) >= 2, f"tune: expected at least 2 candidates, got {len(report.candidates)}")
    expect(report.best <= report.default * 1.05, f"tune: expected at most {report.default}, got {report.best}")
    equal("tuned product", x @ y, a.astype(np.float64) @ b, 1e-4, 1e-4)
    return "searched"


@probe()
def store(device: str) -> None:
    """What tuning found is kept for other processes."""
    entries = public("tuning.entries")
    public("tuning.tune")(st.ones(64, 64) @ st.ones(64, 64))
    expect(len(entries()) > 0, "tuning store: expected an entry after tuning, got none")
