"""Plans: which graphs share one, numbers as parameters, reuse of memory, their text, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from compiler_helpers import compare, data, normal, number, plan

import spiraltorch as st
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.graph_key import walk
from spiraltorch.compiler.planning.explain import explain_plan
from spiraltorch.dtypes import float32, int64
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node
from spiraltorch.telemetry import counters

# ---------------------------------------------------------------- keys


def key(*roots: Node) -> object:
    return walk(list(roots))[1]


def test_equal_structure_has_one_key_and_one_plan() -> None:
    def make() -> Node:
        return b.add(b.mul(normal(3, 4), normal(4)), number(0.25))

    first, second = make(), make()
    assert key(first) == key(second) and hash(key(first)) == hash(key(second))
    assert plan(first) is plan(second)


def test_aliasing_shape_dtype_parameters_and_outputs_are_in_the_key() -> None:
    x, y = normal(4, 4), normal(4, 4)
    assert key(b.add(x, x)) != key(b.add(x, y))
    assert key(b.sub(x, y)) == key(b.sub(y, x))  # interchangeable leaves
    assert key(b.exp(x)) != key(b.exp(normal(4, 5)))
    assert key(b.exp(x)) != key(b.exp(data(np.ones((4, 4)))))
    assert key(b.reduce_sum(x, (0,))) != key(b.reduce_sum(x, (1,)))
    made = b.exp(x)
    assert key(made) != key(b.neg(made), made)


def test_aliased_operands_are_not_taken_for_two() -> None:
    a, c = st.tensor([1.0, 2.0]), st.tensor([10.0, 20.0])
    assert (a * 2 + c).tolist() == [12, 24]
    assert (a * 2 + a).tolist() == [3, 6]


def test_an_evaluated_node_is_a_leaf_of_what_follows() -> None:
    x = normal(3)
    middle = b.exp(x)
    evaluate.evaluate([middle])
    assert key(b.neg(middle)) == key(b.neg(x))


# ---------------------------------------------------------------- numbers


def test_the_value_of_a_scalar_is_not_in_the_key() -> None:
    x = normal(5)
    assert key(b.mul(x, number(0.3))) == key(b.mul(x, number(4.5)))
    assert key(b.mul(x, number(2))) != key(b.mul(x, number(3)))  # a constant, and a scalar


def test_a_new_number_does_not_compile_again() -> None:
    x, ones = normal(5), st.ones(5)
    compare(b.mul(x, number(0.3)), tolerance=1e-6)
    (ones * 3.25).numpy()
    before = counters()["plans_compiled"]
    for n in range(5):
        assert (ones * (3.5 + n)).tolist() == [3.5 + n] * 5
    for value in (0.7, 11.5):
        compare(b.mul(x, number(value)), tolerance=1e-6)
    assert counters()["plans_compiled"] == before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("value", [0.1, 1e5, 1e39, -1e39, math.inf, math.nan])
def test_numbers_are_rounded_or_infinite(dtype: str, value: float) -> None:
    with np.errstate(over="ignore"):
        want = np.asarray(value).astype(st.result_type(dtype).numpy).astype(np.float64)
    got = (st.zeros(3, dtype=dtype) + value).to("float64").numpy()
    np.testing.assert_array_equal(got, np.full(3, want))


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(("extent", "steps", "bent"), [(64, 8, False), (256, 6, True)])
def test_intermediate_results_share_memory(extent: int, steps: int, bent: bool) -> None:
    """A chain of contractions needs two intermediates at a time, however long it is."""
    x = st.asarray((np.random.default_rng(0).standard_normal((extent, extent)) / extent**0.5).astype(np.float32))
    y, want = x, x.numpy().astype(np.float64)
    for _ in range(steps):
        y, want = y @ x, want @ x.numpy()
        if bent:
            y, want = st.tanh(y), np.tanh(want)
    made = plan(y.node)
    one = extent * extent * 4
    assert made.statistics.kernels == steps and made.executable.output_bytes == (one,)
    assert made.executable.arena_bytes < 4 * one and made.statistics.memory.reused_bytes > 0
    np.testing.assert_allclose(y.numpy(), want, atol=1e-4)


def test_element_wise_results_are_written_in_place() -> None:
    values = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32) / 16
    x = st.asarray(values)
    y = st.sort(st.tanh(st.cumsum(x, axis=0)), axis=1) @ x  # a scan, an element-wise kernel, a sort, a product
    assert "is written in place of" in st.explain(y)
    want = np.sort(np.tanh(np.cumsum(values.astype(np.float64), 0)), 1) @ values
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-4)


def test_intermediates_that_live_together_lie_apart() -> None:
    x = normal(33, 33)
    left, right = b.dot(x, x, (1,), (0,)), b.dot(x, x, (0,), (0,))
    compare(b.dot(left, right, (1,), (0,)), tolerance=1e-3)


def test_a_wanted_leaf_or_its_reshape_costs_no_kernel() -> None:
    x = normal(4, 6)
    view = b.reshape(x, (24,))
    made = plan(view)
    assert made.statistics.kernels == 0 and made.executable.output_bytes == ()
    evaluate.evaluate([view])
    assert view.buf is x.buf


def test_values_wanted_twice_are_computed_once() -> None:
    x = normal(40)
    first, second = b.exp(x), b.exp(x)
    made = plan(first, second)
    assert made.statistics.kernels == 1 and len(made.executable.output_bytes) == 1
    compare(first, second, tolerance=1e-6)


# ---------------------------------------------------------------- text


def test_explain_names_kernels_bytes_and_reasons() -> None:
    text = explain_plan(plan(st.softmax(st.Tensor(normal(16, 32)), -1).node))
    lines = text.splitlines()
    assert lines[0].startswith("plan: 1 kernel for 5 operations on cpu:0")
    assert "kernel 0 (rows): 4,096 bytes" in text and "float32[16, 32]" in text
    assert "into kernel 0: " in text and "results: 2,048 bytes" in text


def test_explain_does_not_run_anything() -> None:
    made = b.exp(normal(5))
    assert evaluate.explain([made]).startswith("plan: 1 kernel") and made.buf is None
    evaluate.evaluate([made])
    assert evaluate.explain([made]) == "plan: nothing to do, the values exist"


# ---------------------------------------------------------------- errors


def test_an_error_leaves_the_graph_as_it_was() -> None:
    made = b.add(normal(3), b.cast(b.scalar(1 << 80, int64), float32))
    with pytest.raises(Exception):  # noqa: B017  # the number fits no int64: whichever layer notices
        evaluate.evaluate([made])
    assert made.buf is None and len(made.args) == 2


def test_ten_terabytes_raise_and_the_process_goes_on() -> None:
    with pytest.raises(st.errors.OutOfMemoryError):
        (st.zeros(10 << 40, dtype=st.int8) + 1).numpy()
    assert (st.ones(3) + 1).tolist() == [2, 2, 2]
