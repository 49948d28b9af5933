"""What the tests of this folder share: comparison with tolerances by dtype, and small arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

import spiraltorch as st

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-11}
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def numpy_dtype(name: str) -> Any:
    """The NumPy dtype of a name."""
    return st.dtypes.BY_NAME[name].numpy


def sample(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0, low: float = -3.0, high: float = 3.0) -> Any:
    """Reproducible numbers of any dtype."""
    values = np.random.default_rng(seed).uniform(low, high, shape)
    if dtype == "bool":
        return values > (low + high) / 2
    if dtype.startswith("u"):
        values = np.abs(values)
    return values.astype(numpy_dtype(dtype))


def close(got: Any, want: Any, tolerance: float | None = None, dtype: bool = True) -> None:
    """Equal shape, (if asked) dtype, and values within the dtype's tolerance."""
    want = np.asarray(want)
    array = np.asarray(got.detach() if isinstance(got, st.Tensor) else got)
    assert array.shape == want.shape, (array.shape, want.shape)
    if dtype:
        assert array.dtype == want.dtype, (array.dtype, want.dtype)
    if array.dtype.kind in "biu":
        np.testing.assert_array_equal(array, want)
        return
    bound = TOLERANCE[st.dtypes.from_numpy(array.dtype).name] if tolerance is None else tolerance
    np.testing.assert_allclose(array.astype(np.float64), want.astype(np.float64), rtol=bound, atol=bound)
