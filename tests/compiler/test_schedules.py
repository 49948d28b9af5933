"""The roles of loops in lowered kernels, and the tables of rules that go by them."""

from __future__ import annotations

import numpy as np
import pytest
from compiler_helpers import data, normal, plan

from spiraltorch.compiler.lowering.lowered import KernelKind, LoopRole, Lowered, PhaseRole
from spiraltorch.compiler.schedules import CPU_RULES, GPU_RULES
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node

B, R, C, W, K = LoopRole.BATCH, LoopRole.ROW, LoopRole.COLUMN, LoopRole.WINDOW, LoopRole.REDUCTION


def lowered(root: Node) -> Lowered:
    """The only loop nest of a graph."""
    (nest,) = plan(root).kernels.lowered
    return nest


def roles(nest: Lowered) -> list[LoopRole]:
    return [one.role for one in nest.loops]


def test_each_kind_has_a_rule() -> None:
    assert CPU_RULES.keys() == set(KernelKind)
    assert GPU_RULES.keys() == set(KernelKind) - {KernelKind.SORT, KernelKind.SCATTER}  # lowered to phases


def test_loops_of_a_product() -> None:
    nest = lowered(b.dot(normal(3, 9, 40), normal(3, 40, 17), (2,), (1,), (0,), (0,)))
    assert nest.kind is KernelKind.DOT and roles(nest) == [B, R, C, K]
    assert nest.names(C) == ["o2"] and nest.spatial == ["o0", "o1", "o2"]
    assert roles(lowered(b.dot(normal(3, 9, 4, 5), normal(4, 5, 17), (2, 3), (0, 1)))) == [R, R, C, K, K]


@pytest.mark.parametrize(
    ("images", "groups", "channels", "expected"),
    [(2, 1, 3, [R, C, W, W, K, K, K]), (1, 2, 3, [B, C, W, W, K, K, K]), (2, 2, 1, [R, B, W, W, K, K, K])],
)
def test_loops_of_a_convolution(images: int, groups: int, channels: int, expected: list[LoopRole]) -> None:
    x, w = normal(images, groups, 4, 9, 11), normal(groups, channels, 4, 3, 3)
    nest = lowered(b.conv(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1)))
    assert nest.kind is KernelKind.CONV and roles(nest) == expected


def test_phases_of_a_softmax() -> None:
    x = normal(20, 300)
    e = b.exp(b.sub(x, b.reshape(b.reduce_max(x, (1,)), (20, 1))))
    nest = lowered(b.div(e, b.reshape(b.reduce_sum(e, (1,)), (20, 1))))
    assert nest.kind is KernelKind.ROWS and roles(nest) == [LoopRole.SPATIAL]
    assert [p.role for p in nest.phases] == [PhaseRole.REDUCTION, PhaseRole.REDUCTION, PhaseRole.ELEMENTWISE]
    assert [[one.role for one in p.loops] for p in nest.phases] == [[K], [K], [LoopRole.LANE]]


def test_a_scatter_keeps_its_order() -> None:
    rows = data(np.array([1, 3, 1]))
    nest = lowered(b.scatter(normal(5, 8), rows, normal(3, 8), 0, "add"))
    copy, update = nest.phases
    assert nest.kind is KernelKind.SCATTER and copy.role is PhaseRole.ELEMENTWISE
    assert [one.role for one in update.loops] == [LoopRole.SEQUENTIAL, LoopRole.LANE]
