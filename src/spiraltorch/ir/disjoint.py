"""Whether the iterations of a parallel loop access disjoint elements.

For each buffer that the body writes, the test looks for parts of the positions from which the loop's variable can be
computed: the variable itself, or quotients and remainders of it where loops were fused. Iterations that differ in such a
part access different elements.

Limits: the test is incomplete, so disjoint iterations may be refused. Whether quotients and remainders determine a variable
of more than `SAMPLED` values is tested on the first of them only.
"""

from __future__ import annotations

from typing import Union

import numpy as np

from .expr import Buffer
from .index import Atom, FloorDiv, Index, Min, Opaque, Var, atom_variables, index
from .proofs import Facts
from .stmt import Accumulate, Alloc, For, If, Stmt, Store, children, leaf_stores, walk
from .tree import statement_loads

SAMPLED = 1 << 18  # values of a fused variable on which `_determine` compares quotients and remainders

Accesses = list[tuple[tuple[Index, ...], Facts]]  # (position, facts that hold there)
Ints = Union[int, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]


def meeting_accesses(top: For, facts: Facts) -> str | None:
    """The accesses in which two iterations of a loop may meet, one of them writing, as text; None where there are none.

    Args:
        top: the loop.
        facts: the conditions that hold outside the loop.
    """
    if top.extent == index(1):
        return None
    private = {s.buffer for s in walk(top.body) if isinstance(s, Alloc)}
    writes: dict[Buffer, Accesses] = {}
    reads: dict[Buffer, Accesses] = {}
    _collect(top.body, Facts(facts, (top.extent - index(top.var) - 1,)), writes, reads)
    for b, accesses in writes.items():
        if b in private:
            continue
        accesses = [*accesses, *reads.get(b, ())]
        if not _disjoint(top.var, b, accesses):
            return ", ".join(sorted({f"{b.name}{list(p)}" for p, _ in accesses}))
    return None


def _collect(s: Stmt, facts: Facts, writes: dict[Buffer, Accesses], reads: dict[Buffer, Accesses]) -> None:
    """Adds the accesses of a tree; `facts` hold at `s`."""
    if isinstance(s, For):
        facts = Facts(facts, (s.extent - index(s.var) - 1,))
    elif isinstance(s, (Store, Accumulate)):
        axes = s.axes if isinstance(s, Accumulate) else ()
        facts = Facts(facts, [t for t in s.guard.terms if t.variables.isdisjoint(axes)])
        for one in (s, *leaf_stores(s)):
            writes.setdefault(one.buffer, []).append((one.position, facts.with_guard(one.guard)))
    for r in statement_loads(s):
        reads.setdefault(r.buffer, []).append((r.position, facts.with_guard(r.guard)))
    for c in children(s):
        if isinstance(s, If):
            _collect(c, facts.with_guard(s.condition) if c is s.then else facts, writes, reads)
        else:
            _collect(c, facts, writes, reads)


def _disjoint(var: Var, buffer: Buffer, accesses: Accesses) -> bool:
    """Whether the positions in one iteration of `var` are never those in another one."""
    rows = [((*position, buffer.flat(position)), facts) for position, facts in accesses]
    first = rows[0][0]
    parts = {m[0] for i in first for m in i.terms if len(m) == 1 and atom_variables(m[0]) == {var}}
    separating: list[Atom] = []
    for part in parts:
        if isinstance(part, Opaque):
            continue
        if any(_separates(part, [(row[dim], facts) for row, facts in rows]) for dim in range(len(first))):
            separating.append(part)
    return var in separating or (bool(separating) and _determine(var, separating))


def _separates(part: Atom, places: list[tuple[Index, Facts]]) -> bool:
    """Whether equal indices imply equal values of `part`.

    They do where every index is `c*part + small + n*c*large` with `low <= small < low + c`, for `n` possible values of
    the part and one `c` and `low` for all indices.
    """
    one = Index({(part,): 1}, 0)
    count = one.bounds[1] - one.bounds[0] + 1
    common: tuple[int, Index] | None = None
    for i, facts in places:
        coefficient = i.terms.get((part,), 0)
        if not coefficient:
            return False
        width = abs(coefficient)
        period = width * count
        small = Index({m: c for m, c in i.terms.items() if m != (part,) and c % period}, i.const)
        if common is None:
            common = coefficient, index(small.bounds[0])
        low = common[1]
        if common[0] != coefficient:
            return False
        if not (facts.prove(small - low) and facts.prove(low + width - 1 - small)):
            return False
    return True


def _determine(var: Var, parts: list[Atom]) -> bool:
    """Whether different values of the variable differ in a part, tested on its first `SAMPLED` values."""
    values = np.arange(var.lower, min(var.upper, var.lower + SAMPLED) + 1)
    columns = np.stack([np.broadcast_to(_evaluate_atom(p, values), values.shape) for p in parts], 1)
    return len(np.unique(columns, axis=0)) == len(values)


def _evaluate_atom(atom: Atom, values: Ints) -> Ints:
    """An atom of one variable, at values of that variable."""
    if isinstance(atom, Var):
        return values
    assert not isinstance(atom, Opaque)
    left = _evaluate(atom.left, values)
    if isinstance(atom, Min):
        return np.minimum(left, _evaluate(atom.right, values))
    return left // atom.right if isinstance(atom, FloorDiv) else left % atom.right


def _evaluate(i: Index, values: Ints) -> Ints:
    """An index of one variable, at values of that variable."""
    total: Ints = i.const
    for monomial, coefficient in i.terms.items():
        product: Ints = coefficient
        for atom in monomial:
            product = product * _evaluate_atom(atom, values)
        total = total + product
    return total
