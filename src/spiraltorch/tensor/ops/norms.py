"""Norms of vectors."""

from __future__ import annotations

import math

from ...typing import ArrayLike, Axis
from ..arguments import torch_spellings
from ..dispatch import as_tensor
from ..tensor import Tensor
from .casting import cast, in_float32
from .extrema import amax, amin
from .reduction import root, sum
from .unary import abs


@torch_spellings
def vector_norm(
    x: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    ord: float = 2,
    *,
    dim: Axis = None,
    keepdim: bool = False,
) -> Tensor:
    """Computes the p-norm of vectors: sum(|x|**p) ** (1/p) over axes.

    Args:
        x: any shape and dtype.
        axis: the axes that make up a vector; all by default.
        keepdims: whether the axes stay, with extent 1.
        ord: the order p. inf is the greatest magnitude, -inf the least, 0 the number of elements that are not 0.
        dim: alias of `axis`, as in PyTorch.
        keepdim: alias of `keepdims`, as in PyTorch.

    Returns:
        A tensor of x's shape without the axes. The gradient of a norm that is 0 is 0.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, or `ord` is infinite and there is no element.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.vector_norm(st.tensor([3.0, 4.0])).item()
        5.0
    """
    x = as_tensor(x)
    if x.dtype.is_float and x.dtype.itemsize == 2:
        return in_float32(vector_norm, x, axis=axis, keepdims=keepdims, ord=ord)
    x = abs(x)
    if ord == math.inf:
        return amax(x, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return amin(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(cast(x != 0, x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(x, axis=axis, keepdims=keepdims)
    if ord == 2:
        return root(sum(x * x, axis=axis, keepdims=keepdims))
    total = sum(x**ord, axis=axis, keepdims=keepdims)
    return root(total, ord) if ord > 0 else total ** (1.0 / ord)


def norm(x: ArrayLike, p: float | str = 2, dim: Axis = None, keepdim: bool = False) -> Tensor:
    """Computes the p-norm of vectors; PyTorch's name for `st.linalg.vector_norm`.

    Args:
        x: any shape and dtype.
        p: the order; "fro" is 2.
        dim: the axes that make up a vector; all by default.
        keepdim: whether the axes stay, with extent 1.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice, or `p` is infinite and there is no element.

    Example:
        >>> import spiraltorch as st
        >>> st.norm(st.tensor([3.0, -4.0]), p=1).item()
        7.0
    """
    return vector_norm(x, axis=dim, keepdims=keepdim, ord=2 if p == "fro" else p)  # type: ignore[arg-type]
