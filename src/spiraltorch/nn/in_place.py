"""In-place updates of tensors through their handles: values, casts, moves to another device, gradients.

Layers and optimizers hold handles; a compiled function reads and writes them. Nothing here is recorded for gradients.
"""

from __future__ import annotations

from collections.abc import Iterable

import spiraltorch as st

from ..compiler import evaluate
from ..dtypes import DType
from ..graph import build
from ..graph.node import GRAD_MODE, Node
from ..runtime.changes import Changes
from ..tensor.aliasing import assign, new_node, plan_write
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING, node_of


def set_value(target: Tensor, value: Tensor, deferred: bool = False) -> None:
    """Gives a handle a new value, cast to the handle's dtype, without a gradient.

    A `deferred` value is evaluated together with the next evaluation of anything: running statistics are rarely read,
    and must not keep the graphs of all steps alive.
    """
    mode = GRAD_MODE.on
    GRAD_MODE.on = False  # not by `no_grad`, whose exit might be interrupted
    try:
        assign(target, build.cast(build.stop_gradient(node_of(value)), target.dtype))
    finally:
        GRAD_MODE.on = mode
    if deferred:
        TRACING.defer(target)


def set_values(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Gives handles new values without a gradient, as `set_value`, evaluates them, and installs all of them at once.

    An exception, one of a signal handler too, leaves all old values or all new ones. Views, and tensors that share the
    memory of an array, follow the others one after another.
    """
    changes = Changes()
    nodes: list[Node] = []
    later: list[tuple[Tensor, Tensor]] = []
    for target, value in pairs:
        node = new_node(target, node_of(value.to(target.dtype)))
        if plan_write(target, node, changes):
            nodes.append(node)
        else:
            later.append((target, value))
    evaluate.evaluate(nodes + TRACING.take_deferred(), changes)
    for target, value in later:
        set_value(target, value)
    if later:
        st.eval(*[target for target, _ in later])


def zero_grad(tensors: Iterable[Tensor], set_to_none: bool) -> None:
    """Drops the gradients of all tensors, or fills them with zeros in place."""
    for tensor in tensors:
        if tensor.grad is not None:
            if set_to_none:
                tensor.grad = None
            else:
                set_value(tensor.grad, st.zeros_like(tensor.grad))


def convert(tensors: Iterable[Tensor], device: str | None, dtype: DType | None) -> None:
    """Moves and casts every tensor in place, with its gradient. Only floating tensors are cast."""
    for tensor in {id(t): t for t in tensors}.values():
        grad = tensor.grad
        with st.no_grad():
            assign(tensor, _converted(tensor.detach(), device, dtype).node)
            if grad is not None:
                tensor.grad = _converted(grad.detach(), device, dtype)


def _converted(tensor: Tensor, device: str | None, dtype: DType | None) -> Tensor:
    """The tensor on `device` and, when it is floating, of `dtype`."""
    if dtype is not None and tensor.dtype.is_float:
        tensor = tensor.to(dtype)
    return tensor if device is None else tensor.to(device)
