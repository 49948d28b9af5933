"""The CPU backend: the host as one device, with kernels that LLVM compiles. See `runtime.protocol.Backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .device import CpuDevice
from .host import HostFacts, describe_host

if TYPE_CHECKING:
    from ...runtime.protocol import Backend
    from .. import cpu

    _: Backend = cpu  # mypy checks this module against the protocol

name = "cpu"


def devices() -> list[str]:
    """The host is one device."""
    return ["cpu:0"]


def reason() -> str | None:
    """Returns None: the host is always available."""
    return None


def describe(name: str) -> HostFacts:
    """Facts of the processor, with the code generator as its driver."""
    return describe_host()


def open(name: str) -> CpuDevice:  # the name in the protocol
    """Opens the host."""
    return CpuDevice(name)
