"""A WebGPU adapter as a device.

See `runtime.protocol.Device`. The binding's objects are dynamic: they have no static types. A buffer's `ptr` is a number,
by which `WgpuDevice.allocator.blocks` finds the binding's buffer. Commands run in the order in which they are submitted,
and only `to_host` and `wait` wait for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codegen.wgsl.render import Rendered, Shader, render
from ...codegen.wgsl.types import Features
from ...errors import CompileError, DeviceError, DeviceLostError
from ...ir.passes import item_iterations
from ...ir.stmt import Kernel
from ...runtime.allocator import Allocator
from ...runtime.cache import Facts, KernelCache
from ...runtime.protocol import Buffer, HostArray, KernelSource, Step, own_steps
from ...telemetry.names import COMPILE_MACHINE, COMPILE_RENDER, TO_DEVICE, TO_HOST
from ...telemetry.spans import span, transfer
from . import adapters
from .program import WgpuKernel, WgpuProgram
from .staging import Staging

if TYPE_CHECKING:
    from ...runtime.protocol import Device


class WgpuDevice:
    """An adapter. `native` are the features of `adapters.NATIVE` that kernels may use, by default all that it has.

    Without them 16-bit floats and 64-bit integers are made of 32-bit words, and there is no float64.
    """

    host_memory = False
    atomic_launch = False  # the binding is Python code

    def __init__(self, name: str, adapter: Any, native: frozenset[str] = adapters.NATIVE) -> None:
        self.name = name
        self.adapter = adapter
        self.wgpu = adapters.binding()
        self.limits = adapters.limits(adapter)
        native &= adapters.native(adapter)
        self.target = adapters.target(adapter, native)
        self.features = Features("shader-f16" in native, "shader-int64" in native, "shader-f64" in native)
        features = [f for f in ("timestamp-query", *sorted(native)) if f in adapter.features]
        self.gpu = adapter.request_device_sync(required_features=features, required_limits=self.limits)
        self.queue = self.gpu.queue
        self.tick_ns = adapters.tick_ns(self.queue)
        self.usage = self.wgpu.BufferUsage.STORAGE | self.wgpu.BufferUsage.COPY_DST | self.wgpu.BufferUsage.COPY_SRC
        self._probe = self.gpu.create_buffer(size=4, usage=self.usage)  # what `wait` reads
        self.count = 0  # of buffers made so far
        self.owner = os.getpid()
        self.allocator = Allocator(name, 1 << 62, self._block)
        self.kernels = KernelCache(self._render, self._load)
        self.staging = Staging(self)

    def _block(self, size: int) -> tuple[int, Any] | None:
        """A new buffer, or None if the device cannot allocate it."""
        if size > self.limits["max-buffer-size"]:
            return None
        try:
            block = self.gpu.create_buffer(size=size, usage=self.usage)
        except self.wgpu.GPUError as error:
            if _says_lost(error):
                raise self.failure(error) from error
            return None
        self.count += 1
        return self.count, block

    def failure(self, error: Exception) -> DeviceError:
        """The error to raise for one that the binding raised."""
        text = " ".join(str(error).split())
        if _says_lost(error):
            return DeviceLostError(
                f"[{self.name}] expected a working device, got: {text}; its tensors are gone and other devices go on; start "
                "a new process to use it again"
            )
        return DeviceError(f"[{self.name}] the driver refused a command: {text}")

    def require_owner(self) -> None:
        """Raises `DeviceError` in a forked process: the driver's threads exist in the one that opened the device only."""
        if os.getpid() != self.owner:
            raise DeviceError(
                f"[{self.name}] expected to be used by the process that opened the device, got a process that was forked from "
                "it; start processes with multiprocessing's method 'spawn', or open the device in the child only"
            )

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory."""
        self.require_owner()
        blocks = self.allocator.size_class(nbytes)
        address = blocks.take()
        return Buffer(address, nbytes, self, blocks.returning(address))

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raises errors of the binding as `DeviceError`."""
        try:
            yield
        except self.wgpu.GPUError as error:
            raise self.failure(error) from error

    def memory(self) -> tuple[int, int]:
        """Bytes in use, and the most that were in use at once."""
        return self.allocator.levels()

    def from_host(self, array: HostArray, copy: bool = False) -> Buffer:
        """A copy on the device, always."""
        buffer = self.allocate(array.nbytes)
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if data.size % 4:
            data = np.concatenate([data, np.zeros(-data.size % 4, np.uint8)])
        if data.size:
            with transfer(TO_DEVICE, self.name, array.nbytes), self.translated():
                self.queue.write_buffer(self.allocator.blocks[buffer.ptr], 0, data)
        return buffer

    def to_host(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any]) -> HostArray:
        """A copy on the host. Waits for everything that was launched before."""
        count = dtype.itemsize
        for extent in shape:
            count *= extent
        if count == 0:
            return np.empty(shape, dtype)
        self.require_owner()
        with transfer(TO_HOST, self.name, count), self.translated():
            raw = self.staging.fetch(buffer, count)
        return np.frombuffer(raw, np.uint8).view(dtype).reshape(shape)

    def start_read(self, buffer: Buffer, nbytes: int) -> None:
        """Begins a copy to the host; nothing waits."""
        self.require_owner()
        if nbytes:
            with self.translated():
                self.staging.start(buffer, nbytes)

    def wait(self) -> None:
        """Waits for everything that was launched before. It reads four bytes, since the binding's own wait fails (0.32)."""
        with self.translated():
            self.staging.read(self._probe, 4)

    def compile(self, kernels: Sequence[KernelSource], keys: Sequence[str | None]) -> list[WgpuKernel]:
        """Compiles kernels: their shaders are rendered or read from the cache, and the driver makes pipelines of them."""
        self.require_owner()
        return self.kernels.get(kernels, keys)

    def _render(self, kernel: Kernel, key: str | None) -> tuple[Facts, Callable[[], bytes]]:
        """The facts of a kernel that is not cached, and the function that packs its shaders."""
        limit = self.target.item_iterations
        if (count := item_iterations(kernel)) > limit:
            raise CompileError(
                f"[{self.name}] expected at most {limit:,} iterations in an item of the kernel {kernel.name}, where this "
                f"software driver stops, got up to {count:,}; use the CPU, or smaller extents"
            )
        with span(COMPILE_RENDER, kernel=kernel.name):
            rendered = render(kernel, self.features)
        facts = {"params": [max(b.nbytes, 1) for b in kernel.params], "scalars": len(kernel.scalars)}
        return facts, partial(_pack, rendered)

    def _load(self, facts: Facts, code: bytes) -> WgpuKernel:
        """A kernel that can be launched, from its facts and its packed shaders."""
        with span(COMPILE_MACHINE):
            return WgpuKernel(self, _unpack(code), facts["params"], facts["scalars"])

    def program(self, steps: Sequence[Step], slots: int) -> WgpuProgram:
        """Links kernels of this device into a program whose table has so many slots."""
        return WgpuProgram(self, own_steps(steps, WgpuKernel, self.name), slots)


if TYPE_CHECKING:  # mypy checks the class against the protocol
    _device: type[Device] = WgpuDevice


def _says_lost(error: Exception) -> bool:
    """Whether the binding's error says that the device was lost."""
    return "lost" in str(error).lower()


def _pack(rendered: Rendered) -> bytes:
    """A rendered kernel as the cache keeps it."""
    shaders = [[s.text, s.groups, s.items, s.bindings, s.scalars] for s in rendered.shaders]
    return json.dumps([shaders, rendered.temp_bytes]).encode()


def _unpack(data: bytes) -> Rendered:
    """The rendered kernel that `_pack` packed."""
    shaders, temps = json.loads(data)
    return Rendered(
        tuple([Shader(text, tuple(g), tuple(i), tuple(b), n) for text, g, i, b, n in shaders]), tuple(temps)
    )
