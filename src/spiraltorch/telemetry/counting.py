"""Figures of what the process did: the one place where they are kept. See `names.METRICS` for what each means.

Hot paths add to `COUNTS` directly. Levels of memory are asked of the allocators when somebody reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .names import METRICS

COUNTS: dict[str, Any] = {m.key: 0 for m in METRICS if m.rises and m.key != "plan_cache_hits"}
COUNTS["compile_seconds"] = 0.0
COUNTS["plan_lookups"] = 0  # hits are the lookups that did not miss: one addition less where it counts
ALLOCATORS: dict[str, Callable[[], tuple[int, int]]] = {}  # device -> bytes in use, and the most there were


def watch_allocator(device: str, levels: Callable[[], tuple[int, int]]) -> None:
    """Makes a device's memory visible: `levels` gives the bytes in use now and the most that were in use at once."""
    ALLOCATORS[device] = levels


def memory() -> dict[str, tuple[int, int]]:
    """Bytes in use and their peak, for each open device."""
    return {device: levels() for device, levels in ALLOCATORS.items()}


def counters() -> dict[str, Any]:
    """A copy of the process's figures, whether telemetry is on or off. Memory is summed over the open devices.

    >>> import spiraltorch as st
    >>> before = st.telemetry.counters()["kernels_launched"]
    >>> (st.ones(4) + 1).sum().item()
    8.0
    >>> st.telemetry.counters()["kernels_launched"] - before
    1
    """
    found = dict(COUNTS)
    found["plan_cache_hits"] = found.pop("plan_lookups") - found["plan_cache_misses"]
    levels = list(memory().values())
    found["bytes_in_use"] = sum(level for level, _ in levels)
    found["peak_bytes"] = sum(peak for _, peak in levels)
    return found
