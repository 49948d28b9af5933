"""Linking: gives every value its memory and every kernel its arguments, and makes device programs of the kernels.

`link` is a function of what does not change (the plan's `Interface` and its `KernelSet`) and of the compiled kernels,
whose temporary buffers are placed like intermediate values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ...dtypes import DType
from ...runtime.protocol import Argument, CompiledKernel, Device, Step
from ...telemetry import Decision
from ...telemetry.spans import KernelFacts
from ..fusion.phases import FusedKernel
from ..program import Program, Val
from .executable import Executable, IndexCheck, LinkedProgram, ResultSource
from .in_place import InPlacePair, in_place_pairs
from .kernels import KernelSet, nbytes
from .memory import LiveRange, Region, liveness_bound, place
from .table import TableLayout


class Interface(NamedTuple):
    """The arguments and the results of a plan, which its graph fixes.

    Attributes:
        leaf_slots: for the id of a leaf's value, the leaf's number.
        leaf_count: the number of leaves in the graph, those that no kernel reads included.
        scalars: the dtypes of varying scalars.
        results: the requested values, then the extremes that `checks` look at. No two values share memory unless they
            are one: reshapes stand for their operands.
        checks: the ranges of indices.
    """

    leaf_slots: dict[int, int]
    leaf_count: int
    scalars: Sequence[DType]
    results: list[Val]
    checks: tuple[IndexCheck, ...]


class MemoryUse(NamedTuple):
    """Figures of a plan's memory in bytes, and the decisions behind them.

    Attributes:
        arena_bytes: the size of the arena of intermediate values.
        peak_bytes: the peak size of intermediate values and of outputs that take no donated memory.
        bound_bytes: a lower bound for all placements in this order of kernels.
        reused_bytes: the bytes that reuse saves for intermediate values.
        decisions: which values reuse memory.
        output_bytes: the size of all outputs.
        donatable_bytes: the size of the outputs that may be written over donated leaves.
        moved_bytes: the bytes that the kernels read and write.
    """

    arena_bytes: int
    peak_bytes: int
    bound_bytes: int
    reused_bytes: int
    decisions: list[Decision]
    output_bytes: int = 0
    donatable_bytes: int = 0
    moved_bytes: int = 0


def interface_of(program: Program, leaf_count: int, scalars: Sequence[DType]) -> Interface:
    """The interface of a program after its passes. `leaf_count` and `scalars` are those of the graph."""
    leaves = {v.id: v.slot for v in program.vals if v.prim == "leaf"}
    dtypes = [v.dtype for v in program.index_extremes[::2]]
    checks = tuple([IndexCheck(*check, dtype) for check, dtype in zip(program.checks, dtypes, strict=True)])
    return Interface(leaves, leaf_count, scalars, program.outputs, checks)


def link(
    interface: Interface, kernels: KernelSet, compiled: Sequence[CompiledKernel], device: Device
) -> tuple[Executable, MemoryUse]:
    """The executable of compiled kernels, and how it uses memory.

    Args:
        interface: the plan's arguments and results.
        kernels: the kernels in launch order.
        compiled: the compiled kernels.
        device: where they run.
    """
    outputs = _outputs(interface)
    output_bytes = tuple([nbytes(v) for v in outputs.values()])
    number = {i: n for n, i in enumerate(outputs)}
    results = tuple([
        (True, v.slot) if v.prim == "leaf" else (False, number[v.id]) for v in interface.results
    ])  # fmt: skip
    pairs = [in_place_pairs(one) for one in kernels.fused]
    donors = _donors(kernels, pairs, number, results) if device.atomic_launch else {}
    slots: dict[int, Argument] = {i: (slot, 0) for i, slot in interface.leaf_slots.items()}
    slots.update({i: (interface.leaf_count + n, 0) for i, n in number.items()})
    arena = interface.leaf_count + len(outputs)
    fresh = {i: interface.leaf_count + n for i, n in number.items() if n not in donors}
    scratch, memory = _place_values(kernels.fused, pairs, slots, fresh, arena, compiled, device.target.buffer_align)
    table = TableLayout(arena + 1, interface.scalars)
    steps, facts = _steps(kernels.fused, slots, arena + 1, scratch, compiled)
    memory = memory._replace(
        output_bytes=sum(output_bytes),
        donatable_bytes=sum([output_bytes[n] for n in donors]),
        moved_bytes=sum([f.nbytes for f in facts]),
    )
    at = kernels.checking
    checking, main = [
        LinkedProgram(
            device.program(steps[a:b], table.slots), facts[a:b], partial(device.program, steps[a:b], table.slots)
        )
        if a < b
        else None
        for a, b in ((0, at), (at, len(steps)))
    ]
    donatable = tuple(dict.fromkeys(leaf for leaves in donors.values() for leaf in leaves))
    executable = Executable(
        device, checking, main, table, output_bytes, memory.arena_bytes, results, interface.checks, donors, donatable
    )
    return executable, memory


def _outputs(interface: Interface) -> dict[int, Val]:
    """The results that a run has to allocate, each once, by id. The others are leaves."""
    return {v.id: v for v in interface.results if v.prim != "leaf"}


def _donors(
    kernels: KernelSet, pairs: list[list[InPlacePair]], outputs: dict[int, int], results: Sequence[ResultSource]
) -> dict[int, list[int]]:
    """For each output the leaves over whose memory it may be written, where the caller donates that memory."""
    last = {v.id: n for n, one in enumerate(kernels.fused) for v in one.params}
    kept = {n for is_leaf, n in results if is_leaf}
    donors: dict[int, list[int]] = {}
    for n, own in enumerate(pairs):
        if n < kernels.checking:  # an index out of range must change nothing
            continue
        for result, old in own:
            if result.id in outputs and old.prim == "leaf" and last[old.id] == n and old.slot not in kept:
                donors.setdefault(outputs[result.id], []).append(old.slot)
    return donors


class _Liveness(NamedTuple):
    """The intermediate values of a plan: the first and the last kernel that uses each, and its bytes."""

    first: dict[int, int]
    last: dict[int, int]
    sizes: dict[int, int]


def _place_values(
    fused: list[FusedKernel], pairs: list[list[InPlacePair]], slots: dict[int, Argument], fresh: dict[int, int], arena: int,
    compiled: Sequence[CompiledKernel], align: int,
) -> tuple[list[list[Argument]], MemoryUse]:  # fmt: skip
    """Places intermediate values and temporary buffers.

    Args:
        fused: the kernels in launch order.
        pairs: for each kernel, which values it may store where another one was.
        slots: the places of leaves and outputs, to which those of intermediate values are added.
        fresh: the slots of outputs that take no donated memory, in which values may lie before they are written.
        arena: the slot of the arena.
        compiled: the compiled kernels.
        align: the alignment of offsets in bytes.

    Returns:
        The places of each kernel's temporary buffers, and how memory is used.
    """
    live = _Liveness({}, {}, {})
    regions: dict[int, Region] = {}
    for n, one in enumerate(fused):
        for v in one.params:
            if v.id not in slots:
                live.first.setdefault(v.id, n)
                live.last[v.id] = n
                live.sizes[v.id] = nbytes(v)
            elif v.id in fresh and v.id not in regions:
                regions[v.id] = Region(fresh[v.id], nbytes(v), n, f"%{v.id}")
    owners, decisions = _share_in_place(pairs, live)
    own = [i for i in live.first if i not in owners]
    values = [LiveRange(live.sizes[i], live.first[i], live.last[i], f"%{i}") for i in own]
    temporary = [LiveRange(x, n, n, f"scratch of kernel {n}") for n, k in enumerate(compiled) for x in k.temp_bytes]
    results = list(regions.values())
    placement = place(values + temporary, results, arena, align)
    slots.update(zip(own, placement.places, strict=False))
    slots.update({i: slots[owner] for i, owner in owners.items()})
    rest = iter(placement.places[len(own) :])
    scratch = [[next(rest) for _ in kernel.temp_bytes] for kernel in compiled]
    unshared = sum(r.size for r in values + temporary) + sum(live.sizes[i] for i in owners)
    return scratch, MemoryUse(
        arena_bytes=placement.arena_bytes,
        peak_bytes=placement.arena_bytes + sum(region.size for region in results),
        bound_bytes=liveness_bound(values, results, len(fused)),
        reused_bytes=unshared - placement.arena_bytes,
        decisions=decisions + placement.decisions,
    )


def _share_in_place(pairs: list[list[InPlacePair]], live: _Liveness) -> tuple[dict[int, int], list[Decision]]:
    """Intermediate values that take the memory of an operand that their kernel reads for the last time.

    Returns:
        For each such value the one that owns the memory, whose live range in `live` grows to hold both, and why.
    """
    first, last = live.first, live.last
    owners: dict[int, int] = {}
    decisions: list[Decision] = []
    for n, own in enumerate(pairs):
        taken: set[int] = set()  # in this kernel: a value may be read last by two of its phases
        for result, old in own:
            owner = owners.get(old.id, old.id)
            unplaced = result.id not in owners and result.id in first and old.id in first
            if not unplaced or last[old.id] != n or last[owner] != n or owner in taken:
                continue
            taken.add(owner)
            owners[result.id] = owner
            last[owner] = last[result.id]
            reason = f"it is written in place of %{old.id}, which kernel {n} reads last and where it is written"
            decisions.append(Decision("reuse", f"%{result.id}", reason))
    return owners, decisions


def _steps(
    fused: list[FusedKernel], slots: dict[int, Argument], scalar_slot: int, scratch: list[list[Argument]],
    compiled: Sequence[CompiledKernel],
) -> tuple[list[Step], list[KernelFacts]]:  # fmt: skip
    """The launches with their arguments, and what telemetry says of each kernel."""
    steps: list[Step] = []
    facts = []
    for one, kernel, temporary in zip(fused, compiled, scratch, strict=True):
        arguments = [slots[v.id] for v in one.params]
        arguments += [(scalar_slot + s, 0) for s in one.scalars]
        steps.append((kernel, arguments + temporary))
        stored = ", ".join(f"%{v.id} {v.prim} {v.dtype.name}{list(v.shape)}" for m in one.nests for v in m.stores)
        facts.append(KernelFacts(one.name, sum(nbytes(v) for v in one.params), stored))
    return steps, facts
