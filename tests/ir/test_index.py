"""Index arithmetic against plain integers, on random expressions."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from spiraltorch.ir.expr import Lookup
from spiraltorch.ir.guard import NEVER, guard, less, substitute_guard
from spiraltorch.ir.index import Atom, FloorDiv, Index, Min, Var, ceil_div, floor_div, index, minimum, mod, substitute

Point = dict[Var, int]
Meaning = Callable[[Point], int]


def value_of(i: Index, point: Point) -> int:
    total = i.const
    for monomial, coefficient in i.terms.items():
        product = coefficient
        for atom in monomial:
            product *= atom_of(atom, point)
        total += product
    return total


def atom_of(atom: Atom, point: Point) -> int:
    assert not isinstance(atom, Lookup)
    if isinstance(atom, Var):
        return point[atom]
    left = value_of(atom.left, point)
    if isinstance(atom, Min):
        return min(left, value_of(atom.right, point))
    return left // atom.right if isinstance(atom, FloorDiv) else left % atom.right


def random_index(rng: random.Random, variables: list[Var], depth: int) -> tuple[Index, Meaning]:
    if depth == 0 or rng.random() < 0.15:
        if rng.random() < 0.75:
            v = rng.choice(variables)
            return index(v), lambda p: p[v]
        c = rng.randint(-9, 9)
        return index(c), lambda p: c
    a, fa = random_index(rng, variables, depth - 1)
    kind = rng.choice(["add", "add", "sub", "scale", "mul", "div", "mod", "min", "ceil"])
    if kind in ("scale", "div", "mod", "ceil"):
        c = rng.choice([2, 3, 4, 5, 6, 8, 12, 16])
        if kind == "scale":
            return a * -c, lambda p: fa(p) * -c
        if kind == "div":
            return floor_div(a, c), lambda p: fa(p) // c
        if kind == "mod":
            return mod(a, c), lambda p: fa(p) % c
        return ceil_div(a, c), lambda p: -(-fa(p) // c)
    b, fb = random_index(rng, variables, depth - 1)
    if kind == "add":
        return a + b, lambda p: fa(p) + fb(p)
    if kind == "sub":
        return a - b, lambda p: fa(p) - fb(p)
    if kind == "mul":
        return a * b, lambda p: fa(p) * fb(p)
    return minimum(a, b), lambda p: min(fa(p), fb(p))


def random_variables(rng: random.Random) -> list[Var]:
    return [Var(name, rng.choice([0, 1, 2, 3, 7, 15, 20])) for name in "abcd"]


def random_point(rng: random.Random, variables: list[Var]) -> Point:
    return {v: rng.randint(v.lower, v.upper) for v in variables}


@pytest.mark.parametrize("seed", range(6))
def test_random_expressions_mean_what_they_say(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        variables = random_variables(rng)
        expr, meaning = random_index(rng, variables, rng.randint(1, 4))
        low, high = expr.bounds
        for _ in range(6):
            point = random_point(rng, variables)
            expected = meaning(point)
            assert value_of(expr, point) == expected, expr
            assert low <= expected <= high, (expr, expr.bounds)


@pytest.mark.parametrize("seed", range(4))
def test_substitution_is_composition(seed: int) -> None:
    rng = random.Random(100 + seed)
    for _ in range(250):
        variables, inner = random_variables(rng), random_variables(rng)
        expr, _ = random_index(rng, variables, 3)
        target = rng.choice(variables)
        c = rng.randint(2, 5)
        new = index(inner[0]) * c + inner[1]
        wide = Var("w", new.bounds[1])
        expr = substitute(expr, {target: index(wide)}) if target.upper else expr
        result = substitute(expr, {wide: new})
        for _ in range(4):
            point = random_point(rng, variables) | random_point(rng, inner)
            moved = point | {wide: point[inner[0]] * c + point[inner[1]]}
            assert value_of(result, point) == value_of(expr, moved), (expr, result)


@pytest.mark.parametrize("seed", range(4))
def test_guards_are_conjunctions(seed: int) -> None:
    rng = random.Random(200 + seed)
    for _ in range(250):
        variables = random_variables(rng)
        parts = [random_index(rng, variables, 3) for _ in range(rng.randint(1, 3))]
        g = guard(*(expr for expr, _ in parts))
        fixed = rng.choice(variables)
        at = rng.randint(fixed.lower, fixed.upper)
        narrowed = substitute_guard(g, {fixed: index(at)})
        for _ in range(5):
            point = random_point(rng, variables)
            holds = not g.never and all(value_of(t, point) >= 0 for t in g.terms)
            assert holds == all(meaning(point) >= 0 for _, meaning in parts)
            point[fixed] = at
            holds = not narrowed.never and all(value_of(t, point) >= 0 for t in narrowed.terms)
            assert holds == all(meaning(point) >= 0 for _, meaning in parts)


def test_canonical_forms() -> None:
    i, j, k = Var("i", 99), Var("j", 15), Var("k", 3)
    x = index(i) * 16 + j
    assert floor_div(x, 16) == index(i) and mod(x, 16) == index(j)
    assert floor_div(x, 64) == floor_div(index(i), 4)
    assert mod(x, 64) == mod(index(i), 4) * 16 + j
    assert floor_div(floor_div(index(i), 5), 4) == floor_div(index(i), 20)
    assert index(i) // 7 * 7 + index(i) % 7 == index(i)
    assert (x // 24 * 24) + x % 24 == x
    assert minimum(index(k), 3) == index(k) and minimum(5, index(k) + 5) == index(5)
    assert minimum(index(i), index(j)) == minimum(index(j), index(i))
    assert index(i) * j == index(j) * i
    assert (index(i) + 1) * (index(j) - 1) == index(i) * j - i + j - 1


def test_guard_drops_what_is_known() -> None:
    i = Var("i", 9)
    assert less(i, 10).always
    assert less(10, i) == NEVER
    assert guard(index(i) - 3, index(i) - 3).terms == (index(i) - 3,)
    n = Var("n", 20)
    assert set(less(i, minimum(n, 5)).terms) == {*less(i, n).terms, *less(i, 5).terms}


def test_single_values_fold() -> None:
    assert index(Var("one", 0)) == index(0)
    assert floor_div(Var("z", 0), 3) == index(0)
