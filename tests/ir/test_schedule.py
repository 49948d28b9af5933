"""Every schedule step keeps the meaning of a kernel, as the interpreter and NumPy define it."""

from __future__ import annotations

import time
from typing import Any

import ir_samples as samples
import numpy as np
import pytest

from spiraltorch.dtypes import bfloat16, float16, float32, int32
from spiraltorch.ir import schedule as sc
from spiraltorch.ir.expr import Load, Space, at, op
from spiraltorch.ir.guard import ALWAYS
from spiraltorch.ir.index import Var, index
from spiraltorch.ir.interpreter import run
from spiraltorch.ir.schedule import ScheduleError
from spiraltorch.ir.stmt import (
    Accumulate,
    Alloc,
    Block,
    For,
    If,
    Kernel,
    Kind,
    Store,
    block,
    format_kernel,
    leaf_loads,
    loop,
    loop_nest,
    walk,
)
from spiraltorch.ir.verifier import verify


def cpu_gemm(k: Kernel, *, depth: int | None, rows: int = 3, lanes: int = 4, pack: str = "ab") -> Kernel:
    k = sc.split(k, "j", 2 * lanes, "jr", "j2")
    k = sc.split(k, "j2", lanes, "jv", "jl")
    k = sc.split(k, "i", 4 * rows, "ic", "i1", exact=True)
    k = sc.split(k, "i1", rows, "ir", "ii")
    outer = ["ic"]
    if depth:
        k = sc.realize(k, "t")
        k = sc.split(k, "k", depth, "pc", "k1", exact=True)
        outer = ["pc", "ic"]
    k = sc.split(k, "k1" if depth else "k", 2, "ku", "kk", exact=True)
    k = sc.reorder(k, *outer, "jr", "ir", "ku", "kk", "ii", "jv", "jl")
    k = sc.mark(sc.mark(k, Kind.UNROLLED, "ii", "jv"), Kind.VECTOR, "jl")
    k = sc.accumulate(k, "ku")
    if "b" in pack:
        k = sc.stage(k, 1, "pc" if depth else None, "PB", Space.SCRATCH, ("jr", "ku", "kk", "jv", "jl"))
    if "a" in pack:
        k = sc.stage(k, 0, "ic", "PA", Space.SCRATCH, ("ir", "ku", "kk", "ii"))
    return k


def gpu_gemm(k: Kernel, tile: int = 8, items: int = 2, depth: int = 4) -> Kernel:
    k = sc.split(k, "i", tile, "gi", "i1")
    k = sc.split(k, "i1", items, "ri", "ti")
    k = sc.split(k, "j", tile, "gj", "j1")
    k = sc.split(k, "j1", items, "rj", "tj")
    k = sc.split(k, "k", depth, "ko", "kk", exact=True)
    k = sc.reorder(k, "gi", "gj", "ti", "tj", "ko", "kk", "ri", "rj")
    k = sc.mark(sc.mark(k, Kind.GROUP, "gj", axis=0), Kind.GROUP, "gi", axis=1)
    k = sc.mark(sc.mark(k, Kind.ITEM, "tj", axis=0), Kind.ITEM, "ti", axis=1)
    k = sc.mark(k, Kind.UNROLLED, "ri", "rj")
    k = sc.accumulate(k, "ko")
    k = sc.stage(k, 0, "ko", "SA", Space.WORKGROUP, ("ri", "ti", "kk"))
    return sc.stage(k, 1, "ko", "SB", Space.WORKGROUP, ("kk", "rj", "tj"))


def ready(kernel: Kernel) -> Kernel:
    """The finished kernel, verified before and after the last passes."""
    return verify(sc.finish(verify(kernel)), lowered=True)


