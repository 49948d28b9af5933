"""Views with axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ...graph import build
from ..arguments import axis_of
from ..dispatch import handle, see
from ..tensor import Tensor
from .shape import listed


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
