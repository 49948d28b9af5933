"""One suite for all backends and dtypes, against NumPy."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from conformance_cases import CASES, KNOWN, Case
from conformance_devices import DEVICES, holds, put

from spiraltorch import dtypes
from spiraltorch.errors import DTypeError

EDGES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.5)
CELLS = [(d, c, t) for d in DEVICES for c in CASES for t in c.dtypes]


def operands(case: Case, dtype: dtypes.DType) -> list[np.ndarray]:
    """Arrays that depend on the case's name alone."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    if case.special:
        x, y = np.meshgrid(np.array(EDGES), np.array(EDGES))
        return [x.reshape(-1).astype(dtype.numpy), y.reshape(-1).astype(dtype.numpy)]
    made = []
    for shape in case.shapes:
        if dtype.is_bool:
            made.append(rng.random(shape) < 0.5)
        elif dtype.is_integer:
            info = np.iinfo(dtype.numpy)
            small = rng.integers(max(info.min, -9), 10, shape)
            big = rng.integers(info.min, info.max, shape, dtype=dtype.numpy)
            made.append(np.where(rng.random(shape) < 0.2, big, small.astype(dtype.numpy)))
        else:
            made.append(rng.uniform(case.low, case.high, shape).astype(dtype.numpy))
    return made


def agree(have: np.ndarray, want: np.ndarray, case: Case) -> None:
    """Equal for integers and bool, within some units in the last place for floats; NaN equals NaN, and zeros have signs."""
    assert have.shape == want.shape and have.dtype == want.dtype
    if have.dtype.kind in "biu":
        np.testing.assert_array_equal(have, want)
        return
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[want.dtype.name]
    x, y = have.astype(np.float64), want.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(x - y) <= case.ulps * eps * np.maximum(np.abs(y), case.size)
        signs = (np.signbit(x) == np.signbit(y)) | (y != 0) | (not case.signs) | (case.size >= 1)
        wrong = ~((near | (x == y)) & signs | (np.isnan(x) & np.isnan(y)))
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.size}: {x[wrong][:4]} instead of {y[wrong][:4]}"


@pytest.mark.parametrize(
    ("where", "case", "name"), CELLS, ids=[f"{d.removesuffix(':0')}-{c.name}-{t}" for d, c, t in CELLS]
)
def test_conformance(where: str, case: Case, name: str) -> None:
    dtype = dtypes.BY_NAME[name]
    arrays = operands(case, dtype)
    if not holds(where, dtype):
        with pytest.raises(DTypeError, match=f"got {name}"):
            put(arrays[0], where)
        return
    reason = KNOWN.get((where.removesuffix(":0"), case.name, name))
    try:
        agree(case.run(*[put(a, where) for a in arrays]).numpy(), np.asarray(case.meaning(*arrays)), case)
    except AssertionError:
        if reason is None:
            raise
        return
    assert reason is None, f"{case.name} of {name} passes, though it is known to fail: {reason}"
