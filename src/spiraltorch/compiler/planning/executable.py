"""What a plan runs: device programs, the table of their arguments, and where each result comes from.

Contract
- An executable is immutable and has no state between runs, so a plan may run again while results of earlier runs live.
- `run` is called under the evaluation lock: programs share their tables and the device's scratch memory. A signal handler
  may come to it while it runs: then `nested` asks for tables of its own, and nothing is donated.
- Where memory is donated, results are installed by the call that launches (`install`). So an exception of a signal handler
  finds the old values, or the new ones in their place.
- Kernels that index checks depend on are a program of their own, which runs first. A donated leaf is written by later
  kernels only, so an index out of range changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from ...dtypes import DType
from ...errors import out_of_range
from ...runtime.changes import Changes
from ...runtime.protocol import Buffer, Device, Program
from ...telemetry.spans import ACTIVE, KernelFacts, launch
from .table import Number, TableLayout

# Which buffer a result is: whether a leaf or an output, and its number. A plain tuple: each run unpacks all of them, which
# takes twice as long for named tuples.
ResultSource = tuple[bool, int]
Install = Callable[[list[Buffer]], Changes]  # of the results of a run


class IndexCheck(NamedTuple):
    """Integers that must lie in `[lower, upper)` for the operation `op`.

    A plan with checks has two further results for each: the least and the greatest of those integers, as 0-d values.
    """

    lower: int
    upper: int
    op: str
    dtype: DType


class LinkedProgram(NamedTuple):
    """A program of the device, with what telemetry says of its kernels.

    Attributes:
        program: the program.
        facts: what telemetry says.
        copy: makes a program of the same kernels with a table of its own.
    """

    program: Program
    facts: list[KernelFacts]
    copy: Callable[[], Program]


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

    def run(
        self, leaves: Sequence[Buffer], scalars: Sequence[Number], donated: Collection[int] = (),
        install: Install | None = None, nested: bool = False,
    ) -> list[Buffer]:  # fmt: skip
        """Launches the programs.

        Args:
            leaves: the buffers of the leaves.
            scalars: the values of varying scalars.
            donated: numbers of leaves whose memory nothing needs afterwards, so that results may be written over it.
            install: gives the changes that install the results, which are made by the call that launches.
            nested: whether another run of this thread may be at work.

        Returns:
            The buffer of each result but those of checks.

        Raises:
            IndexOutOfRange: a check fails. Nothing has changed then.
            OutOfMemoryError: the device does not have enough memory.
        """
        results, pointers, _arena = self.prepare(leaves, donated)  # which has to live until the launch is over
        results, extremes = (
            results[: len(results) - 2 * len(self.checks)],
            results[len(results) - 2 * len(self.checks) :],
        )
        changes = None if install is None else install(results)  # keeps what it replaces until this returns
        self.launch(pointers, scalars, extremes, () if changes is None else changes.calls(), nested)
        return results

    def prepare(
        self, leaves: Sequence[Buffer], donated: Collection[int]
    ) -> tuple[list[Buffer], list[int], Buffer | None]:
        """The buffers of all results, those of checks last; the pointers for `launch`; and memory that it needs."""
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
        return results, pointers, arena

    def launch(
        self, pointers: list[int], scalars: Sequence[Number], extremes: list[Buffer], after: Iterable[None],
        nested: bool = False,
    ) -> None:  # fmt: skip
        """Launches the programs on what `prepare` gave, and then makes the calls `after`."""
        if self.checks:
            if self.checking is not None:
                self._launch(self.checking, pointers, scalars, (), nested)
            self._check(extremes)
        if self.main is not None:
            self._launch(self.main, pointers, scalars, after, nested)
        else:
            any(after)

    def _launch(
        self, linked: LinkedProgram, pointers: list[int], scalars: Sequence[Number], after: Iterable[None], nested: bool
    ) -> None:
        """Fills the table of a program and runs it."""
        program = linked.copy() if nested else linked.program
        self.table.fill(program.table, pointers, scalars)
        if ACTIVE:
            launch(program, self.device.name, linked.facts, after)
        else:
            program.run(after)

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

    def _check(self, extremes: list[Buffer]) -> None:
        """Raises `IndexOutOfRange` where one of the results of checks is out of range."""
        for buffer, check in zip(extremes, [c for c in self.checks for _ in range(2)], strict=True):
            self.device.start_read(buffer, check.dtype.itemsize)
        for n, (lower, upper, op, dtype) in enumerate(self.checks):
            least, greatest = [int(self.device.to_host(b, (), dtype.numpy)) for b in extremes[2 * n : 2 * n + 2]]
            if least < lower or greatest >= upper:
                raise out_of_range(op, lower, upper, least if least < lower else greatest)
