"""The placement of intermediate values: offsets in one arena by liveness, first fit over the launch order, largest first.

Times are positions in the launch order: kernel 0, 1, .... A value is live from the first kernel that uses it to the last.
The memory of a result is free until the kernel that writes the result, so intermediate values may lie there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...runtime.protocol import Argument
from ...telemetry.decisions import Decision
from .decisions import reuse_decisions

UNBOUNDED = 1 << 62
FOREVER = 1 << 40  # after every kernel


class LiveRange(NamedTuple):
    """Memory that kernels `first` to `last` use."""

    size: int
    first: int
    last: int
    name: str


class _Placed(NamedTuple):
    """A live range with its place: the offsets `[start, stop)` of a region."""

    start: int
    stop: int
    first: int
    last: int
    name: str


class Region:
    """Memory in which live ranges are placed: a result's, which is free until kernel `written` writes it, or the arena."""

    __slots__ = ("name", "placed", "size", "slot", "written")

    def __init__(self, slot: int, size: int, written: int, name: str) -> None:
        self.slot = slot
        self.size = size
        self.written = written
        self.name = name
        self.placed: list[_Placed] = []


class Placement(NamedTuple):
    """The slot and the offset of each live range, the size of the arena, and which memory is reused."""

    places: list[Argument]
    arena_bytes: int
    decisions: list[Decision]


def place(ranges: Sequence[LiveRange], results: Sequence[Region], arena: int, align: int) -> Placement:
    """Places live ranges so that none overlaps another in time and space.

    Args:
        ranges: the live ranges to place.
        results: the memory of results, which is tried before the arena.
        arena: the slot of the arena.
        align: the alignment of offsets in bytes.
    """
    for region in results:
        region.placed = [_Placed(0, region.size, region.written, FOREVER, region.name)]
    own = Region(arena, UNBOUNDED, 0, "arena")
    places: list[Argument] = [(arena, 0)] * len(ranges)
    for n in sorted(range(len(ranges)), key=lambda n: (-ranges[n].size, ranges[n].first)):
        one = ranges[n]
        size = -(-max(one.size, 1) // align) * align
        for region in (*results, own):
            if region.size < one.size or (region is not own and one.last >= region.written):
                continue
            offset = _first_fit(region, one, size)
            if offset + one.size <= region.size:
                region.placed.append(_Placed(offset, offset + size, one.first, one.last, one.name))
                places[n] = region.slot, offset
                break
    arena_bytes = max((p.stop for p in own.placed), default=0)
    shared = [region for region in (own, *results) if len(region.placed) > 1]
    return Placement(places, arena_bytes, [d for region in shared for d in reuse_decisions(list(region.placed))])


def _first_fit(region: Region, one: LiveRange, size: int) -> int:
    """The first offset of a region at which nothing lies while a range is live."""
    offset = 0
    for start, stop, first, last, _ in sorted(region.placed):
        if first <= one.last and one.first <= last:
            if offset + size <= start:
                break
            offset = max(offset, stop)
    return offset


def liveness_bound(ranges: Sequence[LiveRange], results: Sequence[Region], kernels: int) -> int:
    """The most bytes that are live at once: ranges while they are used, results from the kernel that writes them on.

    No placement takes less in this order of kernels.
    """
    changes = [0] * (kernels + 1)
    for one in ranges:
        changes[one.first] += one.size
        changes[one.last + 1] -= one.size
    for result in results:
        changes[result.written] += result.size
    live = most = 0
    for change in changes[:kernels]:
        live += change
        most = max(most, live)
    return most
