"""Replays a recording: checks, one run of the plan, and the installation of new values.

This is the general path, for any arguments. `generated_replay` writes the same steps out for one recording and one form of
arguments.
"""

from __future__ import annotations

from typing import Any

from ...compiler import evaluate, references
from ...graph.node import Node, leaf
from ...typing import PyTree
from ..aliasing import Family, join, make_view, storage_of, write_value
from ..pytree import unflatten
from ..tensor import Tensor
from .recording import ANY_GRAD, CapturedTensor, CapturedValue, Constant, Draw, Output, PlanResult, Recording, Source
from .tracer import raw_grad, set_raw_grad


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


def run(recording: Recording, arguments: list[Tensor]) -> list[Node]:
    """Runs the plan on the present values. Returns its results; no tensor has changed yet."""
    if recording.plan is None:
        return []
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
    results = recording.plan.run(buffers, scalars, donated)
    return [leaf(buffer, aval) for buffer, aval in zip(results, recording.plan.avals, strict=True)]


def install(recording: Recording, arguments: list[Tensor], results: list[Node]) -> PyTree:
    """Gives tensors their new values and gradients, advances random generators, and makes the function's result."""
    before = {n: recording.tensor(n, arguments).node for n in recording.values_before}

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
        if type(source) is CapturedTensor:
            return recording.tensor(source.number, arguments)
        return fresh(source)

    outputs = [output(source) for source in recording.outputs]
    for update in recording.updates:  # not unpacked: that is slow for named tuples
        tensor, node = recording.tensor(update.captured, arguments), value(update.source)
        write_value(tensor, leaf(node.buf, node.aval, True) if recording.requires_grad[update.captured] else node)
    for change in recording.grad_updates:
        set_raw_grad(change.tensor, None if change.source is None else fresh(change.source))
    for generator, blocks in recording.draws:
        generator._counter += blocks
    _share_outputs(recording, arguments, outputs)
    return unflatten(recording.out_tree, outputs)


def _share_outputs(recording: Recording, arguments: list[Tensor], outputs: list[Any]) -> None:
    """Makes outputs views of captured tensors and of each other, as the recorded ones were."""
    families: dict[int, Family] = {}
    for view in recording.output_views:
        tensor = outputs[view.output]
        if view.captured is not None and view.path is not None:
            make_view(tensor, recording.tensor(view.captured, arguments), view.path)
        else:
            join(tensor, families.setdefault(view.family, Family(view.aval, None, Tensor)), view.path)
