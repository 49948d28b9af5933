"""Evaluation: from nodes to buffers, through the plan cache."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from operator import gt
from time import perf_counter_ns
from typing import Any

from ..dtypes import float32
from ..errors import DeviceError
from ..graph.node import Node, aval_of
from ..runtime import device as devices
from ..runtime.interpreter import deep_recursion
from ..telemetry import Decision, export
from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE
from ..telemetry.spans import ACTIVE, record_decisions, record_plan_lookup, span
from .graph_key import walk
from .lowering.registry import decomposed_on
from .planning.decisions import schedules
from .planning.explain import explain_plan
from .planning.launch import launcher
from .planning.plan import Plan, build, renew
from .program import from_nodes

LOCK = threading.RLock()  # two threads that evaluate graphs with shared nodes must not see each other's half-done work
if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
_PLANS: dict[Any, _Known] = {}
PLAN_LIMIT = 4096


class _Known:
    """What is remembered of a graph's structure: its plan once there is one, how often it refers to each node and to each
    leaf, and whether it holds copies between devices."""

    __slots__ = ("leaf_references", "moves", "plan", "references")

    def __init__(self, references: list[int], leaf_references: list[int], moves: bool) -> None:
        self.plan: Plan | None = None
        self.references = references
        self.leaf_references = leaf_references
        self.moves = moves


def evaluate(roots: list[Node]) -> None:
    """Gives every root its buffer. Nothing changes where an error is raised."""
    with LOCK:
        wanted = [n for n in dict.fromkeys(roots) if n.buf is None]
        if not wanted:
            return
        if any(n.aval.device != wanted[0].aval.device for n in wanted):
            for device in dict.fromkeys(n.aval.device for n in wanted):
                evaluate([n for n in wanted if n.aval.device == device])
            return
        began = perf_counter_ns() if ACTIVE else 0
        order, key, scalars, leaves = walk(wanted)
        known = _PLANS.get(key) or _remember(key, order, len(wanted))
        if known.moves:
            moves = [n for n in order if _moves(n)]
            del order, leaves  # a list that refers to values would have them all kept, see `_held`
            _transfer(moves)
            evaluate(wanted)
            return
        if any(map(gt, map(sys.getrefcount, order), known.references)):
            held = _held(order, known.references)
            if held:
                wanted += held
                order, key, scalars, leaves = walk(wanted)
                known = _PLANS.get(key) or _remember(key, order, len(wanted))
        COUNTS["plan_lookups"] += 1
        if began:
            record_plan_lookup(began, known.plan is not None, len(order))
        plan = known.plan or _compiled(known, order, len(wanted), leaves)
        given = _given(plan, leaves, known.leaf_references) if plan.donors else ()
        if given:
            needed = _needed_later(order, known.references, wanted)
            given = [s for s in given if leaves[s] not in needed]
        if given or not plan.launch:
            buffers = plan.run([n.buf for n in leaves], scalars, given)
            plan.launch = launcher(plan, len(leaves), len(scalars)) if plan.launch is False else False
        else:
            buffers = plan.launch(*[n.buf for n in leaves], *scalars)
        for node, buffer in zip(wanted, buffers, strict=True):
            node.buf = buffer
            _settle(node)


def _transfer(moves: list[Node]) -> None:
    """Gives copies between devices their values, so that what is left of the graph is on one device."""
    evaluate([n.args[0] for n in moves])
    for node in moves:
        if node.buf is None:
            source = node.args[0]
            if ACTIVE:
                reason = (
                    f"it is on {source.aval.device} and a plan runs on one device, so it is copied through the host"
                )
                what = f"{node.aval.dtype.name}{list(node.aval.shape)} for {node.aval.device}"
                record_decisions([Decision("place", what, reason)])
            array = devices.get(source.aval.device).to_host(source.buf, source.aval.shape, source.aval.dtype.numpy)
            target = devices.get(node.aval.device)
            node.buf = target.from_host(array.copy() if target.host_memory else array)
            _settle(node)


def _moves(node: Node) -> bool:
    return node.buf is None and node.spec.prim is not None and node.spec.prim.name == "to_device"


def one_device(order: list[Node]) -> bool:
    """Whether one plan can compute the graph whose walk is `order`."""
    return len({n.aval.device for n in order}) < 2


def _held(order: list[Node], references: list[int]) -> list[Node]:
    """Values that something outside the walked graph still refers to.

    They may be asked for later, and what is made of them then should not compute them again. So they are evaluated too,
    as a framework without lazy evaluation would have done.
    """
    counts = list(map(sys.getrefcount, order))
    return [n for n, c, own in zip(order, counts, references, strict=True) if c > own and _worth_keeping(n)]


def _references(order: list[Node], count: int) -> tuple[list[int], list[int]]:
    """What `getrefcount` gives for each node if only the graph refers to it; no limit where nothing would be saved.

    And the same for each leaf, which stands in a second list beside the order.
    """
    uses: dict[Node, int] = {}
    for node in order:
        if node.buf is None:
            for a in node.args:
                uses[a] = uses.get(a, 0) + 1
    inner = [uses[n] + _ALONE if n.buf is None and n.args else sys.maxsize for n in order[count:]]
    return [sys.maxsize] * count + inner, [uses.get(n, 0) + _ALONE + 1 for n in order if n.buf is not None]


def _given(plan: Plan, leaves: list[Node], references: list[int]) -> list[int]:
    """The leaves whose memory the plan could write over and that nothing but the graph refers to."""
    counts = list(map(sys.getrefcount, leaves))
    dying = [s for s in plan.donating if counts[s] == references[s]]
    if not dying:
        return dying
    return [s for s, own in zip(dying, _owned([leaves[s] for s in dying]), strict=True) if own]


def _needed_later(order: list[Node], references: list[int], wanted: list[Node]) -> set[Node]:
    """The leaves of what something outside refers to and this evaluation leaves without a value, as it does with views."""
    counts = list(map(sys.getrefcount, order))
    stack = [n for n, c, own in zip(order, counts, references, strict=True) if c > own]
    ends, seen = set(wanted), set(stack)
    while stack:
        node = stack.pop()
        if node.buf is None and node not in ends:
            new = [a for a in node.args if a not in seen]
            seen.update(new)
            stack += new
    return {n for n in seen if n.buf is not None}


def sole(nodes: list[Node]) -> list[bool]:
    """Whether one handle refers to each node, beside this list, and the node's memory belongs to it alone."""
    counts = list(map(sys.getrefcount, nodes))
    return [c == _ALONE + 1 and own for c, own in zip(counts, _owned(nodes), strict=True)]


