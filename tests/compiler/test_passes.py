"""Simplification and decomposition: what programs look like after each."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from compiler_helpers import compare, data, normal, program

from spiraltorch.compiler import evaluate, passes
from spiraltorch.compiler.program import Program
from spiraltorch.dtypes import bfloat16, bool_, float16, float32, float64, int8, int32, int64, uint64
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node
from spiraltorch.ir.target import Target
from spiraltorch.tensor.tensor import Tensor

TARGET = Target("test")
simplify = partial(passes.simplify, target=TARGET)
decompose = partial(passes.decompose, target=TARGET)
drop_barriers = partial(passes.drop_barriers, target=TARGET)


def prims(made: Program) -> list[str]:
    return [v.prim for v in made.vals]


def one(x: Node) -> Node:
    return b.const(1, x.aval.dtype)


def zero(x: Node) -> Node:
    return b.const(0, x.aval.dtype)


SAME: list[Callable[[Node], Node]] = [
    lambda x: b.mul(x, one(x)),
    lambda x: b.mul(one(x), x),
    lambda x: b.div(x, one(x)),
    lambda x: b.sub(x, zero(x)),
    lambda x: b.neg(b.neg(x)),
    lambda x: b.pow(x, one(x)),
    lambda x: b.mul(x, b.expand(one(x), (3, 4))),
    lambda x: b.stop_gradient(x),
    lambda x: b.cast(b.cast(x, float64), float32),
    lambda x: b.permute(b.permute(x, (1, 0)), (1, 0)),
    lambda x: b.reshape(b.reshape(x, (12,)), (3, 4)),
    lambda x: b.concat((x, data(np.zeros((0, 4), np.float32))), 0),
    lambda x: b.reshape(b.reduce_sum(b.reshape(x, (3, 1, 4)), (1,)), (3, 4)),
]


@pytest.mark.parametrize("make", SAME)
def test_what_changes_nothing_disappears(make: Callable[[Node], Node]) -> None:
    assert prims(simplify(program(make(normal(3, 4))))) == ["leaf"]


def test_a_constant_that_was_read_is_a_number_in_later_graphs() -> None:
    """`st.ones(()).item()` gave the shared node of 1.0 a buffer: a leaf in every later graph of the process."""
    x = normal(3)
    for _ in range(2):
        evaluate.evaluate([one(x)])
        assert prims(simplify(program(b.mul(x, one(x))))) == ["leaf"]
        assert prims(simplify(program((Tensor(x) * 1.0).node))) == ["leaf"]


def test_zero_is_not_added_away_from_floats() -> None:
    """-0.0 + 0.0 is 0.0."""
    x = data(np.array([-0.0, 1.0], np.float32))
    assert prims(simplify(program(b.add(x, zero(x))))).count("add") == 1
    i = data(np.arange(3))
    assert prims(simplify(program(b.add(i, zero(i))))) == ["leaf"]


def test_a_cast_that_loses_bits_stays() -> None:
    x = normal(4)
    assert prims(simplify(program(b.cast(b.cast(x, float16), float32)))) == ["leaf", "cast", "cast"]
    i = data(np.arange(4))
    assert prims(simplify(program(b.cast(b.cast(i, float32), int64)))) == ["leaf", "cast", "cast"]
    small = data(np.arange(4, dtype=np.int8))
    assert prims(simplify(program(b.cast(b.cast(small, int32), int8)))) == ["leaf"]


def test_broadcasting_by_a_neutral_number_keeps_the_shape() -> None:
    x = normal(1, 4)
    made = simplify(program(b.mul(x, b.expand(one(x), (3, 4)))))
    assert prims(made) == ["leaf", "expand"] and made.outputs[0].shape == (3, 4)


def test_equal_values_are_shared() -> None:
    x = normal(5)
    made = program(b.add(b.exp(x), b.exp(x)))
    assert prims(made) == ["leaf", "exp", "add"]


def test_zeros_of_two_signs_and_nan_are_constants_of_their_own() -> None:
    x = normal(2)
    made = program(
        b.atan2(x, b.const(0.0, float32)), b.atan2(x, b.const(-0.0, float32)), b.add(x, b.const(math.nan, float32))
    )
    assert prims(made).count("const") == 3


def test_barriers_keep_a_recomputation_apart_until_they_are_dropped() -> None:
    x = normal(6)
    roots = (b.exp(x), b.exp(b.barrier(x)))
    made = simplify(program(*roots))
    assert prims(made).count("exp") == 2
    assert "barrier" not in prims(drop_barriers(made))
    compare(*roots, tolerance=1e-6)


def test_reductions_of_half_floats_are_in_float32() -> None:
    for dtype in (float16, bfloat16):
        x = b.cast(normal(4, 8), dtype)
        made = decompose(program(b.reduce_sum(x, (1,))))
        assert [v.dtype for v in made.vals if v.prim == "reduce_sum"] == [float32]
        assert made.outputs[0].dtype is dtype


def test_arg_reductions_become_two_reductions() -> None:
    made = decompose(program(b.argmax(normal(4, 8), 1)))
    assert [p for p in prims(made) if p.startswith("reduce")] == ["reduce_max", "reduce_min"]
    assert made.outputs[0].dtype is int64


def test_a_long_reduction_to_one_number_is_split() -> None:
    made = decompose(program(b.reduce_sum(normal(1 << 17), (0,))))
    assert prims(made).count("reduce_sum") == 2
    assert prims(decompose(program(b.reduce_sum(normal(1000), (0,))))).count("reduce_sum") == 1


def test_a_dot_with_one_row_is_a_product_and_a_sum() -> None:
    made = decompose(program(b.dot(normal(1, 7), normal(7, 5), (1,), (0,))))
    assert "dot" not in prims(made) and {"mul", "reduce_sum"} <= set(prims(made))
    assert "dot" in prims(decompose(program(b.dot(normal(2, 7), normal(7, 5), (1,), (0,)))))


def test_nothing_to_reduce_gives_the_identity() -> None:
    x = data(np.zeros((3, 0), np.float32))
    compare(b.reduce_sum(x, (1,)), b.reduce_prod(x, (1,)), b.dot(x, data(np.zeros((0, 2), np.float32)), (1,), (0,)))


def test_random_bits_become_integer_arithmetic() -> None:
    seed, counter = b.scalar(7, uint64), b.scalar(3, uint64)
    made = decompose(program(b.random_bits(seed, counter, (9,))))
    assert "random_bits" not in prims(made) and "mulhi" in prims(made)


def test_booleans_are_compared_as_numbers() -> None:
    x = data(np.array([True, False]))
    made = decompose(program(b.lt(x, b.invert(x))))
    assert all(not a.dtype.is_bool for v in made.vals if v.prim == "lt" for a in v.args)
    assert made.outputs[0].dtype is bool_


def test_passes_leave_their_input_alone() -> None:
    made = program(b.mul(b.argmax(normal(4, 8), 1), b.const(1, int64)))
    before = repr(made)
    simplify(made), decompose(made)
    assert repr(made) == before
