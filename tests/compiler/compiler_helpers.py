"""What the tests of the compiler share."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiraltorch.compiler import evaluate
from spiraltorch.compiler.graph_key import walk
from spiraltorch.compiler.planning.plan import Plan
from spiraltorch.compiler.program import Program, from_nodes
from spiraltorch.dtypes import float32, from_numpy
from spiraltorch.graph import build as b
from spiraltorch.graph import reference
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.runtime import device

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def data(array: Any) -> Node:
    """A leaf with a copy of the array."""
    array = np.asarray(array)
    return leaf(device.get("cpu:0").from_host(array.copy()), aval_of(array.shape, from_numpy(array.dtype)))


def normal(*shape: int) -> Node:
    """A float32 leaf."""
    return data(RNG.normal(size=shape).astype(np.float32))


def program(*roots: Node) -> Program:
    """The program of roots, no pass run yet."""
    order, _, _, _ = walk(list(roots))
    return from_nodes(order, list(range(len(roots))))


def plan(*roots: Node) -> Plan:
    """The plan of roots, not run."""
    order, _, _, leaves = walk(list(roots))
    return evaluate.plan_for(list(roots), order, leaves)


def compare(*roots: Node, tolerance: float = 0.0) -> None:
    """The compiled values are those of the reference."""
    expected = reference.evaluate(roots)
    evaluate.evaluate(list(roots))
    for root, want in zip(roots, expected, strict=True):
        got = device.get("cpu:0").to_host(root.buf, root.aval.shape, root.aval.dtype.numpy)
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=tolerance, atol=tolerance)


def number(value: float) -> Node:
    """A float32 number."""
    return b.number(value, float32)


def kept(x: Node, axis: int) -> tuple[int, ...]:
    """The shape of `x` with one axis reduced to 1."""
    return tuple([1 if d == axis else e for d, e in enumerate(x.aval.shape)])


def mean(x: Node) -> Node:
    """Over the last axis, which stays with extent 1."""
    last = x.aval.ndim - 1
    return b.mul(b.reshape(b.reduce_sum(x, (last,)), kept(x, last)), number(1 / x.aval.shape[last]))


def layer_norm(x: Node, weight: Node, bias: Node) -> Node:
    """Over the last axis."""
    centred = b.sub(x, mean(x))
    deviation = b.sqrt(b.add(mean(b.mul(centred, centred)), number(1e-5)))
    return b.add(b.mul(b.div(centred, deviation), weight), bias)
