"""The host as a device."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...codegen.llvm.render import render
from ...ir.stmt import Kernel
from ...runtime.allocator import ALIGN, Allocator
from ...runtime.cache import Kernels
from ...runtime.device import Buffer
from ...telemetry.names import COMPILE_MACHINE, COMPILE_RENDER, TO_DEVICE, TO_HOST
from ...telemetry.spans import ACTIVE, span, transfer
from . import jit
from .host import host, physical_memory, target, threads
from .pool import pool

RECORD = 5  # words that describe one phase to the pool's `run_plan`


class CpuKernel:
    """A compiled kernel: its phases as (address, tasks), and the memory it wants."""

    __slots__ = ("phases", "temp_bytes", "workspace_bytes")

    def __init__(self, phases: list[tuple[int, int]], workspace_bytes: int, temp_bytes: list[int]) -> None:
        self.phases = phases
        self.workspace_bytes = workspace_bytes
        self.temp_bytes = temp_bytes


class CpuProgram:
    """Kernels in launch order over one table of arguments. Fill `table`, then `run`."""

    __slots__ = ("_blocks", "_call", "_ends", "_plan", "_singles", "_words", "table")

    def __init__(self, device: CpuDevice, steps: list[tuple[CpuKernel, list[tuple[int, int]]]], slots: int) -> None:
        records: list[int] = []
        self._blocks: list[Any] = []
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
        self._singles: list[int] = []  # for `timed`: a plan of each kernel alone

    def run(self) -> None:
        """Launches every kernel; returns when all are done."""
        self._call(self._plan)

    def timed(self) -> list[tuple[int, int]]:
        """Launches every kernel by a call of its own. Gives when each began and ended; see `runtime.device.Program`."""
        if not self._singles:
            records, _, *rest = self._words
            begins = [0, *self._ends][:-1]
            singles = np.array(
                [(records + 8 * RECORD * b, e - b, *rest) for b, e in zip(begins, self._ends, strict=True)], np.int64
            )
            self._blocks.append(singles)
            self._singles = [int(one.ctypes.data) for one in singles]
        call, clock, times = self._call, time.perf_counter_ns, []
        for one in self._singles:
            start = clock()
            call(one)
            times.append((start, clock()))
        return times


class _View:
    """Memory of a buffer as an array; the array keeps this alive, and this keeps the buffer."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "data": (buffer.ptr, False), "shape": (buffer.nbytes,), "typestr": "|u1", "version": 3,
        }  # fmt: skip


def _block(size: int) -> tuple[int, Any] | None:
    """An aligned address and the array that owns the memory."""
    try:
        raw = np.empty(size + ALIGN, np.uint8)
    except (MemoryError, ValueError):
        return None
    return int((raw.ctypes.data + ALIGN - 1) & -ALIGN), raw


class CpuDevice:
    """See `runtime.device.Device`."""

    host_memory = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.machine = host()
        self.target = target(self.machine, threads())
        self.allocator = Allocator("cpu", physical_memory(), _block)
        self.kernels = Kernels(self._made, self._loaded)
        self._workspace = Buffer(0, 0, self)
        self._old_workspaces: list[Buffer] = []

    def pool(self) -> Any:
        """The thread pool."""
        return pool(self.target.threads)

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory, 64-byte aligned."""
        shelf = self.allocator.shelf(nbytes)
        return Buffer(shelf.take(), nbytes, self, shelf.release)

    def memory(self) -> tuple[int, int]:
        """Bytes in use, and the most that there were."""
        return self.allocator.levels()

    def from_host(self, array: np.ndarray[Any, Any]) -> Buffer:
        """Shares the memory of C-contiguous, aligned arrays; copies others."""
        if not array.flags.c_contiguous or not array.flags.aligned:
            with transfer(TO_DEVICE, self.name, array.nbytes):
                array = np.array(array, order="C")
        elif ACTIVE:
            with transfer(TO_DEVICE, self.name, array.nbytes, shared=True):
                pass
        return Buffer(array.ctypes.data, array.nbytes, self, None, array)

    def to_host(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A view of the buffer's memory that keeps the buffer alive."""
        count = dtype.itemsize
        for extent in shape:
            count *= extent
        if count == 0:
            return np.empty(shape, dtype)
        if ACTIVE:
            with transfer(TO_HOST, self.name, count, shared=True):
                pass
        return np.asarray(_View(buffer))[:count].view(dtype).reshape(shape)

    def start_read(self, buffer: Buffer, nbytes: int) -> None:
        """Nothing: the host sees the memory."""

    def workspace(self, nbytes: int) -> int:
        """Memory for the scratch of all threads, shared by all programs, since one runs at a time."""
        if nbytes > self._workspace.nbytes:
            self._old_workspaces.append(self._workspace)  # programs made before still point there
            self._workspace = self.allocate(nbytes * 2)
        return self._workspace.ptr

    def compile(self, kernels: list[Kernel | Callable[[], Kernel]], keys: list[str | None]) -> list[CpuKernel]:
        """Compiled kernels. A kernel given as a function is only made where its key is in no cache.

        LLVM works on one kernel in a thread of its own while the next is scheduled and rendered.
        """
        if ACTIVE or len(kernels) < 2 or self.target.threads < 2:
            return self.kernels.get(kernels, keys)
        with jit.beside() as aside:
            return self.kernels.get(kernels, keys, aside)

    def _made(self, kernel: Kernel, key: str | None) -> tuple[dict[str, Any], Callable[[], bytes]]:
        """Facts of a kernel that no cache has, and what makes its machine code."""
        with span(COMPILE_RENDER, kernel=kernel.name):
            half, attributes = self.machine.native_half, self.machine.attributes
            rendered = render(kernel, f"k{key or 'x'}", native_half=half, attributes=attributes)
        facts = {"phases": rendered.phases, "workspace": rendered.workspace_bytes, "temps": rendered.temp_bytes}
        return facts, partial(self._emitted, rendered.text, kernel.name)

    def _emitted(self, text: str, name: str) -> bytes:
        with span(COMPILE_MACHINE):
            return jit.emit(text, self.machine, name)

    def _loaded(self, facts: dict[str, Any], code: bytes) -> CpuKernel:
        addresses = jit.load(code, [name for name, _ in facts["phases"]])
        phases = [(addresses[name], int(tasks)) for name, tasks in facts["phases"]]
        return CpuKernel(phases, int(facts["workspace"]), list(facts["temps"]))

    def program(self, steps: list[tuple[CpuKernel, list[tuple[int, int]]]], slots: int) -> CpuProgram:
        """A program of kernels with the table slot and byte offset of each argument."""
        return CpuProgram(self, steps, slots)
