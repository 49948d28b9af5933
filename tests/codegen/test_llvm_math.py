"""Accuracy of the float32 functions over dense ranges, in units of the last place of the exact result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from codegen_harness import LEVELS, elementwise, execute, machine_like

from spiraltorch.dtypes import float32
from spiraltorch.ir.expr import Const, op

N = 1 << 15
EXACT: dict[str, Callable[..., Any]] = {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": scipy.special.erf,
}  # fmt: skip

# function, range, greatest error in ulp
TABLE = [
    ("exp", -87.0, 88.7, 1.5), ("exp", -103.9, -87.0, 1.0), ("exp2", -126.0, 127.9, 1.5), ("exp2", -149.0, -126.0, 1.0),
    ("expm1", -20.0, 88.7, 2.0), ("expm1", -0.5, 0.5, 2.0), ("expm1", -1e-4, 1e-4, 1.5),
    ("log", 1e-38, 1e38, 1.5), ("log", 0.5, 2.0, 1.5), ("log", 1e-45, 1e-38, 1.5), ("log2", 1e-38, 1e38, 1.5),
    ("log2", 0.5, 2.0, 2.0), ("log10", 1e-38, 1e38, 2.0), ("log10", 0.5, 2.0, 2.0), ("log1p", -0.99, 1.0, 2.0),
    ("log1p", -1e-3, 1e-3, 1.5), ("log1p", 1.0, 3.4028235e38, 1.5), ("tanh", -10.0, 10.0, 2.0), ("tanh", -0.7, 0.7, 2.0),
    ("erf", -4.0, 4.0, 2.5), ("erf", -1.1, 1.1, 2.5), ("sin", -4.0, 4.0, 1.5), ("sin", -3e8, 3e8, 1.5),
    ("sin", 3e8, 3e38, 1.5), ("cos", -4.0, 4.0, 1.5), ("cos", -1e6, 1e6, 1.5), ("tan", -1.6, 1.6, 3.5),
    ("tan", -1e6, 1e6, 3.5), ("sinh", -88.0, 88.0, 2.5), ("sinh", -1.1, 1.1, 2.5), ("sinh", 88.0, 89.4, 2.5),
    ("cosh", -89.4, 89.4, 2.5), ("atan", -5.0, 5.0, 2.5), ("atan", 5.0, 1e30, 1.5), ("asin", -1.0, 1.0, 2.5),
    ("acos", -1.0, 1.0, 2.5), ("asinh", -10.0, 10.0, 3.0), ("asinh", 10.0, 3e38, 2.5), ("acosh", 1.0, 20.0, 3.5),
    ("acosh", 20.0, 3e38, 2.5), ("atanh", -0.9999, 0.9999, 3.0),
]  # fmt: skip


def points(low: float, high: float) -> Any:
    """Evenly in value, or in the logarithm where the range is wide and of one sign."""
    if low > 0 and high / low > 1e3:
        return np.exp(np.linspace(np.log(low), np.log(high), N)).astype(np.float32)
    return np.linspace(low, high, N).astype(np.float32)


def vectorised(name: str, x: Any, level: str | None = None, lanes: int = 16) -> Any:
    kernel = elementwise(lambda v: op(name, v), [float32], float32, len(x), lanes)
    of = None if level is None else machine_like(level)
    return execute(kernel, {"x0": x, "y": np.zeros_like(x)}, of=of)["y"]


def error(got: Any, exact: Any) -> float:
    """The greatest error in ulp of the exact value; where that is subnormal or tiny, in the least subnormal."""
    size = np.maximum(np.abs(exact), 1.1754944e-38)
    unit = 2.0 ** (np.floor(np.log2(size)) - 23)
    return float(np.max(np.abs(got.astype(np.float64) - exact) / unit))


@pytest.mark.parametrize("level", LEVELS, ids=lambda v: v or "host")
@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r[0]}[{r[1]:g},{r[2]:g}]")
def test_accuracy(row: tuple[str, float, float, float], level: str | None) -> None:
    name, low, high, limit = row
    x = points(low, high)
    got = vectorised(name, x, level, 8 if level else 16)
    exact = EXACT.get(name, getattr(np, name, None))
    assert exact is not None
    measured = error(got, exact(x.astype(np.float64)))
    assert measured <= limit


SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-38, -1e-38, 88.8, -88.8, -104.0, 89.5, 128.0, -150.0,
     3.4e38, -3.4e38, 0.5, -0.5, 2.0, -2.0, 1e10, -1e10, 90.0, -90.0, 1e-20, -1e-20, 20.0, -20.0, 8388608.0],
    np.float32,
)  # fmt: skip


@pytest.mark.parametrize("name", sorted({row[0] for row in TABLE}))
def test_special_values(name: str) -> None:
    got = vectorised(name, SPECIAL)
    exact = EXACT.get(name, getattr(np, name, None))
    assert exact is not None
    with np.errstate(all="ignore"):
        want = exact(SPECIAL.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))
    np.testing.assert_allclose(got[number], want[number], rtol=4e-7, atol=2e-45)


def test_exp_limits() -> None:
    x = np.array([88.8, -104.0, 88.72283, -103.97, 0.0], np.float32)
    got = vectorised("exp", x)
    assert got[0] == np.inf and got[1] == 0.0 and got[4] == 1.0
    assert np.isfinite(got[2]) and got[2] > 3.4e38
    assert got[3] == np.float32(1.401298464324817e-45)


def test_power() -> None:
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-20, 20, N)).astype(np.float32)
    y = rng.uniform(-5, 5, N).astype(np.float32)
    x[:64], y[:64] = np.repeat(SPECIAL[:8], 8), np.tile(SPECIAL[:8], 8)
    x[64:128], y[64:128] = -np.arange(64), np.tile([2.0, 3.0, -1.0, 0.5], 16)
    kernel = elementwise(lambda a, b: op("pow", a, b), [float32, float32], float32, N, 16)
    got = execute(kernel, {"x0": x, "x1": y, "y": np.zeros_like(x)})["y"]
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), y.astype(np.float64))
        want = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    number = np.isfinite(want)
    np.testing.assert_array_equal(got[~number & ~np.isnan(want)], want[~number & ~np.isnan(want)])
    assert error(got[number], exact[number]) <= 1.0


def test_a_constant_exponent() -> None:
    x = np.linspace(0.01, 10, 999).astype(np.float32)
    kernel = elementwise(lambda a: op("pow", a, Const(3.0, float32)), [float32], float32, len(x), 16)
    got = execute(kernel, {"x0": x, "y": np.zeros_like(x)})["y"]
    assert error(got, x.astype(np.float64) ** 3) <= 1.0


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    x = np.linspace(-100, 100, 160).astype(np.float32)
    mixed = x.copy()
    mixed[3::16] = 1e20
    for name in ("sin", "cos", "tan"):
        plain, beside = vectorised(name, x), vectorised(name, mixed)
        keep = np.ones(160, bool)
        keep[3::16] = False
        np.testing.assert_array_equal(plain[keep], beside[keep])
