"""The host as a device: memory from NumPy, machine code from LLVM, launches through the thread pool.

See `runtime.protocol` for what a device, a kernel and a program have to offer. A buffer's `ptr` is an address.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.stmt import Kernel
from ...runtime.allocator import ALIGN, Allocator
from ...runtime.cache import Facts, KernelCache
from ...runtime.interpreter import short_switch_interval
from ...runtime.protocol import Argument, Buffer, HostArray, KernelSource, Step, own_steps
from ...telemetry.counting import COUNTS
from ...telemetry.names import COMPILE_MACHINE, COMPILE_RENDER, TO_DEVICE, TO_HOST
from ...telemetry.spans import ACTIVE, span, transfer
from . import jit
from .host import LLVM, host, physical_memory, target, threads
from .pool import Pool, pool

if TYPE_CHECKING:
    from ...runtime.protocol import CompiledKernel, Device, Program

RECORD = 5  # words that describe one phase to the pool's `run_plan`


class CpuKernel:
    """A compiled kernel: its phases as (address of the function, number of tasks), and the memory that they use.

    `workspace_bytes` is each thread's scratch; `temp_bytes` are the sizes of the buffers that all threads share. `code` keeps
    the functions in memory.
    """

    __slots__ = ("code", "phases", "temp_bytes", "workspace_bytes")

    def __init__(
        self, code: jit.Code, phases: list[tuple[int, int]], workspace_bytes: int, temp_bytes: list[int]
    ) -> None:
        self.code = code
        self.phases = phases
        self.workspace_bytes = workspace_bytes
        self.temp_bytes = temp_bytes


class CpuProgram:
    """Kernels in launch order over one table of arguments: records that `run_plan` of the pool reads. See `pool`."""

    __slots__ = ("_blocks", "_call", "_code", "_ends", "_plan", "_singles", "_words", "table")

    def __init__(self, device: CpuDevice, steps: list[tuple[CpuKernel, Sequence[Argument]]], slots: int) -> None:
        records: list[int] = []
        self._code = [kernel.code for kernel, _ in steps]  # keeps the functions of the records in memory
        self._blocks: list[HostArray] = []  # memory to which the records point
        parallel = False
        self._ends: list[int] = []  # how many records there are after each kernel
        for kernel, arguments in steps:
            descriptors = np.array([w for pair in arguments for w in pair] or [0], np.int64)
            block = np.zeros(max(1, len(arguments)), np.int64)
            self._blocks += [descriptors, block]
            for function, tasks in kernel.phases:
                parallel = parallel or tasks > 1
                records += [function, tasks, len(arguments), descriptors.ctypes.data, block.ctypes.data]
            self._ends.append(len(records) // RECORD)
        table = np.array(records, np.int64)
        self.table = (ctypes.c_char * max(8, 8 * slots))()
        self._blocks.append(table)
        runner = device.pool()
        stride = max([k.workspace_bytes for k, _ in steps] or [0])
        stride = -(-stride // 4096) * 4096 + 128 if stride else 0
        workspace = device.workspace(stride * runner.threads + 64)
        count = len(records) // RECORD
        words = (
            table.ctypes.data, count, ctypes.addressof(self.table), workspace, stride,
            runner.threads if parallel else 1,
        )  # fmt: skip
        plan = np.array(words, np.int64)
        self._blocks.append(plan)
        self._call = runner.run
        self._words = words
        self._plan = int(plan.ctypes.data)
        self._singles: list[int] = []  # for `timed`: addresses of plans of one kernel each

    def run(self, after: Iterable[None] = ()) -> None:
        """Launches every kernel; returns when all are done."""
        if after:
            any(chain(map(self._call, (self._plan,)), after))
        else:
            self._call(self._plan)

    def timed(self, after: Iterable[None] = ()) -> list[tuple[int, int]]:
        """Launches every kernel by a call of its own, and measures each. See `runtime.protocol.Program`."""
        if not self._singles:
            records, _, *rest = self._words
            begins = [0, *self._ends][:-1]
            singles = np.array(
                [(records + 8 * RECORD * b, e - b, *rest) for b, e in zip(begins, self._ends, strict=True)], np.int64
            )
            self._blocks.append(singles)
            self._singles = [int(one.ctypes.data) for one in singles]
        times: list[int] = []
        steps = [
            chain(map(times.append, starmap(time.perf_counter_ns, ((),))), map(self._call, (one,)),
                  map(times.append, starmap(time.perf_counter_ns, ((),))))
            for one in self._singles
        ]  # fmt: skip
        any(chain(chain.from_iterable(steps), after))
        return list(zip(times[::2], times[1::2], strict=True))


class _BufferArray:
    """A buffer by NumPy's array interface: an array made of it is read-only, for good, and keeps the buffer alive."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "data": (buffer.ptr, True), "shape": (buffer.nbytes,), "typestr": "|u1", "version": 3,
        }  # fmt: skip


