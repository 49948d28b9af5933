"""Derivatives of graphs are graphs: `vjp` walks backwards through each primitive's rule, `jvp` forwards.

The results are ordinary nodes, so they fuse, run on every backend and can be differentiated again. Both follow only
nodes that carry a gradient (`rg`) and depend on an input, which may be any such node.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GradientError, ShapeError
from ..graph import build as b
from ..graph.node import Node, leaf, spec_of
from ..graph.primitive import REGISTRY, Parts
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
    wanted = set(inputs)
    order = _dependents(outputs, wanted, through)
    total: dict[Node, Node] = {}
    for out, g in zip(outputs, cotangents, strict=True):
        if g is None:
            continue
        if g.aval is not out.aval:
            raise ShapeError(
                f"[vjp] expected a cotangent like its output ({out.aval}), got {g.aval}; reshape or cast it"
            )
        if out in order:
            total[out] = b.add(total[out], g) if out in total else g
    groups: dict[Rule, list[Node | None]] = {}
    left: dict[Rule, int] = {}
    hooked = len(HOOKS) > 0
    for node in reversed(order):
        if hooked and node in HOOKS and node in total:
            total[node] = passed(node, total[node])
        if not through and node in wanted:
            continue
        found = rule_of(node)
        if found is not None:
            rule, index = found
            if rule not in groups:
                groups[rule] = [None] * rule.count
                left[rule] = sum(1 for r in rule.results if r() in order)
            groups[rule][index] = total.get(node) if node in wanted else total.pop(node, None)
            left[rule] -= 1
            if left[rule] == 0 and any(g is not None for g in groups[rule]):
                for target, part in rule.backward(tuple(groups[rule]), wanted):
                    _accumulate(total, order, target, part)
            continue
        g = total.get(node) if node in wanted else total.pop(node, None)
        prim = node.spec.prim
        if g is None or prim is None or not node.args:
            continue
        if prim.vjp is not None:
            for arg, part in zip(node.args, prim.vjp(g, node.args, node), strict=True):
                _accumulate(total, order, arg, part)
        elif prim.parts is not None:
            args, made = _in_parts(node, prim.parts)
            for arg, part in zip(node.args, vjp([made], [g], args, through=False), strict=True):
                _accumulate(total, order, arg, part)
    return [total.get(i) for i in inputs]


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
    for node in _dependents(outputs, wanted):
        found = rule_of(node)
        prim = node.spec.prim
        made: Node | None = None
        if found is not None and not found[0].transparent:
            made = _transposed(node, *found, known, wanted)
        elif prim is not None and node.args and any(a in known for a in node.args):
            tangents = tuple([known.get(a) for a in node.args])
            if prim.jvp is not None:
                made = prim.jvp(tangents, node.args, node)
            elif prim.parts is not None:
                args, whole = _in_parts(node, prim.parts)
                made = jvp([whole], args, tangents)[0]
            else:
                raise GradientError(f"[jvp] expected operations with a forward derivative, got {prim.name}")
        if made is not None:
            known[node] = b.add(known[node], made) if node in known else made
    return [known.get(out) for out in outputs]


def check_differentiable(node: Node, op: str) -> None:
    """Raises `GradientError` where no gradient can flow from a node."""
    if not node.rg:
        raise GradientError(
            f"[{op}] expected a tensor that depends on one with requires_grad=True, got one that does not; call "
            "requires_grad_() on the inputs, and check for no_grad() and detach()"
        )


def _accumulate(total: dict[Node, Node], order: dict[Node, None], node: Node, part: Node | None) -> None:
    if part is not None and node in order:
        before = total.get(node)
        total[node] = part if before is None else b.add(before, part)


def _in_parts(node: Node, parts: Parts) -> tuple[list[Node], Node]:
    """The node's value in simpler primitives of operands that stand for its own: independent, and each its own."""
    with recording(True):
        reshape = REGISTRY["reshape"]
        args = [Node(spec_of(reshape, (a.aval,), (a.aval.shape,)), (a,), None, a.rg) for a in node.args]
        return args, parts(tuple(args), node.spec.params)


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
