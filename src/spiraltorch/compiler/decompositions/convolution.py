"""Rewrites of convolutions: into products of matrices, or into convolutions without input dilation.

A convolution is `out[n, g, o, y] = sum over c, p of x[n, g, c, i] * w[g, o, c, p]` with
`i = (y * stride + p * window_dilation - low) / input_dilation` wherever that is an index of `x`. The parameters are
(strides, padding, input_dilation, window_dilation), each with one entry for each spatial axis.

- A window of one element, or one as large as the input, is a product of matrices.
- A dilated input with strides of 1, as in a transposed convolution or a gradient, is split by the phase of the results.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

from ..program import Builder, Val

Dot = Callable[[Builder, Val, Val, tuple[Any, ...], tuple[int, ...]], Val]


def rewrite(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val | None:
    """Rewrites a convolution.

    Args:
        b: the builder.
        val: the convolution.
        x: its input, (N, G, C, *S).
        w: its kernel, (G, O, C, *K).
        dot: builds a product of matrices from (builder, left, right, params, shape).

    Returns:
        The value that replaces it, or None where it is kept.
    """
    strides, padding, input_dilation, window_dilation = val.params
    axes = range(len(strides))
    window, results = w.shape[3:], val.shape[3:]
    if all(g == 1 for g in input_dilation):
        pointwise = all(e == 1 for e in window)
        last = [(results[d] - 1) * strides[d] for d in axes]
        if pointwise and all(padding[d][0] <= 0 and last[d] - padding[d][0] < x.shape[3 + d] for d in axes):
            slices = [(-padding[d][0], last[d] - padding[d][0] + 1, strides[d]) for d in axes]
            return _as_pointwise_product(b, val, _slice_space(b, x, slices), w, dot)
        reach = [(window[d] - 1) * window_dilation[d] for d in axes]
        one_result = all(e == 1 for e in results)
        if one_result and all(padding[d][0] <= 0 and reach[d] - padding[d][0] < x.shape[3 + d] for d in axes):
            slices = [(-padding[d][0], reach[d] - padding[d][0] + 1, window_dilation[d]) for d in axes]
            return _as_matrix_product(b, val, _slice_space(b, x, slices), w, dot)
        return None
    if all(strides[d] == 1 for d in axes):
        return _without_input_dilation(b, val, x, w, dot)
    return None


def _slice_space(b: Builder, x: Val, slices: list[tuple[int, int, int]]) -> Val:
    """Slices the spatial axes by (start, stop, step); the first three axes are kept."""
    full = [(0, e, 1) for e in x.shape[:3]] + slices
    starts, stops, steps = (tuple(p) for p in zip(*full, strict=True))
    shape = tuple([-(-(stop - start) // step) for start, stop, step in full])
    if shape == x.shape:
        return x
    return b.make("slice", (x,), (starts, stops, steps), shape, x.dtype, x.device)


def _as_pointwise_product(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """A convolution with a window of one element: `w[o, c] @ x[c, pixels]` for each image and group."""
    n, groups, channels = x.shape[:3]
    rows, pixels = w.shape[1], _product(x.shape[3:])
    left = b.expand(b.reshape(w, (1, groups, rows, channels)), (n, groups, rows, channels))
    right = b.reshape(x, (n, groups, channels, pixels))
    shape = (n, groups, rows, pixels)
    return b.reshape(dot(b, left, right, ((3,), (2,), (0, 1), (0, 1)), shape), val.shape)


def _as_matrix_product(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """A convolution with a window as large as the input: `x[n, terms] @ w[o, terms].T` for each group."""
    n, groups, channels = x.shape[:3]
    rows, pixels = w.shape[1], _product(x.shape[3:])
    left, right = b.reshape(x, (n, groups, channels, pixels)), b.reshape(w, (groups, rows, channels, pixels))
    params = ((2, 3), (2, 3), (1,), (0,))
    product = dot(b, left, right, params, (groups, n, rows))
    return b.reshape(b.permute(product, (1, 0, 2)), val.shape)


def _without_input_dilation(b: Builder, val: Val, x: Val, w: Val, dot: Dot) -> Val:
    """A convolution with a dilated input as several without, whose results are interleaved.

    Along an axis, the results at `phase`, `phase + dilation`, ... read the input through the same elements of the window,
    and no others. Each phase is thus a convolution with that part of the window.
    """
    _, padding, input_dilation, window_dilation = val.params
    results = val.shape[3:]
    count = tuple([-(-e // g) for e, g in zip(results, input_dilation, strict=True)])
    parts: list[tuple[tuple[int, ...], Val]] = [((), w)]  # (phase along each axis so far, part of the window)
    lows: dict[tuple[int, ...], tuple[int, ...]] = {(): ()}  # of these phases the padding before each axis
    part_dilation = []
    for d, dilation in enumerate(input_dilation):
        every = dilation // gcd(dilation, window_dilation[d])  # a phase uses every so many elements of the window
        part_dilation.append(every * window_dilation[d] // dilation)
        split = []
        for phases, part in parts:
            for phase in range(dilation):
                first = next(
                    (p for p in range(every) if (phase + p * window_dilation[d] - padding[d][0]) % dilation == 0), None
                )
                taps = 0 if first is None else len(range(first, w.shape[3 + d], every))
                low = 0 if first is None else -((phase + first * window_dilation[d] - padding[d][0]) // dilation)
                slices = [(0, e, 1) for e in part.shape[3:]]
                slices[d] = (first or 0, (first or 0) + (taps - 1) * every + 1 if taps else (first or 0), every)
                extended = (*phases, phase)
                split.append((extended, _slice_space(b, part, slices)))
                lows[extended] = (*lows[phases], low)
        parts = split
    shape = (*val.shape[:3], *count)
    dilations = tuple(part_dilation)
    pieces = {
        phases: _partial_convolution(b, val, x, part, shape, lows[phases], dilations, dot) for phases, part in parts
    }
    joined = _interleave(b, pieces, input_dilation, count)
    return _slice_space(b, joined, [(0, e, 1) for e in results])


def _partial_convolution(
    b: Builder, val: Val, x: Val, w: Val, shape: tuple[int, ...], low: tuple[int, ...], dilation: tuple[int, ...], dot: Dot
) -> Val:  # fmt: skip
    """The convolution with a part of the window; zeros where the part is empty or covers only padding."""
    ones = (1,) * len(low)
    pads = []
    reads_input = w.size > 0
    for d, lo in enumerate(low):
        need = shape[3 + d] + (w.shape[3 + d] - 1) * dilation[d]
        pads.append((lo, need - lo - x.shape[3 + d]))
        reads_input = reads_input and lo < need and need - lo > 0 and -lo < x.shape[3 + d]
    if not reads_input:
        zero = b.const(0.0 if val.dtype.is_float else 0, val.dtype, val.device)
        return b.expand(b.reshape(zero, (1,) * len(shape)), shape)
    params = (ones, tuple(pads), ones, dilation)
    piece = b.make("conv", (x, w), params, shape, val.dtype, val.device)
    return rewrite(b, piece, x, w, dot) or piece


def _interleave(
    b: Builder, pieces: dict[tuple[int, ...], Val], input_dilation: tuple[int, ...], count: tuple[int, ...]
) -> Val:  # fmt: skip
    """Interleaves the results of all phases: element u of a phase goes to `u * dilation + phase` along each axis."""
    for d in reversed(range(len(input_dilation))):
        joined: dict[tuple[int, ...], Val] = {}
        for before in dict.fromkeys(p[:d] for p in pieces):
            members = [pieces[before + (phase,)] for phase in range(input_dilation[d])]  # noqa: RUF005
            first = members[0]
            axis = 3 + d
            expanded = (*first.shape[: axis + 1], 1, *first.shape[axis + 1 :])
            parts = tuple([b.reshape(m, expanded) for m in members])
            shape = (*expanded[: axis + 1], input_dilation[d], *expanded[axis + 2 :])
            both = parts[0]
            if len(parts) > 1:
                both = b.make("concat", parts, (axis + 1,), shape, first.dtype, first.device)
            joined[before] = b.reshape(
                both, (*first.shape[:axis], count[d] * input_dilation[d], *first.shape[axis + 1 :])
            )
        pieces = joined
    return pieces[()]


def _product(shape: tuple[int, ...]) -> int:
    """The product of extents."""
    size = 1
    for e in shape:
        size *= e
    return size
