"""The NumPy reference of each operation of the kernel IR, for all dtypes.

float16 and bfloat16 are computed in float32 and rounded after each operation. Integers wrap. `fma` of float32 is computed in
float64 and rounded to float32 (the sum may be rounded twice, so a tie may differ from hardware); that of float64 rounds
product and sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import DType, float32

Array = np.ndarray[Any, np.dtype[Any]]  # of any shape and dtype


def constant(value: float | bool, dtype: DType) -> Array:
    """A number as an array of rank 0 and of the dtype; integers wrap."""
    if dtype.is_integer:
        bits = np.array(int(value) & ((1 << dtype.bits) - 1), dtype=f"u{dtype.itemsize}")
        return bits.view(dtype.numpy)
    return np.array(value).astype(dtype.numpy)


def convert(array: Array, dtype: DType, bits: bool = False) -> Array:
    """The array converted to `dtype`, or its bits read as `dtype` where `bits` is set."""
    return array.view(dtype.numpy) if bits else array.astype(dtype.numpy)


def uninitialized(shape: tuple[int, ...], dtype: DType) -> Array:
    """An array that stands for uninitialized memory: NaN, True, or a pattern that no algorithm expects."""
    if dtype.is_float:
        return np.full(shape, np.nan).astype(dtype.numpy)
    if dtype.is_bool:
        return np.ones(shape, np.bool_)
    return np.full(shape, 0x5B, dtype.numpy)


def evaluate(name: str, args: list[Array], dtype: DType) -> Array:
    """The operation `name` of arrays of one dtype, which broadcast; `dtype` is that of the result."""
    if name == "select":
        return np.where(args[0], args[1], args[2])
    narrow = args[0].dtype.kind not in "biu" and args[0].dtype.itemsize == 2
    if narrow:
        args = [a.astype(np.float32) for a in args]
    result = _REFERENCE[name](*args)
    return np.asarray(result).astype(dtype.numpy) if narrow or result.dtype != dtype.numpy else result


def _fma(a: Array, b: Array, c: Array) -> Array:
    if a.dtype == float32.numpy:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    return a * b + c


def _pow(a: Array, b: Array) -> Array:
    """As NumPy's; a negative power of an integer gives 1, -1 or 0."""
    if a.dtype.kind in "fu":
        return np.power(a, b)
    positive = np.power(a, np.maximum(b, 0))
    inverse = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0))
    return np.where(b < 0, inverse, positive).astype(a.dtype)


def _mulhi(a: Array, b: Array) -> Array:
    """The upper half of the product, by Python's integers."""
    bits = a.dtype.itemsize * 8
    product = (np.asarray(a).astype(object) * np.asarray(b).astype(object)) >> bits
    return np.asarray(product).astype(a.dtype)


def _sub(a: Array, b: Array) -> Array:
    return np.logical_xor(a, b) if a.dtype.kind == "b" else np.subtract(a, b)


def _neg(a: Array) -> Array:
    return a if a.dtype.kind == "b" else np.negative(a)


def _map(fn: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of Python's floats as one of arrays, computed in float64."""
    vectorized = np.frompyfunc(fn, 1, 1)
    return lambda a: np.asarray(vectorized(np.asarray(a).astype(np.float64))).astype(a.dtype)


_REFERENCE: dict[str, Callable[..., Array]] = {
    "neg": _neg, "abs": np.abs, "sign": np.sign, "not": np.invert, "isnan": np.isnan,
    "add": np.add, "sub": _sub, "mul": np.multiply, "div": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "max": np.maximum, "min": np.minimum, "pow": _pow, "atan2": np.arctan2,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift,
    "mulhi": _mulhi, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "fma": _fma,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint, "sqrt": np.sqrt, "exp": np.exp,
    "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": _map(math.erf),
}  # fmt: skip
