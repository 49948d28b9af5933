"""Tensors from Python values, NumPy arrays and DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, as_dtype, default_float, default_int, promote
from ..dtypes import from_numpy as dtype_of
from ..errors import ArgumentError, DTypeError, ShapeError
from ..graph import build
from ..graph.node import aval_of, leaf
from ..runtime import device as devices
from ..typing import ArrayLike, DeviceLike, DTypeLike, NDArray, Shape, ShapeLike, SupportsDLPack
from .aliasing import share_array
from .tensor import Tensor
from .tracing.tracer import node_of


def device_name(device: DeviceLike | None) -> str:
    """The canonical name of a device; of the default device for None."""
    return devices.default() if device is None else devices.canonical(str(device))


def as_shape(shape: ShapeLike | tuple[ShapeLike, ...], op: str = "shape") -> Shape:
    """A shape from an int, a sequence of ints, or a sequence in a tuple of one.

    Args:
        shape: the extents.
        op: the operation that errors name.

    Returns:
        A tuple of ints of at least 0.

    Raises:
        ShapeError: an extent is negative or not an int.
    """
    if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    try:
        extents = tuple([e.__index__() for e in shape])  # type: ignore[union-attr]  # not of ints: below
    except (TypeError, AttributeError):
        raise ShapeError(f"[{op}] expected a shape of ints, got {shape!r}; convert the extents to ints") from None
    if any(e < 0 for e in extents):
        raise ShapeError(f"[{op}] expected extents of at least 0, got {extents}; check the shape")
    return extents


def asarray(
    obj: ArrayLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Creates a tensor of numbers or of an array.

    Args:
        obj: a number, nested sequences of numbers or tensors, a NumPy array, a tensor, or an object with `__dlpack__`
            or `__array__`.
        dtype: the dtype of the result; by default an array's own, float32 for Python floats, int64 for Python ints.
        device: the device of the result; by default a tensor's own, else the default device.
        copy: whether the elements of an array are copied, which they are by default. False shares the array's memory: what
            is written to one of the two shows in the other.
        requires_grad: whether `backward` computes the tensor's gradient.

    Returns:
        A tensor of the shape of `obj`.

    Raises:
        DTypeError: `obj` is not a regular nesting of numbers, or the dtype cannot hold them.
        ArgumentError: `copy` is False, and the array has another dtype or the device other memory.

    Example:
        >>> import spiraltorch as st
        >>> st.asarray([1, 2, 3]).dtype
        spiraltorch.int64
    """
    requested = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Tensor):
        return _from_tensor(obj, requested, device, copy, requires_grad)
    if isinstance(obj, (list, tuple)) and any(isinstance(x, Tensor) for x in obj):
        near = next(x.device for x in obj if isinstance(x, Tensor)) if device is None else device
        return stacked([asarray(x, dtype=requested, device=near) for x in obj], 0)
    if not isinstance(obj, (np.ndarray, np.generic)) and hasattr(obj, "__dlpack__"):
        return from_dlpack(obj, dtype=requested, device=device, copy=copy is not False)  # type: ignore[arg-type]
    name = device_name(device)
    if copy is False and isinstance(obj, np.ndarray):
        result = _sharing(obj, requested, name, "asarray")
    else:
        array = _host_array(obj, requested)
        result = owning(array, name, copy=_is_memory_of(array, obj))
    return result.requires_grad_() if requires_grad else result


def owning(array: NDArray, device: str, copy: bool = False) -> Tensor:
    """A tensor of an array's elements. Without `copy` nothing else may change the array, and the tensor may use its memory."""
    return Tensor(leaf(devices.get(device).from_host(array, copy), aval_of(array.shape, dtype_of(array.dtype), device)))


def _is_memory_of(array: NDArray, obj: ArrayLike) -> bool:
    """Whether an array that was made from an object may be its memory."""
    if isinstance(obj, np.ndarray):
        return array is obj or array.base is not None
    return not isinstance(obj, (bool, int, float, list, tuple, np.generic))


def _sharing(array: NDArray, requested: DType | None, device: str, op: str) -> Tensor:
    """A tensor that shares the memory of an array, as `copy=False` asks."""
    dtype = dtype_of(array.dtype)
    if not array.dtype.isnative or requested not in (None, dtype) or not devices.get(device).host_memory:
        raise ArgumentError(
            f"[{op}] expected an array whose memory can be shared with copy=False, got dtype={array.dtype} for "
            f"dtype={requested or dtype} on device={device}; pass copy=None"
        )
    return share_array(array, aval_of(array.shape, dtype, device), Tensor)


def stacked(tensors: list[Tensor], axis: int) -> Tensor:
    """Joins tensors along a new axis, in their common dtype. Raises `ShapeError` where their shapes differ."""
    shape = tensors[0].shape
    if any(x.shape != shape for x in tensors):
        raise ShapeError(
            f"[stack] expected tensors of one shape, got {[x.shape for x in tensors]}; reshape or expand them first"
        )
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = promote(dtype, x.dtype)
    extended = (*shape[:axis], 1, *shape[axis:])
    return Tensor(build.concat(tuple([build.reshape(build.cast(node_of(x), dtype), extended) for x in tensors]), axis))


def _from_tensor(x: Tensor, dtype: DType | None, device: str | None, copy: bool | None, requires_grad: bool) -> Tensor:
    """A tensor in another dtype, on another device, or as a new handle."""
    result: Tensor = x if dtype is None else x.to(dtype)
    result = result if device is None else result.to(device)
    result = result.clone() if copy and result is x else result
    if not requires_grad:
        return result
    return (result.detach().clone() if copy else result.detach()).requires_grad_()


