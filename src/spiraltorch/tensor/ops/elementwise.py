"""Element-wise functions of several operands: arithmetic, comparisons, bits, bounds."""

from __future__ import annotations

import math
from typing import Any

from ...dtypes import float32
from ...errors import ArgumentError
from ...graph import build
from ...graph.primitive import Primitive
from ..arguments import torch_spellings
from ..dispatch import (
    P,
    binary,
    common,
    handle,
    handles,
    nary,
    reflected,
)
from ..tensor import Tensor
from .selection import where
from .unary import abs, exp, log, log1p, sqrt


def _two(x: Any, y: Any) -> tuple[Any, Any]:
    """Operands of which at least one is a tensor; a number beside it stays a number, so that its dtype is weak."""
    if isinstance(y, (bool, int, float)):
        return handle(x), y
    if isinstance(x, (bool, int, float)):
        return x, handle(y)
    a, b = handles(x, y)
    return a, b


def _apply(prim: Primitive, x: Any, y: Any) -> Tensor:
    x, y = _two(x, y)
    return binary(prim, x, y) if isinstance(x, Tensor) else reflected(prim, y, x)  # type: ignore[no-any-return]


def _pair(name: str, doc: str) -> Any:
    prim = P[name]

    @torch_spellings
    def function(x: Any, y: Any) -> Tensor:
        return _apply(prim, x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element-wise with broadcasting and dtype promotion."
    return function


add, subtract, multiply = _pair("add", "x + y"), _pair("sub", "x - y"), _pair("mul", "x * y")


floor_divide = _pair("floordiv", "x // y, rounded down (0 where an integer divisor is 0)")


remainder = _pair("mod", "x - y * (x // y), with the sign of y")


maximum = _pair("maximum", "The greater; NaN where either is")


minimum = _pair("minimum", "The lesser; NaN where either is")


equal, not_equal = _pair("eq", "x == y"), _pair("ne", "x != y")


less, less_equal = _pair("lt", "x < y"), _pair("le", "x <= y")


bitwise_and, bitwise_or, bitwise_xor = _pair("bitand", "x & y"), _pair("bitor", "x | y"), _pair("bitxor", "x ^ y")


bitwise_left_shift = _pair("shl", "x << y; 0 where y is the width or more")


bitwise_right_shift = _pair("shr", "x >> y")


@torch_spellings
def pow(x: Any, y: Any) -> Tensor:
    """x ** y.

    >>> import spiraltorch as st
    >>> pow(st.tensor([2.0, 3.0]), 2).tolist()
    [4.0, 9.0]
    """
    return _apply(P["pow"], x, y)


@torch_spellings
def greater(x: Any, y: Any) -> Tensor:
    """x > y.

    >>> import spiraltorch as st
    >>> greater(st.tensor([1, 3]), 2).tolist()
    [False, True]
    """
    x, y = _two(x, y)
    return x > y  # type: ignore[no-any-return]


@torch_spellings
def greater_equal(x: Any, y: Any) -> Tensor:
    """x >= y.

    >>> import spiraltorch as st
    >>> greater_equal(st.tensor([1, 3]), 3).tolist()
    [False, True]
    """
    x, y = _two(x, y)
    return x >= y  # type: ignore[no-any-return]


@torch_spellings
def divide(x: Any, y: Any) -> Tensor:
    """x / y in floating point.

    >>> import spiraltorch as st
    >>> divide(st.tensor([1, 3]), 2).tolist()
    [0.5, 1.5]
    """
    x, y = _two(x, y)
    return x / y  # type: ignore[no-any-return]


@torch_spellings
def atan2(x: Any, y: Any) -> Tensor:
    """The angle of the point (y, x), in radians.

    >>> import spiraltorch as st
    >>> atan2(st.tensor([0.0]), 1.0).tolist()
    [0.0]
    """
    nodes, dtype = common(x, y)
    if not dtype.is_float:
        nodes = [build.cast(n, float32) for n in nodes]
    return nary(P["atan2"], tuple(nodes))


def floats(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in their common dtype, or in float32 where that is an integer's."""
    nodes, dtype = common(x, y)
    if not dtype.is_float:
        nodes = [build.cast(n, float32) for n in nodes]
    return Tensor(nodes[0]), Tensor(nodes[1])


@torch_spellings
def hypot(x: Any, y: Any) -> Tensor:
    """sqrt(x*x + y*y) without overflow on the way.

    >>> import spiraltorch as st
    >>> hypot(st.tensor([3.0]), 4.0).tolist()
    [5.0]
    """
    a, b = floats(x, y)
    big = maximum(abs(a), abs(b)).detach()  # the result does not depend on it, so its derivatives are not needed
    scale = where((big > 0) & (big < math.inf), big, 1.0)
    left, right = a / scale, b / scale
    plain = scale * sqrt(left * left + right * right)
    return where((abs(a) == math.inf) | (abs(b) == math.inf), math.inf, plain)  # type: ignore[no-any-return]


@torch_spellings
def logaddexp(x: Any, y: Any) -> Tensor:
    """log(e**x + e**y) without overflow on the way.

    >>> import spiraltorch as st
    >>> logaddexp(st.tensor([1000.0]), -1000.0).tolist()
    [1000.0]
    """
    a, b = floats(x, y)
    less = a < b  # either branch is the function itself, so that its derivatives hold where both are equal
    gap = where(less, a - b, b - a)
    gap = where((a == b) & (abs(a) == math.inf), 0.0, gap)
    return where(less, b, a) + log1p(exp(gap))  # type: ignore[no-any-return]


@torch_spellings
def xlogy(x: Any, y: Any) -> Tensor:
    """x * log(y), and 0 where x is 0 (NaN where y is).

    >>> import spiraltorch as st
    >>> xlogy(st.tensor([0.0, 2.0]), st.tensor([0.0, 1.0])).tolist()
    [0.0, 0.0]
    """
    a, b = floats(x, y)
    endless = (a == 0) & ((b <= 0) | (b == math.inf))  # elsewhere the derivative by x is log(y), also at 0
    return a * log(where(endless, 1.0, b))  # type: ignore[no-any-return]


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:  # the array API's names
    """x kept between two bounds, each a number, a tensor, or None. NaN passes; at a bound the derivative is 1.

    >>> import spiraltorch as st
    >>> clip(st.tensor([-2.0, 0.5, 3.0]), -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    x = handle(x)
    if min is None and max is None:
        return x  # type: ignore[no-any-return]
    if isinstance(min, (int, float)) and isinstance(max, (int, float)) and (math.isnan(min) or math.isnan(max)):
        raise ArgumentError(f"[clip] expected bounds that are not NaN, got {min} and {max}")
    x = x if min is None else _cut(x, min, greater_equal)
    return x if max is None else _cut(x, max, less_equal)  # type: ignore[no-any-return]


def _cut(x: Any, bound: Any, within: Any) -> Any:
    """The bound where x is beyond it, or it is NaN. At the bound itself x passes, and with it the whole derivative."""
    if not isinstance(bound, (bool, int, float)):
        bound = handle(bound, x)
    inside = within(x, bound)
    return where(inside | (x != x) if x.dtype.is_float else inside, x, bound)


def lerp(x: Any, end: Any, weight: Any) -> Tensor:
    """x + weight * (end - x).

    >>> lerp(handle([0.0]), handle([10.0]), 0.25).tolist()
    [2.5]
    """
    x = handle(x)
    return x + (handle(end, x) - x) * weight  # type: ignore[no-any-return]