SHAPES = [(1, 1, 1), (5, 7, 3), (12, 16, 8), (13, 17, 9), (30, 9, 21)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", [None, 6])
@pytest.mark.parametrize("pack", ["", "b", "ab"])
def test_packed_gemm(shape: tuple[int, int, int], depth: int | None, pack: str) -> None:
    rng = np.random.default_rng(sum(shape))
    arrays = samples.gemm_arrays(rng, *shape)
    run(ready(cpu_gemm(samples.gemm(*shape), depth=depth, pack=pack)), arrays)
    np.testing.assert_array_equal(arrays["C"], samples.gemm_result(arrays))


@pytest.mark.parametrize("order", ["forward", "reverse", "shuffle"])
@pytest.mark.parametrize("shape", [(5, 7, 3), (8, 8, 8), (17, 9, 10)])
def test_gpu_gemm(shape: tuple[int, int, int], order: str) -> None:
    arrays = samples.gemm_arrays(np.random.default_rng(1), *shape)
    run(ready(gpu_gemm(samples.gemm(*shape))), arrays, order=order, items=order)
    np.testing.assert_array_equal(arrays["C"], samples.gemm_result(arrays))


def test_symbolic_rows() -> None:
    rows = Var("m", 1 << 20, 1)
    kernel = ready(cpu_gemm(samples.gemm(rows, 10, 6), depth=None, pack="b"))
    for m in (1, 5, 26):
        arrays = samples.gemm_arrays(np.random.default_rng(m), m, 10, 6)
        run(kernel, arrays, sizes={"m": m})
        np.testing.assert_array_equal(arrays["C"], samples.gemm_result(arrays))


def both(kernel: Kernel, scheduled: Kernel, arrays: dict[str, Any], out: str, **options: Any) -> Any:
    """The result of the scheduled kernel, which must be that of the plain one."""
    plain = {name: a.copy() for name, a in arrays.items()}
    run(verify(kernel), plain, **options)
    run(ready(scheduled), arrays, **options)
    np.testing.assert_allclose(
        arrays[out].astype(np.float64),
        plain[out].astype(np.float64),
        rtol=1e-5,
        atol=1e-6,
        err_msg=format_kernel(scheduled),
    )
    return arrays[out]


@pytest.mark.parametrize("seed", range(8))
def test_split_and_reorder_any_gemm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(e) for e in rng.integers(1, 12, 3))
    kernel = scheduled = samples.gemm(*shape)
    names: list[str] = []
    for name in ("i", "j", "k"):
        exact = bool(rng.integers(2)) or name == "k"
        scheduled = sc.split(scheduled, name, int(rng.integers(1, 6)), name + "o", name + "i", exact=exact)
        names += [name + "o", name + "i"]
    order = [str(n) for n in rng.permutation(names)]
    for name in "ijk":  # the extent of an inner loop may need its outer one
        a, b = sorted((order.index(name + "o"), order.index(name + "i")))
        order[a], order[b] = name + "o", name + "i"
    scheduled = sc.reorder(scheduled, *order)
    arrays = samples.gemm_arrays(rng, *shape)
    np.testing.assert_array_equal(both(kernel, scheduled, arrays, "C"), samples.gemm_result(arrays))


def test_ragged_reduction_axis_may_be_guarded() -> None:
    kernel = samples.reduce("max", 5, 7, 1)
    scheduled = sc.mark(sc.split(kernel, "j", 4, "jo", "jl"), Kind.VECTOR, "jl")
    scheduled = sc.accumulate(scheduled, "jo", partial=("jl",))
    x = -np.abs(np.random.default_rng(0).normal(size=(5, 7))).astype(np.float32)
    out = both(kernel, scheduled, {"x": x, "y": np.zeros(5, np.float32)}, "y")
    np.testing.assert_array_equal(out, x.max(1))  # a masked zero would win


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["add", "max", "min", "mul"])
@pytest.mark.parametrize("partial", [True, False])
def test_reductions(kind: str, axis: int, partial: bool) -> None:
    rng = np.random.default_rng(3)
    for rows, columns in ((1, 1), (7, 10), (16, 8)):
        kernel = scheduled = samples.reduce(kind, rows, columns, axis, int32)
        name = "ij"[axis]
        scheduled = sc.split(scheduled, name, 4, "ao", "al", exact=not partial)
        if partial:
            scheduled = sc.accumulate(sc.mark(scheduled, Kind.VECTOR, "al"), "ao", partial=("al",))
        else:
            scheduled = sc.accumulate(scheduled, "ao")
        x = rng.integers(-3, 4, (rows, columns)).astype(np.int32)
        out = both(kernel, scheduled, {"x": x, "y": np.zeros((rows, columns)[1 - axis], np.int32)}, "y")
        ufunc = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[kind]
        np.testing.assert_array_equal(out, ufunc.reduce(x, axis=axis, dtype=np.int32))


