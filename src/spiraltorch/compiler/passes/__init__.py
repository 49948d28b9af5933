"""Rewrites of programs before fusion.

`PIPELINE` is the one list of passes, in order; each takes a program and the target's facts and gives a new program.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.target import Target
from ..program import Program
from .concatenation import copy_joins, join_in_steps
from .decompose import decompose
from .outputs import share_reshaped_outputs
from .reductions import spread_reductions
from .simplify import drop_barriers, simplify
from .sorting import sort_values

Pass = Callable[[Program, Target], Program]

PIPELINE: tuple[Pass, ...] = (
    simplify,  # algebra
    decompose,  # what kernels are made of
    simplify,
    drop_barriers,  # recomputed segments stay apart, equal values are shared no more
    sort_values,
    spread_reductions,
    join_in_steps,
    copy_joins,
    share_reshaped_outputs,
)
