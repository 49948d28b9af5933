"""PyTorch's methods that copy or convert a tensor, and those that give another tensor's shape to it."""

from __future__ import annotations

from collections.abc import Callable

from ... import dtypes
from ...dtypes import DType
from ...graph import build
from ...runtime import device as devices
from ...typing import ArrayLike, Axis, ShapeLike
from ..aliasing import is_row_major
from ..arguments import axes_of, sequence_argument
from ..dispatch import node_of, unshared
from ..ops import casting, selection
from ..ops.shape import unpacked
from ..tensor import Tensor


def contiguous(x: Tensor) -> Tensor:
    """Copies the elements into row-major order, where they do not lie so.

    Args:
        x: any shape and dtype.

    Returns:
        The tensor itself, or a copy, as `is_contiguous` tells.

    Example:
        >>> import spiraltorch as st
        >>> x = st.zeros(2, 3)
        >>> x.contiguous() is x, x.T.contiguous().is_contiguous()
        (True, True)
    """
    return x if is_row_major(x) else Tensor(node_of(x))


def cpu(x: Tensor) -> Tensor:
    """Copies the tensor to the CPU, as `to("cpu")` does.

    Args:
        x: any shape and dtype.

    Returns:
        A tensor on `cpu:0`; `x` itself where it is there already.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).cpu().device
        'cpu:0'
    """
    return casting.to(x, "cpu")


def cuda(x: Tensor, device: int | str | None = None) -> Tensor:
    """Copies the tensor to a CUDA device, as `to("cuda")` does.

    Args:
        x: any shape and dtype.
        device: the number or the name of the device; the first one by default.

    Returns:
        A tensor on that device; `x` itself where it is there already.

    Raises:
        DeviceError: there is no such device here.

    Example:
        >>> import spiraltorch as st
        >>> try:
        ...     st.zeros(2).cuda()
        ... except st.DeviceError:
        ...     print("no CUDA device")
        no CUDA device
    """
    return casting.to(x, device if isinstance(device, str) else devices.canonical("cuda", device))


def clone(x: Tensor) -> Tensor:
    """Creates a tensor of the same value; in-place updates of either leave the other as it is.

    Args:
        x: any shape and dtype.

    Returns:
        A new tensor, through which gradients flow to `x`.

    Example:
        >>> import spiraltorch as st
        >>> x = st.zeros(2)
        >>> x.clone().add_(1).tolist(), x.tolist()
        ([1.0, 1.0], [0.0, 0.0])
    """
    return unshared(x)


def positive(x: Tensor) -> Tensor:
    """Returns the tensor itself, as PyTorch does. The function `st.positive` copies it, as NumPy's does.

    Args:
        x: any shape and dtype.

    Returns:
        The tensor itself.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([-1.0])
        >>> x.positive() is x, st.positive(x) is x
        (True, False)
    """
    return x


def conj(x: Tensor) -> Tensor:
    """Returns the tensor itself, as no dtype is complex. The function `st.conj` copies it, as NumPy's does.

    Args:
        x: any shape and dtype.

    Returns:
        The tensor itself.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([-1.0])
        >>> x.conj() is x, st.conj(x) is x
        (True, False)
    """
    return x


def detach_(x: Tensor) -> Tensor:
    """Ends the flow of gradients through this tensor, in place.

    Args:
        x: any shape and dtype.

    Returns:
        The tensor itself, which then requires no gradient.

    Example:
        >>> import spiraltorch as st
        >>> (st.ones(2, requires_grad=True) * 2).detach_().requires_grad
        False
    """
    x.node = build.stop_gradient(node_of(x)) if x.requires_grad else x.node
    return x


def flip(x: Tensor, *dims: ShapeLike, axis: Axis = None, dim: Axis = None, **named: ShapeLike) -> Tensor:
    """Copies the elements in reversed order along axes. The function `st.flip` gives a view instead, as NumPy's does.

    Args:
        x: any shape and dtype.
        *dims: the axes that are reversed, as separate ints or as one sequence; all by default.
        axis: the same, as the array API names it.
        dim: alias of `axis`.
        **named: `dims`, the same as one sequence by name.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).flip(0, 1).tolist()
        [[4, 3], [2, 1]]
    """
    if named:
        dims = sequence_argument("flip", dims, named, "dims")
    chosen = axis if axis is not None else dim
    axes = chosen if not dims else unpacked(dims)
    return Tensor(build.flip(node_of(x), axes_of(axes, x.ndim, "flip")))


def where(x: Tensor, condition: ArrayLike, other: ArrayLike) -> Tensor:
    """Keeps elements where a condition holds, and takes those of `other` elsewhere.

    Args:
        x: any shape and dtype.
        condition: booleans, any shape that broadcasts with x's.
        other: a number, or any shape that broadcasts with both.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([1, -2])
        >>> x.where(x > 0, 0).tolist()
        [1, 0]
    """
    return selection.where(condition, x, other)


_CAST_DOC = """Converts to {name}, as `to(st.{name})` does.

    Args:
        x: any shape and dtype.

    Returns:
        A tensor of x's shape; `x` itself where it has the dtype already.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0, 1]).{method}().dtype
        spiraltorch.{name}
    """


def cast_method(method: str, dtype: DType) -> Callable[[Tensor], Tensor]:
    """A method without arguments that converts to one dtype."""

    def convert(x: Tensor) -> Tensor:
        return casting.cast(x, dtype)

    convert.__name__ = convert.__qualname__ = method
    convert.__doc__ = _CAST_DOC.format(method=method, name=dtype.name)
    return convert


CASTS = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
    "int": dtypes.int32, "long": dtypes.int64, "short": dtypes.int16,
    "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_,
}  # fmt: skip
