"""Sums of products by Einstein's convention."""

from __future__ import annotations

import math
import string
from typing import Any

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...typing import ArrayLike
from ..arguments import integer
from ..dispatch import as_tensors, node_of
from ..tensor import Tensor


def einsum(equation: str | ArrayLike, *operands: ArrayLike) -> Tensor:
    """Sums products by Einstein's convention.

    Pairs of operands are contracted one after the other, the pair with the smallest result first.

    Args:
        equation: a term of letters for each operand, one letter for each axis, separated by commas; then "->" and the
            letters of the result. Letters that are not in the result are summed over; a letter repeated in one term
            takes the diagonal; "..." stands for axes that broadcast. Without "->" the result has the letters that occur
            once, in alphabetical order.
        *operands: any dtypes, as separate arguments or as one list. In NumPy's other form the operands come first, each
            followed by a list of the numbers of its axes (and `...`); a last list is the result's.

    Returns:
        A tensor in the common dtype.

    Raises:
        ArgumentError: the equation is malformed, or does not have one term for each operand.
        ShapeError: an operand does not have the axes of its term, or axes of one letter have different extents.

    Example:
        >>> import spiraltorch as st
        >>> st.einsum("ij,jk->ik", st.tensor([[1, 2]]), st.tensor([[3], [4]])).tolist()
        [[11]]
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists(equation, operands)
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise ArgumentError(
            f"[einsum] expected an operand for each term of {equation!r}, got none; "
            "pass the operands after the equation"
        )
    tensors = as_tensors(*operands)
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = promote(dtype, t.dtype)
    tensors = [t.to(dtype) for t in tensors]
    terms, result = _parse(equation, tensors)
    parts = [_single(t, s, _needed(terms, n, result)) for n, (t, s) in enumerate(zip(tensors, terms, strict=True))]
    while len(parts) > 1:
        i, j = _cheapest(parts, result)
        rest = [p for n, p in enumerate(parts) if n not in (i, j)]
        kept = {c for _, s in rest for c in s} | set(result)
        parts = [*rest, _contract(*parts[i], *parts[j], kept)]
    tensor, labels = parts[0]
    gone = tuple([n for n, c in enumerate(labels) if c not in result])
    if gone:
        tensor = tensor.sum(axis=gone, dtype=tensor.dtype)
        labels = [c for c in labels if c in result]
    return tensor.permute([labels.index(c) for c in result])


def _from_sublists(first: ArrayLike, rest: tuple[Any, ...]) -> tuple[str, tuple[ArrayLike, ...]]:
    """Equation and operands of NumPy's other form: each operand followed by the numbers of its axes, then the result's."""
    arguments = (first, *rest)
    pairs, result = arguments[: len(arguments) // 2 * 2], arguments[len(arguments) // 2 * 2 :]
    lists = [*pairs[1::2], *result]
    if not pairs or not all(isinstance(axes, (list, tuple)) for axes in lists):
        raise ArgumentError(
            f"[einsum] expected an equation such as 'ij,jk->ik' first, got {type(first).__name__}; pass one, or a list of "
            "axis numbers after each operand"
        )
    terms = ["".join(["..." if n is Ellipsis else _letter(n) for n in axes]) for axes in lists]
    equation = ",".join(terms[: len(pairs) // 2]) + ("->" + terms[-1] if result else "")
    return equation, pairs[::2]


def _letter(number: object) -> str:
    """The letter of an axis number."""
    n = integer(number, "einsum", "an axis number", 0)
    if n >= len(string.ascii_letters):
        raise ArgumentError(
            f"[einsum] expected axis numbers below {len(string.ascii_letters)}, got {n}; renumber the axes"
        )
    return string.ascii_letters[n]


def _parse(equation: str, tensors: list[Tensor]) -> tuple[list[list[str]], list[str]]:
    """The labels of each operand's axes and of the result's; axes of an ellipsis get labels that are not letters."""
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    for part in (*terms, right):
        if (symbols := part.replace("...", "", 1)) and not symbols.isalpha():
            raise ArgumentError(
                f"[einsum] expected letters, commas, '...' and '->', got {part!r} in {equation!r}; correct the equation"
            )
    if len(terms) != len(tensors):
        raise ArgumentError(
            f"[einsum] expected {len(terms)} operands for {equation!r}, got {len(tensors)}; "
            "pass one operand for each term"
        )
    rank = 0
    for term, t in zip(terms, tensors, strict=True):
        named = len(term.replace("...", ""))
        if "..." in term:
            rank = max(rank, t.ndim - named)
        if named > t.ndim or ("..." not in term and named != t.ndim):
            raise ShapeError(
                f"[einsum] expected {named} axes for {term!r} in {equation!r}, got shape {t.shape}; "
                "reshape the operand or correct the equation"
            )
    dots = [chr(0x100 + n) for n in range(rank)]
    split: list[list[str]] = []
    for term, t in zip(terms, tensors, strict=True):
        head, ellipsis, tail = term.partition("...")
        own = dots[rank - (t.ndim - len(head) - len(tail)) :] if ellipsis else []
        split.append([*head, *own, *tail])
    if arrow:
        head, ellipsis, tail = right.partition("...")
        result = [*head, *(dots if ellipsis else []), *tail]
    else:
        letters = [c for s in split for c in s if c not in dots]
        result = dots + sorted(c for c in set(letters) if letters.count(c) == 1)
    known = {c for s in split for c in s}
    if any(c not in known for c in result) or len(set(result)) != len(result):
        raise ArgumentError(
            f"[einsum] expected result letters that occur once and in an operand, got {equation!r}; "
            "correct the equation"
        )
    return split, result


def _needed(terms: list[list[str]], n: int, result: list[str]) -> set[str]:
    """The labels that the result or another operand than the `n`-th has."""
    return {c for m, s in enumerate(terms) if m != n for c in s} | set(result)


def _single(t: Tensor, labels: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    """One operand by itself: diagonals for repeated labels, sums over labels that nothing else has."""
    labels = list(labels)
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            a = labels.index(c)
            b = labels.index(c, a + 1)
            if t.shape[a] != t.shape[b]:
                raise ShapeError(
                    f"[einsum] expected equal extents for {c!r}, got {t.shape[a]} and {t.shape[b]}; "
                    "reshape an operand or correct the equation"
                )
            t = t.diagonal(0, a, b)
            labels = [x for n, x in enumerate(labels) if n not in (a, b)] + [c]
    gone = tuple([n for n, c in enumerate(labels) if c not in needed])
    if gone:
        t = t.sum(axis=gone, dtype=t.dtype)
    return t, [c for c in labels if c in needed]


def _cheapest(parts: list[tuple[Tensor, list[str]]], result: list[str]) -> tuple[int, int]:
    """The two operands whose product has the fewest elements."""
    best, pair = math.inf, (0, 1)
    for i in range(len(parts)):
        for j in range(i + 1, len(parts)):
            kept = {c for n, p in enumerate(parts) if n not in (i, j) for c in p[1]} | set(result)
            size = 1.0
            extents = {c: e for t, s in (parts[i], parts[j]) for c, e in zip(s, t.shape, strict=True)}
            for c, e in extents.items():
                size *= e if c in kept else 1
            if size < best:
                best, pair = size, (i, j)
    return pair


def _contract(a: Tensor, left: list[str], b: Tensor, right: list[str], kept: set[str]) -> tuple[Tensor, list[str]]:
    """The product of two operands, summed over the labels that nothing else needs, and its labels."""
    shared = [c for c in left if c in right]
    for c in shared:
        p, q = a.shape[left.index(c)], b.shape[right.index(c)]
        if p != q and 1 not in (p, q):
            raise ShapeError(
                f"[einsum] expected equal extents for {c!r}, got {p} and {q}; "
                "reshape an operand or correct the equation"
            )
        if p != q:
            wide = q if p == 1 else p  # not the greater: an extent of 1 also broadcasts to 0
            a = a.expand(tuple([wide if d == c else e for d, e in zip(left, a.shape, strict=True)]))
            b = b.expand(tuple([wide if d == c else e for d, e in zip(right, b.shape, strict=True)]))
    batch = [c for c in shared if c in kept]
    summed = [c for c in shared if c not in kept]
    product = build.dot(
        node_of(a), node_of(b), tuple([left.index(c) for c in summed]), tuple([right.index(c) for c in summed]),
        tuple([left.index(c) for c in batch]), tuple([right.index(c) for c in batch]),
    )  # fmt: skip
    rest = [c for c in left if c not in shared] + [c for c in right if c not in shared]
    return Tensor(product), batch + rest
