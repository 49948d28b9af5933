"""Views with another shape: reshape, and axes added, removed, merged and split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import handle, see
from ..tensor import Tensor


def listed(shape: tuple[Any, ...]) -> Any:
    """What was given as separate arguments or as one sequence."""
    return shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def reshape(x: Any, *shape: Any, copy: bool | None = None) -> Tensor:
    """The elements in another shape; one extent may be -1.

    >>> reshape(handle([1, 2, 3, 4]), (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    x = handle(x)
    try:
        wanted = [int(e.__index__()) for e in listed(shape)]
    except AttributeError:
        raise ShapeError(f"[reshape] expected extents that are ints, got {listed(shape)}; convert them first") from None
    unknown = [n for n, e in enumerate(wanted) if e == -1]
    known = math.prod([e for e in wanted if e != -1])
    if len(unknown) > 1 or any(e < -1 for e in wanted):
        raise ShapeError(f"[reshape] expected extents >= 0 and at most one -1, got {tuple(wanted)}")
    if unknown:
        if known == 0 or x.size % known:
            raise ShapeError(f"[reshape] expected a shape with {x.size} elements, got {tuple(wanted)} from {x.shape}")
        wanted[unknown[0]] = x.size // known
    return Tensor(build.reshape(see(x), tuple(wanted)))


@torch_spellings
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without axes of extent 1: all, or those given (NumPy raises for others; PyTorch's `dim` leaves them).

    >>> import spiraltorch as st
    >>> squeeze(st.zeros(1, 3, 1)).shape
    (3,)
    """
    x = handle(x)
    if axis is None:
        return reshape(x, tuple([e for e in x.shape if e != 1]))
    axes = axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes) and isinstance(axis, (tuple, list)):
        raise ShapeError(f"[squeeze] expected axes of extent 1, got axes {axes} of shape {x.shape}")
    return reshape(x, tuple([e for d, e in enumerate(x.shape) if d not in axes or e != 1]))


@torch_spellings
def unsqueeze(x: Any, axis: Any) -> Tensor:
    """A new axis of extent 1.

    >>> import spiraltorch as st
    >>> unsqueeze(st.zeros(3), -1).shape
    (3, 1)
    """
    x = handle(x)
    axes = axes_of(axis, x.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1), "unsqueeze")
    shape = list(x.shape)
    for a in axes:
        shape.insert(a, 1)
    return reshape(x, tuple(shape))


def expand_dims(x: Any, axis: Any = 0) -> Tensor:
    """The array API's name of `unsqueeze`.

    >>> import spiraltorch as st
    >>> expand_dims(st.zeros(3), axis=0).shape
    (1, 3)
    """
    return unsqueeze(x, axis=axis)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Neighbouring axes as one.

    >>> import spiraltorch as st
    >>> flatten(st.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    x = handle(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    a, b = axis_of(start_dim, x.ndim, "flatten"), axis_of(end_dim, x.ndim, "flatten")
    if a > b:
        raise ArgumentError(f"[flatten] expected start_dim <= end_dim, got {start_dim} and {end_dim}")
    return reshape(x, (*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


def ravel(x: Any) -> Tensor:
    """One axis.

    >>> import spiraltorch as st
    >>> ravel(st.zeros(2, 3)).shape
    (6,)
    """
    return reshape(x, (handle(x).size,))


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several; one size may be -1.

    >>> import spiraltorch as st
    >>> unflatten(st.zeros(6), 0, (2, -1)).shape
    (2, 3)
    """
    x = handle(x)
    d = axis_of(dim, x.ndim, "unflatten")
    sizes = list(sizes)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.shape[d] // max(1, -math.prod(sizes))
    return reshape(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def view(x: Any, *shape: Any) -> Tensor:
    """PyTorch's `view`: another shape, or the bits as another dtype of the same size.

    >>> import spiraltorch as st
    >>> view(st.ones(1), st.int32).tolist()
    [1065353216]
    """
    from ...dtypes import DType
    from ..dispatch import P, nary

    if len(shape) == 1 and isinstance(shape[0], DType):
        return nary(P["bitcast"], (see(handle(x)),), (shape[0],))
    return reshape(x, *shape)
