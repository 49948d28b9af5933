"""Builders, sources and the reference evaluation."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from graph_samples import node, value

from spiraltorch import dtypes as dt
from spiraltorch.errors import DTypeError
from spiraltorch.graph import build as b
from spiraltorch.graph.node import GRAD_MODE
from spiraltorch.graph.primitive import REGISTRY
from spiraltorch.graph.primitives.source import philox
from spiraltorch.graph.reference import evaluate

ROOT = Path(__file__).resolve().parents[2]


def test_every_primitive_of_the_table_is_defined() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \| \w+ \|", (ROOT / "docs" / "primitives.md").read_text(), re.MULTILINE)
    table = {name for row in rows for name in re.findall(r"\w+", row)}
    assert set(REGISTRY) == table
    for prim in REGISTRY.values():
        assert prim.decompose is not None or (prim.vjp is None) == (prim.jvp is None), prim.name


def test_views_that_change_nothing_return_their_operand() -> None:
    x = node(np.zeros((2, 3)))
    assert b.reshape(x, (2, -1)) is x
    assert b.expand(x, (2, 3)) is x
    assert b.permute(x, (0, 1)) is x
    assert b.cast(x, dt.float64) is x
    assert b.bitcast(x, dt.float64) is x
    assert b.pad(x, ((0, 0, 0), (0, 0, 0))) is x
    assert b.slice(x, (0, 0), (2, 3), (1, 1)) is x
    assert b.flip(x, ()) is x
    assert b.reduce_sum(x, ()) is x
    assert b.concat((x,), 0) is x
    assert b.to_device(x, "cpu:0") is x


def test_constants_are_cached_and_keep_the_sign_of_zero() -> None:
    assert b.const(2, dt.float32) is b.const(2.0, dt.float32)
    assert b.const(0.0, dt.float32) is not b.const(-0.0, dt.float32)
    assert b.const(0.0, dt.float32).spec is not b.const(-0.0, dt.float32).spec
    assert math.copysign(1, value(b.const(-0.0, dt.float32))) == -1
    assert b.const(math.nan, dt.float32) is b.const(float("nan"), dt.float32)
    assert b.const(1, dt.int32).spec is not b.const(1, dt.float32).spec


def test_numbers_that_vary_do_not_enter_the_program() -> None:
    assert b.number(0.3, dt.float32).spec is b.number(0.7, dt.float32).spec
    assert b.number(0.3, dt.float32).scalar == 0.3
    for plain in (0, 1, -1, 2, 0.5):
        assert float(b.number(plain, dt.float32).spec.params[0]) == plain
    assert b.number(True, dt.bool_) is b.const(True, dt.bool_)
    assert value(b.full((2, 2), 0.3, dt.float64)).tolist() == [[0.3, 0.3]] * 2


def test_iota() -> None:
    assert value(b.iota((2, 3), 1, dt.int32)).tolist() == [[0, 1, 2]] * 2
    assert value(b.iota((2, 3), 0, dt.float16)).tolist() == [[0.0] * 3, [1.0] * 3]
    assert value(b.iota((0,), 0, dt.int64)).shape == (0,)


def test_philox_known_answers() -> None:
    """The vectors that come with Random123 for philox4x32-10."""
    assert [hex(w) for w in philox(0, 0, 4)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_random_bits_continue_and_wrap() -> None:
    def draw(seed: int, counter: int, count: int) -> list[int]:
        nodes = [b.scalar(v, dt.uint64) for v in (seed, counter)]
        return [int(v) for v in value(b.random_bits(*nodes, (count,)))]

    assert draw(7, 3, 10)[4:] == draw(7, 4, 6)
    assert draw(7, 2**64 - 1, 8)[4:] == draw(7, 0, 4)
    assert draw(7, 0, 8) != draw(8, 0, 8)
    with pytest.raises(DTypeError, match=r"\[random_bits\]"):
        b.random_bits(b.const(0, dt.int64), b.const(0, dt.int64), (2,))


def test_gradients_are_recorded_where_they_can_flow() -> None:
    x, k = node(np.ones(3), rg=True), node(np.ones(3))
    assert b.add(x, k).rg and b.exp(x).rg and b.where(b.lt(x, k), x, k).rg
    assert not b.add(k, k).rg
    assert not b.stop_gradient(x).rg and not b.lt(x, k).rg and not b.argsort(x, 0).rg
    assert not b.cast(x, dt.int32).rg
    GRAD_MODE.on = False
    try:
        assert not b.add(x, k).rg and not b.exp(x).rg and not b.reduce_sum(x, (0,)).rg
    finally:
        GRAD_MODE.on = True


def test_evaluation_is_not_recursive_and_stores_nothing() -> None:
    x = first = node(np.zeros(2))
    one = b.const(1, dt.float64)
    for _ in range(10_000):
        x = b.add(x, one)
    assert value(x).tolist() == [10_000.0] * 2
    assert x.buf is None and first.buf is not None
    assert [v.tolist() for v in evaluate([x, first])] == [[10_000.0] * 2, [0.0] * 2]
