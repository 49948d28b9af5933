"""Compiled kernels and programs of a WebGPU device: pipelines, bind groups, and one submit for a whole program.

See `runtime.protocol.CompiledKernel` and `Program`. Each phase of a kernel is a shader with a pipeline of its own. Bind
groups are cached by the buffers that they bind; scalars travel in one uniform buffer for the whole program.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...codegen.wgsl.render import Rendered
from ...errors import CompileError, DeviceLostError

if TYPE_CHECKING:
    from ...runtime.protocol import Argument, CompiledKernel, Program
    from .device import WgpuDevice

UNIFORM_ALIGN = 256
BIND_GROUP_LIMIT = 64  # kept for each launch of a plan
QUERY_LIMIT = 4096  # timestamps that one query set may hold


class WgpuKernel:
    """A kernel's pipelines: one, with its bind group layout, for each of its shaders.

    Arguments are parameters of `param_bytes` bytes, then scalars, then temporary buffers of `temp_bytes` bytes.
    """

    __slots__ = ("device", "param_bytes", "pipelines", "rendered", "scalars", "temp_bytes")

    def __init__(self, device: WgpuDevice, rendered: Rendered, param_bytes: list[int], scalars: int) -> None:
        self.rendered = rendered
        self.param_bytes = param_bytes
        self.scalars = scalars
        self.temp_bytes = list(rendered.temp_bytes)
        self.device = device
        self.pipelines: list[Any] = [self._pipeline(s.text) for s in rendered.shaders]

    def _pipeline(self, text: str) -> tuple[Any, Any]:
        """The pipeline of a shader and its layout. Raises `CompileError` where the driver rejects it."""
        try:
            module = self.device.gpu.create_shader_module(code=text)
            pipeline = self.device.gpu.create_compute_pipeline(
                layout="auto", compute={"module": module, "entry_point": "main"}
            )
        except self.device.wgpu.GPUError as error:
            failure = self.device.failure(error)
            if isinstance(failure, DeviceLostError):
                raise failure from error
            raise CompileError(f"[{self.device.name}] the driver rejected a shader: {error}\n{text}") from error
        return pipeline, pipeline.get_bind_group_layout(0)


class _Launch:
    """One shader of a program: what it binds, by slots of the table, and the bind groups made so far.

    `groups` is the number of workgroups in each dimension. A binding is (slot, byte offset, bytes). `uniform` is the
    (byte offset, bytes) of the kernel's scalars, or None.
    """

    __slots__ = ("bind_groups", "bindings", "groups", "layout", "pipeline", "slots", "uniform")

    def __init__(
        self,
        pipeline: Any,
        layout: Any,
        groups: tuple[int, ...],
        bindings: list[tuple[int, int, int]],
        uniform: tuple[int, int] | None,
    ) -> None:
        self.pipeline = pipeline
        self.layout = layout
        self.groups = groups
        self.bindings = bindings
        self.slots = [slot for slot, _, _ in bindings]
        self.uniform = uniform
        self.bind_groups: dict[tuple[int, ...], Any] = {}  # by the buffers in `slots`, the least recent first


class WgpuProgram:
    """Kernels in launch order over one table of arguments."""

    def __init__(self, device: WgpuDevice, steps: list[tuple[WgpuKernel, Sequence[Argument]]], slots: int) -> None:
        self.device = device
        self.table = (ctypes.c_char * max(8, 8 * slots))()
        self.launches: list[_Launch] = []
        self.ends: list[int] = []  # how many launches there are after each kernel
        self.numbers: list[tuple[int, int]] = []  # (byte offset in the uniform, slot) of every scalar
        size = 0
        for kernel, arguments in steps:
            count = len(kernel.param_bytes)
            scalars = [slot for slot, _ in arguments[count : count + kernel.scalars]]
            start = size
            if scalars:
                self.numbers += [(start + 8 * n, slot) for n, slot in enumerate(scalars)]
                size += -(-8 * len(scalars) // UNIFORM_ALIGN) * UNIFORM_ALIGN
            memory = [*arguments[:count], *arguments[count + kernel.scalars :]]
            sizes = [*kernel.param_bytes, *kernel.temp_bytes]
            for shader, (pipeline, layout) in zip(kernel.rendered.shaders, kernel.pipelines, strict=True):
                bindings = [(*memory[n], -(-sizes[n] // 4) * 4) for n in shader.bindings]
                uniform = (start, -(-shader.scalars // 2) * 16) if shader.scalars else None
                self.launches.append(_Launch(pipeline, layout, shader.groups, bindings, uniform))
            self.ends.append(len(self.launches))
        self.block = bytearray(size)
        self.uniform: Any = None
        if size:
            usage = device.wgpu.BufferUsage.UNIFORM | device.wgpu.BufferUsage.COPY_DST
            self.uniform = device.gpu.create_buffer(size=size, usage=usage)
        self.words = struct.Struct(f"={max(1, slots)}Q")

    def run(self, after: Iterable[None] = ()) -> None:
        """Submits every launch; nothing waits for them."""
        self.device.require_owner()
        with self.device.translated():
            words = self._arguments()
            encoder = self.device.gpu.create_command_encoder()
            self._encode(encoder, words, self.launches)
            self.device.queue.submit([encoder.finish()])
        any(after)

    def timed(self, after: Iterable[None] = ()) -> list[tuple[int, int]]:
        """Runs every kernel, waits and measures. See `runtime.protocol.Program`.

        The device's own clock measures, where it has one and the plan is not too long for a query set; the first kernel
        begins where the plan was submitted. Where kernels overlap, the time is attributed to the earlier one.
        """
        words = self._arguments()
        self.device.wait()
        if "timestamp-query" in self.device.gpu.features and 0 < 2 * len(self.ends) <= QUERY_LIMIT:
            times = self._timestamps(words)
            any(after)
            return times
        times = []
        for launches in self._kernels():
            encoder = self.device.gpu.create_command_encoder()
            self._encode(encoder, words, launches)
            start = time.perf_counter_ns()
            self.device.queue.submit([encoder.finish()])
            self.device.wait()
            times.append((start, time.perf_counter_ns()))
        any(after)
        return times

    def _timestamps(self, words: tuple[int, ...]) -> list[tuple[int, int]]:
        """Times by the device's clock: one submit, a pass for each kernel, a timestamp before and after each pass."""
        device, usage, count = self.device, self.device.wgpu.BufferUsage, 2 * len(self.ends)
        queries = device.gpu.create_query_set(type="timestamp", count=count)
        stamps = device.gpu.create_buffer(size=8 * count, usage=usage.QUERY_RESOLVE | usage.COPY_SRC)
        encoder = device.gpu.create_command_encoder()
        for n, launches in enumerate(self._kernels()):
            places = {"beginning_of_pass_write_index": 2 * n, "end_of_pass_write_index": 2 * n + 1}
            self._encode(encoder, words, launches, {"query_set": queries, **places})
        encoder.resolve_query_set(queries, 0, count, stamps, 0)
        submitted = time.perf_counter_ns()
        device.queue.submit([encoder.finish()])
        ticks = struct.unpack(f"={count}Q", device.queue.read_buffer(stamps))
        moments = [submitted + round((tick - ticks[0]) * device.tick_ns) for tick in ticks]
        times: list[tuple[int, int]] = []
        for start, stop in zip(moments[::2], moments[1::2], strict=True):
            start = max(start, times[-1][1]) if times else start
            times.append((start, max(start, stop)))
        return times

    def _kernels(self) -> list[list[_Launch]]:
        """The launches of each kernel."""
        return [self.launches[a:b] for a, b in zip([0, *self.ends], self.ends, strict=False)]

    def _arguments(self) -> tuple[int, ...]:
        """The words of the table. The scalars among them are written to the uniform buffer."""
        if self.uniform is not None:
            for place, slot in self.numbers:
                self.block[place : place + 8] = bytes(self.table[8 * slot : 8 * slot + 8])  # type: ignore[arg-type]
            self.device.queue.write_buffer(self.uniform, 0, self.block)
        return self.words.unpack_from(self.table)

    def _encode(
        self, encoder: Any, words: tuple[int, ...], launches: list[_Launch], timestamps: dict[str, Any] | None = None
    ) -> None:
        """Encodes launches as one compute pass."""
        work = encoder.begin_compute_pass(timestamp_writes=timestamps)
        for one in launches:
            work.set_pipeline(one.pipeline)
            work.set_bind_group(0, self._bind_group(one, words))
            work.dispatch_workgroups(*one.groups)
        work.end()

    def _bind_group(self, one: _Launch, words: tuple[int, ...]) -> Any:
        """The bind group of a launch for the buffers in the table: a cached one, or a new one."""
        key = tuple([words[slot] for slot in one.slots])
        group = one.bind_groups.get(key)
        if group is None:
            blocks = self.device.allocator.blocks
            entries = [
                {"binding": n, "resource": {"buffer": blocks[words[slot]], "offset": offset, "size": size}}
                for n, (slot, offset, size) in enumerate(one.bindings)
            ]
            if one.uniform is not None:
                offset, size = one.uniform
                entries.append(
                    {"binding": len(entries), "resource": {"buffer": self.uniform, "offset": offset, "size": size}}
                )
            group = self.device.gpu.create_bind_group(layout=one.layout, entries=entries)
            if len(one.bind_groups) >= BIND_GROUP_LIMIT:
                one.bind_groups.pop(next(iter(one.bind_groups)))
            one.bind_groups[key] = group
        return group


if TYPE_CHECKING:  # mypy checks the classes against the protocol
    _kernel: type[CompiledKernel] = WgpuKernel
    _program: type[Program] = WgpuProgram
