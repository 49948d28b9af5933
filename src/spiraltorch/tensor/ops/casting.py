"""Conversions of dtype, copies between devices, and values that are needed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dtypes import BY_NAME, DType, as_dtype, float32
from ...errors import DTypeError
from ...runtime import device as devices
from ...typing import ArrayLike, DeviceLike, DTypeLike, NDArray
from ..dispatch import P, as_tensor, nary, node_of, unshared
from ..tensor import Tensor, evaluated


def cast(x: ArrayLike, dtype: DTypeLike) -> Tensor:
    """Converts to another dtype.

    Args:
        x: any shape and dtype.
        dtype: the dtype of the result. Floating values are truncated towards zero on the way to integers.

    Returns:
        A tensor of x's shape; `x` itself where it has the dtype already.

    Raises:
        DTypeError: `dtype` is not a dtype or the name of one.

    Example:
        >>> import spiraltorch as st
        >>> st.cast(st.tensor([1.7, -1.7]), st.int32).tolist()
        [1, -1]
    """
    x = as_tensor(x)
    target = as_dtype(dtype)
    return x if x.dtype is target else nary(P["cast"], (node_of(x),), (target,))


def astype(x: ArrayLike, dtype: DTypeLike, copy: bool = True, device: DeviceLike | None = None) -> Tensor:
    """Converts to another dtype, and copies to another device; the array API's name for `cast`.

    Args:
        x: any shape and dtype.
        dtype: the dtype of the result. Floating values are truncated towards zero on the way to integers.
        copy: whether the result is independent of x where neither dtype nor device changes; otherwise it is x itself.
        device: the device of the result; None for x's.

    Returns:
        A tensor of x's shape.

    Raises:
        DTypeError: `dtype` is not a dtype or the name of one.
        DeviceError: `device` is not the name of a device.

    Example:
        >>> import spiraltorch as st
        >>> st.astype(st.tensor([1.5, -1.5]), "int64").tolist()
        [1, -1]
    """
    return to(as_tensor(x), dtype=dtype, device=device, copy=copy)


def to(
    x: Tensor,
    *args: Tensor | DTypeLike | DeviceLike | None,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: object = None,
) -> Tensor:
    """Converts to another dtype, another device, or both.

    Args:
        x: any shape and dtype.
        *args: dtypes, device names, or a tensor whose dtype and device are taken, as in PyTorch.
        dtype: the dtype of the result; None for x's.
        device: the device of the result; None for x's.
        non_blocking: accepted for compatibility with PyTorch; nothing waits in any case.
        copy: whether the result is independent of x where nothing changes; otherwise it is x itself.
        memory_format: accepted for compatibility with PyTorch; results lie in row-major order.

    Returns:
        A tensor of x's shape; `x` itself where nothing changes.

    Raises:
        DTypeError: an argument is not a dtype or the name of one.
        DeviceError: an argument is not the name of a device.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2).to(st.float64).dtype
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
    result = x if dtype is None else cast(x, dtype)
    name = result.device if device is None else devices.canonical(str(device))
    if name != result.device:
        return nary(P["to_device"], (node_of(result),), (name,))
    return unshared(x) if copy and result is x else result


def require_float(x: Tensor, op: str) -> None:
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
