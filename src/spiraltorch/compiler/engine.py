"""Evaluation: from nodes to buffers, through the plan cache."""

from __future__ import annotations

import sys
import threading
from typing import Any

from ..errors import DeviceError
from ..graph.node import Node
from .explain import explain_plan
from .key import walk
from .plan import Plan, build
from .program import from_nodes

LOCK = threading.RLock()  # two threads that evaluate graphs with shared nodes must not see each other's half-done work
_PLANS: dict[Any, Plan] = {}
PLAN_LIMIT = 4096


def evaluate(roots: list[Node]) -> None:
    """Gives every root its buffer. Nothing changes where an error is raised."""
    with LOCK:
        wanted = [n for n in dict.fromkeys(roots) if n.buf is None]
        if not wanted:
            return
        order, key, scalars, leaves = walk(wanted)
        plan = _PLANS.get(key)
        if plan is None:
            plan = _remember(key, order, len(wanted), leaves)
        buffers = plan.run([n.buf for n in leaves], scalars)
        for node, buffer in zip(wanted, buffers, strict=True):
            node.buf = buffer
            _settle(node)


def _settle(node: Node) -> None:
    """A node with a value lets go of its operands, unless a gradient flows on through them."""
    if not (node.rg and any(a.rg for a in node.args)):
        node.args = ()


def plan_for(roots: list[Node], order: list[Node], leaves: list[Node]) -> Plan:
    """The plan of a graph that was walked already, without running it."""
    _, key, _, _ = walk(roots)
    return _PLANS.get(key) or _remember(key, order, len(roots), leaves)


def _remember(key: Any, order: list[Node], count: int, leaves: list[Node]) -> Plan:
    plan = _compile(order, count, leaves)
    if len(_PLANS) >= PLAN_LIMIT:
        _PLANS.pop(next(iter(_PLANS)))
    _PLANS[key] = plan
    return plan


def _compile(order: list[Node], count: int, leaves: list[Node]) -> Plan:
    """The plan for the first `count` nodes of a walk."""
    device = order[0].aval.device
    for node in order:
        if node.aval.device != device:
            raise DeviceError(
                f"[eval] expected one device in a graph, got {device} and {node.aval.device}; move tensors with .to()"
            )
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        program = from_nodes(order, list(range(count)))
        scalars = [n.aval.dtype for n in order if n.buf is None and n.scalar is not None]
        plan = build(program, len(leaves), scalars, device)
    finally:
        sys.setrecursionlimit(limit)
    plan.avals = [n.aval for n in order[:count]]
    return plan


def explain(roots: list[Node]) -> str:
    """The plan of the roots that have no value yet, as text."""
    wanted = [n for n in dict.fromkeys(roots) if n.buf is None]
    if not wanted:
        return "plan: nothing to do, the values exist"
    order, _, _, leaves = walk(wanted)
    with LOCK:
        return explain_plan(plan_for(wanted, order, leaves))
