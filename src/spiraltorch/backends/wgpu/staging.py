"""Device-to-host copies through staging buffers: buffers that the host can map, kept for later reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...runtime.allocator import size_class

if TYPE_CHECKING:
    from ...runtime.protocol import Buffer
    from .device import WgpuDevice

FREE_BYTES = 64 << 20  # of staging buffers kept for later reads
STARTED_LIMIT = 64  # reads that may wait to be fetched; the oldest are dropped first


class Staging:
    """The reads of one device.

    `start` submits the copy of a buffer to a staging buffer and asks for the mapping; it does not wait. `fetch` waits and
    returns the bytes. A read that was started and not fetched keeps its buffer alive, so that nothing overwrites it.
    """

    def __init__(self, device: WgpuDevice) -> None:
        self.device = device
        self.free: dict[int, list[Any]] = {}  # staging buffers by size
        self.free_bytes = 0
        self.started: dict[int, tuple[Buffer, int, Any, Any]] = {}  # by id: (buffer, bytes, staging buffer, promise)

    def start(self, buffer: Buffer, nbytes: int) -> None:
        """Begins to read the first bytes of a buffer, as they are once what was launched before is done."""
        if id(buffer) in self.started:
            return
        while len(self.started) >= STARTED_LIMIT:
            _, _, staging, _ = self.started.pop(next(iter(self.started)))
            staging.destroy()
        self.started[id(buffer)] = (buffer, nbytes, *self._copy(self.device.allocator.blocks[buffer.ptr], nbytes))

    def fetch(self, buffer: Buffer, nbytes: int) -> memoryview:
        """The first bytes of a buffer; waits until they are there."""
        started = self.started.pop(id(buffer), None)
        if started is not None and started[1] >= nbytes:
            return self._map(started[2], started[3])[:nbytes]
        return self.read(self.device.allocator.blocks[buffer.ptr], nbytes)

    def read(self, block: Any, nbytes: int) -> memoryview:
        """The first bytes of one of the binding's buffers; waits until they are there."""
        return self._map(*self._copy(block, nbytes))[:nbytes]

    def _copy(self, block: Any, nbytes: int) -> tuple[Any, Any]:
        """Submits a copy to a staging buffer. Returns that buffer and the promise of its mapping."""
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

    def _map(self, staging: Any, promise: Any) -> memoryview:
        """Waits for the mapping, copies the bytes, and keeps the staging buffer for later reads."""
        promise.sync_wait()
        data: memoryview = staging.read_mapped()
        staging.unmap()
        if self.free_bytes + staging.size > FREE_BYTES:
            staging.destroy()
        else:
            self.free.setdefault(staging.size, []).append(staging)
            self.free_bytes += staging.size
        return data
