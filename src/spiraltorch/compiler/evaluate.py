"""Evaluation: from graph nodes to buffers, through the plans of known graphs.

A graph is looked up by its structure, and compiled only where it is new. Values inside it that something outside refers
to are evaluated with it, and leaves that nothing else refers to may be overwritten: see `references`. A plan runs on one
device, so copies between devices are made first, through the host. Everything happens under `STATE.lock`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from time import perf_counter_ns

from ..errors import CompileError, DeviceError
from ..graph.node import Node
from ..runtime import device as devices
from ..runtime.changes import Changes
from ..runtime.interpreter import deep_recursion
from ..runtime.protocol import Buffer
from ..telemetry import Decision, export
from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE
from ..telemetry.spans import ACTIVE, record_decisions, record_plan_lookup, span
from . import references
from .graph_key import walk
from .lowering.registry import decomposed_on
from .planning.decisions import schedule_decisions
from .planning.explain import explain_plan
from .planning.launch import make_launcher
from .planning.plan import Plan, build
from .planning.table import Number
from .program import from_nodes
from .state import STATE, GraphKey, KnownGraph


def evaluate(roots: list[Node], changes: Changes | None = None) -> None:
    """Computes the buffer of every root, which releases its operands. If an error is raised, nothing has changed.

    Args:
        roots: the nodes.
        changes: changes that are made, all at once, when the values exist: handles get the roots as their nodes. The memory
            of the nodes that they replace may be donated.
    """
    if STATE.recording is not None:
        STATE.await_recording()
    with STATE.lock:
        nested = STATE.running
        STATE.running = True
        try:
            _evaluate(roots, changes, nested)
        finally:
            STATE.running = nested


def _evaluate(roots: list[Node], changes: Changes | None, nested: bool) -> None:
    """What `evaluate` does. Nothing is donated if it is `nested` in another evaluation of this thread."""
    pending = [n for n in dict.fromkeys(roots) if n.buf is None]
    if len(pending) > 1 and any(n.aval.device != pending[0].aval.device for n in pending):
        for device in dict.fromkeys(n.aval.device for n in pending):
            _evaluate([n for n in pending if n.aval.device == device], None, nested)
        pending = []
    if pending:
        installed = _evaluate_on_device(pending, changes, nested)
    else:
        installed = False
    if changes is not None and not installed:
        changes.make()


def _evaluate_on_device(pending: list[Node], changes: Changes | None, nested: bool) -> bool:
    """Evaluates nodes on one device. Returns whether the changes were made with it."""
    began = perf_counter_ns() if ACTIVE else 0
    order, key, scalars, leaves = walk(pending)
    graph = STATE.graphs.get(key) or _remember(key, order, len(pending))
    if graph.has_transfers:
        transfers = [n for n in order if _is_transfer(n)]
        del order, leaves  # references to nodes that would count as uses of their values
        _transfer(transfers, nested)
        _evaluate(pending, None, nested)
        return False
    in_use = references.values_in_use(order, graph.references)
    if in_use:
        pending += in_use
        order, key, scalars, leaves = walk(pending)
        graph = STATE.graphs.get(key) or _remember(key, order, len(pending))
    COUNTS["plan_lookups"] += 1
    STATE.clock = graph.used = STATE.clock + 1
    if began:
        record_plan_lookup(began, graph.plan is not None, len(order))
    plan = graph.plan or _compile(graph, order, len(pending), leaves)
    buffers: Sequence[Buffer]
    if nested:
        buffers = plan.run([n.buf for n in leaves], scalars, nested=True)
    elif plan.executable.donatable and (donated := _donated(graph, plan, order, leaves, pending, changes)):
        install = partial(_values, pending, changes)
        buffers = plan.run([n.buf for n in leaves], scalars, donated, install)
        changes = None
    elif plan.launch is not None:
        buffers = plan.launch(*[n.buf for n in leaves], *scalars)
    else:
        buffers = _run(plan, [n.buf for n in leaves], scalars)
    for node, buffer in zip(pending, buffers, strict=True):
        _set_value(node, buffer)
    return changes is None


def _values(pending: list[Node], changes: Changes | None, buffers: list[Buffer]) -> Changes:
    """The changes that give nodes their values, and those that follow."""
    values = Changes()
    for node, buffer in zip(pending, buffers, strict=True):
        values.set(node, "buf", buffer)
    if changes is not None:
        values.extend(changes)
    return values


def _donated(
    graph: KnownGraph, plan: Plan, order: list[Node], leaves: list[Node], pending: list[Node], changes: Changes | None
) -> list[int]:
    """The leaves whose memory results may be written over."""
    held = Counter(map(id, changes.replaced("_node"))) if changes is not None else {}
    donated = references.donatable(leaves, plan.executable.donatable, graph.leaf_references, held)
    if donated:
        needed = references.needed_later(order, graph.references, pending)
        donated = [n for n in donated if leaves[n] not in needed]
    return donated


def _run(plan: Plan, leaves: list[Buffer], scalars: list[Number]) -> list[Buffer]:
    """Runs a plan without donated leaves. The second run generates a launcher for later runs."""
    buffers = plan.run(leaves, scalars)
    if plan.has_run:
        plan.launch = make_launcher(plan)
    plan.has_run = True
    return buffers


def _set_value(node: Node, buffer: Buffer) -> None:
    """Sets the value of a node. The node releases its operands unless a gradient flows through them."""
    node.buf = buffer
    if not (node.rg and any(a.rg for a in node.args)):
        node.args = ()


def _is_transfer(node: Node) -> bool:
    """Whether a node is a copy between devices that was not made yet."""
    return node.buf is None and node.spec.prim is not None and node.spec.prim.name == "to_device"


def _transfer(transfers: list[Node], nested: bool) -> None:
    """Makes copies between devices, so that the rest of the graph is on one device."""
    _evaluate([n.args[0] for n in transfers], None, nested)
    for node in transfers:
        if node.buf is None:
            source = node.args[0]
            if ACTIVE:
                reason = (
                    f"it is on {source.aval.device} and a plan runs on one device, so it is copied through the host"
                )
                subject = f"{node.aval.dtype.name}{list(node.aval.shape)} for {node.aval.device}"
                record_decisions([Decision("place", subject, reason)])
            origin = devices.get(source.aval.device)
            array = origin.to_host(source.buf, source.aval.shape, source.aval.dtype.numpy)
            _set_value(node, devices.get(node.aval.device).from_host(array, copy=origin.host_memory))


def on_one_device(order: list[Node]) -> bool:
    """Whether one plan can compute the graph of these nodes."""
    return len({n.aval.device for n in order}) < 2


def plan_for(roots: list[Node], order: list[Node], leaves: list[Node]) -> Plan:
    """The plan of a graph, which is not run. `order` and `leaves` are what `graph_key.walk` gave for the roots."""
    began = perf_counter_ns() if ACTIVE else 0
    COUNTS["plan_lookups"] += 1
    _, key, _, _ = walk(roots)
    graph = STATE.graphs.get(key) or _remember(key, order, len(roots))
    if began:
        record_plan_lookup(began, graph.plan is not None, len(order))
    return graph.plan or _compile(graph, order, len(roots), leaves)


def explain(roots: list[Node]) -> str:
    """The plan of the roots that have no value yet, as text."""
    pending = [n for n in dict.fromkeys(roots) if n.buf is None]
    if not pending:
        return "plan: nothing to do, the values exist"
    order, _, _, leaves = walk(pending)
    with STATE.lock:
        plan = plan_for(pending, order, leaves)
        plan.refresh()
        return explain_plan(plan)


def _remember(key: GraphKey, order: list[Node], count: int) -> KnownGraph:
    """Records the structure of a new graph, whose first `count` nodes are its roots."""
    own, leaves = references.own_references(order, count)
    return STATE.remember(key, KnownGraph(own, leaves, any(map(_is_transfer, order))))


def _compile(graph: KnownGraph, order: list[Node], count: int, leaves: list[Node]) -> Plan:
    """Compiles the plan for the first `count` nodes of a walk.

    Raises:
        DeviceError: the graph spans devices.
        CompileError: a kernel cannot be compiled, or the compiler's own modules cannot be read.
    """
    try:
        return _compiled(graph, order, count, leaves)
    except (ImportError, OSError) as error:  # no file descriptor, the end of the interpreter
        raise CompileError(
            f"[eval] expected to be able to read the compiler's modules, got {error!r}; close files, or evaluate earlier"
        ) from error


def _compiled(graph: KnownGraph, order: list[Node], count: int, leaves: list[Node]) -> Plan:
    """What `_compile` does."""
    COUNTS["plan_cache_misses"] += 1
    export.enable_if_sdk_loaded()
    device = order[0].aval.device
    for node in order:
        if node.aval.device != device:
            raise DeviceError(
                f"[eval] expected one device in a graph, got {device} and {node.aval.device}; move tensors with .to()"
            )
    with deep_recursion(), span(COMPILE, device=device, values=len(order)) as s:
        target = devices.get(device).target
        program = from_nodes(order, list(range(count)), decomposed_on(target))
        scalars = [n.aval.dtype for n in order if n.buf is None and n.scalar is not None]
        placement = Decision("place", f"the graph on {device}", f"all of its {len(order)} values are on {device}")
        plan = build(program, len(leaves), scalars, [n.aval for n in order[:count]], placement)
        s.set(kernels=plan.statistics.kernels, operations=plan.statistics.operations)
        record_decisions(plan.decisions, partial(schedule_decisions, plan.kernels.fused, target))
    graph.plan = plan
    return plan
