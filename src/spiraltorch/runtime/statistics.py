"""Counters of what the runtime did in this process. Reading them costs nothing when nobody reads."""

from __future__ import annotations

from typing import Any

counters: dict[str, Any] = {
    "plans_compiled": 0,
    "plans_run": 0,
    "kernels_compiled": 0,
    "kernels_launched": 0,
    "kernels_before_fusion": 0,  # what the launched plans would have launched with one kernel for each operation
    "bytes_moved": 0,  # read and written by the launched kernels, from their plans
    "compile_seconds": 0.0,
}
PEAK: list[Any] = [lambda: 0]  # the open devices' peak of allocated bytes


def snapshot() -> dict[str, Any]:
    """A copy of the counters, with `peak_bytes` of device memory.

    >>> sorted(snapshot())[:2]
    ['bytes_moved', 'compile_seconds']
    """
    return {**counters, "peak_bytes": PEAK[0]()}
