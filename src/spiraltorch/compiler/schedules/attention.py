"""The schedule of attention: every nest of a block gets lanes over queries, its products register tiles."""

from __future__ import annotations

from ...ir import schedule as steps
from ...ir.stmt import Kernel, Kind
from ...ir.target import Target
from ...kernels.attention import LoopNest
from ..choices import Choices
from ..lowering.lowered import Lowered
from .common import UNROLL, leaf_dtype, parallel_nest, register_tile, tiles, vectorize


def attention(lowered: Lowered, target: Target) -> Kernel:
    """Tasks are blocks of queries, or heads where gradients are added up."""
    kernel = lowered.kernel
    lanes = target.lanes(leaf_dtype(kernel))
    for nest in lowered.nests:
        if nest.kind == "product":
            kernel = _product(kernel, nest, lanes, target, lowered.choices)
        elif nest.kind == "reduce":
            kernel = _reduce(kernel, nest, lanes)
        else:
            unroll = lowered.choices.pick(f"unroll.{nest.names[-1]}", 4, UNROLL)
            kernel, _, _ = vectorize(kernel, nest.names[-1], lanes, unroll)
    return parallel_nest(kernel, lowered.loops, lowered.work, target, lowered.choices)


def _product(kernel: Kernel, nest: LoopNest, lanes: int, target: Target, choices: Choices) -> Kernel:
    """Rows broadcast one operand's elements to the vectors of the other."""
    r, c, t = nest.names
    height, width, depth = (steps.iterations(kernel, name) for name in nest.names)
    lanes = min(lanes, 1 << (width - 1).bit_length())
    best = register_tile(height, width, lanes, target.registers)
    rows, vectors = choices.pick(f"tile.{r}", best, tiles(height, width, lanes, target.registers))
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


def _reduce(kernel: Kernel, nest: LoopNest, lanes: int) -> Kernel:
    """A vector of queries at a time goes along the keys with its result in a register."""
    j, i = nest.names
    width = steps.iterations(kernel, i)
    lanes = min(lanes, 1 << (width - 1).bit_length())
    vectors = next(v for v in (4, 2, 1) if width % (v * lanes) == 0 or v == 1)
    kernel = steps.split(kernel, i, lanes * vectors, f"{i}r", f"{i}i")
    kernel = steps.split(kernel, f"{i}i", lanes, f"{i}v", f"{i}l")
    kernel = steps.reorder(kernel, f"{i}r", j, f"{i}v", f"{i}l")
    kernel = steps.mark(steps.mark(kernel, Kind.UNROLLED, f"{i}v"), Kind.VECTOR, f"{i}l")
    return steps.accumulate(kernel, j, f"{j}t")


def attention_groups(lowered: Lowered, target: Target) -> Kernel:
    """A group to a block of queries; its items share every nest, and keep a few rows of a product in registers."""
    kernel = lowered.kernel
    items = min(64, target.group_items)
    items = lowered.choices.pick("items", items, [i for i in (16, 32, 64, 128, 256) if i <= target.group_items])
    for nest in lowered.nests:
        if nest.kind == "product":
            kernel = _items_product(kernel, nest)
        elif nest.kind == "reduce":
            kernel = _items_reduce(kernel, nest)
        kernel = steps.share_loop(kernel, nest.shared, items)
    kernel, flat = steps.flatten(kernel, lowered.loops)
    return steps.bind_groups(kernel, flat, most=target.max_groups)


def _items_product(kernel: Kernel, nest: LoopNest) -> Kernel:
    r, c, t = nest.names
    kernel = steps.split(kernel, r, 4, f"{r}r", f"{r}i")
    terms = [t]
    if steps.iterations(kernel, t) % 8 == 0 and steps.iterations(kernel, t) > 8:
        kernel = steps.mark(steps.split(kernel, t, 8, f"{t}u", f"{t}k"), Kind.UNROLLED, f"{t}k")
        terms = [f"{t}u", f"{t}k"]
    kernel = steps.reorder(kernel, c, f"{r}r", *terms, f"{r}i")
    kernel = steps.mark(kernel, Kind.UNROLLED, f"{r}i")
    return steps.accumulate(kernel, terms[0], f"{r}t")


def _items_reduce(kernel: Kernel, nest: LoopNest) -> Kernel:
    j, i = nest.names
    kernel = steps.reorder(kernel, i, j)
    if steps.iterations(kernel, j) % 8 == 0 and steps.iterations(kernel, j) > 8:
        kernel = steps.mark(steps.split(kernel, j, 8, f"{j}u", f"{j}k"), Kind.UNROLLED, f"{j}k")
        j = f"{j}u"
    return steps.accumulate(kernel, j, f"{nest.names[0]}t")
