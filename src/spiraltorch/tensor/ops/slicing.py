"""Parts of tensors along an axis: index maps that are fused into whatever reads them."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import handle, see
from ..tensor import Tensor
from .joining import concat
from .shape import ravel, reshape, squeeze


def narrow(x: Any, dim: int, start: int, length: int) -> Tensor:
    """`length` elements from `start` along an axis.

    >>> import spiraltorch as st
    >>> narrow(st.tensor([1, 2, 3]), 0, 1, 2).tolist()
    [2, 3]
    """
    x = handle(x)
    if x.ndim == 0:
        raise ShapeError("[narrow] expected at least one axis, got a 0-d tensor; use reshape(1)")
    d = axis_of(dim, x.ndim, "narrow")
    start = start + x.shape[d] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[d]:
        from ...errors import IndexOutOfRange

        raise IndexOutOfRange(f"[narrow] expected a range within {x.shape[d]}, got {start} and length {length}")
    starts = tuple([start if i == d else 0 for i in range(x.ndim)])
    stops = tuple([start + length if i == d else e for i, e in enumerate(x.shape)])
    return Tensor(build.slice(see(x), starts, stops, (1,) * x.ndim))


def select(x: Any, dim: int, index: int) -> Tensor:
    """PyTorch's select: one place along an axis, which is dropped.

    >>> select(handle([[1, 2], [3, 4]]), 1, 0).tolist()
    [1, 3]
    """
    x = handle(x)
    d = axis_of(dim, x.ndim, "select")
    return x[(slice(None),) * d + (index,)]  # type: ignore[no-any-return]


@torch_spellings
def split(x: Any, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """PyTorch's split: pieces of a size, or of the listed sizes.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in split(st.tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = handle(x)
    d = axis_of(axis, x.ndim, "split")
    n = x.shape[d]
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise ArgumentError(f"[split] expected a positive size, got {sizes}")
        sizes = [min(sizes, n - at) for at in range(0, n, sizes)] or [0]
    if sum(sizes) != n:
        raise ArgumentError(f"[split] expected sizes that add up to {n}, got {list(sizes)}")
    pieces, at = [], 0
    for size in sizes:
        pieces.append(narrow(x, d, at, size))
        at += size
    return tuple(pieces)


@torch_spellings
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most so many pieces of equal size, the last one smaller.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in chunk(st.tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = handle(x)
    if chunks < 1:
        raise ArgumentError(f"[chunk] expected at least one chunk, got {chunks}")
    n = x.shape[axis_of(axis, x.ndim, "chunk")]
    return split(x, max(1, -(-n // chunks)), axis=axis)


@torch_spellings
def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unbind(st.tensor([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    x = handle(x)
    d = axis_of(axis, x.ndim, "unbind")
    return tuple([squeeze(narrow(x, d, i, 1), d) for i in range(x.shape[d])])


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The array API's name of `unbind`.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unstack(st.tensor([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    return unbind(x, axis=axis)


def unfold(x: Any, dimension: int, size: int, step: int) -> Tensor:
    """Sliding windows along an axis, as a new last axis.

    >>> import spiraltorch as st
    >>> unfold(st.tensor([1, 2, 3]), 0, 2, 1).tolist()
    [[1, 2], [2, 3]]
    """
    x = handle(x)
    d = axis_of(dimension, x.ndim, "unfold")
    return Tensor(build.windows(see(x), (d,), (size,), (step,), (1,)))


@torch_spellings
def flip(x: Any, axis: Any = None) -> Tensor:
    """Reversed along axes; along all without any given.

    >>> import spiraltorch as st
    >>> flip(st.tensor([1, 2, 3])).tolist()
    [3, 2, 1]
    """
    x = handle(x)
    return Tensor(build.flip(see(x), axes_of(axis, x.ndim, "flip")))


@torch_spellings
def roll(x: Any, shift: Any = None, axis: Any = None, shifts: Any = None) -> Tensor:
    """Shifted along axes, what leaves at one end enters at the other.

    >>> import spiraltorch as st
    >>> roll(st.tensor([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    x = handle(x)
    amount = shift if shift is not None else shifts
    if amount is None:
        raise ArgumentError("[roll] expected a shift, got none; pass an int, or one for each axis")
    if axis is None:
        return reshape(roll(ravel(x), amount, axis=0), x.shape)
    amounts = amount if isinstance(amount, (tuple, list)) else (amount,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(amounts) == 1:
        amounts = tuple(amounts) * len(axes)
    if len(amounts) != len(axes):
        raise ArgumentError(f"[roll] expected as many shifts as axes, got {amounts} and {axes}")
    for a, s in zip(axes, amounts, strict=True):
        d = axis_of(a, x.ndim, "roll")
        n = x.shape[d] if x.ndim else 1
        k = s % n if n else 0
        if k:
            x = concat([narrow(x, d, n - k, k), narrow(x, d, 0, n - k)], axis=d)
    return x  # type: ignore[no-any-return]
