"""Convolutions on targets with threads and vectors.

Lanes run over what fills them best: the innermost spatial axis, or output channels. What windows read of the input is
packed once with zeros around it, so that the inner loop has no conditions. Names as in `matmul`: `ir` and `ii` are tiles of
rows and the rows of a tile, `jr`, `jv` and `jl` tiles of columns, their vectors and lanes; `pa` and `pb` are the packed left
and right operands, the input and the weights.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import schedule as steps
from ...ir.expr import Space
from ...ir.schedule import ScheduleError
from ...ir.stmt import Kernel, Kind, walk
from ...ir.target import Target
from ..lowering.lowered import LoopRole, Lowered
from .common import (
    REGISTER_TILES,
    accumulator_dtype,
    fits_registers,
    is_virtual,
    lanes_that_fit,
    multiples,
    parallel_copy,
    parallel_nest,
    register_tile,
    register_tiles,
    vectorize_copy,
)

IMAGE_DEPTH = 64  # terms of a window from which on its input pays for being shared by the places of an image
PIXEL_ADVANTAGE = 0.75  # lanes over pixels need no packed weights: they may fill so much less of the vectors
SHORT_WINDOW = 8  # iterations below which the innermost loop over a window is unrolled
LINES = (1, 2, 3, 4)  # lines of an image in a register tile


class _Loops(NamedTuple):
    """The names of a convolution's loops, outermost first."""

    groups: list[str]
    images: list[str]
    outer: list[str]  # groups and images in the order of the nest
    channels: list[str]  # output channels: one loop or none
    pixels: list[str]
    terms: list[str]  # input channels, then the window


def _loops(lowered: Lowered) -> _Loops:
    """The loops by their roles: of groups both operands depend, of images only the input."""
    batch, row = LoopRole.BATCH, LoopRole.ROW
    return _Loops(
        lowered.names(batch), lowered.names(row), lowered.names(batch, row), lowered.names(LoopRole.COLUMN),
        lowered.names(LoopRole.WINDOW), lowered.names(LoopRole.REDUCTION),
    )  # fmt: skip


def schedule_conv(lowered: Lowered, target: Target) -> Kernel:
    """Lanes over pixels, or over output channels with rows of pixels or of images."""
    kernel, loops = lowered.kernel, _loops(lowered)
    if not (loops.channels or loops.pixels) or not loops.terms:
        return kernel
    if not loops.channels:
        return _one_channel(lowered, loops, target)
    best, forms = "channel", ["channel"]
    if loops.images and len(loops.terms) > 1 and loops.pixels:
        images, pixels = (steps.iterations(kernel, n) for n in (loops.images[0], loops.pixels[-1]))
        depth = steps.iterations(kernel, *loops.terms[-2:])
        forms.append("image")
        if images > pixels and depth >= IMAGE_DEPTH:
            best = "image"
    if loops.pixels:
        lanes = target.lanes(accumulator_dtype(kernel))
        channels, pixels = (steps.iterations(kernel, n) for n in (loops.channels[0], loops.pixels[-1]))
        forms.append("pixel")
        if _busy_lanes(pixels, lanes) >= PIXEL_ADVANTAGE * _busy_lanes(channels, lanes):
            best = "pixel"
    form = lowered.choices.pick("form", best, forms)
    if form == "pixel":
        return _lanes_over_pixels(lowered, loops, target)
    if form == "image":
        try:
            return _rows_of_images(lowered, loops, target)
        except ScheduleError:
            pass  # windows of one axis and pixels of another: nothing to share
    return _lanes_over_channels(lowered, loops, target)


