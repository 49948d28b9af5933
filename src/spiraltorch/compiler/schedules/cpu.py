"""Rules for targets with threads and vectors, but for products of matrices, convolutions and attention."""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.stmt import Kernel, Kind, Store, leaf_loads, walk
from ...ir.target import Target
from ..lowering.lowered import LoopRole, Lowered, PhaseRole
from .common import (
    CACHE_LINE,
    UNROLL,
    fuse_contiguous,
    lanes_that_fit,
    parallel,
    peel_remainder,
    stride,
    strided,
    vectorize,
    widest_dtype,
)

CHEAP = 8  # operations to an element, below which more vectors are in flight


def schedule_map(lowered: Lowered, target: Target) -> Kernel:
    """Lanes along the innermost loop; where that strides over memory that another loop is contiguous in, small blocks."""
    kernel, names = fuse_contiguous(lowered.kernel, lowered.spatial)
    if not names:
        return kernel
    contiguous = _transposed_loop(kernel, names)
    if contiguous is not None:
        return _transposition(lowered, kernel, names, contiguous, target)
    lanes = target.lanes(widest_dtype(kernel))
    default = 4 if lowered.work < CHEAP * steps.iterations(kernel, *names) else 2
    unroll = lowered.choices.pick("unroll", default, UNROLL)
    extent = steps.iterations(kernel, names[-1])
    kernel, outer, inner = vectorize(kernel, names[-1], lanes, unroll)
    kernel = peel_remainder(kernel, outer, extent, inner)
    spatial = names[:-1] + ([outer] if outer else [])
    return parallel(kernel, spatial, lowered.work, target, lowered.choices)


def _transposed_loop(kernel: Kernel, names: list[str]) -> str | None:
    """The loop that is contiguous in an operand which the innermost loop strides over, as in a transposition."""
    last = steps.find_loop(kernel, names[-1]).var
    if len(names) < 2 or steps.iterations(kernel, names[-1]) < 2:
        return None
    for s in walk(kernel.body):
        for load in leaf_loads(s) if isinstance(s, Store) else ():
            if strided(load, last):
                for name in names[:-1]:
                    if stride(load, steps.find_loop(kernel, name).var) == 1 and steps.iterations(kernel, name) > 4:
                        return name
    return None


def _transposition(lowered: Lowered, kernel: Kernel, names: list[str], contiguous: str, target: Target) -> Kernel:
    """Square blocks of two loops, so that a line of either operand is used while it is in the cache."""
    last, extent = names[-1], steps.iterations(kernel, names[-1])
    lanes = lanes_that_fit(target.lanes(widest_dtype(kernel)), extent)
    side = CACHE_LINE // max(1, widest_dtype(kernel).itemsize)
    side = lowered.choices.pick("side", side, (4, 8, 16, 32, 64))
    others = [n for n in names[:-1] if n != contiguous]
    kernel = steps.split(kernel, contiguous, side, "so", "si", exact=True)
    kernel = steps.split(kernel, last, side, "to", "t1", exact=True)
    if lanes > 1:
        kernel = steps.split(kernel, "t1", lanes, "tv", "tl")
        kernel = steps.mark(steps.reorder(kernel, *others, "so", "to", "si", "tv", "tl"), Kind.VECTOR, "tl")
    else:
        kernel = steps.reorder(kernel, *others, "so", "to", "si", "t1")
    return parallel(kernel, [*others, "so", "to"], lowered.work, target, lowered.choices)


def schedule_rows(lowered: Lowered, target: Target) -> Kernel:
    """A task traverses its rows once for each phase, with lanes along the row; lanes are reduced at its end."""
    kernel = lowered.kernel
    lanes = target.lanes(widest_dtype(kernel))
    for n, phase in enumerate(lowered.phases):
        reduces = phase.role is PhaseRole.REDUCTION
        kernel, names = fuse_contiguous(kernel, phase.names())
        first = names[0]
        extent = steps.iterations(kernel, names[-1])
        unroll = lowered.choices.pick(f"unroll.{n}", 4 if reduces else 2, UNROLL)
        kernel, outer, inner = vectorize(kernel, names[-1], lanes, unroll)
        if len(names) == 1:
            first = outer or inner[0]
        if reduces and inner:
            if outer or len(names) > 1:
                kernel = steps.accumulate(kernel, first, f"{first}_part", tuple(inner))
        kernel = peel_remainder(kernel, outer, extent, inner)
    kernel, spatial = fuse_contiguous(kernel, lowered.spatial)
    return parallel(kernel, spatial, lowered.work, target, lowered.choices)


