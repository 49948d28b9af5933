"""Element-wise functions of several operands: arithmetic, comparisons, bits, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ...dtypes import float32
from ...errors import ArgumentError
from ...graph import build
from ...graph.primitive import Primitive
from ...typing import ArrayLike, Operand
from ..arguments import number_of, torch_spellings
from ..dispatch import (
    P,
    as_tensor,
    as_tensors,
    binary,
    first_tensor,
    nary,
    node_of,
    promoted_nodes,
    reflected,
    unshared,
)
from ..tensor import Tensor
from .casting import cast
from .selection import where
from .unary import abs, exp, log, log1p, sqrt

if TYPE_CHECKING:

    class BinaryFunction(Protocol):
        """An element-wise function of two operands."""

        __name__: str

        def __call__(self, x: ArrayLike, y: ArrayLike) -> Tensor:
            """Applies the function to each pair of elements.

            Args:
                x: any shape that broadcasts with y's; a tensor, an array, a number, or nested sequences of numbers.
                y: likewise.

            Returns:
                A tensor of the common shape.
            """


_BINARY_DOC = """{summary}, element by element.

    Args:
        x: {operands}
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, {returns}.

    Raises:
        ShapeError: the shapes do not broadcast.{raises}

    Example:
        >>> import spiraltorch as st
        >>> st.{name}(st.tensor({x}), {y}).tolist()
        {result}
    """
_PROMOTED = "in the common dtype of x and y; a Python number beside a tensor takes the tensor's dtype"


def _operands(x: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
    """Operands of which at least one is a tensor; a number beside it stays a number, so that its dtype is weak."""
    right = number_of(y)
    if right is not None:
        return as_tensor(x), right
    left = number_of(x)
    if left is not None:
        return left, as_tensor(y)
    a, b = as_tensors(x, y)
    return a, b


def _apply(primitive: Primitive, x: ArrayLike, y: ArrayLike) -> Tensor:
    """One primitive of two operands, of which either may be a number."""
    a, b = _operands(x, y)
    return binary(primitive, a, b) if isinstance(a, Tensor) else reflected(primitive, b, a)  # type: ignore[no-any-return]


def _binary(
    name: str, primitive_name: str, summary: str, x: str, y: str, result: str, kinds: str = "", returns: str = _PROMOTED
) -> BinaryFunction:
    """A function that is one primitive of two operands; `kinds` names the dtypes where not all are allowed."""
    primitive = P[primitive_name]

    def function(x: ArrayLike, y: ArrayLike) -> Tensor:
        return _apply(primitive, x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _BINARY_DOC.format(
        name=name, summary=summary, x=x, y=y, result=result, returns=returns,
        operands=f"any shape; {kinds}." if kinds else "any shape and dtype, or a number.",
        raises=f"\n        DTypeError: an operand is not of {kinds}." if kinds else "",
    )  # fmt: skip
    return torch_spellings(function)


_BITS = "integers or booleans"
_BOOLEAN = "of booleans"
add = _binary("add", "add", "Computes x + y", "[1, 2]", "10", "[11, 12]")
subtract = _binary("subtract", "sub", "Computes x - y", "[1, 2]", "10", "[-9, -8]")
multiply = _binary("multiply", "mul", "Computes x * y", "[1, 2]", "10", "[10, 20]")
floor_divide = _binary(
    "floor_divide",
    "floordiv",
    "Computes x / y rounded down; 0 where an integer divisor is 0",
    "[7, -7]",
    "2",
    "[3, -4]",
)
remainder = _binary("remainder", "mod", "Computes x - y * (x // y), with the sign of y", "[7, -7]", "3", "[1, 2]")
maximum = _binary("maximum", "maximum", "Takes the greater of x and y, NaN where either is", "[1, 5]", "3", "[3, 5]")
minimum = _binary("minimum", "minimum", "Takes the lesser of x and y, NaN where either is", "[1, 5]", "3", "[1, 3]")
equal = _binary("equal", "eq", "Tests x == y", "[1, 3]", "3", "[False, True]", returns=_BOOLEAN)
not_equal = _binary("not_equal", "ne", "Tests x != y", "[1, 3]", "3", "[True, False]", returns=_BOOLEAN)
less = _binary("less", "lt", "Tests x < y", "[1, 3]", "3", "[True, False]", returns=_BOOLEAN)
less_equal = _binary("less_equal", "le", "Tests x <= y", "[1, 3]", "3", "[True, True]", returns=_BOOLEAN)
bitwise_and = _binary("bitwise_and", "bitand", "Computes x & y", "[12, 10]", "6", "[4, 2]", _BITS)
bitwise_or = _binary("bitwise_or", "bitor", "Computes x | y", "[12, 10]", "6", "[14, 14]", _BITS)
bitwise_xor = _binary("bitwise_xor", "bitxor", "Computes x ^ y", "[12, 10]", "6", "[10, 12]", _BITS)
bitwise_left_shift = _binary(
    "bitwise_left_shift", "shl", "Computes x << y, 0 where y is the width of the dtype or more", "[1, 3]", "2", "[4, 12]",
    "integers",
)  # fmt: skip
bitwise_right_shift = _binary(
    "bitwise_right_shift", "shr", "Computes x >> y, keeping the sign", "[9, -8]", "1", "[4, -4]", "integers"
)


@torch_spellings
def pow(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x ** y, element by element.

    Args:
        x: the base, any shape; floating or integer dtypes, or a number.
        y: the exponent, any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and dtype. NaN for a negative base with an exponent that is not an integer. Where
        base and exponent are tensors of integers, negative powers are rounded towards zero, as in PyTorch.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError: the base has an integer dtype and the exponent is a negative integer, or a NumPy array with one.

    Example:
        >>> import spiraltorch as st
        >>> st.pow(st.tensor([2.0, 3.0]), 2).tolist()
        [4.0, 9.0]
    """
    return _apply(P["pow"], x, y)


