"""The process's counters, kept in one place. `names.METRICS` describes each.

Hot paths add to `COUNTS` directly. Memory levels are read from the devices' allocators on demand.
"""

from __future__ import annotations

from collections.abc import Callable

from .names import METRICS

COUNTS: dict[str, int | float] = {m.key: 0 for m in METRICS if m.is_counter and m.key != "plan_cache_hits"}
COUNTS["compile_seconds"] = 0.0
COUNTS["plan_lookups"] = 0  # hits = lookups - misses: saves one addition on the hot path
ALLOCATORS: dict[str, Callable[[], tuple[int, int]]] = {}  # device -> (bytes in use, peak bytes)


def watch_allocator(device: str, levels: Callable[[], tuple[int, int]]) -> None:
    """Registers a device's allocator; `levels` returns its bytes in use and its peak in bytes."""
    ALLOCATORS[device] = levels


def memory() -> dict[str, tuple[int, int]]:
    """Bytes in use and peak bytes of each open device."""
    return {device: levels() for device, levels in ALLOCATORS.items()}


def counters() -> dict[str, int | float]:
    """Returns a snapshot of the process's counters. Counting is always on, whether or not telemetry is exported.

    Returns:
        One value for each row of `METRICS`, by its `key`. All are integers except `compile_seconds`. `bytes_in_use` and
        `peak_bytes` are summed over the open devices.

    Example:
        >>> import spiraltorch as st
        >>> before = st.telemetry.counters()["kernels_launched"]
        >>> (st.ones(4) + 1).sum().item()
        8.0
        >>> st.telemetry.counters()["kernels_launched"] - before
        1
    """
    snapshot = dict(COUNTS)
    snapshot["plan_cache_hits"] = snapshot.pop("plan_lookups") - snapshot["plan_cache_misses"]
    levels = list(memory().values())
    snapshot["bytes_in_use"] = sum(in_use for in_use, _ in levels)
    snapshot["peak_bytes"] = sum(peak for _, peak in levels)
    return snapshot
