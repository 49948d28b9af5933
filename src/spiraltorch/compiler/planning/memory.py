"""Where intermediate results lie: first fit over the launch order, the biggest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...telemetry.decisions import Decision
from .decisions import reuses

INFINITE = 1 << 62
LAST = 1 << 40  # after every kernel


class Wanted(NamedTuple):
    """Memory that kernels `first` to `last` use."""

    size: int
    first: int
    last: int
    name: str


class _Placed(NamedTuple):
    start: int
    stop: int
    first: int
    last: int
    name: str


@dataclass
class Region:
    """A result's memory, which is free until kernel `written` writes it."""

    slot: int
    size: int
    written: int
    name: str
    placed: list[_Placed] = field(default_factory=list)


def place(
    wanted: Sequence[Wanted], regions: Sequence[Region], arena: int, align: int
) -> tuple[list[tuple[int, int]], int, list[Decision]]:  # fmt: skip
    """A slot and an offset for each of `wanted`, the bytes of the arena, and whose memory is used again.

    What is dead before a result is written may lie in its memory. The rest lies in the arena, whose slot is `arena`.
    """
    for region in regions:
        region.placed = [_Placed(0, region.size, region.written, LAST, region.name)]
    own = Region(arena, INFINITE, 0, "arena")
    found: list[tuple[int, int]] = [(arena, 0)] * len(wanted)
    for n in sorted(range(len(wanted)), key=lambda n: (-wanted[n].size, wanted[n].first)):
        one = wanted[n]
        size = -(-max(one.size, 1) // align) * align
        for region in (*regions, own):
            if region.size < one.size or (region is not own and one.last >= region.written):
                continue
            at = _gap(region, one, size)
            if at + one.size <= region.size:
                region.placed.append(_Placed(at, at + size, one.first, one.last, one.name))
                found[n] = region.slot, at
                break
    nbytes = max((p.stop for p in own.placed), default=0)
    return (
        found,
        nbytes,
        [d for region in (own, *regions) if len(region.placed) > 1 for d in reuses(list(region.placed))],
    )


def _gap(region: Region, one: Wanted, size: int) -> int:
    """The first offset at which nothing lies while `one` is in use."""
    at = 0
    for start, stop, first, last, _ in sorted(region.placed):
        if first <= one.last and one.first <= last:
            if at + size <= start:
                break
            at = max(at, stop)
    return at


def least(values: Sequence[Wanted], results: Sequence[Region], kernels: int) -> int:
    """The most bytes that are needed at once: values as long as they are used, and results from their writing on.

    No placement takes less in this order of kernels.
    """
    changes = [0] * (kernels + 1)
    for one in values:
        changes[one.first] += one.size
        changes[one.last + 1] -= one.size
    for result in results:
        changes[result.written] += result.size
    now = most = 0
    for change in changes[:kernels]:
        now += change
        most = max(most, now)
    return most
