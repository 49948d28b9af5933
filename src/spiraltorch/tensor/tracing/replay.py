"""Replays a recording: checks, one run of the plan, and the installation of new values.

This is the general path, for any arguments. `generated_replay` writes the same steps out for one recording and one form of
arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler import evaluate, references
from ...compiler.state import STATE
from ...errors import TracingError
from ...graph.node import Node, leaf
from ...runtime.changes import Changes
from ...runtime.protocol import Buffer
from ...typing import PyTree
from ..aliasing import Family, join, make_view, plan_write, storage_of, write_value
from ..pytree import unflatten
from ..tensor import Tensor
from .recording import (
    ANY_GRAD,
    CapturedTensor,
    CapturedValue,
    Constant,
    Draw,
    Output,
    PlanResult,
    Recorder,
    Recording,
    Source,
)
from .tracer import raw_grad


def usable(recording: Recording, arguments: list[Tensor]) -> bool:
    """Whether the tensors are as the recording found them. Evaluates those that are pending.

    Structure, shapes and dtypes of the arguments and the Python state are part of the key of a recording, and not checked
    here.
    """
    for n, t in recording.fixed_arguments:
        if arguments[n] is not t:
            return False
    if shares(recording.captured, recording.unaliased, recording.distinct, arguments):
        return False
    for view, alias, base in recording.views:
        if view._alias is not alias or alias.family.base is not base:
            return False
    pending = []
    for number, (aval, requires_grad) in enumerate(zip(recording.avals, recording.requires_grad, strict=True)):
        node = recording.tensor(number, arguments).node
        if node.aval is not aval or node.rg is not requires_grad:
            return False
        if node.buf is None:
            pending.append(node)
    for t, before in recording.grads_before:
        if (raw_grad(t) is None) if before is ANY_GRAD else (raw_grad(t) is not before):
            return False
    places = recording.argument_places
    if len(places) > 1 and len({id(arguments[place]) for place in places}) != len(places):
        return False
    if pending:
        evaluate.evaluate(pending)
    return True


def shares(captured: list[Tensor], unaliased: list[int], distinct: bool, arguments: list[Tensor]) -> bool:
    """Whether arguments share elements with captured tensors of these numbers or, if they must not, with each other."""
    if not unaliased and not distinct:
        return False
    storages = {id(t): storage_of(t) for t in arguments}
    found = {id(s) for s in storages.values()}
    return (distinct and len(found) < len(storages)) or any(id(storage_of(captured[n])) in found for n in unaliased)


def perform(
    recording: Recording, arguments: list[Tensor], escaped: Sequence[tuple[Tensor, Source]] = (),
    recorder: Recorder | None = None,
) -> PyTree:  # fmt: skip
    """Runs the plan on the present values and makes the function's result.

    Tensors get their new values and gradients, and random generators advance, all at once: an exception of a signal handler
    finds the call done or not done. Views, and tensors that share an array's memory, follow one after another.

    Args:
        recording: the recording.
        arguments: the tensors among the arguments.
        escaped: tensors that the recorded call made and that outlive it, with the sources of their values.
        recorder: the recorder of the call, if it is the one that was recorded: it is told that the call is installed.
    """
    nested, STATE.running = STATE.running, True
    try:
        if nested:
            raise TracingError(
                "[compile] expected no call of a compiled function while another one runs, got one in a signal handler; set "
                "a flag there, and call the function outside"
            )
        return _perform(recording, arguments, _Installation(recording, arguments, escaped, recorder))
    finally:
        STATE.running = nested


def _perform(recording: Recording, arguments: list[Tensor], installation: _Installation) -> PyTree:
    """What `perform` does."""
    if recording.plan is None:
        installation.changes([]).make()
        return installation.finish()
    donated: list[int] = []
    if recording.donations:
        nodes = [recording.tensor(d.captured, arguments).node for d in recording.donations]
        owned = references.solely_owned(nodes)
        donated = [d.plan_input for d, own in zip(recording.donations, owned, strict=True) if own]
        del nodes
    buffers = [
        recording.tensor(source.number, arguments).node.buf if type(source) is CapturedValue else source
        for source in recording.inputs
    ]
    scalars = [s.value() if type(s) is Draw else s for s in recording.scalars]
    recording.plan.run(buffers, scalars, donated, installation.changes)
    return installation.finish()


class _Installation:
    """What one call installs."""

    def __init__(
        self, recording: Recording, arguments: list[Tensor], escaped: Sequence[tuple[Tensor, Source]],
        recorder: Recorder | None,
    ) -> None:  # fmt: skip
        self.recording = recording
        self.arguments = arguments
        self.escaped = escaped
        self.recorder = recorder
        self.outputs: list[Any] = []
        self.later: list[tuple[Tensor, Node]] = []  # writes that cannot be among the changes

    def changes(self, buffers: list[Buffer]) -> Changes:
        """The changes that install the results of the plan."""
        recording, changes = self.recording, Changes()
        avals = [] if recording.plan is None else recording.plan.avals
        results = [leaf(buffer, aval) for buffer, aval in zip(buffers, avals, strict=True)]
        before = {n: self._tensor(n).node for n in recording.values_before}

        def value(source: Source) -> Node:
            if type(source) is PlanResult:
                return results[source.number]
            return before[source.number] if type(source) is CapturedValue else source

        def fresh(source: Source) -> Tensor:
            node = value(source)
            return Tensor(leaf(node.buf, node.aval) if node.rg else node)

        def output(source: Output) -> Any:
            if type(source) is Constant:
                return source.value
            return self._tensor(source.number) if type(source) is CapturedTensor else fresh(source)

        for tensor, source in self.escaped:
            if type(source) is PlanResult and tensor.node.rg:  # gradients flow on through its operands
                changes.set(tensor.node, "buf", results[source.number].buf)
            elif type(source) is PlanResult:
                changes.set(tensor, "_node", results[source.number])
            elif type(source) is CapturedValue:
                changes.set(tensor, "_node", self._tensor(source.number).node)
        self.outputs = [output(source) for source in recording.outputs]
        for update in recording.updates:  # not unpacked: that is slow for named tuples
            node = value(update.source)
            node = leaf(node.buf, node.aval, True) if recording.requires_grad[update.captured] else node
            self._write(self._tensor(update.captured), node, changes)
        for change in recording.grad_updates:
            changes.set(change.tensor, "_grad", None if change.source is None else fresh(change.source))
        for generator, blocks in recording.draws:
            changes.set(generator, "_counter", generator._counter + blocks)
        if self.recorder is not None:
            changes.set(self.recorder, "finished", True)
        return changes

    def finish(self) -> PyTree:
        """The function's result, when the changes are made."""
        for tensor, node in self.later:
            write_value(tensor, node)
        _share_outputs(self.recording, self.arguments, self.outputs)
        return unflatten(self.recording.out_tree, self.outputs)

    def _tensor(self, number: int) -> Tensor:
        return self.recording.tensor(number, self.arguments)

    def _write(self, tensor: Tensor, node: Node, changes: Changes) -> None:
        if not plan_write(tensor, node, changes):
            self.later.append((tensor, node))


def _share_outputs(recording: Recording, arguments: list[Tensor], outputs: list[Any]) -> None:
    """Makes outputs views of captured tensors and of each other, as the recorded ones were."""
    families: dict[int, Family] = {}
    for view in recording.output_views:
        tensor = outputs[view.output]
        if view.captured is not None and view.path is not None:
            make_view(tensor, recording.tensor(view.captured, arguments), view.path)
        else:
            join(tensor, families.setdefault(view.family, Family(view.aval, None, Tensor)), view.path)
