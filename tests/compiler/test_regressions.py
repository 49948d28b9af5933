"""What random programs found: one test for each mistake that was mended, reduced to its core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from compiler_helpers import compare, data, normal, number, plan

import spiraltorch as st
from cpu_devices import threads_pay_from
from spiraltorch.compiler.state import STATE
from spiraltorch.dtypes import float32
from spiraltorch.graph import build as b
from spiraltorch.ir.expr import Buffer, Const, Load, Space
from spiraltorch.ir.interpreter import run
from spiraltorch.ir.stmt import Accumulate, Alloc, For, Kernel, Store, block, loop, loop_nest, walk
from spiraltorch.ir.verifier import verify
from spiraltorch.runtime import device


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Kernel]]:
    """The kernels compiled in a test, each verified."""
    seen: list[Kernel] = []
    cpu = device.get("cpu:0")
    compile_kernels = cpu.compile

    def keep(makers: list[Callable[[], Kernel]], keys: list[Any]) -> Any:
        made = [verify(make(), lowered=True) for make in makers]
        seen.extend(made)
        return compile_kernels(made, [None] * len(made))

    monkeypatch.setattr(STATE, "graphs", {})
    monkeypatch.setattr(cpu, "compile", keep, raising=False)
    yield seen
    assert seen


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_one_lane_of_a_narrow_type_is_stored_alone(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM turned a masked store of truncated lanes, one of them on, into a store of the untruncated element."""
    threads_pay_from(1000, monkeypatch)
    monkeypatch.setattr(STATE, "graphs", {})
    x = data((np.arange(169) % 7).reshape(13, 13).astype(dtype))
    for columns in (17, 33, 49):
        y = data((np.arange(2 * 13 * columns) % 7).reshape(2, 13, columns).astype(dtype))
        compare(b.dot(x, y, (1,), (1,)))


def test_a_spread_convolution_is_provably_inside(kernels: list[Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its guard was of the position between spread elements, the access of the quotient."""
    threads_pay_from(1000, monkeypatch)
    x, w = normal(3, 2, 8, 27, 13), normal(2, 16, 8, 3, 5)
    compare(b.conv(x, w, (1, 2), ((2, 1), (2, 0)), (2, 2), (2, 1)), tolerance=1e-4)


def test_a_convolution_that_only_meets_gaps_is_zero(kernels: list[Kernel]) -> None:
    """Odd positions of an input spread by two; the kernel's accesses were guarded by a condition that never holds."""
    x, w = normal(3, 3, 2, 39, 5), normal(3, 5, 2, 5, 1)
    compare(b.conv(x, w, (2, 2), ((0, 0), (1, 1)), (1, 2), (2, 1)))


def test_interior_padding_is_provably_inside(kernels: list[Kernel]) -> None:
    compare(b.exp(b.pad(normal(9, 14), ((1, 2, 1), (3, 0, 2)), 1)), tolerance=1e-6)


def test_kernels_that_are_joined_keep_names_apart(kernels: list[Kernel]) -> None:
    """Loops and parameters of the second phase had the names of the first's."""
    x, y = normal(100), normal(7, 5)
    compare(b.mul(x, number(0.3)), b.mul(y, number(0.7)), tolerance=1e-6)
    for kernel in kernels:
        loops = [s.var.name for s in walk(kernel.body) if isinstance(s, For)]
        assert len(set(loops)) == len(loops)
        assert len({p.name for p in kernel.params}) == len(kernel.params)


def test_joined_kernels_share_a_buffer_that_a_guard_looks_up(kernels: list[Kernel]) -> None:
    """The buffer was replaced in positions, not in the guard that keeps a gathered element inside its padding."""
    x, idx = normal(12), data(np.array([0, 3, 7, 9], np.int32))
    padded = b.pad(x, ((2, 3, 0),), 0)
    gathered = b.exp(b.take(padded, idx, 0))
    other = b.add(b.cast(b.expand(b.reshape(idx, (1, 4)), (3, 4)), float32), number(0.3))
    assert plan(gathered, other).statistics.kernels == 1
    compare(gathered, other, tolerance=1e-6)


def test_a_wanted_reshape_of_a_reshape_is_what_the_kernel_stores() -> None:
    """A dropped barrier leaves two reshapes; the output's memory went to the inner one, which nothing writes."""
    least = b.reduce_min(normal(4, 5), (0, 1))
    compare(b.reduce_max(b.barrier(b.reshape(least, (1,))), (0,)))
    compare(b.reshape(b.barrier(b.reshape(b.exp(normal(6)), (2, 3))), (3, 2)), tolerance=1e-6)


def test_the_interpreter_counts_iterations_that_change_nothing() -> None:
    """A sum of equal elements ran as one array without the axis of its loop, and counted one of them."""
    i, total, out = loop("i", 5), Buffer("total", (), float32, Space.REGISTER), Buffer("out", (), float32)
    body = block(
        Store(total, (), Const(0.0, float32)), loop_nest([i], Accumulate(total, (), "add", Const(2.0, float32)))
    )
    result = np.zeros((), np.float32)
    run(Kernel("sum", (out,), Alloc(total, block(body, Store(out, (), Load(total, ()))))), {"out": result})
    assert result == 10


def test_two_results_of_one_kernel_never_take_the_memory_of_the_same_value() -> None:
    """The first of them is read by a later phase of that kernel only, so its life ends where it began."""
    x, at, weights = np.array([1.0, 2.0, 3.0, 4.0]), st.tensor([0, 2]), st.tensor([0.5, -0.25, 1.0, 2.0])

    @st.compile
    def step(x: st.Tensor) -> Any:
        def loss(x: st.Tensor) -> Any:
            y = x / (x * x + 1)
            z = y * 1.5
            z[at] = y[0] * 0.5
            return (z * weights).sum(), z

        return st.value_and_grad(loss, has_aux=True)(x)

    y = x / (x * x + 1)
    want = y * 1.5
    want[[0, 2]] = y[0] * 0.5
    for _ in range(2):
        (_, z), _ = step(st.tensor(x))
        np.testing.assert_allclose(z.numpy(), want, rtol=1e-6)
