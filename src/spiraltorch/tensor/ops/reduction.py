"""Reductions and softmax."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from ...dtypes import as_dtype, default_float, default_int, float32, int64
from ...graph import build
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import P, condition, handle, nary, see
from ..tensor import Tensor
from . import elementwise as ew
from .logic import isfinite

Extreme = namedtuple("Extreme", ("values", "indices"))


def _reduce(prim: str, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    node = see(x)
    shape = x.shape
    made = nary(P[prim], (node,), (axes,)) if axes else Tensor(node)
    return made.reshape([1 if d in axes else e for d, e in enumerate(shape)]) if keepdims and axes else made


def summed(x: Any, dtype: Any) -> Tensor:
    """The operand in the dtype that it is added up in."""
    x = handle(x)
    if dtype is not None:
        return ew.cast(x, as_dtype(dtype))
    if x.dtype.is_bool or x.dtype.kind == "i":
        return ew.cast(x, default_int)
    if x.dtype.kind == "u":
        from ...dtypes import uint64

        return ew.cast(x, uint64)
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
    x = ew.cast(x, dtype) if dtype is not None else x if x.dtype.is_float else ew.cast(x, default_float)
    axes = axes_of(axis, x.ndim, "mean")
    count = math.prod([x.shape[a] for a in axes])
    if x.dtype.itemsize == 2:
        return _in_single(mean, x, axis=axes, keepdims=keepdims)
    total = _reduce("reduce_sum", x, axes, keepdims)
    return total / (count or 0.0)


def _in_single(function: Any, x: Tensor, **kwargs: Any) -> Tensor:
    """A function of a 16-bit operand, computed in float32 and rounded once: squares and sums would overflow."""
    return ew.cast(function(ew.cast(x, float32), **kwargs), x.dtype)


@torch_spellings
def var(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The variance over axes; the divisor is the count less `correction` (PyTorch's default is 1, NumPy's 0).

    >>> import spiraltorch as st
    >>> var(st.tensor([1.0, 3.0])).item()
    1.0
    """
    x = handle(x)
    x = x if x.dtype.is_float else ew.cast(x, default_float)
    axes = axes_of(axis, x.ndim, "var")
    if x.dtype.itemsize == 2:
        return _in_single(var, x, axis=axes, correction=correction, keepdims=keepdims)
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
        return _in_single(std, x, axis=axis, correction=correction, keepdims=keepdims)
    return _root(var(x, axis=axis, correction=correction, keepdims=keepdims))


def _root(total: Tensor, order: float = 2) -> Tensor:
    """A root of what is not negative. Where it is 0 its derivative is infinite; it is taken as 0, as in PyTorch."""
    none = total == 0
    safe = ew.where(none, 1.0, total)
    return ew.where(none, total, ew.sqrt(safe) if order == 2 else safe ** (1.0 / order))  # type: ignore[no-any-return]


