"""Two thousand random graphs: the CPU backend against each primitive's NumPy meaning.

The first seed is printed with a failure and can be set with SPIRALTORCH_TEST_SEED; a failure is reduced to a few
operations first.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from program_generator import DEVICE, Graph, copied, differs, listing, shrink

from spiraltorch.compiler import engine, rules
from spiraltorch.graph import reference

BASE = int(os.environ.get("SPIRALTORCH_TEST_SEED", "20261123"))
CHUNKS, EACH = 50, 42


def problem(roots: list) -> str:
    """What the compiled graph gets wrong, or an empty string."""
    want = reference.evaluate(roots)
    fresh = copied(roots, {})
    engine.evaluate(fresh)
    for root, node, value in zip(roots, fresh, want, strict=True):
        got = DEVICE.to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
        wrong = differs(np.asarray(got), value, root)
        if wrong:
            return wrong
    return ""


def attempt(roots: list) -> str:
    """As `problem`, with exceptions as text."""
    try:
        return problem(roots)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if chunk % 3 == 0:  # small programs take the paths of large ones too
        monkeypatch.setattr(rules, "PARALLEL_WORK", 64)
    for n in range(EACH):
        seed = BASE * 10_000 + chunk * EACH + n
        graph = Graph(seed, 3 + seed % 9)
        wrong = attempt(graph.outputs)
        if wrong:
            small = shrink(graph.outputs, lambda r: bool(attempt(r)))
            pytest.fail(
                f"seed {seed} (SPIRALTORCH_TEST_SEED={BASE}): {wrong}\nreduced: {attempt(small)}\n{listing(small)}"
            )
