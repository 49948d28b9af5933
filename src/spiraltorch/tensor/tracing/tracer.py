"""The few places through which handles change, so that `compile` and `backward` can follow them.

- `TRACER[0]` is the recorder of a compiled function, or None. Operations tell it by `saw` of every tensor they read.
  Other threads wait for the end of a recording where they would touch a tensor: see `recorder`.
- `assign` is the one way to give a handle another node; `.grad` is kept by `raw_grad` and `set_raw_grad`.
- `EPOCH[0]` grows when any module changes in structure or mode.
- `LEAF_HOOKS` holds the functions that `register_hook` put on leaves, whose nodes change with their values.
- `PENDING` holds, weakly, roots that should be evaluated with whatever is evaluated next.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...compiler.evaluate import LOCK
from ...errors import TracingError
from ...graph.node import Node

if TYPE_CHECKING:
    from ..tensor import Tensor

TRACER: list[Any] = [None]
EPOCH: list[int] = [0]
LEAF_HOOKS: dict[int, Callable[[Any], Any]] = {}
PENDING: list[weakref.ref[Tensor]] = []
PENDING_LIMIT = 64


def recorder() -> Any:
    """The recorder of this thread's function, or None. A recording of another thread is waited for."""
    while (found := TRACER[0]) is not None and found.thread != threading.get_ident():
        with LOCK:  # which is held as long as it records
            pass
    return found


def saw(tensor: Tensor) -> None:
    """Tells this thread's recorder, if there is one, that an operation reads a tensor."""
    tracer = recorder()
    if tracer is not None:
        tracer.see(tensor)


def saw_grad(tensor: Tensor) -> None:
    """Tells this thread's recorder, if there is one, that a tensor's gradient is about to change."""
    tracer = recorder()
    if tracer is not None:
        tracer.saw_grad(tensor)


def assign(tensor: Tensor, node: Node) -> None:
    """Gives the handle another value. A handle that requires gradients becomes a leaf with that value."""
    tracer = recorder()
    if tracer is not None:
        tracer.wrote(tensor)
    if is_leaf(tensor.node) and not node.rg:
        node = grad_leaf(node)
    own(tensor, node)


def own(tensor: Tensor, node: Node) -> None:
    """Installs a node; a gradient leaf remembers its handle, which receives `.grad`."""
    tensor.node = node
    if node.rg and is_leaf(node):
        node.owner = weakref.ref(tensor)  # type: ignore[attr-defined]  # a slot without a default


def is_leaf(node: Node) -> bool:
    """Whether gradients end here: it requires one, and nothing that it was made of does."""
    return node.rg and not any(a.rg for a in node.args)


def grad_leaf(node: Node) -> Node:
    """A node of the same value at which gradients end."""
    from ...graph import build

    if node.buf is not None and recorder() is None:  # while recording, a placeholder must stay one node
        leaf = Node(node.aval.leaf, (), None, True)
        leaf.buf = node.buf
        return leaf
    leaf = build.stop_gradient(node)
    leaf.rg = True
    return leaf


def raw_grad(tensor: Tensor) -> Any:
    """The gradient handle, or None."""
    return tensor._grad


def set_raw_grad(tensor: Tensor, grad: Any) -> None:
    """Replaces the gradient handle without telling the recorder."""
    tensor._grad = grad


def defer(tensor: Tensor) -> None:
    """Evaluates the tensor with the next evaluation, if it still lives then."""
    PENDING.append(weakref.ref(tensor))
    if len(PENDING) > PENDING_LIMIT:
        PENDING[:] = [r for r in PENDING if r() is not None]


def forbid_read(node: Node, op: str) -> None:
    """Raises `TracingError` where a value is wanted while a function is being recorded."""
    if recorder() is not None:
        raise TracingError(
            f"[{op}] expected no value to be read while a function is recorded by compile(), got a read of "
            f"{node.aval}; return the tensor and read it outside, or use where() for a branch on values"
        )
