"""Derivatives of graphs are graphs: `vjp` walks backwards through each primitive's rule, `jvp` forwards.

The results are ordinary nodes, so they fuse, run on every backend and can be differentiated again. Both follow only
nodes that carry a gradient (`rg`) and depend on an input, which may be any such node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import GradientError, ShapeError
from ..graph import build as b
from ..graph.node import Node, leaf, spec_of
from ..graph.primitive import REGISTRY, Decomposition, Primitive
from ..graph.results import RESULT
from .custom import Rule, recording, rule_of
from .hooks import HOOKS, passed


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node | None], inputs: Sequence[Node], through: bool = True
) -> list[Node | None]:
    """The cotangent of every input, in its shape and dtype, or None where no output depends on it.

    `cotangents` match the outputs in shape and dtype (else `ShapeError`); None is zero. Where one input depends on
    another, both get total derivatives; with `through=False` they count as independent.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build, reference
    >>> from spiraltorch.graph.node import Node
    >>> x = Node(build.const(2, float32).spec, (), None, True)
    >>> (g,) = vjp([build.mul(x, x)], [build.const(1, float32)], [x])
    >>> reference.evaluate([g])
    [array(4., dtype=float32)]
    """
    return _Backward(outputs, inputs, through).run(outputs, cotangents)


class _Backward:
    """One walk from the outputs to the inputs. Each node is visited once its cotangent is complete."""

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], through: bool) -> None:
        self.inputs = inputs
        self.wanted = set(inputs)
        self.through = through
        self.order = _dependents(outputs, self.wanted, through)
        self.total: dict[Node, Node] = {}  # the cotangents so far
        self.of_results: dict[Node, list[Node | None]] = {}  # of calls: those of their results
        self.of_rules: dict[Rule, list[Node | None]] = {}  # of rules given by hand: those of their results
        self.missing: dict[Rule, int] = {}  # results that were not visited yet

    def run(self, outputs: Sequence[Node], cotangents: Sequence[Node | None]) -> list[Node | None]:
        for out, g in zip(outputs, cotangents, strict=True):
            if g is None:
                continue
            if g.aval is not out.aval:
                raise ShapeError(
                    f"[vjp] expected a cotangent like its output ({out.aval}), got {g.aval}; reshape or cast it"
                )
            self.add(out, g)
        hooked = len(HOOKS) > 0
        for node in reversed(self.order):
            if hooked and node in HOOKS and node in self.total:
                self.total[node] = passed(node, self.total[node])
            if self.through or node not in self.wanted:
                self.visit(node)
        return [self.total.get(i) for i in self.inputs]

    def add(self, node: Node, part: Node | None) -> None:
        """Adds to the cotangent of a node."""
        if part is not None and node in self.order:
            before = self.total.get(node)
            self.total[node] = part if before is None else b.add(before, part)

    def take(self, node: Node) -> Node | None:
        """The cotangent of a node, which is kept only for inputs."""
        return self.total.get(node) if node in self.wanted else self.total.pop(node, None)

    def visit(self, node: Node) -> None:
        """Sends the cotangent of a node on to its operands."""
        found = rule_of(node)
        if found is not None:
            self.visit_rule(node, *found)
            return
        prim = node.spec.prim
        cotangent: Any = self.of_results.pop(node, None) if node.spec.results else self.take(node)
        if cotangent is None or prim is None or not node.args:
            return
        if prim is RESULT:
            (call,) = node.args
            parts = self.of_results.setdefault(call, [None] * len(call.spec.results))
            number = node.spec.params[0]
            before = parts[number]
            parts[number] = cotangent if before is None else b.add(before, cotangent)
            return
        for arg, part in zip(node.args, _operand_cotangents(prim, cotangent, node), strict=True):
            self.add(arg, part)

    def visit_rule(self, node: Node, rule: Rule, index: int) -> None:
        """Notes the cotangent of a rule's result; the last result sends all of them on."""
        if rule not in self.of_rules:
            self.of_rules[rule] = [None] * rule.count
            self.missing[rule] = sum(1 for r in rule.results if r() in self.order)
        cotangents = self.of_rules[rule]
        cotangents[index] = self.take(node)
        self.missing[rule] -= 1
        if self.missing[rule] == 0 and any(g is not None for g in cotangents):
            for target, part in rule.backward(tuple(cotangents), self.wanted):
                self.add(target, part)


def _operand_cotangents(prim: Primitive, cotangent: Any, node: Node) -> Sequence[Node | None]:
    """The operands' cotangents by the primitive's rule, or by those of its decomposition."""
    if prim.vjp is not None:
        return prim.vjp(tuple(cotangent) if node.spec.results else cotangent, node.args, node)
    if prim.decompose is None:
        return [None] * len(node.args)
    args, results = _decomposed(node, prim.decompose)
    return vjp(results, cotangent if node.spec.results else [cotangent], args, through=False)


