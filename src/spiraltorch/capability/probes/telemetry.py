"""Telemetry: traces with device time, counters and planner decisions of a real run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import spiraltorch as st

from .checking import equal, expect, probe, public


def _program(rows: int) -> Any:
    """A product and a softmax of new data; its value is checked, so that it has run. A new extent compiles anew."""
    a = np.random.default_rng(0).standard_normal((rows, 64)).astype(np.float32)
    x = st.asarray(a)
    y = st.softmax(x @ x.T, 1)
    scores = a.astype(np.float64) @ a.T
    scores = np.exp(scores - scores.max(1, keepdims=True))
    equal("traced program", y, scores / scores.sum(1, keepdims=True), 1e-3, 1e-5)
    return y


def _traced(rows: int) -> list[dict[str, Any]]:
    """The events of a traced program."""
    trace = public("telemetry.trace")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        with trace(str(path)):
            _program(rows)
        loaded = json.loads(path.read_text(encoding="utf-8"))
    return list(loaded["traceEvents"] if isinstance(loaded, dict) else loaded)


@probe()
def device_time(device: str) -> str:
    """A trace holds every kernel with its time on the device, one after the other on its row."""
    events = _traced(96)
    spans = [e for e in events if e.get("ph") == "X"]
    expect(spans, "trace: expected complete events, got none")
    expect(all(e["dur"] >= 0 and e["ts"] >= 0 for e in spans), "trace: expected durations of at least 0, got less")
    rows = {
        e["args"]["name"]: (e["pid"], None if e["name"] == "process_name" else e.get("tid"))
        for e in events
        if e.get("ph") == "M" and "name" in e["args"]
    }
    own = [place for name, place in rows.items() if device in name]
    expect(own, f"trace: expected a row named after {device}, got {sorted(rows)}")
    ran = [e for e in spans if any(e["pid"] == pid and tid in (None, e["tid"]) for pid, tid in own)]
    expect(sum(e["dur"] for e in ran) > 0, f"trace: expected kernels with device time in the row of {device}, got none")
    return "kernels with device time"


@probe()
def counters(device: str) -> None:
    """Counters of kernels and bytes grow with the work."""
    read = public("telemetry.counters")
    before = dict(read())
    _program(95)
    after = dict(read())
    grown = [k for k, v in after.items() if isinstance(v, (int, float)) and v > before.get(k, 0)]
    for word in ("kernel", "byte"):
        expect(any(word in k for k in grown), f"counters: expected one about {word}s to grow, got {grown}")


@probe()
def decisions(device: str) -> None:
    """Planner decisions are events of the trace and lines of `st.explain`."""
    events = _traced(97)
    expect(
        any(e.get("ph") in ("i", "I") for e in events), "trace: expected planner decisions as instant events, got none"
    )
    x = st.ones(8, 8)
    text = st.explain(st.softmax(x @ x, 1))
    expect("fuse" in text, f"st.explain: expected to say what was fused, got {text!r}")
