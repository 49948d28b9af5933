"""Element-wise primitives against NumPy and SciPy, for every dtype that they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from graph_samples import node, same, sample, value, wide

from spiraltorch import dtypes as dt
from spiraltorch.errors import DeviceError, DTypeError, ShapeError
from spiraltorch.graph import build as b
from spiraltorch.graph.node import aval_of, leaf

FLOATS = [d for d in dt.ALL if d.is_float]
NUMBERS = [d for d in dt.ALL if not d.is_bool]
INTEGERS = [d for d in dt.ALL if d.is_integer]
SHAPES = [(), (0, 3), (5,), (2, 1, 4)]

UNARY: dict[str, Any] = {
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round_": np.rint, "sqrt": np.sqrt, "exp": np.exp,
    "expm1": np.expm1, "exp2": np.exp2, "log": np.log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": scipy.special.erf,
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_unary_float(name: str, dtype: dt.DType) -> None:
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x = sample(rng, shape, dtype)
        with np.errstate(all="ignore"):
            expected = UNARY[name](x.astype(np.float64)).astype(dtype.numpy)
        same(value(getattr(b, name)(node(x))), expected, dtype)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda d: d.name)
def test_sign_family(dtype: dt.DType) -> None:
    x = sample(np.random.default_rng(1), (3, 4), dtype)
    exact = x.astype(np.float64)
    same(value(b.abs_(node(x))), np.abs(exact).astype(dtype.numpy))
    same(value(b.sign(node(x))), np.sign(exact).astype(dtype.numpy))
    same(value(b.neg(node(x))), -x)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda d: d.name)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "minimum"])
def test_binary_numbers(name: str, dtype: dt.DType) -> None:
    ufunc = {"add": np.add, "sub": np.subtract, "mul": np.multiply}.get(name) or getattr(np, name)
    rng = np.random.default_rng(2)
    for left, right in [((), (4,)), ((3, 1), (1, 4)), ((0, 4), (4,)), ((2, 3), (2, 3))]:
        x, y = sample(rng, left, dtype), sample(rng, right, dtype)
        with np.errstate(all="ignore"):
            expected = ufunc(wide(x), wide(y)).astype(dtype.numpy)
        same(value(getattr(b, name)(node(x), node(y))), expected, dtype)


@pytest.mark.parametrize("name", ["div", "pow", "atan2", "floordiv", "mod"])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_binary_floats(name: str, dtype: dt.DType) -> None:
    fn = {"div": np.divide, "pow": np.power, "atan2": np.arctan2, "floordiv": np.floor_divide, "mod": np.mod}[name]
    rng = np.random.default_rng(3)
    x, y = sample(rng, (4, 5), dtype), sample(rng, (5,), dtype)
    high = np.float64 if dtype is dt.float64 else np.float32
    with np.errstate(all="ignore"):
        expected = fn(x.astype(high), y.astype(high)).astype(dtype.numpy)
    same(value(getattr(b, name)(node(x), node(y))), expected, dtype)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_integer_division_floors_and_gives_zero_for_zero(dtype: dt.DType) -> None:
    rng = np.random.default_rng(4)
    x, y = sample(rng, (50,), dtype), sample(rng, (50,), dtype)
    y[:5] = 0
    whole = [int(p) // int(q) if q else 0 for p, q in zip(x, y, strict=True)]
    rest = [int(p) % int(q) if q else 0 for p, q in zip(x, y, strict=True)]
    same(value(b.floordiv(node(x), node(y))), np.array(whole, dtype.numpy))
    same(value(b.mod(node(x), node(y))), np.array(rest, dtype.numpy))


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_integer_pow(dtype: dt.DType) -> None:
    x = np.array([0, 1, 2, 3, 1, 2], dtype.numpy)
    y = np.array([0, 5, 3, 2, 0, 0], dtype.numpy)
    same(value(b.pow(node(x), node(y))), np.array([1, 1, 8, 9, 1, 1], dtype.numpy))
    if dtype.kind == "i":
        low = np.array([-1, -1, 1, 2, 0], dtype.numpy)
        down = np.array([-1, -2, -3, -1, -1], dtype.numpy)
        same(value(b.pow(node(low), node(down))), np.array([-1, 1, 1, 0, 0], dtype.numpy))


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_shifts_beyond_the_width(dtype: dt.DType) -> None:
    width = dtype.bits
    x = np.array([1, 3, 1, 5], dtype.numpy)
    by = np.array([0, 1, width - 1, width], dtype.numpy)
    mask = (1 << width) - 1
    left = np.array([(int(p) << int(q)) & mask for p, q in zip(x, by, strict=True)], np.uint64)
    expected = left.astype(dtype.numpy)
    expected[-1] = 0
    same(value(b.shl(node(x), node(by))), expected)
    same(value(b.shr(node(x), node(by))), np.array([1, 1, 0, 0], dtype.numpy))
    if dtype.kind == "i":
        same(value(b.shr(node(-x), node(by))), np.array([-1, -2, -1, -1], dtype.numpy))


@pytest.mark.parametrize("dtype", [*INTEGERS, dt.bool_], ids=lambda d: d.name)
def test_bitwise(dtype: dt.DType) -> None:
    rng = np.random.default_rng(5)
    x, y = sample(rng, (9,), dtype), sample(rng, (9,), dtype)
    same(value(b.bitand(node(x), node(y))), x & y)
    same(value(b.bitor(node(x), node(y))), x | y)
    same(value(b.bitxor(node(x), node(y))), x ^ y)
    same(value(b.invert(node(x))), ~x)


def test_bool_arithmetic_is_logic() -> None:
    x, y = np.array([False, False, True, True]), np.array([False, True, False, True])
    for name, expected in {"add": x | y, "mul": x & y, "maximum": x | y, "minimum": x & y}.items():
        same(value(getattr(b, name)(node(x), node(y))), expected)


@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
def test_comparisons_and_where(dtype: dt.DType) -> None:
    rng = np.random.default_rng(6)
    x, y = sample(rng, (4, 6), dtype), sample(rng, (6,), dtype)
    for name, ufunc in {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}.items():
        made = getattr(b, name)(node(x), node(y))
        assert made.aval.dtype is dt.bool_
        same(value(made), ufunc(wide(x), wide(y)))
    same(value(b.where(node(wide(x) == wide(y)), node(x), node(y))), np.where(wide(x) == wide(y), wide(x), wide(y)))


def test_nan() -> None:
    x, y = node(np.array([np.nan, 1.0, np.nan])), node(np.array([0.0, np.nan, np.nan]))
    assert value(b.isnan(x)).tolist() == [True, False, True]
    assert np.isnan(value(b.maximum(x, y))).all()
    assert np.isnan(value(b.minimum(x, y))).all()
    assert value(b.ne(x, x)).tolist() == [True, False, True]
    assert not value(b.le(x, y)).any()


@pytest.mark.parametrize("source", dt.ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("target", dt.ALL, ids=lambda d: d.name)
def test_cast(source: dt.DType, target: dt.DType) -> None:
    x = np.abs(sample(np.random.default_rng(7), (7,), source)) if not source.is_bool else np.array([True, False])
    same(value(b.cast(node(x), target)), x.astype(target.numpy))


def test_cast_truncates_towards_zero() -> None:
    x = node(np.array([-1.9, -0.5, 0.5, 1.9]))
    assert value(b.cast(x, dt.int32)).tolist() == [-1, 0, 0, 1]


def test_bitcast() -> None:
    x = np.array([0.0, -0.0, 1.5, np.inf], np.float32)
    same(value(b.bitcast(node(x), dt.uint32)), x.view(np.uint32))
    assert value(b.bitcast(node(np.float32(1.0)), dt.int32)) == 0x3F800000


def test_identities() -> None:
    x = node(np.array([1.0, 2.0]))
    same(value(b.stop_gradient(x)), [1.0, 2.0])
    same(value(b.barrier(x, node(np.zeros((3, 4))))), [1.0, 2.0])


def test_errors_name_the_operation() -> None:
    x, y = node(np.zeros((2, 3), np.float32)), node(np.zeros((2, 4), np.float32))
    with pytest.raises(ShapeError, match=r"\[add\].*\(2, 3\) and \(2, 4\).*axis -1"):
        b.add(x, y)
    with pytest.raises(DTypeError, match=r"\[mul\].*float32 and int64"):
        b.mul(x, node(np.zeros((2, 3), np.int64)))
    with pytest.raises(DTypeError, match=r"\[sin\].*floating.*int64"):
        b.sin(node(np.zeros(3, np.int64)))
    with pytest.raises(DTypeError, match=r"\[where\].*bool condition"):
        b.where(x, x, x)
    with pytest.raises(DTypeError, match=r"\[bitcast\]"):
        b.bitcast(x, dt.float64)
    elsewhere = leaf(None, aval_of((2, 3), dt.float32, "other:0"))
    with pytest.raises(DeviceError, match=r"\[add\].*cpu:0 and other:0"):
        b.add(x, elsewhere)
