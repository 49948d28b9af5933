"""Logic, and tests of numbers and their bits: which are NaN, infinite, negative, close, next to each other."""

from __future__ import annotations

import math

from ...dtypes import DType, int16, int32, int64, uint64
from ...graph import build
from ...typing import ArrayLike
from ..arguments import torch_spellings
from ..dispatch import P, as_tensor, as_tensors, condition_node, first_tensor, nary, node_of, promoted_nodes, unary
from ..tensor import Tensor
from .elementwise import floating_operands, maximum, minimum
from .selection import where
from .unary import abs


@torch_spellings
def logical_and(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Tests whether both operands are true, element by element.

    Args:
        x: any shape and dtype; numbers are true where they are not 0.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, of booleans.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.logical_and(st.tensor([1, 0]), True).tolist()
        [True, False]
    """
    return _combined("bitand", x, y)


@torch_spellings
def logical_or(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Tests whether either operand is true, element by element.

    Args:
        x: any shape and dtype; numbers are true where they are not 0.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, of booleans.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.logical_or(st.tensor([1, 0]), False).tolist()
        [True, False]
    """
    return _combined("bitor", x, y)


@torch_spellings
def logical_xor(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Tests whether exactly one operand is true, element by element.

    Args:
        x: any shape and dtype; numbers are true where they are not 0.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape, of booleans.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.logical_xor(st.tensor([1, 0]), True).tolist()
        [False, True]
    """
    return _combined("bitxor", x, y)


def _combined(primitive: str, x: ArrayLike, y: ArrayLike) -> Tensor:
    """One primitive of two operands as booleans."""
    like = first_tensor((x, y))
    return nary(P[primitive], (condition_node(x, like), condition_node(y, like)))


def logical_not(x: ArrayLike) -> Tensor:
    """Tests whether elements are false.

    Args:
        x: any shape and dtype; numbers are false where they are 0.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.logical_not(st.tensor([2, 0])).tolist()
        [False, True]
    """
    return nary(P["invert"], (condition_node(x),))


def isnan(x: ArrayLike) -> Tensor:
    """Tests whether elements are NaN.

    Args:
        x: any shape and dtype; integers and booleans never are.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isnan(st.tensor([st.nan, 1.0])).tolist()
        [True, False]
    """
    x = as_tensor(x)
    return unary(P["isnan"], x) if x.dtype.is_float else (x != x)


def isinf(x: ArrayLike) -> Tensor:
    """Tests whether elements are infinite, with either sign.

    Args:
        x: any shape and dtype; integers and booleans never are.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isinf(st.tensor([st.inf, 1.0])).tolist()
        [True, False]
    """
    x = as_tensor(x)
    return abs(x) == math.inf if x.dtype.is_float else (x != x)


def isfinite(x: ArrayLike) -> Tensor:
    """Tests whether elements are neither infinite nor NaN.

    Args:
        x: any shape and dtype; integers and booleans always are.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.isfinite(st.tensor([st.inf, 1.0])).tolist()
        [False, True]
    """
    x = as_tensor(x)
    return abs(x) < math.inf if x.dtype.is_float else (x == x)


_BITS: dict[int, DType] = {2: int16, 4: int32, 8: int64}


def signbit(x: ArrayLike) -> Tensor:
    """Tests whether the sign bit is set, which it is also in -0.0 and in some NaN.

    Args:
        x: any shape and dtype; integers have it set where they are negative.

    Returns:
        A tensor of x's shape, of booleans.

    Example:
        >>> import spiraltorch as st
        >>> st.signbit(st.tensor([-0.0, 1.0])).tolist()
        [True, False]
    """
    x = as_tensor(x)
    if not x.dtype.is_float:
        return x < 0
    return nary(P["bitcast"], (node_of(x),), (_BITS[x.dtype.itemsize],)) < 0


@torch_spellings
def copysign(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Gives each element of `x` the sign of `y`.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's, dtypes as for `x`; its sign bit counts, also in -0.0.

    Returns:
        A tensor of the common shape and floating dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.copysign(st.tensor([1.0, 2.0]), -1.0).tolist()
        [-1.0, -2.0]
    """
    a, b = floating_operands(x, y)
    magnitude = abs(a)
    return where(signbit(b), -magnitude, magnitude)


@torch_spellings
def nextafter(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Finds the next representable number after each element of `x` in the direction of `y`.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        y: any shape that broadcasts with x's; dtypes as for `x`.

    Returns:
        A tensor of the common shape and floating dtype; y where both are equal, NaN where either is NaN.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.nextafter(st.tensor([0.0]), 1.0).tolist()[0] > 0
        True
    """
    a, b = floating_operands(x, y)
    bits = _BITS[a.dtype.itemsize]
    raw = nary(P["bitcast"], (node_of(a),), (bits,))
    away_from_zero = (a < b) == (a > 0)
    neighbour = nary(P["bitcast"], (node_of(where(away_from_zero, raw + 1, raw - 1)),), (a.dtype,))
    least = nary(P["bitcast"], (node_of((raw & 0) + 1),), (a.dtype,))  # the least positive number
    neighbour = where(a == 0, copysign(least, b), neighbour)
    return where(logical_or(isnan(a), isnan(b)), a + b, where(a == b, b, neighbour))


def isclose(x: ArrayLike, y: ArrayLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Tests |x - y| <= atol + rtol * |y|, element by element.

    Args:
        x: any shape and dtype.
        y: the reference, any shape that broadcasts with x's.
        rtol: the tolerance relative to |y|.
        atol: the absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        A tensor of the common shape, of booleans. Infinities of one sign are close.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.isclose(st.tensor([1.0, 2.0]), st.tensor([1.0, 2.1])).tolist()
        [True, False]
    """
    a, b = _exact_operands(x, y)
    distance = maximum(a, b) - minimum(a, b) if a.dtype.is_integer else abs(a - b)
    near = logical_and(distance <= abs(b) * rtol + atol, isfinite(b))
    close = logical_or(near, a == b)
    return logical_or(close, logical_and(isnan(a), isnan(b))) if equal_nan else close


def _exact_operands(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both operands in one dtype: integers in 64 bits, where their difference is exact."""
    nodes, dtype = promoted_nodes(x, y)
    if dtype.is_float:
        wide = dtype
    else:
        wide = uint64 if dtype is uint64 else int64
    return Tensor(build.cast(nodes[0], wide)), Tensor(build.cast(nodes[1], wide))


def allclose(x: ArrayLike, y: ArrayLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Tests whether all elements are close, as `isclose` does. The values are evaluated immediately.

    Args:
        x: any shape and dtype.
        y: the reference, any shape that broadcasts with x's.
        rtol: the tolerance relative to |y|.
        atol: the absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        Whether |x - y| <= atol + rtol * |y| everywhere.

    Raises:
        ShapeError: the shapes do not broadcast.
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.allclose(st.tensor([1.0]), st.tensor([1.0 + 1e-7]))
        True
    """
    return bool(isclose(x, y, rtol, atol, equal_nan).all())


def array_equal(x: ArrayLike, y: ArrayLike) -> bool:
    """Tests whether shapes and all elements are equal. The values are evaluated immediately.

    Args:
        x: any shape and dtype.
        y: any shape and dtype.

    Returns:
        Whether they are equal; NaN equals nothing.

    Raises:
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.array_equal(st.tensor([1, 2]), [1, 2])
        True
    """
    a, b = as_tensors(x, y)
    return a.shape == b.shape and bool((a == b).all())
