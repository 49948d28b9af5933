"""From a program to an execution plan: kernels in order, memory by liveness, one table of arguments.

`build` runs the passes; the list `PASSES` is the whole pipeline up to kernels. A plan's table has one 8-byte slot for
each leaf, each output, the arena of intermediate results, and each varying scalar. Running a plan fills the table and
makes one call into the device's program.
"""

from __future__ import annotations

import struct
import time
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import DType, bfloat16
from ..errors import OutOfMemoryError, out_of_range
from ..ir.expr import Buffer, Load
from ..ir.index import Index
from ..ir.stmt import Kernel, Store, leaf_loads, walk
from ..runtime import device as devices
from ..telemetry import Decision
from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE_FUSE, COMPILE_LINK, COMPILE_LOWER, compile_pass
from ..telemetry.spans import ACTIVE, KernelFacts, launch, span
from .decisions import numbered, phases, reuses, scheduled
from .decompose import decompose, join_in_steps, spread_reductions
from .fuse import Fusion, fuse
from .key import kernel_key
from .lower import Lowered, lower
from .merge import Group, group
from .program import VIEWS, Program, Val, live
from .simplify import drop_barriers, simplify

PASSES = (simplify, decompose, simplify, drop_barriers)
_FORMATS = {
    "bool": "?7x", "int8": "b7x", "int16": "h6x", "int32": "i4x", "int64": "q", "uint8": "B7x", "uint16": "H6x",
    "uint32": "I4x", "uint64": "Q", "float16": "e6x", "bfloat16": "H6x", "float32": "f4x", "float64": "d",
}  # fmt: skip


class Plan:
    """A compiled graph. `run` gives a buffer for each wanted value."""

    __slots__ = (
        "aliases", "arena_bytes", "avals", "bytes_moved", "checks", "convert", "decisions", "device", "groups", "kernel_facts", "kernels", "lowered",
        "made", "output_bytes", "pack", "program", "reuse", "scalars", "unfused",
    )  # fmt: skip

    def __init__(self) -> None:
        self.device: Any = None
        self.program: Any = None  # the device's program; None where there is nothing to launch
        self.pack: Any = None
        self.scalars: list[DType] = []
        self.convert: list[Any] = []  # for scalars that `struct` cannot pack as they are
        self.output_bytes: list[int] = []
        self.aliases: list[tuple[bool, int]] = []  # for each wanted value: is it a leaf, and its number
        self.arena_bytes = 0
        self.kernels = 0
        self.unfused = 0
        self.bytes_moved = 0
        self.decisions: list[Decision] = []  # all but the schedules: `decisions.schedules` explains those
        self.lowered: list[Lowered] = []
        self.groups: list[Group] = []  # the kernels: each is one or several of `lowered`
        self.kernel_facts: list[KernelFacts] = []
        self.reuse = 0
        self.made = 0.0
        self.avals: list[Any] = []  # of the wanted values
        self.checks: list[tuple[int, int, str, DType]] = []  # ranges of indices, whose extremes are the last results

    def run(self, leaves: list[Any], scalars: list[Any]) -> list[Any]:
        """Launches the plan on the leaves' buffers. The caller holds the evaluation lock."""
        allocate = self.device.allocate
        outputs = [allocate(n) for n in self.output_bytes]
        if self.program is not None:
            arena = allocate(self.arena_bytes) if self.arena_bytes else None
            if self.convert:
                scalars = [c(s) if c is not None else s for c, s in zip(self.convert, scalars, strict=True)]
            pointers = [b.ptr for b in leaves]
            pointers += [b.ptr for b in outputs]
            pointers.append(arena.ptr if arena is not None else 0)
            table = self.program.table
            try:
                self.pack(table, 0, *pointers, *scalars)
            except OverflowError:  # a number beyond the dtype's range is infinite
                self.pack(table, 0, *pointers, *[_in_range(s, d) for s, d in zip(scalars, self.scalars, strict=True)])
            if ACTIVE:
                launch(self.program, self.device.name, self.kernel_facts)
            else:
                self.program.run()
            COUNTS["plans_run"] += 1
            COUNTS["kernels_launched"] += self.kernels
            COUNTS["kernels_before_fusion"] += self.unfused
            COUNTS["bytes_moved"] += self.bytes_moved
        made = [leaves[n] if is_leaf else outputs[n] for is_leaf, n in self.aliases]
        return self._checked(made) if self.checks else made

    def _checked(self, made: list[Any]) -> list[Any]:
        """The wanted buffers, once the least and greatest of each index tensor behind them are in range."""
        wanted = len(made) - 2 * len(self.checks)
        for n, (low, high, op, dtype) in enumerate(self.checks):
            least, greatest = [int(self.device.to_host(b, (), dtype.numpy)) for b in made[wanted + 2 * n :][:2]]
            if least < low or greatest >= high:
                raise out_of_range(op, low, high, least if least < low else greatest)
        return made[:wanted]


