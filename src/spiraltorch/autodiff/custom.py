"""Custom derivatives: nodes whose cotangents are given to a custom rule instead of the rule of their primitive.

Contract
- A result of a custom rule is a `barrier` node over the value, so that backends need not know of custom rules.
- The table of rules references nodes weakly. A rule lives as long as one of its results; it references operands and
  intermediate values, but never a result.
- Each result depends on all values of its rule. The backward function therefore runs once, after the cotangents of all
  results are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import ref

from ..errors import GradientError
from ..graph import build as b
from ..graph.node import GRAD_MODE, Node

Cotangents = tuple["Node | None", ...]
Forward = Callable[[tuple[Node, ...]], tuple[tuple[Node, ...], object]]
Backward = Callable[[object, tuple[Node, ...]], Sequence["Node | None"]]


@dataclass(eq=False)
class CustomRule:
    """A custom derivative of a group of results.

    Attributes:
        count: the number of results.
        backward: `backward(cotangents, inputs)` yields pairs of a node and a part of its cotangent. `cotangents` has
            one entry for each result, None for zero; `inputs` are the inputs of the whole differentiation.
        for_copy: `for_copy(copy_of)` returns the rule for a copy of the group, whose nodes are `copy_of(node)`.
        jvp_by_primitives: whether tangents are propagated through the values by the rules of their primitives;
            otherwise the tangent is the transpose of `backward`.
        results: weak references to the results.
    """

    count: int
    backward: Callable[[Cotangents, set[Node]], Iterable[tuple[Node, Node | None]]]
    for_copy: Callable[[Callable[[Node], Node]], CustomRule]
    jvp_by_primitives: bool
    results: list[ref[Node]] = field(default_factory=list)

    def attach(self, node: Node, index: int) -> None:
        """Registers a node as result number `index`."""
        self.results.append(ref(node))
        node.rule = (self, index)


def rule_of(node: Node) -> tuple[CustomRule, int] | None:
    """The custom rule of a node and the node's number among the rule's results; None for nodes without one."""
    prim = node.spec.prim
    return getattr(node, "rule", None) if prim is not None and prim.name == "barrier" else None


def attach_rule(values: tuple[Node, ...], args: Sequence[Node], rule: CustomRule) -> tuple[Node, ...]:
    """Attaches a custom rule to values.

    Args:
        values: the values that the rule differentiates.
        args: the operands that the rule gives cotangents to.
        rule: the rule; its results must not be attached yet.

    Returns:
        One node for each value: a result of the rule, or the value itself if it is not a float. Where gradients are not
        recorded or none of the nodes requires one, the values themselves.
    """
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
    """Records a function with a custom derivative.

    Args:
        forward: `forward(args)` returns the values and the residuals for `backward`. Gradients do not flow through the
            operands inside of it.
        backward: `backward(residuals, cotangents)` takes one cotangent for each value (zeros where there is none) and
            returns one node or None for each operand, of the operand's shape and dtype. It must be linear in the
            cotangents.
        args: the operands.

    Returns:
        One node for each value of `forward`.

    Raises:
        GradientError: when differentiated, `backward` returns a wrong number of cotangents or a wrong shape or dtype.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build
    >>> double = lambda args: ((build.add(args[0], args[0]),), None)
    >>> custom_vjp(double, lambda _, gs: (gs[0],), (build.const(1, float32),))[0].aval
    float32[]@cpu:0
    """
    values, residuals = forward(tuple([b.stop_gradient(a) for a in args]))
    avals = [v.aval for v in values]

    def rule_for(operands: tuple[Node, ...]) -> CustomRule:
        """The rule for operands, which may be those of a copy."""

        def pullback(cotangents: Cotangents, inputs: set[Node]) -> Iterator[tuple[Node, Node | None]]:
            full = tuple([b.zeros(aval) if g is None else g for aval, g in zip(avals, cotangents, strict=True)])
            grads = tuple(backward(residuals, full))
            if len(grads) != len(operands):
                raise GradientError(
                    f"[custom_vjp] expected {len(operands)} cotangents from backward, got {len(grads)}; "
                    "return one for each operand"
                )
            for n, (operand, grad) in enumerate(zip(operands, grads, strict=True)):
                if grad is not None and grad.aval is not operand.aval:
                    raise GradientError(
                        f"[custom_vjp] expected a cotangent like operand {n} ({operand.aval}), got {grad.aval}; "
                        "reshape or cast it in backward"
                    )
            yield from zip(operands, grads, strict=True)

        return CustomRule(len(values), pullback, lambda copy_of: rule_for(tuple([copy_of(a) for a in operands])), False)

    return attach_rule(tuple(values), args, rule_for(args))


def with_vjp(
    value: Node, args: tuple[Node, ...], rule: Callable[[Node, tuple[Node, ...], Node], Sequence[Node | None]]
) -> Node:
    """A node equal to `value` with a custom derivative of the same form as the vjp of a primitive.

    Args:
        value: the value.
        args: the operands that receive cotangents.
        rule: `rule(cotangent, args, node)` returns one cotangent or None for each operand.
    """

    def rule_for(operands: tuple[Node, ...]) -> CustomRule:
        """The rule for operands, which may be those of a copy."""
        results: list[ref[Node]] = []

        def pullback(cotangents: Cotangents, inputs: set[Node]) -> Iterator[tuple[Node, Node | None]]:
            (g,), result = cotangents, results[0]()
            assert g is not None and result is not None
            yield from zip(operands, rule(g, operands, result), strict=True)

        return CustomRule(1, pullback, lambda copy_of: rule_for(tuple([copy_of(a) for a in operands])), False, results)

    return attach_rule((b.stop_gradient(value) if value.rg else value,), args, rule_for(args))[0]


@contextmanager
def set_grad_enabled(on: bool) -> Iterator[None]:
    """A context that sets whether gradients are recorded for new nodes of this thread."""
    previous = GRAD_MODE.on
    GRAD_MODE.on = on
    try:
        yield
    finally:
        GRAD_MODE.on = previous