def test_column_sums_with_lanes_inside_the_axis() -> None:
    kernel = samples.reduce("add", 9, 22, 0)
    scheduled = sc.split(sc.split(kernel, "j", 8, "jo", "j1"), "j1", 4, "ju", "jl")
    scheduled = sc.mark(sc.mark(sc.reorder(scheduled, "jo", "i", "ju", "jl"), Kind.VECTOR, "jl"), Kind.UNROLLED, "ju")
    scheduled = sc.accumulate(scheduled, "i")
    x = np.arange(9 * 22, dtype=np.float32).reshape(9, 22)
    out = both(kernel, scheduled, {"x": x, "y": np.zeros(22, np.float32)}, "y")
    np.testing.assert_array_equal(out, x.sum(0))
    assert not any(isinstance(s, Alloc) and s.buffer.space is Space.VIRTUAL for s in walk(scheduled.body))


def test_column_sums_left_to_the_fallback_use_scratch() -> None:
    kernel = sc.reorder(samples.reduce("add", 6, 5, 0), "i", "j")
    finished = ready(kernel)
    spaces = {s.buffer.space for s in walk(finished.body) if isinstance(s, Alloc)}
    assert spaces == {Space.SCRATCH}
    x, y = np.ones((6, 5), np.float32), np.zeros(5, np.float32)
    run(finished, {"x": x, "y": y})
    np.testing.assert_array_equal(y, 6)


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (5, 16)])
def test_softmax(shape: tuple[int, int], vector: bool) -> None:
    kernel = scheduled = samples.softmax(*shape)
    if vector:
        for name in ("c0", "c1", "c2"):
            scheduled = sc.split(scheduled, name, 8, f"{name}o", f"{name}i")
            scheduled = sc.split(scheduled, f"{name}i", 4, f"{name}u", f"{name}l")
            scheduled = sc.mark(sc.mark(scheduled, Kind.UNROLLED, f"{name}u"), Kind.VECTOR, f"{name}l")
        scheduled = sc.accumulate(scheduled, "c0o", "top_parts", partial=("c0u", "c0l"))
        scheduled = sc.accumulate(scheduled, "c1o", "total_parts", partial=("c1u", "c1l"))
    scheduled = sc.mark(scheduled, Kind.PARALLEL, "r")
    finished = ready(scheduled)
    tops = [s.buffer for s in walk(finished.body) if isinstance(s, Alloc) and s.buffer.name in ("top", "total")]
    assert [(b.space, b.shape) for b in tops] == [(Space.REGISTER, ())] * 2
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    out = both(kernel, scheduled, {"x": x, "y": np.zeros_like(x)}, "y")
    np.testing.assert_allclose(out, samples.softmax_result(x), rtol=1e-5)


def test_virtual_buffer_shared_by_tasks_becomes_global() -> None:
    x, y = samples.buffer("x", 6), samples.buffer("y", 6)
    total = samples.buffer("total", space=Space.VIRTUAL)
    a, b = loop("a", 6), loop("b", 6, Kind.PARALLEL)
    summed = Accumulate(total, (), "add", Load(x, at(a.var)), ALWAYS, (a.var,), sc.identity("add", float32))
    spread = Store(y, at(b.var), Load(total, ()))
    kernel = Kernel("k", (x, y), Alloc(total, block(loop_nest([a], summed), loop_nest([b], spread))))
    finished = ready(kernel)
    assert [s.buffer.space for s in walk(finished.body) if isinstance(s, Alloc)] == [Space.GLOBAL]
    out = np.zeros(6, np.float32)
    run(finished, {"x": np.arange(6, dtype=np.float32), "y": out})
    np.testing.assert_array_equal(out, 15)


