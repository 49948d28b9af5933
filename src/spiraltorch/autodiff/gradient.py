"""Automatic differentiation of graphs: `vjp` in reverse mode, `jvp` in forward mode.

Contract
- A derivative is a graph of ordinary nodes, built by the rules of the primitives. It is therefore fused, runs on every
  backend and can be differentiated again.
- Only nodes that require a gradient (`Node.rg`) and depend on an input are differentiated. An input may be any node
  that requires a gradient, not only a leaf.
- A primitive without a rule is differentiated through its decomposition. Custom rules (`custom`) come before both.
- Graphs may be of any depth: nothing here is recursive in the depth of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import GradientError, ShapeError
from ..graph import build as b
from ..graph.node import Node, leaf, spec_of
from ..graph.primitive import REGISTRY, Decomposition, Primitive
from ..graph.results import RESULT
from .custom import CustomRule, rule_of, set_grad_enabled
from .hooks import apply_hooks


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node | None], inputs: Sequence[Node], through_inputs: bool = True
) -> list[Node | None]:
    """The vector-Jacobian product of a graph.

    Args:
        outputs: the nodes that are differentiated.
        cotangents: one for each output, of its shape and dtype; None is zero.
        inputs: the nodes with respect to which the outputs are differentiated.
        through_inputs: whether an input that depends on another passes its cotangent on to it, so that both have total
            derivatives. Otherwise inputs count as independent of each other.

    Returns:
        The cotangent of each input, of its shape and dtype, or None where no output depends on the input.

    Raises:
        ShapeError: a cotangent differs from its output in shape or dtype.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build, reference
    >>> from spiraltorch.graph.node import Node
    >>> x = Node(build.const(2, float32).spec, (), None, True)
    >>> (g,) = vjp([build.mul(x, x)], [build.const(1, float32)], [x])
    >>> reference.evaluate([g])
    [array(4., dtype=float32)]
    """
    return _Backward(outputs, inputs, through_inputs).run(outputs, cotangents)


class _Backward:
    """A reverse-mode traversal from the outputs to the inputs, in reverse topological order.

    A node is visited once, when its cotangent is complete.
    """

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], through_inputs: bool) -> None:
        self.inputs = inputs
        self.input_set = set(inputs)
        self.through_inputs = through_inputs
        self.order = _nodes_between(outputs, self.input_set, through_inputs)
        self.accumulated: dict[Node, Node] = {}  # the sum of a node's cotangents so far
        self.result_cotangents: dict[Node, list[Node | None]] = {}  # for each call, the cotangents of its results
        self.rule_cotangents: dict[CustomRule, list[Node | None]] = {}  # for each rule, the cotangents of its results
        self.pending: dict[CustomRule, int] = {}  # for each rule, how many results have not been visited

    def run(self, outputs: Sequence[Node], cotangents: Sequence[Node | None]) -> list[Node | None]:
        """The cotangents of the inputs. Raises `ShapeError` where a cotangent differs from its output in type."""
        for out, g in zip(outputs, cotangents, strict=True):
            if g is None:
                continue
            if g.aval is not out.aval:
                raise ShapeError(
                    f"[vjp] expected a cotangent like its output ({out.aval}), got {g.aval}; reshape or cast it"
                )
            self.add(out, g)
        for node in reversed(self.order):
            if hasattr(node, "hooks") and node in self.accumulated:
                self.accumulated[node] = apply_hooks(node, self.accumulated[node])
            if self.through_inputs or node not in self.input_set:
                self.propagate(node)
        return [self.accumulated.get(i) for i in self.inputs]

    def add(self, node: Node, part: Node | None) -> None:
        """Adds a part to the cotangent of a node, if the node lies between the inputs and the outputs."""
        if part is not None and node in self.order:
            partial = self.accumulated.get(node)
            self.accumulated[node] = part if partial is None else b.add(partial, part)

    def pop_cotangent(self, node: Node) -> Node | None:
        """The complete cotangent of a node. It is kept for inputs and dropped for others, so that it can be freed."""
        return self.accumulated.get(node) if node in self.input_set else self.accumulated.pop(node, None)

    def propagate(self, node: Node) -> None:
        """Adds the cotangents of a node's operands, by the node's custom rule or its primitive's."""
        attached = rule_of(node)
        if attached is not None:
            self.propagate_rule(node, *attached)
            return
        prim = node.spec.prim
        cotangent: Any = self.result_cotangents.pop(node, None) if node.spec.results else self.pop_cotangent(node)
        if cotangent is None or prim is None or not node.args:
            return
        if prim is RESULT:
            (call,) = node.args
            parts = self.result_cotangents.setdefault(call, [None] * len(call.spec.results))
            number = node.spec.params[0]
            partial = parts[number]
            parts[number] = cotangent if partial is None else b.add(partial, cotangent)
            return
        for arg, part in zip(node.args, _operand_cotangents(prim, cotangent, node), strict=True):
            self.add(arg, part)

    def propagate_rule(self, node: Node, rule: CustomRule, index: int) -> None:
        """Records the cotangent of one result of a custom rule; the last result runs the rule's backward function."""
        if rule not in self.rule_cotangents:
            self.rule_cotangents[rule] = [None] * rule.count
            self.pending[rule] = sum(1 for r in rule.results if r() in self.order)
        cotangents = self.rule_cotangents[rule]
        cotangents[index] = self.pop_cotangent(node)
        self.pending[rule] -= 1
        if self.pending[rule] == 0 and any(g is not None for g in cotangents):
            for target, part in rule.backward(tuple(cotangents), self.input_set):
                self.add(target, part)


