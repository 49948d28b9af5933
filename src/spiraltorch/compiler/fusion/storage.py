"""Which values must be stored in memory, decided before clusters are formed.

Those are the outputs, operands that a kernel reads more than once, expensive values that are read by kernels with
different loops, and values that split what would be too large an expression. Other values may be computed inline by
their readers, unless `placement` stores them, as it does where a kernel would bind too many buffers. The costs are
estimates from the program alone; schedules are not known here.
"""

from __future__ import annotations

from collections.abc import Collection

from ..lowering.cluster import EXPENSIVE, squeezed
from ..lowering.registry import LOWERINGS, Operands, in_memory, is_reduction, is_view, starts_kernel
from ..program import Program, Val

MAX_EXPRESSION_SIZE = 300  # operations in one expression; larger ones are split by storing a value inside


def materialized_values(program: Program) -> dict[int, str]:
    """The values that must be stored in memory.

    Args:
        program: the values.

    Returns:
        For the id of each such value the reason, as a clause.
    """
    stored = {o.id: "it is an output" for o in program.outputs if o.prim != "leaf"}
    for val in program.vals:
        if LOWERINGS[val.prim].operands is Operands.MEMORY:
            for arg in val.args:
                root = _behind_views(arg)
                if root.prim != "const" and not in_memory(root):
                    stored.setdefault(root.id, f"%{val.id} {val.prim} reads it more than once")
        elif LOWERINGS[val.prim].operands is Operands.TABLE and _behind_views(val.args[0]).prim not in (
            "leaf",
            "const",
            "scalar",
        ):
            root = _behind_views(val.args[0])
            if root.size <= 4 * val.size or in_memory(root):
                stored.setdefault(root.id, f"%{val.id} {val.prim} gathers from it")
        elif LOWERINGS[val.prim].operands is Operands.CHEAP:
            for arg in val.args:
                if inline_cost(arg) > 2:
                    stored.setdefault(_behind_views(arg).id, f"%{val.id} {val.prim} reads it more than once")
    outputs = {o.id for o in program.outputs}
    for v in program.vals:
        if v.prim == "leaf" or (v.prim in ("const", "scalar") and v.id not in outputs):
            stored.pop(v.id, None)
    _materialize_shared(program, stored)
    _limit_expression_sizes(program, stored)
    empty = {v.id for v in program.vals if v.size == 0}
    return {n: reason for n, reason in stored.items() if n not in empty}


def _behind_views(val: Val) -> Val:
    """The value under views, padding and casts, which are computed on the way when an operand is packed."""
    while is_view(val) or val.prim in ("pad", "cast"):
        val = val.args[0]
    return val


def inline_cost(val: Val, available: Collection[int] = ()) -> int:
    """An estimate of the operations that compute one element of a value inline.

    Args:
        val: the value.
        available: ids of values that need not be computed, beside those that are always in memory.
    """
    seen: set[int] = set()
    stack, cost = [val], 0
    while stack:
        v = stack.pop()
        if v.id in seen or v.id in available or in_memory(v) or v.prim in ("const", "scalar"):
            continue
        seen.add(v.id)
        cost += 8 if v.prim in EXPENSIVE else 0 if is_view(v) else 1
        stack += v.args
    return cost


def _materialize_shared(program: Program, stored: dict[int, str]) -> None:
    """Stores expensive values whose readers have different iteration spaces.

    Readers are anchors (see `placement`). Those with one iteration space can share a cluster, which computes the value
    once. Readers with different shapes, or reductions over different axes, would each recompute it.
    """
    spaces: dict[int, set[tuple[object, ...]]] = {v.id: set() for v in program.vals}
    for val in reversed(program.vals):
        anchor = starts_kernel(val) or val.id in stored
        if anchor:
            if is_reduction(val):
                x = val.args[0]
                own: set[tuple[object, ...]] = {
                    (squeezed(x.shape), tuple([squeezed((*x.shape[:a], 2)) for a in val.params[0]]))
                }
            elif starts_kernel(val):
                own = {("standalone", val.id)}
            else:
                own = {(squeezed(val.shape),)}
        else:
            own = spaces[val.id]
            if len(own) > 1 and val.prim not in ("const", "scalar", "leaf", "iota") and not is_view(val):
                shapes = {s[0] for s in own}
                reductions = {s for s in own if len(s) > 1}
                if (len(shapes) > 1 or len(reductions) > 1) and inline_cost(val) >= 8 and val.size > 1:
                    stored[val.id] = "kernels with different loops read it, and recomputing it would be expensive"
                    own = {(squeezed(val.shape),)}
        for arg in val.args:
            spaces[arg.id] |= own


def _limit_expression_sizes(program: Program, stored: dict[int, str]) -> None:
    """Splits expressions of more than `MAX_EXPRESSION_SIZE` operations by storing values inside of them.

    What is counted are pairs of a value and the chain of views through which it is read, because a value that is read
    through two different index maps is computed twice.
    """
    counts_of: dict[int, dict[int, int]] = {}
    for val in program.vals:
        if val.prim in ("leaf", "const", "scalar"):
            counts_of[val.id] = {}
            continue
        operands = [counts_of[a.id] for a in val.args if not in_memory(a) and a.id not in stored]
        parts: dict[int, int] = {}
        if LOWERINGS[val.prim].repositions:
            for counts in operands:
                for key, count in counts.items():
                    key = hash((key, val.id))
                    parts[key] = parts.get(key, 0) + count
        elif operands:
            first, *others = sorted(operands, key=len, reverse=True)
            parts = first.copy()
            for counts in others:
                for key, count in counts.items():
                    parts[key] = max(parts.get(key, 0), count)
        parts[val.id] = 1
        total = sum(parts.values())
        if total > MAX_EXPRESSION_SIZE and not starts_kernel(val):
            stored[val.id] = f"one expression would have more than {MAX_EXPRESSION_SIZE} operations"
            parts = {}
        counts_of[val.id] = parts
