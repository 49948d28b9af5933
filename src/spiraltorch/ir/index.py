"""Index arithmetic: polynomials over bounded atoms, canonical by construction.

Contract
- An `Index` is `const + sum(coefficient * product(atoms))`. Every constructor simplifies, so there is no simplifier
  pass, and equal indices compare equal.
- Each `Var` carries its bounds, so the bounds of an index need no context. They are computed once by interval
  arithmetic: sound, and exact only where no variable occurs twice.
- An `Opaque` atom stands for an integer that is computed elsewhere: `expr.Lookup`, an integer value of the kernel.

Limits: divisors are positive constants. Products of atoms are kept as monomials and are not divided further. Numbers
are Python's, so nothing overflows here; renderers assume that every index fits 64 bits (WGSL: 32).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Union

INFINITY = 1 << 62  # the upper bound of what is not bounded


class Var:
    """An integer with known bounds: a loop variable or a symbolic size. Compared by identity."""

    __slots__ = ("as_index", "lower", "name", "upper")

    def __init__(self, name: str, upper: int = INFINITY, lower: int = 0) -> None:
        self.name = name
        self.upper = upper
        self.lower = lower
        self.as_index: Index | None = None  # made by `index`, once

    def __repr__(self) -> str:
        return self.name


class _Pair:
    """An atom made of two parts, compared by value; the hash is computed once."""

    __slots__ = ("_hash", "left", "right")
    left: Index
    right: Index | int

    def __init__(self, left: Index, right: Index | int) -> None:
        self.left = left
        self.right = right
        self._hash = hash((type(self).__name__, left, right))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is type(self)
            and self._hash == other._hash
            and self.left == other.left
            and self.right == other.right
        )


class FloorDiv(_Pair):
    """`left // right`, rounded down; `right` is a positive int."""

    __slots__ = ()
    right: int


class Mod(_Pair):
    """`left - right * (left // right)`; `right` is a positive int."""

    __slots__ = ()
    right: int


class Min(_Pair):
    """The smaller of two indices."""

    __slots__ = ()
    right: Index


class Opaque:
    """An integer that index arithmetic does not look into: a base class. Compared by identity.

    Whoever builds it guarantees that it lies between `lower` and `upper`, both included.
    """

    __slots__ = ("lower", "upper")

    def __init__(self, upper: int, lower: int) -> None:
        self.upper = upper
        self.lower = lower

    @property
    def variables(self) -> frozenset[Var]:
        """The variables that the integer depends on."""
        raise NotImplementedError

    def substitute(self, mapping: Mapping[Var, Index]) -> Opaque:
        """The atom with variables replaced; itself where it depends on none of them."""
        raise NotImplementedError

    def __str__(self) -> str:
        """A stable spelling."""
        raise NotImplementedError


Atom = Union[Var, FloorDiv, Mod, Min, Opaque]
Monomial = tuple[Atom, ...]


class Index:
    """`const + sum(coefficient * product(atoms))`. Immutable; build it with `index` and operators."""

    __slots__ = ("_bounds", "_hash", "_vars", "const", "terms")

    def __init__(self, terms: dict[Monomial, int], const: int) -> None:
        self.terms = terms
        self.const = const
        self._bounds: tuple[int, int] | None = None
        self._hash: int | None = None
        self._vars: frozenset[Var] | None = None

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Index) and self.const == other.const and self.terms == other.terms)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((frozenset(self.terms.items()), self.const))
        return self._hash

    def __add__(self, other: IndexLike) -> Index:
        if type(other) is int:
            return Index(self.terms, self.const + other) if other else self
        right = index(other)
        if not right.terms:
            return Index(self.terms, self.const + right.const) if right.const else self
        if not self.terms:
            return Index(right.terms, self.const + right.const) if self.const else right
        terms = dict(self.terms)
        for monomial, coefficient in right.terms.items():
            total = terms.get(monomial, 0) + coefficient
            if total:
                terms[monomial] = total
            else:
                del terms[monomial]
        return _rejoin(Index(terms, self.const + right.const))

    __radd__ = __add__

    def __neg__(self) -> Index:
        return self * -1

    def __sub__(self, other: IndexLike) -> Index:
        return self + index(other) * -1

    def __rsub__(self, other: IndexLike) -> Index:
        return index(other) + self * -1

    def __mul__(self, other: IndexLike) -> Index:
        right = index(other)
        if not right.terms or not self.terms:
            variable, factor = (self, right.const) if not right.terms else (right, self.const)
            if factor == 0:
                return ZERO
            if factor == 1:
                return variable
            return Index({m: c * factor for m, c in variable.terms.items()}, variable.const * factor)
        product = ZERO
        for a_atoms, a in (*self.terms.items(), ((), self.const)):
            for b_atoms, b in (*right.terms.items(), ((), right.const)):
                if a and b:
                    monomial = tuple(sorted(a_atoms + b_atoms, key=format_atom))
                    product = product + (Index({monomial: a * b}, 0) if monomial else a * b)
        return product

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Index:
        return floor_div(self, divisor)

    def __mod__(self, divisor: int) -> Index:
        return mod(self, divisor)

    @property
    def is_const(self) -> bool:
        return not self.terms

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and greatest value, both included."""
        if self._bounds is None:
            low = high = self.const
            for monomial, coefficient in self.terms.items():
                a, b = _monomial_bounds(monomial)
                if coefficient > 0:
                    low += a * coefficient
                    high += b * coefficient
                else:
                    low += b * coefficient
                    high += a * coefficient
            self._bounds = low, high
        return self._bounds

    @property
    def variables(self) -> frozenset[Var]:
        if self._vars is None:
            variables: set[Var] = set()
            for monomial in self.terms:
                for atom in monomial:
                    if type(atom) is Var:
                        variables.add(atom)
                    else:
                        variables |= atom_variables(atom)
            self._vars = frozenset(variables)
        return self._vars

    def __repr__(self) -> str:
        return format_index(self)