def _operand_cotangents(prim: Primitive, cotangent: Any, node: Node) -> Sequence[Node | None]:
    """The cotangents of a node's operands, by the primitive's rule or else through its decomposition.

    Args:
        prim: the primitive of `node`.
        cotangent: the cotangent of the result; of a call with several results, a list with one or None for each.
        node: the node, or the call.
    """
    if prim.vjp is not None:
        return prim.vjp(tuple(cotangent) if node.spec.results else cotangent, node.args, node)
    if prim.decompose is None:
        return [None] * len(node.args)
    args, results = _decompose(node, prim.decompose)
    return vjp(results, cotangent if node.spec.results else [cotangent], args, through_inputs=False)


def jvp(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node | None]:
    """The Jacobian-vector product of a graph.

    Args:
        outputs: the nodes that are differentiated.
        inputs: the nodes with respect to which the outputs are differentiated. Where one input depends on another, its
            own tangent is added to the tangent that it gets from the other.
        tangents: one for each input, of its shape and dtype; None is zero.

    Returns:
        The tangent of each output, of its shape and dtype; None is zero.

    Raises:
        ShapeError: a tangent differs from its input in shape or dtype.
        GradientError: a primitive has neither a jvp nor a decomposition.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build, reference
    >>> from spiraltorch.graph.node import Node
    >>> x = Node(build.const(2, float32).spec, (), None, True)
    >>> (t,) = jvp([build.mul(x, x)], [x], [build.const(1, float32)])
    >>> reference.evaluate([t])
    [array(4., dtype=float32)]
    """
    tangent_of: dict[Node, Node] = {}
    for node, t in zip(inputs, tangents, strict=True):
        if t is None:
            continue
        if t.aval is not node.aval:
            raise ShapeError(f"[jvp] expected a tangent like its input ({node.aval}), got {t.aval}; reshape or cast it")
        tangent_of[node] = b.add(tangent_of[node], t) if node in tangent_of else t
    input_set = set(inputs)
    result_tangents: dict[Node, Sequence[Node | None]] = {}  # for each call, the tangents of its results
    for node in _nodes_between(outputs, input_set):
        attached = rule_of(node)
        prim = node.spec.prim
        tangent: Node | None = None
        if attached is not None and not attached[0].jvp_by_primitives:
            tangent = _jvp_by_transposition(node, *attached, tangent_of, input_set)
        elif prim is RESULT:
            tangent = result_tangents[node.args[0]][node.spec.params[0]] if node.args[0] in result_tangents else None
        elif prim is not None and node.args and any(a in tangent_of for a in node.args):
            results = _result_tangents(prim, tuple([tangent_of.get(a) for a in node.args]), node)
            if node.spec.results:
                result_tangents[node] = results
            else:
                (tangent,) = results
        if tangent is not None:
            tangent_of[node] = b.add(tangent_of[node], tangent) if node in tangent_of else tangent
    return [tangent_of.get(out) for out in outputs]


