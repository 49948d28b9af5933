"""Schedules of convolutions.

Lanes run over what fills them best: the innermost spatial axis, or output channels. What windows read of the input is
copied once with zeros around it, so that the inner loop has no conditions.
"""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.expr import Space
from ...ir.schedule import ScheduleError
from ...ir.stmt import Kernel, Kind, walk
from ...ir.target import Target
from ..lowering.contraction import depends_on_right
from ..lowering.lowered import Lowered
from .common import (  # fmt: skip
    TILES,
    is_virtual,
    leaf_dtype,
    multiples,
    parallel_copy,
    parallel_nest,
    register_tile,
    tiles,
    vector_copy,
)


def conv(lowered: Lowered, target: Target) -> Kernel:
    """Lanes over what fills them better: the innermost spatial axis, or output channels."""
    loops, terms = lowered.loops, lowered.terms
    spatial = loops[lowered.batch :]
    if not spatial or not terms:
        return lowered.kernel
    if not lowered.rows:
        return _thin_conv(lowered, target)
    best, forms = "channel", ["channel"]
    images = [n for n in loops[: lowered.batch] if not depends_on_right(lowered.kernel, n)]
    if images and len(terms) > 1 and len(spatial) > 1:
        count, pixels = (steps.iterations(lowered.kernel, n) for n in (images[0], spatial[-1]))
        depth = steps.iterations(lowered.kernel, *terms[-2:])
        forms.append("image")
        if count > pixels and depth >= 64:
            best = "image"
    if len(spatial) > 1:
        lanes = target.lanes(leaf_dtype(lowered.kernel))
        channels, pixels = (steps.iterations(lowered.kernel, n) for n in (spatial[0], spatial[-1]))
        forms.append("pixel")
        if _filled(pixels, lanes) >= 0.75 * _filled(channels, lanes):
            best = "pixel"
    form = lowered.choices.pick("form", best, forms)
    if form == "pixel":
        return _pixel_conv(lowered, target)
    if form == "image":
        try:
            return _image_conv(lowered, images[0], target)
        except ScheduleError:
            pass  # windows of one axis and places of another: nothing to share
    return _channel_conv(lowered, target)


def _filled(extent: int, lanes: int) -> float:
    """Which part of the lanes works."""
    lanes = min(lanes, 1 << (extent - 1).bit_length())
    return extent / (-(-extent // lanes) * lanes) * lanes


def _pixel_conv(lowered: Lowered, target: Target) -> Kernel:
    """Lanes run over the innermost spatial axis, rows over output channels.

    The rows of the input that a row of the result needs are copied once, with zeros around them; windows read them at any
    offset. With a stride, each place in the window has a copy of its own, so that lanes lie side by side.
    """
    kernel, loops, terms = lowered.kernel, lowered.loops, lowered.terms
    spatial = loops[lowered.batch :]
    o, x = spatial[0], spatial[-1]
    lines = spatial[-2] if len(spatial) > 2 else None
    m, n = steps.iterations(kernel, o), steps.iterations(kernel, x)
    lanes = min(target.lanes(leaf_dtype(kernel)), 1 << (n - 1).bit_length())
    covered = (m, steps.iterations(kernel, lines) if lines else 1, n, lanes, target.registers)
    rows, height, width = lowered.choices.pick("pixel.tile", _pixel_tile(*covered), _pixel_tiles(*covered))
    kernel = steps.split(kernel, x, lanes * width, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    kernel = steps.split(kernel, o, rows, "ir", "ii")
    outer, tile = [*loops[: lowered.batch], *spatial[1:-1]], ["ii"]
    line: tuple[str, ...] = ()
    if lines and height > 1:
        kernel = steps.split(kernel, lines, height, "yr", "yi")
        outer, tile, line = [*outer[:-1], "yr"], ["ii", "yi"], ("yi",)
    tile.append("jv")
    kernel = steps.reorder(kernel, *outer, "ir", "jr", *terms, *tile, "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, *tile, *(t for t in terms[-1:] if steps.iterations(kernel, t) < 8))
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    group = [name for name in loops[: lowered.batch] if depends_on_right(kernel, name)]
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, (*group, "ir", *terms, "ii"))
    kernel = vector_copy(parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)
    if outer:
        before = terms[:-2] if line and len(terms) > 1 else terms[:-1]
        order = (*before, *(line or terms[len(before) : -1]), "jl")
        windows = (("jl", "jv", "jr", terms[-1]), (*line, *terms[len(before) : -1]) if line else ())
        try:
            kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, order, windows=windows)
        except ScheduleError:
            kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, (*terms, *line, "jr", "jv", "jl"))
    kernel = vector_copy(kernel, "pa", lanes)
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, outer or ["ir"], lowered.work, target, lowered.choices)


