"""Guards: conditions on indices, under which a statement takes effect or a load reads memory.

A `Guard` is a conjunction of `index >= 0`. Terms that the bounds of their variables prove are dropped when it is built,
and one that they refute makes it `NEVER`. Guards compare by value, in the order of their terms.
"""

from __future__ import annotations

from collections.abc import Mapping

from .index import Index, IndexLike, Min, Var, index, substitute


class Guard:
    """The condition that every index of `terms` is >= 0. `never` marks one that the bounds refute."""

    __slots__ = ("never", "terms")

    def __init__(self, terms: tuple[Index, ...] = (), never: bool = False) -> None:
        self.terms = terms
        self.never = never

    @property
    def always(self) -> bool:
        """Whether the guard has no terms."""
        return not self.terms and not self.never

    def __and__(self, other: Guard) -> Guard:
        if self.always:
            return other
        if other.always:
            return self
        return NEVER if self.never or other.never else guard(*self.terms, *other.terms)

    @property
    def variables(self) -> frozenset[Var]:
        return frozenset().union(*(t.variables for t in self.terms))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guard) and self.terms == other.terms and self.never == other.never

    def __hash__(self) -> int:
        return hash((self.terms, self.never))

    def __repr__(self) -> str:
        return "never" if self.never else " and ".join(f"{t} >= 0" for t in self.terms) or "always"


ALWAYS = Guard()
NEVER = Guard(never=True)


def guard(*terms: Index) -> Guard:
    """The conjunction of `term >= 0` over the terms, without those that the bounds of their variables prove."""
    undecided: list[Index] = []
    for whole in terms:
        for term in split_minimum(whole):
            low, high = term.bounds
            if high < 0:
                return NEVER
            if low < 0 and term not in undecided:
                undecided.append(term)
    return Guard(tuple(undecided)) if undecided else ALWAYS


def less(left: IndexLike, right: IndexLike) -> Guard:
    """`left < right`."""
    return guard(index(right) - index(left) - 1)


def substitute_guard(condition: Guard, mapping: Mapping[Var, Index]) -> Guard:
    """The guard with variables replaced; the same object where nothing changes."""
    if not condition.terms or condition.variables.isdisjoint(mapping):
        return condition
    return guard(*(substitute(t, mapping) for t in condition.terms))


def split_minimum(term: Index) -> list[Index]:
    """Terms that are all >= 0 exactly where `term` is, without the minima that it adds.

    `min(a, b) + rest >= 0` holds exactly where `a + rest >= 0` and `b + rest >= 0`.
    """
    for monomial, coefficient in term.terms.items():
        if coefficient == 1 and len(monomial) == 1 and type(monomial[0]) is Min:
            rest = Index({m: c for m, c in term.terms.items() if m != monomial}, term.const)
            atom = monomial[0]
            return [*split_minimum(atom.left + rest), *split_minimum(atom.right + rest)]
    return [term]
