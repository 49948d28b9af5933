"""From a program to an execution plan: kernels in order, memory by liveness, one table of arguments.

`build` runs the passes of `passes.PIPELINE`, fuses, lowers, compiles and links. A plan's table has
one 8-byte slot for each leaf, each output, the arena of intermediate results, and each varying scalar. Running a plan
fills the table and makes one call into the device's program.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...dtypes import DType, bfloat16
from ...errors import OutOfMemoryError, out_of_range
from ...ir.kernel_key import kernel_key
from ...runtime import device as devices
from ...runtime.interpreter import deep_recursion
from ...telemetry import Decision
from ...telemetry.counting import COUNTS
from ...telemetry.names import COMPILE_FUSE, COMPILE_LINK, COMPILE_LOWER, compile_pass
from ...telemetry.spans import ACTIVE, KernelFacts, launch, span
from ..fusion.phases import Group, group
from ..fusion.placement import Fusion, fuse
from ..lowering import Lowered, lower
from ..lowering.registry import is_view
from ..passes import PIPELINE
from ..program import Program, Val, live
from ..schedules.tuned import GENERATION, decide
from .decisions import numbered, phases, scheduled
from .in_place import Reuse
from .memory import Region, Wanted, least, place

FORMATS = {
    "bool": "?7x", "int8": "b7x", "int16": "h6x", "int32": "i4x", "int64": "q", "uint8": "B7x", "uint16": "H6x",
    "uint32": "I4x", "uint64": "Q", "float16": "e6x", "bfloat16": "H6x", "float32": "f4x", "float64": "d",
}  # fmt: skip


class Plan:
    """A compiled graph. `run` gives a buffer for each wanted value."""

    __slots__ = (
        "aliases", "arena_bytes", "avals", "bytes_moved", "checking", "checks", "convert", "decisions", "device",
        "donating", "donors", "generation", "groups", "kernel_facts", "kernels", "keys", "launch", "least_bytes",
        "link", "lowered", "made", "output_bytes", "pack", "peak_bytes", "programs", "reuse", "reuses", "scalars",
        "unfused",
    )  # fmt: skip

    def __init__(self) -> None:
        self.device: Any = None
        self.programs: list[tuple[Any, list[KernelFacts]]] = []  # of the device: what checks need, then the rest
        self.checking = 0  # kernels that checks need
        self.pack: Any = None
        self.scalars: list[DType] = []
        self.convert: list[Any] = []  # for scalars that `struct` cannot pack as they are
        self.output_bytes: list[int] = []
        self.aliases: list[tuple[bool, int]] = []  # for each wanted value: is it a leaf, and its number
        self.donors: dict[int, list[int]] = {}  # for an output the leaves that it may be written over
        self.donating: list[int] = []  # those leaves, each once
        self.reuses: list[Reuse] = []  # of each kernel
        self.arena_bytes = 0
        self.peak_bytes = 0  # of intermediates, and of results that take no argument's memory
        self.least_bytes = 0  # below which this order of kernels cannot go
        self.kernels = 0
        self.unfused = 0
        self.bytes_moved = 0
        self.decisions: list[Decision] = []  # all but the schedules: `decisions.schedules` explains those
        self.lowered: list[Lowered] = []
        self.keys: list[list[str]] = []  # of the lowered kernels of each group, whatever was decided
        self.link: Any = None  # gives compiled kernels their arguments
        self.generation = 0  # see `tuned`
        self.groups: list[Group] = []  # the kernels: each is one or several of `lowered`
        self.kernel_facts: list[KernelFacts] = []
        self.reuse = 0
        self.made = 0.0
        self.avals: list[Any] = []  # of the wanted values
        self.launch: Any = None  # `run` as one generated function, see `launch`; False after the first run
        self.checks: list[tuple[int, int, str, DType]] = []  # ranges of indices, whose extremes are the last results

    def run(self, leaves: list[Any], scalars: list[Any], given: Collection[int] = ()) -> list[Any]:
        """Launches the plan on the leaves' buffers. The caller holds the evaluation lock.

        `given` are numbers of leaves whose memory nothing needs afterwards: results may be written over it.
        """
        if self.generation != GENERATION[0]:
            renew(self)
        allocate = self.device.allocate
        if given:
            outputs = self._outputs(leaves, given)
        else:
            outputs = [allocate(n) for n in self.output_bytes]
        made = [leaves[n] if is_leaf else outputs[n] for is_leaf, n in self.aliases]
        if self.kernels:
            arena = allocate(self.arena_bytes) if self.arena_bytes else None
            if self.convert:
                scalars = [c(s) if c is not None else s for c, s in zip(self.convert, scalars, strict=True)]
            pointers = [b.ptr for b in leaves]
            pointers += [b.ptr for b in outputs]
            pointers.append(arena.ptr if arena is not None else 0)
        if self.checks:
            if self.checking:
                self._launch(self.programs[0], pointers, scalars)
            made = self._checked(made)
        if self.kernels > self.checking:
            self._launch(self.programs[-1], pointers, scalars)
        if self.kernels:
            COUNTS["plans_run"] += 1
            COUNTS["kernels_launched"] += self.kernels
            COUNTS["kernels_before_fusion"] += self.unfused
            COUNTS["bytes_moved"] += self.bytes_moved
        return made

    def _launch(self, program: tuple[Any, list[KernelFacts]], pointers: list[int], scalars: list[Any]) -> None:
        """Fills the program's table and runs it."""
        runs, facts = program
        try:
            self.pack(runs.table, 0, *pointers, *scalars)
        except OverflowError:  # a number beyond the dtype's range is infinite
            self.pack(runs.table, 0, *pointers, *[_in_range(s, d) for s, d in zip(scalars, self.scalars, strict=True)])
        if ACTIVE:
            launch(runs, self.device.name, facts)
        else:
            runs.run()

    def _outputs(self, leaves: list[Any], given: Collection[int]) -> list[Any]:
        """Buffers for the results: given leaves' where the plan allows it, and new ones."""
        left = set(given)
        outputs = []
        for n, nbytes in enumerate(self.output_bytes):
            slot = next((d for d in self.donors.get(n, ()) if d in left), None)
            if slot is None:
                outputs.append(self.device.allocate(nbytes))
            else:
                left.discard(slot)
                outputs.append(leaves[slot])
        return outputs

    def _checked(self, made: list[Any]) -> list[Any]:
        """The wanted buffers, once the least and greatest of each index tensor behind them are in range."""
        wanted = len(made) - 2 * len(self.checks)
        for buffer, (_, _, _, dtype) in zip(made[wanted:], [c for c in self.checks for _ in range(2)], strict=True):
            self.device.start_read(buffer, dtype.itemsize)
        for n, (low, high, op, dtype) in enumerate(self.checks):
            least, greatest = [int(self.device.to_host(b, (), dtype.numpy)) for b in made[wanted + 2 * n :][:2]]
            if least < low or greatest >= high:
                raise out_of_range(op, low, high, least if least < low else greatest)
        return made[:wanted]


