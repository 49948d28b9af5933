"""The interpreter is the definition of the IR, so it is compared with NumPy, op by op and rule by rule."""

from __future__ import annotations

import math
from typing import Any

import ir_samples as samples
import numpy as np
import pytest

from spiraltorch import dtypes
from spiraltorch.dtypes import DType, bfloat16, bool_, float16, float32, float64, int32, int64, uint8
from spiraltorch.errors import IndexOutOfRange, ShapeError
from spiraltorch.ir import expr
from spiraltorch.ir import schedule as sc
from spiraltorch.ir.expr import (
    ARITY,
    FLOAT_UNARY,
    Cast,
    Const,
    FromIndex,
    Load,
    Scalar,
    Space,
    Value,
    at,
    cast,
    lookup,
    op,
)
from spiraltorch.ir.guard import ALWAYS, guard, less
from spiraltorch.ir.index import index
from spiraltorch.ir.interpreter import RaceError, run
from spiraltorch.ir.stmt import (
    Accumulate,
    Alloc,
    Barrier,
    Block,
    If,
    Kernel,
    Kind,
    Store,
    block,
    loop,
    loop_nest,
    transform,
)
from spiraltorch.ir.verifier import verify


def elementwise(make: Any, *inputs: Any) -> Any:
    """Runs `make(loads...)` over arrays of one length and gives the result."""
    n = len(inputs[0])
    i = loop("i", n)
    buffers = [samples.buffer(f"x{k}", n, dtype=dtypes.from_numpy(a.dtype)) for k, a in enumerate(inputs)]
    value: Value = make(*(Load(b, at(i.var)) for b in buffers))
    out = samples.buffer("out", n, dtype=value.dtype)
    kernel = verify(Kernel("k", (*buffers, out), loop_nest([i], Store(out, at(i.var), value))))
    result = np.zeros(n, value.dtype.numpy)
    run(kernel, {**{b.name: a for b, a in zip(buffers, inputs, strict=True)}, "out": result})
    return result


def sample(dtype: DType, n: int = 64, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    if dtype.is_bool:
        return rng.integers(0, 2, n).astype(bool)
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        values = rng.integers(info.min, info.max, n, dtype=dtype.numpy, endpoint=True)
        values[:4] = [info.min, info.max, 0, 1]
        return values
    return np.append(rng.normal(size=n - 4) * 3, [np.nan, np.inf, -np.inf, 0]).astype(dtype.numpy)


NUMERIC = [d for d in dtypes.ALL if not d.is_bool]
NUMPY: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "lt": np.less,
    "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "floordiv": np.floor_divide, "mod": np.remainder,
}  # fmt: skip