@pytest.mark.parametrize("stride, pad, window", [(1, 1, 3), (2, 1, 3), (1, 0, 1), (2, 2, 4)])
def test_conv2d(stride: int, pad: int, window: int) -> None:
    kernel = scheduled = samples.conv2d(2, 3, 5, 6, 7, window, stride, pad)
    scheduled = sc.split(scheduled, "o", 4, "oo", "ol")
    scheduled = sc.split(scheduled, "x", 3, "xo", "xi")
    scheduled = sc.mark(sc.reorder(scheduled, "n", "oo", "y", "xo", "c", "p", "q", "xi", "ol"), Kind.VECTOR, "ol")
    scheduled = sc.accumulate(sc.mark(scheduled, Kind.UNROLLED, "xi"), "c")
    scheduled = sc.stage(scheduled, 0, "y", "rows", order=("xo", "c", "p", "q", "xi"))
    scheduled = sc.stage(scheduled, 1, None, "weights", order=("oo", "c", "p", "q", "ol"))
    scheduled = sc.mark(sc.mark(scheduled, Kind.VECTOR, "weights.ol"), Kind.PARALLEL, "n")
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 3, 6, 7)).astype(np.float32), rng.normal(size=(5, 3, window, window)).astype(np.float32)
    expected = samples.conv2d_result(x, w, stride, pad)
    out = both(kernel, scheduled, {"x": x, "w": w, "y": np.zeros_like(expected)}, "y")
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride, pad, window", [(1, 1, 3), (2, 1, 3), (1, 0, 1), (2, 2, 4)])
def test_windows_share_one_copy_of_what_they_read(stride: int, pad: int, window: int) -> None:
    """The tile holds each element once; a stride is the factor of the loop that must not be first."""
    kernel = samples.conv2d(2, 3, 5, 6, 7, window, stride, pad)
    k = sc.split(kernel, "x", 4, "xo", "xi")
    k = sc.mark(sc.reorder(k, "n", "y", "o", "xo", "c", "p", "q", "xi"), Kind.VECTOR, "xi")
    if stride == 1:
        k = sc.stage(k, 0, "n", "rows", order=("c", "y", "xi"), windows=(("y", "p"), ("xi", "xo", "q")))
        reach = (6 + 2 * pad - window) + window, 4 * -(-(7 + 2 * pad - window + 1) // 4) + window - 1
    else:
        k = sc.stage(k, 0, "n", "rows", order=("c", "p", "q"), windows=(("p", "y"), ("q", "xi", "xo")))
        made = (6 + 2 * pad - window) // 2 + 1, 4 * -(-((7 + 2 * pad - window) // 2 + 1) // 4)
        reach = 2 * (made[0] - 1) + window, 2 * (made[1] - 1) + window
    (tile,) = [s.buffer for s in walk(k.body) if isinstance(s, Alloc) and s.buffer.name == "rows"]
    assert tile.size == 3 * reach[0] * reach[1]
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 3, 6, 7)).astype(np.float32), rng.normal(size=(5, 3, window, window)).astype(np.float32)
    expected = samples.conv2d_result(x, w, stride, pad)
    out = both(kernel, sc.accumulate(k, "c"), {"x": x, "w": w, "y": np.zeros_like(expected)}, "y")
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_windows_of_loops_that_the_operand_knows_apart_are_refused() -> None:
    kernel = samples.conv2d(1, 2, 2, 6, 6, 3, 2, 1)
    with pytest.raises(ScheduleError, match="count by one"):
        sc.stage(kernel, 0, "n", "rows", windows=(("x", "q"),))
    with pytest.raises(ScheduleError, match="only the sum"):
        sc.stage(kernel, 0, "n", "rows", windows=(("q", "y"),))
    with pytest.raises(ScheduleError, match="one position of the operand evenly"):
        sc.stage(samples.gemm(4, 4, 4), 0, "i", "rows", windows=(("j", "k"),))


