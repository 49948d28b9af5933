"""Long sums against float64 on every device, with bounds that an error which grows like the length breaks.

The error of a sum is relative to the sum of magnitudes. 32-bit terms that are added one after the other are off by 1e-3 at
200,000 equal terms; blocks of blocks stay below `BOUND` at any length.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.runtime import device

DEVICES = [names[0] for _, backend in sorted(device.backends().items()) if (names := backend.devices())]
BOUND = {"float32": 4e-6, "float64": 8e-15}
F = st.nn.functional


def constant(rng: np.random.Generator, n: int) -> Any:
    return np.full(n, rng.uniform(0.1, 1))


def alternating(rng: np.random.Generator, n: int) -> Any:
    return rng.uniform(1, 2, n) * np.where(np.arange(n) % 2, -1, 1)


def large_first(rng: np.random.Generator, n: int) -> Any:
    return np.concatenate([[1e4], rng.uniform(0, 1, n - 1)])


def increasing(rng: np.random.Generator, n: int) -> Any:
    return np.sort(rng.lognormal(0, 3, n))


def decreasing(rng: np.random.Generator, n: int) -> Any:
    return increasing(rng, n)[::-1]


INPUTS: list[Callable[[np.random.Generator, int], Any]] = [constant, alternating, large_first, increasing, decreasing]


def sampled(seed: int, make: Callable[[np.random.Generator, int], Any], dtype: str, long: int) -> tuple[Any, int]:
    """An array of random rank with one long axis along which `make` varies, and that axis."""
    choose, rng = random.Random(seed), np.random.default_rng(seed)
    shape = [choose.choice((1, 2, 3, 8, 17)) for _ in range(choose.randint(0, 2))]
    axis = choose.randint(0, len(shape))
    n = long // math.prod(shape) + choose.randint(0, 99)
    column = make(rng, n).reshape([n if d == axis else 1 for d in range(len(shape) + 1)])
    shape.insert(axis, n)
    return np.broadcast_to(column, shape).astype(dtype), axis


def assert_near(got: Any, want: Any, magnitude: Any, bound: float) -> None:
    error = np.abs(np.asarray(got, np.float64) - want) / magnitude
    assert error.max() < bound, error.max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", INPUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", DEVICES)
def test_sums_and_means(name: str, make: Any, dtype: str) -> None:
    for seed in range(3):
        x, axis = sampled(seed, make, dtype, 100_000)
        wide, choose = x.astype(np.float64), random.Random(seed)
        axes = tuple(sorted({axis, *choose.sample(range(x.ndim), choose.randint(0, x.ndim))}))
        keep, t = choose.random() < 0.5, st.asarray(x, device=name)
        exact = np.apply_along_axis(math.fsum, axis, wide)
        exact = exact.sum(tuple([a - (a > axis) for a in axes if a != axis]))
        magnitude = np.abs(wide).sum(axes)
        total = st.sum(t, axis=axes, keepdims=keep)
        assert total.shape == x.sum(axes, keepdims=keep).shape
        assert_near(total.numpy().reshape(exact.shape), exact, magnitude, BOUND[dtype])
        count = x.size / exact.size
        assert_near(st.mean(t, axis=axes).numpy(), exact / count, magnitude / count, BOUND[dtype])
        assert_near(
            st.sum(t * 2 + t, axis=axes).numpy(), 3 * exact, 3 * magnitude, BOUND[dtype]
        )  # fused with its operand
        squares = (wide * wide).sum(axes)
        assert_near(st.linalg.vector_norm(t, axis=axes).numpy() ** 2.0, squares, squares, 2 * BOUND[dtype])


@pytest.mark.parametrize("make", INPUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", DEVICES)
def test_scans(name: str, make: Any) -> None:
    for seed in range(3):
        x, axis = sampled(seed, make, "float32", 100_000)
        wide = x.astype(np.float64)
        got = st.cumsum(st.asarray(x, device=name), axis=axis).numpy()
        assert_near(got, np.cumsum(wide, axis), np.cumsum(np.abs(wide), axis), BOUND["float32"])
        back = st.asarray(x, device=name).requires_grad_()
        back.cumsum(axis).sum().backward()
        left = np.flip(np.cumsum(np.ones_like(wide), axis), axis)
        np.testing.assert_array_equal(back.grad.numpy(), left)


@pytest.mark.parametrize("terms", [300, 3_000, 70_001])
@pytest.mark.parametrize("name", DEVICES)
def test_products_of_matrices(name: str, terms: int) -> None:
    rng = np.random.default_rng(terms)
    for m, n in ((1, 9), (7, 1), (5, 6), (9, 17)):
        row, column = (rng.uniform(0.1, 1) for _ in "ab")
        x, y = np.full((m, terms), row, np.float32), np.full((terms, n), column, np.float32)
        want = float(x[0, 0]) * float(y[0, 0]) * terms
        a, b = st.asarray(x, device=name), st.asarray(y, device=name)
        transposed = st.asarray(np.ascontiguousarray(y.T), device=name).T
        for product in (a @ b, a @ transposed, st.asarray(np.ascontiguousarray(x.T), device=name).T @ b):
            assert_near(product.numpy(), want, want, 2 * BOUND["float32"])


@pytest.mark.parametrize("name", DEVICES)
def test_weight_gradient_of_a_convolution(name: str) -> None:
    """It sums over images and pixels: 65,536 terms, and 82,944 of which no power of two divides many."""
    for images, side in ((16, 64), (9, 96)):
        w = st.ones(2, 1, 3, 3, device=name).requires_grad_()
        F.conv2d(st.full((images, 1, side, side), 0.1, device=name), w).sum().backward()
        want = images * (side - 2) ** 2 * float(np.float32(0.1))
        assert_near(w.grad.numpy(), want, want, 2 * BOUND["float32"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", DEVICES)
def test_small_floats_are_summed_in_float32(name: str, dtype: str) -> None:
    of = st.dtypes.BY_NAME[dtype]
    x = np.full((70_001, 3), 0.1).astype(of.numpy)
    value, rounding = float(x[0, 0]), 2.0 ** -(11 if dtype == "float16" else 8)
    t = st.asarray(x, device=name)
    assert_near(st.sum(t, axis=0).numpy(), 70_001 * value, 70_001 * value, rounding)
    assert_near(st.mean(t).numpy(), value, value, rounding)
    sums = value * np.arange(1, 70_002)[:, None]
    assert_near(st.cumsum(t, axis=0).numpy(), sums, sums, rounding)
    assert_near((t.T @ t).numpy(), 70_001 * value**2, 70_001 * value**2, rounding)


@pytest.mark.parametrize("value", [12345.678, 1e10, 0.1, -3e-30, 1e30])
@pytest.mark.parametrize("name", DEVICES)
def test_a_constant_row_has_no_variance(name: str, value: float) -> None:
    for n in (7, 1000, 100_003):
        x = st.full((2, n), value, device=name)
        assert not st.var(x, axis=1).numpy().any()
        assert st.std(x).item() == 0
        for normalised in (
            F.layer_norm(x, (n,)), F.group_norm(x.reshape(1, 2, n), 2), F.instance_norm(x.reshape(1, 2, n)),
            F.batch_norm(x.T, None, None, training=True),
        ):  # fmt: skip
            assert not normalised.numpy().any()
        if abs(value) < 1e18:  # the product is finite
            assert not st.cov(x).numpy().any()


@pytest.mark.parametrize("name", DEVICES)
def test_variance_far_from_zero(name: str) -> None:
    rng = np.random.default_rng(0)
    for n in (100, 30_000):
        x = (rng.normal(0, 1, (3, n)) + 1e4).astype(np.float32)
        x[0, 0] = 0  # far from the others
        wide = x.astype(np.float64)
        t, want = st.asarray(x, device=name), wide.var(1, keepdims=True)
        assert_near(st.var(t, axis=1, keepdims=True).numpy(), want, want, 4e-6)
        normalised = (wide - wide.mean(1, keepdims=True)) / np.sqrt(want)
        got = F.layer_norm(t, (n,), eps=0.0).numpy()
        np.testing.assert_allclose(got, normalised, atol=1e-3)  # half a unit in the last place of the mean
        weights = rng.uniform(1, 2, n)
        covariance = np.cov(wide, aweights=weights)
        magnitude = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
        assert_near(st.cov(t, aweights=weights.astype(np.float32)).numpy(), covariance, magnitude, 1e-4)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("n", [100, 30_000])
def test_variance_where_the_mean_cannot_be_represented(name: str, n: int) -> None:
    """At 1e6 neighbouring float32 numbers lie 0.06 apart: the square of what the mean lacks is no part of the variance."""
    x = np.float32(1e6) + np.random.default_rng(3).normal(0, 0.25, (2, n)).astype(np.float32)
    wide, t = x.astype(np.float64), st.asarray(x, device=name)
    for f in (lambda v: st.var(v, axis=1), st.compile(lambda v: st.var(v, axis=1))):
        assert_near(f(t).numpy(), wide.var(1), wide.var(1), 4e-6)
    assert_near(t.std(1).numpy(), wide.std(1, ddof=1), wide.std(1, ddof=1), 4e-6)
    assert_near(st.cov(t).numpy().diagonal(), wide.var(1, ddof=1), wide.var(1, ddof=1), 1e-5)


def test_derivatives_of_normalisations() -> None:
    """The correction of the mean has none: first and second derivatives are those of the formula."""
    x = st.asarray(np.random.default_rng(0).normal(3, 1, 6))

    def normalised(v: st.Tensor) -> st.Tensor:
        return (F.layer_norm(v, (6,)) ** 3).sum()

    def formula(v: st.Tensor) -> st.Tensor:
        centered = v - v.mean()
        return ((centered / st.sqrt((centered * centered).mean() + 1e-5)) ** 3).sum()

    def second(function: Callable[[st.Tensor], st.Tensor]) -> Any:
        return st.grad(lambda v: (st.grad(function)(v) ** 2).sum())(x).numpy()

    np.testing.assert_allclose(st.grad(normalised)(x).numpy(), st.grad(formula)(x).numpy(), rtol=1e-9)
    np.testing.assert_allclose(second(normalised), second(formula), rtol=1e-7)
    own = st.grad(lambda v: st.grad(st.var)(v).pow(2).sum())(x).numpy()
    np.testing.assert_allclose(own, st.grad(lambda v: (st.grad(lambda u: ((u - u.mean()) ** 2).mean())(v) ** 2).sum())(x).numpy(), rtol=1e-7)  # fmt: skip


@pytest.mark.parametrize("name", DEVICES)
def test_losses_and_logsumexp(name: str) -> None:
    x = st.full((300_007, 2), 0.1, device=name)
    tenth = float(np.float32(0.1))
    assert_near(F.mse_loss(x, st.zeros_like(x)).numpy(), tenth**2, tenth**2, 2 * BOUND["float32"])
    assert_near(F.l1_loss(x, st.zeros_like(x)).numpy(), tenth, tenth, BOUND["float32"])
    target = st.zeros(300_007, dtype=st.int64, device=name)
    assert_near(F.cross_entropy(x, target).numpy(), math.log(2), math.log(2), BOUND["float32"])
    assert_near(st.exp(st.logsumexp(x, axis=0)).numpy(), 300_007 * math.exp(tenth), 300_007, 2e-5)
    weights = st.softmax(x, axis=0).numpy()
    assert_near(weights, 1 / 300_007, 1 / 300_007, BOUND["float32"])


@pytest.mark.parametrize("extent", [70_001, 200_000])
@pytest.mark.parametrize("name", DEVICES)
def test_long_axes_on_every_device(name: str, extent: int) -> None:
    """Some drivers stop long loops: what is reduced or scanned is split, by any extent and for every operation."""
    x = np.random.default_rng(0).integers(-9, 9, (extent, 3))
    t = st.asarray(x, device=name)
    np.testing.assert_array_equal(st.sum(t, axis=0).numpy(), x.sum(0))
    np.testing.assert_array_equal(st.max(t, axis=0).numpy(), x.max(0))
    np.testing.assert_array_equal(st.argmin(t, axis=0).numpy(), x.argmin(0))
    np.testing.assert_array_equal(st.cumsum(t, axis=0).numpy(), np.cumsum(x, 0))
    np.testing.assert_array_equal(st.cumsum(t.T, axis=1).numpy(), np.cumsum(x.T, 1))
    values = np.random.default_rng(1).normal(size=(extent, 3)).astype(np.float32)
    v = st.asarray(values, device=name)
    np.testing.assert_array_equal(st.cummax(v, axis=0).numpy(), np.maximum.accumulate(values, 0))
    np.testing.assert_array_equal(st.cummin(v.T, axis=1).numpy(), np.minimum.accumulate(values.T, 1))
    factors = np.where(values > 0, 2, -0.5).astype(np.float32)
    factors[1::2] = -1 / factors[::2][: extent // 2]  # so that products stay powers of two
    products = st.cumprod(st.asarray(factors, device=name), axis=0).numpy()
    np.testing.assert_array_equal(products, np.cumprod(factors, 0))
    np.testing.assert_array_equal((t.T @ t).numpy(), x.T @ x)


@pytest.mark.parametrize("name", DEVICES)
def test_sums_by_index(name: str) -> None:
    """Few elements get many updates: along any axis, with one index for each update or for a row of them."""
    rng = np.random.default_rng(0)
    for n, rows, width in ((1_000, 2, 1), (50_003, 7, 3), (40_000, 100, 5)):
        index, values = rng.integers(0, rows, n), rng.uniform(0.1, 1) * np.ones((n, width), np.float32)
        want = np.ones((rows, width))
        np.add.at(want, index, values.astype(np.float64))
        i, v, base = (st.asarray(a, device=name) for a in (index, values, np.ones((rows, width), np.float32)))
        assert_near(base.index_add(0, i, v).numpy(), want, want, BOUND["float32"])
        each = i.reshape(-1, 1).expand(n, width)
        assert_near(st.scatter_add(base, 0, each, v).numpy(), want, want, BOUND["float32"])
        assert_near(st.scatter_add(base.T, 1, each.T, v.T).numpy().T, want, want, BOUND["float32"])
        weight = st.asarray(base.numpy(), device=name).requires_grad_()
        (F.embedding(i, weight) * v).sum().backward()
        assert_near(weight.grad.numpy(), want - 1, want, BOUND["float32"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", DEVICES)
def test_sums_by_index_of_small_floats(name: str, dtype: str) -> None:
    """Each has few updates, so that parts do not hide that sums wait in the dtype of the result."""
    of = st.dtypes.BY_NAME[dtype]
    index = np.arange(30_000) % 3_000
    ones = st.ones(30_000, dtype=of, device=name)
    large = st.full(
        (3_000,), 4096 if dtype == "float16" else 512, dtype=of, device=name
    )  # 1 more is not a number of it
    got = st.scatter_add(large, 0, st.asarray(index, device=name), ones).numpy().astype(np.float64)
    want = np.float64(large.numpy()[0]) + 10
    np.testing.assert_allclose(got, want, atol=2)
    assert (got > want - 10).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_composed_functions_of_16_bits_are_rounded_once(dtype: str) -> None:
    x = st.asarray(np.linspace(-6, 6, 97, dtype=np.float32)).to(dtype)
    wide = x.to(st.float64)
    for f in (
        st.rad2deg,
        st.deg2rad,
        st.sinc,
        lambda v: v.logaddexp2(v * 0),
        lambda v: v.log_softmax(0),
        lambda v: v.softmax(0),
    ):
        want = f(wide)
        assert (
            f(x).to(st.float64) - want.to(dtype).to(st.float64)
        ).abs().max().item() <= 1e-6  # of float32, near a zero


TENTH = float(np.float32(0.1))
# Long sums of 0.1: what is summed, and the exact result.
LONG: dict[str, tuple[Callable[[], st.Tensor], float]] = {
    "sum": (lambda: st.full((600_000_000,), 0.1).sum(), 6e8 * TENTH),
    "columns": (lambda: st.full((100_000_000, 2), 0.1).sum(0)[1], 1e8 * TENTH),
    "columns of eight": (lambda: st.full((2_000_000, 8), 0.1).sum(0)[7], 2e6 * TENTH),
    "mean": (lambda: st.full((600_000_000,), 0.1).mean(), TENTH),
    "rows": (lambda: st.full((2, 300_000_000), 0.1).sum(1)[1], 3e8 * TENTH),
    "norm": (lambda: st.norm(st.full((100_000_000,), 0.1)), 1e4 * TENTH),
    "scan": (lambda: st.cumsum(st.full((10_000_000,), 0.1))[-1], 1e7 * TENTH),
}


@pytest.mark.parametrize("of", LONG)
def test_very_long_sums(of: str) -> None:
    make, want = LONG[of]
    for f in (make, st.compile(make)):
        assert abs(f().item() - want) <= 2e-6 * want
