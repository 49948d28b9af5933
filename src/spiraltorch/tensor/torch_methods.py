"""Methods of `Tensor` that PyTorch has and the array API has no function for. `methods` attaches them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from .. import dtypes
from ..dtypes import DType
from ..errors import ShapeError
from ..graph import build
from ..typing import ArrayLike, Axis, ShapeLike
from .aliasing import is_row_major
from .arguments import axes_of
from .dispatch import node_of
from .ops import broadcasting, casting, reduction, selection
from .ops.shape import unpacked, view
from .tensor import Tensor

# ---------------------------------------------------------------- facts


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
    return x.size


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


# ---------------------------------------------------------------- values


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
    return Tensor(build.barrier(node_of(x)) if x.requires_grad else node_of(x))


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


def flip(x: Tensor, *dims: ShapeLike, axis: Axis = None, dim: Axis = None) -> Tensor:
    """Copies the elements in reversed order along axes. The function `st.flip` gives a view instead, as NumPy's does.

    Args:
        x: any shape and dtype.
        *dims: the axes that are reversed, as separate ints or as one sequence; all by default.
        axis: the same, as the array API names it.
        dim: alias of `axis`.

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
    named = axis if axis is not None else dim
    axes = named if not dims else unpacked(dims)
    return Tensor(build.flip(node_of(x), axes_of(axes, x.ndim, "flip")))


def where(x: Tensor, condition: ArrayLike, y: ArrayLike) -> Tensor:
    """Keeps elements where a condition holds, and takes those of `y` elsewhere.

    Args:
        x: any shape and dtype.
        condition: booleans, any shape that broadcasts with x's.
        y: a number, or any shape that broadcasts with both.

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
    return selection.where(condition, x, y)


# ---------------------------------------------------------------- shapes


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """Repeats a tensor to another tensor's shape, without a copy.

    Args:
        x: any shape that broadcasts to other's, any dtype.
        other: a tensor of the shape of the result.

    Returns:
        A tensor of x's dtype and other's shape.

    Raises:
        ShapeError: x's shape does not broadcast to other's.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(3).expand_as(st.zeros(2, 3)).shape
        (2, 3)
    """
    return broadcasting.broadcast_to(x, other.shape)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """Reshapes the tensor to another tensor's shape; the elements stay in row-major order.

    Args:
        x: any shape and dtype.
        other: a tensor of as many elements.

    Returns:
        A tensor of x's dtype and other's shape.

    Raises:
        ShapeError: the numbers of elements differ.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(6).view_as(st.zeros(2, 3)).shape
        (2, 3)
    """
    return view(x, other.shape)


def t(x: Tensor) -> Tensor:
    """Transposes a matrix.

    Args:
        x: at most 2 axes, any dtype.

    Returns:
        The matrix with its axes exchanged; tensors of fewer axes as they are.

    Raises:
        ShapeError: x has more than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).t().shape
        (3, 2)
    """
    if x.ndim > 2:
        raise ShapeError(f"[t] expected at most 2 axes, got shape {x.shape}; use .mT or .permute()")
    return x.T if x.ndim == 2 else x


# ---------------------------------------------------------------- conversions and moments

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
    "int": dtypes.int32, "long": dtypes.int64, "bool": dtypes.bool_,
}  # fmt: skip


@overload
def var(
    x: Tensor,
    axis: Axis = None,
    correction: float = 0,
    keepdims: bool = False,
    *,
    keepdim: bool = False,
    unbiased: bool = False,
) -> Tensor: ...
@overload
def var(x: Tensor, *, dim: Axis, correction: float = 1, keepdim: bool = False, unbiased: bool = True) -> Tensor: ...
def var(x: Tensor, *args: object, **kwargs: object) -> Tensor:
    """Computes the variance over axes, as `st.var`; with PyTorch's arguments the divisor is PyTorch's.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        *args: `axis`, `correction` and `keepdims` of `st.var`; `correction` is 0 unless given.
        **kwargs: the same; or PyTorch's `dim` and `keepdim`, with which `correction` is 1 unless given, and
            `unbiased`, which stands for a correction of 1.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([1.0, 3.0])
        >>> x.var().item(), x.var(dim=0).item()
        (1.0, 2.0)
    """
    return reduction.var(x, *args, **_with_torch_correction(kwargs))  # type: ignore[arg-type]  # the overloads check


@overload
def std(
    x: Tensor,
    axis: Axis = None,
    correction: float = 0,
    keepdims: bool = False,
    *,
    keepdim: bool = False,
    unbiased: bool = False,
) -> Tensor: ...
@overload
def std(x: Tensor, *, dim: Axis, correction: float = 1, keepdim: bool = False, unbiased: bool = True) -> Tensor: ...
def std(x: Tensor, *args: object, **kwargs: object) -> Tensor:
    """Computes the standard deviation over axes, as `st.std`; with PyTorch's arguments the divisor is PyTorch's.

    Args:
        x: any shape. Integers and booleans are converted to float32.
        *args: `axis`, `correction` and `keepdims` of `st.std`; `correction` is 0 unless given.
        **kwargs: the same; or PyTorch's `dim` and `keepdim`, with which `correction` is 1 unless given, and
            `unbiased`, which stands for a correction of 1.

    Returns:
        A floating tensor of x's shape without the axes. NaN where the divisor is not positive.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, 3.0]).std(dim=0, unbiased=False).item()
        1.0
    """
    return reduction.std(x, *args, **_with_torch_correction(kwargs))  # type: ignore[arg-type]  # the overloads check


def _with_torch_correction(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments with `correction` in place of `unbiased`; 1 beside `dim`, which is PyTorch's default."""
    if "unbiased" in kwargs:
        kwargs = {**kwargs, "correction": int(kwargs["unbiased"])}
        del kwargs["unbiased"]
    elif "dim" in kwargs and "correction" not in kwargs:
        kwargs = {**kwargs, "correction": 1}
    return kwargs
