"""What PyTorch's methods say about a tensor: extents, strides, memory, dtype and device."""

from __future__ import annotations

from collections.abc import Callable
from typing import SupportsIndex, overload

from ...errors import DeviceError
from ...runtime import device as devices
from ...typing import Shape
from ..aliasing import View, array_of, is_row_major, strides_of
from ..arguments import axis_of
from ..layout import Path, contiguous_strides, name_of
from ..tensor import Tensor, evaluated


def numel(x: Tensor) -> int:
    """Returns the number of elements.

    Args:
        x: any shape and dtype.

    Returns:
        The product of the extents.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).numel()
        6
    """
    return int(x.size)


def dim(x: Tensor) -> int:
    """Returns the number of axes.

    Args:
        x: any shape and dtype.

    Returns:
        The rank, as `x.ndim`.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).dim()
        2
    """
    return x.ndim


def element_size(x: Tensor) -> int:
    """Returns the size of an element in bytes.

    Args:
        x: any shape and dtype.

    Returns:
        The number of bytes, as `x.itemsize`.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).element_size()
        4
    """
    return x.itemsize


def is_floating_point(x: Tensor) -> bool:
    """Tests whether the dtype is floating.

    Args:
        x: any shape and dtype.

    Returns:
        Whether it is one of float16, bfloat16, float32 and float64.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).is_floating_point()
        True
    """
    return x.dtype.is_float


def is_contiguous(x: Tensor) -> bool:
    """Tests whether the elements lie side by side in row-major order: those of views may not.

    Args:
        x: any shape and dtype.

    Returns:
        False for views such as a transposed matrix or every second element; True for all other tensors.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).is_contiguous(), st.zeros(2, 3).T.is_contiguous()
        (True, False)
    """
    return is_row_major(x)


def is_complex(x: Tensor) -> bool:
    """Tests whether the dtype is complex, which no dtype is yet.

    Args:
        x: any shape and dtype.

    Returns:
        Whether the dtype is neither of booleans, of integers nor floating.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).is_complex()
        False
    """
    return x.dtype.kind not in "biuf"


def is_signed(x: Tensor) -> bool:
    """Tests whether the dtype has negative numbers.

    Args:
        x: any shape and dtype.

    Returns:
        True for floating dtypes and signed integers.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).is_signed(), st.zeros(2, dtype=st.uint8).is_signed()
        (True, False)
    """
    return x.dtype.kind not in "bu"


def is_same_size(x: Tensor, other: Tensor) -> bool:
    """Tests whether two tensors have one shape.

    Args:
        x: any shape and dtype.
        other: any shape and dtype.

    Returns:
        Whether the shapes are equal.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).is_same_size(st.zeros(3, 2))
        False
    """
    return x.shape == other.shape


def is_nonzero(x: Tensor) -> bool:
    """Tests whether the only element is not 0, as `bool(x)` does. The value is evaluated immediately.

    Args:
        x: one element, any dtype.

    Returns:
        Whether it is not 0.

    Raises:
        ArgumentError: the tensor has more or less than one element.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.5]).is_nonzero()
        True
    """
    return bool(x)


# ---------------------------------------------------------------- memory


@overload
def stride(x: Tensor, dim: None = None) -> Shape: ...
@overload
def stride(x: Tensor, dim: SupportsIndex) -> int: ...
def stride(x: Tensor, dim: SupportsIndex | None = None) -> Shape | int:
    """Returns the distances between neighbouring elements along the axes, in elements.

    Those of a view are the distances among the elements of the tensor that it shows.

    Args:
        x: any shape and dtype.
        dim: the axis; None for all of them.

    Returns:
        A tuple of ints, or an int.

    Raises:
        IndexOutOfRange: there is no such axis.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).stride(), st.zeros(2, 3).T.stride(0)
        ((3, 1), 1)
    """
    strides, _ = _position(x)
    return strides if dim is None else strides[axis_of(dim, x.ndim, "stride", scalar=False)]


def storage_offset(x: Tensor) -> int:
    """Returns the position of a view's first element among the elements of the tensor that it shows.

    Args:
        x: any shape and dtype.

    Returns:
        A number of elements; 0 for tensors that are no views.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3)[1, 1:].storage_offset()
        4
    """
    return _position(x)[1]


