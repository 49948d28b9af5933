"""The schedule steps, in one namespace for the rules in `compiler/schedules`.

A step is a function from kernel to kernel that computes the same, or raises `ScheduleError`. Loops are addressed by name.
The usual order of steps: `split` and `fuse`, `reorder`, `mark`, `accumulate`, `stage`, `specialize`, then `finish`, which
runs the passes that prepare a kernel for a renderer.
"""

from __future__ import annotations

from .cooperation import bind_groups, bind_items, flatten, reduce_in_group, share_loop
from .loops import fuse, mark, reorder, split
from .passes import drop_single_iterations, finish, hoist_guards, insert_barriers, specialize
from .reductions import accumulate, identity, lower_reductions, realize
from .staging import stage
from .tree import ScheduleError, find_loop, iterations, loop_extent, loop_names

__all__ = [
    "ScheduleError",
    "accumulate",
    "bind_groups",
    "bind_items",
    "drop_single_iterations",
    "find_loop",
    "finish",
    "flatten",
    "fuse",
    "hoist_guards",
    "identity",
    "insert_barriers",
    "iterations",
    "loop_extent",
    "loop_names",
    "lower_reductions",
    "mark",
    "realize",
    "reduce_in_group",
    "reorder",
    "share_loop",
    "specialize",
    "split",
    "stage",
]
