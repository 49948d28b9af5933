"""PyTorch's methods that split a tensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ...errors import ArgumentError
from ..arguments import array_api_spellings, axis_of, integer, is_integer
from ..ops import slicing
from ..tensor import Tensor
from .copies import clone


@array_api_spellings
def split(x: Tensor, split_size: int | Sequence[int], dim: int = 0, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Splits along an axis into pieces of given extents.

    Args:
        x: at least one axis, any dtype.
        split_size: the extent of the pieces, of which the last may be smaller; or the extent of each.
        dim: the axis.
        axis: alias of `dim`.

    Returns:
        Views of x.

    Raises:
        ArgumentError: an extent is negative, or they do not add up to the axis's.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.arange(5).split(2)]
        [[0, 1], [2, 3], [4]]
    """
    return slicing.split(x, split_size, axis=dim)


def split_with_sizes(x: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Splits along an axis into pieces of given extents.

    Args:
        x: at least one axis, any dtype.
        split_sizes: the extent of each piece.
        dim: the axis.

    Returns:
        Views of x.

    Raises:
        ArgumentError: an extent is negative, or they do not add up to the axis's.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.arange(3).split_with_sizes([1, 2])]
        [[0], [1, 2]]
    """
    return slicing.split(x, list(split_sizes), axis=dim)


def tensor_split(x: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Splits along an axis into a number of pieces, or at given positions, as `numpy.array_split` does.

    Args:
        x: at least one axis, any dtype.
        indices_or_sections: the number of pieces, of which the first are longer by one where it does not divide the
            extent; or the positions at which pieces end.
        dim: the axis.

    Returns:
        Views of x.

    Raises:
        ArgumentError: the number is less than 1.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.arange(5).tensor_split(2)], [t.tolist() for t in st.arange(5).tensor_split((1, 3))]
        ([[0, 1, 2], [3, 4]], [[0], [1, 2], [3, 4]])
    """
    d = axis_of(dim, x.ndim, "tensor_split", scalar=False)
    n = x.shape[d]
    if isinstance(indices_or_sections, (tuple, list)):
        inner = [slice(i, j).indices(n) for i, j in itertools.pairwise([0, *indices_or_sections, n])]
        return tuple([slicing.narrow(x, d, i, max(j - i, 0)) for i, j, _ in inner])
    count = integer(indices_or_sections, "tensor_split", "indices_or_sections", 1)
    lengths = [n // count + (i < n % count) for i in range(count)]
    return tuple(slicing.split(x, lengths, axis=d))


def _even(op: str, x: Tensor, parts: int | Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """A split by the number of pieces, which has to divide the extent, or at positions."""
    d = axis_of(dim, x.ndim, op, scalar=False)
    if is_integer(parts) and x.shape[d] % integer(parts, op, "indices_or_sections", 1):
        raise ArgumentError(f"[{op}] expected a number that divides {x.shape[d]}, got {parts}; use tensor_split()")
    return tensor_split(x, parts, d)


def hsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Splits along the second axis, of a 1-d tensor along its only one.

    Args:
        x: at least one axis, any dtype.
        indices_or_sections: the number of pieces, which divides the extent; or the positions at which pieces end.

    Returns:
        Views of x.

    Raises:
        ArgumentError: the number does not divide the extent.
        IndexOutOfRange: x is 0-d.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.arange(4).hsplit(2)]
        [[0, 1], [2, 3]]
    """
    return _even("hsplit", x, indices_or_sections, 0 if x.ndim < 2 else 1)


def vsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Splits along the first axis.

    Args:
        x: at least 2 axes, any dtype.
        indices_or_sections: the number of pieces, which divides the extent; or the positions at which pieces end.

    Returns:
        Views of x.

    Raises:
        ArgumentError: the number does not divide the extent.
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.tensor([[1, 2], [3, 4]]).vsplit(2)]
        [[[1, 2]], [[3, 4]]]
    """
    axis_of(1, x.ndim, "vsplit", scalar=False)
    return _even("vsplit", x, indices_or_sections, 0)


def dsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Splits along the third axis.

    Args:
        x: at least 3 axes, any dtype.
        indices_or_sections: the number of pieces, which divides the extent; or the positions at which pieces end.

    Returns:
        Views of x.

    Raises:
        ArgumentError: the number does not divide the extent.
        IndexOutOfRange: x has fewer than 3 axes.

    Example:
        >>> import spiraltorch as st
        >>> [t.shape for t in st.zeros(2, 3, 4).dsplit(2)]
        [(2, 3, 2), (2, 3, 2)]
    """
    return _even("dsplit", x, indices_or_sections, 2)


def narrow_copy(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Copies a range of positions along an axis; `narrow` gives a view of it.

    Args:
        x: at least one axis, any dtype.
        dim: the axis.
        start: the first position; negative ones count from the end.
        length: the number of positions.

    Returns:
        A tensor of x's dtype.

    Raises:
        IndexOutOfRange: the range or the axis does not exist.

    Example:
        >>> import spiraltorch as st
        >>> st.arange(5).narrow_copy(0, 1, 2).tolist()
        [1, 2]
    """
    return clone(slicing.narrow(x, dim, start, length))
