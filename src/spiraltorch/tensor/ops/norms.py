"""Norms of vectors."""

from __future__ import annotations

import math
from typing import Any

from ..arguments import torch_spellings
from ..dispatch import handle
from ..tensor import Tensor
from .casting import cast, in_float32
from .extrema import amax, amin
from .reduction import _root, sum
from .unary import abs


@torch_spellings
def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The p-norm over axes.

    >>> import spiraltorch as st
    >>> vector_norm(st.tensor([3.0, 4.0])).item()
    5.0
    """
    x = handle(x)
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
