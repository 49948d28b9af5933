"""The WGPU backend: Vulkan, Metal and Direct3D 12 devices through WebGPU's native interface.

See `runtime.protocol.Backend`. Nothing of the binding is imported before somebody asks for devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import adapters
from .device import WgpuDevice

if TYPE_CHECKING:
    from ...runtime.protocol import Backend
    from .. import wgpu

    _: Backend = wgpu  # this module has all that the protocol asks for

name = "wgpu"


def devices() -> list[str]:
    """The adapters that can compute, hardware first."""
    return [f"wgpu:{n}" for n in range(len(adapters.found()))]


def reason() -> str | None:
    """What is missing, and the command that would fix it."""
    return adapters.problem()


def describe(name: str) -> adapters.AdapterFacts:
    """Facts of an adapter: vendor, driver, whether it is software, limits."""
    return adapters.describe(adapters.found()[int(name.partition(":")[2])])


def open(name: str) -> WgpuDevice:  # the protocol's word
    """Opens an adapter."""
    return WgpuDevice(name, adapters.found()[int(name.partition(":")[2])])
