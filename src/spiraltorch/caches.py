"""What this process keeps to be fast, and how to drop it: `cache_info` and `clear_caches`.

Every cache has a bound and drops what was used least recently. None keeps a model or a tensor alive. `docs/security.md` says
what the files of the cache on disk are trusted with.
"""

from __future__ import annotations

from typing import Any, TypedDict

from .compiler import state
from .graph import node
from .runtime import cache, files, tunings

__all__ = ["CacheInfo", "cache_info", "clear_caches"]


class CacheInfo(TypedDict):
    """What `cache_info` returns: the number of entries and the bound of each cache, and bytes on disk."""

    types: int  # interned types and calls of primitives that are kept for reuse
    types_limit: int
    plans: int  # compiled graphs
    plans_limit: int
    kernels: int  # compiled kernels in memory, beside those of plans, of all devices
    kernels_limit: int  # of each device
    tunings: int  # entries of the tuning store that were read
    tunings_limit: int
    disk_folder: str | None  # None where nothing is kept on disk
    disk_files: int
    disk_bytes: int
    disk_limit: int  # bytes, as SPIRALTORCH_CACHE_LIMIT says


def cache_info() -> CacheInfo:
    """Returns the sizes of all caches of this process, and of the cache on disk.

    Returns:
        A dict of numbers of entries, their limits, and the folder, files and bytes on disk.

    Raises:
        ArgumentError: `SPIRALTORCH_CACHE_LIMIT` is not a number of bytes.

    Example:
        >>> import spiraltorch as st
        >>> info = st.cache_info()
        >>> info["plans"] <= info["plans_limit"]
        True
    """
    folder = cache.folder()
    entries = files.entries(folder, cache.SUFFIX) if folder is not None else []
    return {
        "types": len(node.AVALS.recent) + len(node.SPECS.recent),
        "types_limit": 2 * node.INTERNED_LIMIT,
        "plans": len(state.STATE.graphs),
        "plans_limit": state.PLAN_LIMIT,
        "kernels": sum(len(kernels.loaded) for kernels in _kernel_caches()),
        "kernels_limit": cache.KERNEL_LIMIT,
        "tunings": tunings.count(),
        "tunings_limit": tunings.MEMORY_LIMIT,
        "disk_folder": None if folder is None else str(folder),
        "disk_files": len(entries),
        "disk_bytes": sum(size for _, size, _ in entries),
        "disk_limit": files.limit(),
    }


def clear_caches(disk: bool = False) -> None:
    """Drops what this process keeps: types, plans and kernels that nothing uses. Results do not change; time does.

    Args:
        disk: whether the compiled kernels on disk are removed, too. Tunings stay: `st.tuning.clear` removes those.

    Example:
        >>> import spiraltorch as st
        >>> st.clear_caches()
        >>> st.cache_info()["plans"]
        0
    """
    with state.STATE.lock:
        state.STATE.graphs.clear()
        for kernels in _kernel_caches():
            kernels.loaded.clear()
        node.AVALS.clear()
        node.SPECS.clear()
        for table in node.TABLES:
            table.clear()
        tunings.forget()
    if disk:
        files.remove(cache.folder(), cache.SUFFIX)


def _kernel_caches() -> list[cache.KernelCache[Any]]:
    return list(cache.CACHES)
