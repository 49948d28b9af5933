"""Rewrites of programs before fusion.

`PIPELINE` is the one list of passes, in order; each takes a program and the target's facts and gives a new program.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.target import Target
from ..program import Program
from .concatenation import copy_concatenations, split_concatenations
from .contractions import split_contractions
from .decompose import decompose
from .outputs import share_reshaped_outputs
from .reductions import spread_reductions, spread_scans
from .simplify import drop_barriers, simplify
from .sorting import sort_values

Pass = Callable[[Program, Target], Program]

PIPELINE: tuple[Pass, ...] = (
    simplify,  # algebra
    decompose,  # to primitives with a lowering
    simplify,
    split_contractions,
    drop_barriers,  # after the last pass that merges equal values, so that recomputed segments are not merged
    sort_values,
    spread_reductions,
    spread_scans,
    split_concatenations,
    copy_concatenations,
    share_reshaped_outputs,
)
