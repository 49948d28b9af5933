"""Sums, products, means, variances and logical reductions over axes."""

from __future__ import annotations

import math
from typing import Any

from ...dtypes import as_dtype, default_float, default_int, int64
from ...graph import build
from ..arguments import axes_of, torch_spellings
from ..dispatch import P, condition, handle, nary, see
from ..tensor import Tensor
from .casting import cast, in_float32
from .selection import where
from .unary import sqrt


def _reduce(prim: str, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    node = see(x)
    shape = x.shape
    made = nary(P[prim], (node,), (axes,)) if axes else Tensor(node)
    return made.reshape([1 if d in axes else e for d, e in enumerate(shape)]) if keepdims and axes else made


def summed(x: Any, dtype: Any) -> Tensor:
    """The operand in the dtype that it is added up in."""
    x = handle(x)
    if dtype is not None:
        return cast(x, as_dtype(dtype))
    if x.dtype.is_bool or x.dtype.kind == "i":
        return cast(x, default_int)
    if x.dtype.kind == "u":
        from ...dtypes import uint64

        return cast(x, uint64)
    return x  # type: ignore[no-any-return]


@torch_spellings
def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over axes; integers and booleans are added in 64 bits. The empty sum is 0.

    >>> sum(handle([[1, 2], [3, 4]]), axis=0).tolist()
    [4, 6]
    """
    x = summed(x, dtype)
    return _reduce("reduce_sum", x, axes_of(axis, x.ndim, "sum"), keepdims)


@torch_spellings
def prod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The product over axes; see `sum`. The empty product is 1.

    >>> import spiraltorch as st
    >>> prod(st.tensor([[1, 2], [3, 4]]), axis=1).tolist()
    [2, 12]
    """
    x = summed(x, dtype)
    return _reduce("reduce_prod", x, axes_of(axis, x.ndim, "prod"), keepdims)


@torch_spellings
def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over axes, in floating point; NaN where there is nothing to average.

    >>> import spiraltorch as st
    >>> mean(st.tensor([1, 2, 6])).item()
    3.0
    """
    x = handle(x)
    x = cast(x, dtype) if dtype is not None else x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "mean")
    count = math.prod([x.shape[a] for a in axes])
    if x.dtype.itemsize == 2:
        return in_float32(mean, x, axis=axes, keepdims=keepdims)
    total = _reduce("reduce_sum", x, axes, keepdims)
    return total / (count or 0.0)


@torch_spellings
def var(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The variance over axes; the divisor is the count less `correction` (PyTorch's default is 1, NumPy's 0).

    >>> import spiraltorch as st
    >>> var(st.tensor([1.0, 3.0])).item()
    1.0
    """
    x = handle(x)
    x = x if x.dtype.is_float else cast(x, default_float)
    axes = axes_of(axis, x.ndim, "var")
    if x.dtype.itemsize == 2:
        return in_float32(var, x, axis=axes, correction=correction, keepdims=keepdims)
    count = math.prod([x.shape[a] for a in axes])
    gap = x - mean(x, axis=axes, keepdims=True)
    total = _reduce("reduce_sum", gap * gap, axes, keepdims)
    divisor = count - float(correction)
    return total / divisor if divisor > 0 else total / 0.0


@torch_spellings
def std(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The square root of `var`.

    >>> import spiraltorch as st
    >>> std(st.tensor([1.0, 3.0])).item()
    1.0
    """
    x = handle(x)
    if x.dtype.is_float and x.dtype.itemsize == 2:
        return in_float32(std, x, axis=axis, correction=correction, keepdims=keepdims)
    return _root(var(x, axis=axis, correction=correction, keepdims=keepdims))


def _root(total: Tensor, order: float = 2) -> Tensor:
    """A root of what is not negative. Where it is 0 its derivative is infinite; it is taken as 0, as in PyTorch."""
    none = total == 0
    safe = where(none, 1.0, total)
    return where(none, total, sqrt(safe) if order == 2 else safe ** (1.0 / order))


@torch_spellings
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not 0).

    >>> import spiraltorch as st
    >>> any(st.tensor([[0, 1], [0, 0]]), axis=1).tolist()
    [True, False]
    """
    c = Tensor(condition(x))
    return _logical("reduce_max", c, axis, keepdims, False)


@torch_spellings
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (not 0).

    >>> import spiraltorch as st
    >>> all(st.tensor([[1, 1], [0, 1]]), axis=1).tolist()
    [True, False]
    """
    c = Tensor(condition(x))
    return _logical("reduce_min", c, axis, keepdims, True)


def _logical(prim: str, c: Tensor, axis: Any, keepdims: bool, empty: bool) -> Tensor:
    axes = axes_of(axis, c.ndim, "any or all")
    if math.prod([c.shape[a] for a in axes]) == 0:
        shape = tuple([1 if d in axes else e for d, e in enumerate(c.shape) if keepdims or d not in axes])
        return Tensor(build.full(shape, empty, c.dtype, c.device))
    return _reduce(prim, c, axes, keepdims)


@torch_spellings
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements are not 0, as int64.

    >>> import spiraltorch as st
    >>> count_nonzero(st.tensor([0, 3, 4])).item()
    2
    """
    return sum(cast(Tensor(condition(x)), int64), axis=axis, keepdims=keepdims)
