"""Parts of tensors along an axis: index maps that are fused into whatever reads them."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ArgumentError, IndexOutOfRange, ShapeError
from ...graph import build
from ...typing import ArrayLike, Axis
from ..arguments import axes_of, axis_of, integer, integers, is_integer, torch_spellings
from ..dispatch import as_tensor, node_of, unshared, view_of
from ..tensor import Tensor
from .joining import concat
from .shape import ravel, reshape, squeeze


def narrow(x: ArrayLike, dim: int, start: int, length: int) -> Tensor:
    """Takes a range of positions along an axis.

    Args:
        x: at least one axis, any dtype.
        dim: the axis.
        start: the first position, an int or a 0-d integer tensor; negative ones count from the end.
        length: the number of positions.

    Returns:
        A tensor of x's dtype, of extent `length` along the axis.

    Raises:
        ShapeError: x is 0-d.
        IndexOutOfRange: the axis does not exist, or the range does not lie within its extent.

    Example:
        >>> import spiraltorch as st
        >>> st.narrow(st.tensor([1, 2, 3]), 0, 1, 2).tolist()
        [2, 3]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError("[narrow] expected at least one axis, got a 0-d tensor; use reshape(1)")
    d = axis_of(dim, x.ndim, "narrow")
    start, length = integer(start, "narrow", "start"), integer(length, "narrow", "length")
    start = start + x.shape[d] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[d]:
        raise IndexOutOfRange(
            f"[narrow] expected a range within {x.shape[d]}, got {start} and length {length}; change start or length"
        )
    starts = tuple([start if i == d else 0 for i in range(x.ndim)])
    stops = tuple([start + length if i == d else e for i, e in enumerate(x.shape)])
    return view_of(x, build.slice(node_of(x), starts, stops, (1,) * x.ndim))


def select(x: ArrayLike, dim: int, index: int) -> Tensor:
    """Takes one position along an axis, and drops the axis.

    Args:
        x: at least one axis, any dtype.
        dim: the axis.
        index: the position; negative ones count from the end.

    Returns:
        A tensor of x's dtype without the axis.

    Raises:
        IndexOutOfRange: the axis or the position does not exist.

    Example:
        >>> import spiraltorch as st
        >>> st.select(st.tensor([[1, 2], [3, 4]]), 1, 0).tolist()
        [1, 3]
    """
    x = as_tensor(x)
    d = axis_of(dim, x.ndim, "select")
    return x[(slice(None),) * d + (index,)]


@torch_spellings
def split(
    x: ArrayLike, split_size_or_sections: int | Sequence[int], axis: int = 0, *, dim: int = 0
) -> tuple[Tensor, ...]:
    """Cuts a tensor into pieces along an axis.

    Args:
        x: at least one axis, any dtype.
        split_size_or_sections: the extent of the pieces, of which the last may be smaller; or the extent of each.
        axis: the axis.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        The pieces, of x's dtype.

    Raises:
        ArgumentError: the extent is not positive (0 is allowed for an axis of extent 0), or the extents do not add up to
            the axis's.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.split(st.tensor([1, 2, 3]), 2)]
        [[1, 2], [3]]
    """
    x = as_tensor(x)
    d = axis_of(axis, x.ndim, "split")
    n = x.shape[d]
    given = split_size_or_sections
    sizes: int | Sequence[int] = given
    if is_integer(given):
        sizes = integer(given, "split", "split_size_or_sections")
        if sizes < 0 or (sizes == 0 and n):
            raise ArgumentError(f"[split] expected a positive size for an axis of extent {n}, got {sizes}; change it")
        sizes = [min(sizes, n - start) for start in range(0, n, sizes or 1)] or [0]
    else:
        sizes = integers(given, "split", "split_size_or_sections", 0)
    if sum(sizes) != n:
        raise ArgumentError(f"[split] expected sizes that add up to {n}, got {list(sizes)}; change the sizes")
    pieces, start = [], 0
    for size in sizes:
        pieces.append(narrow(x, d, start, size))
        start += size
    return tuple(pieces)


