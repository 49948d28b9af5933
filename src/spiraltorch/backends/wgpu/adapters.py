"""The adapters of this machine and their facts. The package `wgpu` is imported when adapters are first listed.

The binding has no static types: adapters and queues are `Any` here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from functools import lru_cache
from typing import Any

from ...dtypes import ALL, DType, float32, float64, int32, int64, uint32, uint64
from ...ir.target import Target
from ...runtime.protocol import DeviceFacts

INSTALL = "pip install 'spiraltorch[wgpu]'"
DRIVER = "install a Vulkan driver (on Debian: apt-get install mesa-vulkan-drivers libvulkan1)"
LIMITS = (
    "max-buffer-size", "max-storage-buffer-binding-size", "max-storage-buffers-per-shader-stage",
    "max-compute-workgroup-storage-size", "max-compute-invocations-per-workgroup", "max-compute-workgroup-size-x",
    "max-compute-workgroup-size-y", "max-compute-workgroup-size-z", "max-compute-workgroups-per-dimension",
)  # fmt: skip
NATIVE = frozenset(("shader-f16", "shader-int64", "shader-f64"))
PREFERRED_ITEMS = 256  # in a group: what WebGPU promises everywhere, and as fast as more
BUSY_ITEMS = 4096  # that hide the latency of memory; larger devices want more, which they get from larger tensors
_ORDER = {"DiscreteGPU": 0, "IntegratedGPU": 1, "VirtualGPU": 2, "Unknown": 3, "CPU": 4}


def binding() -> Any:
    """The module `wgpu`. Raises `ImportError` where it is not installed."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # Mesa prints a warning without it
    return importlib.import_module("wgpu")


@lru_cache(maxsize=1)
def _search() -> tuple[tuple[Any, ...], str | None]:
    """The usable adapters, hardware first, and the reason where there are none."""
    if importlib.util.find_spec("wgpu") is None:
        return (), f"the package wgpu is not installed: {INSTALL}"
    try:
        adapters = binding().gpu.enumerate_adapters_sync()
    except Exception as error:  # a broken driver may raise anything
        return (), f"the adapters could not be listed ({error}): {DRIVER}"
    usable = [a for a in adapters if a.info["backend_type"] in ("Vulkan", "Metal", "D3D12")]
    if not usable:
        return (), f"there is no adapter for Vulkan, Metal or Direct3D 12: {DRIVER}"
    return tuple(sorted(usable, key=lambda a: _ORDER.get(a.info["adapter_type"], 3))), None


def available() -> tuple[Any, ...]:
    """The adapters that can compute, hardware first."""
    return _search()[0]


def reason() -> str | None:
    """Why there are no adapters; None where there are some."""
    return _search()[1]


class AdapterFacts(DeviceFacts):
    """The facts of an adapter in reports."""

    api: str
    limits: dict[str, int]
    native: list[str]  # the features of `NATIVE` that kernels use
    features: list[str]


def describe(adapter: Any) -> AdapterFacts:
    """The facts of an adapter in reports."""
    info = adapter.info
    return {
        "device": info["device"], "vendor": info["vendor"], "driver": info["description"], "api": info["backend_type"],
        "software": info["adapter_type"] == "CPU", "limits": limits(adapter),
        "native": sorted(native(adapter)),
        "features": sorted(f for f in adapter.features if f.startswith(("shader-", "subgroup", "timestamp"))),
    }  # fmt: skip


def limits(adapter: Any) -> dict[str, int]:
    """The adapter's values of `LIMITS`, which kernels and buffers have to keep."""
    return {name: adapter.limits[name] for name in LIMITS}


def native(adapter: Any) -> frozenset[str]:
    """The features of `NATIVE` that kernels use where the adapter has them.

    float64 needs 64-bit integers for its bits, and Vulkan: the shaders of the other interfaces have no such conversion.
    """
    having = NATIVE.intersection(adapter.features)
    if "shader-int64" not in having or adapter.info["backend_type"] != "Vulkan":
        having -= {"shader-f64"}
    return having


def loop_limit(adapter: Any) -> int:
    """The number of iterations of all loops of an item after which the driver silently stops; very many for no limit.

    Mesa's software driver stops after 65,535 (`LP_MAX_TGSI_LOOP_ITERATIONS`).
    """
    return 65535 if "llvmpipe" in adapter.info["device"] else 1 << 62


def tick_ns(queue: Any) -> float:
    """Nanoseconds in one tick of timestamp queries, which only the native library reports."""
    native = importlib.import_module("wgpu.backends.wgpu_native")
    return float(native.lib.wgpuQueueGetTimestampPeriod(queue._internal))


def target(adapter: Any, used: frozenset[str]) -> Target:
    """The compiler's facts of an adapter whose kernels use the features `used` of `NATIVE`."""
    limit = limits(adapter)
    items = min(limit["max-compute-invocations-per-workgroup"], limit["max-compute-workgroup-size-x"])
    groups, shared = limit["max-compute-workgroups-per-dimension"], limit["max-compute-workgroup-storage-size"]
    buffers, subgroup = limit["max-storage-buffers-per-shader-stage"], _subgroup_width(adapter)
    facts = (items, groups, shared, buffers, subgroup, " ".join(sorted(used)))
    return Target(
        key="|".join(map(str, ("wgsl 3", adapter.info["device"], *facts))),
        vector_bytes=0, registers=0, max_groups=(groups, groups, groups), group_items=items,
        preferred_group_items=min(PREFERRED_ITEMS, items), subgroup_width=subgroup, busy_items=BUSY_ITEMS,
        item_iterations=loop_limit(adapter),
        shared_bytes=shared, private_scratch=False, max_buffers=buffers, buffer_align=256,
        buffer_bytes=min(limit["max-storage-buffer-binding-size"], limit["max-buffer-size"]),
        index_bits=32, phases_share_launch=False,
        dtypes=frozenset(d for d in ALL if d is not float64 or "shader-f64" in used),
        native_dtypes=_native_dtypes(used),
    )  # fmt: skip


def _subgroup_width(adapter: Any) -> int:
    """Items of a subgroup; 0 if it may vary or is unknown: wgpu 0.32 does not report the driver's answer."""
    info = adapter.info
    least, most = (info.get(f"subgroup_{word}_size", 0) for word in ("min", "max"))
    return int(most) if least == most else 0


def _native_dtypes(used: frozenset[str]) -> frozenset[DType]:
    """What WGSL has in its own width: narrower types and booleans take 32 bits, wider ones are pairs of words."""
    words = {int32, uint32, float32}
    long = {int64, uint64} if "shader-int64" in used else set()
    return frozenset(words | long | ({float64} if "shader-f64" in used else set()))