def build(program: Program, leaf_count: int, scalar_dtypes: list[DType], device_name: str) -> Plan:
    """Compiles a program for one device."""
    started = time.perf_counter()
    unfused = sum(1 for v in program.vals if v.prim not in ("leaf", "const", "scalar") and not is_view(v))
    plan = Plan()
    plan.device = device = devices.get(device_name)
    for one_pass in PIPELINE:
        with span(compile_pass(one_pass.__name__)):
            program = live(one_pass(program, device.target))
    with span(COMPILE_FUSE):
        fusion = fuse(program, device.target.max_buffers)
    plan.unfused = unfused
    _require_room(fusion, device)
    plan.checks = [(*c, v.dtype) for c, v in zip(program.checks, program.watched[::2], strict=True)]
    with span(COMPILE_LOWER):
        plan.lowered = [lower(c, fusion.stored, device.target) for c in fusion.clusters]
        checking = group(plan.lowered[: fusion.checking], device.target)
        plan.groups = checking + group(plan.lowered[fusion.checking :], device.target)
        plan.checking = len(checking)
    plan.decisions = numbered(fusion, plan.groups) + phases(plan.groups)
    plan.keys = [[kernel_key(m.kernel, m.kind, device.target.key) for m in g.members] for g in plan.groups]
    plan.link = partial(_link, plan, program, leaf_count, scalar_dtypes)
    plan.generation = GENERATION[0]
    decide(device, _members(plan))
    _finish(plan)
    plan.made = time.perf_counter() - started
    COUNTS["plans_compiled"] += 1
    COUNTS["compile_seconds"] += plan.made
    return plan


