"""Maxima, minima and their positions."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import P, handle, nary, see
from ..tensor import Tensor
from .elementwise import maximum, minimum
from .reduction import _reduce

Extreme = namedtuple("Extreme", ("values", "indices"))


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
        return (maximum if which == "max" else minimum)(x, args[0])
    if "dim" in kwargs:
        axis = axis_of(kwargs["dim"], x.ndim, which)
        keep = bool(kwargs.get("keepdim", kwargs.get("keepdims", False)))
        index = (argmax if which == "max" else argmin)(x, axis=axis, keepdims=True)
        from .gathering import take_along_axis

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
        return made.reshape((1,) * x.ndim) if keepdims else made
    number = axis_of(axis, x.ndim, prim)
    x = x.reshape((1,)) if x.ndim == 0 else x
    made = nary(P[prim], (see(x),), (number,))
    return made.unsqueeze(number) if keepdims else made


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