def _busy_lanes(extent: int, lanes: int) -> float:
    """How many lanes compute on average, where vectors cover the extent."""
    lanes = lanes_that_fit(lanes, extent)
    return extent / (-(-extent // lanes) * lanes) * lanes


def _pack_weights(kernel: Kernel, lowered: Lowered, order: tuple[str, ...], lanes: int, target: Target) -> Kernel:
    """Packs the right operand before the nest, on all threads."""
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, order)
    return vectorize_copy(parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)


def _split_columns(kernel: Kernel, name: str, lanes: int, vectors: int) -> Kernel:
    """Splits columns into tiles `jr` of vectors `jv` of lanes `jl`."""
    kernel = steps.split(kernel, name, lanes * vectors, "jr", "j2")
    return steps.split(kernel, "j2", lanes, "jv", "jl")


# ---------------------------------------------------------------- lanes over pixels


def _lanes_over_pixels(lowered: Lowered, loops: _Loops, target: Target) -> Kernel:
    """Lanes run over the innermost spatial axis, rows over output channels.

    The lines of the input that a line of the result needs are packed once, with zeros around them; windows read them at any
    offset. With a stride, each place in the window has a copy of its own, so that lanes are contiguous.
    """
    kernel, terms, (o,), x = lowered.kernel, loops.terms, loops.channels, loops.pixels[-1]
    y = loops.pixels[-2] if len(loops.pixels) > 1 else None
    m, n = steps.iterations(kernel, o), steps.iterations(kernel, x)
    lanes = lanes_that_fit(target.lanes(accumulator_dtype(kernel)), n)
    covered = (m, steps.iterations(kernel, y) if y else 1, n, lanes, target.registers)
    rows, lines, vectors = lowered.choices.pick("pixel.tile", _pixel_tile(*covered), _pixel_tiles(*covered))
    kernel = _split_columns(kernel, x, lanes, vectors)
    kernel = steps.split(kernel, o, rows, "ir", "ii")
    outer, tile = [*loops.outer, *loops.pixels[:-1]], ["ii"]
    line: tuple[str, ...] = ()
    if y and lines > 1:
        kernel = steps.split(kernel, y, lines, "yr", "yi")
        outer, tile, line = [*outer[:-1], "yr"], ["ii", "yi"], ("yi",)
    tile.append("jv")
    kernel = steps.reorder(kernel, *outer, "ir", "jr", *terms, *tile, "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, *tile, *_short_window(kernel, terms))
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    kernel = _pack_weights(kernel, lowered, (*loops.groups, "ir", *terms, "ii"), lanes, target)
    if outer:
        kernel = _pack_lines(kernel, outer[-1], terms, line)
    kernel = vectorize_copy(kernel, "pa", lanes)
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, outer or ["ir"], lowered.work, target, lowered.choices)


def _short_window(kernel: Kernel, terms: list[str]) -> list[str]:
    """The innermost loop over terms, where it is unrolled."""
    return [t for t in terms[-1:] if steps.iterations(kernel, t) < SHORT_WINDOW]


def _pack_lines(kernel: Kernel, at: str, terms: list[str], line: tuple[str, ...]) -> Kernel:
    """Packs what the windows of a tile's lines read, each element once, or where lanes would stride, once to a place."""
    before = terms[:-2] if line and len(terms) > 1 else terms[:-1]
    order = (*before, *(line or terms[len(before) : -1]), "jl")
    windows = (("jl", "jv", "jr", terms[-1]), (*line, *terms[len(before) : -1]) if line else ())
    try:
        return steps.stage(kernel, 0, at, "pa", Space.SCRATCH, order, windows=windows)
    except ScheduleError:
        return steps.stage(kernel, 0, at, "pa", Space.SCRATCH, (*terms, *line, "jr", "jv", "jl"))


def _pixel_tile(m: int, height: int, width: int, lanes: int, registers: int) -> tuple[int, int, int]:
    """Rows of channels, lines and vectors of the register tile; small images fill it with several lines."""
    best, tile = 0.0, (1, 1, 1)
    for rows, vectors, own in REGISTER_TILES:
        if not fits_registers(rows, vectors, registers):
            continue
        for lines in (n for n in LINES if vectors % n == 0 and n <= height):
            wide = vectors // lines * lanes
            rate = own * _utilization(m, rows) * _utilization(height, lines) * _utilization(width, wide)
            if rate > best:
                best, tile = rate, (rows, lines, vectors // lines)
    return tile


def _pixel_tiles(m: int, height: int, width: int, lanes: int, registers: int) -> list[tuple[int, int, int]]:
    """The options of `_pixel_tile`, without those that are larger than they need to be."""
    return [
        (rows, lines, vectors // lines)
        for rows, vectors in register_tiles(m, width * height, lanes, registers)
        for lines in LINES
        if vectors % lines == 0 and lines <= height and (vectors // lines - 1) * lanes < width
    ]


def _utilization(extent: int, part: int) -> float:
    """How much of equal parts that cover an extent it fills."""
    return extent / (-(-extent // part) * part)


# ---------------------------------------------------------------- lanes over output channels


def _rows_of_images(lowered: Lowered, loops: _Loops, target: Target) -> Kernel:
    """Lanes run over output channels, rows over images: large windows at few places, as a weight's gradient has them.

    The register tile goes back to memory after each input channel, so that what a channel needs stays in the cache.
    """
    kernel, (o,), image, pixels = lowered.kernel, loops.channels, loops.images[0], loops.pixels
    others = [n for n in loops.outer if n != image]
    m, n = steps.iterations(kernel, image), steps.iterations(kernel, o)
    lanes = lanes_that_fit(target.lanes(accumulator_dtype(kernel)), n)
    best = register_tile(m, n, lanes, target.registers)
    rows, vectors = lowered.choices.pick("image.tile", best, register_tiles(m, n, lanes, target.registers))
    kernel = _split_columns(kernel, o, lanes, vectors)
    kernel = steps.split(kernel, image, rows, "ir", "ii")
    channels, window = loops.terms[:-2], loops.terms[-2:]
    kernel = steps.reorder(kernel, *others, "jr", "ir", *channels, *pixels, *window, "ii", "jv", "jl")
    tiles = steps.iterations(kernel, "ir")
    chunk = max(1, -(-tiles // (2 * target.threads)))
    chunk = lowered.choices.pick("image.chunk", chunk, multiples(chunk, tiles))
    kernel = steps.split(kernel, "ir", chunk, "ic", "i1", exact=True)
    kernel = steps.reorder(kernel, *others, "jr", "ic", *channels, "i1", *pixels, *window, "ii", "jv", "jl")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, "ii", "jv"), Kind.VECTOR, "jl")
    kernel = _pack_weights(kernel, lowered, (*loops.groups, "jr", *loops.terms, "jv", "jl"), lanes, target)
    windows = tuple((pixel, term) for pixel, term in zip(pixels[-2:], window[-len(pixels) :], strict=True))
    kernel = steps.stage(kernel, 0, "i1", "pa", Space.SCRATCH, ("ii", *(w[0] for w in windows)), windows=windows)
    kernel = vectorize_copy(kernel, "pa", target.lanes(accumulator_dtype(kernel)))
    if channels:
        kernel = steps.realize(kernel, next(s.buffer.name for s in walk(kernel.body) if is_virtual(s)))
    kernel = steps.accumulate(kernel, window[0], "tile")
    return parallel_nest(kernel, [*others, "jr", "ic"], lowered.work, target, lowered.choices)


def _lanes_over_channels(lowered: Lowered, loops: _Loops, target: Target) -> Kernel:
    """Lanes run over output channels, rows over the innermost spatial axis; both operands are packed."""
    kernel, (o,), terms = lowered.kernel, loops.channels, loops.terms
    dtype = accumulator_dtype(kernel)
    x = loops.pixels[-1] if loops.pixels else None
    n, m = steps.iterations(kernel, o), steps.iterations(kernel, x) if x else 1
    lanes = lanes_that_fit(target.lanes(dtype), n)
    best = register_tile(m, n, lanes, target.registers)
    rows, vectors = lowered.choices.pick("channel.tile", best, register_tiles(m, n, lanes, target.registers))
    kernel = _split_columns(kernel, o, lanes, vectors)
    outer = [*loops.outer, *loops.pixels[:-1]]
    inner = []
    if x:
        kernel = steps.split(kernel, x, rows, "ir", "ii")
        inner = ["ii"]
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, *inner, "jv"), Kind.VECTOR, "jl")
    if x and 4 * n * steps.iterations(kernel, *terms) * dtype.itemsize > target.l2_bytes:
        try:
            return _panels_of_weights(lowered, loops, kernel, target)
        except ScheduleError:
            pass  # windows of one axis and pixels of another: nothing to share
    kernel = steps.reorder(kernel, *outer, "jr", *(["ir"] if x else []), *terms, *inner, "jv", "jl")
    kernel = _pack_weights(kernel, lowered, (*loops.groups, "jr", *terms, "jv", "jl"), lanes, target)
    if x and outer:
        kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, (*terms, "ir", "ii"))
        kernel = vectorize_copy(kernel, "pa", target.lanes(dtype))
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, outer or ["jr"], lowered.work, target, lowered.choices)


def _panels_of_weights(lowered: Lowered, loops: _Loops, kernel: Kernel, target: Target) -> Kernel:
    """Weights that fill the second cache: a panel of them stays there while all images pass.

    The input is packed once, with zeros around it.
    """
    terms, pixels = loops.terms, loops.pixels
    lanes = target.lanes(accumulator_dtype(kernel))
    kernel = steps.reorder(
        kernel, *loops.groups, "jr", *loops.images, *pixels[:-1], "ir", *terms, "ii", "jv", "jl"
    )  # fmt: skip
    short = _short_window(kernel, terms)
    if short:
        kernel = steps.mark(kernel, Kind.UNROLLED, *short)
    kernel = _pack_weights(kernel, lowered, (*loops.groups, "jr", *terms, "jv", "jl"), lanes, target)
    moved = [(name,) for name in pixels[:-1]] + [("ii", "ir")]
    windows = tuple((term, *by) for term, by in zip(terms[-len(pixels) :], moved, strict=True))
    kernel = steps.stage(kernel, 0, None, "pa", Space.GLOBAL, (*loops.outer, *terms), windows=windows)
    kernel = vectorize_copy(parallel_copy(kernel, "pa", target, lowered.work), "pa", lanes)
    kernel = steps.accumulate(kernel, terms[0], "tile")
    for name in loops.images:
        kernel = steps.fuse(kernel, "jr", name, "jr", simple=False)
    return parallel_nest(kernel, [*loops.groups, "jr"], lowered.work, target, lowered.choices)


# ---------------------------------------------------------------- one output channel


def _one_channel(lowered: Lowered, loops: _Loops, target: Target) -> Kernel:
    """Lanes run over the innermost spatial axis, the window's elements are broadcast.

    A tile of lines and lanes stays in registers; what the windows of an image read is packed once, with zeros around it.
    """
    kernel, pixels, terms = lowered.kernel, loops.pixels, loops.terms
    n = steps.iterations(kernel, pixels[-1])
    window = terms[len(terms) - len(pixels) :] if len(terms) >= len(pixels) else []
    channels = terms[: len(terms) - len(window)]
    packed_bytes = steps.iterations(kernel, *pixels, *channels) * accumulator_dtype(kernel).itemsize
    lanes = lanes_that_fit(target.lanes(accumulator_dtype(kernel)), n)
    fitting = [v for v in (4, 2, 1) if n > lanes * (v - 1)]
    kernel = _split_columns(kernel, pixels[-1], lanes, lowered.choices.pick("vectors", fitting[0], fitting))
    tile, rows = ["jv"], pixels[:-1]
    if len(pixels) > 1:
        kernel = steps.split(kernel, pixels[-2], lowered.choices.pick("lines", 4, (1, 2, 4, 8)), "yr", "yi")
        tile, rows = ["yi", "jv"], [*pixels[:-2], "yr"]
    kernel = steps.reorder(kernel, *loops.outer, *rows, "jr", *terms, *tile, "jl")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, *tile), Kind.VECTOR, "jl")
    packs: bool = lowered.choices.pick("copy", 4 * packed_bytes <= target.l2_bytes, (False, True))
    if loops.outer and window and packs:
        parts = [(name,) for name in pixels[:-2]] + [("yi", "yr")] * (len(pixels) > 1) + [("jl", "jv", "jr")]
        windows = tuple((*part, term) for part, term in zip(parts, window, strict=True))
        order = (*channels, *(w[0] for w in windows))
        try:
            kernel = steps.stage(kernel, 0, loops.outer[-1], "pa", Space.SCRATCH, order, windows=windows)
            kernel = vectorize_copy(kernel, "pa", lanes)
        except ScheduleError:
            pass  # with a stride, lanes are not contiguous: read as they are
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, [*loops.outer, *rows, "jr"], lowered.work, target, lowered.choices)
