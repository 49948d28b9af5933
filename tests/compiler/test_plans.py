"""Fusion, keys, memory and the text of plans."""

from __future__ import annotations

import numpy as np
import pytest
from compiler_helpers import compare, data, kept, layer_norm, normal, number, plan, softmax

from spiraltorch.compiler import engine
from spiraltorch.compiler.explain import explain_plan
from spiraltorch.compiler.key import walk
from spiraltorch.dtypes import float32, int64
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node
from spiraltorch.runtime.statistics import snapshot

# ---------------------------------------------------------------- fusion


@pytest.mark.parametrize("shape", [(4, 33), (2, 3, 64), (1, 7), (300, 5)])
def test_softmax_is_one_kernel(shape: tuple[int, ...]) -> None:
    made = softmax(normal(*shape))
    assert plan(made).kernels == 1
    compare(made, tolerance=1e-6)


@pytest.mark.parametrize("shape", [(4, 33), (2, 3, 64), (300, 5)])
def test_layer_norm_is_one_kernel(shape: tuple[int, ...]) -> None:
    made = layer_norm(normal(*shape), normal(shape[-1]), normal(shape[-1]))
    assert plan(made).kernels == 1
    compare(made, tolerance=1e-5)


def test_cross_entropy_of_each_row_is_one_kernel() -> None:
    x, target = normal(8, 11), data(np.arange(8) % 11)
    top = b.reshape(b.reduce_max(x, (1,)), kept(x, 1))
    total = b.log(b.reduce_sum(b.exp(b.sub(x, top)), (1,)))
    chosen = b.reshape(b.take_along(x, b.reshape(target, (8, 1)), 1), (8,))
    made = b.sub(b.add(total, b.reshape(top, (8,))), chosen)
    assert plan(made).kernels == 1
    compare(made, tolerance=1e-5)


def test_an_adamw_update_is_one_kernel() -> None:
    parameter, gradient, first, second = normal(50, 7), normal(50, 7), normal(50, 7), b.abs_(normal(50, 7))
    engine.evaluate([second])
    rate, decay = number(1e-3), number(0.01)
    m = b.add(b.mul(first, number(0.9)), b.mul(gradient, number(0.1)))
    v = b.add(b.mul(second, number(0.999)), b.mul(b.mul(gradient, gradient), number(0.001)))
    step = b.div(m, b.add(b.sqrt(v), number(1e-8)))
    new = b.sub(b.mul(parameter, b.sub(number(1.0), b.mul(rate, decay))), b.mul(rate, step))
    assert plan(new, m, v).kernels == 1
    compare(new, m, v, tolerance=1e-5)


def test_what_follows_a_contraction_is_its_epilogue() -> None:
    made = b.tanh(b.add(b.dot(normal(9, 8), normal(8, 17), (1,), (0,)), normal(17)))
    assert plan(made).kernels == 1
    compare(made, tolerance=1e-5)


def test_views_are_never_copies() -> None:
    x = normal(6, 8)
    turned = b.flip(b.slice(b.permute(x, (1, 0)), (1, 0), (8, 6), (2, 1)), (0,))
    made = b.exp(b.reshape(turned, (24,)))
    assert plan(made).kernels == 1
    compare(made, tolerance=1e-6)


def test_a_chain_too_long_for_one_kernel_is_cut() -> None:
    x = normal(10)
    y = x
    for n in range(400):
        y = b.add(y, b.mul(x, number(1.0 / (n + 3))))
    assert 1 <= plan(y).kernels <= 6
    compare(y, tolerance=1e-5)


# ---------------------------------------------------------------- keys


def key(*roots: Node) -> object:
    return walk(list(roots))[1]


def test_equal_structure_has_one_key_and_one_plan() -> None:
    def make() -> Node:
        return b.add(b.mul(normal(3, 4), normal(4)), number(0.25))

    first, second = make(), make()
    assert key(first) == key(second) and hash(key(first)) == hash(key(second))
    assert plan(first) is plan(second)


