"""The Chrome trace: its format, its times against what ran, and what the planner says in it."""

from __future__ import annotations

import copy
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chrome_format import load, violations

import spiraltorch as st
from spiraltorch import telemetry
from spiraltorch.compiler.passes import PIPELINE
from spiraltorch.errors import ArgumentError
from spiraltorch.telemetry.decisions import KINDS
from spiraltorch.telemetry.names import compile_pass

rng = np.random.default_rng(0)
A = rng.standard_normal((96, 96)).astype(np.float32) / 8
MISALIGNED = np.frombuffer(b"." + A.tobytes(), np.float32, offset=1)  # the CPU backend has to copy it


def work(scale: float) -> st.Tensor:
    """Scans, sorts, products and a softmax: several kernels, memory used again. Not compiled before for this scale."""
    a = st.asarray(A)
    y = st.sort(st.tanh(st.cumsum(a, axis=0) * scale), axis=1) @ a
    return st.softmax(st.sort(y @ a, axis=0), -1)


def reference(scale: float) -> np.ndarray[Any, Any]:
    a = A.astype(np.float64)
    y = np.sort(np.sort(np.tanh(np.cumsum(a, 0) * scale), 1) @ a @ a, 0)
    e = np.exp(y - y.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A trace of two runs of `work` on plain tensors and two in a compiled function, with the counters around it."""
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    before = telemetry.counters()
    with telemetry.trace(path) as collected:
        results = [work(0.5).numpy(), work(0.5).numpy()]
        compiled = st.compile(lambda: work(0.25))
        results += [compiled().numpy(), compiled().numpy()]
        results.append(st.asarray(MISALIGNED).numpy())
    after = telemetry.counters()
    moved = {k: after[k] - before[k] for k in after}
    return {"trace": load(path), "results": results, "moved": moved, "summary": collected.summary()}


def spans(traced: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [e for e in traced["trace"]["traceEvents"] if e["ph"] == "X" and e["name"] == name]


def kernels(traced: dict[str, Any]) -> list[dict[str, Any]]:
    return [e for e in traced["trace"]["traceEvents"] if e.get("cat") == "device"]


def interval(event: dict[str, Any]) -> tuple[int, int]:
    start = round(event["ts"] * 1000)
    return start, start + round(event["dur"] * 1000)


def test_the_format_is_what_perfetto_accepts(traced: dict[str, Any]) -> None:
    assert violations(traced["trace"]) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pop("ts"),
        lambda e: e.update(ts="1"),
        lambda e: e.update(dur=-1.0),
        lambda e: e.update(pid=77),
        lambda e: e.update(tid=77),
        lambda e: e.update(ph="Z"),
        lambda e: e.update(ts=e["ts"] + 1e9),
        lambda e: e.update(dur=e["dur"] + 1e9),
        lambda e: e.update(args=None),
    ],
)
def test_the_check_of_the_format_finds_faults(traced: dict[str, Any], change: Any) -> None:
    damaged = copy.deepcopy(traced["trace"])
    device = [e for e in damaged["traceEvents"] if e.get("cat") == "device"]
    change(device[0])
    assert violations(damaged)


def test_results_are_the_same(traced: dict[str, Any]) -> None:
    first, second, third, fourth, copied = traced["results"]
    np.testing.assert_allclose(first, reference(0.5), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(third, reference(0.25), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(third, fourth)
    np.testing.assert_array_equal(first, work(0.5).numpy())
    np.testing.assert_array_equal(copied, MISALIGNED)


def test_device_time_adds_up(traced: dict[str, Any]) -> None:
    launches = spans(traced, "spiraltorch.launch")
    assert len(launches) == 4
    total = 0
    for launch in launches:
        own = [e for e in kernels(traced) if e["args"]["launch"] == launch["args"]["launch"]]
        assert [e["args"]["kernel"] for e in own] == list(range(launch["args"]["kernels"])) and own
        begin, end = interval(launch)
        times = [interval(e) for e in own]
        assert begin <= times[0][0] and times[-1][1] <= end
        assert all(a[1] <= b[0] for a, b in pairwise(times))
        assert sum(stop - start for start, stop in times) == launch["args"]["device_ns"] <= end - begin
        assert sum(e["args"]["bytes"] for e in own) == launch["args"]["bytes"]
        total += launch["args"]["device_ns"]
    assert traced["summary"]["device_seconds"] == pytest.approx(total / 1e9) and total > 0


def test_the_trace_and_the_counters_agree(traced: dict[str, Any]) -> None:
    moved, made = traced["moved"], kernels(traced)
    assert len(made) == moved["kernels_launched"] == traced["summary"]["kernels"]
    assert sum(e["args"]["bytes"] for e in made) == moved["bytes_moved"]
    assert len(spans(traced, "spiraltorch.compile")) == moved["plans_compiled"] == moved["plan_cache_misses"] == 2
    caches = [e["args"]["cache"] for e in spans(traced, "spiraltorch.plan")]
    assert caches == ["miss", "hit", "miss"] and moved["plan_cache_hits"] == 1
    copies = [e["args"] for e in spans(traced, "spiraltorch.transfer") if not e["args"]["shared"]]
    assert copies == 4 * [{"direction": "host_to_device", "device": "cpu:0", "bytes": A.nbytes, "shared": False}]
    assert moved["bytes_to_device"] == 4 * A.nbytes and moved["bytes_to_host"] == 0


def test_passes_and_kernels_lie_in_their_compilation(traced: dict[str, Any]) -> None:
    compilations = [interval(e) for e in spans(traced, "spiraltorch.compile")]
    names = [compile_pass(p.__name__) for p in PIPELINE]
    names += [f"spiraltorch.compile.{word}" for word in ("fuse", "lower", "link")]
    for name in set(names):
        found = [interval(e) for e in spans(traced, name)]
        assert len(found) == len(compilations) * names.count(name)
        assert all(any(a <= start and stop <= b for a, b in compilations) for start, stop in found)
    (recording,) = spans(traced, "spiraltorch.record")
    assert "lambda" in recording["args"]["function"]


def test_all_names_are_documented(traced: dict[str, Any]) -> None:
    names = {e["name"] for e in traced["trace"]["traceEvents"] if e.get("cat") == "host"}
    assert names <= telemetry.SPANS.keys() and len(names) > 10
    assert {compile_pass(p.__name__) for p in PIPELINE} <= telemetry.SPANS.keys()


def test_decisions_are_events_and_lines(traced: dict[str, Any]) -> None:
    decisions = [e["args"] for e in traced["trace"]["traceEvents"] if e["ph"] == "i"]
    assert {d["kind"] for d in decisions} == KINDS.keys()
    assert all(d["subject"] and d["reason"] for d in decisions)
    told = [line.strip() for line in st.explain(work(0.5)).splitlines()]
    first = decisions[: len(decisions) // 2]  # of the plain graph; the compiled function has the same one
    lines = [str(telemetry.Decision(**{"kernel": None, **d})) for d in first]
    assert sorted(lines) == sorted(line for line in told if line.split(" ")[0] in KINDS and ": " in line)


def test_schedules_are_explained_although_kernels_come_from_a_cache() -> None:
    def run() -> list[dict[str, Any]]:
        with telemetry.trace() as collected:
            (st.asarray(A) * 0.125 + 3).numpy()
        return collected.events()

    first = run()
    engine_plans().clear()
    second = run()
    assert not [e for e in second if e["name"] == "spiraltorch.compile.schedule"]
    reasons = [[e["args"]["reason"] for e in events if e["name"] == "schedule kernel 0"] for events in (first, second)]
    assert reasons[0] == reasons[1] and "lanes" in reasons[0][0]


def engine_plans() -> dict[Any, Any]:
    from spiraltorch.compiler.state import STATE

    return STATE.graphs


def test_kernels_are_numbered_as_they_are_launched() -> None:
    """Two element-wise kernels of different shapes are one launch: both decisions name kernel 0."""
    x, y = st.asarray(A[:, 0].copy()), st.asarray(A[:3].copy())
    lines = st.explain(st.exp(x) + 1, st.tanh(y) * 2).splitlines()
    assert lines[0].startswith("plan: 1 kernel ")
    split = [line for line in lines if line.strip().startswith("split")]
    assert len(split) == 2 and all("into kernel 0: " in line for line in split)
    assert any("fuse 2 phases into kernel 0: " in line for line in lines)


def test_reuse_names_who_owned_the_memory() -> None:
    x = st.asarray(rng.standard_normal((64, 64)).astype(np.float32))
    y = x
    for _ in range(4):
        y = st.cumsum(st.sort(y @ x, axis=0), axis=1)
    lines = [line.strip() for line in st.explain(y).splitlines()]
    reuse = [line for line in lines if line.startswith("reuse %")]
    assert any("it takes memory of %" in line and "after kernel" in line for line in reuse)


def test_every_thread_has_a_row() -> None:
    with telemetry.trace() as collected:
        thread = threading.Thread(target=lambda: (st.ones(5) * 4).tolist(), name="worker 7")
        (st.ones(5) * 4).tolist()
        thread.start()
        thread.join()
    events = collected.events()
    rows = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name" and e["pid"] == 1}
    assert "worker 7" in rows
    launches = [e["tid"] for e in events if e["name"] == "spiraltorch.launch"]
    assert len(launches) == 2 and rows["worker 7"] == launches[1] != launches[0]
    assert violations({"traceEvents": events, "displayTimeUnit": "ns"}) == []


def test_traces_nest_and_end() -> None:
    with telemetry.trace() as outer:
        (st.ones(3) + 1).tolist()
        with telemetry.trace() as inner:
            (st.ones(3) + 1).tolist()
    (st.ones(3) + 1).tolist()
    assert outer.summary()["launches"] == 2 and inner.summary()["launches"] == 1


def test_an_error_is_in_its_span_and_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"

    def fails() -> st.Tensor:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"), telemetry.trace(path):
        st.compile(fails)()
    trace = load(path)
    (recording,) = [e for e in trace["traceEvents"] if e["name"] == "spiraltorch.record"]
    assert recording["args"]["error"] == "RuntimeError: not today"
    assert violations(trace) == []


def test_a_missing_folder_is_an_error_at_once(tmp_path: Path) -> None:
    for bad in (tmp_path / "no" / "trace.json", tmp_path):
        with pytest.raises(ArgumentError, match=r"\[trace\] expected a file in an existing folder"):
            with telemetry.trace(bad):
                pytest.fail("the block must not run")
