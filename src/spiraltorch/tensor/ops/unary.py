"""Element-wise functions of one operand."""

from __future__ import annotations

from typing import Any

from ...dtypes import float32
from ..dispatch import (
    P,
    float_unary,
    handle,
    unary,
)
from ..tensor import Tensor
from .casting import cast


def _float(name: str, doc: str) -> Any:
    prim = P[name]

    def function(x: Any) -> Tensor:
        return float_unary(prim, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element-wise; integers are taken as float32."
    return function


sqrt = _float("sqrt", "The square root")


exp, expm1, exp2 = _float("exp", "e**x"), _float("expm1", "e**x - 1"), _float("exp2", "2**x")


log, log1p = _float("log", "The natural logarithm"), _float("log1p", "log(1 + x)")


log2, log10 = _float("log2", "The logarithm to base 2"), _float("log10", "The logarithm to base 10")


sin, cos, tan = _float("sin", "The sine"), _float("cos", "The cosine"), _float("tan", "The tangent")


asin, acos, atan = _float("asin", "The arc sine"), _float("acos", "The arc cosine"), _float("atan", "The arc tangent")


sinh, cosh, tanh = (_float(n, f"The hyperbolic function {n}") for n in ("sinh", "cosh", "tanh"))


asinh, acosh, atanh = (_float(n, f"The inverse hyperbolic function {n}") for n in ("asinh", "acosh", "atanh"))


erf = _float("erf", "The error function")


def _whole(name: str, doc: str) -> Any:
    prim = P[name]

    def function(x: Any) -> Tensor:
        x = handle(x)
        return unary(prim, x) if x.dtype.is_float else x

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element-wise; integers are returned as they are."
    return function


floor, ceil, trunc = _whole("floor", "Rounds down"), _whole("ceil", "Rounds up"), _whole("trunc", "Rounds to zero")


def round(x: Any, decimals: int = 0) -> Tensor:  # the field's word
    """Rounds to the nearest integer, ties to even, or to so many decimals (negative ones: to tens, hundreds, ...).

    >>> import spiraltorch as st
    >>> round(st.tensor([0.5, 1.5, 2.4])).tolist()
    [0.0, 2.0, 2.0]
    """
    x = handle(x)
    if not x.dtype.is_float:
        return x if decimals >= 0 or x.dtype.is_bool else _round_whole(x, 10**-decimals)  # type: ignore[no-any-return]
    if decimals and x.dtype.itemsize == 2:  # the scaled number may be too great for it
        return cast(round(cast(x, float32), decimals), x.dtype)
    if decimals > 0:
        return unary(P["round"], x * 10.0**decimals) / 10.0**decimals
    if decimals < 0:
        return unary(P["round"], x / 10.0**-decimals) * 10.0**-decimals
    return unary(P["round"], x)


def _round_whole(x: Any, unit: int) -> Any:
    """Integers to the nearest multiple of `unit`, an even number of them where two are as near."""
    low = x // unit
    rest = x - low * unit
    half = unit // 2
    up = (rest > half) | ((rest == half) & (low % 2 == 1))
    return (low + cast(up, x.dtype)) * unit


def negative(x: Any) -> Tensor:
    """-x.

    >>> import spiraltorch as st
    >>> negative(st.tensor([1, -2])).tolist()
    [-1, 2]
    """
    return unary(P["neg"], handle(x))


def positive(x: Any) -> Tensor:
    """x.

    >>> import spiraltorch as st
    >>> positive(st.tensor([1, -2])).tolist()
    [1, -2]
    """
    return handle(x)


def abs(x: Any) -> Tensor:
    """The absolute value.

    >>> import spiraltorch as st
    >>> abs(st.tensor([1, -2])).tolist()
    [1, 2]
    """
    x = handle(x)
    return x if x.dtype.is_bool or x.dtype.kind == "u" else unary(P["abs"], x)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; NaN for NaN.

    >>> import spiraltorch as st
    >>> sign(st.tensor([-2.5, 0.0])).tolist()
    [-1.0, 0.0]
    """
    return unary(P["sign"], handle(x))


def square(x: Any) -> Tensor:
    """x * x.

    >>> import spiraltorch as st
    >>> square(st.tensor([3])).tolist()
    [9]
    """
    x = handle(x)
    return x * x  # type: ignore[no-any-return]


def reciprocal(x: Any) -> Tensor:
    """1 / x.

    >>> import spiraltorch as st
    >>> reciprocal(st.tensor([4.0])).tolist()
    [0.25]
    """
    return 1.0 / handle(x)


def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x).

    >>> import spiraltorch as st
    >>> rsqrt(st.tensor([4.0])).tolist()
    [0.5]
    """
    return 1.0 / sqrt(x)  # type: ignore[no-any-return]


def bitwise_invert(x: Any) -> Tensor:
    """~x, for integers and booleans.

    >>> import spiraltorch as st
    >>> bitwise_invert(st.tensor([0, 5])).tolist()
    [-1, -6]
    """
    return unary(P["invert"], handle(x))
