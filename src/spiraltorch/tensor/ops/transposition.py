"""Views with axes in another order."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike, ShapeLike
from ..arguments import axis_of, integers, sequence_argument
from ..dispatch import as_tensor, node_of, view_of
from ..tensor import Tensor
from .shape import unpacked


def permute(x: ArrayLike, *axes: ShapeLike, **named: ShapeLike) -> Tensor:
    """Permutes the axes.

    Args:
        x: any shape and dtype.
        *axes: each axis of x once, in the order of the result, as separate ints or as one sequence.
        **named: `dims` or `axes`, the same as one sequence by name.

    Returns:
        A tensor of x's dtype, whose axis i is x's axis `axes[i]`.

    Raises:
        ArgumentError: an axis is missing or given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.permute(st.zeros(2, 3, 4), 2, 0, 1).shape
        (4, 2, 3)
    """
    x = as_tensor(x)
    if named:
        axes = sequence_argument("permute", axes, named, "dims", "axes")
    order = tuple([axis_of(a, x.ndim, "permute") for a in unpacked(axes)])
    if sorted(order) != list(range(x.ndim)):
        raise ArgumentError(f"[permute] expected each of {x.ndim} axes once, got {unpacked(axes)}; name every axis")
    return view_of(x, build.permute(node_of(x), order))


def permute_dims(x: ArrayLike, axes: Sequence[int]) -> Tensor:
    """Permutes the axes; the array API's name for `permute`.

    Args:
        x: any shape and dtype.
        axes: each axis of x once, in the order of the result.

    Returns:
        A tensor of x's dtype, whose axis i is x's axis `axes[i]`.

    Raises:
        ArgumentError: an axis is missing or given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.permute_dims(st.zeros(2, 3, 4), (2, 0, 1)).shape
        (4, 2, 3)
    """
    return permute(x, tuple(axes))


def transpose(x: ArrayLike, *axes: ShapeLike) -> Tensor:
    """Exchanges two axes, as in PyTorch; or reverses or permutes all, as in NumPy.

    Args:
        x: any shape and dtype.
        *axes: two axes to exchange; every axis once, for a permutation; or none, to reverse their order. A sequence of
            two axes of a matrix is a permutation.

    Returns:
        A tensor of x's dtype.

    Raises:
        ArgumentError: an axis of a permutation is missing or given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.transpose(st.zeros(2, 3, 4), 0, 2).shape
        (4, 3, 2)
    """
    x = as_tensor(x)
    order = unpacked(axes)
    if len(order) == 2 and not (x.ndim == 2 and isinstance(axes[0], (tuple, list))):
        return swapaxes(x, *order)
    return permute(x, tuple(order) if order else tuple(range(x.ndim - 1, -1, -1)))


def matrix_transpose(x: ArrayLike) -> Tensor:
    """Exchanges the last two axes.

    Args:
        x: shape (..., m, n), any dtype.

    Returns:
        A tensor of shape (..., n, m) and x's dtype.

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.matrix_transpose(st.zeros(2, 3, 4)).shape
        (2, 4, 3)
    """
    return swapaxes(x, -1, -2)


def swapaxes(x: ArrayLike, axis0: int, axis1: int) -> Tensor:
    """Exchanges two axes.

    Args:
        x: any shape and dtype.
        axis0: one axis.
        axis1: the other.

    Returns:
        A tensor of x's dtype.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.swapaxes(st.zeros(2, 3, 4), 0, -1).shape
        (4, 3, 2)
    """
    x = as_tensor(x)
    a, b = axis_of(axis0, x.ndim, "swapaxes"), axis_of(axis1, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    if x.ndim:
        order[a], order[b] = b, a
    return view_of(x, build.permute(node_of(x), tuple(order)))


def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Moves axes to other positions; the others keep their order.

    Args:
        x: any shape and dtype.
        source: the axes to move.
        destination: the position of each in the result.

    Returns:
        A tensor of x's dtype.

    Raises:
        ArgumentError: there are not as many sources as destinations.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.moveaxis(st.zeros(2, 3, 4), 0, -1).shape
        (3, 4, 2)
    """
    x = as_tensor(x)
    source, destination = integers(source, "moveaxis", "source"), integers(destination, "moveaxis", "destination")
    if len(source) != len(destination):
        raise ArgumentError(
            f"[moveaxis] expected as many sources as destinations, got {source} and {destination}; pass as many of both"
        )
    moved = [axis_of(a, x.ndim, "moveaxis") for a in source]
    positions = [axis_of(a, x.ndim, "moveaxis") for a in destination]
    order = [d for d in range(x.ndim) if d not in moved]
    for position, axis in sorted(zip(positions, moved, strict=True)):
        order.insert(position, axis)
    return view_of(x, build.permute(node_of(x), tuple(order)))
