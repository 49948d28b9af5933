"""Scheduled kernels keep the limits of targets that no machine here need have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler.state import STATE
from spiraltorch.dtypes import ALL, DType, bool_, float32, float64, int64
from spiraltorch.ir.expr import Space
from spiraltorch.ir.stmt import Alloc, Kernel, walk
from spiraltorch.ir.target import Target
from spiraltorch.runtime import device

GRID = Target(
    key="a grid of groups", vector_bytes=0, registers=0, max_groups=(65535, 65535, 65535), group_items=256,
    preferred_group_items=256, busy_items=4096, shared_bytes=16384, private_scratch=False, phases_share_launch=False,
    native_dtypes=frozenset(d for d in ALL if d.itemsize >= 4),
)  # fmt: skip


class _Compiled(Exception):
    """Ends an evaluation where its kernels would be compiled."""


def scheduled(graph: Callable[[], Any], target: Target, monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """The kernels of a graph for a target."""
    kernels: list[Kernel] = []

    def stop(makers: list[Callable[[], Kernel]], keys: list[Any]) -> Any:
        kernels.extend(make() for make in makers)
        raise _Compiled

    value = graph()
    with monkeypatch.context() as patch:
        cpu = device.get("cpu:0")
        patch.setattr(STATE, "graphs", {})
        patch.setattr(cpu, "target", target)
        patch.setattr(cpu, "compile", stop)
        with pytest.raises(_Compiled):
            st.eval(value)
    return kernels


def shared_bytes(kernel: Kernel, target: Target) -> int:
    """Shared memory that the groups of a kernel need."""
    buffers = [s.buffer for s in walk(kernel.body) if isinstance(s, Alloc) and s.buffer.space is Space.WORKGROUP]
    return sum(b.size * target.element_bytes(b.dtype) for b in buffers)


def zeros(dtype: DType, *shape: int) -> st.Tensor:
    return st.asarray(np.zeros(shape, dtype.numpy))


@pytest.mark.parametrize("dtype", [bool_, float32, float64, int64], ids=str)
@pytest.mark.parametrize("limit", [4096, 8192, 16384, 32768])
def test_tiles_of_a_product_fit_into_shared_memory(limit: int, dtype: DType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements of 8 bytes were counted as 4."""
    target = replace(GRID, shared_bytes=limit)
    for side in (160, 640):
        kernels = scheduled(lambda n=side: zeros(dtype, n, n) @ zeros(dtype, n, n), target, monkeypatch)  # type: ignore[misc]
        used = [shared_bytes(kernel, target) for kernel in kernels]
        assert max(used) <= limit
        assert limit < 8192 or max(used) > 0  # a smaller tile rather than none


def test_positions_must_fit_into_the_width_of_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    target = replace(GRID, index_bits=16)
    assert scheduled(lambda: zeros(bool_, 1 << 15).logical_not(), target, monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(st.OutOfMemoryError, match="expected at most 32,768 bytes"):
        patch.setattr(device.get("cpu:0"), "target", target)
        st.eval(zeros(bool_, (1 << 15) + 1).logical_not())


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_sums_of_a_row_share_what_memory_there_is(dtype: DType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sum that a group takes together has a part for every item."""

    def sums() -> st.Tensor:
        x = zeros(dtype, 600, 5000)
        return reduce(st.add, [((x - n) * (x + n)).sum(-1) for n in range(1, 24)])

    for limit in (16384, 2048, 256):
        target = replace(GRID, shared_bytes=limit)
        assert max(shared_bytes(kernel, target) for kernel in scheduled(sums, target, monkeypatch)) <= limit


@pytest.mark.parametrize("dtype", [float32, float64, ml_dtypes.bfloat16], ids=str)
def test_blocks_of_attention_fit_into_shared_memory(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def attention() -> st.Tensor:
        q, k, v = (st.asarray(np.zeros((1, 2, 200, 96), getattr(dtype, "numpy", dtype))) for _ in range(3))
        return st.nn.functional.scaled_dot_product_attention(q, k, v)

    kernels = scheduled(attention, GRID, monkeypatch)
    assert 0 < max(shared_bytes(kernel, GRID) for kernel in kernels) <= GRID.shared_bytes
