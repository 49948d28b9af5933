"""Cumulative functions along an axis, and differences of neighbours."""

from __future__ import annotations

from ...dtypes import uint8
from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike, DTypeLike
from ..arguments import axis_of, torch_spellings
from ..dispatch import P, as_tensor, as_tensors, nary, node_of, unshared
from ..tensor import Tensor
from .casting import cast
from .joining import concat
from .reduction import accumulated
from .slicing import narrow


def _scan(name: str, x: ArrayLike, axis: int | None, dtype: DTypeLike | None = None, widen: bool = True) -> Tensor:
    """One inclusive scan along an axis, of the flattened tensor without one; `widen` accumulates integers in 64 bits."""
    operand = accumulated(x, dtype) if widen else as_tensor(x)
    if axis is None:
        if operand.ndim > 1:
            operand = operand.reshape(-1)
        axis = 0
    number = axis_of(axis, operand.ndim, name)
    return nary(P[name], (node_of(operand),), (number, False)) if operand.ndim else operand


@torch_spellings
def cumsum(x: ArrayLike, axis: int | None = None, dtype: DTypeLike | None = None, *, dim: int | None = None) -> Tensor:
    """Computes inclusive sums along an axis: element i is the sum of elements 0 to i.

    Args:
        x: any shape and dtype.
        axis: the axis; by default the flattened tensor is summed.
        dtype: the dtype of the sums; by default x's where that is floating, else a 64-bit integer.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cumsum(st.tensor([1, 2, 3]), axis=0).tolist()
        [1, 3, 6]
    """
    return _scan("cumsum", x, axis, dtype)


@torch_spellings
def cumulative_sum(
    x: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
    *,
    dim: int | None = None,
) -> Tensor:
    """Computes inclusive sums along an axis; the array API's name for `cumsum`.

    Args:
        x: any shape and dtype.
        axis: the axis; by default the flattened tensor is summed.
        dtype: the dtype of the sums; by default x's where that is floating, else a 64-bit integer.
        include_initial: whether the result begins with 0, the sum of no elements.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape (1-d without an axis), one element longer with `include_initial`.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cumulative_sum(st.tensor([1, 2, 3]), include_initial=True).tolist()
        [0, 1, 3, 6]
    """
    result = _scan("cumsum", x, axis, dtype)
    return _with_initial(result, axis, 0) if include_initial else result


@torch_spellings
def cumulative_prod(
    x: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
    *,
    dim: int | None = None,
) -> Tensor:
    """Computes inclusive products along an axis; the array API's name for `cumprod`.

    Args:
        x: any shape and dtype.
        axis: the axis; by default the flattened tensor is multiplied.
        dtype: the dtype of the products; by default x's where that is floating, else a 64-bit integer.
        include_initial: whether the result begins with 1, the product of no elements.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape (1-d without an axis), one element longer with `include_initial`.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cumulative_prod(st.tensor([1, 2, 3])).tolist()
        [1, 2, 6]
    """
    result = _scan("cumprod", x, axis, dtype)
    return _with_initial(result, axis, 1) if include_initial else result


def _with_initial(x: Tensor, axis: int | None, value: int) -> Tensor:
    """A value put before the first element along an axis."""
    number = axis_of(0 if axis is None else axis, x.ndim, "cumulative")
    pads = tuple([(1 if d == number else 0, 0, 0) for d in range(x.ndim)])
    return Tensor(build.pad(node_of(x), pads, value))


@torch_spellings
def diff(
    x: ArrayLike,
    axis: int = -1,
    n: int = 1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
    *,
    dim: int = -1,
) -> Tensor:
    """Computes differences of neighbours along an axis: element i is x[i + 1] - x[i].

    Args:
        x: at least one axis, any dtype. Of booleans the difference is whether they differ.
        axis: the axis.
        n: the number of times that differences are taken.
        prepend: joined before `x` along the axis first.
        append: joined after `x` along the axis first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's dtype, `n` elements shorter along the axis, but not shorter than 0.

    Raises:
        ArgumentError: `n` is negative, or there is no axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.diff(st.tensor([1, 4, 9])).tolist()
        [3, 5]
    """
    parts = as_tensors(*[p for p in (prepend, x, append) if p is not None])
    result = concat(parts, axis=axis) if len(parts) > 1 else parts[0]
    d = axis_of(axis, result.ndim, "diff")
    if n < 0 or result.ndim == 0:
        raise ArgumentError(
            f"[diff] expected n >= 0 and at least one axis, got n={n} and shape {result.shape}; "
            "change n, or add an axis"
        )
    for _ in range(n):
        extent = result.shape[d] - 1
        if extent < 0:
            break
        later, earlier = narrow(result, d, 1, extent), narrow(result, d, 0, extent)
        result = later != earlier if result.dtype.is_bool else later - earlier
    return result if n else unshared(result)


@torch_spellings
def cumprod(x: ArrayLike, axis: int | None = None, dtype: DTypeLike | None = None, *, dim: int | None = None) -> Tensor:
    """Computes inclusive products along an axis: element i is the product of elements 0 to i.

    Args:
        x: any shape and dtype.
        axis: the axis; by default the flattened tensor is multiplied.
        dtype: the dtype of the products; by default x's where that is floating, else a 64-bit integer.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cumprod(st.tensor([1, 2, 3]), axis=0).tolist()
        [1, 2, 6]
    """
    return _scan("cumprod", x, axis, dtype)


@torch_spellings
def cummax(x: ArrayLike, axis: int | None = 0, *, dim: int | None = 0) -> Tensor:
    """Computes inclusive maxima along an axis: element i is the greatest of elements 0 to i.

    Args:
        x: any shape and dtype. After a NaN all are NaN.
        axis: the axis; None flattens the tensor first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cummax(st.tensor([1, 3, 2])).tolist()
        [1, 3, 3]
    """
    return _extremes("cummax", x, axis)


@torch_spellings
def cummin(x: ArrayLike, axis: int | None = 0, *, dim: int | None = 0) -> Tensor:
    """Computes inclusive minima along an axis: element i is the least of elements 0 to i.

    Args:
        x: any shape and dtype. After a NaN all are NaN.
        axis: the axis; None flattens the tensor first.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype; 1-d without an axis.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.cummin(st.tensor([3, 1, 2])).tolist()
        [3, 1, 1]
    """
    return _extremes("cummin", x, axis)


def _extremes(name: str, x: ArrayLike, axis: int | None) -> Tensor:
    """A cumulative maximum or minimum; booleans go through uint8."""
    x = as_tensor(x)
    if x.dtype.is_bool:
        return cast(_scan(name, cast(x, uint8), axis, widen=False), x.dtype)
    return _scan(name, x, axis, widen=False)
