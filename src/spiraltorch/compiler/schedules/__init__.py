"""How lowered kernels are scheduled: `schedule` is the one entry, and each table has one rule for each kind of kernel.

A rule is a function of the lowered kernel and of the target's facts; it never asks which backend the target is. The rules
for targets with a grid of groups bind loops to groups and items, the others mark tasks of threads and lanes of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...ir import schedule as steps
from ...ir.passes import BLOCK_TERMS
from ...ir.stmt import Kernel
from ...ir.target import Target
from ..choices import Choices
from ..lowering.lowered import KernelKind, Lowered
from . import attention, convolution, cpu, gpu, matmul

Rule = Callable[[Lowered, Target], Kernel]

# Threads and vectors.
CPU_RULES: Mapping[KernelKind, Rule] = {
    KernelKind.MAP: cpu.schedule_map,
    KernelKind.ROWS: cpu.schedule_rows,
    KernelKind.COLUMNS: cpu.schedule_columns,
    KernelKind.DOT: matmul.schedule_dot,
    KernelKind.CONV: convolution.schedule_conv,
    KernelKind.ATTENTION: attention.schedule_attention,
    KernelKind.PHASES: cpu.schedule_phases,
    KernelKind.SORT: cpu.schedule_sort,
    KernelKind.SCATTER: cpu.schedule_scatter,
    KernelKind.SERIAL: cpu.schedule_serial,
}

# A grid of groups of items. Sorts and scatters are lowered to phases there.
GPU_RULES: Mapping[KernelKind, Rule] = {
    KernelKind.MAP: gpu.schedule_map,
    KernelKind.ROWS: gpu.schedule_rows,
    KernelKind.COLUMNS: gpu.schedule_spatial,
    KernelKind.DOT: gpu.schedule_contraction,
    KernelKind.CONV: gpu.schedule_contraction,
    KernelKind.ATTENTION: attention.schedule_attention_groups,
    KernelKind.PHASES: gpu.schedule_phases,
    KernelKind.SERIAL: gpu.schedule_spatial,
}


# A register tile of a product fills the registers, so that a block's end stores and loads it: its blocks are longer.
PRODUCTS = (KernelKind.DOT, KernelKind.CONV, KernelKind.ATTENTION)
PRODUCT_TERMS = 256


def schedule(lowered: Lowered, target: Target, choices: Choices | None = None) -> Kernel:
    """Schedules a lowered kernel.

    Args:
        lowered: the kernel, with the roles of its loops.
        target: facts of the device.
        choices: the options of decisions; by default the choices that came with the kernel.

    Raises:
        ScheduleError: the choices ask for steps that the kernel does not allow.
    """
    if choices is not None:
        lowered = replace(lowered, choices=choices)
    rules = GPU_RULES if target.has_grid else CPU_RULES
    terms = PRODUCT_TERMS if lowered.kind in PRODUCTS else BLOCK_TERMS
    return steps.finish(rules[lowered.kind](lowered, target), terms)
