"""Renders scheduled kernels as LLVM IR text that needs no optimization pass but SROA.

What other passes would do is done while rendering:
- Index arithmetic is computed once, in the outermost scope that binds its variables; so are values that do not change in
  the loops around them, where that is safe.
- Register buffers are stack arrays, which SROA turns into registers. Loads are reused within a basic block until a store
  to the same buffer; a product that is added becomes `llvm.fmuladd`.
- A vector loop renders its body once, with the loop variable as the number of the lane: an index with lane coefficient 0
  is a broadcast, 1 an access to adjacent elements, and anything else, divisions and lookups included, a gather or scatter.
  Guards that depend on the lane become masks; other guards become branches around statements, and a select of loads.

Contract: each top-level phase becomes `void NAME_pN(ptr args, i64 begin, i64 end, ptr workspace)`. `args` has slots of 8
bytes: a pointer for each parameter, the bits of each scalar, each size, then a pointer for each top-level GLOBAL buffer. A
phase that is a PARALLEL loop runs its iterations from `begin` to `end`; adjacent phases without one share a function.

Limits: one vector loop at a time, and no branch on the lane. Kernels with groups, items and barriers are for other renderers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...ir.expr import Buffer, Op, Space
from ...ir.reductions import identity
from ...ir.stmt import Accumulate, Alloc, Block, For, If, Kernel, Kind, Stmt, Store, written_buffers
from ..instructions import NARROW, Ssa
from ..operations import operation
from .emitter import Emitter, Lines, Scope, flatten, memory_type, reduce_lanes
from .index import Offset
from .memory import Memory, memory_dtype


@dataclass(frozen=True, slots=True)
class Rendered:
    """A kernel's text, and what its launch needs."""

    text: str
    phases: list[tuple[str, int]]  # (function, number of tasks), in order
    workspace_bytes: int  # scratch memory of each thread
    temp_bytes: list[int]  # sizes of the top-level GLOBAL buffers


def render(kernel: Kernel, name: str, *, native_half: bool = True, attributes: str = "") -> Rendered:
    """Renders a scheduled kernel.

    Args:
        kernel: a kernel as `schedule.finish` returns it, of any dtypes and shapes, constant or symbolic.
        name: the beginning of the names of functions.
        native_half: whether the processor converts float16.
        attributes: attributes of every function, as the preferred vector width.

    Raises:
        ValueError: the kernel holds what this renderer does not support: a reduction that was not lowered, a vector loop
            inside another one, a branch on the lane.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.ir.expr import Load, at, op
    >>> from spiraltorch.ir.stmt import loop, loop_nest
    >>> x, i = Buffer("x", at(64), float32), loop("i", 64, Kind.PARALLEL)
    >>> leaf = Store(x, at(i.var), op("neg", Load(x, at(i.var))))
    >>> render(Kernel("negate", (x,), loop_nest([i], leaf)), "negate").phases
    [('negate_p0', 64)]
    """
    phases, temps = _phases(kernel)
    texts, functions, workspace = [], [], 0
    declarations: set[str] = set()
    for n, part in enumerate(phases):
        function = _Function(kernel, temps, native_half)
        text = function.render(f"{name}_p{n}", part)
        texts.append(text)
        declarations |= function.e.declarations
        workspace = max(workspace, function.workspace)
        tasks = part.extent.const if isinstance(part, For) and _is_parallel(part) else 1
        functions.append((f"{name}_p{n}", tasks))
    head = "\n".join(sorted(declarations))
    text = "\n".join(texts) + f"\n{head}\nattributes #0 = {{ nounwind {attributes} }}\n"
    return Rendered(text, functions, workspace, [max(b.nbytes, 1) for b in temps])


def _phases(kernel: Kernel) -> tuple[list[Stmt], list[Buffer]]:
    """The phases that become functions, and the top-level GLOBAL buffers. Adjacent serial phases are merged."""
    body: Stmt = kernel.body
    temps: list[Buffer] = []
    while isinstance(body, Alloc) and body.buffer.space is Space.GLOBAL:
        temps.append(body.buffer)
        body = body.body
    phases: list[Stmt] = []
    for part in _statements(body):
        while isinstance(part, Alloc) and part.buffer.space is Space.GLOBAL:
            temps.append(part.buffer)
            part = part.body
            if isinstance(part, Block):
                phases += part.body[:-1]
                part = part.body[-1]
        phases.append(part)
    merged: list[Stmt] = []
    for part in phases:
        if merged and not _is_parallel(part) and not _is_parallel(merged[-1]):
            merged[-1] = Block((*_statements(merged[-1]), part))
        else:
            merged.append(part)
    return merged, temps


def _is_parallel(s: Stmt) -> bool:
    """Whether a phase is a parallel loop with a known number of tasks; other phases run on the calling thread."""
    return isinstance(s, For) and s.kind is Kind.PARALLEL and s.extent.is_const


def _statements(s: Stmt) -> tuple[Stmt, ...]:
    """The statements of a block, or the one statement."""
    return s.body if isinstance(s, Block) else (s,)