@pytest.mark.parametrize("dtype", [float16, bfloat16])
def test_narrow_operands_are_staged_wide(dtype: Any) -> None:
    kernel = samples.gemm(5, 6, 7, dtype, float32)
    scheduled = cpu_gemm(kernel, depth=None)
    tiles = [s.buffer for s in walk(scheduled.body) if isinstance(s, Alloc) and s.buffer.name in ("PA", "PB")]
    assert [t.dtype for t in tiles] == [float32, float32]
    arrays = samples.gemm_arrays(np.random.default_rng(0), 5, 6, 7, dtype.numpy)
    both(kernel, scheduled, arrays, "C")


def test_fuse_collapses_contiguous_loops() -> None:
    a, b = samples.buffer("a", 6, 5), samples.buffer("b", 6, 5)
    i, j = loop("i", 6), loop("j", 5)
    x = at(index(i.var) * 5 + index(j.var))
    flat_a, flat_b = samples.buffer("a", 30), samples.buffer("b", 30)
    kernel = Kernel("copy", (flat_a, flat_b), loop_nest([i, j], Store(flat_b, x, Load(flat_a, x))))
    fused = sc.fuse(kernel, "i", "j", "f")
    assert sc.loop_names(fused) == ["f"] and sc.loop_extent(fused, "f") == index(30)
    arrays = {"a": np.arange(30, dtype=np.float32), "b": np.zeros(30, np.float32)}
    np.testing.assert_array_equal(both(kernel, fused, arrays, "b"), arrays["a"])
    strided = Kernel("copy", (a, b), loop_nest([i, j], Store(b, at(i.var, j.var), Load(a, at(i.var, j.var)))))
    with pytest.raises(ScheduleError, match="do not collapse"):
        sc.fuse(strided, "i", "j", "f")
    loose = sc.fuse(strided, "i", "j", "f", simple=False)
    arrays = {"a": np.arange(30, dtype=np.float32).reshape(6, 5), "b": np.zeros((6, 5), np.float32)}
    np.testing.assert_array_equal(both(strided, loose, arrays, "b"), arrays["a"])


def test_fuse_of_two_reduction_axes() -> None:
    kernel = samples.conv2d(1, 3, 2, 4, 4, 1, 1, 0)
    fused = sc.fuse(kernel, "p", "q", "pq")
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(1, 3, 4, 4)).astype(np.float32), "w": rng.normal(size=(2, 3, 1, 1)).astype(np.float32),
        "y": np.zeros((1, 2, 4, 4), np.float32),
    }  # fmt: skip
    both(kernel, fused, arrays, "y")
    with pytest.raises(ScheduleError, match="axis"):
        sc.fuse(kernel, "x", "c", "xc")


@pytest.mark.parametrize("shape", [(1, 1), (9, 14), (8, 8)])
def test_transpose_in_tiles(shape: tuple[int, int]) -> None:
    kernel = scheduled = samples.transpose(*shape)
    scheduled = sc.split(sc.split(scheduled, "i", 4, "io", "ii"), "j", 4, "jo", "ji", exact=True)
    scheduled = sc.mark(sc.reorder(scheduled, "jo", "io", "ji", "ii"), Kind.PARALLEL, "jo")
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    out = both(kernel, scheduled, {"x": x, "y": np.zeros(shape[::-1], np.float32)}, "y")
    np.testing.assert_array_equal(out, x.T)


@pytest.mark.parametrize("seed", range(3))
def test_specialize(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(e) for e in rng.integers(1, 20, 3))
    scheduled = sc.specialize(cpu_gemm(samples.gemm(*shape), depth=None, pack="b"), "ir")
    arrays = samples.gemm_arrays(rng, *shape)
    out = both(samples.gemm(*shape), scheduled, arrays, "C")
    np.testing.assert_array_equal(out, samples.gemm_result(arrays))


def test_specialized_interior_has_constant_extents_and_no_guards() -> None:
    k = sc.split(samples.transpose(10, 7), "i", 4, "io", "ii", exact=True)
    k = sc.specialize(sc.split(k, "j", 4, "jo", "ji"), "jo")
    branch = next(s for s in walk(k.body) if isinstance(s, If))
    interior = [s for s in walk(branch.then) if isinstance(s, Store)]
    assert interior[0].guard.always
    assert any(isinstance(s, Store) and not s.guard.always for s in walk(branch.otherwise))


