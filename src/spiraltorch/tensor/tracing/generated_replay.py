"""The generated replay: one Python function for each recording that is replayed.

It does what `replay` does, with every check and every step written out: no pytrees, no keys, no loops. Where a check fails
it returns `MISS` before anything has changed, and the caller takes the general path.
"""

from __future__ import annotations

import weakref
from typing import Any

from ...compiler import references
from ...compiler.planning.launch import make_launcher
from ...compiler.planning.plan import Plan
from ...compiler.state import STATE
from ...compiler.tuning_state import TUNING
from ...graph.node import GRAD_MODE, leaf
from ...telemetry.counting import COUNTS
from ..pytree import unflatten
from ..tensor import Tensor
from .guards import PLAIN_TYPES, Snapshot
from .recording import (
    ANY_GRAD,
    CapturedTensor,
    CapturedValue,
    Constant,
    Draw,
    Output,
    PlanResult,
    Recording,
    Replay,
    Source,
)
from .replay import perform
from .tracer import TRACING

MISS = object()
MAX_ARGUMENTS = 6


class _Source:
    """Lines of source text, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def name(self, obj: object) -> str:
        """A name for an object."""
        name = f"k{len(self.names)}"
        self.names[name] = obj
        return name

    def add(self, line: str, depth: int = 1) -> None:
        """Adds a line, indented by so many steps."""
        self.lines.append("    " * depth + line)


def generate_replay(recording: Recording, snapshot: Snapshot, args: tuple[Any, ...]) -> Replay:
    """A function of the positional arguments that replays the recording, or returns `MISS`.

    `snapshot` and `args` are a Python state and arguments for which the recording holds. Recordings without a plan, and
    calls with containers, with many arguments or with one tensor twice always take the general path.
    """
    plan = recording.plan
    tensors = [n for n, a in enumerate(args) if isinstance(a, Tensor)]
    if (
        plan is None
        or recording.output_views
        or len(args) > MAX_ARGUMENTS
        or len({id(args[n]) for n in tensors}) < len(tensors)
    ):
        return _always_miss
    if any(isinstance(a, (list, tuple, dict)) for a in args):
        return _always_miss
    text = _Source()
    handles = [
        text.name(t) if place is None else f"a{tensors[place]}"
        for t, place in zip(recording.captured, recording.arguments, strict=True)
    ]
    text.add("def replay(args):", 0)
    _write_checks(text, recording, plan, snapshot, args, handles)
    _write_run(text, recording, plan, args, handles)
    _write_return(text, recording)
    scope: dict[str, Any] = {"MISS": MISS, "leaf": leaf, "Tensor": Tensor, **text.names}
    exec("\n".join(text.lines), scope)  # the text is made of names and numbers only
    replay: Replay = scope["replay"]
    return replay


def _always_miss(args: tuple[Any, ...]) -> Any:
    """For recordings that always take the general path."""
    return MISS


def _write_checks(
    text: _Source, recording: Recording, plan: Plan, snapshot: Snapshot, args: tuple[Any, ...], handles: list[str]
) -> None:
    """The conditions under which the recording holds. No name of a node is kept, as `references` counts them."""
    text.add(f"if len(args) != {len(args)}: return MISS")
    if args:
        text.add("".join(f"a{n}, " for n in range(len(args))) + "= args")
    tests = [
        f"{text.name(GRAD_MODE)}.on is not {text.name(GRAD_MODE.on)}",
        f"{text.name(TRACING)}.recorder is not None",
        f"{text.name(STATE)}.running",
        f"{text.name(TUNING)}.generation != {plan.generation}",
    ]
    for n in range(len(args)):
        tests += _argument_tests(text, recording, args, n, f"a{n}" in handles)
    tests.append(f"not {text.name(snapshot.unchanged)}()")
    for handle, aval, rg in zip(handles, recording.avals, recording.requires_grad, strict=True):
        tests.append(f"(x := {handle}._node).aval is not {text.name(aval)} or x.rg is not {rg} or x.buf is None")
    for view, alias, base in recording.views:
        place = text.name(alias)
        tests.append(f"{text.name(view)}._alias is not {place} or {place}.family.base is not {text.name(base)}")
    for t, before in recording.grads_before:
        tests.append(f"{text.name(t)}._grad is {'None' if before is ANY_GRAD else f'not {text.name(before)}'}")
    text.add("try:")
    text.add(f"if {' or '.join(tests)}: return MISS", 2)
    text.add("except AttributeError: return MISS  # a stale view, whose node the general path makes")
    text.add("x = None")


def _argument_tests(text: _Source, recording: Recording, args: tuple[Any, ...], n: int, captured: bool) -> list[str]:
    """The conditions under which argument `n` is not what the recording needs."""
    a = args[n]
    if not isinstance(a, Tensor):
        if isinstance(a, PLAIN_TYPES):
            return [f"type(a{n}) is not {text.name(type(a))} or repr(a{n}) != {text.name(repr(a))}"]
        if type(a).__weakrefoffset__:
            return [f"a{n} is not {text.name(weakref.ref(a))}()"]
        return [f"a{n} is not {text.name(a)}"]
    tests = [f"type(a{n}) is not {text.name(type(a))}"]
    if not captured:
        tests.append(f"(x := a{n}._node).aval is not {text.name(a.node.aval)} or x.rg is not {a.node.rg}")
    tests += [f"a{n} is a{m}" for m in range(n) if isinstance(args[m], Tensor)]
    if recording.unaliased or recording.distinct:  # an argument that shares elements is looked at by the general path
        captured_ids = frozenset(id(recording.captured[m]) for m in recording.unaliased)
        tests.append(f"a{n}._alias is not None or id(a{n}) in {text.name(captured_ids)}")
    if a.node.rg:
        tests.append(f"a{n} is not {text.name(a)}")
    return tests


def _write_run(text: _Source, recording: Recording, plan: Plan, args: tuple[Any, ...], handles: list[str]) -> None:
    """One run of the plan on the present values, and the installation of its results, all at once."""
    buffers = [f"{handles[s.number]}._node.buf" if type(s) is CapturedValue else text.name(s) for s in recording.inputs]
    scalars = [f"{text.name(s)}.value()" if type(s) is Draw else text.name(s) for s in recording.scalars]
    written = [handles[update.captured] for update in recording.updates]
    if written:  # others share the elements: the general path knows how to install those
        tensors = ", ".join(f"a{n}" for n, a in enumerate(args) if isinstance(a, Tensor))
        aliased = " or ".join(f"{handle}._alias is not None" for handle in dict.fromkeys(written))
        text.add(f"if {aliased}: return {text.name(perform)}({text.name(recording)}, [{tensors}])")
    state = text.name(STATE)
    text.add(f"{state}.running = True")
    text.add("try:")
    if not recording.donations:
        text.add(f"results = {text.name(make_launcher(plan))}({', '.join(buffers + scalars)})", 2)
        _write_install(text, recording, plan, handles)
    else:
        nodes = ", ".join(f"{handles[d.captured]}._node" for d in recording.donations)
        inputs = text.name([d.plan_input for d in recording.donations])
        owned = f"{text.name(references.solely_owned)}([{nodes}])"
        text.add(f"donated = [n for n, own in zip({inputs}, {owned}) if own]", 2)
        executable = text.name(plan.executable)
        text.add(f"results, pointers, arena = {executable}.prepare([{', '.join(buffers)}], donated)", 2)
        count = len(plan.avals)
        _write_install(
            text, recording, plan, handles, f"{executable}.launch(pointers, [{', '.join(scalars)}], results[{count}:], "
        )
        counts, figures = text.name(COUNTS), plan.statistics
        text.add(f"{counts}['plans_run'] += 1", 2)
        text.add(f"{counts}['kernels_launched'] += {figures.kernels}", 2)
        text.add(f"{counts}['kernels_before_fusion'] += {figures.operations}", 2)
        text.add(f"{counts}['bytes_moved'] += {figures.memory.moved_bytes}", 2)
    text.add("finally:")
    text.add(f"{state}.running = False", 2)


def _write_install(
    text: _Source, recording: Recording, plan: Plan, handles: list[str], launch: str | None = None
) -> None:
    """New values, gradients and generator states.

    Args:
        text: the text that is written.
        recording: the recording.
        plan: its plan.
        handles: the names of the captured tensors.
        launch: the beginning of the call that launches the plan and installs; None where the plan has run.
    """
    for n, aval in enumerate(plan.avals):
        text.add(f"p{n} = leaf(results[{n}], {text.name(aval)})", 2)
    for n in recording.values_before:
        text.add(f"b{n} = {handles[n]}._node", 2)

    def node(source: Source) -> str:
        if type(source) is PlanResult:
            return f"p{source.number}"
        return f"b{source.number}" if type(source) is CapturedValue else text.name(source)

    def fresh(source: Source) -> str:
        name = node(source)
        if type(source) is PlanResult:
            return f"Tensor({name})"
        return f"Tensor(leaf({name}.buf, {name}.aval) if {name}.rg else {name})"

    def output(source: Output) -> str:
        if type(source) is Constant:
            return text.name(source.value)
        return handles[source.number] if type(source) is CapturedTensor else fresh(source)

    for n, source in enumerate(recording.outputs):
        text.add(f"r{n} = {output(source)}", 2)
    changes: list[tuple[str, str, str]] = []  # an object, an attribute, and its new value
    for m, (number, new) in enumerate(recording.updates):
        name = node(new)
        if recording.requires_grad[number]:
            text.add(f"u{m} = leaf({name}.buf, {name}.aval, True)", 2)
            text.add(f"u{m}.owner = {text.name(weakref.ref)}({handles[number]})", 2)
            name = f"u{m}"
        changes.append((handles[number], "_node", name))
    for tensor, grad in recording.grad_updates:
        changes.append((text.name(tensor), "_grad", "None" if grad is None else fresh(grad)))
    for generator, blocks in recording.draws:
        name = text.name(generator)
        changes.append((name, "_counter", f"{name}._counter + {blocks}"))
    calls = "()"
    if changes:
        objects, values = (", ".join(change[n] for change in changes) for n in (0, 2))
        names = text.name(tuple([attribute for _, attribute, _ in changes]))
        calls = f"map(setattr, ({objects},), {names}, ({values},))"
        if launch is not None:  # old values are kept until the call is over: to free them may run Python code
            text.add("old = " + "".join(f"{obj}.{attribute}, " for obj, attribute, _ in changes), 2)
    if launch is not None:
        text.add(f"{launch}{calls})", 2)
    elif changes:
        text.add(f"any({calls})", 2)


def _write_return(text: _Source, recording: Recording) -> None:
    """The function's result."""
    outputs = ", ".join(f"r{n}" for n in range(len(recording.outputs)))
    if recording.out_tree is None:
        text.add(f"return {outputs}")
    else:
        text.add(f"return {text.name(unflatten)}({text.name(recording.out_tree)}, [{outputs}])")
