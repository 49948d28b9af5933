"""What schedule steps refuse, and how they say it."""

from __future__ import annotations

import ir_samples as samples
import pytest

from spiraltorch.dtypes import float32
from spiraltorch.ir import schedule as sc
from spiraltorch.ir.expr import Load, at, op
from spiraltorch.ir.guard import ALWAYS
from spiraltorch.ir.index import index
from spiraltorch.ir.schedule import ScheduleError
from spiraltorch.ir.stmt import (
    Accumulate,
    Block,
    For,
    Kernel,
    Kind,
    Store,
    block,
    loop,
    loop_nest,
    walk,
)


def shifted(n: int, by: int) -> Kernel:
    x, i, j = samples.buffer("x", n, n), loop("i", n - 1), loop("j", n - 1)
    leaf = Store(x, at(index(i.var) + 1, index(j.var) + 1), Load(x, at(index(i.var) + by, index(j.var) + 1 - by)))
    return Kernel("shifted", (x,), loop_nest([i, j], leaf))


def test_reorder_refuses_what_depends_on_order() -> None:
    with pytest.raises(ScheduleError, match="other iterations write"):
        sc.reorder(shifted(5, 0), "j", "i")
    x, y, i, j = samples.buffer("x", 3, 4), samples.buffer("y", 4), loop("i", 3), loop("j", 4)
    last = Store(y, at(j.var), Load(x, at(i.var, j.var)))
    with pytest.raises(ScheduleError, match="same cell"):
        sc.reorder(Kernel("last", (x, y), loop_nest([i, j], last)), "j", "i")
    k = sc.split(samples.transpose(5, 3), "i", 2, "io", "ii", exact=True)
    with pytest.raises(ScheduleError, match="extent"):
        sc.reorder(k, "ii", "io")


def test_steps_name_what_is_wrong() -> None:
    k = samples.gemm(4, 4, 4)
    with pytest.raises(ScheduleError, match="one loop called 'z'"):
        sc.split(k, "z", 2, "a", "b")
    with pytest.raises(ScheduleError, match="factor"):
        sc.split(k, "i", 0, "a", "b")
    with pytest.raises(ScheduleError, match="outermost"):
        sc.mark(k, Kind.PARALLEL, "j")
    with pytest.raises(ScheduleError, match="constant extent"):
        sc.mark(sc.split(samples.gemm(5, 4, 4), "i", 2, "io", "ii", exact=True), Kind.VECTOR, "ii")
    with pytest.raises(ScheduleError, match="reduction"):
        sc.accumulate(samples.transpose(3, 3), "i")
    with pytest.raises(ScheduleError, match="one reduction of a product"):
        sc.stage(samples.reduce("add", 3, 3, 0), 0, None, "T")
    with pytest.raises(ScheduleError, match="missing"):
        sc.stage(k, 0, None, "T", order=("i",))
    with pytest.raises(ScheduleError, match="virtual buffer"):
        sc.realize(k, "C")
    with pytest.raises(ScheduleError, match="directly inside"):
        sc.fuse(k, "i", "k", "ik")


def test_stage_refuses_an_operand_that_the_nest_writes() -> None:
    a, c, i, k = samples.buffer("a", 4, 4), samples.buffer("c", 4), loop("i", 4), loop("k", 4)
    product = op("mul", Load(a, at(i.var, k.var)), Load(a, at(k.var, i.var)))
    leaf = Accumulate(c, at(i.var), "add", product, ALWAYS, (k.var,), sc.identity("add", float32))
    kernel = Kernel(
        "k", (a, c), loop_nest([i], block(Store(a, at(i.var, 0), Load(a, at(i.var, 1))), loop_nest([k], leaf)))
    )
    with pytest.raises(ScheduleError, match="which the nest writes"):
        sc.stage(kernel, 0, None, "T")


def test_more_groups_along_z_than_a_dispatch_has_are_refused() -> None:
    """There is no fourth axis to go on to; up to 65535 * 65535 groups fit along x and y."""

    def groups(count: int, axis: int) -> list[tuple[Kind, int]]:
        kernel = Kernel("k", (), loop_nest([loop("b", count)], Block(())))
        kernel = sc.bind_groups(kernel, "b", axis, (65535, 65535, 65535))
        return [(s.kind, s.axis) for s in walk(kernel.body) if isinstance(s, For)]

    assert groups(65535, 2) == [(Kind.GROUP, 2)]
    assert groups(70000, 0) == [(Kind.GROUP, 1), (Kind.GROUP, 0)]
    with pytest.raises(ScheduleError, match="at most 65535 groups along z, got 65536"):
        groups(65536, 2)
