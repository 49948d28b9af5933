"""The scheduled kernels of the IR's own tests, compiled: LLVM's results must be the interpreter's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codegen_harness import execute

from spiraltorch.ir.expr import Space
from spiraltorch.ir.interpreter import run as interpret
from spiraltorch.ir.stmt import Accumulate, Alloc, For, Kernel, Kind, walk

sys.path.insert(0, str(Path(__file__).parents[1] / "ir"))

import test_schedule
from test_schedule import (  # noqa: F401  # collected here a second time, with another `run`
    test_column_sums_left_to_the_fallback_use_scratch,
    test_column_sums_with_lanes_inside_the_axis,
    test_conv2d,
    test_finish_with_two_stores_reads_what_the_first_left,
    test_fuse_collapses_contiguous_loops,
    test_fuse_of_two_reduction_axes,
    test_gather_and_scatter,
    test_loop_whose_extent_is_data,
    test_narrow_operands_are_staged_wide,
    test_packed_gemm,
    test_ragged_reduction_axis_may_be_guarded,
    test_reductions,
    test_softmax,
    test_specialize,
    test_split_and_reorder_any_gemm,
    test_stage_before_accumulate,
    test_symbolic_rows,
    test_transpose_in_tiles,
    test_two_reductions_of_one_nest,
    test_virtual_buffer_shared_by_tasks_becomes_global,
)

COMPILED = [0]


def renderable(kernel: Kernel) -> bool:
    """Whether the kernel is lowered, and for a processor without groups."""
    for s in walk(kernel.body):
        if isinstance(s, For) and s.kind in (Kind.GROUP, Kind.ITEM):
            return False
        if isinstance(s, Accumulate) and (s.axes or s.finish):
            return False
        if isinstance(s, Alloc) and s.buffer.space in (Space.VIRTUAL, Space.WORKGROUP):
            return False
    return True


def run_both(kernel: Kernel, arrays: dict[str, Any], scalars: Any = None, sizes: Any = None, **options: Any) -> None:
    """The interpreter in place, and where that is possible the compiled kernel beside it."""
    before = {name: a.copy() for name, a in arrays.items()}
    interpret(kernel, arrays, scalars, sizes, **options)
    if renderable(kernel):
        COMPILED[0] += 1
        got = execute(kernel, before, scalars, sizes)
        for name, a in arrays.items():
            np.testing.assert_allclose(
                got[name].astype(np.float64), a.astype(np.float64), rtol=2e-6, atol=1e-6, err_msg=name
            )


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(test_schedule, "run", run_both)
    count = COMPILED[0]
    yield
    assert COMPILED[0] > count
