"""Searches: what they try, what they refuse, and that kernels use what they find."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning_samples import DEVICES, FAULTY, lowered, normal, store

import spiraltorch as st
from spiraltorch.compiler.state import STATE
from spiraltorch.runtime import device
from spiraltorch.tuning.client import Client, WorkerError
from spiraltorch.tuning.cost import predict


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with store(tmp_path / "cache", monkeypatch) as root:
        yield root


def outcomes(session: Any) -> list[str]:
    return [t["outcome"] for e in session.entries for t in e.tried]


@pytest.mark.parametrize("where", DEVICES)
def test_a_search_tries_and_keeps(where: str) -> None:
    x, y = normal(where, 100, 90), normal(where, 90, 120)
    before = st.telemetry.counters()
    with st.tune(seconds=5) as session:
        np.testing.assert_allclose((x @ y).numpy(), x.numpy() @ y.numpy(), atol=1e-3)
    (entry,) = session.entries
    assert entry.device == where and entry.count >= 1 and entry.best <= entry.default
    assert entry.kernel == "dot float32[100, 120] of float32[100, 90], float32[90, 120]"
    assert st.tuning.entries() == [entry]
    after = st.telemetry.counters()
    assert after["kernels_tuned"] == before["kernels_tuned"] + 1
    assert after["tuning_candidates"] >= before["tuning_candidates"] + entry.count
    np.testing.assert_allclose((x @ y).numpy(), x.numpy() @ y.numpy(), atol=1e-3)
    assert f"the tuner tried {entry.count} other schedules" in st.explain(x @ y)
    with st.tune(seconds=2) as again:
        st.eval(x @ y)
    assert again.entries == []


def winning(monkeypatch: pytest.MonkeyPatch, decisions: dict[str, Any]) -> None:
    """Searches find these decisions, however quick they are."""
    from spiraltorch.tuning import search

    def run(self: Any) -> Any:
        self._load()
        rule = {name: default for name, (default, _, _) in self._inspect({})["asked"].items()}
        taken = {name: option for name, option in decisions.items() if name in rule}
        return search.SearchResult(taken, 2.0, 1.0, rule, [{"decisions": taken, "outcome": "timed", "ratio": 0.5}])

    monkeypatch.setattr(search.Search, "run", run)


def test_plans_from_before_are_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal("cpu", 65, 300), normal("cpu", 300, 130)
    st.eval(x @ y)
    step = st.compile(lambda a: (a @ y) * 2)
    for _ in range(4):  # from the second on it is replayed, from the third in one generated function
        plain = step(x).numpy()
    compiled = st.telemetry.counters()["kernels_compiled"]
    winning(monkeypatch, {"tile": (4, 2), "pack": False})
    with st.tune() as session:
        tuned = step(x).numpy()
    (entry,) = session.entries
    assert entry.decisions == {"tile": (4, 2), "pack": False}
    assert st.telemetry.counters()["kernels_compiled"] == compiled + 1
    np.testing.assert_allclose(tuned, plain, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(step(x).numpy(), plain, rtol=1e-4, atol=1e-4)
    assert st.telemetry.counters()["kernels_compiled"] == compiled + 1
    assert "took tile (4, 2), pack False: 2.00 times as fast" in st.explain((x @ y) * 2)


def test_plans_with_scratch_are_linked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another schedule wants other memory beside its parameters, in a plan of several kernels."""
    x, w = normal("cpu", 200, 300), normal("cpu", 300, 300)
    make = lambda: st.softmax(st.tanh(x @ w) @ w, -1)
    plain = make().numpy()
    text = st.explain(make())
    winning(monkeypatch, {"pack": "no option", "left": True, "mc": 5, "nc": 2, "unroll.0": 8})
    with st.tune() as session:
        np.testing.assert_allclose(make().numpy(), plain, rtol=1e-4, atol=1e-5)
    assert len(session.entries) == 3
    np.testing.assert_allclose(make().numpy(), plain, rtol=1e-4, atol=1e-5)
    again = st.explain(make())
    memory = [line for line in text.splitlines() if line.startswith(("plan:", "moves"))]
    assert all(line in again for line in memory) and again.count("reuse %") == text.count("reuse %")