IndexLike = Union[Index, Var, int]
ZERO = Index({}, 0)
ONE = Index({}, 1)


def index(value: IndexLike) -> Index:
    """A variable or an int as an `Index`; a variable that has one possible value becomes that constant."""
    if type(value) is Index:
        return value
    if type(value) is Var:
        if value.as_index is None:
            value.as_index = Index({(value,): 1}, 0) if value.upper > value.lower else Index({}, value.lower)
        return value.as_index
    if isinstance(value, int):
        return Index({}, int(value))
    raise TypeError(f"[index] expected an int, a Var or an Index, got {type(value).__name__}")


def atom_variables(atom: Atom) -> frozenset[Var]:
    """All variables that the value of the atom depends on."""
    if isinstance(atom, Var):
        return frozenset((atom,))
    if isinstance(atom, Min):
        return atom.left.variables | atom.right.variables
    if isinstance(atom, Opaque):
        return atom.variables
    return atom.left.variables


def floor_div(numerator: IndexLike, divisor: int) -> Index:
    """`numerator // divisor`, rounded down. The divisor is positive."""
    numerator = index(numerator)
    if divisor == 1:
        return numerator
    quotient, rest = _split(numerator, divisor)
    if _within(rest, divisor):
        return quotient
    unit, large, _ = _unit(rest, divisor)
    if unit > 1:  # floor((unit*y + small) / d) == floor(y / (d/unit)) where 0 <= small < unit
        return quotient + floor_div(_exact(large, unit), divisor // unit)
    if len(rest.terms) == 1 and not rest.const:
        ((monomial, coefficient),) = rest.terms.items()
        if coefficient == 1 and len(monomial) == 1:
            inner = monomial[0]
            if isinstance(inner, FloorDiv):
                return quotient + floor_div(inner.left, inner.right * divisor)
            if isinstance(inner, Mod) and inner.right % divisor == 0:
                return quotient + mod(floor_div(inner.left, divisor), inner.right // divisor)
    return quotient + Index({(FloorDiv(rest, divisor),): 1}, 0)


def mod(numerator: IndexLike, divisor: int) -> Index:
    """`numerator - divisor * (numerator // divisor)`, in [0, divisor). The divisor is positive."""
    if divisor == 1:
        return ZERO
    _, rest = _split(index(numerator), divisor)
    if _within(rest, divisor):
        return rest
    unit, large, small = _unit(rest, divisor)
    if unit > 1:
        return mod(_exact(large, unit), divisor // unit) * unit + small
    if len(rest.terms) == 1 and not rest.const:
        ((monomial, coefficient),) = rest.terms.items()
        if coefficient == 1 and len(monomial) == 1:
            inner = monomial[0]
            if isinstance(inner, Mod) and inner.right % divisor == 0:
                return mod(inner.left, divisor)
    return Index({(Mod(rest, divisor),): 1}, 0)


def ceil_div(numerator: IndexLike, divisor: int) -> Index:
    """`numerator // divisor`, rounded up; of a minimum, the minimum of both quotients."""
    numerator = index(numerator)
    if len(numerator.terms) == 1 and not numerator.const:
        ((monomial, coefficient),) = numerator.terms.items()
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Min):
            return minimum(ceil_div(monomial[0].left, divisor), ceil_div(monomial[0].right, divisor))
    return floor_div(numerator + (divisor - 1), divisor)


def minimum(left: IndexLike, right: IndexLike) -> Index:
    """The smaller of two indices: one of them where the bounds decide, else a `Min`."""
    left, right = index(left), index(right)
    low, high = (left - right).bounds
    if high <= 0:
        return left
    if low >= 0:
        return right
    first, second = sorted((left, right), key=repr)
    return Index({(Min(first, second),): 1}, 0)


def substitute(expr: Index, mapping: Mapping[Var, Index]) -> Index:
    """Replaces variables and simplifies again; the same object where nothing changes."""
    if expr.variables.isdisjoint(mapping):
        return expr
    total = Index({}, expr.const)
    for monomial, coefficient in expr.terms.items():
        product: Index | None = None
        for atom in monomial:
            part = _substitute_atom(atom, mapping)
            product = part if product is None else product * part
        assert product is not None  # a monomial has at least one atom
        total = total + (product * coefficient if coefficient != 1 else product)
    return total


def format_index(expr: Index) -> str:
    """A stable spelling, for messages and for the printer."""
    parts = []
    for monomial, coefficient in expr.terms.items():
        factors = [format_atom(a) for a in monomial]
        if coefficient != 1:
            factors.append(str(coefficient))
        parts.append("*".join(factors))
    if expr.const or not parts:
        parts.append(str(expr.const))
    return " + ".join(parts)


def format_atom(atom: Atom) -> str:
    """One atom as text."""
    if isinstance(atom, Var):
        return atom.name
    if isinstance(atom, FloorDiv):
        return f"({atom.left})//{atom.right}"
    if isinstance(atom, Mod):
        return f"({atom.left})%{atom.right}"
    if isinstance(atom, Min):
        return f"min({atom.left}, {atom.right})"
    return str(atom)


def _substitute_atom(atom: Atom, mapping: Mapping[Var, Index]) -> Index:
    """The atom with variables replaced, as an index."""
    if isinstance(atom, Var):
        new = mapping.get(atom)
        return new if new is not None else index(atom)
    if isinstance(atom, FloorDiv):
        return floor_div(substitute(atom.left, mapping), atom.right)
    if isinstance(atom, Mod):
        return mod(substitute(atom.left, mapping), atom.right)
    if isinstance(atom, Min):
        return minimum(substitute(atom.left, mapping), substitute(atom.right, mapping))
    return Index({(atom.substitute(mapping),): 1}, 0)


def _atom_bounds(atom: Atom) -> tuple[int, int]:
    """The least and greatest value of an atom."""
    if isinstance(atom, (Var, Opaque)):
        return atom.lower, atom.upper
    if isinstance(atom, FloorDiv):
        low, high = atom.left.bounds
        return low // atom.right, high // atom.right
    if isinstance(atom, Mod):
        return 0, atom.right - 1
    (a, b), (c, d) = atom.left.bounds, atom.right.bounds
    return min(a, c), min(b, d)


def _monomial_bounds(monomial: Monomial) -> tuple[int, int]:
    """The least and greatest value of a product of atoms."""
    low, high = _atom_bounds(monomial[0])
    for atom in monomial[1:]:
        a, b = _atom_bounds(atom)
        products = (low * a, low * b, high * a, high * b)
        low, high = min(products), max(products)
    return low, high


def _within(expr: Index, divisor: int) -> bool:
    """Whether the bounds show that the index lies in [0, divisor)."""
    low, high = expr.bounds
    return low >= 0 and high < divisor


def _split(expr: Index, divisor: int) -> tuple[Index, Index]:
    """`expr == divisor * quotient + rest`, with every divisible part in the quotient."""
    quotient = {m: c // divisor for m, c in expr.terms.items() if c % divisor == 0}
    if not quotient:
        return Index({}, expr.const // divisor), Index(expr.terms, expr.const % divisor)
    rest = {m: c for m, c in expr.terms.items() if c % divisor}
    return Index(quotient, expr.const // divisor), Index(rest, expr.const % divisor)


def _unit(expr: Index, divisor: int) -> tuple[int, Index, Index]:
    """The largest `unit` dividing `divisor` with `expr == large + small`, unit | large and 0 <= small < unit."""
    for unit in sorted({gcd(c, divisor) for c in expr.terms.values()}, reverse=True):
        if unit == 1:
            break
        small = Index({m: c for m, c in expr.terms.items() if c % unit}, expr.const % unit)
        if _within(small, unit):
            large = Index({m: c for m, c in expr.terms.items() if c % unit == 0}, expr.const - expr.const % unit)
            return unit, large, small
    return 1, expr, ZERO


def _exact(expr: Index, divisor: int) -> Index:
    """The index divided by a number that divides all its coefficients."""
    return Index({m: c // divisor for m, c in expr.terms.items()}, expr.const // divisor)


def _rejoin(expr: Index) -> Index:
    """Replaces `c*d*(x // d) + c*(x % d)` by `c*x`: what is left of a flatten that undoes an unflatten."""
    for monomial, coefficient in expr.terms.items():
        if len(monomial) == 1 and type(monomial[0]) is Mod:
            atom = monomial[0]
            partner = _quotient_terms(atom.left, atom.right)
            if partner is None:
                continue
            scale = coefficient * atom.right
            if all(expr.terms.get(m) == c * scale for m, c in partner.terms.items()):
                replaced = {monomial, *partner.terms}
                terms = {m: c for m, c in expr.terms.items() if m not in replaced}
                return Index(terms, expr.const - partner.const * scale) + atom.left * coefficient
    return expr


def _quotient_terms(numerator: Index, divisor: int) -> Index | None:
    """The quotient, or None where it is a constant."""
    quotient = floor_div(numerator, divisor)
    return quotient if quotient.terms else None
