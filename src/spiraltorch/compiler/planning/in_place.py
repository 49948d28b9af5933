"""Which results may be written over memory that is read for the last time.

An element-wise store may go where an operand was, if every read of that operand comes in the same store or in one before
it, without condition and at the element being written. So `lower.ordered` puts stores that read most first. Contractions
count with the stores of their epilogue.
"""

from __future__ import annotations

from ...ir.expr import Load
from ...ir.stmt import Accumulate, Kernel, Store, leaf_loads, walk
from ..fusion.phases import Group
from ..lowering.lowered import Lowered
from ..program import Val


class Reuse:
    """Pairs (made, old) of one kernel's values: the result may be stored where the old value was."""

    def __init__(self, one: Group) -> None:
        self.pairs: list[tuple[Val, Val]] = []
        for low in one.members:
            others = {v.id for m in one.members if m is not low for v in m.params}
            self.pairs += [(made, old) for made, old in _pairs(low) if old.id not in others]


def _pairs(low: Lowered) -> list[tuple[Val, Val]]:
    found: list[tuple[Val, Val]] = []
    if low.kind not in ("map", "dot", "conv"):
        return found
    leaf = next(s for s in walk(low.kernel.body) if isinstance(s, Accumulate)) if low.kind != "map" else None
    stores = list(leaf.finish) if leaf is not None else [s for s in walk(low.kernel.body) if isinstance(s, Store)]
    value = dict(zip(low.kernel.params, low.params, strict=True))
    terms = set() if leaf is None else {load.buffer for load in _terms(low.kernel, leaf)}
    reads = [[r for r in leaf_loads(s) if r.buffer in value] for s in stores]
    for n, store in enumerate(stores):
        later = {r.buffer for one in reads[n + 1 :] for r in one}
        before = [r for one in reads[: n + 1] for r in one]
        where = store.buffer.flat(store.position)
        for buffer in dict.fromkeys(r.buffer for r in reversed(before)):
            same = all(r.guard.always and r.buffer.flat(r.position) == where for r in before if r.buffer is buffer)
            fits = same and store.guard.always and buffer.nbytes == store.buffer.nbytes
            if fits and buffer not in later and buffer not in terms and value[buffer] is not value[store.buffer]:
                found.append((value[store.buffer], value[buffer]))
    return found


def _terms(kernel: Kernel, leaf: Accumulate) -> list[Load]:
    """What a contraction reads for its terms: for all elements, so nothing of it may change before the last one is finished."""
    bare = Accumulate(leaf.buffer, leaf.position, leaf.op, leaf.value, leaf.guard, leaf.axes, leaf.init)
    return list(leaf_loads(bare))
