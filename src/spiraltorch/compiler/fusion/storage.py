"""Which values must be in memory, before clusters are made.

Those are results, operands that a kernel reads many times, and values that would make one kernel too large or bind too
many buffers.
"""

from __future__ import annotations

from collections.abc import Collection

from ..lowering.cluster import EXPENSIVE, squeezed
from ..lowering.registry import LOWERINGS, Operands, in_memory, is_reduction, is_view, starts_kernel
from ..program import Program, Val

MAX_SIZE = 300  # values pulled into one member; beyond it something in the middle is stored


def values_in_memory(program: Program, max_buffers: int) -> dict[int, str]:
    """Outputs, operands of contractions and sorts, and values too dear to compute once for each reader; and why."""
    stored = {o.id: "it is a result" for o in program.outputs if o.prim != "leaf"}
    for val in program.vals:
        if LOWERINGS[val.prim].operands is Operands.MEMORY:
            for arg in val.args:
                root = _view_root(arg)
                if root.prim != "const" and not in_memory(root):
                    stored.setdefault(root.id, f"%{val.id} {val.prim} reads it")
        elif LOWERINGS[val.prim].operands is Operands.TABLE and _view_root(val.args[0]).prim not in (
            "leaf",
            "const",
            "scalar",
        ):
            root = _view_root(val.args[0])
            if root.size <= 4 * val.size or in_memory(root):
                stored.setdefault(root.id, f"%{val.id} {val.prim} looks it up")
        elif LOWERINGS[val.prim].operands is Operands.CHEAP:
            for arg in val.args:
                if inline_cost(arg) > 2:
                    stored.setdefault(_view_root(arg).id, f"%{val.id} {val.prim} reads it")
    outputs = {o.id for o in program.outputs}
    for v in program.vals:
        if v.prim == "leaf" or (v.prim in ("const", "scalar") and v.id not in outputs):
            stored.pop(v.id, None)
    _store_shared(program, stored)
    _limit_sizes(program, stored)
    _limit_sources(program, stored, max_buffers)
    empty = {v.id for v in program.vals if v.size == 0}
    return {n: why for n, why in stored.items() if n not in empty}


def _view_root(val: Val) -> Val:
    """Through index maps, padding and casts: what a packing step reads for free."""
    while is_view(val) or val.prim in ("pad", "cast"):
        val = val.args[0]
    return val


def inline_cost(val: Val, placed: Collection[int] = ()) -> int:
    """A rough count of the operations behind one element, from what is in memory."""
    seen: set[int] = set()
    stack, cost = [val], 0
    while stack:
        v = stack.pop()
        if v.id in seen or v.id in placed or in_memory(v) or v.prim in ("const", "scalar"):
            continue
        seen.add(v.id)
        cost += 8 if v.prim in EXPENSIVE else 0 if is_view(v) else 1
        stack += v.args
    return cost


def _store_shared(program: Program, stored: dict[int, str]) -> None:
    """A value that several far-apart readers want, and that costs much, is stored once.

    Readers are anchors. Those that read it at one position in one cluster share it anyway, so only values whose
    readers have different shapes, or that feed a reduction and something else of another shape, are stored.
    """
    spaces: dict[int, set[tuple[object, ...]]] = {v.id: set() for v in program.vals}
    for val in reversed(program.vals):
        anchor = starts_kernel(val) or val.id in stored
        if anchor:
            if is_reduction(val):
                x = val.args[0]
                mine: set[tuple[object, ...]] = {
                    (squeezed(x.shape), tuple([squeezed((*x.shape[:a], 2)) for a in val.params[0]]))
                }
            elif starts_kernel(val):
                mine = {("heavy", val.id)}
            else:
                mine = {(squeezed(val.shape),)}
        else:
            mine = spaces[val.id]
            if len(mine) > 1 and val.prim not in ("const", "scalar", "leaf", "iota") and not is_view(val):
                families = {s[0] for s in mine}
                reductions = {s for s in mine if len(s) > 1}
                if (len(families) > 1 or len(reductions) > 1) and inline_cost(val) >= 8 and val.size > 1:
                    stored[val.id] = "readers with different loops want it and it costs much"
                    mine = {(squeezed(val.shape),)}
        for arg in val.args:
            spaces[arg.id] |= mine


def _limit_sizes(program: Program, stored: dict[int, str]) -> None:
    """Stores values in the middle of expressions that would pull too much into one kernel.

    The count is of (value, path of views) pairs: a value read through two different index maps is computed twice.
    """
    weight: dict[int, dict[int, int]] = {}
    for val in program.vals:
        if val.prim in ("leaf", "const", "scalar"):
            weight[val.id] = {}
            continue
        inside = [weight[a.id] for a in val.args if not in_memory(a) and a.id not in stored]
        parts: dict[int, int] = {}
        if LOWERINGS[val.prim].repositions:
            for counts in inside:
                for key, count in counts.items():
                    key = hash((key, val.id))
                    parts[key] = parts.get(key, 0) + count
        elif inside:
            first, *others = sorted(inside, key=len, reverse=True)
            parts = first.copy()
            for counts in others:
                for key, count in counts.items():
                    parts[key] = max(parts.get(key, 0), count)
        parts[val.id] = 1
        total = sum(parts.values())
        if total > MAX_SIZE and not starts_kernel(val):
            stored[val.id] = f"more than {MAX_SIZE} operations would be in one expression"
            parts = {}
        weight[val.id] = parts


def _limit_sources(program: Program, stored: dict[int, str], max_buffers: int) -> None:
    """Stores operands of values that would read more buffers than a kernel may bind beside its result."""
    sources: dict[int, frozenset[int]] = {}

    def seen_by_reader(v: Val) -> frozenset[int]:
        return frozenset((v.id,)) if in_memory(v) or v.id in stored else sources[v.id]

    for val in program.vals:
        args = list(dict.fromkeys(val.args))
        while True:
            found = frozenset[int]().union(*(seen_by_reader(a) for a in args))
            if len(found) < max_buffers:
                break
            widest = max(args, key=lambda a: len(seen_by_reader(a)))
            if len(seen_by_reader(widest)) < 2:
                raise AssertionError(f"[fuse] {val} has more operands than a kernel may bind: {max_buffers}")
            stored[widest.id] = f"%{val.id} {val.prim} would read more than the {max_buffers} buffers a kernel may bind"
        sources[val.id] = found
