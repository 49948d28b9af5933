"""Views that keep every element, and joins: index maps that are fused into whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axes_of, axis_of, torch_spellings
from ..creation import as_shape
from ..dispatch import handle, handles, see
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


def permute(x: Any, *axes: Any) -> Tensor:
    """The axes in another order.

    >>> import spiraltorch as st
    >>> permute(st.zeros(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)
    """
    x = handle(x)
    order = tuple([axis_of(a, x.ndim, "permute") for a in listed(axes)])
    if sorted(order) != list(range(x.ndim)):
        raise ArgumentError(f"[permute] expected each of {x.ndim} axes once, got {listed(axes)}; name every axis")
    return Tensor(build.permute(see(x), order))


def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """The array API's name of `permute`.

    >>> import spiraltorch as st
    >>> permute_dims(st.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return permute(x, tuple(axes))


def transpose(x: Any, *axes: Any) -> Tensor:
    """Two axes swapped, as in PyTorch; all axes reversed without arguments; or NumPy's permutation.

    >>> import spiraltorch as st
    >>> transpose(st.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    x = handle(x)
    given = listed(axes)
    if len(given) == 2 and not (x.ndim == 2 and isinstance(axes[0], (tuple, list))):
        return swapaxes(x, *given)
    return permute(x, tuple(given) if given else tuple(range(x.ndim - 1, -1, -1)))


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes swapped.

    >>> import spiraltorch as st
    >>> matrix_transpose(st.zeros(2, 3, 4)).shape
    (2, 4, 3)
    """
    return swapaxes(x, -1, -2)


def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes swapped.

    >>> import spiraltorch as st
    >>> swapaxes(st.zeros(2, 3, 4), 0, -1).shape
    (4, 3, 2)
    """
    x = handle(x)
    a, b = axis_of(axis0, x.ndim, "swapaxes"), axis_of(axis1, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    if x.ndim:
        order[a], order[b] = b, a
    return Tensor(build.permute(see(x), tuple(order)))


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest in order.

    >>> import spiraltorch as st
    >>> moveaxis(st.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    x = handle(x)
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(source) != len(destination):
        raise ArgumentError(f"[moveaxis] expected as many sources as destinations, got {source} and {destination}")
    src = [axis_of(a, x.ndim, "moveaxis") for a in source]
    dst = [axis_of(a, x.ndim, "moveaxis") for a in destination]
    order = [d for d in range(x.ndim) if d not in src]
    for place, axis in sorted(zip(dst, src, strict=True)):
        order.insert(place, axis)
    return Tensor(build.permute(see(x), tuple(order)))


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
        return nary(P["bitcast"], (see(handle(x)),), (shape[0],))  # type: ignore[no-any-return]
    return reshape(x, *shape)


@torch_spellings
def concat(arrays: Any, axis: Any = 0) -> Tensor:
    """Operands joined along an axis (flattened first where it is None), in their common dtype.

    >>> import spiraltorch as st
    >>> concat([st.tensor([1]), st.tensor([2, 3])]).tolist()
    [1, 2, 3]
    """
    found = handles(*arrays)
    if not found:
        raise ArgumentError("[concat] expected at least one tensor, got none")
    if axis is None:
        found, axis = [ravel(h) for h in found], 0
    number = axis_of(axis, found[0].ndim, "concat")
    if found[0].ndim == 0:
        raise ShapeError("[concat] expected at least one axis, got 0-d tensors; use stack()")
    dtype = found[0].dtype
    for h in found[1:]:
        dtype = promote(dtype, h.dtype)
    return Tensor(build.concat(tuple([build.cast(see(h), dtype) for h in found]), number))


@torch_spellings
def stack(arrays: Any, axis: int = 0) -> Tensor:
    """Operands of one shape joined along a new axis.

    >>> import spiraltorch as st
    >>> stack([st.tensor([1, 2]), st.tensor([3, 4])]).tolist()
    [[1, 2], [3, 4]]
    """
    found = handles(*arrays)
    if not found:
        raise ArgumentError("[stack] expected at least one tensor, got none")
    if any(h.shape != found[0].shape for h in found):
        raise ShapeError(f"[stack] expected one shape, got {[h.shape for h in found]}")
    number = axis_of(axis, found[0].ndim + 1, "stack")
    return concat([unsqueeze(h, number) for h in found], axis=number)
