"""Primitives with several results: a call is one node, and each of its results that is used is another.

Contract
- A call is not a value: it has no buffer, and its `aval` is the type of its first result.
- A result node has the call as its only operand. A call has at most one node for each result.
- A call references its result nodes weakly. Its evaluation sets the values of all result nodes that are alive.
- Where gradients are recorded, the first result keeps the others alive: derivatives need them, and they are evaluated
  together with it instead of being computed again.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from .node import GRAD_MODE, SPECS, Aval, Node, Params, Spec, spec_of
from .primitive import Primitive


def _infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """Results are created by `result_of` alone."""
    raise AssertionError("[result] a result's type comes from its call: record it with result_of")


def _reference(values: tuple[Any, ...], params: Params) -> Any:
    """One of the arrays of a call."""
    return values[params[0]]


RESULT = Primitive("result", "result", _infer, _reference)


def apply_multiple(prim: Primitive, args: tuple[Node, ...], params: Params = ()) -> tuple[Node, ...]:
    """Records a call of a primitive with several results.

    Args:
        prim: the primitive, whose `infer` gives a tuple of types.
        args: its operands.
        params: its static parameters, hashable.

    Returns:
        The nodes of all results.

    Raises:
        SpiralTorchError: the operands violate the primitive's rule of shapes and dtypes.
    """
    spec = spec_of(prim, tuple([a.aval for a in args]), params)
    rg = prim.differentiable and GRAD_MODE.on and any([a.rg for a in args])
    nodes = results_of(Node(spec, args, None, rg and any([aval.dtype.kind == "f" for aval in spec.results])))
    if rg:
        nodes[0].siblings = nodes[1:]
    return nodes


def results_of(call: Node) -> tuple[Node, ...]:
    """The nodes of all results of a call; those that are not alive are created."""
    return tuple([result_of(call, number) for number in range(len(call.spec.results))])


def live_results(call: Node) -> list[Node]:
    """The nodes of those results of a call that are alive."""
    return [node for known in getattr(call, "results", ()) if known is not None and (node := known()) is not None]


def result_of(call: Node, number: int) -> Node:
    """The node of the result `number` of a call, which is created if it is not alive."""
    if not hasattr(call, "results"):
        call.results = [None] * len(call.spec.results)
    known = call.results[number]
    node = known() if known is not None else None
    if node is None:
        aval = call.spec.results[number]
        key = (RESULT, (aval,), (number,))
        spec = SPECS.recent.get(key) or SPECS.intern(key, Spec(RESULT, aval, (number,)))
        node = Node(spec, (call,), None, call.rg and aval.dtype.kind == "f")
        call.results[number] = ref(node)
    return node


def with_args(node: Node, args: tuple[Node, ...]) -> Node:
    """A copy of a node with other operands, which requires a gradient."""
    if node.spec.prim is RESULT:
        return result_of(args[0], node.spec.params[0])
    return Node(node.spec, args, node.scalar, True)