def jvp(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node | None]:
    """The tangent of every output for the inputs' tangents; None is zero, in what comes and what goes.

    Where one input depends on another, its tangent is added to what comes through it. Raises `ShapeError` where a tangent does not match its input in shape and dtype.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build, reference
    >>> from spiraltorch.graph.node import Node
    >>> x = Node(build.const(2, float32).spec, (), None, True)
    >>> (t,) = jvp([build.mul(x, x)], [x], [build.const(1, float32)])
    >>> reference.evaluate([t])
    [array(4., dtype=float32)]
    """
    known: dict[Node, Node] = {}
    for node, t in zip(inputs, tangents, strict=True):
        if t is None:
            continue
        if t.aval is not node.aval:
            raise ShapeError(f"[jvp] expected a tangent like its input ({node.aval}), got {t.aval}; reshape or cast it")
        known[node] = b.add(known[node], t) if node in known else t
    wanted = set(inputs)
    of_results: dict[Node, Sequence[Node | None]] = {}  # of calls: the tangents of their results
    for node in _dependents(outputs, wanted):
        found = rule_of(node)
        prim = node.spec.prim
        tangent: Node | None = None
        if found is not None and not found[0].transparent:
            tangent = _transposed(node, *found, known, wanted)
        elif prim is RESULT:
            tangent = of_results[node.args[0]][node.spec.params[0]] if node.args[0] in of_results else None
        elif prim is not None and node.args and any(a in known for a in node.args):
            results = _result_tangents(prim, tuple([known.get(a) for a in node.args]), node)
            if node.spec.results:
                of_results[node] = results
            else:
                (tangent,) = results
        if tangent is not None:
            known[node] = b.add(known[node], tangent) if node in known else tangent
    return [known.get(out) for out in outputs]


def _result_tangents(prim: Primitive, tangents: tuple[Node | None, ...], node: Node) -> Sequence[Node | None]:
    """The tangent of each result by the primitive's rule, or by those of its decomposition."""
    if prim.jvp is not None:
        results: Any = prim.jvp(tangents, node.args, node)
        return tuple(results) if node.spec.results else (results,)
    if prim.decompose is None:
        raise GradientError(f"[jvp] expected operations with a forward derivative, got {prim.name}")
    args, outputs = _decomposed(node, prim.decompose)
    return jvp(outputs, args, tangents)


def check_differentiable(node: Node, op: str) -> None:
    """Raises `GradientError` where no gradient can flow from a node."""
    if not node.rg:
        raise GradientError(
            f"[{op}] expected a tensor that depends on one with requires_grad=True, got one that does not; call "
            "requires_grad_() on the inputs, and check for no_grad() and detach()"
        )


def _decomposed(node: Node, decompose: Decomposition) -> tuple[list[Node], list[Node]]:
    """Fresh operands, and the results of the node's decomposition over them.

    The operands are distinct nodes even where the node has one operand twice, and their derivatives are independent.
    """
    with recording(True):
        reshape = REGISTRY["reshape"]
        args = [Node(spec_of(reshape, (a.aval,), (a.aval.shape,)), (a,), None, a.rg) for a in node.args]
        results = decompose(tuple(args), node.spec.params)
        return args, list(results) if isinstance(results, tuple) else [results]


def _transposed(node: Node, rule: Rule, index: int, known: dict[Node, Node], wanted: set[Node]) -> Node | None:
    """The tangent from a backward rule alone: it is linear in its cotangent, and the transpose of it is the jvp."""
    with recording(True):
        dummy = leaf(None, node.aval, rg=True)  # a placeholder: no result depends on it
        cotangents = tuple([dummy if n == index else None for n in range(rule.count)])
        parts = [(p, known[a]) for a, p in rule.backward(cotangents, wanted) if p is not None and a in known]
    return vjp([p for p, _ in parts], [t for _, t in parts], [dummy])[0]


def _dependents(outputs: Sequence[Node], inputs: set[Node], through: bool = True) -> dict[Node, None]:
    """Nodes between the inputs and the outputs, operands first, without recursion."""
    reached: dict[Node, bool] = {}
    order: dict[Node, None] = {}
    stack = [o for o in outputs if o.rg or o in inputs]
    while stack:
        node = stack[-1]
        if node in reached:
            stack.pop()
            continue
        follow = [a for a in node.args if a.rg or a in inputs] if through or node not in inputs else []
        waiting = [a for a in follow if a not in reached]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        reached[node] = node in inputs or any(reached[a] for a in follow)
        if reached[node]:
            order[node] = None
    return order
