"""Telemetry: traces with device time, counters and planner decisions of a real run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import spiraltorch as st

from .checking import equal, expect, probe, public


def _program(rows: int) -> None:
    """Compiles, runs and checks a product and a softmax with a number of rows."""
    a = np.random.default_rng(0).standard_normal((rows, 64)).astype(np.float32)
    x = st.asarray(a)
    y = st.softmax(x @ x.T, 1)
    scores = a.astype(np.float64) @ a.T
    scores = np.exp(scores - scores.max(1, keepdims=True))
    equal("traced program", y, scores / scores.sum(1, keepdims=True), 1e-3, 1e-5)


def _traced(rows: int) -> list[dict[str, Any]]:
    """The events in the trace file of `_program`, as JSON."""
    trace = public("telemetry.trace")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        with trace(str(path)):
            _program(rows)
        loaded = json.loads(path.read_text(encoding="utf-8"))
    return list(loaded["traceEvents"])


@probe()
def device_time(device: str) -> None:
    """A trace holds every kernel with its time on the device, and the times add up to the launch's."""
    events = _traced(96)
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    own = [pid for pid, name in names.items() if name == device]
    expect(own, f"trace: expected a process for {device}, got {sorted(names.values())}")
    ran = [e for e in events if e["ph"] == "X" and e["pid"] in own]
    launches = [e["args"] for e in events if e["ph"] == "X" and e["name"] == "spiraltorch.launch"]
    expect(len(ran) == sum(a["kernels"] for a in launches) > 0, f"trace: expected every kernel, got {len(ran)}")
    measured, told = sum(e["dur"] for e in ran) * 1000, sum(a["device_ns"] for a in launches)
    expect(0 < measured, "trace: expected device time, got none")
    expect(abs(measured - told) <= 2 * len(ran) + 0.01 * told, f"trace: expected {told} ns in all, got {measured:.0f}")


@probe()
def transfers(device: str) -> None:
    """Reading a result back is a transfer with its direction and bytes."""
    found = [e["args"] for e in _traced(80) if e.get("name") == "spiraltorch.transfer"]
    back = [a for a in found if a["direction"] == "device_to_host" and a["device"] == device]
    expect(sum(a["bytes"] for a in back) == 80 * 80 * 4, f"trace: expected 25,600 bytes read back, got {back}")


@probe()
def counters(device: str) -> None:
    """Counters of kernels and bytes grow with the work."""
    read = public("telemetry.counters")
    before = dict(read())
    _program(72)
    after = dict(read())
    grown = [k for k, v in after.items() if isinstance(v, (int, float)) and v > before.get(k, 0)]
    for word in ("kernel", "byte"):
        expect(any(word in k for k in grown), f"counters: expected one about {word}s to grow, got {grown}")


@probe()
def decisions(device: str) -> None:
    """Planner decisions are events of the trace and lines of `st.explain`."""
    events = _traced(88)
    expect(
        any(e["ph"] == "i" and e.get("cat") == "decision" for e in events),
        "trace: expected planner decisions as instant events, got none",
    )
    x = st.ones(8, 8)
    text = st.explain(st.softmax(x @ x, 1))
    expect("fuse" in text, f"st.explain: expected to say what was fused, got {text!r}")
