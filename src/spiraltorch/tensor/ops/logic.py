"""Logic, and tests of numbers and their bits: which are NaN, infinite, negative, close, next to each other."""

from __future__ import annotations

import math
from typing import Any

from ...dtypes import int16, int32, int64, uint64
from ...graph import build
from ..arguments import torch_spellings
from ..dispatch import P, common, condition, first_handle, handle, handles, nary, see, unary
from ..tensor import Tensor
from .elementwise import floats, maximum, minimum
from .selection import where
from .unary import abs


@torch_spellings
def logical_and(x: Any, y: Any) -> Tensor:
    """Both are true (not 0).

    >>> import spiraltorch as st
    >>> logical_and(st.tensor([1, 0]), True).tolist()
    [True, False]
    """
    return _combined("bitand", x, y)


@torch_spellings
def logical_or(x: Any, y: Any) -> Tensor:
    """Either is true (not 0).

    >>> import spiraltorch as st
    >>> logical_or(st.tensor([1, 0]), False).tolist()
    [True, False]
    """
    return _combined("bitor", x, y)


@torch_spellings
def logical_xor(x: Any, y: Any) -> Tensor:
    """Exactly one is true (not 0).

    >>> import spiraltorch as st
    >>> logical_xor(st.tensor([1, 0]), True).tolist()
    [False, True]
    """
    return _combined("bitxor", x, y)


def _combined(prim: str, x: Any, y: Any) -> Tensor:
    like = first_handle((x, y))
    return nary(P[prim], (condition(x, like), condition(y, like)))


def logical_not(x: Any) -> Tensor:
    """It is false (0).

    >>> import spiraltorch as st
    >>> logical_not(st.tensor([2, 0])).tolist()
    [False, True]
    """
    return nary(P["invert"], (condition(x),))


def isnan(x: Any) -> Tensor:
    """Whether an element is NaN.

    >>> import spiraltorch as st
    >>> isnan(st.tensor([st.nan, 1.0])).tolist()
    [True, False]
    """
    x = handle(x)
    return unary(P["isnan"], x) if x.dtype.is_float else (x != x)


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
    return nary(P["bitcast"], (see(x),), (_BITS[x.dtype.itemsize],)) < 0


@torch_spellings
def copysign(x: Any, y: Any) -> Tensor:
    """The magnitude of x with the sign of y.

    >>> import spiraltorch as st
    >>> copysign(st.tensor([1.0, 2.0]), -1.0).tolist()
    [-1.0, -2.0]
    """
    a, b = floats(x, y)
    size = abs(a)
    return where(signbit(b), -size, size)  # type: ignore[no-any-return]


@torch_spellings
def nextafter(x: Any, y: Any) -> Tensor:
    """The next representable number after x towards y.

    >>> import spiraltorch as st
    >>> nextafter(st.tensor([0.0]), 1.0).tolist()[0] > 0
    True
    """
    a, b = floats(x, y)
    bits = _BITS[a.dtype.itemsize]
    raw = nary(P["bitcast"], (see(a),), (bits,))
    away = (a < b) == (a > 0)
    moved = nary(P["bitcast"], (see(where(away, raw + 1, raw - 1)),), (a.dtype,))
    tiny = nary(P["bitcast"], (see((raw & 0) + 1),), (a.dtype,))
    moved = where(a == 0, copysign(tiny, b), moved)
    return where(logical_or(isnan(a), isnan(b)), a + b, where(a == b, b, moved))  # type: ignore[no-any-return]


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x - y| <= atol + rtol * |y|; infinities of one sign are close.

    >>> isclose(handle([1.0, 2.0]), handle([1.0, 2.1])).tolist()
    [True, False]
    """
    a, b = _exact(x, y)
    gap = maximum(a, b) - minimum(a, b) if a.dtype.is_integer else abs(a - b)
    near = logical_and(gap <= abs(b) * rtol + atol, isfinite(b))
    found = logical_or(near, a == b)
    return logical_or(found, logical_and(isnan(a), isnan(b))) if equal_nan else found


def _exact(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in one dtype: integers in 64 bits, where their difference is exact."""
    nodes, dtype = common(x, y)
    if dtype.is_float:
        wide = dtype
    else:
        wide = uint64 if dtype is uint64 else int64
    return Tensor(build.cast(nodes[0], wide)), Tensor(build.cast(nodes[1], wide))


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
    a, b = handles(x, y)
    return a.shape == b.shape and bool((a == b).all())
