"""Loops, guards, gathers, reductions and memory as LLVM renders them, against the reference interpreter."""

from __future__ import annotations

import mmap
import struct
from typing import Any

import numpy as np
import pytest
from codegen_harness import LEVELS, check, compile_for, device, execute, like, numbers

from spiraltorch.dtypes import ALL, BY_NAME, DType, bool_, float16, float32, float64, int32, int64, uint8
from spiraltorch.ir.expr import Buffer, Const, FromIndex, Load, Scalar, Space, Value, at, cast, lookup, op
from spiraltorch.ir.expr import FromGuard as Holds
from spiraltorch.ir.guard import ALWAYS, guard, less
from spiraltorch.ir.index import Index, Var, floor_div, index, minimum, mod
from spiraltorch.ir.schedule import identity
from spiraltorch.ir.stmt import Accumulate, Alloc, If, Kernel, Kind, Store, block, loop, loop_nest


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("stride", [-3, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "int8", "float64", "bfloat16", "bool"])
def test_strided_loads(stride: int, dtype: str, level: str | None) -> None:
    d, n, lanes = BY_NAME[dtype], 37, 8
    x, y = Buffer("x", at(5 * n), d), Buffer("y", at(n), d)
    i, j = loop("i", -(-n // lanes)), loop("j", lanes, Kind.VECTOR)
    place = index(i.var) * lanes + j.var
    source = place * stride + (0 if stride >= 0 else -stride * (n - 1))
    ok = less(place, n)
    kernel = Kernel("strided", (x, y), loop_nest([i, j], Store(y, (place,), Load(x, (source,), ok), ok)))
    check(kernel, {"x": numbers(5 * n, d), "y": numbers(n, d, 1)}, of=like(level))


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("stride", [-1, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "int16", "bool", "float16"])
def test_strided_stores(stride: int, dtype: str, level: str | None) -> None:
    d, n, lanes = BY_NAME[dtype], 29, 8
    x, y = Buffer("x", at(n), d), Buffer("y", at(3 * n), d)
    i, j = loop("i", -(-n // lanes)), loop("j", lanes, Kind.VECTOR)
    place = index(i.var) * lanes + j.var
    target = place * stride + (0 if stride >= 0 else n - 1)
    ok = less(place, n)
    kernel = Kernel("strided", (x, y), loop_nest([i, j], Store(y, (target,), Load(x, (place,), ok), ok)))
    check(kernel, {"x": numbers(n, d), "y": numbers(3 * n, d, 1)}, of=like(level))


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_lane_inside_division_remainder_and_minimum(lanes: int, level: str | None) -> None:
    n = 64
    x, y = Buffer("x", at(400), float32), Buffer("y", at(n), float32)
    i = loop("i", n // lanes)
    j = loop("j", lanes, Kind.VECTOR) if lanes > 1 else loop("j", 1)
    p = index(i.var) * lanes + j.var
    shapes: list[Index] = [
        floor_div(p, 3), mod(p, 7), floor_div(p - 30, 7) + 5, mod(p - 30, 7), minimum(p, 11), floor_div(p - 30, 8) + 4,
        mod(p - 30, 8), floor_div(mod(p, 12), 5) * 3 + p, mod(p * 3, 10) * 2,
        floor_div(p, 4) * floor_div(p, 5), minimum(floor_div(p, 3), 63 - p),
    ]  # fmt: skip
    for k, source in enumerate(shapes):
        kernel = Kernel(f"k{k}", (x, y), loop_nest([i, j], Store(y, (p,), Load(x, (source,)))))
        check(kernel, {"x": numbers(400), "y": numbers(n)}, of=like(level))


def test_floor_division_of_any_sign() -> None:
    y = Buffer("y", at(2, 41), int64)
    i = loop("i", 41)
    for d in (2, 3, 7, 8, 10, 1000):
        p = index(i.var) - 20
        body = block(
            Store(y, at(0, i.var), FromIndex(floor_div(p * 5, d))), Store(y, at(1, i.var), FromIndex(mod(p * 5, d)))
        )
        got = execute(Kernel("divide", (y,), loop_nest([i], body)), {"y": np.zeros((2, 41), np.int64)})["y"]
        values = (np.arange(41) - 20) * 5
        np.testing.assert_array_equal(got, [values // d, values % d])


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_gather_and_scatter_by_data(kind: str, lanes: int) -> None:
    d = BY_NAME[kind]
    n, m = 40, 23
    idx, x, y = Buffer("idx", at(n), d), Buffer("x", at(m), float32), Buffer("y", at(n), float32)
    i = loop("i", n // lanes)
    j = loop("j", lanes, Kind.VECTOR) if lanes > 1 else loop("j", 1)
    p = index(i.var) * lanes + j.var
    where = lookup(Load(idx, (p,)), m - 1)
    rng = np.random.default_rng(0)
    gather = Kernel("gather", (idx, x, y), loop_nest([i, j], Store(y, (p,), Load(x, (where,)))))
    check(gather, {"idx": rng.integers(0, m, n).astype(d.numpy), "x": numbers(m), "y": numbers(n)})
    unique = rng.permutation(n)[:n].astype(d.numpy)
    whole = Buffer("x", at(m), float32)
    scatter = Kernel(
        "scatter", (idx, whole, y),
        loop_nest([i, j], Store(y, (lookup(Load(idx, (p,)), n - 1),), Load(whole, (mod(p, m),)))),
    )  # fmt: skip
    check(scatter, {"idx": unique, "x": numbers(m), "y": numbers(n)})


def test_data_dependent_guard_by_lane() -> None:
    """A lane whose index is out of range is neither read nor written."""
    n, lanes = 32, 8
    idx, x, y = Buffer("idx", at(n), int64), Buffer("x", at(n), float32), Buffer("y", at(n), float32)
    i, j = loop("i", n // lanes), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var
    where = lookup(Load(idx, (p,)), 1 << 40, -(1 << 40))
    ok = guard(where, n - 1 - where)
    kernel = Kernel("guarded", (idx, x, y), loop_nest([i, j], Store(y, (p,), Load(x, (where,), ok))))
    indices = np.arange(n) * 37 % 80 - 20
    indices[3], indices[9] = 1 << 39, -(1 << 39)
    check(kernel, {"idx": indices, "x": numbers(n), "y": numbers(n)})
    kernel = Kernel("guarded", (idx, x, y), loop_nest([i, j], Store(y, (where,), Load(x, (p,)), ok)))
    indices = np.where(np.arange(n) % 3 == 0, 1 << 39, np.arange(n)[::-1])
    check(kernel, {"idx": indices, "x": numbers(n), "y": numbers(n)})


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("kind", ["add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_accumulate_over_lanes(dtype: DType, kind: str, level: str | None) -> None:
    n, lanes = 45, 8
    x, y = Buffer("x", at(n), dtype), Buffer("y", at(1), dtype)
    i, j = loop("i", -(-n // lanes)), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var
    ok = less(p, n)
    acc = Buffer("t", (), dtype, Space.REGISTER)
    body = block(
        Store(acc, (), identity(kind, dtype)),
        loop_nest([i, j], Accumulate(acc, (), kind, Load(x, (p,), ok), ok)),
        Store(y, at(0), Load(acc, ())),
    )
    data = numbers(n, dtype)
    if kind == "mul" and dtype.is_float:
        data = (np.sign(data.astype(np.float32)) + 3).astype(dtype.numpy) / dtype.numpy.type(4)
        data = np.where(np.arange(n) % 5 == 0, data, 1).astype(dtype.numpy)
    kernel = Kernel("total", (x, y), Alloc(acc, body))
    check(kernel, {"x": data, "y": numbers(1, dtype)}, of=like(level), rtol=0.02 if dtype.itemsize == 2 else 1e-5)


@pytest.mark.parametrize("dtype", [d for d in ALL if d.is_float], ids=lambda d: d.name)
def test_nan_wins_in_lane_reductions(dtype: DType) -> None:
    x, y = Buffer("x", at(16), dtype), Buffer("y", at(2), dtype)
    j = loop("j", 16, Kind.VECTOR)
    body = block(*[
        loop_nest([j], Accumulate(y, at(k), kind, Load(x, at(j.var)))) for k, kind in enumerate(("max", "min"))
    ])  # fmt: skip
    data = numbers(16, dtype)
    data[5] = np.nan
    got = execute(Kernel("nan", (x, y), body), {"x": data, "y": np.zeros(2, dtype.numpy)})["y"]
    assert np.isnan(got.astype(np.float32)).all()


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_register_tile_with_partial_lanes(dtype: DType) -> None:
    """A tile of 2 rows and 2 vectors, reduced over a serial loop, stored with a ragged edge."""
    k_extent, n, lanes = 5, 13, 8
    a, b, c = Buffer("a", at(2, k_extent), dtype), Buffer("b", at(k_extent, n), dtype), Buffer("c", at(2, n), dtype)
    tile = Buffer("t", at(2, 16), dtype, Space.REGISTER)
    k, r, u, v = (
        loop("k", k_extent),
        loop("r", 2, Kind.UNROLLED),
        loop("u", 2, Kind.UNROLLED),
        loop("v", lanes, Kind.VECTOR),
    )
    column = index(u.var) * lanes + v.var
    ok = less(column, n)
    cell = (index(r.var), column)
    product = op("mul", Load(a, at(r.var, k.var)), Load(b, (index(k.var), column), ok))
    body = block(
        loop_nest([r, u, v], Store(tile, cell, identity("add", dtype))),
        loop_nest([k, r, u, v], Accumulate(tile, cell, "add", product)),
        loop_nest([r, u, v], Store(c, cell, Load(tile, cell), ok)),
    )
    kernel = Kernel("tile", (a, b, c), Alloc(tile, body))
    arrays = {"a": numbers((2, k_extent), dtype), "b": numbers((k_extent, n), dtype, 1), "c": numbers((2, n), dtype, 2)}
    check(kernel, arrays)


def test_serial_loop_inside_a_vector_loop() -> None:
    n, m, lanes = 24, 7, 8
    x, y = Buffer("x", at(n, m), float32), Buffer("y", at(n), float32)
    acc = Buffer("t", at(lanes), float32, Space.REGISTER)
    i, j, k = loop("i", n // lanes), loop("j", lanes, Kind.VECTOR), loop("k", m)
    p = index(i.var) * lanes + j.var
    inside = block(
        Store(acc, at(j.var), Const(1.0, float32)),
        loop_nest([k], Accumulate(acc, at(j.var), "add", Load(x, (p, index(k.var))))),
        Store(y, (p,), Load(acc, at(j.var))),
    )
    check(Kernel("inside", (x, y), Alloc(acc, loop_nest([i, j], inside))), {"x": numbers((n, m)), "y": numbers(n)})


def test_uniform_branch_inside_a_vector_loop() -> None:
    n, lanes = 32, 8
    x, y = Buffer("x", at(n), float32), Buffer("y", at(n), float32)
    i, j = loop("i", n // lanes), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var
    twice, shared = op("add", Load(x, (p,)), Load(x, (p,))), op("neg", Load(x, (p,)))
    body = block(
        Store(y, (p,), shared),
        If(guard(index(i.var) - 2), Store(y, (p,), twice), Store(y, (p,), op("mul", shared, twice))),
    )
    check(Kernel("branch", (x, y), loop_nest([i, j], body)), {"x": numbers(n), "y": numbers(n)})


def test_loads_are_read_again_after_a_store() -> None:
    x = Buffer("x", at(16), float32)
    i = loop("i", 16)
    old = Load(x, at(i.var))
    body = block(Store(x, at(i.var), op("add", old, Const(1.0, float32))), Store(x, at(i.var), op("add", old, old)))
    check(Kernel("again", (x,), loop_nest([i], body)), {"x": numbers(16)})
    j = loop("j", 15)
    shift = Store(x, (index(j.var) + 1,), op("add", Load(x, at(j.var)), Const(1.0, float32)))
    check(Kernel("carried", (x,), loop_nest([j], shift)), {"x": numbers(16)})


def test_one_array_as_two_parameters_is_not_assumed_apart_within_one_buffer() -> None:
    x = Buffer("x", at(40), float32)
    i, j = loop("i", 4), loop("j", 8, Kind.VECTOR)
    p = index(i.var) * 8 + j.var
    body = Store(x, (p + 8,), op("add", Load(x, (p,)), Load(x, (p + 8,))))
    check(Kernel("running", (x,), loop_nest([i, j], body)), {"x": numbers(40)})


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_scalars(dtype: DType) -> None:
    a, n = Scalar("a", dtype), 11
    b = Scalar("b", float32)
    x, y = Buffer("x", at(n), dtype), Buffer("y", at(n), dtype)
    i = loop("i", n)
    value: Value = op("select", op("eq", Load(x, at(i.var)), a), cast(b, dtype), a)
    kernel = Kernel("scalars", (x, y), loop_nest([i], Store(y, at(i.var), value)), scalars=(a, b))
    check(kernel, {"x": numbers(n, dtype), "y": numbers(n, dtype)}, {"a": 3 if not dtype.is_bool else 1, "b": 2.5})


def test_sizes_are_parameters() -> None:
    n = Var("n", 1000, 1)
    m = Var("m", 1000, 1)
    x, y = Buffer("x", at(n, m), float32), Buffer("y", at(m, n), float32)
    i, j, v = loop("i", n), loop("j", floor_div(index(m) + 7, 8)), loop("v", 8, Kind.VECTOR)
    q = index(j.var) * 8 + v.var
    ok = less(q, m)
    body = loop_nest([i, j, v], Store(y, (q, index(i.var)), Load(x, (index(i.var), q), ok), ok))
    kernel = Kernel("transpose", (x, y), body, sizes=(n, m))
    for rows, columns in ((1, 1), (3, 17), (8, 8)):
        arrays = {"x": numbers((rows, columns)), "y": numbers((columns, rows))}
        check(kernel, arrays, sizes={"n": rows, "m": columns})


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
def test_phases_share_temporaries(level: str | None) -> None:
    n = 40
    x, y = Buffer("x", at(n), float32), Buffer("y", at(n), float32)
    t, s = Buffer("t", at(n), float64), Buffer("s", at(8), int32, Space.SCRATCH)
    i = [loop(f"i{k}", n // 8, Kind.PARALLEL) for k in range(2)]
    j = [loop(f"j{k}", 8) for k in range(5)]
    first = loop_nest(
        [i[0], j[0]],
        Store(t, (index(i[0].var) * 8 + j[0].var,), cast(Load(x, (index(i[0].var) * 8 + j[0].var,)), float64)),
    )
    place = index(i[1].var) * 8
    inside = block(
        loop_nest([j[1]], Store(s, at(j[1].var), FromIndex(index(j[1].var) * 3, int32))),
        loop_nest(
            [j[2]],
            Store(
                y,
                (place + j[2].var,),
                op("add", cast(Load(t, (n - 1 - place - j[2].var,)), float32), cast(Load(s, at(j[2].var)), float32)),
            ),
        ),
    )
    second = loop_nest([i[1]], Alloc(s, inside))
    kernel = Kernel("phases", (x, y), Alloc(t, block(first, second)))
    compiled = compile_for(kernel, like(level))
    assert [tasks for _, tasks in compiled.phases] == [5, 5]
    assert compiled.temp_bytes == [n * 8] and compiled.workspace_bytes >= 32
    check(kernel, {"x": numbers(n), "y": numbers(n)}, of=like(level))


def test_masked_invariants_stay_behind_their_guard() -> None:
    """A value that does not change in the inner loop must not be read where the guard forbids it."""
    n = 6
    x, y = Buffer("x", at(n), float32), Buffer("y", at(8, 4), float32)
    i, j = loop("i", 8), loop("j", 4)
    ok = less(i.var, n)
    value = op("mul", op("exp", Load(x, at(i.var), ok)), Const(2.0, float32))
    kernel = Kernel("invariant", (x, y), loop_nest([i, j], Store(y, at(i.var, j.var), value, ok)))
    check(kernel, {"x": numbers(n), "y": numbers((8, 4))}, rtol=1e-6)


def test_test_values_by_lane() -> None:
    n, lanes = 32, 8
    y, z = Buffer("y", at(n), bool_), Buffer("z", at(n), uint8)
    i, j = loop("i", n // lanes), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var
    where = Holds(guard(p - 5, 20 - p, mod(p, 3) - 1))
    body = block(Store(y, (p,), where), Store(z, (p,), cast(Holds(guard(index(i.var) - 1)), uint8)))
    check(Kernel("tests", (y, z), loop_nest([i, j], body)), {"y": numbers(n, bool_), "z": numbers(n, uint8)})


def test_extents_from_data_and_minimum() -> None:
    counts, y = Buffer("counts", at(6), int64), Buffer("y", at(6, 10), float32)
    r = loop("r", 6)
    inner = loop("e", lookup(Load(counts, at(r.var)), 10))
    other = loop("f", minimum(4, 6 - index(r.var)))
    body = block(
        loop_nest([inner], Store(y, at(r.var, inner.var), cast(FromIndex(index(inner.var)), float32))),
        loop_nest([other], Accumulate(y, at(r.var, other.var), "add", Const(100.0, float32))),
    )
    check(
        Kernel("extents", (counts, y), loop_nest([r], body)),
        {"counts": np.array([0, 10, 3, 1, 0, 7]), "y": numbers((6, 10))},
    )


def guarded_page(count: int, dtype: DType, at_end: bool) -> Any:
    """An array that touches a page which may not be accessed, behind it or before it."""
    import ctypes

    page = mmap.PAGESIZE
    size = -(-count * dtype.itemsize // page) * page
    memory = mmap.mmap(-1, size + 2 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for start in (base, base + page + size):
        assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), 0) == 0
    offset = page + (size - count * dtype.itemsize if at_end else 0)
    return np.frombuffer(memory, dtype.numpy, count, offset)


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs POSIX memory protection")
@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("dtype", [float32, float16, uint8, float64], ids=lambda d: d.name)
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_outside_an_array_is_touched(dtype: DType, at_end: bool, level: str | None) -> None:
    """Ragged vectors, padded (guarded) loads, gathers and stores beside pages that fault."""
    n, lanes = 19, 8
    x, y = guarded_page(n, dtype, at_end), guarded_page(n, dtype, at_end)
    x[:] = numbers(n, dtype)
    bx, by = Buffer("x", at(n), dtype), Buffer("y", at(n), dtype)
    i, j = loop("i", 5), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var - 6
    inside = guard(p, n - 1 - p)
    q = p * 2 - 3
    twice = guard(q, n - 1 - q)
    s = mod(p + 6, 5) * 5
    third = guard(n - 1 - s)
    once = guard(index(i.var) - 1, n - 1 - index(i.var) * 6)
    u = index(i.var) * 6
    value = op(
        "add",
        op("add", Load(bx, (p,), inside), Load(bx, (q,), twice)),
        op("add", Load(bx, (s,), third), Load(bx, (u,), once)),
    )
    kernel = Kernel("edges", (bx, by), loop_nest([i, j], Store(by, (p,), value, inside)))
    compiled = compile_for(kernel, like(level))
    program = device().program([(compiled, [(0, 0), (1, 0)])], 2)
    struct.pack_into("2Q", program.table, 0, x.ctypes.data, y.ctypes.data)
    program.run()
    place = np.arange(n)

    def read(source: Any) -> Any:
        ok = (source >= 0) & (source < n)
        return np.where(ok, x[np.where(ok, source, 0)], 0).astype(dtype.numpy)

    block_of = (place + 6) // 8
    last = np.where(block_of >= 1, block_of * 6, -1)
    want = (read(place) + read(place * 2 - 3)) + (read((place + 6) % 5 * 5) + read(last))
    np.testing.assert_array_equal(y, want.astype(dtype.numpy))


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("masked", [False, True])
def test_lanes_that_share_a_target(masked: bool, level: str | None) -> None:
    """Uniform values count once a lane, colliding lanes all count, and the last lane that is on is stored."""
    n, lanes = 24, 8
    x, y, z = Buffer("x", at(n), float32), Buffer("y", at(7), float32), Buffer("z", at(3), int32)
    w = Buffer("w", at(4), float32)
    i, j = loop("i", n // lanes), loop("j", lanes, Kind.VECTOR)
    p = index(i.var) * lanes + j.var
    ok = guard(18 - p, mod(p, 5) - 1) if masked else ALWAYS
    statements = (
        Accumulate(y, (floor_div(mod(p, 12), 2),), "add", Load(x, (p,)), ok),
        Accumulate(y, (mod(p * p, 3),), "max", Load(x, (p,)), ok),
        Accumulate(z, at(0), "max", FromIndex(p, int32), ok),
        Store(w, at(i.var), Load(x, (p,)), ok),
        Store(w, at(3), Load(x, at(i.var)), ok),
    )
    arrays = {"x": numbers(n), "y": numbers(7), "z": numbers(3, int32), "w": numbers(4)}
    for s in statements:
        check(Kernel("shared", (x, y, z, w), loop_nest([i, j], s)), arrays, of=like(level))
    uniform = Kernel("uniform", (z,), loop_nest([i, j], Accumulate(z, at(i.var), "add", Const(3, int32), ok)))
    got = execute(uniform, {"z": arrays["z"]}, of=like(level))["z"]
    place = np.arange(n)
    on = (place <= 18) & (place % 5 >= 1) if masked else place >= 0
    np.testing.assert_array_equal(got, arrays["z"] + 3 * on.reshape(3, lanes).sum(1))


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs POSIX memory protection")
def test_a_loop_that_does_not_run_guards_what_it_reads() -> None:
    """`exp(x[r * 2000])` does not change in the inner loop, and may not be read ahead of one without iterations."""
    n = 2001
    x, y = guarded_page(n, float32, True), np.zeros((8, 4), np.float32)
    bx, by = Buffer("x", at(n), float32), Buffer("y", at(8, 4), float32)
    r = loop("r", 8)
    f = loop("f", minimum(4, 2 - index(r.var)))
    value = op("exp", Load(bx, (index(r.var) * 2000,)))
    kernel = compile_for(Kernel("none", (bx, by), loop_nest([r, f], Store(by, at(r.var, f.var), value))))
    program = device().program([(kernel, [(0, 0), (1, 0)])], 2)
    struct.pack_into("2Q", program.table, 0, x.ctypes.data, y.ctypes.data)
    program.run()
    np.testing.assert_array_equal(y.sum(1), [2, 1, 0, 0, 0, 0, 0, 0])


def test_a_parallel_loop_over_a_symbolic_extent_is_one_task() -> None:
    n = Var("n", 1000, 1)
    x, y = Buffer("x", at(n), float32), Buffer("y", at(n), float32)
    i = loop("i", n, Kind.PARALLEL)
    kernel = Kernel("rows", (x, y), loop_nest([i], Store(y, at(i.var), op("neg", Load(x, at(i.var))))), sizes=(n,))
    assert [tasks for _, tasks in compile_for(kernel).phases] == [1]
    check(kernel, {"x": numbers(37), "y": numbers(37)}, sizes={"n": 37})


def test_what_no_processor_kernel_may_contain() -> None:
    x = Buffer("x", at(8, 8), float32)
    i, j = loop("i", 8, Kind.VECTOR), loop("j", 8, Kind.VECTOR)
    zero = Store(x, at(i.var, j.var), Const(0.0, float32))
    with pytest.raises(ValueError, match="one vector loop at a time"):
        compile_for(Kernel("twice", (x,), loop_nest([i, j], zero)))
    with pytest.raises(ValueError, match="condition without the lane"):
        compile_for(
            Kernel(
                "lane", (x,), loop_nest([i], If(guard(index(i.var) - 3), Store(x, at(i.var, 0), Const(0.0, float32))))
            )
        )
    axis = loop("k", 8)
    with pytest.raises(ValueError, match="still holds a reduction"):
        total = Accumulate(x, at(0, 0), "add", Const(1.0, float32), axes=(axis.var,))
        compile_for(Kernel("raw", (x,), loop_nest([axis], total)))