def test_gather_and_scatter() -> None:
    rng = np.random.default_rng(0)
    x, idx = rng.normal(size=(9, 6)).astype(np.float32), rng.integers(-2, 12, 13)
    kernel = samples.gather(9, 13, 6)
    scheduled = sc.mark(sc.split(sc.split(kernel, "j", 4, "jo", "jl"), "e", 5, "eo", "ei"), Kind.PARALLEL, "eo")
    out = both(
        kernel, sc.mark(scheduled, Kind.VECTOR, "jl"), {"x": x, "idx": idx, "y": np.zeros((13, 6), np.float32)}, "y"
    )
    np.testing.assert_array_equal(out, x[np.clip(idx, 0, 8)])
    kernel = samples.scatter_add(9, 13, 6)
    scheduled = sc.reorder(sc.split(kernel, "j", 4, "jo", "jl"), "jo", "jl", "e")
    x = rng.integers(-5, 5, (13, 6)).astype(np.float32)
    base = rng.integers(-5, 5, (9, 6)).astype(np.float32)
    out = both(kernel, scheduled, {"x": x, "idx": idx, "y": base.copy()}, "y")
    expected, inside = base.copy(), (idx >= 0) & (idx < 9)
    np.add.at(expected, idx[inside], x[inside])
    np.testing.assert_array_equal(out, expected)


def test_loop_whose_extent_is_data() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    m = scipy_sparse.random(8, 6, 0.3, "csr", random_state=1)
    assert (np.diff(m.indptr) == 0).any()  # an empty row still gets its start value
    kernel = samples.csr_times_vector(8, 6, m.nnz)
    arrays = {
        "start": m.indptr.astype(np.int64), "col": m.indices.astype(np.int64), "data": m.data,
        "v": np.arange(6.0), "y": np.full(8, 9.0),
    }  # fmt: skip
    out = both(kernel, sc.mark(sc.accumulate(kernel, "e"), Kind.PARALLEL, "r"), arrays, "y")
    np.testing.assert_allclose(out, m @ arrays["v"])


def test_resume_needs_memory() -> None:
    k = sc.split(samples.gemm(4, 4, 8), "k", 4, "pc", "k1", exact=True)
    k = sc.reorder(k, "pc", "i", "j", "k1")
    with pytest.raises(ScheduleError, match="realize it first"):
        sc.accumulate(k, "k1")
    k = sc.accumulate(sc.realize(k, "t"), "k1")
    arrays = samples.gemm_arrays(np.random.default_rng(0), 4, 4, 8)
    np.testing.assert_array_equal(both(samples.gemm(4, 4, 8), k, arrays, "C"), samples.gemm_result(arrays))


def test_finish_with_two_stores_reads_what_the_first_left() -> None:
    x, y, z, i, j = (
        samples.buffer("x", 4, 3),
        samples.buffer("y", 4),
        samples.buffer("z", 4),
        loop("i", 4),
        loop("j", 3),
    )
    cell = at(i.var)
    double = op("add", Load(y, cell), Load(y, cell))
    leaf = Accumulate(
        y, cell, "add", Load(x, at(i.var, j.var)), ALWAYS, (j.var,), sc.identity("add", float32),
        (Store(y, cell, double), Store(z, cell, double)),
    )  # fmt: skip
    kernel = Kernel("k", (x, y, z), loop_nest([i, j], leaf))
    data = np.ones((4, 3), np.float32)
    for scheduled in (kernel, sc.accumulate(kernel, "j")):
        arrays = {"x": data, "y": np.zeros(4, np.float32), "z": np.zeros(4, np.float32)}
        both(kernel, scheduled, arrays, "y")
        assert arrays["y"].tolist() == [6] * 4 and arrays["z"].tolist() == [12] * 4


