"""Element-wise functions of the array API. Logic and tests are in `logic`, activations in `activation`."""

from __future__ import annotations

import math
from typing import Any

from ...dtypes import BY_NAME, DType, as_dtype, float32
from ...errors import ArgumentError, DTypeError
from ...graph import build
from ...graph.primitive import Primitive
from ..arguments import torch_spellings
from ..dispatch import (
    P,
    binary,
    common,
    condition,
    first_handle,
    float_unary,
    handle,
    handles,
    nary,
    reflected,
    see,
    unary,
)
from ..tensor import Tensor


def _float(name: str, doc: str) -> Any:
    prim = P[name]

    def function(x: Any) -> Tensor:
        return float_unary(prim, x)  # type: ignore[no-any-return]

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
        return unary(prim, x) if x.dtype.is_float else x  # type: ignore[no-any-return]

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
        return unary(P["round"], x * 10.0**decimals) / 10.0**decimals  # type: ignore[no-any-return]
    if decimals < 0:
        return unary(P["round"], x / 10.0**-decimals) * 10.0**-decimals  # type: ignore[no-any-return]
    return unary(P["round"], x)  # type: ignore[no-any-return]


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
    return unary(P["neg"], handle(x))  # type: ignore[no-any-return]


def positive(x: Any) -> Tensor:
    """x.

    >>> import spiraltorch as st
    >>> positive(st.tensor([1, -2])).tolist()
    [1, -2]
    """
    return handle(x)  # type: ignore[no-any-return]


def abs(x: Any) -> Tensor:
    """The absolute value.

    >>> import spiraltorch as st
    >>> abs(st.tensor([1, -2])).tolist()
    [1, 2]
    """
    x = handle(x)
    return x if x.dtype.is_bool or x.dtype.kind == "u" else unary(P["abs"], x)  # type: ignore[no-any-return]


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; NaN for NaN.

    >>> import spiraltorch as st
    >>> sign(st.tensor([-2.5, 0.0])).tolist()
    [-1.0, 0.0]
    """
    return unary(P["sign"], handle(x))  # type: ignore[no-any-return]


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
    return 1.0 / handle(x)  # type: ignore[no-any-return]


def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x).

    >>> import spiraltorch as st
    >>> rsqrt(st.tensor([4.0])).tolist()
    [0.5]
    """
    return 1.0 / sqrt(x)  # type: ignore[no-any-return]


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
    return nary(P["atan2"], tuple(nodes))  # type: ignore[no-any-return]


def bitwise_invert(x: Any) -> Tensor:
    """~x, for integers and booleans.

    >>> import spiraltorch as st
    >>> bitwise_invert(st.tensor([0, 5])).tolist()
    [-1, -6]
    """
    return unary(P["invert"], handle(x))  # type: ignore[no-any-return]


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


def where(condition_: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where the condition holds, `y` elsewhere; with one argument, the places where it holds.

    >>> where(Tensor.__gt__(handle([1, -2]), 0), 1, 0).tolist()
    [1, 0]
    """
    if x is None and y is None:
        from .indexing import nonzero

        return nonzero(condition_, as_tuple=True)
    like = first_handle((condition_, x, y))
    c = condition(condition_, like)
    nodes, _ = common(x, y, like=like)
    return nary(P["where"], (c, *nodes))


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


def cast(x: Any, dtype: Any) -> Tensor:
    """x as another dtype; floats are truncated towards zero on the way to integers.

    >>> import spiraltorch as st
    >>> cast(st.tensor([1.7, -1.7]), st.int32).tolist()
    [1, -1]
    """
    x = handle(x)
    wanted = as_dtype(dtype)
    return x if x.dtype is wanted else nary(P["cast"], (see(x),), (wanted,))  # type: ignore[no-any-return]


def astype(x: Any, dtype: Any, copy: bool = True, device: Any = None) -> Tensor:
    """The array API's name of `cast`; tensors never change under a reader, so no copy is needed.

    >>> astype(handle([1.5, -1.5]), "int64").tolist()
    [1, -1]
    """
    return to(handle(x), dtype=dtype, device=device)


def lerp(x: Any, end: Any, weight: Any) -> Tensor:
    """x + weight * (end - x).

    >>> lerp(handle([0.0]), handle([10.0]), 0.25).tolist()
    [2.5]
    """
    x = handle(x)
    return x + (handle(end, x) - x) * weight  # type: ignore[no-any-return]


def to(x: Tensor, *args: Any, dtype: Any = None, device: Any = None, **ignored: Any) -> Tensor:
    """x as another dtype, on another device, or both; itself where nothing changes.

    >>> import spiraltorch as st
    >>> to(st.ones(2), st.float64).dtype
    spiraltorch.float64
    """
    from ...runtime import device as devices

    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, DType) or a in (float, int, bool):
            dtype = a
        elif isinstance(a, str) and a not in BY_NAME:
            device = a
        else:
            dtype = a
    made = x if dtype is None else cast(x, dtype)
    if device is None:
        return made
    name = devices.canonical(str(device))
    return made if name == made.device else nary(P["to_device"], (see(made),), (name,))


def need_float(x: Tensor, op: str) -> None:
    """Raises `DTypeError` for a tensor that is not floating."""
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast with .to(st.float32)")
