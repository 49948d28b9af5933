"""What the tests of graphs share: nodes from arrays, sample operands, comparison."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from spiraltorch.dtypes import DType, from_numpy
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.graph.reference import evaluate
from spiraltorch.runtime import device

TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-5, "float64": 1e-11}


def node(array: Any, rg: bool = False) -> Node:
    """A leaf on the CPU."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    aval = aval_of(array.shape, from_numpy(array.dtype))
    return leaf(device.get("cpu:0").from_host(array.copy()), aval, rg)


def value(x: Node) -> np.ndarray[Any, Any]:
    """The value of one node."""
    return evaluate([x])[0]


def sample(rng: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, Any]:
    """Operands with ties, zeros and both signs where the dtype has them."""
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_integer:
        return rng.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype.numpy)
    return rng.integers(-16, 17, shape).astype(np.float64).__truediv__(4).astype(dtype.numpy)


def wide(array: Any) -> np.ndarray[Any, Any]:
    """16-bit floats as float64, for comparison; all else as it is."""
    array = np.asarray(array)
    return array.astype(np.float64) if array.dtype in (np.float16, ml_dtypes.bfloat16) else array


def same(got: Any, expected: Any, dtype: DType | None = None) -> None:
    """Equal within the dtype's rounding; NaN equals NaN."""
    tolerance = 0.0 if dtype is None or not dtype.is_float else TOLERANCE[dtype.name]
    np.testing.assert_allclose(wide(got), wide(expected), rtol=tolerance, atol=tolerance)