@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda d: d.name)
@pytest.mark.parametrize("name", NUMPY)
def test_binary(name: str, dtype: DType) -> None:
    a, b = sample(dtype), sample(dtype, seed=1)
    wide = np.float32 if dtype.is_float and dtype.itemsize == 2 else dtype.numpy
    with np.errstate(all="ignore"):
        expected = NUMPY[name](a.astype(wide), b.astype(wide))
    if expected.dtype != bool:
        expected = expected.astype(dtype.numpy)
    result = elementwise(lambda x, y: op(name, x, y), a, b)
    np.testing.assert_array_equal(result.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("dtype", [float16, bfloat16, float32, float64], ids=lambda d: d.name)
@pytest.mark.parametrize("name", sorted(FLOAT_UNARY | {"neg", "abs", "sign"}))
def test_unary(name: str, dtype: DType) -> None:
    x = sample(dtype)
    known = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh"}
    known |= {"atanh": "arctanh", "round": "rint", "neg": "negative"}
    function = np.vectorize(math.erf) if name == "erf" else getattr(np, known.get(name, name))
    with np.errstate(all="ignore"):
        expected = np.asarray(function(x.astype(np.float64))).astype(dtype.numpy)
    result = elementwise(lambda v: op(name, v), x)
    tolerance = {float16: 2e-3, bfloat16: 2e-2, float32: 2e-6, float64: 1e-14}[dtype]
    np.testing.assert_allclose(result.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=1e-7)


def test_narrow_floats_round_after_each_op() -> None:
    x = np.array([2048, 1, 1], np.float16)
    result = elementwise(lambda v: op("add", op("add", v, Const(1.0, float16)), Const(1.0, float16)), x)
    assert result.tolist() == [2048, 3, 3]  # 2048 + 1 rounds to 2048 twice
    wide = elementwise(lambda v: op("add", op("add", cast(v, float32), Const(1.0, float32)), Const(1.0, float32)), x)
    assert wide.tolist() == [2050, 3, 3]


def test_integer_corners() -> None:
    big = np.array([2**31 - 1, -(2**31), 7, -7], np.int32)
    assert elementwise(lambda v: op("add", v, Const(1, int32)), big).tolist() == [-(2**31), -(2**31) + 1, 8, -6]
    assert elementwise(lambda v: op("floordiv", v, Const(0, int32)), big).tolist() == [0] * 4
    assert elementwise(lambda v: op("mod", v, Const(3, int32)), big).tolist() == [1, 1, 1, 2]
    assert elementwise(lambda v: op("shl", v, Const(32, int32)), big).tolist() == [0] * 4
    assert elementwise(lambda v: op("shr", v, Const(40, int32)), big).tolist() == [0, -1, 0, -1]
    base, power = np.array([2, 1, -1, 3, 2], np.int64), np.array([-1, -5, -3, 2, 10])
    assert elementwise(lambda a, b: op("pow", a, b), base, power).tolist() == [0, 1, -1, 9, 1024]
    top = np.array([2**64 - 1, 2**63, 5], np.uint64)
    assert elementwise(lambda v: op("mulhi", v, v), top).tolist() == [2**64 - 2, 2**62, 0]
    assert elementwise(lambda v: op("neg", v), np.array([1, 0], np.uint8)).tolist() == [255, 0]
    assert elementwise(lambda v: op("sub", v, Const(-1, uint8)), np.array([1, 255], np.uint8)).tolist() == [2, 0]


def test_bool_arithmetic_is_logic() -> None:
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    expected = {"add": a | b, "mul": a & b, "max": a | b, "min": a & b, "and": a & b, "or": a | b, "xor": a ^ b}
    for name, want in expected.items():
        np.testing.assert_array_equal(elementwise(lambda x, y, name=name: op(name, x, y), a, b), want)
    np.testing.assert_array_equal(elementwise(lambda x: op("not", x), a), ~a)


def test_every_operation_runs() -> None:
    for name, arity in ARITY.items():
        dtype = int32 if name in ("and", "or", "xor", "shl", "shr", "mulhi", "not") else float32
        args = [np.full(3, 1, dtype.numpy) for _ in range(arity)]
        if name == "select":
            args[0] = np.array([True, False, True])
        assert elementwise(lambda *v, name=name: op(name, *v), *args).shape == (3,)


def test_casts_and_bits() -> None:
    x = np.array([1.9, -1.9, 0.0, 3.5], np.float32)
    assert elementwise(lambda v: cast(v, int32), x).tolist() == [1, -1, 0, 3]
    assert elementwise(lambda v: cast(v, bool_), x).tolist() == [True, True, False, True]
    assert elementwise(lambda v: Cast(v, int32, bits=True), x).tolist() == x.view(np.int32).tolist()
    assert elementwise(lambda v: cast(v, uint8), np.array([257, -1])).tolist() == [1, 255]


def test_index_test_and_scalar_values() -> None:
    i, y, z = loop("i", 5), samples.buffer("y", 5, dtype=float64), samples.buffer("z", 5, dtype=bool_)
    scaled = op("mul", FromIndex(index(i.var) * 2 + 1, float64), Scalar("s", float64))
    body = block(Store(y, at(i.var), scaled), Store(z, at(i.var), expr.FromGuard(less(i.var, 3))))
    kernel = verify(Kernel("k", (y, z), loop_nest([i], body), (Scalar("s", float64),)))
    arrays = {"y": np.zeros(5), "z": np.zeros(5, bool)}
    run(kernel, arrays, {"s": 0.5})
    assert arrays["y"].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert arrays["z"].tolist() == [True, True, True, False, False]


def test_guarded_loads_read_zero_and_guarded_stores_do_nothing() -> None:
    i, x, y = loop("i", 5), samples.buffer("x", 3), samples.buffer("y", 5)
    value = Load(x, (index(i.var) - 1,), guard(index(i.var) - 1, 3 - index(i.var)))
    kernel = verify(Kernel("pad", (x, y), loop_nest([i], Store(y, at(i.var), value, less(i.var, 4)))))
    arrays = {"x": np.array([5, 6, 7], np.float32), "y": np.full(5, 9, np.float32)}
    run(kernel, arrays)
    assert arrays["y"].tolist() == [0, 5, 6, 7, 9]


def test_sequential_dependence_is_kept() -> None:
    i, x = loop("i", 5), samples.buffer("x", 6)
    step = Store(x, (index(i.var) + 1,), op("add", Load(x, at(i.var)), Const(1.0, float32)))
    array = np.zeros(6, np.float32)
    run(Kernel("scan", (x,), loop_nest([i], step)), {"x": array})
    assert array.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_last_of_equal_writes_wins() -> None:
    i, x, idx, y = loop("i", 4), samples.buffer("x", 4), samples.buffer("idx", 4, dtype=int64), samples.buffer("y", 2)
    kernel = Kernel(
        "set", (x, idx, y), loop_nest([i], Store(y, (lookup(Load(idx, at(i.var)), 1),), Load(x, at(i.var))))
    )
    y_array = np.zeros(2, np.float32)
    run(kernel, {"x": np.arange(4, dtype=np.float32), "idx": np.array([1, 0, 1, 0]), "y": y_array})
    assert y_array.tolist() == [3, 2]


def test_accumulation_order_is_the_loop_order() -> None:
    x = np.array([1, 1e8, -1e8, 1], np.float32)
    kernel = samples.reduce("add", 1, 4, 1)
    y = np.zeros(1, np.float32)
    run(kernel, {"x": x.reshape(1, 4), "y": y})
    assert y[0] == ((np.float32(1) + x[1]) + x[2]) + x[3]


# ---------------------------------------------------------------- what raises


def test_access_outside_a_buffer_raises() -> None:
    i, x, y = loop("i", 4), samples.buffer("x", 3), samples.buffer("y", 4)
    arrays = {"x": np.zeros(3, np.float32), "y": np.zeros(4, np.float32)}
    with pytest.raises(IndexOutOfRange, match=r"\[load\] x"):
        run(Kernel("k", (x, y), loop_nest([i], Store(y, at(i.var), Load(x, at(i.var))))), arrays)
    with pytest.raises(IndexOutOfRange, match=r"\[store\] x"):
        run(Kernel("k", (x, y), loop_nest([i], Store(x, (index(i.var) - 1,), Load(y, at(i.var))))), arrays)
    idx = samples.buffer("idx", 4, dtype=int64)
    found = Load(y, (lookup(Load(idx, at(i.var)), 3),))
    with pytest.raises(IndexOutOfRange, match="lookup"):
        run(Kernel("k", (y, idx), loop_nest([i], Store(y, at(i.var), found))), arrays | {"idx": np.array([0, 1, 4, 0])})


def test_wrong_arrays_raise() -> None:
    kernel = samples.transpose(2, 3)
    with pytest.raises(ShapeError, match="x expected"):
        run(kernel, {"x": np.zeros((3, 2), np.float32), "y": np.zeros((3, 2), np.float32)})
    with pytest.raises(ShapeError, match="float32"):
        run(kernel, {"x": np.zeros((2, 3)), "y": np.zeros((3, 2), np.float32)})


def test_fresh_memory_is_garbage() -> None:
    y, t = samples.buffer("y", 1), samples.buffer("t", 1, space=Space.SCRATCH)
    array = np.zeros(1, np.float32)
    run(Kernel("k", (y,), Alloc(t, Store(y, at(0), Load(t, at(0))))), {"y": array})
    assert np.isnan(array[0])


def test_parallel_order_shows_a_dependence() -> None:
    i, y = loop("i", 4, Kind.PARALLEL), samples.buffer("y", 1)
    kernel = Kernel("k", (y,), loop_nest([i], Store(y, at(0), FromIndex(index(i.var), float32))))
    results = {}
    for order in ("forward", "reverse"):
        array = np.zeros(1, np.float32)
        run(kernel, {"y": array}, order=order)
        results[order] = array[0]
    assert results == {"forward": 3, "reverse": 0}


# ---------------------------------------------------------------- groups of items


def reversal(barrier: bool) -> Kernel:
    """Each group writes its four elements to shared memory and reads them back in reverse."""
    x, y, tile = samples.buffer("x", 8), samples.buffer("y", 8), samples.buffer("tile", 4, space=Space.WORKGROUP)
    g, t = loop("g", 2, Kind.GROUP), loop("t", 4, Kind.ITEM)
    mine = index(g.var) * 4 + t.var
    write = Store(tile, at(t.var), Load(x, (mine,)))
    read = Store(y, (mine,), Load(tile, (3 - index(t.var),)))
    parts = (write, Barrier(), read) if barrier else (write, read)
    return Kernel("reversal", (x, y), loop_nest([g], Alloc(tile, loop_nest([t], Block(parts)))))


@pytest.mark.parametrize("items", ["forward", "reverse", "shuffle"])
def test_items_meet_at_barriers(items: str) -> None:
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    run(verify(reversal(True)), {"x": x, "y": y}, items=items)
    assert y.tolist() == [3, 2, 1, 0, 7, 6, 5, 4]


@pytest.mark.parametrize("items", ["forward", "reverse", "shuffle"])
def test_a_missing_barrier_raises(items: str) -> None:
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    with pytest.raises(RaceError, match="barrier is missing"):
        run(reversal(False), {"x": x, "y": y}, items=items)
    run(sc.insert_barriers(reversal(False)), {"x": x, "y": y}, items=items)
    assert y.tolist() == [3, 2, 1, 0, 7, 6, 5, 4]


def staged_gemm() -> Kernel:
    k = samples.gemm(4, 4, 8)
    k = sc.split(k, "k", 4, "ko", "kk", exact=True)
    k = sc.mark(sc.reorder(k, "i", "j", "ko", "kk"), Kind.ITEM, "i", "j")
    k = sc.accumulate(k, "ko")
    k = sc.stage(k, 0, "ko", "SA", Space.WORKGROUP, ("i", "kk"))
    return sc.stage(k, 1, "ko", "SB", Space.WORKGROUP, ("kk", "j"))


def test_each_derived_barrier_is_needed() -> None:
    kernel = sc.finish(staged_gemm())
    barriers: list[Barrier] = []
    transform(kernel.body, lambda s: (barriers.append(s), s)[1] if isinstance(s, Barrier) else s)
    assert len(barriers) == 2  # after the copies, and before the next round of copies
    arrays = samples.gemm_arrays(np.random.default_rng(0), 4, 4, 8)
    run(verify(kernel, lowered=True), arrays, items="shuffle")
    np.testing.assert_array_equal(arrays["C"], samples.gemm_result(arrays))
    for gone in barriers:
        broken = kernel.with_body(transform(kernel.body, lambda s, gone=gone: Block(()) if s is gone else s))
        with pytest.raises(RaceError):
            run(broken, arrays, items="shuffle")


def test_a_divergent_barrier_raises() -> None:
    t, y = loop("t", 4, Kind.ITEM), samples.buffer("y", 4)
    body = block(If(less(t.var, 2), Barrier()), Store(y, at(t.var), Const(1.0, float32)))
    with pytest.raises(RaceError, match="wait at a barrier"):
        run(Kernel("k", (y,), loop_nest([t], body)), {"y": np.zeros(4, np.float32)})


def test_registers_are_private_to_items() -> None:
    t, y, r = loop("t", 3, Kind.ITEM), samples.buffer("y", 3), samples.buffer("r", space=Space.REGISTER)
    body = Alloc(
        r, Block((Store(r, (), FromIndex(index(t.var), float32)), Barrier(), Store(y, at(t.var), Load(r, ()))))
    )
    array = np.zeros(3, np.float32)
    run(verify(Kernel("k", (y,), loop_nest([t], body))), {"y": array})
    assert array.tolist() == [0, 1, 2]


def test_an_empty_reduction_gives_its_start_value() -> None:
    x, y, i, j = samples.buffer("x", 2, 1), samples.buffer("y", 2), loop("i", 2), loop("j", 1)
    n = samples.buffer("n", 2, dtype=int64)
    j = loop("j", lookup(Load(n, at(i.var)), 1))
    value = Load(x, at(i.var, 0))
    leaf = Accumulate(y, at(i.var), "add", value, ALWAYS, (j.var,), Const(5.0, float32))
    array = np.zeros(2, np.float32)
    run(
        Kernel("k", (x, n, y), loop_nest([i, j], leaf)),
        {"x": np.ones((2, 1), np.float32), "n": np.array([0, 1]), "y": array},
    )
    assert array.tolist() == [5, 6]


def test_a_reduction_without_axes_starts_and_finishes_each_time() -> None:
    x, y, i = samples.buffer("x", 3), samples.buffer("y", 3), loop("i", 3)
    t = samples.buffer("t", 3, space=Space.VIRTUAL)
    cell = at(i.var)
    end = (Store(y, cell, op("neg", Load(t, cell))),)
    leaf = Accumulate(t, cell, "add", Load(x, cell), ALWAYS, (), Const(5.0, float32), end)
    kernel = verify(Kernel("k", (x, y), Alloc(t, loop_nest([i], leaf))))
    for scheduled in (kernel, sc.accumulate(sc.mark(kernel, Kind.UNROLLED, "i"), "i"), sc.finish(kernel)):
        array = np.zeros(3, np.float32)
        run(verify(sc.finish(scheduled), lowered=True), {"x": np.arange(3, dtype=np.float32), "y": array})
        assert array.tolist() == [-5, -6, -7]
