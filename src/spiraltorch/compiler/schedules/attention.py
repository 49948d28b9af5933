"""Rules for attention. Every phase of a block has its columns, which in most phases are queries, as lanes or items."""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.stmt import Kernel, Kind
from ...ir.target import Target
from ..choices import Choices
from ..lowering.lowered import LoopRole, Lowered, Phase, PhaseRole
from .common import (
    UNROLL,
    accumulator_dtype,
    lanes_that_fit,
    parallel_nest,
    register_tile,
    register_tiles,
    vectorize,
)

ITEM_ROWS = 4  # of a product's tile that one item keeps in registers
ITEM_TERMS = 8  # terms that an item takes in one iteration


def schedule_attention(lowered: Lowered, target: Target) -> Kernel:
    """Tasks are blocks of queries, or heads where gradients are added up; products have register tiles."""
    kernel = lowered.kernel
    lanes = target.lanes(accumulator_dtype(kernel))
    for phase in lowered.phases:
        if phase.role is PhaseRole.PRODUCT:
            kernel = _product(kernel, phase, lanes, target, lowered.choices)
        elif phase.role is PhaseRole.REDUCTION:
            kernel = _reduction(kernel, phase, lanes)
        else:
            name = phase.names()[-1]
            unroll = lowered.choices.pick(f"unroll.{name}", 4, UNROLL)
            kernel, _, _ = vectorize(kernel, name, lanes, unroll)
    return parallel_nest(kernel, lowered.spatial, lowered.work, target, lowered.choices)


def _product(kernel: Kernel, phase: Phase, lanes: int, target: Target, choices: Choices) -> Kernel:
    """A register tile: elements of one operand are broadcast to the vectors of the other."""
    r, c, t = phase.names()
    height, width, depth = (steps.iterations(kernel, name) for name in (r, c, t))
    lanes = lanes_that_fit(lanes, width)
    best = register_tile(height, width, lanes, target.registers)
    rows, vectors = choices.pick(f"tile.{r}", best, register_tiles(height, width, lanes, target.registers))
    kernel = steps.split(kernel, c, lanes * vectors, f"{c}r", f"{c}i")
    kernel = steps.split(kernel, f"{c}i", lanes, f"{c}v", f"{c}l")
    kernel = steps.split(kernel, r, rows, f"{r}r", f"{r}i")
    terms = [t]
    fitting = [u for u in UNROLL if u == 1 or (depth % u == 0 and depth > u)]
    unroll = choices.pick(f"unroll.{t}", max(u for u in fitting if u <= 4), fitting)
    if unroll > 1:
        kernel = steps.split(kernel, t, unroll, f"{t}u", f"{t}k")
        kernel = steps.mark(kernel, Kind.UNROLLED, f"{t}k")
        terms = [f"{t}u", f"{t}k"]
    kernel = steps.reorder(kernel, f"{c}r", f"{r}r", *terms, f"{r}i", f"{c}v", f"{c}l")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, f"{r}i", f"{c}v"), Kind.VECTOR, f"{c}l")
    kernel = steps.accumulate(kernel, terms[0], f"{r}t")
    if height % rows:
        kernel = steps.specialize(kernel, f"{r}r")
    return kernel


def _reduction(kernel: Kernel, phase: Phase, lanes: int) -> Kernel:
    """A few vectors of columns at a time are reduced along the rows, with their results in registers."""
    j, i = phase.names()
    width = steps.iterations(kernel, i)
    lanes = lanes_that_fit(lanes, width)
    vectors = next(v for v in (4, 2, 1) if width % (v * lanes) == 0 or v == 1)
    kernel = steps.split(kernel, i, lanes * vectors, f"{i}r", f"{i}i")
    kernel = steps.split(kernel, f"{i}i", lanes, f"{i}v", f"{i}l")
    kernel = steps.reorder(kernel, f"{i}r", j, f"{i}v", f"{i}l")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, f"{i}v"), Kind.VECTOR, f"{i}l")
    return steps.accumulate(kernel, j, f"{j}t")


def schedule_attention_groups(lowered: Lowered, target: Target) -> Kernel:
    """One group per block of queries; its items share every phase, and keep a few rows of a product in registers."""
    kernel = lowered.kernel
    items = min(64, target.group_items)  # a block has 64 queries at most
    items = lowered.choices.pick("items", items, [i for i in (16, 32, 64, 128, 256) if i <= target.group_items])
    for phase in lowered.phases:
        if phase.role is PhaseRole.PRODUCT:
            kernel = _product_of_item(kernel, phase)
        elif phase.role is PhaseRole.REDUCTION:
            kernel = _reduction_of_item(kernel, phase)
        (column,) = phase.names(LoopRole.COLUMN)
        kernel = steps.share_loop(kernel, column, items)
    kernel, flat = steps.flatten(kernel, lowered.spatial)
    return steps.bind_groups(kernel, flat, most=target.max_groups)


def _product_of_item(kernel: Kernel, phase: Phase) -> Kernel:
    """An item computes a column, a few rows at a time in registers."""
    r, c, t = phase.names()
    kernel = steps.split(kernel, r, ITEM_ROWS, f"{r}r", f"{r}i")
    kernel, terms = _unroll_terms(kernel, t)
    kernel = steps.reorder(kernel, c, f"{r}r", *terms, f"{r}i")
    kernel = steps.mark(kernel, Kind.UNROLLED, f"{r}i")
    return steps.accumulate(kernel, terms[0], f"{r}t")


def _reduction_of_item(kernel: Kernel, phase: Phase) -> Kernel:
    """An item reduces a column in a register."""
    j, i = phase.names()
    kernel = steps.reorder(kernel, i, j)
    kernel, terms = _unroll_terms(kernel, j)
    return steps.accumulate(kernel, terms[0], f"{j}t")


def _unroll_terms(kernel: Kernel, name: str) -> tuple[Kernel, list[str]]:
    """Several terms per iteration, where there is no remainder; the loops that then run over terms."""
    extent = steps.iterations(kernel, name)
    if extent % ITEM_TERMS or extent <= ITEM_TERMS:
        return kernel, [name]
    kernel = steps.split(kernel, name, ITEM_TERMS, f"{name}u", f"{name}k")
    return steps.mark(kernel, Kind.UNROLLED, f"{name}k"), [f"{name}u", f"{name}k"]
