"""Repeated and padded tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ...graph import build
from ..arguments import axis_of
from ..dispatch import fit, handle, see
from ..tensor import Tensor
from .broadcasting import broadcast_to, expand
from .joining import concat
from .shape import listed, ravel, reshape, unsqueeze
from .slicing import flip, narrow


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
    from .gathering import take

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
