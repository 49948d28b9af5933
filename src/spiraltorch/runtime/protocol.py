"""The backend protocol: what a backend, a device, a compiled kernel and a program of kernels offer to the runtime.

Contract
- A backend is an entry point in the group `spiraltorch.backends`. It names an object, usually a module, that has the
  attributes of `Backend`.
- A device compiles kernels (`Device.compile`) and links them (`Device.program`). It is only ever given kernels that it
  compiled itself.
- A program reads its arguments from one table of 8-byte slots in host memory: first the values of `Buffer.ptr`, then the
  scalars. The caller fills the table, then calls `run` or `timed`. One program runs at a time.
- `after` of `run` and `timed` are calls of functions without Python code, see `runtime.changes`: they follow the launch.

mypy checks every backend against these protocols: each of them states so with an annotated assignment. A protocol has
no base class, so a backend outside this package need not import this module.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypedDict, TypeVar, Union

import numpy as np

from ..errors import DeviceError
from ..ir.stmt import Kernel
from ..ir.target import Target

HostArray = np.ndarray[Any, Any]  # of any shape and dtype: both are known only at run time
KernelSource = Union[Kernel, Callable[[], Kernel]]  # a scheduled kernel, or a function that schedules it when needed
Argument = tuple[int, int]  # a slot of the program's table, and a byte offset that is added to what the slot holds


_nothing: Callable[[], None] = partial(any, ())  # type: ignore[assignment]  # returns a value that nobody uses


class Buffer:
    """Device memory of `nbytes` bytes. `ptr` is its address, or the backend's handle for it.

    When the last reference goes, `release()` gives the memory back to its allocator. It is a function without Python code:
    the exception of a signal handler that ran there would be lost. So it is called as the buffer's own `__del__`, which a
    slot holds. Where `release` is None the memory is foreign, and `keep` is the object that keeps it alive.
    """

    __slots__ = ("__del__", "__weakref__", "device", "keep", "nbytes", "ptr")

    def __init__(
        self, ptr: int, nbytes: int, device: Device, release: Callable[[], None] | None = None, keep: object = None
    ) -> None:
        self.ptr = ptr
        self.nbytes = nbytes
        self.device = device
        self.keep = keep
        self.__del__ = _nothing if release is None else release


class CompiledKernel(Protocol):
    """A kernel that a device can launch. Everything but its temporary memory is internal to the device."""

    @property
    def temp_bytes(self) -> Sequence[int]:
        """The size in bytes of each temporary buffer: the last arguments of the kernel, in this order."""


Step = tuple[CompiledKernel, Sequence[Argument]]  # one launch: parameters, then scalars, then temporary buffers


class Program(Protocol):
    """Kernels in launch order over one table of arguments."""

    @property
    def table(self) -> ctypes.Array[ctypes.c_char]:
        """Host memory that the next run reads: 8 bytes per slot, and at least 8 bytes."""

    def run(self, after: Iterable[None] = ()) -> None:
        """Launches every kernel on what `table` holds. A later `Device.to_host` waits for the results."""

    def timed(self, after: Iterable[None] = ()) -> list[tuple[int, int]]:
        """Does what `run` does, waits, and measures each kernel.

        Returns:
            The start and the end of each kernel in launch order, in nanoseconds on the clock of `time.perf_counter_ns`.
        """


class Device(Protocol):
    """One open device of a backend."""

    @property
    def name(self) -> str:
        """The canonical name: `cpu:0`."""

    @property
    def target(self) -> Target:
        """The facts that the compiler may know."""

    @property
    def host_memory(self) -> bool:
        """Whether the host can address the memory of buffers."""

    @property
    def atomic_launch(self) -> bool:
        """Whether no exception of a signal handler can come between a launch and `after`: see `Program.run`."""

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory, aligned to 64 bytes. Raises `OutOfMemoryError`."""

    def memory(self) -> tuple[int, int]:
        """The bytes in use now, and the most that were in use at once."""

    def from_host(self, array: HostArray, copy: bool = False) -> Buffer:
        """A buffer with the array's elements in row-major order. Without `copy` it shares the array's memory where it can."""

    def to_host(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> HostArray:
        """The buffer as an array: a view that keeps the buffer alive with `host_memory`, else a copy."""

    def start_read(self, buffer: Buffer, nbytes: int) -> None:
        """Begins to copy the first bytes to the host, without waiting, for a later `to_host` of the same buffer."""

    def compile(self, kernels: Sequence[KernelSource], keys: Sequence[str | None]) -> Sequence[CompiledKernel]:
        """Compiles scheduled kernels, in parallel where the device can.

        Args:
            kernels: the kernels; a function is called only where no cache has its key.
            keys: for each kernel the key of its machine code in the caches, or None for a kernel that is not kept.

        Returns:
            A compiled kernel for each of `kernels`.

        Raises:
            CompileError: the kernel cannot be compiled for this device.
        """

    def program(self, steps: Sequence[Step], slots: int) -> Program:
        """Links compiled kernels of this device into a program whose table has so many slots."""


class DeviceFacts(TypedDict):
    """Facts of a device for reports and evidence, as JSON values. A backend may extend it with facts of its own."""

    device: str
    vendor: str
    driver: str  # with its version
    software: bool  # whether the device is emulated in software


class Backend(Protocol):
    """The interface of the object that an entry point names."""

    @property
    def name(self) -> str:
        """The name of the entry point, and the first part of the names of its devices."""

    def devices(self) -> list[str]:
        """The names of the devices that can be opened here, best first."""

    def reason(self) -> str | None:
        """Why there are no devices, and the command that would fix it. None where there are some."""

    def open(self, name: str) -> Device:
        """Opens a device. Raises `DeviceError`."""

    def describe(self, name: str) -> DeviceFacts:
        """The facts of a device. Raises `DeviceError`."""


K = TypeVar("K")


def own_steps(steps: Sequence[Step], kind: type[K], device: str) -> list[tuple[K, Sequence[Argument]]]:
    """The steps with the static type of a backend's own kernels. Raises `DeviceError` for kernels of another backend."""
    own: list[tuple[K, Sequence[Argument]]] = []
    for kernel, arguments in steps:
        if not isinstance(kernel, kind):
            raise DeviceError(
                f"[{device}] expected kernels that this device compiled, got a {type(kernel).__name__}; compile them here"
            )
        own.append((kernel, arguments))
    return own