def test_random_gather_and_scatter_survive_random_inputs() -> None:
    """What is tuned with random numbers reads indices, which must stay in range."""
    x, i = normal("cpu", 300, 40), st.asarray(np.arange(256) % 300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with st.tune(seconds=1):
            st.eval(st.take(x, i, 0) * 2)
            st.eval(st.index_add(x, 0, i, st.ones(256, 40)))
            st.eval(st.rand(100, 50))
            st.eval(st.argsort(x, 0))
            st.eval((x > 0).sum(0), (x * 3).to(st.bfloat16) * 0.7)


@pytest.mark.parametrize(("fault", "outcome"), [("hang", "failed"), ("crash", "failed"), ("wrong", "wrong")])
def test_bad_candidates_are_disqualified(fault: str, outcome: str) -> None:
    x = normal("cpu", 300, 500)
    began, before = time.perf_counter(), st.telemetry.counters()["tuning_disqualified"]
    with st.tune(seconds=12, limit=1.5, worker=("-m", FAULTY, fault)) as session:
        np.testing.assert_allclose(st.tanh(x).numpy(), np.tanh(x.numpy()), atol=1e-6)
    assert time.perf_counter() - began < 60
    (entry,) = session.entries
    bad = [t for t in entry.tried if t["outcome"] == outcome]
    assert bad and {t["outcome"] for t in entry.tried} <= {outcome, "timed", "predicted"}
    assert "timed" in outcomes(session) and entry.decisions not in [t["decisions"] for t in bad]
    assert all(("no answer" in t["reason"]) == (fault == "hang") for t in bad)
    assert st.telemetry.counters()["tuning_disqualified"] == before + len(bad)


@pytest.mark.parametrize("command", [("-c", "raise SystemExit(3)"), ("-c", "import os; os.abort()")])
def test_a_worker_that_does_not_start(command: tuple[str, ...]) -> None:
    x = normal("cpu", 300, 500)
    with st.tune(worker=command) as session, pytest.warns(RuntimeWarning, match="worker for cpu:0 does not start"):
        np.testing.assert_allclose(st.sin(x).numpy(), np.sin(x.numpy()), atol=1e-6)
    assert session.entries == []


def test_a_worker_that_dies_with_every_kernel() -> None:
    """The rule's own choice cannot be measured: the kernel is left as it is, and not asked for again."""
    program = "import sys, json; print(json.dumps({'ready': True}), flush=True); sys.stdin.read(9); sys.exit(5)"
    x = normal("cpu", 310, 500)
    with st.tune(worker=("-c", program)) as session:
        with pytest.warns(RuntimeWarning, match="exit code 5"):
            st.eval(st.cos(x))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            STATE.graphs.clear()
            st.eval(st.cos(x))
    assert session.entries == []


def test_clients_end_their_workers() -> None:
    client = Client("cpu:0")
    client.start()
    process = client._process
    assert process is not None and client.running
    client.close()
    assert process.poll() is not None and not client.running
    silent = Client("cpu:0", ("-c", "print('{}', flush=True); import time; time.sleep(60)"))
    silent.start()
    with pytest.raises(WorkerError, match="no answer within"):
        silent.ask("inspect", {}, seconds=0.2)
    assert not silent.running


def test_an_interrupted_search_leaves_no_answer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("cpu:0", ("-c", "print('{}', flush=True); import time; time.sleep(60)"))
    client.start()

    def interrupted(timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client._lines, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.ask("inspect", {}, seconds=5)
    assert not client.running


def test_arguments() -> None:
    for given in ({"seconds": 0}, {"seconds": -1.0}, {"limit": 0}, {"seconds": float("nan")}):
        with pytest.raises(st.ArgumentError, match=r"\[tune\] expected"), st.tune(**given):
            pass


def test_a_search_is_a_span(tmp_path: Path) -> None:
    x = normal("cpu", 120, 500)
    with st.telemetry.trace(tmp_path / "t.json") as trace, st.tune(seconds=0.5):
        st.eval(st.softmax(x, -1))
    found = [e for e in trace.events() if e["name"] == "spiraltorch.tune"]
    assert len(found) == 1 and found[0]["args"]["device"] == "cpu:0" and found[0]["args"]["candidates"] >= 0


def test_a_search_without_time_tries_one_candidate() -> None:
    x = normal("cpu", 120, 501)
    with st.tune(seconds=1e-6) as session:
        st.eval(st.softmax(x, -1))
    (entry,) = session.entries
    assert entry.count == 1


def test_nothing_small_is_tuned() -> None:
    with st.tune() as session:
        assert (st.ones(8) + 1).sum().item() == 16
    assert session.entries == [] and os.listdir(os.environ["SPIRALTORCH_CACHE_DIR"]).count("tuning") == 0


@pytest.mark.parametrize("where", DEVICES)
def test_predictions_order_the_obvious(where: str) -> None:
    """The cost model tells a good schedule of a product from a hopeless one."""
    from spiraltorch.compiler.choices import Choices
    from spiraltorch.compiler.schedules import schedule

    target = device.get(where).target
    (low,) = lowered(normal(where, 512, 512) @ normal(where, 512, 512))
    bad = {"tiled": False} if target.has_grid else {"tile": (1, 1), "pack": False}
    good = predict(schedule(low, target), target)
    assert 0 < good < predict(schedule(low, target, Choices(bad)), target)
    (larger,) = lowered(normal(where, 1024, 512) @ normal(where, 512, 512))
    assert predict(schedule(larger, target), target) > good
