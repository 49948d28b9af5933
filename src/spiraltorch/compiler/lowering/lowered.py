"""The result of lowering: an unscheduled kernel, with what the schedule rules need to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ir.stmt import Kernel
from ...kernels.attention import LoopNest
from ..choices import Choices
from ..program import Val


@dataclass(slots=True)
class Lowered:
    """An unscheduled kernel, with what the rules need to know of it."""

    kernel: Kernel
    kind: str  # map, rows, columns, dot, conv, serial, scatter, sort, phases, attention
    loops: list[str]  # spatial loops, outermost first
    phases: list[list[str]] = field(default_factory=list)  # of rows: the loops of each phase; reductions first
    reductions: list[bool] = field(default_factory=list)  # which phases reduce
    terms: list[str] = field(default_factory=list)  # of contractions: the loops over terms
    batch: int = 0  # of contractions: how many of `loops` are batch axes
    rows: int = 0  # of contractions: how many of `loops` come from the left operand
    nests: list[LoopNest] = field(default_factory=list)  # of attention
    work: int = 1  # operations, roughly
    params: list[Val] = field(default_factory=list)
    scalars: list[int] = field(default_factory=list)
    stores: list[Val] = field(default_factory=list)
    choices: Choices = field(default_factory=Choices)  # decisions of the rules