def schedule_columns(lowered: Lowered, target: Target) -> Kernel:
    """Lanes run over the columns of a block, whose sums are in registers while rows are traversed."""
    kernel = lowered.kernel
    lanes = target.lanes(widest_dtype(kernel))
    for phase in lowered.phases:
        *rows, column = phase.names()
        width = steps.iterations(kernel, column)
        if width > lanes:
            kernel = steps.split(kernel, column, lanes, f"{column}u", f"{column}l")
            kernel = steps.mark(kernel, Kind.UNROLLED, f"{column}u")
            kernel = steps.mark(kernel, Kind.VECTOR, f"{column}l")
        elif width > 1:
            kernel = steps.mark(kernel, Kind.VECTOR, column)
        if len(rows) > 1:
            kernel, _ = fuse_contiguous(kernel, rows)
    return parallel(kernel, lowered.spatial, lowered.work, target, lowered.choices)


def schedule_phases(lowered: Lowered, target: Target) -> Kernel:
    """Nests after each other, each with lanes along its innermost loop."""
    kernel = lowered.kernel
    lanes = target.lanes(widest_dtype(kernel))
    for phase in lowered.phases:
        kernel, names = fuse_contiguous(kernel, phase.names(LoopRole.SPATIAL))
        kernel, outer, _ = vectorize(kernel, names[-1], lanes, 2)
        spatial = names[:-1] + ([outer] if outer else [])
        kernel = parallel(kernel, spatial, lowered.work // len(lowered.phases), target, lowered.choices)
    return kernel


def schedule_sort(lowered: Lowered, target: Target) -> Kernel:
    """Copies in and out have lanes, blocks of a group interleave; rows, or groups of blocks, are tasks."""
    kernel = lowered.kernel
    interleaved = [name for phase in lowered.phases for name in phase.names(LoopRole.INTERLEAVED)]
    if interleaved:
        kernel = steps.mark(kernel, Kind.UNROLLED, *interleaved)
    tasks = [lowered.spatial]
    for phase in lowered.phases:
        spatial = phase.names(LoopRole.SPATIAL)
        if phase.role is PhaseRole.ELEMENTWISE:
            name = phase.names(LoopRole.SPATIAL, LoopRole.LANE)[-1]
            kernel, outer, _ = vectorize(kernel, name, target.lanes(widest_dtype(kernel)), 2)
            if name in spatial:
                spatial = spatial[:-1] + ([outer] if outer else [])
        tasks.append(spatial)
    for spatial in tasks:
        kernel = parallel(kernel, spatial, lowered.work, target, lowered.choices)
    return kernel


def schedule_serial(lowered: Lowered, target: Target) -> Kernel:
    """Rows are tasks; blocks of a row run in order, several steps to an iteration."""
    kernel = lowered.kernel
    for n, phase in enumerate(lowered.phases):
        (step,) = phase.names(LoopRole.SEQUENTIAL)
        extent = steps.loop_extent(kernel, step)
        fitting = [u for u in UNROLL if extent.is_const and extent.const % u == 0]
        unroll = lowered.choices.pick(f"unroll.{n}", max(fitting, default=1), fitting)
        if unroll > 1:
            kernel = steps.split(kernel, step, unroll, f"{step}o", f"{step}u")
            kernel = steps.mark(kernel, Kind.UNROLLED, f"{step}u")
    return parallel(kernel, lowered.spatial, lowered.work, target, lowered.choices)


def schedule_scatter(lowered: Lowered, target: Target) -> Kernel:
    """The copy has lanes; the updates keep their order, with lanes over what follows the scattered axis."""
    kernel = lowered.kernel
    lanes = target.lanes(widest_dtype(kernel))
    copy, update = lowered.phases
    if copy.loops:
        kernel, names = fuse_contiguous(kernel, copy.names())
        extent = steps.iterations(kernel, names[-1])
        unroll = lowered.choices.pick("unroll", 2, UNROLL)
        kernel, outer, inner = vectorize(kernel, names[-1], lanes, unroll)
        kernel = peel_remainder(kernel, outer, extent, inner)
    after = update.names(LoopRole.LANE)
    if after:
        kernel, names = fuse_contiguous(kernel, after)
        kernel, _, _ = vectorize(kernel, names[-1], lanes, 1)
    return kernel
