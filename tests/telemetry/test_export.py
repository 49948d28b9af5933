"""What an OpenTelemetry SDK receives. Each program runs in a process of its own, since providers are set once a process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAD = """
import json
import numpy
import spiraltorch as st
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()

def install():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))

def report():
    spans = [
        {"name": s.name, "id": s.context.span_id, "parent": s.parent and s.parent.span_id, "start": s.start_time,
         "end": s.end_time, "attributes": dict(s.attributes), "status": s.status.status_code.name,
         "events": [[e.name, dict(e.attributes)] for e in s.events]}
        for s in exporter.get_finished_spans()
    ]
    data = reader.get_metrics_data()
    found = data.resource_metrics[0].scope_metrics[0].metrics if data else []
    figures = {m.name: [[dict(p.attributes), p.value, m.unit] for p in m.data.data_points] for m in found}
    print(json.dumps({"spans": spans, "metrics": figures, "counters": st.telemetry.counters()}))
"""


def program(text: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", HEAD + text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def usual() -> dict[str, Any]:
    """An SDK that is configured as usual, without a word to this package; the user has a span of their own."""
    return program(
        """
install()
x = st.asarray(numpy.frombuffer(b"." + bytes(256), "float32", offset=1).reshape(8, 8))  # misaligned: copied
with trace.get_tracer("user").start_as_current_span("mine"):
    for _ in range(2):
        st.softmax(x @ x, -1).numpy()
@st.compile
def bad(x):
    raise ValueError("no")
try:
    bad(x)
except ValueError:
    pass
report()
"""
    )


def named(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [s for s in found["spans"] if s["name"] == name]


def test_spans_arrive_without_being_asked_for(usual: dict[str, Any]) -> None:
    (mine,) = named(usual, "mine")
    (compiled,) = named(usual, "spiraltorch.compile")
    launches = named(usual, "spiraltorch.launch")
    assert compiled["parent"] == mine["id"] and [s["parent"] for s in launches] == [mine["id"]] * 2
    assert compiled["attributes"]["spiraltorch.device"] == "cpu:0"
    (fused,) = named(usual, "spiraltorch.compile.fuse")
    assert fused["parent"] == compiled["id"] and compiled["start"] <= fused["start"] <= fused["end"] <= compiled["end"]
    (looked_up,) = named(usual, "spiraltorch.plan")  # the first evaluation found the SDK after its look-up
    assert looked_up["attributes"]["spiraltorch.cache"] == "hit" and mine["start"] <= looked_up["start"] <= mine["end"]
    assert not named(usual, "spiraltorch.kernel")  # nobody asked for device times


def test_decisions_are_events_of_the_compilation(usual: dict[str, Any]) -> None:
    (compiled,) = named(usual, "spiraltorch.compile")
    kinds = {attributes["spiraltorch.kind"] for name, attributes in compiled["events"]}
    assert {"place", "split", "fuse"} <= kinds and {n for n, _ in compiled["events"]} == {"spiraltorch.decision"}


def test_errors_are_recorded(usual: dict[str, Any]) -> None:
    (recording,) = named(usual, "spiraltorch.record")
    assert recording["status"] == "ERROR" and recording["events"][0][0] == "exception"


def test_metrics_are_the_counters(usual: dict[str, Any]) -> None:
    counters, metrics = usual["counters"], usual["metrics"]
    assert metrics["spiraltorch.kernels.launched"] == [[{}, counters["kernels_launched"], "{kernel}"]]
    assert counters["kernels_launched"] > 0
    hits = {a["spiraltorch.cache"]: value for a, value, _ in metrics["spiraltorch.cache.hits"]}
    assert hits == {word: counters[f"{word}_cache_hits"] for word in ("plan", "kernel", "object")} and hits["plan"] == 1
    moved = {a["spiraltorch.direction"]: value for a, value, _ in metrics["spiraltorch.transfer.io"]}
    assert moved == {"host_to_device": 256, "device_to_host": 0}
    assert metrics["spiraltorch.allocator.peak"] == [[{"spiraltorch.device": "cpu:0"}, counters["peak_bytes"], "By"]]


def test_device_times_become_spans_where_they_are_asked_for() -> None:
    found = program(
        """
st.telemetry.enable(device_time=True)
install()
st.softmax(st.ones(8, 8) @ st.ones(8, 8), -1).numpy()
report()
"""
    )
    (launch,) = named(found, "spiraltorch.launch")
    kernels = named(found, "spiraltorch.kernel")
    assert len(kernels) == launch["attributes"]["spiraltorch.kernels"] > 0
    assert all(k["parent"] == launch["id"] for k in kernels)
    assert sum(k["end"] - k["start"] for k in kernels) == launch["attributes"]["spiraltorch.device_ns"]
    assert all(launch["start"] - 1_000_000 <= k["start"] <= k["end"] for k in kernels)  # two clocks, one offset
    assert [s["attributes"]["spiraltorch.cache"] for s in named(found, "spiraltorch.plan")] == ["miss"]


def test_disabled_means_silent() -> None:
    found = program("install()\nst.telemetry.disable()\n(st.ones(4) + 1).sum().item()\nreport()\n")
    assert found["spans"] == [] and found["counters"]["kernels_launched"] == 1
