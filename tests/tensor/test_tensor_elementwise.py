"""Element-wise functions against NumPy, SciPy and torch."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
import scipy.special
from tensor_helpers import FLOATS, INTS, close, numpy_dtype, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, ShapeError

UNARY = [
    ("sqrt", np.sqrt, 0.1, 3), ("exp", np.exp, -3, 3), ("expm1", np.expm1, -3, 3), ("exp2", np.exp2, -3, 3),
    ("log", np.log, 0.1, 3), ("log1p", np.log1p, -0.9, 3), ("log2", np.log2, 0.1, 3), ("log10", np.log10, 0.1, 3),
    ("sin", np.sin, -3, 3), ("cos", np.cos, -3, 3), ("tan", np.tan, -1, 1), ("asin", np.arcsin, -1, 1),
    ("acos", np.arccos, -1, 1), ("atan", np.arctan, -3, 3), ("sinh", np.sinh, -3, 3), ("cosh", np.cosh, -3, 3),
    ("tanh", np.tanh, -3, 3), ("asinh", np.arcsinh, -3, 3), ("acosh", np.arccosh, 1.1, 3),
    ("atanh", np.arctanh, -0.9, 0.9), ("floor", np.floor, -3, 3), ("ceil", np.ceil, -3, 3), ("trunc", np.trunc, -3, 3),
    ("round", np.round, -3, 3), ("abs", np.abs, -3, 3), ("sign", np.sign, -3, 3), ("square", np.square, -3, 3),
    ("negative", np.negative, -3, 3), ("positive", np.positive, -3, 3), ("reciprocal", np.reciprocal, 0.5, 3),
    ("isnan", np.isnan, -3, 3), ("isfinite", np.isfinite, -3, 3), ("isinf", np.isinf, -3, 3),
    ("signbit", np.signbit, -3, 3), ("logical_not", np.logical_not, -3, 3), ("erf", scipy.special.erf, -3, 3),
    ("sigmoid", scipy.special.expit, -3, 3), ("rsqrt", lambda x: 1 / np.sqrt(x), 0.1, 3),
]  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "reference", "low", "high"), UNARY, ids=[u[0] for u in UNARY])
def test_unary(name: str, reference: Any, low: float, high: float, dtype: str) -> None:
    x = sample((3, 5), dtype, 1, low, high)
    want = np.asarray(reference(x.astype(np.float64)))
    want = want if want.dtype.kind == "b" else want.astype(x.dtype)
    close(getattr(st, name)(st.asarray(x)), want, {"float16": 4e-3, "bfloat16": 3e-2}.get(dtype))


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], np.float32)


@pytest.mark.parametrize(
    "name", ["isnan", "isinf", "isfinite", "signbit", "abs", "floor", "exp", "log", "sqrt", "sign"]
)
def test_special_values(name: str) -> None:
    with np.errstate(all="ignore"):
        close(getattr(st, name)(st.asarray(SPECIAL)), getattr(np, name)(SPECIAL))


@pytest.mark.parametrize("name", ["sin", "exp", "sqrt", "log1p"])
def test_integers_become_the_default_float(name: str) -> None:
    x = np.array([0, 1, 2], np.int32)
    close(getattr(st, name)(st.asarray(x)), getattr(np, name)(x.astype(np.float32)))


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round"])
def test_rounding_keeps_integers(name: str) -> None:
    close(getattr(st, name)(st.asarray(np.array([1, -2], np.int16))), np.array([1, -2], np.int16))


BINARY = [
    ("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide), ("pow", np.power),
    ("maximum", np.maximum), ("minimum", np.minimum), ("atan2", np.arctan2), ("hypot", np.hypot),
    ("copysign", np.copysign), ("logaddexp", np.logaddexp), ("floor_divide", np.floor_divide),
    ("remainder", np.remainder), ("nextafter", np.nextafter), ("equal", np.equal), ("not_equal", np.not_equal),
    ("less", np.less), ("less_equal", np.less_equal), ("greater", np.greater), ("greater_equal", np.greater_equal),
    ("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor),
    ("xlogy", scipy.special.xlogy),
]  # fmt: skip


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((0, 3), (1, 3))], ids=str)
@pytest.mark.parametrize(("name", "reference"), BINARY, ids=[b[0] for b in BINARY])
def test_binary(name: str, reference: Any, shapes: Any) -> None:
    for dtype in ("float32", "float64"):
        low = 0.2 if name in ("pow", "xlogy") else -3.0
        x, y = sample(shapes[0], dtype, 1, low), sample(shapes[1], dtype, 2, low)
        close(getattr(st, name)(st.asarray(x), st.asarray(y)), reference(x, y))


def test_binary_special_values() -> None:
    x, y = np.repeat(SPECIAL, len(SPECIAL)), np.tile(SPECIAL, len(SPECIAL))
    a, b = st.asarray(x), st.asarray(y)
    for name in ("add", "maximum", "minimum", "copysign", "nextafter", "hypot", "logaddexp", "divide"):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(
                getattr(st, name)(a, b).numpy(), getattr(np, name)(x, y), rtol=1e-6, err_msg=name
            )


@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "floor_divide", "remainder", "bitwise_and", "bitwise_or",
                                  "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"])  # fmt: skip
def test_integer_binary(name: str, dtype: str) -> None:
    x = np.arange(1, 7).astype(numpy_dtype(dtype))
    y = np.array([1, 2, 3, 1, 2, 3]).astype(numpy_dtype(dtype))
    reference = {"bitwise_left_shift": np.left_shift, "bitwise_right_shift": np.right_shift}.get(name) or getattr(
        np, name
    )
    close(getattr(st, name)(st.asarray(x), st.asarray(y)), reference(x, y))


def test_negative_integer_division() -> None:
    x, y = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    close(st.asarray(x) // st.asarray(y), x // y)
    close(st.asarray(x) % st.asarray(y), x % y)
    close(-7 // st.asarray(y), -7 // y)


@pytest.mark.parametrize("b", [*FLOATS, *INTS, "bool"])
@pytest.mark.parametrize("a", [*FLOATS, *INTS, "bool"])
def test_promotion(a: str, b: str) -> None:
    x, y = st.asarray(sample((2,), a, 1)), st.asarray(sample((2,), b, 2))
    want = st.dtypes.promote(x.dtype, y.dtype)
    assert (x + y).dtype is want
    assert st.result_type(x, y) is want
    assert st.where(st.asarray([True, False]), x, y).dtype is want
    assert (x == y).dtype is st.bool


@pytest.mark.parametrize("dtype", [*FLOATS, *INTS, "bool"])
def test_python_scalars_are_weak(dtype: str) -> None:
    x = st.asarray(sample((3,), dtype, 1))
    whole = st.int64 if x.dtype.is_bool else x.dtype
    real = x.dtype if x.dtype.is_float else st.float32
    for op in (operator.add, operator.mul):
        assert op(x, 3).dtype is whole
        assert op(3, x).dtype is whole
        assert op(x, 2.5).dtype is real
        assert op(2.5, x).dtype is real
    assert (x + True).dtype is x.dtype
    assert (x / 2).dtype is real


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
                                operator.mod, operator.pow, operator.lt, operator.ge, operator.eq, operator.ne])  # fmt: skip
def test_operators_with_scalars_and_arrays(op: Any) -> None:
    x = np.array([1.5, 2.0, 3.25], np.float32)
    t = st.asarray(x)
    for other in (2.0, 3, 0.3, np.float32(2.5), np.array([1.0, 2.0, 4.0], np.float32)):
        close(op(t, other), op(x, other))
        close(op(other, t), op(other, x))


def test_operators_reject_strangers() -> None:
    with pytest.raises(TypeError):
        st.ones(2) + "x"
    with pytest.raises(TypeError):
        object() * st.ones(2)
    assert (st.ones(2) == "x") is False


def test_in_place_operators_install_a_new_value() -> None:
    x = st.asarray(np.array([4.0, 9.0], np.float32))
    before, same = x + 0, x
    x += 1
    x *= 2.0
    x -= 4
    x /= 2
    x **= 2
    x //= 3
    x %= 4
    assert x is same
    close(x, ((((np.array([4.0, 9.0], np.float32) + 1) * 2 - 4) / 2) ** 2) // 3 % 4)
    close(before, np.array([4.0, 9.0], np.float32))
    i = st.asarray([6, 3])
    i &= 2
    i |= 1
    i ^= 4
    i <<= 2
    i >>= 1
    assert i.tolist() == [((((v & 2) | 1) ^ 4) << 2) >> 1 for v in (6, 3)]


def test_in_place_keeps_shape_and_dtype() -> None:
    x = st.ones(2)
    with pytest.raises(ShapeError, match="in place"):
        x += st.ones(3, 2)
    i = st.asarray([1, 2])
    with pytest.raises(DTypeError):
        i /= 2
    i += np.int8(1)
    assert i.dtype is st.int64


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_activations(approximate: str) -> None:
    x = sample((50,), "float32", 3, -6, 6)
    t, r = st.asarray(x), torch.from_numpy(x)
    close(st.gelu(t, approximate=approximate), torch.nn.functional.gelu(r, approximate=approximate).numpy())
    close(st.relu(t), torch.relu(r).numpy())
    close(st.silu(t), torch.nn.functional.silu(r).numpy())
    close(st.softplus(t), torch.nn.functional.softplus(r).numpy())
    close(st.sigmoid(t), torch.sigmoid(r).numpy())


def test_sigmoid_and_softplus_do_not_overflow() -> None:
    x = st.asarray([-1000.0, 1000.0])
    assert st.sigmoid(x).tolist() == pytest.approx([0.0, 1.0], abs=1e-30)
    assert st.softplus(x).tolist() == [0.0, 1000.0]
    assert st.silu(x).tolist() == pytest.approx([0.0, 1000.0], abs=1e-30)


def test_clip() -> None:
    x = sample((20,), "float32", 4)
    t = st.asarray(x)
    close(st.clip(t, -1, 1), np.clip(x, -1, 1))
    close(st.clip(t, min=0.5), np.clip(x, 0.5, None))
    close(t.clip(max=st.asarray(np.float32(0.5))), np.clip(x, None, 0.5))
    close(t.clamp(-1, 1), np.clip(x, -1, 1))
    with pytest.raises(ArgumentError):
        st.clip(t, float("nan"), 1)


def test_where_broadcasts_and_promotes() -> None:
    c = sample((3, 1), "bool", 5)
    x, y = sample((1, 4), "int32", 6), sample((), "float32", 7)
    close(st.where(st.asarray(c), st.asarray(x), st.asarray(y)), np.where(c, x, y).astype(np.float32))
    close(
        st.where(st.asarray(c), 1.0, st.asarray(x.astype(np.float32))), np.where(c, np.float32(1), x.astype(np.float32))
    )
    assert [i.tolist() for i in st.where(st.asarray([0, 1, 2]))] == [[1, 2]]


@pytest.mark.parametrize("target", [*FLOATS, *INTS, "bool"])
@pytest.mark.parametrize("source", [*FLOATS, *INTS, "bool"])
def test_cast(source: str, target: str) -> None:
    x = sample((6,), source, 8, 0, 5)
    got = st.asarray(x).to(target)
    assert got.dtype.name == target
    close(got, x.astype(numpy_dtype(target)))
    assert st.astype(st.asarray(x), st.dtypes.BY_NAME[target]).dtype.name == target


def test_scalar_that_does_not_fit_raises() -> None:
    with pytest.raises(DTypeError, match="uint8"):
        st.asarray(np.array([1], np.uint8)) + 300
    with pytest.raises(DTypeError):
        st.asarray(np.array([1], np.uint8)) + -1


@pytest.mark.parametrize(("call", "error"), [
    (lambda: st.ones(2) + st.ones(3), ShapeError), (lambda: st.ones(2) & 1, DTypeError), (lambda: ~st.ones(2), DTypeError),
    (lambda: -st.asarray([True]), DTypeError), (lambda: st.asarray([True]) - st.asarray([True]), DTypeError),
    (lambda: st.gelu(st.ones(2), approximate="x"), ArgumentError), (lambda: st.ones(2) << 1, DTypeError),
])  # fmt: skip
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^\[.+\] expected .+ got "):
        call()


def test_comparisons_with_numbers_of_a_higher_kind() -> None:
    x = st.asarray([1, 2, 3])
    assert (x > 1.5).tolist() == [False, True, True]
    assert (1.5 < x).tolist() == [False, True, True]
    assert (st.asarray(np.array([1, 200], np.uint8)) < 300).tolist() == [True, True]
    assert (st.asarray(np.array([1, 200], np.uint8)) >= -1).tolist() == [True, True]


def test_torch_spellings() -> None:
    a, b = st.ones(2), st.ones(2) * 2
    assert st.add(input=a, other=b).tolist() == [3.0, 3.0]
    assert st.mul(a, b).tolist() == st.multiply(a, b).tolist()
    assert st.arctan(a).tolist() == st.atan(a).tolist()
    assert a.add(b).tolist() == a.add_(b).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "silu", "gelu", "softplus"])
def test_activations_far_out_and_in_sixteen_bits(name: str, dtype: str) -> None:
    """One rounding of the exact value in 16 bits, and limits at both ends that are those of the function."""
    kind = st.dtypes.BY_NAME[dtype].numpy
    far = 6e4 if dtype == "float16" else 3e38
    x = np.array([-far, -700.0, -100.0, -3.0, -2.5, -1.0, 0.0, 0.5, 2.5, 40.0, far]).astype(kind)
    wide = x.astype(np.float64)
    want = {
        "sigmoid": scipy.special.expit, "silu": lambda v: v * scipy.special.expit(v),
        "gelu": lambda v: v * scipy.special.ndtr(v), "softplus": lambda v: np.logaddexp(v, 0.0),
    }[name](wide)  # fmt: skip
    got = getattr(st, name)(st.asarray(x)).numpy()
    assert got.dtype == kind
    bound = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2e-4, "float64": 1e-11}[dtype]
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=bound, atol=1e-37 if dtype != "float16" else 1e-7)


def test_sigmoid_at_its_limits_and_its_slope() -> None:
    x = st.tensor([-np.inf, -1000.0, 0.0, 1000.0, np.inf], requires_grad=True)
    assert st.sigmoid(x).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    st.sigmoid(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.25, 0.0, 0.0]
    whole = st.sigmoid(st.tensor([0, 1], dtype=st.int16))
    close(whole, scipy.special.expit(np.array([0, 1], np.float32)))