def _pixel_tile(m: int, height: int, width: int, lanes: int, registers: int) -> tuple[int, int, int]:
    """Rows of channels, lines and vectors of the register tile; small images fill it with several lines."""
    best, found = 0.0, (1, 1, 1)
    for rows, vectors, own in TILES:
        if rows * vectors + vectors + 1 > registers:
            continue
        for lines in (n for n in (1, 2, 3, 4) if vectors % n == 0 and n <= height):
            wide = vectors // lines * lanes
            rate = own * _whole(m, rows) * _whole(height, lines) * _whole(width, wide)
            if rate > best:
                best, found = rate, (rows, lines, vectors // lines)
    return found


def _pixel_tiles(m: int, height: int, width: int, lanes: int, registers: int) -> list[tuple[int, int, int]]:
    """What `_pixel_tile` chooses from, without what is larger than it needs to be."""
    return [
        (rows, lines, vectors // lines)
        for rows, vectors in tiles(m, width * height, lanes, registers)
        for lines in (1, 2, 3, 4)
        if vectors % lines == 0 and lines <= height and (vectors // lines - 1) * lanes < width
    ]


def _whole(extent: int, part: int) -> float:
    """How much of equal parts that cover an extent it fills."""
    return extent / (-(-extent // part) * part)


def _image_conv(lowered: Lowered, image: str, target: Target) -> Kernel:
    """Lanes run over output channels, rows over images: large windows at few places, as a weight's gradient has them.

    The tile goes back to memory after each channel, so that what a channel needs stays in the cache.
    """
    kernel, loops, terms = lowered.kernel, lowered.loops, lowered.terms
    o, places = loops[lowered.batch], loops[lowered.batch + 1 :]
    others = [n for n in loops[: lowered.batch] if n != image]
    m, n = steps.iterations(kernel, image), steps.iterations(kernel, o)
    lanes = min(target.lanes(leaf_dtype(kernel)), 1 << (n - 1).bit_length())
    best = register_tile(m, n, lanes, target.registers)
    rows, vectors = lowered.choices.pick("image.tile", best, tiles(m, n, lanes, target.registers))
    kernel = steps.split(kernel, o, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    kernel = steps.split(kernel, image, rows, "ir", "ii")
    over, inner = terms[:-2], terms[-2:]
    kernel = steps.reorder(kernel, *others, "jr", "ir", *over, *places, *inner, "ii", "jv", "jl")
    most = steps.iterations(kernel, "ir")
    chunk = max(1, -(-most // (2 * target.threads)))
    chunk = lowered.choices.pick("image.chunk", chunk, multiples(chunk, most))
    kernel = steps.split(kernel, "ir", chunk, "ic", "i1", exact=True)
    kernel = steps.reorder(kernel, *others, "jr", "ic", *over, "i1", *places, *inner, "ii", "jv", "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, "ii", "jv")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    group = [name for name in others if depends_on_right(kernel, name)]
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, (*group, "jr", *terms, "jv", "jl"))
    kernel = vector_copy(parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)
    windows = tuple((place, term) for place, term in zip(places[-2:], inner[-len(places) :], strict=True))
    kernel = steps.stage(kernel, 0, "i1", "pa", Space.SCRATCH, ("ii", *(w[0] for w in windows)), windows=windows)
    kernel = vector_copy(kernel, "pa", target.lanes(leaf_dtype(kernel)))
    if over:
        kernel = steps.realize(kernel, next(s.buffer.name for s in walk(kernel.body) if is_virtual(s)))
    kernel = steps.accumulate(kernel, inner[0], "tile")
    return parallel_nest(kernel, [*others, "jr", "ic"], lowered.work, target, lowered.choices)


def _channel_conv(lowered: Lowered, target: Target) -> Kernel:
    """Lanes run over output channels, rows over the innermost spatial axis; both operands are packed."""
    kernel = lowered.kernel
    dtype = leaf_dtype(kernel)
    loops, terms = lowered.loops, lowered.terms
    spatial = loops[lowered.batch :]
    o, x = spatial[0], spatial[-1] if len(spatial) > 1 else None
    n = steps.iterations(kernel, o)
    lanes = min(target.lanes(dtype), 1 << (n - 1).bit_length())
    m = steps.iterations(kernel, x) if x else 1
    best = register_tile(m, n, lanes, target.registers)
    rows, vectors = lowered.choices.pick("channel.tile", best, tiles(m, n, lanes, target.registers))
    kernel = steps.split(kernel, o, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    outer = [*loops[: lowered.batch], *spatial[1:-1]]
    inner = []
    if x:
        kernel = steps.split(kernel, x, rows, "ir", "ii")
        inner = ["ii"]
    kernel = steps.mark(kernel, Kind.UNROLLED, *inner, "jv")
    kernel = steps.mark(kernel, Kind.VECTOR, "jl")
    if x and 4 * n * steps.iterations(kernel, *terms) * dtype.itemsize > target.l2_bytes:
        try:
            return _panel_conv(lowered, kernel, target)
        except ScheduleError:
            pass  # windows of one axis and places of another: nothing to share
    order = [*outer, "jr", *(["ir"] if x else []), *terms, *inner, "jv", "jl"]
    kernel = steps.reorder(kernel, *order)
    group = [name for name in loops[: lowered.batch] if depends_on_right(kernel, name)]
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, (*group, "jr", *terms, "jv", "jl"))
    kernel = vector_copy(parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)
    if x and outer:
        kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, (*terms, "ir", "ii"))
        kernel = vector_copy(kernel, "pa", target.lanes(dtype))
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, outer or ["jr"], lowered.work, target, lowered.choices)


def _panel_conv(lowered: Lowered, kernel: Kernel, target: Target) -> Kernel:
    """Many channels and few places: a panel of weights stays in the cache while all images pass.

    The input is copied once, with zeros around it.
    """
    terms, places = lowered.terms, lowered.loops[lowered.batch + 1 :]
    lanes = target.lanes(leaf_dtype(kernel))
    batch = lowered.loops[: lowered.batch]
    group = [name for name in batch if depends_on_right(kernel, name)]
    images = [name for name in batch if name not in group]
    spatial = [*group, "jr", *images]
    kernel = steps.reorder(kernel, *spatial, *places[:-1], "ir", *terms, "ii", "jv", "jl")
    kernel = steps.mark(kernel, Kind.UNROLLED, *(t for t in terms[-1:] if steps.iterations(kernel, t) < 8))
    kernel = steps.stage(kernel, 1, None, "pb", Space.GLOBAL, (*group, "jr", *terms, "jv", "jl"))
    kernel = vector_copy(parallel_copy(kernel, "pb", target, lowered.work), "pb", lanes)
    moved = [(name,) for name in places[:-1]] + [("ii", "ir")]
    windows = tuple((term, *by) for term, by in zip(terms[-len(places) :], moved, strict=True))
    kernel = steps.stage(kernel, 0, None, "pa", Space.GLOBAL, (*batch, *terms), windows=windows)
    kernel = vector_copy(parallel_copy(kernel, "pa", target, lowered.work), "pa", lanes)
    kernel = steps.accumulate(kernel, terms[0], "tile")
    for name in images:
        kernel = steps.fuse(kernel, "jr", name, "jr", simple=False)
    return parallel_nest(kernel, [*group, "jr"], lowered.work, target, lowered.choices)


def _thin_conv(lowered: Lowered, target: Target) -> Kernel:
    """One output channel: lanes run over the innermost spatial axis, the window's elements are broadcast.

    A tile of rows and lanes stays in registers; what the windows of an image read is copied once, with zeros around it.
    """
    kernel, loops, terms = lowered.kernel, lowered.loops, lowered.terms
    outer, places = loops[: lowered.batch], loops[lowered.batch :]
    x = places[-1]
    n = steps.iterations(kernel, x)
    window = terms[len(terms) - len(places) :] if len(terms) >= len(places) else []
    size = steps.iterations(kernel, *places, *terms[: len(terms) - len(window)]) * leaf_dtype(kernel).itemsize
    lanes = min(target.lanes(leaf_dtype(kernel)), 1 << (n - 1).bit_length())
    fitting = [v for v in (4, 2, 1) if n > lanes * (v - 1)]
    vectors = lowered.choices.pick("vectors", fitting[0], fitting)
    kernel = steps.split(kernel, x, lanes * vectors, "jr", "j2")
    kernel = steps.split(kernel, "j2", lanes, "jv", "jl")
    unrolled, rows = ["jv"], places[:-1]
    if len(places) > 1:
        kernel = steps.split(kernel, places[-2], lowered.choices.pick("lines", 4, (1, 2, 4, 8)), "yr", "yi")
        unrolled, rows = ["yi", "jv"], [*places[:-2], "yr"]
    kernel = steps.reorder(kernel, *outer, *rows, "jr", *terms, *unrolled, "jl")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, *unrolled), Kind.VECTOR, "jl")
    copied: bool = lowered.choices.pick("copy", 4 * size <= target.l2_bytes, (False, True))
    if outer and window and copied:
        parts = [(name,) for name in places[:-2]] + [("yi", "yr")] * (len(places) > 1) + [("jl", "jv", "jr")]
        windows = tuple((*part, term) for part, term in zip(parts, window, strict=True))
        order = (*terms[: len(terms) - len(window)], *(w[0] for w in windows))
        try:
            kernel = steps.stage(kernel, 0, outer[-1], "pa", Space.SCRATCH, order, windows=windows)
            kernel = vector_copy(kernel, "pa", lanes)
        except ScheduleError:
            pass  # with a stride, lanes do not lie side by side: read as they are
    kernel = steps.accumulate(kernel, terms[0], "tile")
    return parallel_nest(kernel, [*outer, *rows, "jr"], lowered.work, target, lowered.choices)
