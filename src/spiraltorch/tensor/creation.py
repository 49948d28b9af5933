"""Tensors from Python values, NumPy arrays and DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, as_dtype, default_float, default_int, from_numpy, promote
from ..errors import DTypeError, ShapeError
from ..graph import build
from ..graph.node import aval_of, leaf
from ..runtime import device as devices
from ..typing import DeviceLike
from .tensor import Tensor
from .tracing.tracer import node_of


def device_name(device: DeviceLike | None) -> str:
    """The canonical name of a device; of the default device for None."""
    return devices.default() if device is None else devices.canonical(str(device))


def as_shape(shape: Any, op: str = "shape") -> tuple[int, ...]:
    """A tuple of non-negative ints from an int, a sequence of ints, or nested arguments. Raises `ShapeError`."""
    if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    try:
        made = tuple([s.__index__() for s in shape])
    except (TypeError, AttributeError):
        raise ShapeError(f"[{op}] expected a shape of ints, got {shape!r}") from None
    if any(e < 0 for e in made):
        raise ShapeError(f"[{op}] expected extents of at least 0, got {made}")
    return made


def asarray(
    obj: Any, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor from numbers, nested lists, a NumPy array or anything with `__dlpack__`.

    A C-contiguous NumPy array is shared, not copied, unless `copy` is True or it must be cast. Python floats become
    float32, ints int64. Raises `DTypeError` for what is no array of numbers.

    >>> asarray([1, 2, 3]).dtype
    spiraltorch.int64
    """
    requested = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Tensor):
        return _from_tensor(obj, requested, device, copy, requires_grad)
    if isinstance(obj, (list, tuple)) and any(isinstance(x, Tensor) for x in obj):
        near = next(x.device for x in obj if isinstance(x, Tensor)) if device is None else device
        return stacked([asarray(x, dtype=requested, device=near) for x in obj], 0)
    if not isinstance(obj, (np.ndarray, np.generic)) and hasattr(obj, "__dlpack__"):
        return from_dlpack(obj, dtype=requested, device=device)
    array = _host_array(obj, requested, copy)
    name = device_name(device)
    result = Tensor(leaf(devices.get(name).from_host(array), aval_of(array.shape, from_numpy(array.dtype), name)))
    return result.requires_grad_() if requires_grad else result


def stacked(tensors: list[Tensor], axis: int) -> Tensor:
    """Joins tensors along a new axis, in their common dtype. Raises `ShapeError` where their shapes differ."""
    shape = tensors[0].shape
    if any(x.shape != shape for x in tensors):
        raise ShapeError(f"[stack] expected one shape, got {[x.shape for x in tensors]}")
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = promote(dtype, x.dtype)
    extended = (*shape[:axis], 1, *shape[axis:])
    return Tensor(build.concat(tuple([build.reshape(build.cast(node_of(x), dtype), extended) for x in tensors]), axis))


def _from_tensor(x: Tensor, dtype: DType | None, device: str | None, copy: bool | None, requires_grad: bool) -> Tensor:
    """A tensor in another dtype, on another device, or as a new handle."""
    result: Tensor = x if dtype is None else x.to(dtype)
    result = result if device is None else result.to(device)
    result = result + 0 if copy and result is x and not x.dtype.is_bool else result
    return result.detach().requires_grad_() if requires_grad else result


def _host_array(obj: Any, requested: DType | None, copy: bool | None) -> Any:
    """A C-contiguous NumPy array in native byte order, in the requested dtype or the default one of Python numbers."""
    typed = isinstance(obj, (np.ndarray, np.generic)) or hasattr(obj, "__array__")
    try:
        array = np.asarray(obj)
    except (ValueError, OverflowError) as error:
        raise DTypeError(
            f"[asarray] expected numbers in a regular nesting, got {type(obj).__name__}: {error}"
        ) from None
    if requested is None and not typed:
        if array.dtype.kind == "f" or array.size == 0:
            requested = default_float
        elif array.dtype.kind in "iu":
            requested = default_int
    if array.dtype.kind not in "biufV":
        raise DTypeError(
            f"[asarray] expected numbers, got an array of dtype {array.dtype}; convert it to a number dtype first"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if requested is not None and not typed and requested.is_integer and array.size:
        _require_fit(array, requested)
    target = (requested or from_numpy(array.dtype)).numpy
    with np.errstate(all="ignore"):
        return np.array(array, target, order="C") if copy else np.asarray(array, target, order="C")


def _require_fit(array: Any, dtype: DType) -> None:
    """Raises `DTypeError` for numbers that an integer dtype cannot hold."""
    info = np.iinfo(dtype.numpy)
    if array.dtype.kind in "iuf" and not (array.min() >= info.min and array.max() <= info.max):
        raise DTypeError(f"[asarray] expected numbers that {dtype.name} can hold, got {array.min()} to {array.max()}")


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`; PyTorch's spelling of `asarray(copy=True)`.

    >>> tensor([1.5, 2.5]).tolist()
    [1.5, 2.5]
    """
    return asarray(data, dtype, device, copy=True, requires_grad=requires_grad)


def from_numpy_array(array: Any) -> Tensor:
    """A tensor that shares the array's memory where that is C-contiguous.

    >>> from_numpy_array(np.arange(3)).tolist()
    [0, 1, 2]
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"[from_numpy] expected a NumPy array, got {type(array).__name__}")
    return asarray(array)


def from_dlpack(obj: Any, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor from anything that speaks DLPack on the host, sharing memory where the layout allows it.

    >>> from_dlpack(np.ones(2)).tolist()
    [1.0, 1.0]
    """
    name = type(obj).__module__.partition(".")[0]
    if name == "torch":  # torch's bfloat16 has no NumPy twin: read its bits
        obj = obj.detach()
        if str(obj.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch  # type: ignore[import-not-found,unused-ignore]

            return asarray(obj.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16), dtype, device, copy)
    return asarray(np.from_dlpack(obj), dtype, device, copy)
