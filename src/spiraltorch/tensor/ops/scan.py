"""Cumulative functions along an axis, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from ...dtypes import uint8
from ...errors import ArgumentError
from ...graph import build
from ..arguments import axis_of, torch_spellings
from ..dispatch import P, handle, handles, nary, see
from ..tensor import Tensor
from .casting import cast
from .joining import concat
from .reduction import summed
from .slicing import narrow


def _scan(name: str, x: Any, axis: Any, dtype: Any = None, widen: bool = True) -> Tensor:
    x = summed(x, dtype) if widen else handle(x)
    if axis is None:
        if x.ndim > 1:
            x = x.reshape(-1)
        axis = 0
    number = axis_of(axis, x.ndim, name)
    if x.ndim == 0:
        return x  # type: ignore[no-any-return]
    return nary(P[name], (see(x),), (number, False))


@torch_spellings
def cumsum(x: Any, axis: Any = None, dtype: Any = None) -> Tensor:
    """Inclusive sums along an axis.

    >>> import spiraltorch as st
    >>> cumsum(st.tensor([1, 2, 3]), axis=0).tolist()
    [1, 3, 6]
    """
    return _scan("cumsum", x, axis, dtype)


@torch_spellings
def cumulative_sum(x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """The array API's cumulative sum; `include_initial` puts a zero in front.

    >>> import spiraltorch as st
    >>> cumulative_sum(st.tensor([1, 2, 3]), include_initial=True).tolist()
    [0, 1, 3, 6]
    """
    made = _scan("cumsum", x, axis, dtype)
    return _with_first(made, axis, 0) if include_initial else made


@torch_spellings
def cumulative_prod(x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """The array API's cumulative product; `include_initial` puts a one in front.

    >>> import spiraltorch as st
    >>> cumulative_prod(st.tensor([1, 2, 3])).tolist()
    [1, 2, 6]
    """
    made = _scan("cumprod", x, axis, dtype)
    return _with_first(made, axis, 1) if include_initial else made


def _with_first(x: Tensor, axis: Any, value: int) -> Tensor:
    number = axis_of(0 if axis is None else axis, x.ndim, "cumulative")
    pads = tuple([(1 if d == number else 0, 0, 0) for d in range(x.ndim)])
    return Tensor(build.pad(see(x), pads, value))


@torch_spellings
def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, `n` times; `prepend` and `append` are joined to `x` first.

    >>> diff(handle([1, 4, 9])).tolist()
    [3, 5]
    """
    parts = handles(*[p for p in (prepend, x, append) if p is not None])
    made = concat(parts, axis=axis) if len(parts) > 1 else parts[0]
    d = axis_of(axis, made.ndim, "diff")
    if n < 0 or made.ndim == 0:
        raise ArgumentError(f"[diff] expected n >= 0 and at least one axis, got n={n} and shape {made.shape}")
    for _ in range(n):
        extent = made.shape[d] - 1
        if extent < 0:
            break
        later, earlier = narrow(made, d, 1, extent), narrow(made, d, 0, extent)
        made = later != earlier if made.dtype.is_bool else later - earlier
    return made


@torch_spellings
def cumprod(x: Any, axis: Any = None, dtype: Any = None) -> Tensor:
    """Inclusive products along an axis.

    >>> import spiraltorch as st
    >>> cumprod(st.tensor([1, 2, 3]), axis=0).tolist()
    [1, 2, 6]
    """
    return _scan("cumprod", x, axis, dtype)


@torch_spellings
def cummax(x: Any, axis: Any = 0) -> Tensor:
    """Inclusive maxima along an axis.

    >>> import spiraltorch as st
    >>> cummax(st.tensor([1, 3, 2])).tolist()
    [1, 3, 3]
    """
    return _extremes("cummax", x, axis)


@torch_spellings
def cummin(x: Any, axis: Any = 0) -> Tensor:
    """Inclusive minima along an axis.

    >>> import spiraltorch as st
    >>> cummin(st.tensor([3, 1, 2])).tolist()
    [3, 1, 1]
    """
    return _extremes("cummin", x, axis)


def _extremes(name: str, x: Any, axis: Any) -> Tensor:
    x = handle(x)
    if x.dtype.is_bool:
        return cast(_scan(name, cast(x, uint8), axis, widen=False), x.dtype)
    return _scan(name, x, axis, widen=False)
