"""`spiraltorch cache`: shows the caches, or removes the compiled kernels on disk."""

from __future__ import annotations

import json

from ..caches import CacheInfo, cache_info, clear_caches


def run(clear: bool, as_json: bool) -> CacheInfo:
    """Prints the cache on disk, after it was cleared if that was requested, and returns what was printed."""
    if clear:
        clear_caches(disk=True)
    info = cache_info()
    if as_json:
        print(json.dumps(info))
    elif info["disk_folder"] is None:
        print("cache: no folder on disk")
    else:
        print(f"cache: {info['disk_folder']}")
        print(f"  {info['disk_files']:,} kernels, {info['disk_bytes']:,} of {info['disk_limit']:,} bytes")
        print("  SPIRALTORCH_CACHE_LIMIT sets the bytes, SPIRALTORCH_CACHE_DIR the folder")
    return info
