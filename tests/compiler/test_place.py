"""Where intermediate results lie: nothing overlaps in time and place, and memory stays near what liveness allows."""

from __future__ import annotations

import re

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler.planning.memory import LiveRange, Region, liveness_bound, place


def test_the_least_that_liveness_allows() -> None:
    chain = [LiveRange(100, 0, 1, "a"), LiveRange(60, 1, 2, "b"), LiveRange(30, 2, 3, "c")]
    assert liveness_bound(chain, [], 4) == 160
    assert liveness_bound(chain, [Region(0, 80, 3, "r")], 4) == 160
    assert liveness_bound(chain, [Region(0, 80, 1, "r")], 4) == 240
    assert liveness_bound([], [], 0) == 0


def test_a_value_lies_in_a_result_that_is_written_later() -> None:
    early, late = LiveRange(64, 0, 1, "early"), LiveRange(64, 2, 3, "late")
    places, arena, reused = place([early, late], [Region(7, 64, 2, "result")], 9, 64)
    assert places == [(7, 0), (9, 0)] and arena == 64
    assert "result" in [d.subject for d in reused]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_alive_together_lies_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = []
    for n in range(40):
        first = int(rng.integers(0, 30))
        wanted.append(LiveRange(int(rng.integers(1, 1000)), first, first + int(rng.integers(0, 8)), str(n)))
    regions = [Region(k, int(rng.integers(1, 2000)), int(rng.integers(0, 40)), f"r{k}") for k in range(5)]
    places, arena, _ = place(wanted, regions, 99, 64)
    sizes = {r.slot: (r.size, r.written) for r in regions}
    for n, (a, (slot, at)) in enumerate(zip(wanted, places, strict=True)):
        assert at % 64 == 0
        if slot == 99:
            assert at + a.size <= arena
        else:
            assert at + a.size <= sizes[slot][0] and a.last < sizes[slot][1]
        for b, (other, offset) in zip(wanted[:n], places[:n], strict=True):
            together = a.first <= b.last and b.first <= a.last
            assert slot != other or not together or at + a.size <= offset or offset + b.size <= at
    total = sum(r.size for r in regions)
    assert arena + total >= liveness_bound(wanted, regions, 40)


def test_explain_gives_the_peak_beside_the_bound() -> None:
    x = st.asarray(np.ones((512, 512), np.float32))
    y = st.softmax(st.softmax(x @ x, 0) @ x, 0) @ x
    found = re.search(r"memory: ([\d,]+) bytes at most .* liveness allows ([\d,]+) \(\+([\d.]+) %\)", st.explain(y))
    assert found is not None
    peak, bound = (int(found[n].replace(",", "")) for n in (1, 2))
    assert bound == 2 * x.nbytes and bound <= peak
    assert float(found[3]) == pytest.approx(100 * peak / bound - 100, abs=0.05)
    np.testing.assert_allclose(y.numpy(), np.full((512, 512), 1.0), rtol=1e-5)
