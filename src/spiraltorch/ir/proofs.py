"""Proofs that an index is never negative, from facts `index >= 0` and the bounds of variables.

The search subtracts multiples of facts from the index until bounds suffice, to a depth of `DEPTH` facts and `BUDGET` steps
in all. It is sound and incomplete: a failed proof says nothing. Quotients, minima and remainders add the inequalities that
define them.
"""

from __future__ import annotations

from collections.abc import Iterable

from .guard import Guard, split_minimum
from .index import FloorDiv, Index, Min, Mod, Monomial, Var

DEPTH = 5  # facts that one proof may combine
BUDGET = 400  # steps of one search


class Facts:
    """A conjunction of `index >= 0`; one of an inner scope extends one of an outer scope."""

    __slots__ = ("by_monomial", "seen")

    def __init__(self, outer: Facts | None = None, terms: Iterable[Index] = ()) -> None:
        self.by_monomial: dict[Monomial, list[Index]] = dict(outer.by_monomial) if outer else {}
        self.seen: frozenset[Index] = outer.seen if outer else frozenset()
        new = [part for term in terms for part in split_minimum(term)]
        self._add(new)

    def _add(self, terms: list[Index]) -> None:
        """Adds new facts, and the definitions of the atoms in them."""
        new = [t for t in terms if t not in self.seen]
        self.seen |= set(new)
        for term in new:
            for monomial in term.terms:
                self.by_monomial[monomial] = [*self.by_monomial.get(monomial, ()), term]
            self._add([d for m in term.terms for d in _definitions(m)])

    def with_guard(self, g: Guard) -> Facts:
        """These facts and the conditions of a guard."""
        return Facts(self, g.terms) if g.terms else self

    def prove(self, term: Index) -> bool:
        """Whether a proof of `term >= 0` was found."""
        if term.bounds[0] >= 0:
            return True
        return all(_Search(self).prove(part, DEPTH) for part in split_minimum(term))


class _Search:
    """One search for a proof, with its remaining budget and the depths at which terms were not proven."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.budget = BUDGET
        self.failed: dict[Index, int] = {}

    def prove(self, term: Index, depth: int) -> bool:
        """Whether `term >= 0` follows from at most `depth` facts."""
        if term.bounds[0] >= 0:
            return True
        if depth == 0 or term.bounds[1] < 0 or self.failed.get(term, 0) >= depth:
            return False
        self.budget -= 1
        if self.budget < 0:
            return False
        own = Facts() if all(type(a) is Var for m in term.terms for a in m) else _defining_facts(term)
        for monomial, coefficient in term.terms.items():
            facts = [*self.facts.by_monomial.get(monomial, ()), *own.by_monomial.get(monomial, ())]
            for fact in facts:
                by = fact.terms[monomial]
                if by * coefficient <= 0:
                    continue
                # With integers, t >= 0 exactly where s*t + s - 1 >= 0.
                scale = 1 if coefficient % by == 0 else abs(by)
                rest = term * scale + (scale - 1) - fact * (coefficient * scale // by)
                if self.prove(rest, depth - 1):
                    return True
        self.failed[term] = depth
        return False


def _defining_facts(term: Index) -> Facts:
    """The definitions of the atoms of an index."""
    return Facts(None, [d for m in term.terms for d in _definitions(m)])


def _definitions(monomial: Monomial) -> list[Index]:
    """Indices that are >= 0 by the definition of a quotient, a remainder or a minimum."""
    if len(monomial) != 1 or isinstance(monomial[0], Var):
        return []
    atom = monomial[0]
    one = Index({(atom,): 1}, 0)
    if isinstance(atom, FloorDiv):
        return [atom.left - one * atom.right, one * atom.right + (atom.right - 1) - atom.left]
    if isinstance(atom, Min):
        return [atom.left - one, atom.right - one]
    if isinstance(atom, Mod):
        return [atom.left - one] if atom.left.bounds[0] >= 0 else []
    return []
