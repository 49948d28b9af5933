"""Which values may be written over another value's memory.

A store may go where an operand was if every read of that operand comes in the same store or in one before it, without a
condition, and at the element being written. So `lowering` orders stores so that those that read most come first. For
contractions this holds for the stores of their epilogue.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.expr import Load
from ...ir.stmt import Accumulate, Store, leaf_loads, walk
from ..fusion.phases import FusedKernel
from ..lowering.lowered import KernelKind, Lowered
from ..program import Val


class InPlacePair(NamedTuple):
    """A value that a kernel may store where another one was, which the kernel reads."""

    result: Val
    operand: Val


def in_place_pairs(one: FusedKernel) -> list[InPlacePair]:
    """The pairs of a kernel. An operand that several of its phases read is left out."""
    pairs: list[InPlacePair] = []
    for nest in one.nests:
        others = {v.id for m in one.nests if m is not nest for v in m.params}
        pairs += [pair for pair in _pairs(nest) if pair.operand.id not in others]
    return pairs


def _pairs(nest: Lowered) -> list[InPlacePair]:
    """The pairs of one loop nest."""
    pairs: list[InPlacePair] = []
    if nest.kind not in (KernelKind.MAP, KernelKind.DOT, KernelKind.CONV):
        return pairs
    contraction = None
    if nest.kind is not KernelKind.MAP:
        contraction = next(s for s in walk(nest.kernel.body) if isinstance(s, Accumulate))
        stores = list(contraction.finish)
    else:
        stores = [s for s in walk(nest.kernel.body) if isinstance(s, Store)]
    value = dict(zip(nest.kernel.params, nest.params, strict=True))
    terms = set() if contraction is None else {load.buffer for load in _terms(contraction)}
    reads = [[r for r in leaf_loads(s) if r.buffer in value] for s in stores]
    for n, store in enumerate(stores):
        later = {r.buffer for one in reads[n + 1 :] for r in one}
        before = [r for one in reads[: n + 1] for r in one]
        position = store.buffer.flat(store.position)
        for buffer in dict.fromkeys(r.buffer for r in reversed(before)):
            same = all(r.guard.always and r.buffer.flat(r.position) == position for r in before if r.buffer is buffer)
            fits = same and store.guard.always and buffer.nbytes == store.buffer.nbytes
            if fits and buffer not in later and buffer not in terms and value[buffer] is not value[store.buffer]:
                pairs.append(InPlacePair(value[store.buffer], value[buffer]))
    return pairs


def _terms(contraction: Accumulate) -> list[Load]:
    """What a contraction reads for its terms. It reads that for all elements, so none of it may change meanwhile."""
    c = contraction
    return list(leaf_loads(Accumulate(c.buffer, c.position, c.op, c.value, c.guard, c.axes, c.init)))
