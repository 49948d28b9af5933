"""From a program to an execution plan.

`build` runs the passes of `passes.PIPELINE`, makes kernels (fusion, lowering), compiles them and links them. A `Plan` has
three parts: the `Executable` runs, the `KernelSet` is what was compiled, the `Statistics` are for reports. Running a plan
fills one table of arguments and makes one call into the device's program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from ...dtypes import DType
from ...graph.node import Aval
from ...runtime import device as devices
from ...runtime.interpreter import deep_recursion
from ...runtime.protocol import Buffer
from ...telemetry import Decision
from ...telemetry.counting import COUNTS
from ...telemetry.names import COMPILE_LINK, compile_pass
from ...telemetry.spans import span
from ..lowering.registry import is_view
from ..passes import PIPELINE
from ..program import Program, without_dead_values
from ..tuning_state import TUNING
from .executable import Executable, Install
from .kernels import KernelSet, make_kernels
from .link import Interface, MemoryUse, interface_of, link
from .table import Number

Launcher = Callable[..., Sequence[Buffer]]  # of the leaves' buffers and the scalars, one after the other


class Statistics(NamedTuple):
    """Figures of a plan for `explain`, reports and counters. Nothing depends on them.

    Attributes:
        operations: primitives of the graph before fusion; views and constants do not count.
        kernels: the number of kernels that a run launches.
        memory: bytes by use.
        seconds: the time that compilation took.
    """

    operations: int
    kernels: int
    memory: MemoryUse
    seconds: float


class Plan:
    """A compiled graph.

    A plan is shared: by all graphs of its structure, and by compiled functions. Everything is used under the evaluation
    lock. It changes only where tuners were activated or deactivated since its kernels were looked up: see `refresh`.

    Attributes:
        executable: the linked programs.
        kernels: the kernels of the plan.
        interface: the arguments and the results.
        statistics: figures for reports.
        avals: the shape, dtype and device of each requested value.
        generation: the generation of `TUNING` in which the choices of the kernels were looked up.
        launch: `run` as one generated function, or None. It is made when the plan runs again: see `planning.launch`.
        has_run: whether the plan has run without donated leaves.
        placement: the decision on which device the plan runs.
    """

    __slots__ = (
        "avals", "executable", "generation", "has_run", "interface", "kernels", "launch", "placement", "statistics",
    )  # fmt: skip

    def __init__(
        self, executable: Executable, kernels: KernelSet, interface: Interface, statistics: Statistics,
        avals: Sequence[Aval], placement: Decision, generation: int,
    ) -> None:  # fmt: skip
        self.executable = executable
        self.kernels = kernels
        self.interface = interface
        self.statistics = statistics
        self.avals = avals
        self.placement = placement
        self.generation = generation
        self.launch: Launcher | None = None
        self.has_run = False

    @property
    def decisions(self) -> list[Decision]:
        """Why the plan is as it is. The schedules are not among them: see `decisions.schedule_decisions`."""
        return [self.placement, *self.kernels.decisions, *self.statistics.memory.decisions]

    def run(
        self, leaves: Sequence[Buffer], scalars: Sequence[Number], donated: Collection[int] = (),
        install: Install | None = None, nested: bool = False,
    ) -> list[Buffer]:  # fmt: skip
        """Launches the plan, and counts it. See `Executable.run`."""
        if self.generation != TUNING.generation:
            self.refresh()
        results = self.executable.run(leaves, scalars, donated, install, nested)
        figures = self.statistics
        if figures.kernels:
            COUNTS["plans_run"] += 1
            COUNTS["kernels_launched"] += figures.kernels
            COUNTS["kernels_before_fusion"] += figures.operations
            COUNTS["bytes_moved"] += figures.memory.moved_bytes
        return results

    def refresh(self) -> None:
        """Looks the choices of the kernels up again, if tuners have changed. Relinks the plan where any choice has."""
        if self.generation == TUNING.generation:
            return
        self.generation, self.launch = TUNING.generation, None
        device = self.executable.device
        with deep_recursion():
            if self.kernels.decide(device):
                compiled = self.kernels.compile(device)
                with span(COMPILE_LINK):
                    self.executable, memory = link(self.interface, self.kernels, compiled, device)
                self.statistics = self.statistics._replace(memory=memory)


def build(
    program: Program, leaf_count: int, scalars: Sequence[DType], avals: Sequence[Aval], placement: Decision
) -> Plan:
    """Compiles a program.

    Args:
        program: the operations, with the requested values as outputs.
        leaf_count: the number of leaves of the graph.
        scalars: the dtypes of its varying scalars.
        avals: the avals of the requested values; their device is the plan's.
        placement: the decision on which device the plan runs.

    Raises:
        OutOfMemoryError: a value is larger than what a kernel of the device can bind.
        CompileError: a kernel cannot be compiled.
    """
    started = time.perf_counter()
    operations = sum(1 for v in program.vals if v.prim not in ("leaf", "const", "scalar") and not is_view(v))
    device = devices.get(avals[0].device)
    for one_pass in PIPELINE:
        with span(compile_pass(one_pass.__name__)):
            program = without_dead_values(one_pass(program, device.target))
    interface = interface_of(program, leaf_count, scalars)
    kernels = make_kernels(program, device)
    generation = TUNING.generation
    kernels.decide(device)
    compiled = kernels.compile(device)
    with span(COMPILE_LINK):
        executable, memory = link(interface, kernels, compiled, device)
    statistics = Statistics(operations, len(kernels.fused), memory, time.perf_counter() - started)
    COUNTS["plans_compiled"] += 1
    COUNTS["compile_seconds"] += statistics.seconds
    return Plan(executable, kernels, interface, statistics, avals, placement, generation)