def build(program: Program, leaf_count: int, scalar_dtypes: list[DType], device_name: str) -> Plan:
    """Compiles a program for one device."""
    started = time.perf_counter()
    unfused = sum(1 for v in program.vals if v.prim not in VIEWS and v.prim not in ("leaf", "const", "scalar"))
    for one_pass in PASSES:
        with span(compile_pass(one_pass.__name__)):
            program = live(one_pass(program))
    plan = Plan()
    plan.device = device = devices.get(device_name)
    if device.target.groups:
        program = spread_reductions(program)
    program = live(join_in_steps(program, device.target.max_buffers - 1))
    with span(COMPILE_FUSE):
        fusion = fuse(program, device.target.max_buffers)
    plan.unfused = unfused
    _require_room(fusion, device)
    watched = program.outputs[len(program.outputs) - 2 * len(program.checks) :: 2]
    plan.checks = [(*c, v.dtype) for c, v in zip(program.checks, watched, strict=True)]
    with span(COMPILE_LOWER):
        plan.lowered = [lower(c, fusion.stored, device.target) for c in fusion.clusters]
        plan.groups = group(plan.lowered, device.target)
    plan.decisions = numbered(fusion, plan.groups) + phases(plan.groups)
    keys: list[str | None] = [
        g.key([kernel_key(m.kernel, m.kind, device.target.key) for m in g.members]) for g in plan.groups
    ]
    makers = [partial(scheduled, g, n, device.target) for n, g in enumerate(plan.groups)]
    compiled = device.compile(makers, keys) if makers else []
    with span(COMPILE_LINK):
        _link(plan, program, fusion, compiled, leaf_count, scalar_dtypes)
    plan.made = time.perf_counter() - started
    COUNTS["plans_compiled"] += 1
    COUNTS["compile_seconds"] += plan.made
    return plan


def _require_room(fusion: Fusion, device: Any) -> None:
    """Raises `OutOfMemoryError` where a value is larger than what a kernel of the device can bind."""
    most = device.target.buffer_bytes
    for cluster in fusion.clusters:
        for val in (*cluster.emitter.values.values(), *cluster.members):
            if _bytes(val) > most and (val.prim == "leaf" or val.id in fusion.stored):
                raise OutOfMemoryError(
                    f"[{device.name}] expected at most {most:,} bytes in one tensor, which is what a kernel can bind, got "
                    f"{_bytes(val):,} (shape={val.shape}, dtype={val.dtype.name}); split it"
                )


def _bytes(val: Val) -> int:
    return val.size * val.dtype.itemsize


def _root(val: Val) -> Val:
    """Through reshapes: what shares the memory of a wanted value."""
    inner = val
    while inner.prim == "reshape":
        inner = inner.args[0]
    return inner if inner.prim == "leaf" else val


def _link(
    plan: Plan, program: Program, fusion: Fusion, compiled: list[Any], leaf_count: int, scalar_dtypes: list[DType]
) -> None:
    """Gives every stored value its place, and every kernel its arguments."""
    slots: dict[int, tuple[int, int]] = {v.id: (v.slot, 0) for v in program.vals if v.prim == "leaf"}
    outputs: dict[int, int] = {}
    for wanted in program.outputs:
        root = _root(wanted)
        if root.prim == "leaf":
            plan.aliases.append((True, root.slot))
            continue
        if root.id not in outputs:
            outputs[root.id] = len(plan.output_bytes)
            plan.output_bytes.append(_bytes(root))
            slots[root.id] = (leaf_count + outputs[root.id], 0)
        plan.aliases.append((False, outputs[root.id]))
    arena = leaf_count + len(plan.output_bytes)
    places = _place_temporaries(plan, slots, compiled)
    for value_id, offset in places[0].items():
        slots[value_id] = (arena, offset)
    scalar_at = arena + 1
    steps = []
    for n, (low, kernel) in enumerate(zip(plan.groups, compiled, strict=True)):
        arguments = [slots[v.id] for v in low.params]
        arguments += [(scalar_at + s, 0) for s in low.scalars]
        arguments += [(arena, offset) for offset in places[1][n]]
        steps.append((kernel, arguments))
        moved = sum(_bytes(v) for v in low.params)
        plan.bytes_moved += moved
        makes = ", ".join(f"%{v.id} {v.prim} {v.dtype.name}{list(v.shape)}" for m in low.members for v in m.stores)
        plan.kernel_facts.append(KernelFacts(low.name, moved, makes))
    plan.kernels = len(steps)
    formats = [_FORMATS[d.name] for d in scalar_dtypes]
    layout = struct.Struct("=" + f"{scalar_at}Q" + "".join(formats))
    plan.pack = layout.pack_into
    plan.scalars = scalar_dtypes
    if bfloat16 in scalar_dtypes:
        plan.convert = [_bfloat_bits if d is bfloat16 else None for d in scalar_dtypes]
    if steps:
        plan.program = plan.device.program(steps, scalar_at + len(scalar_dtypes))