def _host_array(obj: ArrayLike, requested: DType | None) -> NDArray:
    """A C-contiguous NumPy array in native byte order, in the requested dtype or the default one of Python numbers."""
    typed = isinstance(obj, (np.ndarray, np.generic)) or hasattr(obj, "__array__")
    try:
        array = np.asarray(obj)
    except (ValueError, OverflowError) as error:
        raise DTypeError(
            f"[asarray] expected numbers in a regular nesting, got {type(obj).__name__}: {error}; "
            "make nested sequences equally long"
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
    target = (requested or dtype_of(array.dtype)).numpy
    with np.errstate(all="ignore"):
        return np.asarray(array, target, order="C")


def _require_fit(array: NDArray, dtype: DType) -> None:
    """Raises `DTypeError` for numbers that an integer dtype cannot hold."""
    info = np.iinfo(dtype.numpy)
    if array.dtype.kind in "iuf" and not (array.min() >= info.min and array.max() <= info.max):
        raise DTypeError(
            f"[asarray] expected numbers that {dtype.name} can hold, got {array.min()} to {array.max()}; "
            "choose a wider dtype"
        )


def tensor(
    data: ArrayLike, dtype: DTypeLike | None = None, device: DeviceLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Creates a new tensor with a copy of data.

    Args:
        data: a number, nested sequences of numbers or tensors, an array, or a tensor.
        dtype: the dtype of the result; by default an array's own, float32 for Python floats, int64 for Python ints.
        device: the device of the result; by default a tensor's own, else the default device.
        requires_grad: whether `backward` computes the tensor's gradient.

    Returns:
        A tensor of the shape of the data.

    Raises:
        DTypeError: `data` is not a regular nesting of numbers, or the dtype cannot hold them.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.5, 2.5]).tolist()
        [1.5, 2.5]
    """
    return asarray(data, dtype, device, copy=True, requires_grad=requires_grad)


def new_tensor(
    x: Tensor,
    data: ArrayLike,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Creates a tensor with a copy of data, by default of this dtype and on this device.

    Args:
        x: the tensor that gives dtype and device.
        data: numbers, nested sequences of numbers, or an array.
        dtype: the dtype of the result; x's by default.
        device: the device of the result; x's by default.
        requires_grad: whether `backward` computes its gradient.

    Returns:
        A tensor of the shape of the data.

    Raises:
        DTypeError: `data` is not a regular nesting of numbers, or the dtype cannot hold them.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(1).new_tensor([1, 2]).tolist()
        [1.0, 2.0]
    """
    return tensor(data, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def from_numpy(array: NDArray) -> Tensor:
    """Creates a tensor with a copy of a NumPy array. `asarray(array, copy=False)` shares its memory instead.

    Args:
        array: any shape, and a supported dtype.

    Returns:
        A tensor of the array's shape and dtype, on the default device.

    Raises:
        DTypeError: `array` is not a NumPy array, or its dtype is not supported.

    Example:
        >>> import numpy as np
        >>> import spiraltorch as st
        >>> st.from_numpy(np.arange(3)).tolist()
        [0, 1, 2]
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(
            f"[from_numpy] expected a NumPy array, got {type(array).__name__}; use asarray() for other values"
        )
    return asarray(array)


def from_dlpack(
    obj: SupportsDLPack, dtype: DTypeLike | None = None, device: DeviceLike | None = None, copy: bool | None = None
) -> Tensor:
    """Creates a tensor of another library's array, through DLPack.

    Args:
        obj: an array with `__dlpack__`, in host memory.
        dtype: the dtype of the result; the array's own by default.
        device: the device of the result; by default the default device.
        copy: True copies the elements; False shares the array's memory, so that what is written to one of the two shows
            in the other. By default it is shared where dtype and device allow it.

    Returns:
        A tensor of the array's shape.

    Raises:
        DTypeError: the dtype of the array is not supported.
        ArgumentError: `copy` is False, and the array has another dtype or the device other memory.

    Example:
        >>> import numpy as np
        >>> import spiraltorch as st
        >>> st.from_dlpack(np.ones(2)).tolist()
        [1.0, 1.0]
    """
    if type(obj).__module__.partition(".")[0] == "torch":  # NumPy has no bfloat16: read its bits
        torch_tensor: Any = obj
        torch_tensor = torch_tensor.detach()
        if str(torch_tensor.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch  # type: ignore[import-not-found,unused-ignore]

            bits = torch_tensor.contiguous().view(torch.int16).numpy()
            return _from_array(bits.view(ml_dtypes.bfloat16), dtype, device, copy)
        obj = torch_tensor
    if not hasattr(obj, "__dlpack__"):
        raise ArgumentError(
            f"[from_dlpack] expected an array with __dlpack__, got {type(obj).__name__}; use st.asarray for other values"
        )
    return _from_array(np.from_dlpack(obj), dtype, device, copy)  # type: ignore[arg-type]  # NumPy's protocol is narrower


def _from_array(array: NDArray, dtype: DTypeLike | None, device: DeviceLike | None, copy: bool | None) -> Tensor:
    """A tensor of an array that shares another library's memory."""
    name, requested = device_name(device), None if dtype is None else as_dtype(dtype)
    fits = requested in (None, dtype_of(array.dtype)) and devices.get(name).host_memory
    if copy is False or (copy is None and fits):
        return _sharing(array, requested, name, "from_dlpack")
    return asarray(array, dtype, device)