def data_ptr(x: Tensor) -> int:
    """Returns the address of the first element. The value is evaluated immediately.

    Tensors that share elements have one address, plus the distance of their first elements. It holds until one of them is
    written to: an update gives the elements other memory. A copy (`clone`) has its original's address as long as neither
    was written to since.

    Args:
        x: any shape and dtype.

    Returns:
        The address in the process's memory.

    Raises:
        DeviceError: the host cannot address the device's memory.
        TracingError: while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> x = st.zeros(2, 3)
        >>> x[1].data_ptr() - x.data_ptr()
        12
    """
    device = devices.get(x.device)
    if not device.host_memory:
        raise DeviceError(
            f"[data_ptr] expected a device whose memory the host can address, got {str(x.device)!r}; use .cpu()"
        )
    offset = _position(x)[1]
    base: Tensor | None = x
    array = array_of(x)
    if type(x._alias) is View:
        family = x._alias.family
        array, base = family.array, None if family.base is None else family.base()
        if array is None and base is None:  # no other view shows any of the elements
            offset, base = 0, x
    if array is None:
        assert base is not None
        node = evaluated(base, "data_ptr")
        array = device.to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
    address: int = array.__array_interface__["data"][0]
    return address + offset * x.itemsize


def _position(x: Tensor) -> tuple[Shape, int]:
    """The strides and the offset of a tensor among the elements of its base; its own, where it is no view."""
    alias, strides = x._alias, strides_of(x)
    if type(alias) is not View or strides is None:
        return contiguous_strides(x.shape), 0
    return strides, _offset(alias.path, alias.family.aval.shape)


def _offset(path: Path, shape: Shape) -> int:
    """The position of the first element at the end of a path, in a base of a shape that is in row-major order."""
    shapes = [shape, *[step.aval.shape for step in path]]
    index = (0,) * len(shapes[-1])
    for step, before, after in zip(reversed(path), reversed(shapes[:-1]), reversed(shapes[1:]), strict=True):
        name, params = name_of(step), step.params
        if name == "slice":
            index = tuple([first + i * by for i, first, by in zip(index, params[0], params[2], strict=True)])
        elif name == "flip":
            index = tuple(
                [e - 1 - i if d in params[0] else i for d, (i, e) in enumerate(zip(index, before, strict=True))]
            )
        elif name == "permute":
            index = tuple([index[params[0].index(d)] for d in range(len(before))])
        elif name == "expand":  # the first of equal elements
            last = index[len(index) - len(before) :]
            index = tuple([min(i, e - 1) if e else i for i, e in zip(last, before, strict=True)])
        elif name == "windows":
            axes, _, by, dilations = params
            inner, outer = index[len(before) :], list(index[: len(before)])
            for a, k, n, dilation in zip(axes, inner, by, dilations, strict=True):
                outer[a] = outer[a] * n + k * dilation
            index = tuple(outer)
        elif name == "reshape":
            index = _unraveled(_raveled(index, after), before)
    return _raveled(index, shape)


def _raveled(index: Shape, shape: Shape) -> int:
    """The position of an element in row-major order."""
    return sum([i * s for i, s in zip(index, contiguous_strides(shape), strict=True)])


def _unraveled(position: int, shape: Shape) -> Shape:
    """The index of the element at a position in row-major order."""
    return tuple([position // max(s, 1) % max(e, 1) for s, e in zip(contiguous_strides(shape), shape, strict=True)])


# ---------------------------------------------------------------- devices

# PyTorch's attributes that name a type of device: `x.is_cuda` is `x.device.type == "cuda"`.
DEVICE_FLAGS = ("cpu", "cuda", "mps")
_FLAG_DOC = """Whether the device's type is {kind}, as in PyTorch."""


def device_flag(kind: str) -> Callable[[Tensor], bool]:
    """The attribute of one type of device."""

    def flag(x: Tensor) -> bool:
        return x.device.type == kind

    flag.__name__ = flag.__qualname__ = f"is_{kind}"
    flag.__doc__ = _FLAG_DOC.format(kind=kind)
    return flag


def get_device(x: Tensor) -> int:
    """Returns the number of the device among those of its backend.

    Args:
        x: any shape and dtype.

    Returns:
        `x.device.index`, which is 0 for the first device; -1 where its memory is the host's own.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).get_device()
        -1
    """
    return -1 if devices.get(x.device).host_memory else x.device.index
