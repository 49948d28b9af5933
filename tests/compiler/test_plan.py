"""Plans: scalars are parameters, memory is reused, equal structures share a plan."""

from __future__ import annotations

import math

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler import engine
from spiraltorch.runtime.statistics import snapshot


def value(dtype: str, number: float) -> np.ndarray:
    return (st.zeros(3, dtype=dtype) + number).to("float64").numpy()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("number", [0.1, 1e5, 1e39, -1e39, math.inf, math.nan])
def test_numbers_are_rounded_or_infinite(dtype: str, number: float) -> None:
    with np.errstate(over="ignore"):
        want = np.asarray(number).astype(st.result_type(dtype).numpy).astype(np.float64)
    np.testing.assert_array_equal(value(dtype, number), np.full(3, want))


def test_a_new_number_does_not_compile_again() -> None:
    x = st.ones(5)
    (x * 3.25).numpy()
    before = snapshot()["plans_compiled"]
    for n in range(5):
        assert (x * (3.5 + n)).tolist() == [3.5 + n] * 5
    assert snapshot()["plans_compiled"] == before


def test_aliasing_is_part_of_the_structure() -> None:
    a, c = st.tensor([1.0, 2.0]), st.tensor([10.0, 20.0])
    assert (a * 2 + c).tolist() == [12, 24]
    assert (a * 2 + a).tolist() == [3, 6]


def test_intermediate_memory_is_reused() -> None:
    x = st.asarray((np.random.default_rng(0).standard_normal((256, 256)) / 16).astype(np.float32))
    y = x
    for _ in range(6):
        y = st.tanh(y @ x)
    plan = engine.plan_for([y.node], *_walked(y))
    assert plan.arena_bytes < 4 * 256 * 256 * 4 and plan.reuse > 0
    want = x.numpy().astype(np.float64)
    z = want
    for _ in range(6):
        z = np.tanh(z @ want)
    np.testing.assert_allclose(y.numpy(), z, atol=1e-4)


def test_element_wise_results_are_written_in_place() -> None:
    data = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32) / 16
    x = st.asarray(data)
    y = st.sort(st.tanh(st.cumsum(x, axis=0)), axis=1) @ x  # a scan, an element-wise kernel, a sort, a product
    assert "is written in place of" in st.explain(y)
    want = np.sort(np.tanh(np.cumsum(data.astype(np.float64), 0)), 1) @ data
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-4)


def _walked(y: st.Tensor) -> tuple:
    from spiraltorch.compiler.key import walk

    order, _, _, leaves = walk([y.node])
    return order, leaves


def test_ten_terabytes_raise_and_the_process_goes_on() -> None:
    with pytest.raises(st.errors.OutOfMemoryError):
        (st.zeros(10 << 40, dtype=st.int8) + 1).numpy()
    assert (st.ones(3) + 1).tolist() == [2, 2, 2]
