"""Derivatives given by hand: nodes whose cotangents go to a rule of their own instead of their primitive's.

A ruled result is a `barrier` node over the value, so that no backend has to know about rules. The table is weak: a
rule lives as long as one of its results, and holds operands and inner values but never a result. The results of one
rule depend on all its values, so that its backward runs once, when the cotangents of all of them are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary, ref

from ..errors import GradientError
from ..graph import build as b
from ..graph.node import GRAD_MODE, Node

Cotangents = tuple["Node | None", ...]
Forward = Callable[[tuple[Node, ...]], tuple[tuple[Node, ...], object]]
Backward = Callable[[object, tuple[Node, ...]], Sequence["Node | None"]]


@dataclass(eq=False)
class Rule:
    """How cotangents pass a group of results.

    `backward(cotangents, wanted)` yields (node, cotangent) for nodes below; `wanted` are the inputs of the whole walk.
    `moved(at)` is the rule of a copy of the group whose nodes are `at(node)`. `transparent`: tangents pass through
    the wrapped values by the rules of their primitives.
    """

    count: int
    backward: Callable[[Cotangents, set[Node]], Iterable[tuple[Node, Node | None]]]
    moved: Callable[[Callable[[Node], Node]], Rule]
    transparent: bool
    results: list[ref[Node]] = field(default_factory=list)

    def attach(self, node: Node, index: int) -> None:
        """Makes a node the result number `index`."""
        self.results.append(ref(node))
        _RULES[node] = (self, index)


_RULES: WeakKeyDictionary[Node, tuple[Rule, int]] = WeakKeyDictionary()


def rule_of(node: Node) -> tuple[Rule, int] | None:
    """The node's rule and its number among the results, or None."""
    prim = node.spec.prim
    return _RULES.get(node) if prim is not None and prim.name == "barrier" else None


def wrap(values: tuple[Node, ...], args: Sequence[Node], rule: Rule) -> tuple[Node, ...]:
    """The values as results of a rule. Values that carry no gradient come back as they are."""
    if not GRAD_MODE.on or not any(n.rg for n in (*values, *args)):
        return values
    results = []
    for index, value in enumerate(values):
        if not value.aval.dtype.is_float:
            results.append(value)
            continue
        result = b.barrier(value, *(v for v in values if v is not value), *args)
        rule.attach(result, index)
        results.append(result)
    return tuple(results)


def custom_vjp(forward: Forward, backward: Backward, args: tuple[Node, ...]) -> tuple[Node, ...]:
    """Records `forward(args) -> (values, residuals)` with a derivative of the caller's.

    `backward(residuals, cotangents)` gets one cotangent a value (zeros where none came) and gives one node or None for
    each operand, of its shape and dtype; it has to be linear in the cotangents. Inside `forward` the operands carry no
    gradient. Raises `GradientError` where `backward` gives the wrong number or shapes.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build
    >>> double = lambda args: ((build.add(args[0], args[0]),), None)
    >>> custom_vjp(double, lambda _, gs: (gs[0],), (build.const(1, float32),))[0].aval
    float32[]@cpu:0
    """
    values, residuals = forward(tuple([b.stop_gradient(a) for a in args]))
    avals = [v.aval for v in values]

    def rule_for(operands: tuple[Node, ...]) -> Rule:
        def pull(cotangents: Cotangents, wanted: set[Node]) -> Iterator[tuple[Node, Node | None]]:
            full = tuple([b.zeros(aval) if g is None else g for aval, g in zip(avals, cotangents, strict=True)])
            grads = tuple(backward(residuals, full))
            if len(grads) != len(operands):
                raise GradientError(f"[custom_vjp] expected {len(operands)} cotangents from backward, got {len(grads)}")
            for n, (operand, grad) in enumerate(zip(operands, grads, strict=True)):
                if grad is not None and grad.aval is not operand.aval:
                    raise GradientError(
                        f"[custom_vjp] expected a cotangent like operand {n} ({operand.aval}), got {grad.aval}; "
                        "reshape or cast it in backward"
                    )
            yield from zip(operands, grads, strict=True)

        return Rule(len(values), pull, lambda at: rule_for(tuple([at(a) for a in operands])), False)

    return wrap(tuple(values), args, rule_for(args))


def with_vjp(
    value: Node, args: tuple[Node, ...], rule: Callable[[Node, tuple[Node, ...], Node], Sequence[Node | None]]
) -> Node:
    """A node equal to `value` whose cotangents for `args` come from `rule(cotangent, args, node)`, as in a primitive."""

    def rule_for(operands: tuple[Node, ...]) -> Rule:
        results: list[ref[Node]] = []

        def pull(cotangents: Cotangents, wanted: set[Node]) -> Iterator[tuple[Node, Node | None]]:
            (g,), result = cotangents, results[0]()
            assert g is not None and result is not None
            yield from zip(operands, rule(g, operands, result), strict=True)

        return Rule(1, pull, lambda at: rule_for(tuple([at(a) for a in operands])), False, results)

    return wrap((b.stop_gradient(value) if value.rg else value,), args, rule_for(args))[0]


@contextmanager
def recording(on: bool) -> Iterator[None]:
    """Switches whether new nodes carry gradients."""
    before = GRAD_MODE.on
    GRAD_MODE.on = on
    try:
        yield
    finally:
        GRAD_MODE.on = before
