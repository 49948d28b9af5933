"""The CPU backend."""

from __future__ import annotations

from typing import Any

from .device import CpuDevice
from .host import describe_host

name = "cpu"


def devices() -> list[str]:
    """The host is one device."""
    return ["cpu:0"]


def reason() -> str | None:
    """It always works."""
    return None


def describe(name: str) -> dict[str, Any]:
    """Facts of the processor, and the code generator as its driver."""
    return describe_host()


def open(name: str) -> CpuDevice:  # the protocol's word
    """Opens the host."""
    return CpuDevice(name)
