"""`block_sums` keeps the meaning of a kernel, bounds how many terms are added in order, and leaves short sums as they are."""

from __future__ import annotations

from typing import Any

import ir_samples as samples
import numpy as np
import pytest

from spiraltorch.dtypes import float32
from spiraltorch.ir import schedule as sc
from spiraltorch.ir.expr import Buffer, Load, Space, at, op
from spiraltorch.ir.interpreter import run
from spiraltorch.ir.reductions import identity, lower_reductions
from spiraltorch.ir.stmt import Accumulate, Alloc, Kernel, Kind, Store, block, format_kernel, loop, loop_nest
from spiraltorch.ir.summation import PARTS, block_sums
from spiraltorch.ir.verifier import verify


def row_sum(n: int, lanes: int, reduction: str = "add") -> Kernel:
    """The sum of a row in `lanes` partial sums, with a ragged end."""
    x, y = Buffer("x", at(n), float32), Buffer("y", (), float32)
    acc = Buffer("acc", (), float32, Space.VIRTUAL)
    i = loop("i", n)
    total = Accumulate(
        acc, (), reduction, Load(x, at(i.var)), axes=(i.var,), init=identity(reduction, float32),
        finish=(Store(y, (), Load(acc, ())),),
    )  # fmt: skip
    kernel = sc.split(Kernel("sum", (x, y), Alloc(acc, loop_nest([i], total))), "i", lanes, "io", "il")
    kernel = sc.mark(kernel, Kind.VECTOR, "il")
    kernel = sc.accumulate(kernel, "io", "part", ("il",))
    return sc.specialize(kernel, "io") if n % lanes else kernel


def result(kernel: Kernel, x: Any) -> float:
    y = np.zeros((), np.float32)
    run(kernel, {"x": x, "y": y})
    return float(y)


@pytest.mark.parametrize("n", [31, 640, 641, 5_000, 40_000])
@pytest.mark.parametrize("terms", [4, 7, 64])
def test_sums_in_blocks(n: int, terms: int) -> None:
    kernel = block_sums(lower_reductions(row_sum(n, 8)), terms)
    verify(kernel)
    x = np.full(n, 0.1, np.float32)
    want = n * float(x[0])
    assert abs(result(kernel, x) - want) < 4e-6 * want
    whole = np.arange(n).astype(np.float32) % 8
    assert result(kernel, whole) == whole.sum(dtype=np.float64)


def test_terms_in_order_are_few() -> None:
    """Adding 1 to 2**24 is lost in float32: of 20,000 such terms after a large one, at most a block's are."""
    x = np.ones(20_001, np.float32)
    x[0] = 2**24
    kernel = block_sums(lower_reductions(row_sum(20_001, 1)), 16)
    assert abs(result(kernel, x) - (2**24 + 20_000)) <= 16 + PARTS


@pytest.mark.parametrize("reduction", ["max", "min", "mul"])
def test_only_sums_are_changed(reduction: str) -> None:
    kernel = lower_reductions(row_sum(5_000, 8, reduction))
    assert block_sums(kernel, 16) is kernel


def test_short_sums_are_unchanged() -> None:
    kernel = lower_reductions(row_sum(8 * 127, 8))
    assert block_sums(kernel, 64) is kernel
    assert format_kernel(block_sums(kernel, 63)) != format_kernel(kernel)


@pytest.mark.parametrize("depth", [None, 40])
def test_products(depth: int | None) -> None:
    """Blocks of terms that wait in memory have sums of their own too: each starts at 0."""
    kernel = samples.gemm(5, 9, 1_000)
    kernel = sc.split(kernel, "j", 4, "jo", "jl")
    if depth:
        kernel = sc.split(sc.realize(kernel, "t"), "k", depth, "kc", "k1", exact=True)
    term = "k1" if depth else "k"
    kernel = sc.reorder(kernel, *(["kc"] if depth else []), "i", "jo", term, "jl")
    kernel = sc.finish(sc.accumulate(sc.mark(kernel, Kind.VECTOR, "jl"), term), 32)
    verify(kernel)
    arrays = samples.gemm_arrays(np.random.default_rng(0), 5, 9, 1_000)
    run(kernel, arrays)
    np.testing.assert_array_equal(arrays["C"], samples.gemm_result(arrays))
    lost = {"A": np.ones((5, 1_000), np.float32), "B": np.ones((1_000, 9), np.float32), "bias": np.zeros(9, np.float32)}
    lost["A"][:, 0] = 2**24
    lost["C"] = np.zeros((5, 9), np.float32)
    run(kernel, lost)
    assert np.abs(lost["C"].astype(np.float64) - (2**24 + 999)).max() <= 32 + 32


def test_two_sums_of_one_loop() -> None:
    x, y = Buffer("x", at(3_000), float32), Buffer("y", at(2), float32)
    parts = [Buffer(f"a{n}", (), float32, Space.REGISTER) for n in range(2)]
    i = loop("i", 3_000)
    value = Load(x, at(i.var))
    updates = [Accumulate(parts[0], (), "add", value), Accumulate(parts[1], (), "add", op("mul", value, value))]
    body = block(
        *[Store(p, (), identity("add", float32)) for p in parts],
        loop_nest([i], block(*updates)),
        *[Store(y, at(n), Load(p, ())) for n, p in enumerate(parts)],
    )
    kernel = block_sums(Kernel("two", (x, y), Alloc(parts[0], Alloc(parts[1], body))), 16)
    verify(kernel)
    values, out = np.random.default_rng(0).integers(0, 4, 3_000).astype(np.float32), np.zeros(2, np.float32)
    run(kernel, {"x": values, "y": out})
    assert out.tolist() == [values.sum(), (values * values).sum()]
