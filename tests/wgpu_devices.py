"""A WebGPU adapter as a second device, which does without what the adapter has beyond WGSL's core."""

from __future__ import annotations

from spiraltorch.backends.wgpu import adapters
from spiraltorch.backends.wgpu.device import WgpuDevice
from spiraltorch.runtime import device

CORE = "wgpu:core"


def without_features() -> list[str]:
    """The name of the first adapter's second device, opened; nothing where there is no adapter or it has no features."""
    having = [a for a in adapters.available()[:1] if adapters.native(a)]
    for adapter in having:
        if CORE not in device.REGISTRY.devices:
            device.REGISTRY.devices[CORE] = WgpuDevice(CORE, adapter, frozenset())
    return [CORE] * len(having)
