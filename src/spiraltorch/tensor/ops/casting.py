"""Conversions of dtype and copies between devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dtypes import BY_NAME, DType, as_dtype, float32
from ...errors import DTypeError
from ...runtime import device as devices
from ...typing import NDArray
from ..dispatch import (
    P,
    handle,
    nary,
    see,
)
from ..tensor import Tensor, evaluated


def cast(x: Any, dtype: Any) -> Tensor:
    """x as another dtype; floats are truncated towards zero on the way to integers.

    >>> import spiraltorch as st
    >>> cast(st.tensor([1.7, -1.7]), st.int32).tolist()
    [1, -1]
    """
    x = handle(x)
    wanted = as_dtype(dtype)
    return x if x.dtype is wanted else nary(P["cast"], (see(x),), (wanted,))


def astype(x: Any, dtype: Any, copy: bool = True, device: Any = None) -> Tensor:
    """The array API's name of `cast`; tensors never change under a reader, so no copy is needed.

    >>> astype(handle([1.5, -1.5]), "int64").tolist()
    [1, -1]
    """
    return to(handle(x), dtype=dtype, device=device)


def to(x: Tensor, *args: Any, dtype: Any = None, device: Any = None, **ignored: Any) -> Tensor:
    """x as another dtype, on another device, or both; itself where nothing changes.

    >>> import spiraltorch as st
    >>> to(st.ones(2), st.float64).dtype
    spiraltorch.float64
    """
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, DType) or a in (float, int, bool):
            dtype = a
        elif isinstance(a, str) and a not in BY_NAME:
            device = a
        else:
            dtype = a
    made = x if dtype is None else cast(x, dtype)
    if device is None:
        return made
    name = devices.canonical(str(device))
    return made if name == made.device else nary(P["to_device"], (see(made),), (name,))


def need_float(x: Tensor, op: str) -> None:
    """Raises `DTypeError` for a tensor that is not floating."""
    if not x.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {x.dtype.name}; cast with .to(st.float32)")


def in_float32(function: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Computes a function of a 16-bit or integer tensor in float32; a 16-bit result is rounded once, at the end."""
    result = function(cast(x, float32), *args, **kwargs)
    return cast(result, x.dtype) if x.dtype.is_float else result


def host_values(x: Tensor, op: str) -> NDArray:
    """The elements that the result's shape or a check depends on. Raises `TracingError` for `op` while recording."""
    node = evaluated(x, op)
    values: NDArray = devices.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
    return values
