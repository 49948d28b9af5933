"""Gradient checkpointing: intermediate values of a segment are recomputed in the backward pass instead of being kept.

Contract
- The user's function runs once. The segment of the graph that it recorded is copied node by node for the backward pass,
  so the copy uses the same random bits as the original.
- The operands of the copy stand behind a `barrier` that also depends on the cotangents. Common subexpression
  elimination therefore does not merge the copy with the original, and the copy runs after its cotangents exist.
- Hooks and custom rules of nodes in the segment apply to the copies, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..graph import build as b
from ..graph.node import Node
from ..graph.results import with_args
from .custom import Cotangents, CustomRule, attach_rule, rule_of, set_grad_enabled, with_vjp
from .gradient import vjp
from .hooks import share_hooks

__all__ = ["checkpoint", "with_vjp"]


def checkpoint(fn: Callable[[tuple[Node, ...]], tuple[Node, ...]], args: tuple[Node, ...]) -> tuple[Node, ...]:
    """Calls `fn(args)` so that its intermediate values are recomputed for the gradient. Derivatives of any order work.

    Nodes that `fn` captures receive gradients too. Values that were computed outside of `fn` from captured leaves are
    recomputed with the segment; large values should therefore be passed as operands.

    Args:
        fn: takes the operands and returns one or several nodes.
        args: the operands.

    Returns:
        The nodes that `fn` returned, with a custom rule attached where a gradient may flow.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build
    >>> (y,) = checkpoint(lambda xs: (build.exp(xs[0]),), (build.const(1, float32),))
    >>> y.aval
    float32[]@cpu:0
    """
    values = tuple(fn(args))
    return attach_rule(values, args, _checkpoint_rule(values, args))


def _checkpoint_rule(values: tuple[Node, ...], args: tuple[Node, ...]) -> CustomRule:
    """The rule that differentiates a recomputed copy of the segment between `args` and `values`."""

    def pullback(cotangents: Cotangents, inputs: set[Node]) -> Iterator[tuple[Node, Node | None]]:
        pairs = [(v, g) for v, g in zip(values, cotangents, strict=True) if g is not None]
        with set_grad_enabled(True):
            copies = {a: b.barrier(a, *(g for _, g in pairs)) for a in args}
            operands = [a for a in copies if a.rg]
            captured = _copy_segment([v for v, _ in pairs], copies, inputs)
        targets = [copies[a] for a in operands] + captured
        grads = vjp([copies[v] for v, _ in pairs], [g for _, g in pairs], targets, through_inputs=False)
        yield from zip(operands + captured, grads, strict=True)

    def for_copy(copy_of: Callable[[Node], Node]) -> CustomRule:
        return _checkpoint_rule(tuple([copy_of(v) for v in values]), tuple([copy_of(a) for a in args]))

    return CustomRule(len(values), pullback, for_copy, True)


def _copy_segment(roots: list[Node], copies: dict[Node, Node], inputs: set[Node]) -> list[Node]:
    """Copies the nodes between the keys of `copies` and the roots, without recursion.

    Args:
        roots: the results of the segment.
        copies: maps each operand of the segment to its copy; the copies of inner nodes are added.
        inputs: the inputs of the whole differentiation; they are not copied.

    Returns:
        The nodes outside of the segment through which a gradient flows on: captured leaves and inputs.
    """
    captured: list[Node] = []
    copied_results: dict[CustomRule, list[tuple[Node, int]]] = {}
    stack = list(roots)
    while stack:
        node = stack[-1]
        if node in copies:
            stack.pop()
            continue
        inner = [a for a in node.args if a.rg]
        if node in inputs or not node.rg or not inner:
            copies[node] = node
            if node.rg:
                captured.append(node)
            continue
        uncopied = [a for a in inner if a not in copies]
        if uncopied:
            stack += uncopied
            continue
        args = tuple([copies.get(a, a) for a in node.args])
        copies[node] = node if args == node.args else with_args(node, args)
        share_hooks(node, copies[node])
        attached = rule_of(node)
        if attached is not None and copies[node] is not node:
            rule, index = attached
            copied_results.setdefault(rule, []).append((copies[node], index))
    for rule, results in copied_results.items():
        copy = rule.for_copy(lambda n: copies.get(n, n))
        for node, index in results:
            copy.attach(node, index)
    return captured
