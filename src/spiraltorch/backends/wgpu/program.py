"""Compiled kernels and plans of a WebGPU device: pipelines, bind groups, and one submit for a whole plan."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any

from ...codegen.wgsl import Rendered
from ...errors import CompileError

if TYPE_CHECKING:
    from .device import WgpuDevice

UNIFORM_ALIGN = 256
BIND_GROUP_LIMIT = 64  # kept for each launch of a plan


class WgpuKernel:
    """A kernel's pipelines, made when a program first wants them."""

    __slots__ = ("device", "param_bytes", "pipelines", "rendered", "scalars", "temp_bytes")

    def __init__(self, device: WgpuDevice, rendered: Rendered, param_bytes: list[int], scalars: int) -> None:
        self.rendered = rendered
        self.param_bytes = param_bytes
        self.scalars = scalars
        self.temp_bytes = list(rendered.temp_bytes)
        self.device = device
        self.pipelines: list[Any] = [self._pipeline(s.text) for s in rendered.shaders]

    def _pipeline(self, text: str) -> Any:
        try:
            module = self.device.gpu.create_shader_module(code=text)
            made = self.device.gpu.create_compute_pipeline(
                layout="auto", compute={"module": module, "entry_point": "main"}
            )
        except self.device.wgpu.GPUError as error:
            raise CompileError(f"[{self.device.name}] the driver refused a shader: {error}\n{text}") from error
        return made, made.get_bind_group_layout(0)


class _Launch:
    """One shader of a plan: what it binds, by slots of the table, and the bind groups made so far."""

    __slots__ = ("bindings", "groups", "known", "layout", "pipeline", "slots", "uniform")

    def __init__(
        self, pipeline: Any, layout: Any, groups: Any, bindings: list[tuple[int, int, int]], uniform: Any
    ) -> None:
        self.pipeline = pipeline
        self.layout = layout
        self.groups = groups
        self.bindings = bindings  # (slot, byte offset, bytes)
        self.slots = [slot for slot, _, _ in bindings]
        self.uniform = uniform  # (byte offset, bytes), or None
        self.known: dict[tuple[int, ...], Any] = {}


class WgpuProgram:
    """Kernels in launch order over one table of arguments. Fill `table`, then `run`."""

    def __init__(self, device: WgpuDevice, steps: list[tuple[WgpuKernel, list[tuple[int, int]]]], slots: int) -> None:
        self.device = device
        self.table = (ctypes.c_char * max(8, 8 * slots))()
        self.launches: list[_Launch] = []
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
        self.block = bytearray(size)
        self.uniform: Any = None
        if size:
            usage = device.wgpu.BufferUsage.UNIFORM | device.wgpu.BufferUsage.COPY_DST
            self.uniform = device.gpu.create_buffer(size=size, usage=usage)
        self.words = struct.Struct(f"={max(1, slots)}Q")

    def run(self) -> None:
        """Submits every launch; nothing waits for them."""
        device = self.device
        words = self.words.unpack_from(self.table)
        if self.uniform is not None:
            for place, slot in self.numbers:
                self.block[place : place + 8] = bytes(self.table[8 * slot : 8 * slot + 8])  # type: ignore[arg-type]
            device.queue.write_buffer(self.uniform, 0, self.block)
        encoder = device.gpu.create_command_encoder()
        work = encoder.begin_compute_pass()
        for one in self.launches:
            work.set_pipeline(one.pipeline)
            work.set_bind_group(0, self._bind_group(one, words))
            work.dispatch_workgroups(*one.groups)
        work.end()
        device.queue.submit([encoder.finish()])

    def _bind_group(self, one: _Launch, words: tuple[int, ...]) -> Any:
        key = tuple([words[slot] for slot in one.slots])
        made = one.known.get(key)
        if made is None:
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
            made = self.device.gpu.create_bind_group(layout=one.layout, entries=entries)
            if len(one.known) >= BIND_GROUP_LIMIT:
                one.known.pop(next(iter(one.known)))
            one.known[key] = made
        return made
