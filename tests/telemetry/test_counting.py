"""Counters, and that disabled telemetry costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import telemetry
from spiraltorch.backends.cpu import device as cpu_device
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.planning import executable as planning
from spiraltorch.compiler.planning import launch as launching
from spiraltorch.compiler.state import STATE
from spiraltorch.telemetry import spans
from spiraltorch.tensor.tracing import compiled as compiling

X = np.linspace(-1, 1, 32, dtype=np.float32)


@pytest.fixture(autouse=True)
def off() -> Any:
    """No listener during these tests, whatever ran before in this process."""
    telemetry.disable()
    assert spans.ACTIVE == []


def tiny(x: st.Tensor, y: st.Tensor) -> st.Tensor:
    """40 operations on few elements."""
    for _ in range(20):
        x = x * 1.01 + y
    return x


def difference(run: Any) -> dict[str, Any]:
    before = telemetry.counters()
    run()
    after = telemetry.counters()
    return {k: after[k] - before[k] for k in after}


def calls_into_telemetry(run: Any) -> list[str]:
    """Functions of the telemetry package that `run` calls."""
    package = str(Path(telemetry.__file__).parent)
    seen: list[str] = []

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            seen.append(frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return seen


def test_off_nothing_is_called() -> None:
    compiled = st.compile(tiny)

    def plain() -> None:
        tiny(st.asarray(X), st.asarray(X)).numpy()

    def replay() -> None:
        compiled(st.asarray(X), st.asarray(X)).numpy()

    for run in (plain, replay):
        run()
        assert calls_into_telemetry(run) == []
    with telemetry.trace():
        assert len(calls_into_telemetry(plain)) > 3  # the instrument itself works


class _Asked(list):  # type: ignore[type-arg]
    """An empty list that counts how often it is asked whether it is."""

    asked = 0

    def __bool__(self) -> bool:
        self.asked += 1
        return False


def test_off_each_launch_and_each_look_up_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = st.compile(tiny)
    x, y = st.ones(3, 5), st.ones(3, 5)  # a plan that no other test has
    st.eval(x, y)
    compiled(x, y)
    evaluate.evaluate([tiny(x, y).node])
    asked = _Asked()
    for module in (planning, launching, evaluate, cpu_device, spans):
        monkeypatch.setattr(module, "ACTIVE", asked)
    assert not hasattr(compiling, "ACTIVE")
    recorded = [tiny(x, y) for _ in range(2)]
    assert asked.asked == 0  # recording operations asks nothing
    for call in range(3):  # the long way, and the quick one
        compiled(x, y)
        assert asked.asked == call + 1
    asked.asked = 0
    for call, one in enumerate(recorded):
        evaluate.evaluate([one.node])
        assert asked.asked == 2 * call + 2


def test_off_a_span_is_one_shared_object() -> None:
    first = spans.span("spiraltorch.compile")
    assert first is spans.span("spiraltorch.launch", device="cpu:0") and not first


def test_import_loads_no_opentelemetry() -> None:
    program = (
        "import spiraltorch as st, sys; (st.ones(3) + 1).tolist(); st.telemetry.counters()\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_known_graph_is_a_hit() -> None:
    def run() -> None:
        (st.asarray(X) * 0.625 - 7).numpy()

    first, second = difference(run), difference(run)
    assert (first["plan_cache_misses"], first["plan_cache_hits"], first["plans_compiled"]) == (1, 0, 1)
    assert (second["plan_cache_misses"], second["plan_cache_hits"], second["plans_compiled"]) == (0, 1, 0)
    assert first["kernels_launched"] == second["kernels_launched"] == 1
    assert second["compile_seconds"] == 0


def test_kernels_are_found_in_memory_then_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))
    from spiraltorch.runtime import device as devices

    known: dict[str, Any] = devices.get("cpu:0").kernels.loaded  # type: ignore[attr-defined]
    saved = dict(known)

    def run() -> None:
        STATE.graphs.clear()
        (st.asarray(X) * 0.5 + 11).numpy()

    try:
        known.clear()
        made = difference(run)
        assert made["kernels_compiled"] == made["kernel_cache_misses"] == made["object_cache_misses"] == 1
        found = difference(run)
        assert found["kernel_cache_hits"] == 1 and found["kernels_compiled"] == found["object_cache_hits"] == 0
        known.clear()
        read = difference(run)
        assert read["object_cache_hits"] == read["kernel_cache_misses"] == 1 and read["kernels_compiled"] == 0
    finally:
        known.update(saved)


def test_only_copies_count_as_moved() -> None:
    square = np.arange(36, dtype=np.float32).reshape(6, 6)
    assert difference(lambda: st.asarray(square, copy=False).numpy())["bytes_to_device"] == 0
    assert difference(lambda: st.asarray(square).numpy())["bytes_to_device"] == square.nbytes
    misaligned = np.frombuffer(b"." + square.tobytes(), np.float32, offset=1)
    copied = difference(lambda: st.asarray(misaligned).numpy())
    assert copied["bytes_to_device"] == square.nbytes and copied["bytes_to_host"] == 0


def test_memory_in_use_rises_and_falls() -> None:
    before = telemetry.counters()["bytes_in_use"]
    held = st.asarray(X).repeat(4096) + 1
    held.numpy()
    risen = telemetry.counters()
    assert risen["bytes_in_use"] - before >= X.nbytes * 4096 and risen["peak_bytes"] >= risen["bytes_in_use"]
    del held
    assert telemetry.counters()["bytes_in_use"] - before < X.nbytes * 4096


def test_every_metric_has_a_figure_and_every_figure_a_metric() -> None:
    assert telemetry.counters().keys() == {m.key for m in telemetry.METRICS}
    by_name: dict[str, set[Any]] = {}
    for m in telemetry.METRICS:
        by_name.setdefault(m.name, set()).add((m.unit, m.description, m.is_counter))
    assert all(len(kinds) == 1 for kinds in by_name.values())  # rows of one name are one instrument