def _block(size: int) -> tuple[int, HostArray] | None:
    """An aligned address and the array that owns the memory; None if the allocation fails."""
    try:
        raw = np.empty(size + ALIGN, np.uint8)
    except (MemoryError, ValueError):
        return None
    return int((raw.ctypes.data + ALIGN - 1) & -ALIGN), raw


class CpuDevice:
    """The host processor. See `runtime.protocol.Device`."""

    host_memory = True
    atomic_launch = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.machine = host()
        self.target = target(self.machine, threads())
        self.allocator = Allocator("cpu", physical_memory(), _block)
        self.kernels = KernelCache(self._render, self._load)
        self._workspace = Buffer(0, 0, self)
        self._old_workspaces: list[Buffer] = []

    def pool(self) -> Pool:
        """The thread pool."""
        return pool(self.target.threads)

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory, 64-byte aligned."""
        blocks = self.allocator.size_class(nbytes)
        address = blocks.take()
        return Buffer(address, nbytes, self, blocks.returning(address))

    def memory(self) -> tuple[int, int]:
        """Bytes in use, and the most that were in use at once."""
        return self.allocator.levels()

    def from_host(self, array: HostArray, copy: bool = False) -> Buffer:
        """Shares the memory of C-contiguous, aligned arrays, unless a copy is asked for; copies others."""
        if copy or not array.flags.c_contiguous or not array.flags.aligned:
            if ACTIVE:
                with transfer(TO_DEVICE, self.name, array.nbytes):
                    array = np.array(array, order="C")
            else:
                array = np.array(array, order="C")
                COUNTS["bytes_to_device"] += array.nbytes
        elif ACTIVE:
            with transfer(TO_DEVICE, self.name, array.nbytes, shared=True):
                pass
        return Buffer(array.ctypes.data, array.nbytes, self, None, array)

    def to_host(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> HostArray:
        """A read-only view of the buffer's memory that keeps the buffer alive."""
        count = dtype.itemsize
        for extent in shape:
            count *= extent
        if count == 0:
            return np.empty(shape, dtype)
        if ACTIVE:
            with transfer(TO_HOST, self.name, count, shared=True):
                pass
        return np.asarray(_BufferArray(buffer))[:count].view(dtype).reshape(shape)

    def start_read(self, buffer: Buffer, nbytes: int) -> None:
        """Does nothing: the host can read the memory directly."""

    def workspace(self, nbytes: int) -> int:
        """The address of scratch memory for all threads. All programs share it, since one runs at a time."""
        if nbytes > self._workspace.nbytes:
            self._old_workspaces.append(self._workspace)  # existing programs still point there
            self._workspace = self.allocate(nbytes * 2)
        return self._workspace.ptr

    def compile(self, kernels: Sequence[KernelSource], keys: Sequence[str | None]) -> list[CpuKernel]:
        """Compiles kernels. While LLVM works on one in a thread of its own, the next is scheduled and rendered here."""
        if ACTIVE or len(kernels) < 2 or self.target.threads < 2:
            return self.kernels.get(kernels, keys)
        with short_switch_interval():  # LLVM needs no interpreter, but asks for it after each call
            return self.kernels.get(kernels, keys, LLVM)

    def _render(self, kernel: Kernel, key: str | None) -> tuple[Facts, Callable[[], bytes]]:
        """The facts of a kernel that is not cached, and the function that generates its machine code."""
        from ...codegen.llvm.render import render  # not needed for kernels that a cache has

        with span(COMPILE_RENDER, kernel=kernel.name):
            half, attributes = self.machine.native_half, self.machine.attributes
            rendered = render(kernel, f"k{key or 'x'}", native_half=half, attributes=attributes)
        facts = {"phases": rendered.phases, "workspace": rendered.workspace_bytes, "temps": rendered.temp_bytes}
        return facts, partial(self._emit, rendered.text, kernel.name)

    def _emit(self, text: str, name: str) -> bytes:
        """The machine code of a rendered kernel."""
        with span(COMPILE_MACHINE):
            return jit.emit(text, self.machine, name)

    def _load(self, facts: Facts, code: bytes) -> CpuKernel:
        """A kernel that can be launched, from its facts and its machine code."""
        loaded = jit.load(code, [str(name) for name, _ in facts["phases"]])
        phases = [(loaded.addresses[name], int(tasks)) for name, tasks in facts["phases"]]
        return CpuKernel(loaded, phases, int(facts["workspace"]), [int(size) for size in facts["temps"]])

    def program(self, steps: Sequence[Step], slots: int) -> CpuProgram:
        """Links kernels of this device into a program whose table has so many slots."""
        return CpuProgram(self, own_steps(steps, CpuKernel, self.name), slots)


if TYPE_CHECKING:  # mypy checks the classes against the protocol
    _device: type[Device] = CpuDevice
    _kernel: type[CompiledKernel] = CpuKernel
    _program: type[Program] = CpuProgram
