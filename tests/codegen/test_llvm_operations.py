"""Every operation and conversion of the kernel IR for every dtype, in scalar and vector form, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from codegen_harness import LEVELS, elementwise, execute, machine_like

from spiraltorch.dtypes import ALL, BY_NAME, DType, bool_
from spiraltorch.ir.expr import ARITY, COMPARISONS, FLOAT_UNARY, Cast, Value, cast, op
from spiraltorch.ir.numerics import convert, evaluate

FLOATS = [d for d in ALL if d.is_float]
INTS = [d for d in ALL if d.is_integer]
N = 83


def samples(dtype: DType, n: int = N, seed: int = 0) -> Any:
    """Values with the special ones among them."""
    rng = np.random.default_rng(seed)
    if dtype.is_bool:
        return rng.integers(0, 2, n).astype(np.bool_)
    if dtype.is_integer:
        low, high = np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max
        a = rng.integers(low, high, n, dtype=dtype.numpy, endpoint=True)
        a[: n // 3] = rng.integers(0 if low == 0 else -7, 8, n // 3).astype(dtype.numpy)
        for k, special in enumerate((low, high, 0, 1, high - 1, low + 1)):
            a[rng.integers(n // 2) + k] = special
        return a
    with np.errstate(all="ignore"):
        a = (rng.standard_normal(n) * np.exp(rng.uniform(-4, 4, n))).astype(dtype.numpy)
        specials = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, -2.5, 2.5, 0.5, 6e-8, -65520]).astype(
            dtype.numpy
        )
    for special in specials:
        a[rng.integers(n)] = special
    return a


def ulps(got: Any, want: Any, dtype: DType) -> float:
    """The greatest distance in units of the last place; infinite where NaN or infinities differ."""
    g, w = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if not np.array_equal(np.isnan(g), np.isnan(w)):
        return float("inf")
    keep = ~np.isnan(w) & (g != w)
    if not keep.any():
        return 0.0
    if np.isinf(g[keep]).any() or np.isinf(w[keep]).any():
        return float("inf")
    info = {2: 1e-7 if dtype.name == "float16" else 1e-40, 4: 1.2e-38, 8: 2.3e-308}[dtype.itemsize]
    bits = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}[dtype.name]
    unit = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(w[keep]), info))) - bits)
    return float(np.max(np.abs(g[keep] - w[keep]) / unit))


def supported(name: str, dtype: DType) -> bool:
    if name in FLOAT_UNARY or name in ("isnan", "div", "atan2", "fma"):
        return dtype.is_float
    if name in ("and", "or", "xor", "not"):
        return not dtype.is_float
    if name in ("shl", "shr", "mulhi"):
        return dtype.is_integer
    if name in ("neg", "abs", "sign", "floordiv", "mod", "pow", "sub"):
        return not dtype.is_bool
    return True


CASES = [(name, d) for name in sorted(ARITY) for d in ALL if supported(name, d)]


def result(name: str, dtype: DType) -> DType:
    return bool_ if name in COMPARISONS else dtype


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_operations(dtype: DType, level: str | None) -> None:
    of = None if level is None else machine_like(level)
    failures = []
    for name in sorted(ARITY):
        if not supported(name, dtype):
            continue
        if name == "select":
            args = [samples(bool_, seed=1), samples(dtype, seed=2), samples(dtype, seed=3)]
        else:
            args = [samples(dtype, seed=k) for k in range(ARITY[name])]
        if name == "pow" and dtype.is_integer:
            args[1] = np.array([v % 9 for v in args[1].tolist()], dtype.numpy)
        with np.errstate(all="ignore"):
            want = evaluate(name, args, result(name, dtype))
        dtypes = [dtype] * len(args) if name != "select" else [bool_, dtype, dtype]
        for lanes in (1, 16) if level is None else (8,):
            kernel = elementwise(lambda *a, name=name: op(name, *a), dtypes, result(name, dtype), N, lanes)
            arrays = {f"x{k}": a for k, a in enumerate(args)}
            got = execute(kernel, {**arrays, "y": np.zeros(N, want.dtype)}, of=of)["y"]
            if dtype.is_float and result(name, dtype) is dtype:
                limit = 3.0 if name in FLOAT_UNARY or name in ("pow", "atan2", "fma") else 0.0
                if name in ("floor", "ceil", "trunc", "round", "sqrt"):
                    limit = 0.0
                distance = ulps(got, want, dtype)
                if distance > limit:
                    failures.append((name, lanes, distance))
            elif not np.array_equal(got, want):
                wrong = np.nonzero(got != want)[0][:3]
                failures.append((name, lanes, [(*(a[w] for a in args), got[w], want[w]) for w in wrong]))
    assert not failures


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("source", ALL, ids=lambda d: d.name)
def test_casts(source: DType, level: str | None) -> None:
    of = None if level is None else machine_like(level)
    x = samples(source)
    failures = []
    for target in ALL:
        with np.errstate(all="ignore"):
            want = saturating(x, source, target)
        for lanes in (1, 16):
            kernel = elementwise(lambda v, t=target: cast(v, t), [source], target, N, lanes)
            got = execute(kernel, {"x0": x, "y": np.zeros(N, want.dtype)}, of=of)["y"]
            if not np.array_equal(got, want, equal_nan=target.is_float):
                wrong = np.nonzero(got != want)[0][:3]
                failures.append((target.name, lanes, [(x[w], got[w], want[w]) for w in wrong]))
    assert not failures


def saturating(x: Any, source: DType, target: DType) -> Any:
    """NumPy's conversion where that is defined, else the nearest integer that fits and 0 for NaN."""
    if not (source.is_float and target.is_integer):
        return convert(x, target)
    info = np.iinfo(target.numpy)

    def one(v: float) -> int:
        return 0 if v != v else info.max if v >= info.max else info.min if v <= info.min else int(v)

    return np.array([one(float(v)) for v in x], target.numpy)