def _bfloat_bits(x: Any) -> int:
    return int(np.asarray(x, bfloat16.numpy).view(np.uint16))


def _in_range(x: Any, dtype: DType) -> Any:
    """A Python float as the dtype has it: infinite where it is too large."""
    if not dtype.is_float or dtype is bfloat16:
        return x
    with np.errstate(over="ignore"):
        return float(dtype.numpy.type(x))


def _place_temporaries(
    plan: Plan, slots: dict[int, tuple[int, int]], compiled: list[Any]
) -> tuple[dict[int, int], list[list[int]]]:
    """Offsets in the arena: first fit over the launch order, biggest first. Also each kernel's own scratch."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for n, low in enumerate(plan.groups):
        for v in low.params:
            if v.id not in slots:
                first.setdefault(v.id, n)
                last[v.id] = n
                sizes[v.id] = _bytes(v)
    home = _in_place(plan, first, last, sizes)
    wanted: list[tuple[int, int, int, tuple[str, int, int]]] = [
        (sizes[i], first[i], last[i], ("value", i, 0)) for i in first if i not in home
    ]
    for n, kernel in enumerate(compiled):
        for m, size in enumerate(kernel.temp_bytes):
            wanted.append((size, n, n, ("scratch", n, m)))
    align = plan.device.target.buffer_align
    offsets: dict[int, int] = {}
    scratch = [[0] * len(kernel.temp_bytes) for kernel in compiled]
    placed: list[tuple[int, int, int, int, str]] = []  # offset, end, first, last, name
    for size, begin, end, (kind, number, m) in sorted(wanted, key=lambda w: (-w[0], w[1])):
        size = -(-max(size, 1) // align) * align
        at = 0
        for offset, stop, f, t, _ in sorted(placed):
            if f <= end and begin <= t:
                if at + size <= offset:
                    break
                at = max(at, stop)
        name = f"%{number}" if kind == "value" else f"scratch of kernel {number}"
        placed.append((at, at + size, begin, end, name))
        plan.arena_bytes = max(plan.arena_bytes, at + size)
        if kind == "value":
            offsets[number] = at
        else:
            scratch[number][m] = at
    plan.decisions += reuses(placed)
    for value_id, owner in home.items():
        offsets[value_id] = offsets[owner]
    plan.reuse = sum(p[1] - p[0] for p in placed) + sum(sizes[i] for i in home) - plan.arena_bytes
    return offsets, scratch


def _in_place(plan: Plan, first: dict[int, int], last: dict[int, int], sizes: dict[int, int]) -> dict[int, int]:
    """Intermediate values that take the memory of one that their kernel reads for the last time: value -> owner.

    Only where an element-wise kernel makes nothing else and reads the old value at the element being written. The
    owner's lifetime grows to hold both.
    """
    home: dict[int, int] = {}
    for n, one in enumerate(plan.groups):
        low = one.members[0]
        if len(one.members) > 1 or low.kind != "map" or len(low.stores) != 1 or low.stores[0].id not in first:
            continue
        made = low.stores[0]
        for v, buffer in zip(low.params, low.kernel.params, strict=True):
            owner = home.get(v.id, v.id)
            fits = v.id in first and v is not made and last[v.id] == n and last[owner] == n
            if fits and sizes[v.id] == sizes[made.id] and _read_where_written(low.kernel, buffer):
                home[made.id] = owner
                last[owner] = last[made.id]
                reason = f"it is written in place of %{v.id}, which kernel {n} reads last and where it is written"
                plan.decisions.append(Decision("reuse", f"%{made.id}", reason))
                break
    return home


def _read_where_written(kernel: Kernel, buffer: Buffer) -> bool:
    """Whether every read of the buffer is unconditional and at the position of the kernel's one store."""
    (store,) = [s for s in walk(kernel.body) if isinstance(s, Store)]
    reads = [r for r in leaf_loads(store) if r.buffer is buffer]
    return all(r.guard.always and _flat(r) == store.buffer.flat(store.position) for r in reads)


def _flat(load: Load) -> Index:
    return load.buffer.flat(load.position)
