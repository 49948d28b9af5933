"""Tensors filled with one value."""

from __future__ import annotations

from typing import Any

from ..dtypes import as_dtype, bool_, default_float, default_int
from ..graph import build
from .creation import as_shape, device_name
from .dispatch import fit
from .tensor import Tensor


def full(shape: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with one number everywhere; the dtype follows the number unless given.

    >>> import spiraltorch as st
    >>> full((2,), 7).tolist()
    [7, 7]
    """
    if isinstance(fill_value, Tensor):
        made = fill_value.to(dtype) if dtype is not None else fill_value
        return made.expand(as_shape(shape, "full"))  # type: ignore[no-any-return]
    if dtype is None:
        dtype = bool_ if isinstance(fill_value, bool) else default_int if isinstance(fill_value, int) else default_float
    wanted = as_dtype(dtype)
    made = Tensor(build.full(as_shape(shape, "full"), fit(fill_value, wanted), wanted, device_name(device)))
    return made.requires_grad_() if requires_grad else made


def zeros(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros: `zeros(2, 3)` or `zeros((2, 3))`; float32 unless given.

    >>> import spiraltorch as st
    >>> zeros(2).tolist()
    [0.0, 0.0]
    """
    return full(_varargs(shape), 0, dtype or default_float, device, requires_grad)


def ones(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones; see `zeros`.

    >>> import spiraltorch as st
    >>> ones(2).tolist()
    [1.0, 1.0]
    """
    return full(_varargs(shape), 1, dtype or default_float, device, requires_grad)


def empty(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose elements mean nothing yet (they are zeros).

    >>> import spiraltorch as st
    >>> empty(2, 3).shape
    (2, 3)
    """
    return zeros(*shape, dtype=dtype, device=device, requires_grad=requires_grad)


def _varargs(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


def _like(x: Tensor, value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    return full(x.shape, value, dtype or x.dtype, device or x.device, requires_grad)


def zeros_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of `x`.

    >>> import spiraltorch as st
    >>> zeros_like(st.tensor([1, 2])).tolist()
    [0, 0]
    """
    return _like(x, 0, dtype, device, requires_grad)


def ones_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of `x`.

    >>> import spiraltorch as st
    >>> ones_like(st.tensor([1, 2])).tolist()
    [1, 1]
    """
    return _like(x, 1, dtype, device, requires_grad)


def full_like(x: Tensor, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One number in the shape and dtype of `x`.

    >>> import spiraltorch as st
    >>> full_like(st.tensor([1, 2]), 7).tolist()
    [7, 7]
    """
    return _like(x, fill_value, dtype, device, requires_grad)


def empty_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """See `empty`.

    >>> import spiraltorch as st
    >>> empty_like(st.tensor([1, 2])).shape
    (2,)
    """
    return _like(x, 0, dtype, device, requires_grad)