@torch_spellings
def chunk(x: ArrayLike, chunks: int, axis: int = 0, *, dim: int = 0) -> tuple[Tensor, ...]:
    """Cuts a tensor into a number of equal pieces along an axis.

    Args:
        x: at least one axis, any dtype.
        chunks: the number of pieces. Where it does not divide the extent, the last piece is smaller, and there may be
            fewer.
        axis: the axis.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        The pieces, of x's dtype.

    Raises:
        ArgumentError: `chunks` is not positive.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.chunk(st.tensor([1, 2, 3]), 2)]
        [[1, 2], [3]]
    """
    x = as_tensor(x)
    if chunks < 1:
        raise ArgumentError(f"[chunk] expected at least one chunk, got {chunks}; pass a positive number")
    n = x.shape[axis_of(axis, x.ndim, "chunk")]
    return split(x, max(1, -(-n // chunks)), axis=axis)


@torch_spellings
def unbind(x: ArrayLike, axis: int = 0, *, dim: int = 0) -> tuple[Tensor, ...]:
    """Takes each position along an axis as a tensor without that axis.

    Args:
        x: at least one axis, any dtype.
        axis: the axis.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        As many tensors of x's dtype as the axis has positions.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.unbind(st.tensor([[1, 2], [3, 4]]))]
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    d = axis_of(axis, x.ndim, "unbind")
    return tuple([squeeze(narrow(x, d, i, 1), d) for i in range(x.shape[d])])


@torch_spellings
def unstack(x: ArrayLike, axis: int = 0, *, dim: int = 0) -> tuple[Tensor, ...]:
    """Takes each position along an axis as a tensor without that axis; the array API's name for `unbind`.

    Args:
        x: at least one axis, any dtype.
        axis: the axis.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        As many tensors of x's dtype as the axis has positions.

    Raises:
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.unstack(st.tensor([[1, 2], [3, 4]]))]
        [[1, 2], [3, 4]]
    """
    return unbind(x, axis=axis)


def unfold(x: ArrayLike, dimension: int, size: int, step: int) -> Tensor:
    """Takes windows that slide along an axis, as PyTorch's `Tensor.unfold`.

    Args:
        x: at least one axis, any dtype.
        dimension: the axis.
        size: the extent of a window.
        step: the distance between the beginnings of neighbouring windows.

    Returns:
        A tensor of x's dtype, with (n - size) // step + 1 windows along the axis of extent n, and a new last axis of
        extent `size`.

    Raises:
        ShapeError: a window is longer than the axis.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.unfold(st.tensor([1, 2, 3]), 0, 2, 1).tolist()
        [[1, 2], [2, 3]]
    """
    x = as_tensor(x)
    d = axis_of(dimension, x.ndim, "unfold")
    size, step = integer(size, "unfold", "size", 0), integer(step, "unfold", "step", 1)
    return view_of(x, build.windows(node_of(x), (d,), (size,), (step,), (1,)))


@torch_spellings
def flip(x: ArrayLike, axis: Axis = None, *, dim: Axis = None, dims: Axis = None) -> Tensor:
    """Reverses the order of elements along axes.

    Args:
        x: any shape and dtype.
        axis: the axes that are reversed; all by default.
        dim: alias of `axis`, as in PyTorch.
        dims: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: an axis is given twice.

    Example:
        >>> import spiraltorch as st
        >>> st.flip(st.tensor([1, 2, 3])).tolist()
        [3, 2, 1]
    """
    x = as_tensor(x)
    return view_of(x, build.flip(node_of(x), axes_of(axis, x.ndim, "flip")))


@torch_spellings
def roll(
    x: ArrayLike,
    shift: int | Sequence[int] | None = None,
    axis: Axis = None,
    shifts: int | Sequence[int] | None = None,
    *,
    dim: Axis = None,
    dims: Axis = None,
) -> Tensor:
    """Shifts elements along axes; elements that are shifted past one end re-enter at the other.

    Args:
        x: any shape and dtype.
        shift: the number of positions, for all axes or for each.
        axis: the axes; by default the flattened tensor is shifted.
        shifts: alias of `shift`, as in PyTorch.
        dim: alias of `axis`, as in PyTorch.
        dims: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ArgumentError: there is no shift, or there are not as many shifts as axes.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.roll(st.tensor([1, 2, 3]), 1).tolist()
        [3, 1, 2]
    """
    x = as_tensor(x)
    amount = shift if shift is not None else shifts
    if amount is None:
        raise ArgumentError("[roll] expected a shift, got none; pass an int, or one for each axis")
    if axis is None:
        return reshape(roll(ravel(x), amount, axis=0), x.shape)
    amounts = integers(amount, "roll", "shift")
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(amounts) == 1:
        amounts = tuple(amounts) * len(axes)
    if len(amounts) != len(axes):
        raise ArgumentError(
            f"[roll] expected as many shifts as axes, got {amounts} and {axes}; pass one shift for each axis"
        )
    for a, s in zip(axes, amounts, strict=True):
        d = axis_of(a, x.ndim, "roll")
        n = x.shape[d] if x.ndim else 1
        k = s % n if n else 0
        if k:
            x = concat([narrow(x, d, n - k, k), narrow(x, d, 0, n - k)], axis=d)
    return unshared(x)
