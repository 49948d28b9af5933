"""Devices and their memory: the protocol that a backend implements, and the registry that finds backends.

A backend is an entry point in the group `spiraltorch.backends` that yields a module-like object with the functions of
`Backend`. The registry imports none by name; a backend that cannot work here gives a reason instead of devices.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np

from ..dtypes import DType
from ..errors import DeviceError, DTypeError
from ..telemetry.counting import watch_allocator


class Buffer:
    """Device memory of `nbytes` bytes. `ptr` is its address (or the backend's handle number).

    When the last reference goes, `release(ptr)` of its owner runs; `keep` holds foreign memory alive instead.
    """

    __slots__ = ("__weakref__", "device", "keep", "nbytes", "ptr", "release")

    def __init__(self, ptr: int, nbytes: int, device: Device, release: Any = None, keep: Any = None) -> None:
        self.ptr = ptr
        self.nbytes = nbytes
        self.device = device
        self.release = release
        self.keep = keep

    def __del__(self) -> None:
        if self.release is not None:
            self.release(self.ptr)


class Program(Protocol):
    """A compiled plan: kernels in launch order over one block of arguments."""

    def run(self, pointers: list[int], scalars: list[Any]) -> None: ...

    def timed(self) -> list[tuple[int, int]]:
        """Runs the plan and measures each kernel: its start and end in launch order, one pair a kernel.

        Both are nanoseconds on the clock of `time.perf_counter_ns`. The results are those of `run`, and are there.
        """


class Device(Protocol):
    """One device of a backend."""

    name: str  # "cpu:0"
    target: Any  # facts: ir.target.Target
    host_memory: bool  # buffers are addressable by the host

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory, 64-byte aligned. Raises `OutOfMemoryError`."""

    def memory(self) -> tuple[int, int]:
        """Bytes that buffers hold now, and the most that they held at once."""

    def from_host(self, array: np.ndarray[Any, Any]) -> Buffer:
        """A buffer with the array's elements in row-major order; shares memory where it can."""

    def to_host(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """The buffer as an array; a view that keeps the buffer alive where the device has host memory."""

    def start_read(self, buffer: Buffer, nbytes: int) -> None:
        """Begins to copy the first bytes to the host, without waiting, for a `to_host` that comes later."""

    def compile(self, kernels: list[Any], keys: list[str | None]) -> list[Any]:
        """Compiles scheduled kernels (see the backend); a key finds an object in the disk cache."""


class Backend(Protocol):
    """What the object behind an entry point offers."""

    name: str

    def devices(self) -> list[str]:
        """Names of the devices that can be opened here, best first."""

    def reason(self) -> str | None:
        """Why there are none, and the command that would fix it."""

    def open(self, name: str) -> Device: ...

    def describe(self, name: str) -> dict[str, Any]:
        """Facts of a device for people and evidence, JSON's types only.

        Always `device`, `vendor`, `driver` (with its version) and `software` (True where a program plays the device);
        more where the backend knows more.
        """


class Unloadable:
    """Stands for an installed backend whose package cannot be imported."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error = error

    def devices(self) -> list[str]:
        """None."""
        return []

    def reason(self) -> str | None:
        """What the import said."""
        return f"it cannot be imported ({self.error}); try `pip install --force-reinstall spiraltorch[{self.name}]`"

    def open(self, name: str) -> Device:
        """Raises `DeviceError`."""
        raise DeviceError(f"[device] expected {name!r} to be available, got none: {self.reason()}")

    def describe(self, name: str) -> dict[str, Any]:
        """Raises `DeviceError`."""
        raise DeviceError(f"[device] expected {name!r} to be available, got none: {self.reason()}")


_BACKENDS: dict[str, Backend] = {}
_DEVICES: dict[str, Device] = {}


def backends() -> dict[str, Backend]:
    """Installed backends by name."""
    if not _BACKENDS:
        from importlib.metadata import entry_points  # slow to import, and not needed to import the package

        for entry in entry_points(group="spiraltorch.backends"):
            try:
                found = entry.load()
            except Exception as error:  # whatever another package does when imported is its backend's reason
                found = Unloadable(entry.name, error)
            _BACKENDS.setdefault(entry.name, found)
    return _BACKENDS


def canonical(name: str) -> str:
    """`cpu` and `cpu:0` are one device. Raises `DeviceError` for an unknown one."""
    if name in _DEVICES:
        return name
    kind, _, number = name.partition(":")
    full = f"{kind}:{number or 0}"
    known = backends()
    if kind not in known:
        raise DeviceError(
            f"[device] expected one of {', '.join(sorted(known))}, got {name!r}; see `spiraltorch devices`"
        )
    if full not in known[kind].devices():
        why = known[kind].reason() or f"it has {', '.join(known[kind].devices()) or 'none'}"
        raise DeviceError(f"[device] {name!r} is not available: {why}")
    return full


def get(name: str) -> Device:
    """The open device of this name."""
    device = _DEVICES.get(name)
    if device is None:
        name = canonical(name)
        device = _DEVICES.get(name)
        if device is None:
            device = _DEVICES.setdefault(name, backends()[name.partition(":")[0]].open(name))
            watch_allocator(name, device.memory)
    return device


def require_dtype(name: str, dtype: DType) -> None:
    """Raises `DTypeError` where the device cannot hold the dtype; the message names devices that can."""
    if dtype not in get(name).target.dtypes:
        having = [
            d for kind in backends().values() for d in kind.devices() if d != name and dtype in get(d).target.dtypes
        ]
        raise DTypeError(
            f"[{name}] expected a dtype that the device has, got {dtype.name}; cast to one that it has (float32), or use "
            f"{' or '.join(having)}"
        )


def default() -> str:
    """The device of tensors that name none: `SPIRALTORCH_DEVICE` at the start, else the host."""
    if not _DEFAULT:
        _DEFAULT.append(canonical(os.environ.get("SPIRALTORCH_DEVICE") or "cpu"))
    return _DEFAULT[0]


def set_default(name: str) -> None:
    """Changes the device of tensors that name none."""
    _DEFAULT[:] = [canonical(name)]


_DEFAULT: list[str] = []