def test_the_value_of_a_scalar_is_not_in_the_key() -> None:
    x = normal(5)
    before = snapshot()["plans_compiled"]
    for value in (0.3, 0.7, 11.5):
        made = b.mul(x, number(value))
        compare(made, tolerance=1e-6)
    assert snapshot()["plans_compiled"] <= before + 1
    assert key(b.mul(x, number(0.3))) == key(b.mul(x, number(4.5)))
    assert key(b.mul(x, number(2))) != key(b.mul(x, number(3)))  # a constant, and a scalar


def test_aliasing_shape_dtype_parameters_and_outputs_are_in_the_key() -> None:
    x, y = normal(4, 4), normal(4, 4)
    assert key(b.add(x, x)) != key(b.add(x, y))
    assert key(b.sub(x, y)) == key(b.sub(y, x))  # interchangeable leaves
    assert key(b.exp(x)) != key(b.exp(normal(4, 5)))
    assert key(b.exp(x)) != key(b.exp(data(np.ones((4, 4)))))
    assert key(b.reduce_sum(x, (0,))) != key(b.reduce_sum(x, (1,)))
    made = b.exp(x)
    assert key(made) != key(b.neg(made), made)


def test_an_evaluated_node_is_a_leaf_of_what_follows() -> None:
    x = normal(3)
    middle = b.exp(x)
    engine.evaluate([middle])
    assert key(b.neg(middle)) == key(b.neg(x))


# ---------------------------------------------------------------- memory


def test_intermediate_results_share_memory() -> None:
    """A chain of contractions needs two intermediates at a time, however long it is."""
    x = normal(64, 64)
    y = x
    for _ in range(8):
        y = b.dot(y, x, (1,), (0,))
    made = plan(y)
    one = 64 * 64 * 4
    assert made.kernels == 8 and made.output_bytes == [one]
    assert made.arena_bytes < 6 * one and made.reuse > 0


def test_a_wanted_leaf_or_its_reshape_costs_no_kernel() -> None:
    x = normal(4, 6)
    view = b.reshape(x, (24,))
    made = plan(view)
    assert made.kernels == 0 and made.output_bytes == []
    engine.evaluate([view])
    assert view.buf is x.buf


def test_values_wanted_twice_are_computed_once() -> None:
    x = normal(40)
    first, second = b.exp(x), b.exp(x)
    made = plan(first, second)
    assert made.kernels == 1 and len(made.output_bytes) == 1
    compare(first, second, tolerance=1e-6)


def test_intermediates_that_live_together_lie_apart() -> None:
    x = normal(33, 33)
    left, right = b.dot(x, x, (1,), (0,)), b.dot(x, x, (0,), (0,))
    compare(b.dot(left, right, (1,), (0,)), tolerance=1e-3)


# ---------------------------------------------------------------- explain


def test_explain_names_kernels_bytes_and_reasons() -> None:
    text = explain_plan(plan(softmax(normal(16, 32))))
    lines = text.splitlines()
    assert lines[0].startswith("plan: 1 kernel for 5 operations on cpu:0")
    assert "kernel 0 (rows): 4,096 bytes" in text and "float32[16, 32]" in text
    assert "fused into kernel 0" in text and "results: 2,048 bytes" in text


def test_explain_does_not_run_anything() -> None:
    made = b.exp(normal(5))
    assert engine.explain([made]).startswith("plan: 1 kernel") and made.buf is None
    engine.evaluate([made])
    assert engine.explain([made]) == "plan: nothing to do, the values exist"


def test_an_error_leaves_the_graph_as_it_was() -> None:
    made = b.add(normal(3), b.cast(b.scalar(1 << 80, int64), float32))
    with pytest.raises(Exception):  # noqa: B017  # the number fits no int64: whichever layer notices
        engine.evaluate([made])
    assert made.buf is None and len(made.args) == 2
