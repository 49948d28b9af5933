"""What a plan runs: device programs, the table of their arguments, and where each result comes from.

Contract
- An executable is immutable and has no state between runs, so a plan may run again while results of earlier runs live.
- `run` is called under the evaluation lock: programs share their tables and the device's scratch memory.
- Kernels that index checks depend on are a program of their own, which runs first. A donated leaf is written by later
  kernels only, so an index out of range changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...dtypes import DType
from ...errors import out_of_range
from ...runtime.protocol import Buffer, Device, Program
from ...telemetry.spans import ACTIVE, KernelFacts, launch
from .table import Number, TableLayout

# Which buffer a result is: whether a leaf or an output, and its number. A plain tuple: each run unpacks all of them, which
# takes twice as long for named tuples.
ResultSource = tuple[bool, int]


class IndexCheck(NamedTuple):
    """Integers that must lie in `[lower, upper)` for the operation `op`.

    A plan with checks has two further results for each: the least and the greatest of those integers, as 0-d values.
    """

    lower: int
    upper: int
    op: str
    dtype: DType


class LinkedProgram(NamedTuple):
    """A program of the device, with what telemetry says of its kernels."""

    program: Program
    facts: list[KernelFacts]


class Executable(NamedTuple):
    """Programs on one device, with the memory and the arguments that they need.

    Attributes:
        device: where it runs.
        checking: the kernels that checks depend on; None where there are none.
        main: all other kernels; None where there are none.
        table: the layout of the programs' tables.
        output_bytes: the size of each output, which a run allocates.
        arena_bytes: the size of the memory for intermediate values, which a run allocates and frees.
        results: where each result comes from, those of `checks` last.
        checks: the bounds that the last results are compared with.
        donors: for an output, the leaves over whose memory it may be written, where the caller donates that memory.
        donatable: those leaves, each once.
    """

    device: Device
    checking: LinkedProgram | None
    main: LinkedProgram | None
    table: TableLayout
    output_bytes: tuple[int, ...]
    arena_bytes: int
    results: tuple[ResultSource, ...]
    checks: tuple[IndexCheck, ...]
    donors: dict[int, list[int]]
    donatable: tuple[int, ...]

    def run(self, leaves: Sequence[Buffer], scalars: Sequence[Number], donated: Collection[int] = ()) -> list[Buffer]:
        """Launches the programs.

        Args:
            leaves: the buffers of the leaves.
            scalars: the values of varying scalars.
            donated: numbers of leaves whose memory nothing needs afterwards, so that results may be written over it.

        Returns:
            The buffer of each result but those of checks.

        Raises:
            IndexOutOfRange: a check fails. Nothing has changed then.
            OutOfMemoryError: the device does not have enough memory.
        """
        allocate = self.device.allocate
        if donated:
            outputs = self._outputs(leaves, donated)
        else:
            outputs = [allocate(n) for n in self.output_bytes]
        results = [leaves[n] if is_leaf else outputs[n] for is_leaf, n in self.results]
        arena = allocate(self.arena_bytes) if self.arena_bytes else None
        pointers = [b.ptr for b in leaves]
        pointers += [b.ptr for b in outputs]
        pointers.append(arena.ptr if arena is not None else 0)
        if self.checks:
            if self.checking is not None:
                self._launch(self.checking, pointers, scalars)
            results = self._check(results)
        if self.main is not None:
            self._launch(self.main, pointers, scalars)
        return results

    def _launch(self, linked: LinkedProgram, pointers: list[int], scalars: Sequence[Number]) -> None:
        """Fills the table of a program and runs it."""
        program = linked.program
        self.table.fill(program.table, pointers, scalars)
        if ACTIVE:
            launch(program, self.device.name, linked.facts)
        else:
            program.run()

    def _outputs(self, leaves: Sequence[Buffer], donated: Collection[int]) -> list[Buffer]:
        """A buffer for each output: a donated leaf's where one fits, else a new one."""
        left = set(donated)
        outputs = []
        donors, allocate = self.donors, self.device.allocate
        for n, nbytes in enumerate(self.output_bytes):
            leaf = next((d for d in donors.get(n, ()) if d in left), None)
            if leaf is None:
                outputs.append(allocate(nbytes))
            else:
                left.discard(leaf)
                outputs.append(leaves[leaf])
        return outputs

    def _check(self, results: list[Buffer]) -> list[Buffer]:
        """The results without those of checks. Raises `IndexOutOfRange` where one of these is out of range."""
        count = len(results) - 2 * len(self.checks)
        extremes = results[count:]
        for buffer, check in zip(extremes, [c for c in self.checks for _ in range(2)], strict=True):
            self.device.start_read(buffer, check.dtype.itemsize)
        for n, (lower, upper, op, dtype) in enumerate(self.checks):
            least, greatest = [int(self.device.to_host(b, (), dtype.numpy)) for b in extremes[2 * n : 2 * n + 2]]
            if least < lower or greatest >= upper:
                raise out_of_range(op, lower, upper, least if least < lower else greatest)
        return results[:count]