def test_two_reductions_of_one_nest() -> None:
    x, y, z, i, j = (
        samples.buffer("x", 5, 8),
        samples.buffer("y", 5),
        samples.buffer("z", 5),
        loop("i", 5),
        loop("j", 8),
    )
    cell, value = at(i.var), Load(x, at(i.var, j.var))
    both_sums = block(
        Accumulate(y, cell, "add", value, ALWAYS, (j.var,), sc.identity("add", float32)),
        Accumulate(z, cell, "max", op("mul", value, value), ALWAYS, (j.var,), sc.identity("max", float32)),
    )
    kernel = Kernel("k", (x, y, z), loop_nest([i, j], both_sums))
    lanes = sc.mark(sc.split(kernel, "j", 4, "jo", "jl"), Kind.VECTOR, "jl")
    for scheduled in (kernel, sc.accumulate(kernel, "j"), sc.accumulate(lanes, "jo", partial=("jl",))):
        data = np.arange(40, dtype=np.float32).reshape(5, 8)
        arrays = {"x": data, "y": np.zeros(5, np.float32), "z": np.zeros(5, np.float32)}
        both(kernel, scheduled, arrays, "y")
        np.testing.assert_array_equal(arrays["y"], data.sum(1))
        np.testing.assert_array_equal(arrays["z"], (data**2).max(1))


def test_schedule_is_fast() -> None:
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        sc.finish(cpu_gemm(samples.gemm(1000, 1000, 1000), depth=256, rows=6, lanes=16))
        best = min(best, time.perf_counter() - start)
    assert best < 0.02  # 3 ms on a quiet machine


def test_loops_keep_unique_names() -> None:
    names = [
        s.var.name for s in walk(sc.finish(cpu_gemm(samples.gemm(50, 50, 50), depth=16)).body) if isinstance(s, For)
    ]
    assert len(names) == len(set(names))


def test_shared_values_stay_shared() -> None:
    """What two statements of one loop compute together is computed once: values are compared by identity."""
    x, row, y, i, j = (
        samples.buffer("x", 4, 9),
        samples.buffer("row", 4, 9),
        samples.buffer("y", 4),
        loop("i", 4),
        loop("j", 9),
    )
    dear = op("exp", Load(x, at(i.var, j.var)))
    leaf = Accumulate(y, at(i.var), "add", dear, ALWAYS, (j.var,), sc.identity("add", float32))
    kernel = Kernel("k", (x, row, y), loop_nest([i, j], block(Store(row, at(i.var, j.var), dear), leaf)))
    kernel = sc.mark(sc.split(kernel, "j", 4, "jo", "jl"), Kind.VECTOR, "jl")
    finished = ready(sc.specialize(sc.accumulate(kernel, "jo", partial=("jl",)), "jo"))
    bodies = [s.body for s in walk(finished.body) if isinstance(s, For) and isinstance(s.body, Block)]
    pairs = [b.body for b in bodies if [type(s) for s in b.body] == [Store, Accumulate]]
    assert len(pairs) == 2 and all(store.value is sum_.value for store, sum_ in pairs)


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 13, 6), (16, 16, 8)])
def test_stage_before_accumulate(shape: tuple[int, int, int]) -> None:
    k = sc.split(sc.split(samples.gemm(*shape), "j", 8, "jr", "j2"), "j2", 4, "jv", "jl")
    k = sc.reorder(sc.split(k, "i", 4, "ir", "ii"), "jr", "ir", "k", "ii", "jv", "jl")
    k = sc.mark(sc.mark(k, Kind.UNROLLED, "ii", "jv"), Kind.VECTOR, "jl")
    k = sc.stage(k, 1, "jr", "PB", Space.SCRATCH, ("k", "jv", "jl"))
    k = sc.mark(sc.stage(k, 0, None, "PA", Space.GLOBAL, ("ir", "k", "ii")), Kind.PARALLEL, "PA.ir", "jr")
    k = sc.accumulate(k, "k")
    updates = [s for s in walk(k.body) if isinstance(s, Accumulate)]
    assert all(r.guard.always for s in updates for r in leaf_loads(s))  # the copies hold the masks
    arrays = samples.gemm_arrays(np.random.default_rng(2), *shape)
    np.testing.assert_array_equal(both(samples.gemm(*shape), k, arrays, "C"), samples.gemm_result(arrays))
