"""The result of lowering: an unscheduled kernel, with the roles of its loops, on which the schedules depend.

A kernel is a nest of outer loops that contains one or several phases, one after the other, each a nest of
its own. A role says what a schedule may do with a loop: nothing else is known of the loops than their roles and extents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ...ir.stmt import For, Kernel
from ..choices import Choices
from ..program import Val


class KernelKind(Enum):
    """The shape of a kernel's loops; it names the rule that schedules them: see `compiler.schedules`."""

    MAP = "map"  # one element-wise nest
    ROWS = "rows"  # the innermost axis is reduced: phases over the elements of a row
    COLUMNS = "columns"  # the innermost axis is kept: phases over the rows of a block of columns
    DOT = "dot"  # a product of matrices
    CONV = "conv"  # a contraction with windows
    ATTENTION = "attention"  # phases of tiles, in tasks over queries or heads
    PHASES = "phases"  # element-wise nests without outer loops
    SORT = "sort"  # phases of a radix sort
    SCATTER = "scatter"  # a copy, and updates in order
    SERIAL = "serial"  # independent rows, each in order


class LoopRole(Enum):
    """How the iterations of a loop depend on each other, and on the operands of a contraction."""

    SPATIAL = "spatial"  # independent: tasks, lanes or items
    BATCH = "batch"  # spatial, and both operands of the contraction depend on it
    ROW = "row"  # spatial, and of the operands only the left one depends on it
    COLUMN = "column"  # spatial, and of the operands only the right one depends on it
    WINDOW = "window"  # a row along which the window of a convolution moves
    REDUCTION = "reduction"  # summed over, or reduced by another operator
    LANE = "lane"  # independent within one task or group: lanes or items that share memory, but not tasks
    INTERLEAVED = "interleaved"  # few iterations, whose instructions go side by side
    SEQUENTIAL = "sequential"  # in order


_SPATIAL = (LoopRole.SPATIAL, LoopRole.BATCH, LoopRole.ROW, LoopRole.COLUMN, LoopRole.WINDOW)


class NamedLoop(NamedTuple):
    """A loop of a kernel by the name of its variable, with its role."""

    name: str
    role: LoopRole


class PhaseRole(Enum):
    """What a phase does."""

    ELEMENTWISE = "elementwise"  # independent iterations
    REDUCTION = "reduction"
    PRODUCT = "product"  # a product of two tiles
    SEQUENTIAL = "sequential"  # iterations of some loops run in order


class Phase(NamedTuple):
    """A nest of loops that runs after the previous phase has ended; its loops outermost first."""

    role: PhaseRole
    loops: tuple[NamedLoop, ...]

    def names(self, *roles: LoopRole) -> list[str]:
        """The loops with one of the roles, outermost first; without roles, all."""
        return _names(self.loops, roles)


@dataclass(slots=True)
class Lowered:
    """An unscheduled kernel, with what the schedules need to know of it."""

    kernel: Kernel
    kind: KernelKind
    loops: list[NamedLoop]  # the outer loops, outermost first
    phases: list[Phase] = field(default_factory=list)
    work: int = 1  # operations, roughly
    params: list[Val] = field(default_factory=list)
    scalars: list[int] = field(default_factory=list)
    stores: list[Val] = field(default_factory=list)
    choices: Choices = field(default_factory=Choices)  # what the tuner decided

    def names(self, *roles: LoopRole) -> list[str]:
        """The outer loops with one of the roles, outermost first; without roles, all."""
        return _names(self.loops, roles)

    @property
    def spatial(self) -> list[str]:
        """The outer loops whose iterations are independent, outermost first."""
        return _names(self.loops, _SPATIAL)


def _names(loops: Iterable[NamedLoop], roles: tuple[LoopRole, ...]) -> list[str]:
    return [one.name for one in loops if not roles or one.role in roles]


def named(loops: Iterable[For], role: LoopRole = LoopRole.SPATIAL) -> list[NamedLoop]:
    """Loops of one role."""
    return [NamedLoop(one.var.name, role) for one in loops]


def phase(role: PhaseRole, *loops: Iterable[NamedLoop]) -> Phase:
    """A phase with the loops of several sequences."""
    return Phase(role, tuple([one for part in loops for one in part]))