@torch_spellings
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The greatest element over axes; NaN where one is. Raises `ArgumentError` where there is none.

    >>> import spiraltorch as st
    >>> amax(st.tensor([[1, 5], [3, 4]]), axis=0).tolist()
    [3, 5]
    """
    x = handle(x)
    return _reduce("reduce_max", x, axes_of(axis, x.ndim, "max"), keepdims)


@torch_spellings
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The least element over axes; see `amax`.

    >>> import spiraltorch as st
    >>> amin(st.tensor([[1, 5], [3, 4]]), axis=0).tolist()
    [1, 4]
    """
    x = handle(x)
    return _reduce("reduce_min", x, axes_of(axis, x.ndim, "min"), keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The array API's name of `amax`.

    >>> import spiraltorch as st
    >>> max(st.tensor([1, 5, 3])).item()
    5
    """
    return amax(x, axis=axis, keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The array API's name of `amin`.

    >>> import spiraltorch as st
    >>> min(st.tensor([1, 5, 3])).item()
    1
    """
    return amin(x, axis=axis, keepdims=keepdims)


def _extreme_method(x: Tensor, which: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """PyTorch's `x.max(dim=0)` is a pair; `x.max(axis=0)` and `x.max()` follow NumPy; `x.max(y)` is element-wise."""
    if args and isinstance(args[0], Tensor):
        return (ew.maximum if which == "max" else ew.minimum)(x, args[0])
    if "dim" in kwargs:
        axis = axis_of(kwargs["dim"], x.ndim, which)
        keep = bool(kwargs.get("keepdim", kwargs.get("keepdims", False)))
        index = (argmax if which == "max" else argmin)(x, axis=axis, keepdims=True)
        from .indexing import take_along_axis

        values = take_along_axis(x, index, axis=axis)
        if keep:
            return Extreme(values, index)
        return Extreme(values.squeeze(axis), index.squeeze(axis))
    return (amax if which == "max" else amin)(x, *args, **kwargs)


def max_method(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """See `_extreme_method`."""
    return _extreme_method(x, "max", args, kwargs)


def min_method(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """See `_extreme_method`."""
    return _extreme_method(x, "min", args, kwargs)


def _arg(prim: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = handle(x)
    if axis is None:
        made = nary(P[prim], (see(x.reshape(-1)),), (0,))
        return made.reshape((1,) * x.ndim) if keepdims else made  # type: ignore[no-any-return]
    number = axis_of(axis, x.ndim, prim)
    x = x.reshape((1,)) if x.ndim == 0 else x
    made = nary(P[prim], (see(x),), (number,))
    return made.unsqueeze(number) if keepdims else made  # type: ignore[no-any-return]


@torch_spellings
def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The first place of the greatest element, as int64; of the flattened tensor without an axis.

    >>> import spiraltorch as st
    >>> argmax(st.tensor([1, 5, 5])).item()
    1
    """
    return _arg("argmax", x, axis, keepdims)


@torch_spellings
def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The first place of the least element; see `argmax`.

    >>> import spiraltorch as st
    >>> argmin(st.tensor([3, 1, 1])).item()
    1
    """
    return _arg("argmin", x, axis, keepdims)


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
    return sum(ew.cast(Tensor(condition(x)), int64), axis=axis, keepdims=keepdims)


def _greatest(x: Tensor, axis: Any) -> Tensor:
    """Maxima that keep exponentials from overflow; zeros where there are no elements."""
    found = amax(x, axis=axis, keepdims=True) if x.size else sum(x, axis=axis, keepdims=True)
    return found.detach()


@torch_spellings
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(e**x)) without overflow.

    >>> import spiraltorch as st
    >>> logsumexp(st.tensor([1000.0, -1000.0])).item()
    1000.0
    """
    x = handle(x)
    x = x if x.dtype.is_float else ew.cast(x, default_float)
    axes = axes_of(axis, x.ndim, "logsumexp")
    if x.dtype.itemsize == 2:
        return _in_single(logsumexp, x, axis=axes, keepdims=keepdims)
    top = _greatest(x, axes)
    top = ew.where(isfinite(top), top, 0.0)
    total = ew.log(sum(ew.exp(x - top), axis=axes, keepdims=True)) + top
    return total if keepdims else total.squeeze(axes) if axes else total  # type: ignore[no-any-return]


@torch_spellings
def softmax(x: Any, axis: int = -1, dtype: Any = None) -> Tensor:
    """e**x over its sum along an axis.

    >>> import spiraltorch as st
    >>> softmax(st.tensor([1.0, 1.0])).tolist()
    [0.5, 0.5]
    """
    x = handle(x) if dtype is None else ew.cast(x, dtype)
    ew.need_float(x, "softmax")
    if x.dtype.itemsize == 2:
        return _in_single(softmax, x, axis=axis)
    powers = ew.exp(x - _greatest(x, axis))
    return powers / sum(powers, axis=axis, keepdims=True)  # type: ignore[no-any-return]


@torch_spellings
def log_softmax(x: Any, axis: int = -1, dtype: Any = None) -> Tensor:
    """log(softmax(x)) without overflow.

    >>> import spiraltorch as st
    >>> log_softmax(st.tensor([1000.0, -1000.0])).tolist()
    [0.0, -2000.0]
    """
    x = handle(x) if dtype is None else ew.cast(x, dtype)
    ew.need_float(x, "log_softmax")
    if x.dtype.itemsize == 2:
        return _in_single(log_softmax, x, axis=axis)
    moved = x - _greatest(x, axis)
    return moved - ew.log(sum(ew.exp(moved), axis=axis, keepdims=True))  # type: ignore[no-any-return]


@torch_spellings
def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The p-norm over axes.

    >>> import spiraltorch as st
    >>> vector_norm(st.tensor([3.0, 4.0])).item()
    5.0
    """
    x = handle(x)
    if x.dtype.is_float and x.dtype.itemsize == 2:
        return _in_single(vector_norm, x, axis=axis, keepdims=keepdims, ord=ord)
    x = ew.abs(x)
    if ord == math.inf:
        return amax(x, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return amin(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(ew.cast(x != 0, x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(x, axis=axis, keepdims=keepdims)
    if ord == 2:
        return _root(sum(x * x, axis=axis, keepdims=keepdims))
    total = sum(x**ord, axis=axis, keepdims=keepdims)
    return _root(total, ord) if ord > 0 else total ** (1.0 / ord)


def norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """PyTorch's spelling of `vector_norm`.

    >>> import spiraltorch as st
    >>> norm(st.tensor([3.0, -4.0]), p=1).item()
    7.0
    """
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if p == "fro" else p)