def _members(plan: Plan) -> Iterator[tuple[str, Lowered]]:
    """The lowered kernels with their keys."""
    for one, keys in zip(plan.groups, plan.keys, strict=True):
        yield from zip(keys, one.members, strict=True)


def _finish(plan: Plan) -> None:
    """Compiles the kernels as decided, and links them."""
    keys: list[str | None] = [
        one.key([m.choices.key(key) for m, key in zip(one.members, own, strict=True)])
        for one, own in zip(plan.groups, plan.keys, strict=True)
    ]
    makers = [partial(scheduled, g, n, plan.device.target) for n, g in enumerate(plan.groups)]
    compiled = plan.device.compile(makers, keys) if makers else []
    with span(COMPILE_LINK):
        plan.link(compiled)


def renew(plan: Plan) -> None:
    """A plan from before a tuner began, or ended: kernels about which something else is known now are compiled again."""
    if plan.generation == GENERATION[0]:
        return
    plan.generation, plan.launch = GENERATION[0], None
    with deep_recursion():
        if decide(plan.device, _members(plan)):
            _finish(plan)


def _require_room(fusion: Fusion, device: Any) -> None:
    """Raises `OutOfMemoryError` where a value is larger than what a kernel of the device can bind."""
    for cluster in fusion.clusters:
        for val in (*cluster.emitter.values.values(), *cluster.members):
            # a kernel binds the tensor as one buffer, and counts its elements
            most = min(device.target.buffer_bytes, val.dtype.itemsize << (device.target.index_bits - 1))
            if _bytes(val) > most and (val.prim == "leaf" or val.id in fusion.stored):
                raise OutOfMemoryError(
                    f"[{device.name}] expected at most {most:,} bytes in one tensor, which is what a kernel can bind, got "
                    f"{_bytes(val):,} (shape={val.shape}, dtype={val.dtype.name}); split it"
                )


def _bytes(val: Val) -> int:
    return val.size * val.dtype.itemsize


def _link(
    plan: Plan, program: Program, leaf_count: int, scalar_dtypes: list[DType], compiled: list[Any]
) -> None:  # fmt: skip
    """Gives every stored value its place, and every kernel its arguments."""
    plan.aliases, plan.output_bytes, plan.kernel_facts, plan.convert = [], [], [], []
    plan.arena_bytes = plan.bytes_moved = 0
    plan.decisions = [d for d in plan.decisions if d.kind != "reuse"]
    slots: dict[int, tuple[int, int]] = {v.id: (v.slot, 0) for v in program.vals if v.prim == "leaf"}
    outputs: dict[int, int] = {}
    for root in program.outputs:
        if root.prim == "leaf":
            plan.aliases.append((True, root.slot))
            continue
        if root.id not in outputs:
            outputs[root.id] = len(plan.output_bytes)
            plan.output_bytes.append(_bytes(root))
            slots[root.id] = (leaf_count + outputs[root.id], 0)
        plan.aliases.append((False, outputs[root.id]))
    plan.reuses = [Reuse(one) for one in plan.groups]
    plan.donors = _donors(plan, outputs)
    plan.donating = list(dict.fromkeys(s for slots in plan.donors.values() for s in slots))
    arena = leaf_count + len(plan.output_bytes)
    fresh = {i: leaf_count + n for i, n in outputs.items() if n not in plan.donors}
    scratch = _place(plan, slots, fresh, arena, compiled)
    scalar_at = arena + 1
    steps = []
    for n, (low, kernel) in enumerate(zip(plan.groups, compiled, strict=True)):
        arguments = [slots[v.id] for v in low.params]
        arguments += [(scalar_at + s, 0) for s in low.scalars]
        arguments += scratch[n]
        steps.append((kernel, arguments))
        moved = sum(_bytes(v) for v in low.params)
        plan.bytes_moved += moved
        makes = ", ".join(f"%{v.id} {v.prim} {v.dtype.name}{list(v.shape)}" for m in low.members for v in m.stores)
        plan.kernel_facts.append(KernelFacts(low.name, moved, makes))
    plan.kernels = len(steps)
    formats = [FORMATS[d.name] for d in scalar_dtypes]
    layout = struct.Struct("=" + f"{scalar_at}Q" + "".join(formats))
    plan.pack = layout.pack_into
    plan.scalars = scalar_dtypes
    if bfloat16 in scalar_dtypes:
        plan.convert = [_bfloat_bits if d is bfloat16 else None for d in scalar_dtypes]
    if steps:
        at = plan.checking
        parts = [(a, b) for a, b in ((0, at), (at, len(steps))) if a < b]
        plan.programs = [
            (plan.device.program(steps[a:b], scalar_at + len(scalar_dtypes)), plan.kernel_facts[a:b]) for a, b in parts
        ]


