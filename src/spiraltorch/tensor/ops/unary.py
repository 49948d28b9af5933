"""Element-wise functions of one operand: those of one primitive from tables, the others spelled out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...dtypes import float32
from ...typing import ArrayLike
from ..arguments import integer
from ..dispatch import P, as_tensor, float_unary, unary, unshared
from ..tensor import Tensor
from .casting import cast, in_float32

if TYPE_CHECKING:

    class UnaryFunction(Protocol):
        """An element-wise function of one operand."""

        __name__: str

        def __call__(self, x: ArrayLike) -> Tensor:
            """Applies the function to each element.

            Args:
                x: any shape; a tensor, an array, a number, or nested sequences of numbers.

            Returns:
                A tensor of x's shape.
            """


_FLOAT_DOC = """{summary}, element by element.{more}

    Args:
        x: any shape. Integers and booleans are converted to float32.{domain}

    Returns:
        A tensor of x's shape and floating dtype (float32 for integers and booleans).

    Example:
        >>> import spiraltorch as st
        >>> st.{name}(st.tensor({argument})).tolist()
        {result}
    """
_INTEGRAL_DOC = """{summary}, element by element.

    Args:
        x: any shape. Integers and booleans are returned as they are.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.{name}(st.tensor([-1.5, 2.5])).tolist()
        {result}
    """


def _floating(name: str, summary: str, argument: str, result: str, domain: str = "", more: str = "") -> UnaryFunction:
    """A function that is one primitive of floating operands; `domain` says where its value is special."""
    primitive = P[name]

    def function(x: ArrayLike) -> Tensor:
        return float_unary(primitive, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _FLOAT_DOC.format(
        name=name, summary=summary, argument=argument, result=result,
        domain=f" {domain}" if domain else "", more=f"\n\n    {more}" if more else "",
    )  # fmt: skip
    return function


def _integral(name: str, summary: str, result: str) -> UnaryFunction:
    """A function that is one primitive of floating operands and leaves integers as they are."""
    primitive = P[name]

    def function(x: ArrayLike) -> Tensor:
        x = as_tensor(x)
        return unary(primitive, x) if x.dtype.is_float else unshared(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _INTEGRAL_DOC.format(name=name, summary=summary, result=result)
    return function


_OUTSIDE = "NaN outside [-1, 1]."
sqrt = _floating("sqrt", "Computes the square root", "[4.0, 9.0]", "[2.0, 3.0]", "NaN below 0.")
exp = _floating("exp", "Computes e**x", "[0.0]", "[1.0]")
expm1 = _floating("expm1", "Computes e**x - 1, without loss of digits near 0", "[0.0]", "[0.0]")
exp2 = _floating("exp2", "Computes 2**x", "[0.0, 3.0]", "[1.0, 8.0]")
log = _floating("log", "Computes the natural logarithm", "[1.0, 0.0]", "[0.0, -inf]", "-inf at 0, NaN below.")
log1p = _floating(
    "log1p",
    "Computes log(1 + x), without loss of digits near 0",
    "[0.0, -1.0]",
    "[0.0, -inf]",
    "-inf at -1, NaN below.",
)
log2 = _floating("log2", "Computes the logarithm to base 2", "[8.0]", "[3.0]", "-inf at 0, NaN below.")
log10 = _floating("log10", "Computes the logarithm to base 10", "[1.0, 0.0]", "[0.0, -inf]", "-inf at 0, NaN below.")
sin = _floating("sin", "Computes the sine", "[0.0]", "[0.0]", "Angles in radians; NaN at infinities.")
cos = _floating("cos", "Computes the cosine", "[0.0]", "[1.0]", "Angles in radians; NaN at infinities.")
tan = _floating("tan", "Computes the tangent", "[0.0]", "[0.0]", "Angles in radians; NaN at infinities.")
asin = _floating("asin", "Computes the arc sine, in [-pi/2, pi/2]", "[0.0]", "[0.0]", _OUTSIDE)
acos = _floating("acos", "Computes the arc cosine, in [0, pi]", "[1.0]", "[0.0]", _OUTSIDE)
atan = _floating("atan", "Computes the arc tangent, in [-pi/2, pi/2]", "[0.0]", "[0.0]")
sinh = _floating("sinh", "Computes the hyperbolic sine", "[0.0]", "[0.0]")
cosh = _floating("cosh", "Computes the hyperbolic cosine", "[0.0]", "[1.0]")
tanh = _floating("tanh", "Computes the hyperbolic tangent", "[0.0]", "[0.0]")
asinh = _floating("asinh", "Computes the inverse hyperbolic sine", "[0.0]", "[0.0]")
acosh = _floating("acosh", "Computes the inverse hyperbolic cosine, at least 0", "[1.0]", "[0.0]", "NaN below 1.")
atanh = _floating(
    "atanh", "Computes the inverse hyperbolic tangent", "[0.0, 1.0]", "[0.0, inf]",
    "Infinite at -1 and 1, NaN outside [-1, 1].",
)  # fmt: skip
erf = _floating(
    "erf", "Computes the error function", "[0.0]", "[0.0]",
    more="erf(x) is 2 / sqrt(pi) times the integral of e**(-t*t) from 0 to x (DLMF 7.2.1).",
)  # fmt: skip
floor = _integral("floor", "Rounds down to an integer", "[-2.0, 2.0]")
ceil = _integral("ceil", "Rounds up to an integer", "[-1.0, 3.0]")
trunc = _integral("trunc", "Rounds towards zero to an integer", "[-1.0, 2.0]")


def round(x: ArrayLike, decimals: int = 0) -> Tensor:
    """Rounds to a number of decimals; ties go to the even neighbour.

    Args:
        x: any shape and dtype.
        decimals: digits that are kept after the decimal point; -1 rounds to tens, -2 to hundreds.

    Returns:
        A tensor of x's shape and dtype. Integers change only where `decimals` is negative.

    Raises:
        ArgumentError: `decimals` is not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.round(st.tensor([0.5, 1.5, 2.4])).tolist()
        [0.0, 2.0, 2.0]
    """
    x, decimals = as_tensor(x), integer(decimals, "round", "decimals")
    if not x.dtype.is_float:
        return unshared(x) if decimals >= 0 or x.dtype.is_bool else _round_integers(x, 10**-decimals)
    if decimals and x.dtype.itemsize == 2:  # the scaled number may be too great for it
        return cast(round(cast(x, float32), decimals), x.dtype)
    if decimals > 0:
        return unary(P["round"], x * 10.0**decimals) / 10.0**decimals
    if decimals < 0:
        return unary(P["round"], x / 10.0**-decimals) * 10.0**-decimals
    return unary(P["round"], x)


def _round_integers(x: Tensor, unit: int) -> Tensor:
    """Rounds integers to the nearest multiple of `unit`, to an even multiple where two are equally near."""
    low = x // unit
    rest = x - low * unit
    half = unit // 2
    up = (rest > half) | ((rest == half) & (low % 2 == 1))
    return (low + cast(up, x.dtype)) * unit


def negative(x: ArrayLike) -> Tensor:
    """Computes -x, element by element.

    Args:
        x: any shape; floating or integer dtypes. Unsigned integers wrap around.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.negative(st.tensor([1, -2])).tolist()
        [-1, 2]
    """
    return unary(P["neg"], as_tensor(x))


def positive(x: ArrayLike) -> Tensor:
    """Returns its operand as a tensor, for symmetry with `negative`.

    Args:
        x: any shape and dtype.

    Returns:
        The tensor itself, or a tensor with the values of x.

    Example:
        >>> import spiraltorch as st
        >>> st.positive(st.tensor([1, -2])).tolist()
        [1, -2]
    """
    return unshared(as_tensor(x))


def abs(x: ArrayLike) -> Tensor:
    """Computes the absolute value, element by element.

    Args:
        x: any shape and dtype. Booleans and unsigned integers are returned as they are.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.abs(st.tensor([1, -2])).tolist()
        [1, 2]
    """
    x = as_tensor(x)
    return unshared(x) if x.dtype.is_bool or x.dtype.kind == "u" else unary(P["abs"], x)


def sign(x: ArrayLike) -> Tensor:
    """Computes the sign of each element: -1, 0 or 1.

    Args:
        x: any shape and dtype. NaN gives NaN; booleans are returned as they are.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.sign(st.tensor([-2.5, 0.0])).tolist()
        [-1.0, 0.0]
    """
    x = as_tensor(x)
    return unshared(x) if x.dtype.is_bool else unary(P["sign"], x)


def square(x: ArrayLike) -> Tensor:
    """Computes x * x, element by element.

    Args:
        x: any shape and dtype.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.square(st.tensor([3])).tolist()
        [9]
    """
    x = as_tensor(x)
    return x * x


def reciprocal(x: ArrayLike) -> Tensor:
    """Computes 1 / x, element by element.

    Args:
        x: any shape. Integers and booleans are converted to float32. Infinite at 0.

    Returns:
        A tensor of x's shape and floating dtype (float32 for integers and booleans).

    Example:
        >>> import spiraltorch as st
        >>> st.reciprocal(st.tensor([4.0])).tolist()
        [0.25]
    """
    return 1.0 / as_tensor(x)


def rsqrt(x: ArrayLike) -> Tensor:
    """Computes 1 / sqrt(x), element by element.

    Args:
        x: any shape. Integers and booleans are converted to float32. Infinite at 0, NaN below.

    Returns:
        A tensor of x's shape and floating dtype (float32 for integers and booleans).

    Example:
        >>> import spiraltorch as st
        >>> st.rsqrt(st.tensor([4.0])).tolist()
        [0.5]
    """
    x = as_tensor(x)
    if x.dtype.is_float and x.dtype.itemsize == 2:
        return in_float32(rsqrt, x)
    return 1.0 / sqrt(x)


def bitwise_invert(x: ArrayLike) -> Tensor:
    """Inverts every bit of integers; negates booleans.

    Args:
        x: any shape; integers or booleans.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        DTypeError: x is floating.

    Example:
        >>> import spiraltorch as st
        >>> st.bitwise_invert(st.tensor([0, 5])).tolist()
        [-1, -6]
    """
    return unary(P["invert"], as_tensor(x))