@torch_spellings
def greater(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Tests x > y, element by element.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, of booleans.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.greater(st.tensor([1, 3]), 2).tolist()
        [False, True]
    """
    a, b = _operands(x, y)
    return a > b  # type: ignore[no-any-return]


@torch_spellings
def greater_equal(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Tests x >= y, element by element.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, of booleans.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.greater_equal(st.tensor([1, 3]), 3).tolist()
        [False, True]
    """
    a, b = _operands(x, y)
    return a >= b  # type: ignore[no-any-return]


@torch_spellings
def divide(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x / y in floating point, element by element.

    Args:
        x: any shape and dtype, or a number.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, in the common floating dtype; float32 where neither operand is floating.
        Infinite or NaN where y is 0.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.divide(st.tensor([1, 3]), 2).tolist()
        [0.5, 1.5]
    """
    a, b = _operands(x, y)
    return a / b  # type: ignore[no-any-return]


@torch_spellings
def atan2(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes the angle of the point (y, x) with the positive first axis, in radians.

    Args:
        x: the second coordinate, as in the array API: any shape. Integers and booleans are converted to float32.
        y: the first coordinate, any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and floating dtype, in [-pi, pi].

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.atan2(st.tensor([0.0]), 1.0).tolist()
        [0.0]
    """
    a, b = floating_operands(x, y)
    return nary(P["atan2"], (node_of(a), node_of(b)))


def floating_operands(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both operands in their common dtype, or in float32 where that is not floating."""
    like = first_tensor((x, y))
    operands = [as_tensor(v, like) if (n := number_of(v)) is None else n for v in (x, y)]
    if not any(isinstance(v, Tensor) and v.dtype.is_float for v in operands):  # a number is one of float32 then
        operands = [Tensor(build.cast(node_of(v), float32)) if isinstance(v, Tensor) else float(v) for v in operands]
    nodes, _ = promoted_nodes(*operands)
    return Tensor(nodes[0]), Tensor(nodes[1])


def _in_float32(function: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """A function of 16-bit operands in float32, rounded once, at the end."""
    return cast(function(*[cast(x, float32) for x in operands]), operands[0].dtype)


@torch_spellings
def hypot(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes sqrt(x*x + y*y) without overflow in between.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and floating dtype; infinite where either operand is infinite. Where both are 0,
        so is the derivative.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.hypot(st.tensor([3.0]), 4.0).tolist()
        [5.0]
    """
    a, b = floating_operands(x, y)
    if a.dtype.itemsize == 2:
        return _in_float32(hypot, a, b)
    largest = maximum(abs(a), abs(b)).detach()  # the result does not depend on it, so its derivatives are not needed
    scale = where((largest > 0) & (largest < math.inf), largest, 1.0)
    left, right = a / scale, b / scale
    squares = left * left + right * right
    origin = squares == 0
    finite = scale * where(origin, squares, sqrt(where(origin, 1.0, squares)))
    return where((abs(a) == math.inf) | (abs(b) == math.inf), math.inf, finite)


@torch_spellings
def logaddexp(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes log(e**x + e**y) without overflow in between.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and floating dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.logaddexp(st.tensor([1000.0]), -1000.0).tolist()
        [1000.0]
    """
    a, b = floating_operands(x, y)
    if a.dtype.itemsize == 2:
        return _in_float32(logaddexp, a, b)
    lesser = a < b  # either branch is the function itself, so that its derivatives hold where both are equal
    difference = where(lesser, a - b, b - a)
    difference = where((a == b) & (abs(a) == math.inf), 0.0, difference)
    return where(lesser, b, a) + log1p(exp(difference))


@torch_spellings
def xlogy(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes x * log(y), which is 0 where x is 0.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's; dtypes as for `x`. NaN gives NaN, also where x is 0.

    Returns:
        A tensor of the common shape and floating dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.xlogy(st.tensor([0.0, 2.0]), st.tensor([0.0, 1.0])).tolist()
        [0.0, 0.0]
    """
    a, b = floating_operands(x, y)
    if a.dtype.itemsize == 2:
        return _in_float32(xlogy, a, b)
    undefined = (a == 0) & ((b <= 0) | (b == math.inf))  # elsewhere the derivative by x is log(y), also at 0
    return a * log(where(undefined, 1.0, b))


def clip(x: ArrayLike, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Tensor:
    """Limits each element to the range from `min` to `max`.

    Args:
        x: any shape and dtype. NaN stays NaN.
        min: the lower bound, a number or a shape that broadcasts with x's; None for no bound.
        max: the upper bound, of the same kind; it takes precedence where it is less than `min`.

    Returns:
        A tensor of the common shape and dtype. At a bound the derivative is 1.

    Raises:
        ArgumentError: a bound is the number NaN.
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.clip(st.tensor([-2.0, 0.5, 3.0]), -1, 1).tolist()
        [-1.0, 0.5, 1.0]
    """
    x = as_tensor(x)
    if min is None and max is None:
        return unshared(x)
    if any(isinstance(bound, float) and math.isnan(bound) for bound in (number_of(min), number_of(max))):
        raise ArgumentError(f"[clip] expected bounds that are not NaN, got {min} and {max}; pass None for no bound")
    x = x if min is None else _bounded(x, min, greater_equal)
    return x if max is None else _bounded(x, max, less_equal)


def _bounded(x: Tensor, bound: ArrayLike, within: BinaryFunction) -> Tensor:
    """The bound where x is beyond it or the bound is NaN; at the bound itself x, and with it the whole derivative."""
    number = number_of(bound)
    bound = as_tensor(bound, x) if number is None else number
    inside = within(x, bound)
    return where(inside | (x != x) if x.dtype.is_float else inside, x, bound)


def lerp(x: ArrayLike, end: ArrayLike, weight: Operand) -> Tensor:
    """Interpolates linearly: x + weight * (end - x), exactly x at weight 0 and `end` at weight 1.

    Args:
        x: the value at weight 0, any shape; floating dtypes.
        end: the value at weight 1, any shape that broadcasts with x's.
        weight: a number, or any shape that broadcasts with both.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.lerp(st.tensor([0.0]), st.tensor([10.0]), 0.25).tolist()
        [2.5]
    """
    x = as_tensor(x)
    end = as_tensor(end, x)
    difference = end - x
    near_start = x + difference * weight
    number = number_of(weight)
    if number is not None:
        return near_start if number < 0.5 else end - difference * (1 - number)
    weight = as_tensor(weight, x)
    return where(weight < 0.5, near_start, end - difference * (1 - weight))
