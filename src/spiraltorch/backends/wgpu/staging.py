"""Reads through buffers that the host can map: started early, awaited late, and used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...runtime.allocator import size_class

if TYPE_CHECKING:
    from ...runtime.device import Buffer
    from .device import WgpuDevice

FREE_BYTES = 64 << 20  # of staging buffers kept for later reads
MOST_STARTED = 64  # reads that may wait to be fetched; older ones are dropped


class Staging:
    """The reads of one device.

    `start` submits the copy of a buffer to one that can be mapped and asks for the mapping; nothing waits. `fetch` waits
    and gives the bytes. What was started and not fetched keeps its buffer alive, so that nothing is written over it.
    """

    def __init__(self, device: WgpuDevice) -> None:
        self.device = device
        self.free: dict[int, list[Any]] = {}
        self.free_bytes = 0
        self.started: dict[int, tuple[Buffer, int, Any, Any]] = {}  # buffer's id -> itself, bytes, staging, promise

    def start(self, buffer: Buffer, nbytes: int) -> None:
        """Begins to read the first bytes of a buffer as they are after what was launched so far."""
        if id(buffer) in self.started:
            return
        while len(self.started) >= MOST_STARTED:
            _, _, staging, _ = self.started.pop(next(iter(self.started)))
            staging.destroy()
        self.started[id(buffer)] = (buffer, nbytes, *self._copied(self.device.allocator.blocks[buffer.ptr], nbytes))

    def fetch(self, buffer: Buffer, nbytes: int) -> memoryview:
        """The first bytes of a buffer; waits until they are there."""
        known = self.started.pop(id(buffer), None)
        if known is not None and known[1] >= nbytes:
            return self._mapped(known[2], known[3])[:nbytes]
        return self.read(self.device.allocator.blocks[buffer.ptr], nbytes)

    def read(self, block: Any, nbytes: int) -> memoryview:
        """Starts and fetches in one."""
        return self._mapped(*self._copied(block, nbytes))[:nbytes]

    def _copied(self, block: Any, nbytes: int) -> tuple[Any, Any]:
        size, length = size_class(nbytes), -(-nbytes // 4) * 4
        free, gpu = self.free.get(size), self.device.gpu
        if free:
            staging = free.pop()
            self.free_bytes -= size
        else:
            usage = self.device.wgpu.BufferUsage
            staging = gpu.create_buffer(size=size, usage=usage.COPY_DST | usage.MAP_READ)
        encoder = gpu.create_command_encoder()
        encoder.copy_buffer_to_buffer(block, 0, staging, 0, length)
        self.device.queue.submit([encoder.finish()])
        return staging, staging.map_async("READ_NOSYNC", 0, length)

    def _mapped(self, staging: Any, promise: Any) -> memoryview:
        promise.sync_wait()
        data: memoryview = staging.read_mapped()
        staging.unmap()
        if self.free_bytes + staging.size > FREE_BYTES:
            staging.destroy()
        else:
            self.free.setdefault(staging.size, []).append(staging)
            self.free_bytes += staging.size
        return data