class _Function(Memory):
    """One phase of a kernel as a function."""

    def __init__(self, kernel: Kernel, temps: list[Buffer], native_half: bool) -> None:
        super().__init__(Emitter(native_half), written_buffers(kernel.body))
        self.kernel = kernel
        self.workspace = 0
        self.ix.depth.update(dict.fromkeys(kernel.sizes, 0))
        self._bind(temps)

    def _bind(self, temps: list[Buffer]) -> None:
        """Loads the arguments."""
        e = self.e
        slot = 0

        def address() -> str:
            return e.let(f"getelementptr i8, ptr %args, i64 {8 * slot}") if slot else "%args"

        for buffer in self.kernel.params:
            self.ix.pointers[buffer] = e.let(f"load ptr, ptr {address()}, align 8")
            slot += 1
        for scalar in self.kernel.scalars:
            t = memory_type(scalar.dtype)
            raw = Ssa(e.let(f"load {t}, ptr {address()}, align 8"), memory_dtype(scalar.dtype))
            self.scalars[scalar.name] = self.from_memory(raw, scalar.dtype).name
            slot += 1
        for size in self.kernel.sizes:
            self.ix.names[size] = e.let(f"load i64, ptr {address()}, align 8")
            slot += 1
        for buffer in temps:
            self.ix.pointers[buffer] = e.let(f"load ptr, ptr {address()}, align 8")
            slot += 1

    def render(self, name: str, part: Stmt) -> str:
        """The function's text."""
        if _is_parallel(part):
            assert isinstance(part, For)
            self.loop(part, "%begin", "%end")
        else:
            self.stmt(part)
        self.e.emit("ret void")
        body = "\n".join(flatten([self.e.entry, self.e.scopes[0].lines]))
        return (
            f"define void @{name}(ptr noalias %args, i64 %begin, i64 %end, ptr noalias %workspace) #0 {{\n"
            f"entry:\n{body}\n}}"
        )

    # ------------------------------------------------------------ statements

    def stmt(self, s: Stmt) -> None:
        """Emits a statement."""
        if isinstance(s, Block):
            for part in s.body:
                self.stmt(part)
        elif isinstance(s, For):
            if s.kind is Kind.UNROLLED:
                for i in range(s.extent.const):
                    self.ix.constants[s.var] = i
                    self.values = {}
                    self.stmt(s.body)
                del self.ix.constants[s.var]
                self.values = {}
            elif s.kind is Kind.VECTOR:
                self.vector_loop(s)
            else:
                self.loop(s, "0", None)
        elif isinstance(s, If):
            self.branch(s)
        elif isinstance(s, Alloc):
            self.allocate(s.buffer)
            self.stmt(s.body)
        elif isinstance(s, Store):
            self.guarded(s, lambda: self.store(s, self.value(s.value)))
        elif isinstance(s, Accumulate):
            self.guarded(s, lambda: self.accumulate(s))

    def vector_loop(self, s: For) -> None:
        """The body once, with the variable as the lane."""
        if self.ix.lane is not None:
            raise ValueError(f"[llvm] expected one vector loop at a time, got {s.var.name} inside {self.ix.lane.name}")
        if s.extent.const == 1:
            self.ix.constants[s.var] = 0
            self.stmt(s.body)
            del self.ix.constants[s.var]
            return
        self.ix.lane, self.ix.lanes = s.var, s.extent.const
        self.values = {}
        self.stmt(s.body)
        self.ix.lane, self.ix.lanes = None, 1
        self.values = {}

    def allocate(self, buffer: Buffer) -> None:
        """Gives a buffer registers, or a part of the workspace."""
        size = max(buffer.nbytes, 1)
        if buffer.space is Space.REGISTER:
            count = size // buffer.dtype.itemsize
            name = self.e.fresh()
            self.e.entry.append(f"{name} = alloca [{count} x {memory_type(buffer.dtype)}], align 64")
            self.ix.pointers[buffer] = name
            return
        start = self.workspace
        self.workspace += -(-size // 4096) * 4096 + 256  # the 256 keep the starts of tiles in different cache sets
        self.ix.pointers[buffer] = self.e.hoisted(
            0, ("workspace", start), lambda: f"getelementptr i8, ptr %workspace, i64 {start}"
        )

    def guarded(self, s: Store | Accumulate, run: Callable[[], None]) -> None:
        """What `run` emits, under the guard of a statement."""
        if s.guard.always:
            run()
            return
        uniform, mask = self.ix.condition(s.guard)
        self.mask = mask
        saved = self.guarded_vars
        self.guarded_vars = saved | s.guard.variables
        before = self.values
        if mask is not None:
            self.values = {}
        if uniform is None:
            run()
        elif uniform.name != "false":
            self.branch_on(uniform.name, run, None)
        if mask is not None:
            self.values = {} if self.values is not before else before
        self.mask = None
        self.guarded_vars = saved

    def accumulate(self, s: Accumulate) -> None:
        """Emits a reduction step, by how its target depends on the lane."""
        if s.axes or s.finish:
            raise ValueError(f"[llvm] {s.buffer.name} still holds a reduction: run schedule.finish")
        e = self.e
        o = self.ix.flat_offset(s)
        if o.vector:
            self._accumulate_lane_by_lane(s, o)
            return
        if self.ix.lane is not None and not o.lane:
            self._accumulate_all_lanes(s, o)
            return
        vector = bool(o.lane)
        if s.op == "add" and isinstance(s.value, Op) and s.value.name == "mul" and s.buffer.dtype.is_float:
            if s.buffer.dtype.name not in NARROW:
                args = [self.value(a) for a in s.value.args]
                self.store(s, e.intrinsic("fmuladd", *args, self.target(s.buffer, o, vector)))
                return
        value = self.value(s.value)
        self.store(s, operation(e, s.op, [self.target(s.buffer, o, vector), value]))

    def _accumulate_all_lanes(self, s: Accumulate, o: Offset) -> None:
        """One element for all lanes: their values are combined first."""
        e, mask, value = self.e, self.mask, self.value(s.value)
        if value.lanes > 1 or mask is not None or s.op in ("add", "mul"):
            value = e.broadcast(value, self.ix.lanes)
            if mask is not None:
                value = e.select(mask, value, e.const(identity(s.op, s.buffer.dtype).value, s.buffer.dtype))
            value = reduce_lanes(e, s.op, value)

        def combine() -> None:
            self.store(s, operation(e, s.op, [self.target(s.buffer, o, False), value]))

        self.mask = None
        if mask is None or s.buffer.space is Space.REGISTER:
            combine()
        else:  # where no lane is active, the element may be outside the buffer
            self.branch_on(self.any_lane(mask), combine, None)
        self.mask = mask

    def _accumulate_lane_by_lane(self, s: Accumulate, o: Offset) -> None:
        """Some lanes may share an element, so each is combined after the other."""
        e, dtype, n = self.e, s.buffer.dtype, self.ix.lanes
        value = e.broadcast(self.value(s.value), n)
        mask = None if self.mask is None else e.broadcast(self.mask, n)
        t, align = memory_type(dtype), max(1, dtype.itemsize)
        for lane in range(n):

            def combine(lane: int = lane) -> None:
                place = e.let(f"extractelement <{n} x i64> {o.vector}, i32 {lane}")
                one = Ssa(e.let(f"extractelement {value.type} {value.name}, i32 {lane}"), dtype)
                pointer = e.let(f"getelementptr {t}, ptr {self.ix.pointers[s.buffer]}, i64 {place}")
                old = Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), memory_dtype(dtype))
                raw = self.to_memory(operation(e, s.op, [self.from_memory(old, dtype), one]))
                e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {align}")

            if mask is None:
                combine()
            else:
                on = e.let(f"extractelement {mask.type} {mask.name}, i32 {lane}")
                self.branch_on(on, combine, None)
        self.forget(s.buffer)

    # ------------------------------------------------------------ control flow

    def loop(self, s: For, start: str, stop: str | None) -> None:
        """A loop from `start` to `stop`, or to its extent; tested at the end where it has at least one iteration."""
        e = self.e
        extent = stop or self.ix.uniform(s.extent)
        at_least_once = stop is None and s.extent.bounds[0] >= 1
        origin = e.label
        tag = e.counter = e.counter + 1
        head, body, exit_ = f"head{tag}", f"body{tag}", f"exit{tag}"
        var = f"%i{tag}"
        before: Lines = []
        lines: Lines = []
        e.scopes[-1].lines += [before, lines]
        e.scopes.append(Scope(before, lines))
        self.values = {}
        e.emit(f"br label %{head}")
        e.start_block(head)
        phi: Lines = []
        e.scopes[-1].lines.append(phi)
        if not at_least_once:
            check = e.let(f"icmp slt i64 {var}, {extent}")
            e.emit(f"br i1 {check}, label %{body}, label %{exit_}")
            e.start_block(body)
        self.ix.depth[s.var], self.ix.names[s.var] = len(e.scopes) - 1, var
        self.stmt(s.body)
        after = e.let(f"add nuw nsw i64 {var}, 1")
        phi.append(f"{var} = phi i64 [{start}, %{origin}], [{after}, %{e.label}]")
        if at_least_once:
            check = e.let(f"icmp slt i64 {after}, {extent}")
            e.emit(f"br i1 {check}, label %{head}, label %{exit_}")
        else:
            e.emit(f"br label %{head}")
        e.scopes.pop()
        e.start_block(exit_)
        self.values = {}

    def branch(self, s: If) -> None:
        """Emits a branch, or the arm that is taken where the condition is decided."""
        uniform, mask = self.ix.condition(s.condition)
        if mask is not None:
            raise ValueError("[llvm] expected a condition without the lane in an If")
        otherwise = s.otherwise
        if uniform is None:
            self.stmt(s.then)
        elif uniform.name == "false":
            if otherwise is not None:
                self.stmt(otherwise)
        else:
            saved = self.guarded_vars
            self.guarded_vars = saved | s.condition.variables
            run = None if otherwise is None else lambda: self.stmt(otherwise)
            self.branch_on(uniform.name, lambda: self.stmt(s.then), run)
            self.guarded_vars = saved
