"""Convolutions that are better something else: products of matrices, or several convolutions without gaps.

A convolution is `out[n, g, o, y] = sum over c, p of x[n, g, c, (y*stride + p*step - low) / gap] * w[g, o, c, p]`, where
that is an element of `x`: `params` are (strides, padding, gaps, steps) with one entry for each spatial axis.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

from ..program import Builder, Val

Dot = Callable[[Builder, Val, Val, tuple[Any, ...], tuple[int, ...]], Val]


def rewrite(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val | None:
    """Another form of the convolution, or None where it is best as it is. `dot` makes products of matrices."""
    strides, padding, gaps, steps = val.params
    space = range(len(strides))
    window, made = w.shape[3:], val.shape[3:]
    if all(g == 1 for g in gaps):
        alone = all(e == 1 for e in window)
        last = [(made[d] - 1) * strides[d] for d in space]
        if alone and all(padding[d][0] <= 0 and last[d] - padding[d][0] < x.shape[3 + d] for d in space):
            places = [(-padding[d][0], last[d] - padding[d][0] + 1, strides[d]) for d in space]
            return _pointwise(b, val, _strided(b, x, places), w, dot)
        reach = [(window[d] - 1) * steps[d] for d in space]
        whole = all(e == 1 for e in made)
        if whole and all(padding[d][0] <= 0 and reach[d] - padding[d][0] < x.shape[3 + d] for d in space):
            places = [(-padding[d][0], reach[d] - padding[d][0] + 1, steps[d]) for d in space]
            return _whole(b, val, _strided(b, x, places), w, dot)
        return None
    if all(strides[d] == 1 for d in space):
        return _without_gaps(b, val, x, w, dot)
    return None


def _strided(b: Builder, x: Val, places: list[tuple[int, int, int]]) -> Val:
    """Every `step`-th element from `start` to `stop` of each spatial axis."""
    full = [(0, e, 1) for e in x.shape[:3]] + places
    starts, stops, steps = (tuple(p) for p in zip(*full, strict=True))
    shape = tuple([-(-(stop - start) // step) for start, stop, step in full])
    if shape == x.shape:
        return x
    return b.make("slice", (x,), (starts, stops, steps), shape, x.dtype, x.device)


def _pointwise(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """A window of one element: for each image and group `w[o, c] @ x[c, pixels]`."""
    n, groups, channels = x.shape[:3]
    rows, pixels = w.shape[1], _product(x.shape[3:])
    left = b.expand(b.reshape(w, (1, groups, rows, channels)), (n, groups, rows, channels))
    right = b.reshape(x, (n, groups, channels, pixels))
    shape = (n, groups, rows, pixels)
    return b.reshape(dot(b, left, right, ((3,), (2,), (0, 1), (0, 1)), shape), val.shape)


def _whole(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """A window as large as the image: for each group `x[n, terms] @ w[o, terms].T`."""
    n, groups, channels = x.shape[:3]
    rows, pixels = w.shape[1], _product(x.shape[3:])
    left, right = b.reshape(x, (n, groups, channels, pixels)), b.reshape(w, (groups, rows, channels, pixels))
    params = ((2, 3), (2, 3), (1,), (0,))
    product = dot(b, left, right, params, (groups, n, rows))
    return b.reshape(b.permute(product, (1, 0, 2)), val.shape)


def _without_gaps(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """Every gap-th result along an axis needs the same part of the window, and meets no gaps.

    So the results are made in as many convolutions as there are places between two elements, and interleaved.
    """
    _, padding, gaps, steps = val.params
    made = val.shape[3:]
    count = tuple([-(-e // g) for e, g in zip(made, gaps, strict=True)])
    parts: list[tuple[tuple[int, ...], Val]] = [((), w)]
    lows: dict[tuple[int, ...], tuple[int, ...]] = {(): ()}
    widths = []
    for d, gap in enumerate(gaps):
        every = gap // gcd(gap, steps[d])
        widths.append(every * steps[d] // gap)
        found = []
        for phases, part in parts:
            for phase in range(gap):
                first = next((p for p in range(every) if (phase + p * steps[d] - padding[d][0]) % gap == 0), None)
                taps = 0 if first is None else len(range(first, w.shape[3 + d], every))
                low = 0 if first is None else -((phase + first * steps[d] - padding[d][0]) // gap)
                places = [(0, e, 1) for e in part.shape[3:]]
                places[d] = (first or 0, (first or 0) + (taps - 1) * every + 1 if taps else (first or 0), every)
                here = (*phases, phase)
                found.append((here, _strided(b, part, places)))
                lows[here] = (*lows[phases], low)
        parts = found
    shape = (*val.shape[:3], *count)
    pieces = {phases: _piece(b, val, x, part, shape, lows[phases], tuple(widths), dot) for phases, part in parts}
    joined = _interleaved(b, pieces, gaps, count)
    return _strided(b, joined, [(0, e, 1) for e in made])


def _piece(
    b: Builder, val: Val, x: Val, w: Val, shape: tuple[int, ...], low: tuple[int, ...], steps: tuple[int, ...], dot: Dot
) -> Val:
    """The convolution with a part of the window; zeros where the part is empty or reaches nothing."""
    ones = (1,) * len(low)
    pads = []
    reaches = w.size > 0
    for d, lo in enumerate(low):
        need = shape[3 + d] + (w.shape[3 + d] - 1) * steps[d]
        pads.append((lo, need - lo - x.shape[3 + d]))
        reaches = reaches and lo < need and need - lo > 0 and -lo < x.shape[3 + d]
    if not reaches:
        zero = b.const(0.0 if val.dtype.is_float else 0, val.dtype, val.device)
        return b.expand(b.reshape(zero, (1,) * len(shape)), shape)
    params = (ones, tuple(pads), ones, steps)
    piece = b.make("conv", (x, w), params, shape, val.dtype, val.device)
    return rewrite(b, piece, x, w, dot) or piece


def _interleaved(
    b: Builder, pieces: dict[tuple[int, ...], Val], gaps: tuple[int, ...], count: tuple[int, ...]
) -> Val:  # fmt: skip
    """`pieces[phases][..., u, v]` at `[..., u * gap + phase, v * gap + phase]`; the last axis is joined first."""
    for d in reversed(range(len(gaps))):
        joined: dict[tuple[int, ...], Val] = {}
        for before in dict.fromkeys(p[:d] for p in pieces):
            members = [pieces[before + (phase,)] for phase in range(gaps[d])]  # noqa: RUF005
            first = members[0]
            axis = 3 + d
            apart = (*first.shape[: axis + 1], 1, *first.shape[axis + 1 :])
            parts = tuple([b.reshape(m, apart) for m in members])
            shape = (*apart[: axis + 1], gaps[d], *apart[axis + 2 :])
            both = parts[0]
            if len(parts) > 1:
                both = b.make("concat", parts, (axis + 1,), shape, first.dtype, first.device)
            joined[before] = b.reshape(both, (*first.shape[:axis], count[d] * gaps[d], *first.shape[axis + 1 :]))
        pieces = joined
    return pieces[()]


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for e in shape:
        size *= e
    return size
