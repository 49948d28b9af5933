"""Element-wise functions of the array API, and activations."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import BY_NAME, DType, as_dtype, float32, int16, int32, int64
from ..errors import ArgumentError, DTypeError
from ..graph import build
from .alias import torch_spellings
from .record import Handle, P, binary, common, condition, float_unary, foreign, handle, nary, see, true_divide, unary
from .tensor import Tensor


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
    """Rounds to the nearest integer, ties to even, or to so many decimals.

    >>> import spiraltorch as st
    >>> round(st.tensor([0.5, 1.5, 2.4])).tolist()
    [0.0, 2.0, 2.0]
    """
    x = handle(x)
    if not x.dtype.is_float:
        return x  # type: ignore[no-any-return]
    if decimals:
        scale = 10.0**decimals
        return unary(P["round"], x * scale) / scale  # type: ignore[no-any-return]
    return unary(P["round"], x)  # type: ignore[no-any-return]


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
    if isinstance(x, Handle):
        return x, y if isinstance(y, (Handle, bool, int, float)) else handle(y, x)
    if isinstance(y, Handle):
        made = foreign(x, y)
        return (handle(x, y) if made is None else made), y
    return handle(x), y if isinstance(y, (bool, int, float)) else handle(y)


def _pair(name: str, doc: str) -> Any:
    prim = P[name]

    @torch_spellings
    def function(x: Any, y: Any) -> Tensor:
        x, y = _two(x, y)
        return binary(prim, x, y)  # type: ignore[no-any-return]

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
    x, y = _two(x, y)
    return binary(P["pow"], x, y)  # type: ignore[no-any-return]


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
    return true_divide(x, y)  # type: ignore[no-any-return]


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


# ---------------------------------------------------------------- logic and tests


@torch_spellings
def logical_and(x: Any, y: Any) -> Tensor:
    """Both are true (not 0).

    >>> import spiraltorch as st
    >>> logical_and(st.tensor([1, 0]), True).tolist()
    [True, False]
    """
    return nary(P["bitand"], (condition(x), condition(y)))  # type: ignore[no-any-return]


@torch_spellings
def logical_or(x: Any, y: Any) -> Tensor:
    """Either is true (not 0).

    >>> import spiraltorch as st
    >>> logical_or(st.tensor([1, 0]), False).tolist()
    [True, False]
    """
    return nary(P["bitor"], (condition(x), condition(y)))  # type: ignore[no-any-return]


@torch_spellings
def logical_xor(x: Any, y: Any) -> Tensor:
    """Exactly one is true (not 0).

    >>> import spiraltorch as st
    >>> logical_xor(st.tensor([1, 0]), True).tolist()
    [False, True]
    """
    return nary(P["bitxor"], (condition(x), condition(y)))  # type: ignore[no-any-return]


def logical_not(x: Any) -> Tensor:
    """It is false (0).

    >>> import spiraltorch as st
    >>> logical_not(st.tensor([2, 0])).tolist()
    [False, True]
    """
    return nary(P["invert"], (condition(x),))  # type: ignore[no-any-return]


def isnan(x: Any) -> Tensor:
    """Whether an element is NaN.

    >>> import spiraltorch as st
    >>> isnan(st.tensor([st.nan, 1.0])).tolist()
    [True, False]
    """
    x = handle(x)
    return unary(P["isnan"], x) if x.dtype.is_float else (x != x)  # type: ignore[no-any-return]


def isinf(x: Any) -> Tensor:
    """Whether an element is infinite.

    >>> import spiraltorch as st
    >>> isinf(st.tensor([st.inf, 1.0])).tolist()
    [True, False]
    """
    x = handle(x)
    return abs(x) == math.inf if x.dtype.is_float else (x != x)


def isfinite(x: Any) -> Tensor:
    """Whether an element is neither infinite nor NaN.

    >>> import spiraltorch as st
    >>> isfinite(st.tensor([st.inf, 1.0])).tolist()
    [False, True]
    """
    x = handle(x)
    return abs(x) < math.inf if x.dtype.is_float else (x == x)


_BITS = {2: int16, 4: int32, 8: int64}


def signbit(x: Any) -> Tensor:
    """Whether the sign bit is set, also for -0.0 and NaN.

    >>> import spiraltorch as st
    >>> signbit(st.tensor([-0.0, 1.0])).tolist()
    [True, False]
    """
    x = handle(x)
    if not x.dtype.is_float:
        return x < 0  # type: ignore[no-any-return]
    return nary(P["bitcast"], (see(x),), (_BITS[x.dtype.itemsize],)) < 0  # type: ignore[no-any-return]


@torch_spellings
def copysign(x: Any, y: Any) -> Tensor:
    """The magnitude of x with the sign of y.

    >>> import spiraltorch as st
    >>> copysign(st.tensor([1.0, 2.0]), -1.0).tolist()
    [-1.0, -2.0]
    """
    a, b = _floats(x, y)
    size = abs(a)
    return where(signbit(b), -size, size)  # type: ignore[no-any-return]


@torch_spellings
def nextafter(x: Any, y: Any) -> Tensor:
    """The next representable number after x towards y.

    >>> import spiraltorch as st
    >>> nextafter(st.tensor([0.0]), 1.0).tolist()[0] > 0
    True
    """
    a, b = _floats(x, y)
    bits = _BITS[a.dtype.itemsize]
    raw = nary(P["bitcast"], (see(a),), (bits,))
    away = (a < b) == (a > 0)
    moved = nary(P["bitcast"], (see(where(away, raw + 1, raw - 1)),), (a.dtype,))
    tiny = nary(P["bitcast"], (see((raw & 0) + 1),), (a.dtype,))
    moved = where(a == 0, copysign(tiny, b), moved)
    return where(logical_or(isnan(a), isnan(b)), a + b, where(a == b, b, moved))  # type: ignore[no-any-return]


def _floats(x: Any, y: Any) -> tuple[Any, Any]:
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
    a, b = _floats(x, y)
    a, b = abs(a), abs(b)
    big, small = maximum(a, b), minimum(a, b)
    ratio = small / where(big == 0, 1.0, big)
    plain = big * sqrt(ratio * ratio + 1.0)
    return where(logical_or(a == math.inf, b == math.inf), math.inf, plain)  # type: ignore[no-any-return]


@torch_spellings
def logaddexp(x: Any, y: Any) -> Tensor:
    """log(e**x + e**y) without overflow on the way.

    >>> import spiraltorch as st
    >>> logaddexp(st.tensor([1000.0]), -1000.0).tolist()
    [1000.0]
    """
    a, b = _floats(x, y)
    big = maximum(a, b)
    gap = where(a == b, 0.0, a - b)
    return big + log1p(exp(-abs(gap)))  # type: ignore[no-any-return]


@torch_spellings
def xlogy(x: Any, y: Any) -> Tensor:
    """x * log(y), and 0 where x is 0.

    >>> import spiraltorch as st
    >>> xlogy(st.tensor([0.0, 2.0]), st.tensor([0.0, 1.0])).tolist()
    [0.0, 0.0]
    """
    a, b = _floats(x, y)
    return where(a == 0, 0.0, a * log(where(a == 0, 1.0, b)))  # type: ignore[no-any-return]


def where(condition_: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where the condition holds, `y` elsewhere; with one argument, the places where it holds.

    >>> where(Tensor.__gt__(handle([1, -2]), 0), 1, 0).tolist()
    [1, 0]
    """
    if x is None and y is None:
        from .indexing import nonzero

        return nonzero(condition_, as_tuple=True)
    c = condition(condition_)
    nodes, _ = common(x, y)
    return nary(P["where"], (c, *nodes))


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:  # the array API's names
    """x kept between two bounds, each a number, a tensor, or None.

    >>> import spiraltorch as st
    >>> clip(st.tensor([-2.0, 0.5, 3.0]), -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    x = handle(x)
    if min is None and max is None:
        return x  # type: ignore[no-any-return]
    if isinstance(min, (int, float)) and isinstance(max, (int, float)) and (math.isnan(min) or math.isnan(max)):
        raise ArgumentError(f"[clip] expected bounds that are not NaN, got {min} and {max}")
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)  # type: ignore[no-any-return]


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


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x - y| <= atol + rtol * |y|; infinities of one sign are close.

    >>> isclose(handle([1.0, 2.0]), handle([1.0, 2.1])).tolist()
    [True, False]
    """
    a, b = _floats(x, y)
    near = logical_and(abs(a - b) <= abs(b) * rtol + atol, isfinite(b))
    found = logical_or(near, a == b)
    return logical_or(found, logical_and(isnan(a), isnan(b))) if equal_nan else found


