"""Views repeated to a larger shape by NumPy's broadcasting rules."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from ...graph import build
from ..creation import as_shape
from ..dispatch import handle, handles, see
from ..tensor import Tensor
from .shape import listed


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """The tensor repeated to a larger shape, without a copy.

    >>> import spiraltorch as st
    >>> broadcast_to(st.tensor([1, 2]), (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    return Tensor(build.expand(see(handle(x)), as_shape(shape, "broadcast_to")))


def expand(x: Any, *shape: Any) -> Tensor:
    """PyTorch's `broadcast_to`: -1 keeps an extent.

    >>> import spiraltorch as st
    >>> expand(st.tensor([[1], [2]]), -1, 2).tolist()
    [[1, 1], [2, 2]]
    """
    x = handle(x)
    wanted = list(listed(shape))
    extra = len(wanted) - x.ndim
    if extra < 0:
        raise ShapeError(f"[expand] expected at least {x.ndim} extents, got {tuple(wanted)} for shape {x.shape}")
    for n, e in enumerate(wanted):
        if e == -1:
            if n < extra:
                raise ShapeError(f"[expand] expected -1 only for existing axes, got {tuple(wanted)} for {x.shape}")
            wanted[n] = x.shape[n - extra]
    return broadcast_to(x, tuple(wanted))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that all the given shapes broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    from ...graph.primitives.elementwise import broadcast_shapes as common

    return common("broadcast_shapes", *[as_shape(s, "broadcast_shapes") for s in shapes])


def broadcast_arrays(*xs: Any) -> list[Tensor]:
    """All operands in their common shape.

    >>> import spiraltorch as st
    >>> [t.shape for t in broadcast_arrays(st.zeros(3, 1), st.zeros(4))]
    [(3, 4), (3, 4)]
    """
    from ...graph.primitives.elementwise import broadcast_shapes

    found = handles(*xs)
    shape = broadcast_shapes("broadcast_arrays", *(h.shape for h in found))
    return [broadcast_to(h, shape) for h in found]


def broadcast_tensors(*xs: Any) -> list[Tensor]:
    """PyTorch's name of `broadcast_arrays`.

    >>> import spiraltorch as st
    >>> [t.shape for t in broadcast_tensors(st.zeros(3, 1), st.zeros(4))]
    [(3, 4), (3, 4)]
    """
    return broadcast_arrays(*xs)
