"""Parts, repetitions and padding of tensors along their axes: index maps that are fused into whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...dtypes import int64
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import fit, handle, see
from ..tensor import Tensor
from .shape import broadcast_to, concat, expand, listed, moveaxis, ravel, reshape, squeeze, unsqueeze


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


def pad(x: Any, pad: Sequence[Any], mode: str = "constant", value: float = 0.0) -> Tensor:
    """PyTorch's padding: (before, after) pairs from the last axis on; modes constant, reflect, replicate, circular.

    Negative amounts crop.

    >>> import spiraltorch as st
    >>> pad(st.tensor([1, 2]), (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    x = handle(x)
    if pad and isinstance(pad[0], (tuple, list)):  # NumPy's pairs, first axis first
        pairs = [tuple(p) for p in pad]
    else:
        if len(pad) % 2 or len(pad) // 2 > x.ndim:
            raise ArgumentError(f"[pad] expected pairs for at most {x.ndim} axes, got {tuple(pad)}")
        given = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
        pairs = [(0, 0)] * (x.ndim - len(given)) + given[::-1]
    for d, (lo, hi) in enumerate(pairs):
        if lo < 0 or hi < 0:
            x = narrow(x, d, max(-lo, 0), x.shape[d] - max(-lo, 0) - max(-hi, 0))
    pairs = [(max(lo, 0), max(hi, 0)) for lo, hi in pairs]
    if mode == "constant":
        value = fit(value, x.dtype)
        return Tensor(build.pad(see(x), tuple([(lo, hi, 0) for lo, hi in pairs]), value))
    if mode not in ("reflect", "replicate", "circular"):
        raise ArgumentError(f"[pad] expected mode constant, reflect, replicate or circular, got {mode!r}")
    for d, (lo, hi) in enumerate(pairs):
        if lo or hi:
            x = _pad_axis(x, d, lo, hi, mode)
    return x  # type: ignore[no-any-return]


def _pad_axis(x: Tensor, d: int, lo: int, hi: int, mode: str) -> Tensor:
    n = x.shape[d]
    limit = n - 1 if mode == "reflect" else n if mode == "circular" else math.inf if n else 0
    if lo > limit or hi > limit:
        raise ArgumentError(f"[pad] expected at most {limit} elements of {mode} padding on axis {d}, got {lo} and {hi}")
    if mode == "circular":
        parts = [narrow(x, d, n - lo, lo), x, narrow(x, d, 0, hi)]
    elif mode == "reflect":
        parts = [flip(narrow(x, d, 1, lo), axis=d), x, flip(narrow(x, d, n - 1 - hi, hi), axis=d)]
    else:
        ends = [narrow(x, d, 0, 1), narrow(x, d, n - 1, 1)]
        parts = [
            expand(ends[0], tuple([lo if i == d else e for i, e in enumerate(x.shape)])), x,
            expand(ends[1], tuple([hi if i == d else e for i, e in enumerate(x.shape)])),
        ]  # fmt: skip
    return concat([p for p in parts if p.shape[d]], axis=d)


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


def tile(x: Any, *repetitions: Any) -> Tensor:
    """The whole tensor repeated along each axis.

    >>> import spiraltorch as st
    >>> tile(st.tensor([1, 2]), 2).tolist()
    [1, 2, 1, 2]
    """
    x = handle(x)
    reps = list(listed(repetitions))
    if any(r < 0 for r in reps):
        raise ArgumentError(f"[tile] expected repetitions of at least 0, got {reps}")
    reps = [1] * (x.ndim - len(reps)) + reps
    shape = [1] * (len(reps) - x.ndim) + list(x.shape)
    wide = reshape(x, tuple([v for e in shape for v in (1, e)]))
    wide = broadcast_to(wide, tuple([v for r, e in zip(reps, shape, strict=True) for v in (r, e)]))
    return reshape(wide, tuple([r * e for r, e in zip(reps, shape, strict=True)]))


def repeat_interleave(x: Any, repeats: Any, dim: Any = None) -> Tensor:
    """Each element repeated in place, so many times (or as many times as a list says).

    >>> import spiraltorch as st
    >>> repeat_interleave(st.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    x = handle(x)
    if dim is None:
        x, dim = ravel(x), 0
    d = axis_of(dim, x.ndim, "repeat_interleave")
    if isinstance(repeats, int) and repeats >= 0:
        wide = broadcast_to(unsqueeze(x, d + 1), (*x.shape[: d + 1], repeats, *x.shape[d + 1 :]))
        return reshape(wide, (*x.shape[:d], x.shape[d] * repeats, *x.shape[d + 1 :]))
    import numpy as np

    from ..creation import asarray
    from .indexing import take

    counts = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or counts.shape not in ((), (1,), (x.shape[d],)) or (counts < 0).any():
        raise ArgumentError(
            f"[repeat_interleave] expected one repetition or {x.shape[d]}, ints of at least 0, got {counts.tolist()}"
        )
    return take(x, asarray(np.repeat(np.arange(x.shape[d]), counts), device=x.device), axis=d)


def repeat(x: Any, repeats: Any, axis: Any = None) -> Tensor:
    """The array API's name of `repeat_interleave`.

    >>> import spiraltorch as st
    >>> repeat(st.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    return repeat_interleave(x, repeats, axis)


def repeat_method(x: Tensor, *sizes: Any) -> Tensor:
    """PyTorch's `x.repeat(2, 3)`: the whole tensor repeated along each axis."""
    return tile(x, *sizes)


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements with equal positions on two axes, as a new last axis.

    >>> import spiraltorch as st
    >>> diagonal(st.tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    x = handle(x)
    a, b = axis_of(dim1, x.ndim, "diagonal"), axis_of(dim2, x.ndim, "diagonal")
    if a == b:
        raise ArgumentError(f"[diagonal] expected two axes, got {dim1} twice")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    first = max(-offset, 0)
    n = max(0, min(rows - first, columns - max(offset, 0)))
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    start = first * columns + max(offset, 0)
    from ..creation import arange
    from .indexing import take

    return take(flat, arange(n, device=x.device) * (columns + 1) + start, axis=-1)


def trace(x: Any, offset: int = 0) -> Tensor:
    """The sum of the diagonal of the last two axes.

    >>> import spiraltorch as st
    >>> trace(st.tensor([[1, 2], [3, 4]])).item()
    5
    """
    from .reduction import sum as total

    x = handle(x)
    return total(diagonal(x, offset, -2, -1), axis=-1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with this diagonal.

    >>> import spiraltorch as st
    >>> diag(st.tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    x = handle(x)
    if x.ndim == 2:
        return diagonal(x, k)
    from ..creation import eye

    columns = pad(x, (max(k, 0), max(-k, 0)))  # the diagonal's element of each column
    hit = eye(x.size + abs(k), k=k, dtype=int64, device=x.device) == 1
    return Tensor(build.where(see(hit), see(columns.unsqueeze(0)), build.const(0, x.dtype, x.device)))


def unfold(x: Any, dimension: int, size: int, step: int) -> Tensor:
    """Sliding windows along an axis, as a new last axis.

    >>> import spiraltorch as st
    >>> unfold(st.tensor([1, 2, 3]), 0, 2, 1).tolist()
    [[1, 2], [2, 3]]
    """
    x = handle(x)
    d = axis_of(dimension, x.ndim, "unfold")
    return Tensor(build.windows(see(x), (d,), (size,), (step,), (1,)))
