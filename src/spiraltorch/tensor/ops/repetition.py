"""Repeated and padded tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import ArgumentError
from ...graph import build
from ...typing import ArrayLike, ShapeLike
from ..arguments import axis_of, integer, integers, is_integer, sequence_argument
from ..creation import asarray
from ..dispatch import as_tensor, node_of, scalar_value, unshared
from ..tensor import Tensor
from .broadcasting import broadcast_to, expand
from .gathering import take
from .joining import concat
from .shape import ravel, reshape, unpacked, unsqueeze
from .slicing import flip, narrow


def pad(
    x: ArrayLike, pad: Sequence[int] | Sequence[Sequence[int]], mode: str = "constant", value: float = 0.0
) -> Tensor:
    """Adds elements at both ends of axes, or removes them.

    Args:
        x: any shape and dtype.
        pad: the number of elements to add: as in PyTorch, flat pairs (before, after) from the last axis on; or as in
            NumPy, a pair for each axis from the first on. Negative numbers remove elements.
        mode: the added values: "constant", "reflect" (mirrored at the outermost element), "replicate" (the outermost
            element) or "circular" (from the other end).
        value: the number that "constant" adds.

    Returns:
        A tensor of x's dtype.

    Raises:
        ArgumentError: the pairs do not fit the axes, `mode` is not one of these, or the padding exceeds the extent of x.
        DTypeError: x's dtype cannot hold `value`.

    Example:
        >>> import spiraltorch as st
        >>> st.pad(st.tensor([1, 2]), (1, 2)).tolist()
        [0, 1, 2, 0, 0]
    """
    x = as_tensor(x)
    pairs = _pairs(pad, x.ndim)
    for d, (lo, hi) in enumerate(pairs):
        if lo < 0 or hi < 0:
            x = narrow(x, d, max(-lo, 0), x.shape[d] - max(-lo, 0) - max(-hi, 0))
    pairs = [(max(lo, 0), max(hi, 0)) for lo, hi in pairs]
    if mode == "constant":
        value = scalar_value(value, x.dtype)
        return Tensor(build.pad(node_of(x), tuple([(lo, hi, 0) for lo, hi in pairs]), value))
    if mode not in ("reflect", "replicate", "circular"):
        raise ArgumentError(f"[pad] expected mode constant, reflect, replicate or circular, got {mode!r}; choose one")
    for d, (lo, hi) in enumerate(pairs):
        if lo or hi:
            x = _pad_axis(x, d, lo, hi, mode)
    return unshared(x)


def _pairs(pad: Sequence[int] | Sequence[Sequence[int]], ndim: int) -> list[tuple[int, int]]:
    """(before, after) for each axis, from NumPy's pairs or from PyTorch's flat ones."""
    if not isinstance(pad, (tuple, list)):
        raise ArgumentError(f"[pad] expected pad as pairs (before, after), got {pad!r}; pass a tuple such as (1, 1)")
    if pad and isinstance(pad[0], (tuple, list)):
        return [integers(p, "pad", "pad") for p in pad]  # type: ignore[misc]  # pairs
    pad = integers(pad, "pad", "pad")
    if len(pad) % 2 or len(pad) // 2 > ndim:
        raise ArgumentError(f"[pad] expected pairs for at most {ndim} axes, got {tuple(pad)}; remove pairs")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def _pad_axis(x: Tensor, d: int, lo: int, hi: int, mode: str) -> Tensor:
    """Elements of x itself added at both ends of one axis."""
    n = x.shape[d]
    limit = n - 1 if mode == "reflect" else n if mode == "circular" else math.inf if n else 0
    if lo > limit or hi > limit:
        raise ArgumentError(
            f"[pad] expected at most {limit} elements of {mode} padding on axis {d}, got {lo} and {hi}; "
            "pad fewer elements"
        )
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


def tile(x: ArrayLike, *repetitions: ShapeLike, **named: ShapeLike) -> Tensor:
    """Repeats the whole tensor along each axis.

    Args:
        x: any shape and dtype.
        *repetitions: the number of repetitions for each of the last axes, as separate ints or as one sequence; more
            than x has axes add leading axes.
        **named: `repetitions` or `dims`, the same as one sequence by name.

    Returns:
        A tensor of x's dtype, each extent multiplied by its repetitions.

    Raises:
        ArgumentError: a number of repetitions is negative.

    Example:
        >>> import spiraltorch as st
        >>> st.tile(st.tensor([1, 2]), 2).tolist()
        [1, 2, 1, 2]
    """
    x = as_tensor(x)
    if named:
        repetitions = sequence_argument("tile", repetitions, named, "repetitions", "dims")
    reps = list(integers(tuple(unpacked(repetitions)), "tile", "repetitions"))
    if any(r < 0 for r in reps):
        raise ArgumentError(f"[tile] expected repetitions of at least 0, got {reps}; change them")
    reps = [1] * (x.ndim - len(reps)) + reps
    shape = [1] * (len(reps) - x.ndim) + list(x.shape)
    wide = reshape(x, tuple([v for e in shape for v in (1, e)]))
    wide = broadcast_to(wide, tuple([v for r, e in zip(reps, shape, strict=True) for v in (r, e)]))
    return unshared(reshape(wide, tuple([r * e for r, e in zip(reps, shape, strict=True)])))


def repeat_interleave(x: ArrayLike, repeats: int | ArrayLike, dim: int | None = None) -> Tensor:
    """Repeats each element in place.

    Args:
        x: any shape and dtype.
        repeats: the number of repetitions, for all elements or for each position of the axis; the latter are evaluated
            immediately.
        dim: the axis; by default the flattened tensor is repeated.

    Returns:
        A tensor of x's dtype; 1-d without an axis.

    Raises:
        ArgumentError: `repeats` is negative, or is neither one integer nor one for each position.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.repeat_interleave(st.tensor([1, 2]), 2).tolist()
        [1, 1, 2, 2]
    """
    x = as_tensor(x)
    if dim is None:
        x, dim = ravel(x), 0
    d = axis_of(dim, x.ndim, "repeat_interleave")
    if (
        not isinstance(repeats, Tensor)
        and is_integer(repeats)
        and integer(repeats, "repeat_interleave", "repeats") >= 0
    ):
        repeats = integer(repeats, "repeat_interleave", "repeats")
        wide = broadcast_to(unsqueeze(x, d + 1), (*x.shape[: d + 1], repeats, *x.shape[d + 1 :]))
        return unshared(reshape(wide, (*x.shape[:d], x.shape[d] * repeats, *x.shape[d + 1 :])))
    counts = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or counts.shape not in ((), (1,), (x.shape[d],)) or (counts < 0).any():
        raise ArgumentError(
            f"[repeat_interleave] expected one repetition or {x.shape[d]}, ints of at least 0, got {counts.tolist()}; "
            "change repeats"
        )
    return take(x, asarray(np.repeat(np.arange(x.shape[d]), counts), device=x.device), axis=d)


def repeat(x: ArrayLike, repeats: int | ArrayLike, axis: int | None = None) -> Tensor:
    """Repeats each element in place; the array API's name for `repeat_interleave`.

    Args:
        x: any shape and dtype.
        repeats: the number of repetitions, for all elements or for each position of the axis; the latter are evaluated
            immediately.
        axis: the axis; by default the flattened tensor is repeated.

    Returns:
        A tensor of x's dtype; 1-d without an axis.

    Raises:
        ArgumentError: `repeats` is negative, or is neither one integer nor one for each position.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.repeat(st.tensor([1, 2]), 2).tolist()
        [1, 1, 2, 2]
    """
    return repeat_interleave(x, repeats, axis)


def repeat_method(x: Tensor, *sizes: ShapeLike, **named: ShapeLike) -> Tensor:
    """Repeats the whole tensor along each axis, as PyTorch's `Tensor.repeat` does; `st.repeat` repeats elements.

    Args:
        x: any shape and dtype.
        *sizes: the number of repetitions for each axis, as separate ints or as one sequence; more than x has axes add
            leading axes.
        **named: `repeats`, the same as one sequence by name.

    Returns:
        A tensor of x's dtype, each extent multiplied by its repetitions.

    Raises:
        ArgumentError: a number of repetitions is negative, or there are fewer than axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).repeat(2).tolist()
        [1, 2, 1, 2]
    """
    counts = integers(tuple(unpacked(sequence_argument("repeat", sizes, named, "repeats"))), "repeat", "repeats")
    if len(counts) < x.ndim:
        raise ArgumentError(f"[repeat] expected a number for each of {x.ndim} axes, got {counts}; use tile()")
    return tile(x, counts)