def _owned(nodes: list[Node]) -> list[bool]:
    """Whether a node's memory belongs to it alone: no other value, no array of the host shares it."""
    buffers = [n.buf for n in nodes]
    counts = list(map(sys.getrefcount, buffers))
    return [c == _ALONE + 1 and b.keep is None for c, b in zip(counts, buffers, strict=True)]


def _worth_keeping(node: Node) -> bool:
    """Whether the value costs anything: a view of something that exists does not, a repetition would cost memory."""
    while node.spec.prim is not None and node.spec.prim.kind == "view":
        if node.spec.prim.name in ("expand", "windows", "concat"):
            return False
        node = node.args[0]
    return node.buf is None and bool(node.args)


def _alone() -> int:
    """What `getrefcount` gives for a node that only a list refers to, in this interpreter."""
    (one,) = map(sys.getrefcount, [Node(aval_of((), float32).leaf, ())])
    return one


_ALONE = _alone()


def _settle(node: Node) -> None:
    """A node with a value lets go of its operands, unless a gradient flows on through them."""
    if not (node.rg and any(a.rg for a in node.args)):
        node.args = ()


def plan_for(roots: list[Node], order: list[Node], leaves: list[Node]) -> Plan:
    """The plan of a graph that was walked already, without running it."""
    began = perf_counter_ns() if ACTIVE else 0
    COUNTS["plan_lookups"] += 1
    _, key, _, _ = walk(roots)
    known = _PLANS.get(key) or _remember(key, order, len(roots))
    if began:
        record_plan_lookup(began, known.plan is not None, len(order))
    return known.plan or _compiled(known, order, len(roots), leaves)


def _remember(key: Any, order: list[Node], count: int) -> _Known:
    known = _PLANS[key] = _Known(*_references(order, count), any(map(_moves, order)))
    if len(_PLANS) > PLAN_LIMIT:
        _PLANS.pop(next(iter(_PLANS)))
    return known


def _compiled(known: _Known, order: list[Node], count: int, leaves: list[Node]) -> Plan:
    COUNTS["plan_cache_misses"] += 1
    export.enable_if_sdk_loaded()
    plan = known.plan = _compile(order, count, leaves)
    return plan


def _compile(order: list[Node], count: int, leaves: list[Node]) -> Plan:
    """The plan for the first `count` nodes of a walk."""
    device = order[0].aval.device
    for node in order:
        if node.aval.device != device:
            raise DeviceError(
                f"[eval] expected one device in a graph, got {device} and {node.aval.device}; move tensors with .to()"
            )
    with deep_recursion(), span(COMPILE, device=device, values=len(order)) as s:
        program = from_nodes(order, list(range(count)), decomposed_on(devices.get(device).target))
        scalars = [n.aval.dtype for n in order if n.buf is None and n.scalar is not None]
        plan = build(program, len(leaves), scalars, device)
        where = f"all of its {len(order)} values are on {device}"
        plan.decisions.insert(0, Decision("place", f"the graph on {device}", where))
        s.set(kernels=plan.kernels, operations=plan.unfused)
        record_decisions(plan.decisions, partial(schedules, plan.groups, plan.device.target))
    plan.avals = [n.aval for n in order[:count]]
    return plan


def explain(roots: list[Node]) -> str:
    """The plan of the roots that have no value yet, as text."""
    wanted = [n for n in dict.fromkeys(roots) if n.buf is None]
    if not wanted:
        return "plan: nothing to do, the values exist"
    order, _, _, leaves = walk(wanted)
    with LOCK:
        plan = plan_for(wanted, order, leaves)
        renew(plan)
        return explain_plan(plan)