def _result_tangents(prim: Primitive, tangents: tuple[Node | None, ...], node: Node) -> Sequence[Node | None]:
    """The tangent of each result of a node, by the primitive's rule or else through its decomposition."""
    if prim.jvp is not None:
        results: Any = prim.jvp(tangents, node.args, node)
        return tuple(results) if node.spec.results else (results,)
    if prim.decompose is None:
        raise GradientError(
            f"[jvp] expected operations with a forward derivative, got {prim.name}; use reverse mode (vjp or grad)"
        )
    args, outputs = _decompose(node, prim.decompose)
    return jvp(outputs, args, tangents)


def check_differentiable(node: Node, op: str) -> None:
    """Raises `GradientError`, in the name of the operation `op`, where a node requires no gradient."""
    if not node.rg:
        raise GradientError(
            f"[{op}] expected a tensor that depends on one with requires_grad=True, got one that does not; call "
            "requires_grad_() on the inputs, and check for no_grad() and detach()"
        )


def _decompose(node: Node, decompose: Decomposition) -> tuple[list[Node], list[Node]]:
    """Decomposes a node over fresh operands: one new node for each operand, even where the node has one operand twice.

    Returns:
        The fresh operands, and the results of the decomposition over them.
    """
    with set_grad_enabled(True):
        reshape = REGISTRY["reshape"]
        args = [Node(spec_of(reshape, (a.aval,), (a.aval.shape,)), (a,), None, a.rg) for a in node.args]
        results = decompose(tuple(args), node.spec.params)
        return args, list(results) if isinstance(results, tuple) else [results]


def _jvp_by_transposition(
    node: Node, rule: CustomRule, index: int, tangent_of: dict[Node, Node], input_set: set[Node]
) -> Node | None:
    """The tangent of a custom rule's result number `index`: the transpose of the backward function, which is linear."""
    with set_grad_enabled(True):
        placeholder = leaf(None, node.aval, rg=True)  # without a value: no result depends on it
        cotangents = tuple([placeholder if n == index else None for n in range(rule.count)])
        parts = [
            (p, tangent_of[a]) for a, p in rule.backward(cotangents, input_set) if p is not None and a in tangent_of
        ]
    return vjp([p for p, _ in parts], [t for _, t in parts], [placeholder])[0]


def _nodes_between(outputs: Sequence[Node], inputs: set[Node], through_inputs: bool = True) -> dict[Node, None]:
    """The nodes on a path from an input to an output, in topological order."""
    reached: dict[Node, bool] = {}
    order: dict[Node, None] = {}
    stack = [o for o in outputs if o.rg or o in inputs]
    while stack:
        node = stack[-1]
        if node in reached:
            stack.pop()
            continue
        follow = [a for a in node.args if a.rg or a in inputs] if through_inputs or node not in inputs else []
        unvisited = [a for a in follow if a not in reached]
        if unvisited:
            stack += unvisited
            continue
        stack.pop()
        reached[node] = node in inputs or any(reached[a] for a in follow)
        if reached[node]:
            order[node] = None
    return order
