"""float64 on WebGPU adapters that have it: accuracy over wide ranges, special values, remainders and conversions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.backends import wgpu
from spiraltorch.dtypes import float64
from spiraltorch.runtime import device as devices

HAVING = bool(wgpu.devices()) and float64 in devices.get("wgpu:0").target.dtypes
pytestmark = pytest.mark.skipif(not HAVING, reason=f"wgpu: {wgpu.reason() or 'the adapter has no float64'}")

N = 400
SPECIAL = np.array([
    0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1e300, -1e300, 1e-300, 5e-324,
    2.0**53, 1 - 2.0**53, 2.5,
])  # fmt: skip
EXACT: dict[str, Callable[..., Any]] = {
    "exp2": lambda x: mpmath.mpf(2) ** x, "log2": lambda x: mpmath.log(x) / mpmath.log(2),
}  # fmt: skip
NUMPY = {f"a{n}": f"arc{n}" for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}

# function, range, greatest error in ulp
TABLE = [
    ("exp", -708.0, 709.0, 2.0), ("exp", -745.0, -708.0, 1.5), ("exp", -1.0, 1.0, 2.0), ("exp2", -1074.0, 1023.9, 2.0),
    ("expm1", -50.0, 709.0, 2.0), ("expm1", -0.5, 0.5, 2.0), ("expm1", 1e-30, 1.0, 2.0), ("log", 5e-324, 1.7e308, 1.0),
    ("log", 0.5, 2.0, 1.0), ("log2", 5e-324, 1.7e308, 1.5), ("log2", 0.5, 2.0, 1.5), ("log10", 1e-308, 1.7e308, 1.5),
    ("log10", 0.5, 2.0, 1.5), ("log1p", -0.99, 1.0, 2.0), ("log1p", 1e-30, 1.7e308, 2.0), ("sqrt", 1e-308, 1e308, 0.51),
    ("sinh", -709.0, 710.0, 2.5), ("sinh", -1.1, 1.1, 2.5), ("cosh", -709.0, 710.0, 2.5), ("tanh", -25.0, 25.0, 3.0),
    ("tanh", 1e-30, 1.0, 3.0), ("erf", -6.5, 6.5, 2.5), ("erf", -1.5, 1.5, 2.5), ("sin", -10.0, 10.0, 2.0),
    ("sin", -1e6, 1e6, 2.0), ("sin", 1e6, 1.7e308, 3.0), ("cos", -10.0, 10.0, 2.0), ("cos", -1e6, 1e6, 2.0),
    ("cos", 1e6, 1.7e308, 3.0), ("tan", -10.0, 10.0, 4.0), ("tan", -1e6, 1e6, 4.0), ("tan", 1e6, 1.7e308, 4.0),
    ("atan", -5.0, 5.0, 2.0), ("atan", 1e-30, 1e300, 2.0), ("asin", -1.0, 1.0, 3.0), ("asin", 1e-30, 1.0, 3.0),
    ("acos", -1.0, 1.0, 3.0), ("asinh", -10.0, 10.0, 2.5), ("asinh", 1e-30, 1e308, 2.5), ("acosh", 1.0, 20.0, 2.5),
    ("acosh", 20.0, 1e308, 2.5), ("atanh", -0.9999, 0.9999, 2.5),
]  # fmt: skip


def on_wgpu(array: Any) -> st.Tensor:
    return st.tensor(array, device="wgpu:0")


def points(low: float, high: float) -> np.ndarray[Any, Any]:
    """Evenly in value, or in the logarithm where the range is wide and of one sign."""
    rng = np.random.default_rng(0)
    if low > 0 and high / low > 1e3:
        return np.exp2(rng.uniform(math.log2(low), math.log2(high), N))
    return rng.uniform(low, high, N)


def error(got: np.ndarray[Any, Any], exact: list[Any]) -> float:
    """The greatest error in units in the last place of the exact value."""
    pairs = zip(got, exact, strict=True)
    return max(float(abs(mpmath.mpf(float(g)) - w) / float(np.spacing(abs(float(w))))) for g, w in pairs)


def precisely(f: Callable[..., Any], *args: np.ndarray[Any, Any]) -> list[Any]:
    with mpmath.workprec(1400):  # a sine of 1.7e308 takes that many bits
        return [+f(*[mpmath.mpf(float(v)) for v in row]) for row in zip(*args, strict=True)]


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r[0]}[{r[1]:g},{r[2]:g}]")
def test_accuracy(row: tuple[str, float, float, float]) -> None:
    name, low, high, most = row
    x = points(low, high)
    got = getattr(st, name)(on_wgpu(x)).numpy()
    with mpmath.workprec(200):
        assert error(got, precisely(EXACT.get(name, getattr(mpmath, name, None)), x)) <= most


def test_a_sine_next_to_a_multiple_of_pi() -> None:
    """The float64 that lies nearest to one: all but the last bits of the reduced argument cancel."""
    x = np.array([6381956970095103 * 2.0**797, math.pi, 22.0, 2.0**1023, 1e6, np.nextafter(1e6, 0)])
    for name in ("sin", "cos", "tan"):
        got = getattr(st, name)(on_wgpu(x)).numpy()
        assert error(got, precisely(getattr(mpmath, name), x)) <= 4


def test_powers() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(0.01, 4, N), np.exp2(rng.uniform(-1000, 1000, N)), 1 + rng.uniform(-0.05, 0.05, N)])
    y = rng.uniform(-1020, 1020, 3 * N) / np.log2(x)
    assert error((on_wgpu(x) ** on_wgpu(y)).numpy(), precisely(mpmath.power, x, y)) <= 12
    x, y = rng.uniform(-4, 4, N), rng.integers(-20, 20, N).astype(np.float64)
    assert error((on_wgpu(x) ** on_wgpu(y)).numpy(), precisely(mpmath.power, x, y)) <= 3


def test_angles() -> None:
    rng = np.random.default_rng(2)
    y, x = rng.choice([-1, 1], (2, N)) * 10.0 ** rng.uniform(-10, 10, (2, N))
    assert error(st.atan2(on_wgpu(y), on_wgpu(x)).numpy(), precisely(mpmath.atan2, y, x)) <= 2.5


def agree(have: np.ndarray[Any, Any], want: np.ndarray[Any, Any]) -> None:
    """Zeros with their signs, infinities and NaN are equal, other values within 4 units of the last place."""
    with np.errstate(all="ignore"):
        near = np.abs(have - want) <= 4 * np.spacing(np.abs(want))
        same = (have == want) & (np.signbit(have) == np.signbit(want)) | np.isnan(have) & np.isnan(want)
    wrong = ~(same | near & (want != 0))
    assert not wrong.any(), f"{have[wrong][:4]} instead of {want[wrong][:4]}"


@pytest.mark.parametrize("name", sorted({row[0] for row in TABLE}) + ["floor", "ceil", "trunc"])
def test_special_values(name: str) -> None:
    exact = np.vectorize(math.erf) if name == "erf" else getattr(np, NUMPY.get(name, name))
    with np.errstate(all="ignore"):
        want = exact(SPECIAL)
    agree(getattr(st, name)(on_wgpu(SPECIAL)).numpy(), want)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round"])
def test_fractions_of_large_values(name: str) -> None:
    """Drivers that round through 32-bit integers leave the fractions of values above 2**31."""
    x = np.concatenate([[2.0**52 - 0.5, 2.0**51 - 0.5, 2.0**51 + 0.5, 2.0**50 + 0.25, 2.0**50 + 0.75],
                        2.0 ** np.arange(53) + 0.5, 2.0 ** np.arange(53) - 0.5, 2.0 ** np.arange(51) + 0.25])  # fmt: skip
    x = np.concatenate([x, -x])
    np.testing.assert_array_equal(getattr(st, name)(on_wgpu(x)).numpy(), getattr(np, name)(x))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(lambda a, b: a**b, np.power), (st.atan2, np.arctan2), (lambda a, b: a % b, np.remainder),
     (lambda a, b: a // b, np.floor_divide), (st.maximum, np.maximum), (st.minimum, np.minimum)],
    ids=["pow", "atan2", "remainder", "floor_divide", "maximum", "minimum"],
)  # fmt: skip
def test_special_pairs(ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    x, y = (a.reshape(-1) for a in np.meshgrid(SPECIAL, SPECIAL))
    if theirs in (np.maximum, np.minimum):  # of zeros of both signs either may be given
        x, y = x[(x != 0) | (y != 0)], y[(x != 0) | (y != 0)]
    with np.errstate(all="ignore"):
        want = theirs(x, y)
    agree(ours(on_wgpu(x), on_wgpu(y)).numpy(), want)


def test_remainders_are_exact() -> None:
    bits = np.random.default_rng(3).integers(0, 1 << 64, (2, 3000), dtype=np.uint64)
    x, y = bits.view(np.float64)
    with np.errstate(all="ignore"):
        want = np.remainder(x, y)
    np.testing.assert_array_equal((on_wgpu(x) % on_wgpu(y)).numpy(), want)


@pytest.mark.parametrize("name", ["int32", "int64", "uint32", "uint64", "uint8", "float16", "float32", "bool"])
def test_conversions_are_those_of_the_cpu(name: str) -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.standard_normal(2000) * 10.0 ** rng.integers(-3, 25, 2000), SPECIAL])
    dtype = getattr(st, name)
    np.testing.assert_array_equal(on_wgpu(x).to(dtype).numpy(), st.tensor(x).to(dtype).numpy())
    back = st.tensor(x).to(dtype).numpy()
    np.testing.assert_array_equal(on_wgpu(back).to(st.float64).numpy(), back.astype(np.float64))


def test_a_number_that_varies_and_a_shared_sum() -> None:
    """float64 in the uniform of a kernel's scalars, and in the memory that the items of a group share."""
    x = np.random.default_rng(5).standard_normal((3, 5000))
    total = st.compile(lambda t, k: (t * k).sum(-1))
    for k in (0.1, -7e300, 1e-310):
        np.testing.assert_allclose(total(on_wgpu(x), k).numpy(), (x * k).sum(-1), rtol=1e-12)