@pytest.mark.parametrize(
    "pair",
    [(a, b) for a in ALL for b in ALL if a.itemsize == b.itemsize and not b.is_bool],
    ids=lambda p: f"{p[0].name}-{p[1].name}",
)
def test_bitcasts(pair: tuple[DType, DType]) -> None:
    source, target = pair
    x = samples(source)
    want = x.view(target.numpy)
    for lanes in (1, 16):
        kernel = elementwise(lambda v: Cast(v, target, True), [source], target, N, lanes)
        got = execute(kernel, {"x0": x, "y": np.zeros(N, want.dtype)})["y"]
        keep = ~np.isnan(x) if source.is_float else slice(None)  # the payload of a NaN may become another
        assert np.array_equal(got[keep], want[keep], equal_nan=target.is_float)


@pytest.mark.parametrize("lanes", [2, 4, 32, 64])
def test_lane_counts(lanes: int) -> None:
    for name in ("float32", "float64", "int8", "bfloat16"):
        dtype = BY_NAME[name]
        x, y = samples(dtype, seed=1), samples(dtype, seed=2)
        with np.errstate(all="ignore"):
            want = evaluate("add", [x, y], dtype)
        kernel = elementwise(lambda a, b: op("add", a, b), [dtype, dtype], dtype, N, lanes)
        got = execute(kernel, {"x0": x, "x1": y, "y": np.zeros_like(x)})["y"]
        assert np.array_equal(got, want, equal_nan=dtype.is_float)


def test_shared_values_are_computed_once() -> None:
    from spiraltorch.codegen.llvm.render import render
    from spiraltorch.dtypes import float32

    def chain(v: Value) -> Value:
        for _ in range(40):
            v = op("add", v, v)
        return v

    kernel = elementwise(chain, [float32], float32, N, 16)
    text = render(kernel, "k").text
    assert text.count("fadd") == 40
