"""Compiling takes work in proportion to the graph, and kernels stay short."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.fusion.placement import MAX_KERNEL_OPERATIONS
from spiraltorch.compiler.graph_key import walk
from spiraltorch.compiler.lowering.cluster import operation_count
from spiraltorch.compiler.state import STATE
from spiraltorch.ir.stmt import Store
from spiraltorch.ir.stmt import walk as statements

X = np.linspace(-1, 1, 64 * 32, dtype=np.float32).reshape(64, 32)


def rows(y: st.Tensor, x: st.Tensor, n: int) -> st.Tensor:
    """An operation of a chain in which every other one needs a whole row."""
    if n % 4 == 0:
        return y - y.mean(1, keepdim=True)
    if n % 4 == 1:
        return y * 1.01 + x
    return y.exp() * 0.5 if n % 4 == 2 else y / (y.abs().sum(1, keepdim=True) + 1)


def maps(y: st.Tensor, x: st.Tensor, n: int) -> st.Tensor:
    return y * 1.01 + x if n % 2 else y.tanh()


def shared(y: st.Tensor, x: st.Tensor, n: int) -> st.Tensor:
    """Each value is used twice: a compiler that forgets what it knows works for ever."""
    return y * y.sin() + y.sum(0) * 0.001


Step = Callable[[st.Tensor, st.Tensor, int], st.Tensor]


def chain(step: Step, length: int) -> st.Tensor:
    x = st.asarray(X)
    y = x
    for n in range(length):
        y = step(y, x, n)
    return y


def calls(step: Step, length: int) -> int:
    """Python calls that making the plan takes."""
    STATE.graphs.clear()
    y = chain(step, length)
    order, _, _, leaves = walk([y.node])
    profile = cProfile.Profile()
    profile.runcall(evaluate.plan_for, [y.node], order, leaves)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.mark.parametrize("step", [rows, maps, shared])
def test_four_times_the_graph_takes_about_four_times_the_work(step: Step) -> None:
    calls(step, 400)  # kernels of the beginning and of the middle are in the cache
    small, large = calls(step, 100), calls(step, 400)
    assert large < 6 * small, (small, large)


@pytest.mark.parametrize("step", [rows, maps, shared])
def test_kernels_of_a_long_chain_are_short_and_right(step: Step) -> None:
    y = chain(step, 120)
    order, _, _, leaves = walk([y.node])
    plan = evaluate.plan_for([y.node], order, leaves)
    for one in plan.kernels.lowered:
        stores = [s for s in statements(one.kernel.body) if isinstance(s, Store)]
        assert operation_count([s.value for s in stores]) <= 2 * MAX_KERNEL_OPERATIONS
    want = X.astype(np.float64)
    with np.errstate(over="ignore"):
        for n in range(120):
            want = meaning(step, want, n)
    np.testing.assert_allclose(y.numpy(), want, rtol=2e-3, atol=1e-5)


def meaning(step: Step, y: np.ndarray, n: int) -> np.ndarray:  # type: ignore[type-arg]
    """The same operation in NumPy."""
    if step is maps:
        return y * 1.01 + X if n % 2 else np.tanh(y)
    if step is shared:
        return y * np.sin(y) + y.sum(0) * 0.001
    if n % 4 == 0:
        return y - y.mean(1, keepdims=True)
    if n % 4 == 1:
        return y * 1.01 + X
    return np.exp(y) * 0.5 if n % 4 == 2 else y / (np.abs(y).sum(1, keepdims=True) + 1)
