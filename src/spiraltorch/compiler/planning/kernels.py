"""What a plan compiles: kernels in launch order, their keys in the caches, and the schedules chosen for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ...errors import OutOfMemoryError
from ...ir.kernel_key import kernel_key
from ...ir.target import Target
from ...runtime.protocol import CompiledKernel, Device
from ...telemetry import Decision
from ...telemetry.names import COMPILE_FUSE, COMPILE_LOWER
from ...telemetry.spans import span
from ..fusion.phases import FusedKernel, fuse_phases
from ..fusion.placement import FusionResult, fuse
from ..lowering import Lowered, lower
from ..program import Program, Val
from ..tuning_state import TUNING
from .decisions import fusion_decisions, phase_decisions, scheduled


class KernelSet(NamedTuple):
    """The kernels of a plan in launch order.

    Each is a `FusedKernel` of one or several loop nests that run as phases of one kernel. Everything is fixed when the plan is
    made but the choices of the nests (`Lowered.choices`), which the tuner may change: see `decide` and `compile`.

    Attributes:
        fused: the kernels.
        keys: for each kernel, the keys of its nests before any choice of the tuner.
        checking: the number of kernels at the beginning that index checks depend on.
        decisions: which operations share a kernel or a launch, and why.
    """

    fused: list[FusedKernel]
    keys: list[list[str]]
    checking: int
    decisions: list[Decision]

    @property
    def lowered(self) -> Iterator[Lowered]:
        """The loop nests of all kernels."""
        return (nest for one in self.fused for nest in one.nests)

    def decide(self, device: Device) -> bool:
        """Gives every nest the choices that the tuning store has for it. Returns whether any of them changed."""
        named = (pair for one, keys in zip(self.fused, self.keys, strict=True) for pair in zip(keys, one.nests))
        return TUNING.decide(device, named)

    def compile(self, device: Device) -> Sequence[CompiledKernel]:
        """Compiles the kernels with their current choices."""
        keys: list[str | None] = [
            one.key([nest.choices.key(key) for nest, key in zip(one.nests, own, strict=True)])
            for one, own in zip(self.fused, self.keys, strict=True)
        ]
        sources = [partial(scheduled, one, n, device.target) for n, one in enumerate(self.fused)]
        return device.compile(sources, keys) if sources else []


def make_kernels(program: Program, device: Device) -> KernelSet:
    """Fuses the operations of a program into kernels, and lowers those. Raises `OutOfMemoryError` for too large values."""
    target = device.target
    with span(COMPILE_FUSE):
        fusion = fuse(program, target.max_buffers)
    _check_sizes(fusion, device.name, target)
    with span(COMPILE_LOWER):
        lowered = [lower(cluster, fusion.stored, target) for cluster in fusion.clusters]
        checking = fuse_phases(lowered[: fusion.index_check_count], target)
        fused = checking + fuse_phases(lowered[fusion.index_check_count :], target)
    keys = [[kernel_key(nest.kernel, nest.kind.value, target.key) for nest in one.nests] for one in fused]
    return KernelSet(fused, keys, len(checking), fusion_decisions(fusion, fused) + phase_decisions(fused))


def nbytes(val: Val) -> int:
    """The bytes of a value in memory."""
    return val.size * val.dtype.itemsize


def _check_sizes(fusion: FusionResult, device: str, target: Target) -> None:
    """Raises `OutOfMemoryError` where a value is larger than what a kernel of the device can bind."""
    for cluster in fusion.clusters:
        for val in (*cluster.emitter.values.values(), *cluster.members):
            most = min(target.buffer_bytes, val.dtype.itemsize << (target.index_bits - 1))  # positions are signed
            if nbytes(val) > most and (val.prim == "leaf" or val.id in fusion.stored):
                raise OutOfMemoryError(
                    f"[{device}] expected at most {most:,} bytes in one tensor, the most that a kernel can bind, got "
                    f"{nbytes(val):,} (shape={val.shape}, dtype={val.dtype.name}); split it"
                )