def _bfloat_bits(x: Any) -> int:
    return int(np.asarray(x, bfloat16.numpy).view(np.uint16))


def _in_range(x: Any, dtype: DType) -> Any:
    """A Python float as the dtype has it: infinite where it is too large."""
    if not dtype.is_float or dtype is bfloat16:
        return x
    with np.errstate(over="ignore"):
        return float(dtype.numpy.type(x))


def _place(
    plan: Plan, slots: dict[int, tuple[int, int]], results: dict[int, int], arena: int, compiled: list[Any]
) -> list[list[tuple[int, int]]]:
    """Gives intermediate values their slots, in the arena or in `results` before they are written. Gives kernels' scratch."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    sizes: dict[int, int] = {}
    regions: dict[int, Region] = {}
    for n, low in enumerate(plan.groups):
        for v in low.params:
            if v.id not in slots:
                first.setdefault(v.id, n)
                last[v.id] = n
                sizes[v.id] = _bytes(v)
            elif v.id in results and v.id not in regions:
                regions[v.id] = Region(results[v.id], _bytes(v), n, f"%{v.id}")
    home = _in_place(plan, first, last, sizes)
    own = [i for i in first if i not in home]
    values = [Wanted(sizes[i], first[i], last[i], f"%{i}") for i in own]
    scratch = [Wanted(x, n, n, f"scratch of kernel {n}") for n, k in enumerate(compiled) for x in k.temp_bytes]
    places, plan.arena_bytes, reused = place(
        values + scratch, list(regions.values()), arena, plan.device.target.buffer_align
    )
    plan.decisions += reused
    slots.update(zip(own, places, strict=False))
    slots.update({i: slots[owner] for i, owner in home.items()})
    plan.least_bytes = least(values, list(regions.values()), len(plan.groups))
    plan.peak_bytes = plan.arena_bytes + sum(region.size for region in regions.values())
    plan.reuse = sum(w.size for w in values + scratch) + sum(sizes[i] for i in home) - plan.arena_bytes
    rest = iter(places[len(own) :])
    return [[next(rest) for _ in kernel.temp_bytes] for kernel in compiled]


def _in_place(plan: Plan, first: dict[int, int], last: dict[int, int], sizes: dict[int, int]) -> dict[int, int]:
    """Intermediate values that take the memory of one that their kernel reads for the last time: value -> owner.

    The owner's lifetime grows to hold both.
    """
    home: dict[int, int] = {}
    for n, reuse in enumerate(plan.reuses):
        taken: set[int] = set()  # in this kernel: a value may be read last by two of its phases
        for made, old in reuse.pairs:
            owner = home.get(old.id, old.id)
            if made.id in home or made.id not in first or old.id not in first or last[old.id] != n or last[owner] != n:
                continue
            if owner in taken:
                continue
            taken.add(owner)
            home[made.id] = owner
            last[owner] = last[made.id]
            reason = f"it is written in place of %{old.id}, which kernel {n} reads last and where it is written"
            plan.decisions.append(Decision("reuse", f"%{made.id}", reason))
    return home


def _donors(plan: Plan, outputs: dict[int, int]) -> dict[int, list[int]]:
    """For each output the leaves over whose memory it may be written, where a caller gives that memory away."""
    last = {v.id: n for n, one in enumerate(plan.groups) for v in one.params}
    kept = {n for is_leaf, n in plan.aliases if is_leaf}
    donors: dict[int, list[int]] = {}
    for n, reuse in enumerate(plan.reuses):
        if n < plan.checking:  # an index out of range must change nothing
            continue
        for made, old in reuse.pairs:
            if made.id in outputs and old.prim == "leaf" and last[old.id] == n and old.slot not in kept:
                donors.setdefault(outputs[made.id], []).append(old.slot)
    return donors
