"""The CPU backend."""

from __future__ import annotations

from .device import CpuDevice

name = "cpu"


def devices() -> list[str]:
    """The host is one device."""
    return ["cpu:0"]


def reason() -> str | None:
    """It always works."""
    return None


def open(name: str) -> CpuDevice:  # the protocol's word
    """Opens the host."""
    return CpuDevice(name)
