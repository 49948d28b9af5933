"""Device times and telemetry of a WebGPU device, hardware or software."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import telemetry
from spiraltorch.backends import wgpu
from spiraltorch.backends.wgpu import program as programs

pytestmark = pytest.mark.skipif(wgpu.reason() is not None, reason=str(wgpu.reason()))
A = np.random.default_rng(0).standard_normal((96, 96)).astype(np.float32)


def work(x: st.Tensor) -> st.Tensor:
    return st.softmax(st.sort(x @ x / 64, axis=0) @ x, -1)


def reference() -> np.ndarray[Any, Any]:
    a = A.astype(np.float64)
    y = np.sort(a @ a / 64, 0) @ a
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.parametrize("queries", [True, False], ids=["the device's clock", "the host's clock"])
def test_kernels_are_timed_with_the_same_results(monkeypatch: pytest.MonkeyPatch, queries: bool) -> None:
    if not queries:
        monkeypatch.setattr(programs, "QUERY_LIMIT", 0)
    x = st.asarray(A, device="wgpu:0")
    plain = work(x).numpy()
    begin = time.perf_counter_ns()
    with telemetry.trace() as collected:
        timed = work(x).numpy()
    end = time.perf_counter_ns()
    np.testing.assert_array_equal(plain, timed)
    np.testing.assert_allclose(timed, reference(), rtol=1e-3, atol=1e-6)
    events = collected.events()
    (launch,) = [e for e in events if e["name"] == "spiraltorch.launch"]
    kernels = [e for e in events if e.get("cat") == "device"]
    assert len(kernels) == launch["args"]["kernels"] > 2
    moments = [t for e in kernels for t in (round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000))]
    assert moments == sorted(moments) and all(e["dur"] > 0 for e in kernels)
    assert 0 <= moments[0] and moments[-1] - moments[0] <= end - begin
    assert sum(round(e["dur"] * 1000) for e in kernels) == launch["args"]["device_ns"]


def test_transfers_and_memory_are_counted() -> None:
    before = telemetry.counters()
    with telemetry.trace() as collected:
        x = st.asarray(A, device="wgpu:0")
        (x + 1).numpy()
    after = telemetry.counters()
    assert after["bytes_to_device"] - before["bytes_to_device"] == A.nbytes
    assert after["bytes_to_host"] - before["bytes_to_host"] == A.nbytes
    told = [e["args"] for e in collected.events() if e["name"] == "spiraltorch.transfer"]
    assert [(t["direction"], t["bytes"], t["shared"]) for t in told] == [
        ("host_to_device", A.nbytes, False), ("device_to_host", A.nbytes, False)
    ]  # fmt: skip
    assert telemetry.counting.memory()["wgpu:0"][1] >= A.nbytes


def test_copies_between_devices_are_placed_and_told() -> None:
    with telemetry.trace() as collected:
        got = ((st.asarray(A) + 1).to("wgpu:0") * 2).numpy()
    np.testing.assert_allclose(got, (A + 1) * 2, rtol=1e-6)
    events = collected.events()
    subjects = [e["args"]["subject"] for e in events if e["ph"] == "i" and e["args"]["kind"] == "place"]
    assert subjects == ["the graph on cpu:0", "float32[96, 96] for wgpu:0", "the graph on wgpu:0"]
    copies = [e["args"] for e in events if e["name"] == "spiraltorch.transfer" and not e["args"]["shared"]]
    assert [(c["device"], c["direction"], c["bytes"]) for c in copies] == [
        ("cpu:0", "host_to_device", A.nbytes),
        ("wgpu:0", "host_to_device", A.nbytes),
        ("wgpu:0", "device_to_host", A.nbytes),
    ]
    launched = [e["args"]["device"] for e in events if e["name"] == "spiraltorch.launch"]
    assert launched == ["cpu:0", "wgpu:0"]


def test_compilation_has_the_names_that_every_backend_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))  # and a shape that no other test has
    data = np.ones((7, 1237), np.float32)
    spans = []
    for device in ("cpu:0", "wgpu:0"):
        with telemetry.trace() as collected:
            (st.asarray(data, device=device) * 3 + 1).sum().item()
        spans.append({e["name"] for e in collected.events() if e["name"].startswith("spiraltorch.")})
    assert spans[0] == spans[1] and "spiraltorch.compile.machine" in spans[0]
