"""Ends a recording that cannot be replayed as plain Python would have left it, without running the function again.

The function has run once, and what it did to Python's state must not happen twice. What it recorded is a graph on
placeholders: once these have the values of before, and pass gradients on to the nodes of before, it is the graph that the
same calls record outside of `compile`.
"""

from __future__ import annotations

from ..aliasing import View, base_of, make_view, rebase, write_value
from ..tensor import Tensor
from .recording import Draw, Recorder, passing_on
from .tracer import raw_grad, set_raw_grad


def adopt(recorder: Recorder, arguments: dict[int, Tensor]) -> None:
    """Gives tensors the updates and gradients of a recording that has ended, and random numbers their values.

    Args:
        recorder: the recorder; nothing is recorded any more.
        arguments: the arguments that handles of the recording stand for, by the handle's id.
    """
    originals = dict(zip(recorder.placeholders, recorder.originals, strict=True))
    updates = recorder.updates()
    grads = [(tensor, raw_grad(tensor)) for tensor, _ in recorder.grads.values()]
    _number_draws(recorder)
    for tensor in recorder.living():
        if tensor.node in originals:
            tensor.node = originals[tensor.node]
    for placeholder, node in originals.items():
        if node.rg:  # what was computed from a leaf's placeholder passes its gradient on to the leaf
            placeholder.spec, placeholder.args = passing_on(node)
    recorder.restore()
    for number, node in updates:
        tensor = recorder.captured[number]
        write_value(arguments.get(id(tensor), tensor), originals.get(node, node))
    for tensor, grad in grads:
        set_raw_grad(arguments.get(id(tensor), tensor), grad)
    share_arguments(recorder, arguments)


def share_arguments(recorder: Recorder, arguments: dict[int, Tensor]) -> None:
    """Lets handles that stood for arguments, which the function may have stored, share the arguments' elements."""
    for handle in recorder.captured:
        argument = arguments.get(id(handle))
        if argument is not None and argument is not handle:
            _join_family(handle, argument)


def _number_draws(recorder: Recorder) -> None:
    """Gives the scalars of random operations their numbers, and generators the blocks that were drawn."""
    for node in recorder.draw_nodes:
        if type(node.scalar) is Draw:
            node.scalar = node.scalar.value()
    for generator, blocks in recorder.drawn.values():
        generator._counter += blocks


def _join_family(handle: Tensor, tensor: Tensor) -> None:
    """Makes a handle that is no view, and all views of it, views of another tensor of the same type and elements."""
    alias = handle._alias
    family = None if alias is None or type(alias) is View else alias()
    views = [] if family is None else family.views()
    handle._alias = None
    handle.node = tensor.node
    make_view(handle, tensor, ())
    for view in views:
        before = view._alias
        assert type(before) is View
        if before.source is not None:
            view.node = handle.node  # stale; made anew below
        make_view(view, handle, before.path)
        assert type(view._alias) is View
        view._alias.is_leaf = before.is_leaf
        base = base_of(view)
        rebase(view, tensor if base is None else base)
