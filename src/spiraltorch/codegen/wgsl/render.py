"""Renders scheduled kernels as WGSL text.

Each top-level phase becomes a shader of its own: phases are separate launches, so all memory effects of one are visible to
the next. Group loops become workgroup ids, item loops local ids. Statements outside item loops are executed by every item
of a group, but their stores to device and workgroup memory by the first item only. Unrolled and vector loops are expanded.

Contract: a shader binds the buffers that its phase accesses, in the order of `Shader.bindings`, then one uniform with the
kernel's scalars, 8 bytes each.

Limits: indices are i32. Symbolic sizes and loops over CPU threads are not supported.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...dtypes import float16
from ...ir.expr import Buffer, Op, Space, index_loads
from ...ir.index import Var
from ...ir.stmt import (
    Accumulate,
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Kernel,
    Kind,
    Stmt,
    Store,
    leaf_loads,
    walk,
    written_buffers,
)
from ..operations import operation
from .library import called_functions
from .memory import Memory
from .types import CORE, Features

AXES = "xyz"
Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Shader:
    """One launch."""

    text: str
    groups: Triple  # workgroups along x, y, z
    items: Triple  # of a workgroup
    bindings: tuple[int, ...]  # buffers by number: parameters from 0 on, then the kernel's scratch buffers
    scalars: int  # in the uniform; 0: it is not bound


@dataclass(frozen=True, slots=True)
class Rendered:
    """A kernel as shaders, in the order of their launch."""

    shaders: tuple[Shader, ...]
    temp_bytes: tuple[int, ...]  # sizes of the scratch buffers in device memory


def render(kernel: Kernel, features: Features = CORE) -> Rendered:
    """Renders a scheduled kernel, as `schedule.finish` returns it, for a device with `features`.

    Raises:
        ValueError: the kernel has no WGSL: float64 without that feature, a loop over CPU threads, a reduction that was
            not lowered.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Load, at, op
    >>> from spiraltorch.ir.stmt import loop, loop_nest
    >>> x, g, t = Buffer("x", at(2, 64), float32), loop("g", 2, Kind.GROUP), loop("t", 64, Kind.ITEM)
    >>> place = at(g.var, t.var)
    >>> rendered = render(Kernel("negate", (x,), loop_nest([g, t], Store(x, place, op("neg", Load(x, place))))))
    >>> rendered.shaders[0].groups, rendered.shaders[0].items
    ((2, 1, 1), (64, 1, 1))
    """
    temps: list[Buffer] = []
    phases: list[Stmt] = []
    _collect(kernel.body, temps, phases)
    shaders = tuple([_Shader(kernel, temps, features).render(part) for part in phases])
    return Rendered(shaders, tuple([max(b.nbytes, b.dtype.itemsize) for b in temps]))


def _collect(body: Stmt, temps: list[Buffer], phases: list[Stmt]) -> None:
    """Appends the phases of a kernel, and the buffers in device memory that it allocates."""
    if isinstance(body, Alloc) and body.buffer.space is Space.GLOBAL:
        temps.append(body.buffer)
        _collect(body.body, temps, phases)
    elif isinstance(body, Block):
        for part in body.body:
            _collect(part, temps, phases)
    else:
        phases.append(body)


class _Shader(Memory):
    """One phase as a shader."""

    def __init__(self, kernel: Kernel, temps: list[Buffer], features: Features) -> None:
        super().__init__(kernel.scalars, features)
        self.kernel = kernel
        self.buffers = [*kernel.params, *temps]
        self.names.update({b: f"b{n}" for n, b in enumerate(self.buffers)})
        self.shared: list[str] = []
        self.groups = [1, 1, 1]
        self.items = [1, 1, 1]
        self.inside_items = False

    def render(self, part: Stmt) -> Shader:
        """The shader of a phase."""
        self.packed_writes = {b for b in written_buffers(part) if self.features.is_packed(b.dtype)}
        for s in walk(part):
            if isinstance(s, For) and s.kind is Kind.ITEM:
                self.items[s.axis] = max(self.items[s.axis], s.extent.const)
        self.stmt(part)
        bound = [n for n, b in enumerate(self.buffers) if b in self.accessed]
        head = [
            f"@group(0) @binding({place}) var<storage, read_write> b{n}: array<{self.element(self.buffers[n])}>;"
            for place, n in enumerate(bound)
        ]
        scalars = len(self.kernel.scalars) if self.scalars_used else 0
        if scalars:
            head.append(f"@group(0) @binding({len(bound)}) var<uniform> numbers: array<vec4<u32>, {-(-scalars // 2)}>;")
        body = "\n".join(self.e.lines)
        main = (
            f"@compute @workgroup_size({', '.join(map(str, self.items))})\n"
            "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) item: vec3<u32>,\n"
            f"        @builtin(local_invocation_index) which: u32) {{\n{body}\n}}"
        )
        enabled = ["enable f16;"] if self.features.f16 and any(self.buffers[n].dtype is float16 for n in bound) else []
        functions = called_functions("\n".join([*self.shared, body]), self.features)
        text = "\n".join([*enabled, *head, *self.shared, functions, main])
        gx, gy, gz = self.groups
        ix, iy, iz = self.items
        return Shader(text, (gx, gy, gz), (ix, iy, iz), tuple(bound), scalars)

    def element(self, buffer: Buffer) -> str:
        """The WGSL type of an element of a buffer in device memory, or of a word of packed elements."""
        if self.features.is_packed(buffer.dtype):
            return "atomic<u32>" if buffer in self.packed_writes else "u32"
        return self.features.element(buffer.dtype)

    # ------------------------------------------------------------ statements

    def stmt(self, s: Stmt) -> None:
        """Emits a statement."""
        if isinstance(s, Block):
            for part in s.body:
                self.stmt(part)
        elif isinstance(s, For):
            self.loop(s)
        elif isinstance(s, If):
            self.branch(s)
        elif isinstance(s, Alloc):
            self.allocate(s)
            self.stmt(s.body)
        elif isinstance(s, (Store, Accumulate)):
            self.leaf(s)
        else:
            assert isinstance(s, Barrier)
            self.e.emit("workgroupBarrier();")
            self.forget_shared()

    def loop(self, s: For) -> None:
        """Emits a loop by its kind."""
        if s.kind in (Kind.UNROLLED, Kind.VECTOR):
            for i in range(s.extent.const):
                self.constants[s.var] = i
                self.forget_variable(s.var)
                self.stmt(s.body)
            del self.constants[s.var]
            self.forget_variable(s.var)
        elif s.kind is Kind.GROUP:
            self.groups[s.axis] = s.extent.const
            self.variables[s.var] = f"i32(group.{AXES[s.axis]})"
            self.stmt(s.body)
        elif s.kind is Kind.ITEM:
            self.item_loop(s)
        elif s.kind is Kind.PARALLEL:
            raise ValueError(f"[wgsl] {s.var.name} expected a loop over groups, got one over threads")
        else:
            extent = self.index(s.extent)
            name = self.variables[s.var] = self.e.fresh("v")
            self.nested(f"for (var {name} = 0; {name} < {extent}; {name}++)", s.body, s.var)

    def item_loop(self, s: For) -> None:
        """The body for each item; items of the group beyond the loop's extent are idle."""
        self.variables[s.var] = f"i32(item.{AXES[s.axis]})"
        outer, self.inside_items = self.inside_items, True
        idle = self.items[s.axis] - s.extent.const
        if idle:
            self.nested(f"if (item.{AXES[s.axis]} < {s.extent.const}u)", s.body, s.var)
        else:
            self.stmt(s.body)
            self.forget_variable(s.var)
        self.inside_items = outer

    def nested(self, head: str, body: Stmt, var: Var | None = None) -> None:
        """A body in braces. The contents of buffers that it writes are unknown in it and after it."""
        changed = written_buffers(body)
        self.forget_buffers(changed)
        self.e.emit(f"{head} {{")
        self.push()
        self.stmt(body)
        self.pop()
        self.e.emit("}")
        self.forget_buffers(changed)
        if var is not None:
            self.forget_variable(var)

    def branch(self, s: If) -> None:
        """Emits a branch, or the arm that is taken where the condition is decided."""
        condition = self.condition(s.condition)
        if condition is None:
            self.stmt(s.then)
        elif condition == "false":
            if s.otherwise is not None:
                self.stmt(s.otherwise)
        else:
            self.nested(f"if ({condition})", s.then)
            if s.otherwise is not None:
                self.nested("else", s.otherwise)

    def allocate(self, s: Alloc) -> None:
        """Declares a buffer: in workgroup memory, as variables, or as a private array."""
        buffer = s.buffer
        count = max(buffer.size, 1)
        kind = self.features.type_of(buffer.dtype)
        if buffer.space is Space.WORKGROUP:
            self.names[buffer] = f"w{len(self.shared)}"
            self.shared.append(f"var<workgroup> {self.names[buffer]}: array<{kind}, {count}>;")
            return
        if buffer.space not in (Space.REGISTER, Space.SCRATCH):
            raise ValueError(
                f"[wgsl] {buffer.name} expected to be placed, got {buffer.space.value} memory inside a phase"
            )
        stem = self.names[buffer] = self.e.fresh("r_")
        if buffer.space is Space.REGISTER and self.is_static(buffer, s.body):
            self.static.add(buffer)
            for n in range(count):
                self.e.emit(f"var {stem}_{n}: {kind};")
        else:
            self.e.emit(f"var {stem}: array<{kind}, {count}>;")

    def is_static(self, buffer: Buffer, body: Stmt) -> bool:
        """Whether every position is constant when loops are expanded, so that each element can be a variable."""
        expanded = {s.var for s in walk(body) if isinstance(s, For) and s.kind in (Kind.UNROLLED, Kind.VECTOR)}
        expanded |= set(self.constants)
        for s in walk(body):
            places = [r.position for r in leaf_loads(s) if r.buffer is buffer]
            if isinstance(s, (Store, Accumulate)) and s.buffer is buffer:
                places.append(s.position)
            for i in [i for place in places for i in place]:
                if not i.variables <= expanded or any(True for _ in index_loads(i)):
                    return False
        return True

    def leaf(self, s: Store | Accumulate) -> None:
        """A store or reduction under its guard."""
        guard = s.guard
        condition = self.condition(guard)
        if condition == "false":
            return
        once = not self.inside_items and s.buffer.space in (Space.GLOBAL, Space.WORKGROUP) and self.items != [1, 1, 1]
        if once:
            condition = "which == 0u" if condition is None else f"which == 0u && {condition}"
        if condition is None:
            self.update(s)
        else:
            self.e.emit(f"if ({condition}) {{")
            self.push()
            self.update(s)
            self.pop()
            self.e.emit("}")
        self.forget_buffers({s.buffer})

    def update(self, s: Store | Accumulate) -> None:
        """A store or reduction where its guard holds."""
        if isinstance(s, Store):
            self.write(s.buffer, s.position, self.value(s.value))
            return
        if s.axes or s.finish:
            raise ValueError(f"[wgsl] {s.buffer.name} still holds a reduction: run schedule.finish")
        old = self.read(s.buffer, s.position)
        if s.op == "add" and isinstance(s.value, Op) and s.value.name == "mul" and s.buffer.dtype.name == "float32":
            new = self.e.intrinsic("fmuladd", *[self.value(a) for a in s.value.args], old)
        else:
            new = operation(self.e, s.op, [old, self.value(s.value)])
        self.write(s.buffer, s.position, new)
