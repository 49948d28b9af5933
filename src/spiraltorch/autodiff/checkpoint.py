"""Gradient checkpointing: a segment's inner values are computed again in the backward pass instead of being kept.

The recorded segment is copied node by node (so random masks are the same and the user's function runs once), from
operands behind a barrier that waits for the cotangents: the compiler can neither share the copy with the first pass
nor start it before the backward pass gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..graph import build as b
from ..graph.node import Node
from ..graph.results import with_args
from .custom import Cotangents, Rule, recording, rule_of, with_vjp, wrap
from .gradient import vjp
from .hooks import share

__all__ = ["checkpoint", "with_vjp"]


def checkpoint(fn: Callable[[tuple[Node, ...]], tuple[Node, ...]], args: tuple[Node, ...]) -> tuple[Node, ...]:
    """`fn(args)`, whose inner values are recomputed for the gradient. Any order of derivative works.

    Nodes that `fn` captures get gradients too; what was computed outside from captured leaves is recomputed with it, so
    pass large values as operands.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build
    >>> (y,) = checkpoint(lambda xs: (build.exp(xs[0]),), (build.const(1, float32),))
    >>> y.aval
    float32[]@cpu:0
    """
    values = tuple(fn(args))
    return wrap(values, args, _rule(values, args))


def _rule(values: tuple[Node, ...], args: tuple[Node, ...]) -> Rule:
    def pull(cotangents: Cotangents, wanted: set[Node]) -> Iterator[tuple[Node, Node | None]]:
        pairs = [(v, g) for v, g in zip(values, cotangents, strict=True) if g is not None]
        with recording(True):
            copies = {a: b.barrier(a, *(g for _, g in pairs)) for a in args}
            operands = [a for a in copies if a.rg]
            captured = _copy([v for v, _ in pairs], copies, wanted)
        targets = [copies[a] for a in operands] + captured
        grads = vjp([copies[v] for v, _ in pairs], [g for _, g in pairs], targets, through=False)
        yield from zip(operands + captured, grads, strict=True)

    def moved(at: Callable[[Node], Node]) -> Rule:
        return _rule(tuple([at(v) for v in values]), tuple([at(a) for a in args]))

    return Rule(len(values), pull, moved, True)


def _copy(roots: list[Node], copies: dict[Node, Node], wanted: set[Node]) -> list[Node]:
    """Adds to `copies` what lies between its keys and the roots. Returns the ends that no copy was made of."""
    ends: list[Node] = []
    ruled: dict[Rule, list[tuple[Node, int]]] = {}
    stack = list(roots)
    while stack:
        node = stack[-1]
        if node in copies:
            stack.pop()
            continue
        inner = [a for a in node.args if a.rg]
        if node in wanted or not node.rg or not inner:
            copies[node] = node
            if node.rg:
                ends.append(node)
            continue
        waiting = [a for a in inner if a not in copies]
        if waiting:
            stack += waiting
            continue
        args = tuple([copies.get(a, a) for a in node.args])
        copies[node] = node if args == node.args else with_args(node, args)
        share(node, copies[node])
        found = rule_of(node)
        if found is not None and copies[node] is not node:
            ruled.setdefault(found[0], []).append((copies[node], found[1]))
    for rule, results in ruled.items():
        copy = rule.moved(lambda n: copies.get(n, n))
        for node, index in results:
            copy.attach(node, index)
    return ends
