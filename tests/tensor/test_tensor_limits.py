"""Values and gradients where formulas overflow, underflow or divide by zero, against PyTorch and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.runtime import device
from wgpu_devices import without_features

INF = math.inf


def both(fn: Callable[..., Any], theirs: Callable[..., Any], *values: Any) -> tuple[Any, list[Any], Any, list[Any]]:
    """Results and gradients of a function here and in PyTorch, of float32 arguments."""
    mine = [st.tensor(np.array(v, np.float32)).requires_grad_() for v in values]
    other = [torch.tensor(np.array(v, np.float32), requires_grad=True) for v in values]
    a, b = fn(*mine), theirs(*other)
    a.sum().backward()
    b.sum().backward()
    return a.detach().numpy(), [m.grad.numpy() for m in mine], b.detach().numpy(), [o.grad.numpy() for o in other]


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 2, 3, 4, INF])
@pytest.mark.parametrize("row", [(3.0, 4.0), (0.0, 0.0), (-2.0, 0.0), (-3.0, 3.0), (5.0, 5.0, 1.0)])
def test_norms(order: float, row: tuple[float, ...]) -> None:
    got, (grad,), want, (expected,) = both(
        lambda x: st.linalg.vector_norm(x, ord=order), lambda x: torch.linalg.vector_norm(x, ord=order), row
    )
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(grad, expected, rtol=1e-5)


@pytest.mark.parametrize("order", [-1, 0.5, 1, 1.5, 2, 3, 4, INF, -INF])
@pytest.mark.parametrize("row", [(3e37, 1e37), (1e30, -2e30), (1e-30, 2e-30), (1e-37, 3e-38)])
def test_norms_neither_overflow_nor_underflow(order: float, row: tuple[float, ...]) -> None:
    """The reference is the norm in float64, where the powers have room."""
    x = st.tensor(row).requires_grad_()
    norm = st.linalg.vector_norm(x, ord=order)
    norm.backward()
    wide = torch.tensor(np.array(row, np.float32).astype(np.float64), requires_grad=True)
    want = torch.linalg.vector_norm(wide, ord=order)
    want.backward()
    np.testing.assert_allclose(norm.item(), want.item(), rtol=2e-6)
    np.testing.assert_allclose(x.grad.numpy(), wide.grad.numpy(), rtol=2e-6)


def test_the_scale_of_a_norm_rounds_nothing() -> None:
    rows = np.random.RandomState(0).randint(-99, 99, (64, 3)).astype(np.float32)
    exact = np.sqrt((rows.astype(np.float64) ** 2).sum(1)).astype(np.float32)
    np.testing.assert_array_equal(st.linalg.vector_norm(st.tensor(rows), axis=1).numpy(), exact)


def test_norms_of_special_values() -> None:
    assert st.linalg.vector_norm(st.tensor([INF, 1.0])).item() == INF
    assert math.isnan(st.linalg.vector_norm(st.tensor([math.nan, 1.0])).item())
    assert st.linalg.vector_norm(st.zeros(0)).item() == 0
    assert st.linalg.vector_norm(st.zeros(3, 0), axis=1).tolist() == [0, 0, 0]
    assert st.linalg.vector_norm(st.tensor(-2.0)).item() == 2
    assert st.linalg.vector_norm(st.tensor(np.array([100, 100], np.int8))).item() == pytest.approx(141.42136)
    assert st.linalg.matrix_norm(st.tensor(np.array([[-128]], np.int8)), ord=1).item() == 128
    assert st.linalg.vector_norm(st.full((4,), 300.0, dtype=st.float16)).item() == 600
    assert st.linalg.vector_norm(st.tensor([1e200, 1e200], dtype=st.float64)).item() == pytest.approx(1.4142135623e200)
    with pytest.raises(st.errors.ArgumentError, match=r"ord as a number, got 'fro'.*matrix_norm"):
        st.linalg.vector_norm(st.ones(2), ord="fro")


def test_total_norm_of_gradients() -> None:
    parts = [st.tensor([3e30, 0.0]), st.tensor([[4e30]])]
    assert st.nn.utils.get_total_norm(parts).item() == pytest.approx(5e30)
    assert st.nn.utils.get_total_norm([st.zeros(0), st.tensor([-2.0])], math.inf).item() == 2


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -1.0, INF, -INF, 2.0, 0.5])
@pytest.mark.parametrize("y", [0.0, -0.0, 1.0, -1.0, INF, -INF, 2.0, 0.5])
def test_atan2_and_hypot(x: float, y: float) -> None:
    got, grads, want, expected = both(st.atan2, torch.atan2, x, y)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(grads, expected, rtol=1e-6)
    got, grads, want, expected = both(st.hypot, torch.hypot, x, y)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(grads, [0, 0] if x == y == 0 else expected, rtol=1e-6)  # PyTorch's is NaN at the origin


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_atan2_gradient_far_from_one(scale: float) -> None:
    x, y = st.tensor(3 * scale).requires_grad_(), st.tensor(4 * scale).requires_grad_()
    st.atan2(x, y).backward()
    np.testing.assert_allclose([x.grad.item() * scale, y.grad.item() * scale], [0.16, -0.12], rtol=1e-5)
    second = st.grad(st.grad(lambda v: st.atan2(v, v * 0 + 1.0)))(st.tensor(1.0))
    assert second.item() == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        ("expm1", -20.0, math.exp(-20.0)),
        ("expm1", -80.0, math.exp(-80.0)),
        ("acosh", 1e30, 1e-30),
        ("acosh", 1.0000001, 1 / math.sqrt(np.float64(np.float32(1.0000001)) ** 2 - 1)),
        ("asin", 0.99999994, 1 / math.sqrt(1 - np.float64(np.float32(0.99999994)) ** 2)),
        ("acos", -0.99999994, -1 / math.sqrt(1 - np.float64(np.float32(0.99999994)) ** 2)),
        ("atanh", 0.99999994, 1 / (1 - np.float64(np.float32(0.99999994)) ** 2)),
        ("log1p", 1e-8, 1.0),
        ("sqrt", 0.0, INF),
        ("rsqrt", 4.0, -1 / 16),
    ],
)
def test_derivatives_do_not_cancel(name: str, x: float, slope: float) -> None:
    leaf = st.tensor(x).requires_grad_()
    getattr(st, name)(leaf).backward()
    np.testing.assert_allclose(leaf.grad.item(), slope, rtol=1e-6)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -1, -2, 1.5])
@pytest.mark.parametrize("x", [0.0, 1.0, -1.0, INF, 1e30, 1e-30])
def test_powers(exponent: float, x: float) -> None:
    got, grads, want, expected = both(lambda v: v**exponent, lambda v: v**exponent, x)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(grads, expected, rtol=1e-6)
    got, grads, want, expected = both(lambda v: 2**v, lambda v: 2**v, x)
    np.testing.assert_allclose(grads, expected, rtol=1e-6)


@pytest.mark.parametrize("row", [(-INF, -INF), (-INF, 0.0), (INF, 0.0), (1e38, -1e38), (math.nan, 0.0), ()])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_softmax_of_infinities(name: str, row: tuple[float, ...]) -> None:
    got, grads, want, expected = both(
        lambda x: getattr(st, name)(x, axis=-1), lambda x: getattr(torch, name)(x, dim=-1), row
    )
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(grads, expected, rtol=1e-6)


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_clip_at_its_bounds(x: float) -> None:
    for low, high in ((0.0, 1.0), (0.0, None), (None, 1.0)):
        got, grads, want, expected = both(
            lambda v, a=low, b=high: st.clip(v, a, b), lambda v, a=low, b=high: torch.clamp(v, a, b), x
        )
        assert (got, grads) == (want, expected)


# ------------------------------------------------------------------ small types


@pytest.mark.parametrize("shape", [(2, 256, 2), (70, 256, 65), (1, 512, 3), (3, 256, 1)])
def test_products_of_booleans_are_or(shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    random = np.random.RandomState(0)
    for x, y in (
        (np.ones((rows, inner), bool), np.ones((inner, columns), bool)),
        (random.rand(rows, inner) < 0.03, random.rand(inner, columns) < 0.03),
    ):
        want = x @ y
        a, b = st.tensor(x), st.tensor(y)
        for got in (a @ b, st.einsum("ij,jk->ik", a, b), st.tensordot(a, b, 1), st.matmul(a[None], b[None])[0]):
            assert got.dtype == st.bool
            np.testing.assert_array_equal(got.numpy(), want)
        np.testing.assert_array_equal(st.einsum("ij->i", a).numpy(), x.any(1))
        np.testing.assert_array_equal(st.vecdot(a, a).numpy(), x.any(1))


def test_integers_are_summed_in_64_bits() -> None:
    for value in (np.int8(-128), np.int8(100), np.uint16(60000), np.uint8(255)):
        x = np.full((300, 300), value)
        for name in ("sum", "trace", "count_nonzero"):
            assert getattr(st, name)(st.tensor(x)).item() == getattr(np, name)(x)
        for name in ("mean", "var", "std"):
            np.testing.assert_allclose(getattr(st, name)(st.tensor(x)).item(), getattr(np, name)(x), rtol=1e-6)
        np.testing.assert_array_equal(st.cumsum(st.tensor(x[0]), axis=0).numpy(), np.cumsum(x[0]))


def test_float16_accumulates_in_float32() -> None:
    x = st.full((2, 32768), 300.0, dtype=st.float16)
    results = {
        "mean": st.mean(x), "nanmean": st.nanmean(x), "avg_pool1d": st.avg_pool1d(x, 32768),
        "adaptive": st.adaptive_avg_pool1d(x, 3), "median": st.median(x), "quantile": st.quantile(x, 0.3),
    }  # fmt: skip
    for name, value in results.items():
        assert value.dtype == st.float16
        assert set(np.ravel(value.numpy()).tolist()) == {300.0}, name
    for dtype in (st.float16, st.bfloat16):
        at, many = st.zeros(5000, dtype=st.int64), st.ones(5000, dtype=dtype)
        table = st.zeros(2, 1, dtype=dtype).requires_grad_()
        st.nn.functional.embedding(at, table).sum().backward()
        assert table.grad is not None
        want = float(np.asarray(5000).astype(dtype.numpy))
        sums = (
            st.scatter_add(st.zeros(2, dtype=dtype), 0, at, many),
            st.index_add(st.zeros(2, dtype=dtype), 0, at, many),
            table.grad,
        )
        assert all(np.ravel(s.numpy()).tolist() == [want, 0.0] for s in sums)
    ones = st.ones(1, 1, 64, 64, 64, dtype=st.float16) * 100
    assert st.avg_pool3d(ones, 64).item() == st.adaptive_avg_pool3d(ones, 1).item() == 100
    assert st.avg_pool2d(ones[0], 64).numpy().ravel().tolist() == [100.0] * 64


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool"])
def test_negative_powers_of_integers(dtype: str) -> None:
    x = st.tensor(np.arange(3).astype(dtype))
    for raise_power in (
        lambda: x**-1, lambda: x.pow(-2), lambda: st.pow(x, -1), lambda: x ** np.int64(-1), lambda: x ** np.array([1, -1, 2]),
    ):  # fmt: skip
        with pytest.raises(st.errors.ArgumentError, match=r"\[pow\] .* got -\d; cast the base"):
            raise_power()
    assert ((x + 1).to(st.float32) ** -1).tolist() == pytest.approx((x.numpy() + 1.0) ** -1)
    if dtype != "bool":
        assert (x**2).tolist() == (x.numpy() ** 2).tolist()


# ------------------------------------------------------------------ max pools


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_max_pools_never_choose_padding(rank: int, ceil_mode: bool) -> None:
    random = np.random.RandomState(rank)
    for kernel, stride in ((2, 1), (3, 2), (3, 1)):
        x = random.choice([-np.inf, -np.inf, -3.0, 2.0], size=(2, 2, *[6] * rank)).astype(np.float32)
        x[0, 0] = -np.inf
        mine, theirs = st.tensor(x).requires_grad_(), torch.tensor(x, requires_grad=True)
        pool = getattr(st, f"max_pool{rank}d")
        values, indices = pool(mine, kernel, stride, 1, 1, ceil_mode, True)
        want, positions = getattr(torch.nn.functional, f"max_pool{rank}d")(
            theirs, kernel, stride, 1, 1, ceil_mode, True
        )
        np.testing.assert_array_equal(values.detach().numpy(), want.detach().numpy())
        np.testing.assert_array_equal(indices.numpy(), positions.numpy())
        weight = random.rand(*want.shape).astype(np.float32)
        pool(mine, kernel, stride, 1, 1, ceil_mode).backward(st.tensor(weight))
        want.backward(torch.tensor(weight))
        np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)


def test_max_pools_of_the_least_integer() -> None:
    values, indices = st.max_pool1d(st.tensor(np.full((1, 1, 4), -128, np.int8)), 3, 1, 1, return_indices=True)
    assert values.tolist() == [[[-128] * 4]]
    assert indices.tolist() == [[[0, 0, 1, 2]]]


DEVICES = [n for b in device.backends().values() for n in b.devices()[:1]] + without_features()
DIVISORS: dict[str, Any] = {
    "0": 0, "0.0": 0.0, "-0.0": -0.0, "a scalar of NumPy": np.float32(0), "an array": np.zeros(6, np.float32),
    "a tensor": lambda x: x * 0, "zeros": lambda x: st.zeros(6, device=x.device),
}  # fmt: skip


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("name", DEVICES)
def test_division_by_zero(name: str, divisor: str) -> None:
    """Constants too: a shader may not divide by one, and software drivers then write nothing at all."""
    a = np.array([1.0, -2.0, 0.0, -0.0, np.inf, np.nan], np.float32)
    for compiled in (False, True):
        x = st.asarray(a, device=name)
        zero = DIVISORS[divisor](x) if callable(DIVISORS[divisor]) else DIVISORS[divisor]
        plain = zero.numpy() if isinstance(zero, st.Tensor) else np.float32(zero)
        calls = {
            "/": (lambda x, zero=zero: x / zero, a / plain), "//": (lambda x, zero=zero: x // zero, a // plain),
            "%": (lambda x, zero=zero: x % zero, np.mod(a, plain)), "fmod": (lambda x, zero=zero: x.fmod(zero), np.fmod(a, plain)),
            "fused": (lambda x, zero=zero: (x + 1) / zero - 1, (a + 1) / plain - 1),
            "reciprocal": (lambda x: (x * 0).reciprocal(), 1 / (a * 0)), "3 / 0": (lambda x: 3 / (x * 0), 3 / (a * 0)),
            "float16": (lambda x, zero=zero: (x.half() / zero).float(), a / plain),
        }  # fmt: skip
        for op, (f, want) in calls.items():
            got = (st.compile(f) if compiled else f)(x)
            np.testing.assert_array_equal(got.numpy(), want, err_msg=op)
