"""What evaluation keeps, and what it checks when values come into being."""

from __future__ import annotations

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn
from spiraltorch.compiler.planning import plan as planning
from spiraltorch.compiler.state import STATE
from spiraltorch.errors import IndexOutOfRange
from spiraltorch.telemetry import counters


def unfused(run: object) -> int:
    """Operations that `run()` computes."""
    before = counters()["kernels_before_fusion"]
    run()  # type: ignore[operator]
    return int(counters()["kernels_before_fusion"] - before)


def test_a_value_that_is_still_held_is_computed_once() -> None:
    x = st.tensor(np.linspace(-1, 1, 64, dtype=np.float32))
    y = st.exp(x) * 2
    total = y.sum()
    total.item()
    assert y.node.buf is not None
    assert unfused(lambda: y.mean().item()) <= 3  # a sum, a quotient and its divisor: not the exponential again


def test_a_value_that_nobody_holds_is_not_stored() -> None:
    x = st.tensor(np.linspace(-1, 1, 64, dtype=np.float32))
    z = st.exp(x)
    inner = z.node
    z = z * 2 + 1
    z.numpy()
    assert z.node.buf is not None
    del inner
    x2 = st.tensor(np.linspace(-1, 1, 64, dtype=np.float32))
    before = counters()["bytes_moved"]
    (st.exp(x2) * 2 + 1).numpy()
    assert counters()["bytes_moved"] - before == 2 * 64 * 4


def test_a_chain_that_is_read_at_each_step_costs_the_same_at_each_step() -> None:
    y = st.ones(8)
    costs = []
    for _ in range(12):
        y = y * 1.5 + 1
        costs.append(unfused(lambda: y.sum().item()))  # noqa: B023
    assert len(set(costs)) == 1


def test_a_held_view_of_an_existing_value_is_not_copied() -> None:
    x = st.tensor(np.arange(12, dtype=np.float32))
    v = x.reshape(3, 4).T
    wide = v.broadcast_to((5, 4, 3))
    (wide * 2).sum().item()
    assert v.node.buf is None and wide.node.buf is None


@pytest.mark.parametrize("bad", [[1, 2, 30], [-11, 0, 1]])
def test_an_index_that_is_not_computed_yet_is_checked_when_it_is(bad: list[int]) -> None:
    x = st.arange(10.0)
    y = x[st.tensor(bad) * 1]
    got = next(b for b in bad if not -10 <= b < 10)
    with pytest.raises(IndexOutOfRange, match=rf"\[index\] expected indices from -10 to 9, got {got}"):
        y.numpy()
    assert y.node.buf is None
    np.testing.assert_array_equal(x[st.tensor([1, -1]) * 1].numpy(), [1, 9])


def test_a_compiled_function_checks_its_indices_and_changes_nothing() -> None:
    w = st.tensor(np.ones((5, 3), np.float32))

    @st.compile
    def bump(rows: st.Tensor) -> st.Tensor:
        total = w[rows].sum()
        w[:] = w + 1
        return total

    assert bump(st.tensor([0, 4])).item() == 6.0
    with pytest.raises(IndexOutOfRange, match="got 5"):
        bump(st.tensor([0, 5]))
    np.testing.assert_array_equal(w.numpy(), np.full((5, 3), 2, np.float32))
    assert bump(st.tensor([-5, -1])).item() == 12.0


def test_indices_that_cannot_leave_the_range_are_not_checked() -> None:
    x = st.tensor(np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32))
    sorted_ = st.take_along_axis(x, st.argsort(x, axis=1), axis=1)
    best = st.take_along_axis(x, st.argmax(x, axis=1, keepdims=True), axis=1)
    np.testing.assert_array_equal(sorted_.numpy(), np.sort(x.numpy(), axis=1))
    np.testing.assert_array_equal(best.numpy(), x.numpy().max(1, keepdims=True))
    prims = set()
    stack = [st.take_along_axis(x, st.argsort(x * 1, axis=1), axis=1).node]
    while stack:
        node = stack.pop()
        prims.add(node.spec.prim.name if node.spec.prim else "leaf")
        stack += node.args
    assert "argsort" in prims and "bounded" not in prims


@pytest.mark.parametrize("compiled", [True, False])
def test_checkpointing_keeps_less_memory(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    depth, width, batch = 8, 64, 512
    st.manual_seed(0)
    layers = [
        nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU()) for _ in range(depth)
    ]
    x = st.randn(batch, width)
    parameters = [p for one in layers for p in one.parameters()]
    arenas: list[int] = []
    original = planning.build

    def spy(*args: object) -> planning.Plan:
        made = original(*args)  # type: ignore[arg-type]
        arenas.append(made.statistics.memory.arena_bytes)
        return made

    monkeypatch.setattr("spiraltorch.compiler.evaluate.build", spy)
    monkeypatch.setattr(STATE, "graphs", {})

    def step(checkpointed: bool) -> list[np.ndarray]:
        def run(x: st.Tensor) -> list[st.Tensor]:
            h = x
            for one in layers:
                h = st.checkpoint(one, h) if checkpointed else one(h)
            return _gradients((h * h).mean(), parameters)

        made = (st.compile(run) if compiled else run)(x)
        st.eval(*made)
        return [g.numpy() for g in made]

    st.eval(x, *parameters)
    plain = step(False)
    kept = max(arenas)
    arenas.clear()
    less = step(True)
    for a, b in zip(plain, less, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert max(arenas) < 0.5 * kept


def _gradients(loss: st.Tensor, parameters: list[st.Tensor]) -> list[st.Tensor]:
    for p in parameters:
        p.grad = None
    loss.backward()
    return [p.grad for p in parameters]
