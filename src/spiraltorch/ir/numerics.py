"""What each operation of the kernel IR means, in NumPy, for all dtypes.

float16 and bfloat16 are computed in float32 and rounded after each operation. Integers wrap. `fma` rounds once in
float32 (through float64, so a tie of a tie may differ from hardware), twice in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import DType, float32


def constant(value: float | bool, dtype: DType) -> Any:
    """A number as an array of rank 0; integers wrap."""
    if dtype.is_integer:
        bits = np.array(int(value) & ((1 << dtype.bits) - 1), dtype=f"u{dtype.itemsize}")
        return bits.view(dtype.numpy)
    return np.array(value).astype(dtype.numpy)


def convert(value: Any, dtype: DType, bits: bool = False) -> Any:
    """The value as `dtype`; its bits read as `dtype` where `bits` is set."""
    array = np.asarray(value)
    return array.view(dtype.numpy) if bits else array.astype(dtype.numpy)


def garbage(shape: tuple[int, ...], dtype: DType) -> Any:
    """Memory that was never written: NaN, or a pattern that no algorithm expects."""
    if dtype.is_float:
        return np.full(shape, np.nan).astype(dtype.numpy)
    if dtype.is_bool:
        return np.ones(shape, np.bool_)
    return np.full(shape, 0x5B, dtype.numpy)


def evaluate(name: str, args: list[Any], dtype: DType) -> Any:
    """`name` of arrays that share one dtype; `dtype` is the result's."""
    if name == "select":
        return np.where(args[0], args[1], args[2])
    narrow = args[0].dtype.kind not in "biu" and args[0].dtype.itemsize == 2
    if narrow:
        args = [np.asarray(a).astype(np.float32) for a in args]
    result = _BY_NAME[name](*args)
    return np.asarray(result).astype(dtype.numpy) if narrow or result.dtype != dtype.numpy else result


def _fma(a: Any, b: Any, c: Any) -> Any:
    if a.dtype == float32.numpy:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    return a * b + c


def _pow(a: Any, b: Any) -> Any:
    if a.dtype.kind == "f":
        return np.power(a, b)
    if a.dtype.kind == "u":
        return np.power(a, b)
    positive = np.power(a, np.maximum(b, 0))
    inverse = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0))
    return np.where(b < 0, inverse, positive).astype(a.dtype)


def _mulhi(a: Any, b: Any) -> Any:
    bits = a.dtype.itemsize * 8
    product = (np.asarray(a).astype(object) * np.asarray(b).astype(object)) >> bits
    return np.asarray(product).astype(a.dtype)


def _sub(a: Any, b: Any) -> Any:
    return np.logical_xor(a, b) if a.dtype.kind == "b" else np.subtract(a, b)


def _neg(a: Any) -> Any:
    return a if a.dtype.kind == "b" else np.negative(a)


def _map(fn: Callable[[float], float]) -> Callable[[Any], Any]:
    vectorized = np.frompyfunc(fn, 1, 1)
    return lambda a: np.asarray(vectorized(np.asarray(a).astype(np.float64))).astype(a.dtype)


_BY_NAME: dict[str, Callable[..., Any]] = {
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
