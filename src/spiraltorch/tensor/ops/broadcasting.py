"""Views repeated to a larger shape by NumPy's broadcasting rules."""

from __future__ import annotations

from ...errors import ShapeError
from ...graph import build
from ...graph.primitives.elementwise import broadcast_shapes as common_shape
from ...typing import ArrayLike, Shape, ShapeLike
from ..arguments import sequence_argument
from ..creation import as_shape
from ..dispatch import as_tensor, as_tensors, node_of, view_of
from ..tensor import Tensor
from .shape import unpacked


def broadcast_to(x: ArrayLike, shape: ShapeLike) -> Tensor:
    """Repeats a tensor along axes of extent 1, and along new leading axes, without a copy.

    Args:
        x: any shape that broadcasts to `shape`, any dtype.
        shape: the extents of the result.

    Returns:
        A tensor of x's dtype and of the given shape.

    Raises:
        ShapeError: x's shape does not broadcast to `shape`.

    Example:
        >>> import spiraltorch as st
        >>> st.broadcast_to(st.tensor([1, 2]), (2, 2)).tolist()
        [[1, 2], [1, 2]]
    """
    x = as_tensor(x)
    return view_of(x, build.expand(node_of(x), as_shape(shape, "broadcast_to")))


def expand(x: ArrayLike, *shape: ShapeLike, **named: ShapeLike) -> Tensor:
    """Repeats a tensor along axes of extent 1, as PyTorch's `Tensor.expand`.

    Args:
        x: any shape that broadcasts to `shape`, any dtype.
        *shape: the extents of the result, as separate ints or as one sequence; -1 keeps x's.
        **named: `size`, the same as one sequence by name.

    Returns:
        A tensor of x's dtype and of the given shape.

    Raises:
        ShapeError: x's shape does not broadcast to `shape`, or -1 stands for a new axis.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1], [2]]).expand(-1, 2).tolist()
        [[1, 1], [2, 2]]
    """
    x = as_tensor(x)
    if named:
        shape = sequence_argument("expand", shape, named, "size")
    extents = list(unpacked(shape))
    added = len(extents) - x.ndim
    if added < 0:
        raise ShapeError(
            f"[expand] expected at least {x.ndim} extents, got {tuple(extents)} for shape {x.shape}; "
            "pass an extent for each axis"
        )
    for n, e in enumerate(extents):
        if e == -1:
            if n < added:
                raise ShapeError(
                    f"[expand] expected -1 only for existing axes, got {tuple(extents)} for {x.shape}; "
                    "pass the extents of new axes"
                )
            extents[n] = x.shape[n - added]
    return broadcast_to(x, tuple(extents))


def broadcast_shapes(*shapes: ShapeLike) -> Shape:
    """Computes the shape that shapes broadcast to.

    Args:
        *shapes: the shapes.

    Returns:
        The common shape.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.broadcast_shapes((3, 1), (4,))
        (3, 4)
    """
    return common_shape("broadcast_shapes", *[as_shape(s, "broadcast_shapes") for s in shapes])


def broadcast_arrays(*xs: ArrayLike) -> list[Tensor]:
    """Repeats tensors to their common shape.

    Args:
        *xs: any shapes that broadcast, any dtypes.

    Returns:
        A tensor of the common shape for each operand, of its dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> [t.shape for t in st.broadcast_arrays(st.zeros(3, 1), st.zeros(4))]
        [(3, 4), (3, 4)]
    """
    tensors = as_tensors(*xs)
    shape = common_shape("broadcast_arrays", *(t.shape for t in tensors))
    return [broadcast_to(t, shape) for t in tensors]


def broadcast_tensors(*xs: ArrayLike) -> list[Tensor]:
    """Repeats tensors to their common shape; PyTorch's name for `broadcast_arrays`.

    Args:
        *xs: any shapes that broadcast, any dtypes.

    Returns:
        A tensor of the common shape for each operand, of its dtype.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> [t.shape for t in st.broadcast_tensors(st.zeros(3, 1), st.zeros(4))]
        [(3, 4), (3, 4)]
    """
    return broadcast_arrays(*xs)
