"""The WGPU backend: Vulkan, Metal and Direct3D 12 devices through WebGPU's native interface.

See `runtime.protocol.Backend`. The binding is imported when devices are first listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import adapters

if TYPE_CHECKING:
    from ...runtime.protocol import Backend
    from .. import wgpu
    from .device import WgpuDevice

    _: Backend = wgpu  # mypy checks this module against the protocol

name = "wgpu"


def devices() -> list[str]:
    """The adapters that can compute, hardware first."""
    return [f"wgpu:{n}" for n in range(len(adapters.available()))]


def reason() -> str | None:
    """What is missing, and the command that would fix it."""
    return adapters.reason()


def describe(name: str) -> adapters.AdapterFacts:
    """Facts of an adapter: vendor, driver, whether it is software, limits."""
    return adapters.describe(adapters.available()[int(name.partition(":")[2])])


def open(name: str) -> WgpuDevice:  # the name in the protocol
    """Opens an adapter."""
    from .device import WgpuDevice  # with the code generator, which a process that only lists devices does not need

    return WgpuDevice(name, adapters.available()[int(name.partition(":")[2])])