def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close; the value is needed at once. See `isclose`.

    >>> allclose(handle([1.0]), handle([1.0 + 1e-7]))
    True
    """
    return bool(isclose(x, y, rtol, atol, equal_nan).all())


def array_equal(x: Any, y: Any) -> bool:
    """Whether shapes and all elements are equal; the value is needed at once.

    >>> array_equal(handle([1, 2]), handle([1, 2]))
    True
    """
    a, b = handle(x), handle(y)
    return a.shape == b.shape and bool((a == b).all())


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
    from ..runtime import device as devices

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


# ---------------------------------------------------------------- activations


def relu(x: Any) -> Tensor:
    """max(x, 0). The gradient at 0 is 0.

    >>> import spiraltorch as st
    >>> relu(st.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = handle(x)
    zero = build.const(0, x.dtype, x.device)
    n = see(x)
    return nary(P["where"], (build.le(n, zero), zero, n))  # type: ignore[no-any-return]


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e**-x).

    >>> import spiraltorch as st
    >>> sigmoid(st.tensor([0.0])).tolist()
    [0.5]
    """
    x = handle(x)
    if x.dtype.itemsize == 2:
        return cast(sigmoid(cast(x, float32)), x.dtype)
    # e**-x must stay finite, or the derivative far to the left would be 0 * inf
    low = -700.0 if x.dtype.itemsize == 8 else -87.0
    return 1.0 / (exp(-maximum(x, low)) + 1.0)  # type: ignore[no-any-return]


def silu(x: Any) -> Tensor:
    """x * sigmoid(x).

    >>> import spiraltorch as st
    >>> silu(st.tensor([0.0])).tolist()
    [0.0]
    """
    x = handle(x)
    return x * sigmoid(x)  # type: ignore[no-any-return]


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """log(1 + e**(beta x)) / beta, without overflow.

    >>> import spiraltorch as st
    >>> softplus(st.tensor([1000.0])).tolist()
    [1000.0]
    """
    x = handle(x) * beta
    return (maximum(x, 0.0) + log1p(exp(-abs(x)))) / beta  # type: ignore[no-any-return]


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x * Phi(x), exactly by erf, or by tanh (Hendrycks and Gimpel, 2016) with `approximate="tanh"`.

    >>> import spiraltorch as st
    >>> gelu(st.tensor([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """
    x = handle(x)
    if approximate == "none":
        return x * 0.5 * (erf(x * (1 / math.sqrt(2))) + 1.0)  # type: ignore[no-any-return]
    if approximate != "tanh":
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}")
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (tanh(inner) + 1.0)  # type: ignore[no-any-return]


def need_float(x: Tensor, op: str) -> None:
    """Raises `DTypeError` for a tensor that is not floating."""
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast with .to(st.float32)")
