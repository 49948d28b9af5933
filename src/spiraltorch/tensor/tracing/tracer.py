"""State shared by all tensors while functions are recorded, and the few functions through which handles change.

`TRACING` is the only global state of the package `tensor`, beside the gradient mode (`graph.node.GRAD_MODE`, which is
thread-local). Operations report the tensors that they read with `record_read`; `aliasing.assign` is the one way to
write to a tensor; `.grad` is kept by `raw_grad` and `set_raw_grad`.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...compiler.state import STATE
from ...errors import TracingError
from ...graph import build
from ...graph.node import Node, leaf
from .purity import PACKAGE, place_of, top_package

if TYPE_CHECKING:
    from ..tensor import Tensor
    from .recording import Recorder

DEFERRED_LIMIT = 64


class TracingState:
    """Process-wide state of recording; `TRACING` is its one instance.

    Attributes:
        recorder: the active recorder, of whichever thread, or None. Written by `start` and `stop` only, by a thread that
            holds `compiler.state.STATE.lock` until recording ends. Read without the lock by every operation, as
            `TRACING.recorder is not None`; whoever finds one asks `recorder()`, which waits for another thread's.
        version: changes whenever something changes that recordings take for constant without a guard of its own: the
            structure or mode of a module, an optimizer's groups, the hooks of leaves. Written by
            `invalidate_recordings`, from any thread and without a lock, as values are never used twice; read by the
            guards.
        leaf_hooks: the leaves that have hooks of `register_hook`, weakly referenced, by the number of the hook. A leaf's node changes with its value, so
            unlike other hooks they are not part of a recorded graph, and guards have to look at them. Written without a
            lock, one dict operation at a time.
        deferred: weak references to tensors that the next `eval` computes too. Appended to from any thread; a race can
            only make one of them be computed later.
    """

    __slots__ = ("_versions", "deferred", "leaf_hooks", "recorder", "version")

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.recorder: Recorder | None = None
        self.version = 0
        self.leaf_hooks: dict[int, weakref.ref[Tensor]] = {}
        self.deferred: list[weakref.ref[Tensor]] = []

    def start(self, recorder: Recorder) -> None:
        """Operations report to `recorder` from now on. The caller holds `STATE.lock`."""
        self.recorder = recorder
        STATE.recording = recorder.thread

    def stop(self) -> None:
        """Ends the recording. The caller holds `STATE.lock`."""
        self.recorder = None
        STATE.recording = None

    def invalidate_recordings(self) -> None:
        """Compiled functions record again at their next call, or use a recording of the state as it is then."""
        self.version = next(self._versions)

    def add_leaf_hook(self, number: int, leaf: Tensor) -> None:
        """Adds a hook of a leaf; recordings made without it are invalid."""
        self.leaf_hooks[number] = weakref.ref(leaf)
        self.invalidate_recordings()

    def hooks(self) -> list[Callable[[Tensor], Any]]:
        """The hooks of all leaves that are alive."""
        leaves = [(number, reference()) for number, reference in list(self.leaf_hooks.items())]
        return [leaf._hooks[number] for number, leaf in leaves if leaf is not None and number in leaf._hooks]

    def remove_leaf_hook(self, number: int) -> None:
        """Removes a hook of a leaf, if it is there; recordings made with it are invalid."""
        if self.leaf_hooks.pop(number, None) is not None:
            self.invalidate_recordings()

    def defer(self, tensor: Tensor) -> None:
        """Evaluates the tensor with the next `eval`, if it is still alive then."""
        self.deferred.append(weakref.ref(tensor))
        if len(self.deferred) > DEFERRED_LIMIT:
            self.deferred[:] = [r for r in self.deferred if r() is not None]

    def take_deferred(self) -> list[Node]:
        """The nodes of the deferred tensors that are alive; none is deferred afterwards."""
        references, self.deferred = self.deferred, []
        return [tensor.node for tensor in [r() for r in references] if tensor is not None]


TRACING = TracingState()


def recorder() -> Recorder | None:
    """This thread's recorder, or None. A recording of another thread is waited for."""
    while (active := TRACING.recorder) is not None and active.thread != threading.get_ident():
        STATE.await_recording()
    return active


def node_of(tensor: Tensor) -> Node:
    """The node of a tensor that an operation reads; the recorder is told of it."""
    if TRACING.recorder is not None:
        record_read(tensor)
    try:
        return tensor._node
    except AttributeError:
        return tensor.node


def record_read(tensor: Tensor) -> None:
    """Tells this thread's recorder, if there is one, that an operation reads a tensor."""
    active = recorder()
    if active is not None:
        active.read(tensor)


def record_grad_write(tensor: Tensor) -> None:
    """Tells this thread's recorder, if there is one, that a tensor's gradient is about to change."""
    active = recorder()
    if active is not None:
        active.changes_grads = True
        active.write_grad(tensor)


def record_host_state(what: str) -> None:
    """Tells this thread's recorder, if there is one, that state of Python is read or changed that guards do not see.

    Args:
        what: a description of it, for the warning that the function is recorded at each call.
    """
    active = recorder()
    if active is None or active.host_state:
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and top_package(frame.f_globals.get("__name__")) == PACKAGE:
        frame = frame.f_back
    active.host_state = f"{what} ({place_of(frame.f_code, frame.f_lineno)})"


def set_node(tensor: Tensor, node: Node) -> None:
    """Installs a node without telling the recorder; a gradient leaf remembers its handle, which receives `.grad`."""
    if node.rg and is_leaf(node):  # first, as an interrupt may come in between
        node.owner = weakref.ref(tensor)  # type: ignore[attr-defined]  # a slot without a default
    tensor._node = node


def is_leaf(node: Node) -> bool:
    """Whether gradients end at the node: it requires one, and none of its operands does."""
    return node.rg and not any(a.rg for a in node.args)


def grad_leaf(node: Node) -> Node:
    """A node of the same value at which gradients end."""
    if node.buf is not None and recorder() is None:  # while recording, a placeholder must stay one node
        return leaf(node.buf, node.aval, True)
    copied = build.stop_gradient(node)
    copied.rg = True
    return copied


def raw_grad(tensor: Tensor) -> Tensor | None:
    """The tensor of the gradient, without telling the recorder."""
    return tensor._grad


def set_raw_grad(tensor: Tensor, grad: Tensor | None) -> None:
    """Replaces the tensor of the gradient without telling the recorder."""
    tensor._grad = grad


def forbid_read(node: Node, op: str) -> None:
    """Raises `TracingError` where a value is needed on the host while a function is recorded.

    A constant may be read: a node that `node_of` gave and that the function made of host data, which guards compare.
    """
    if (active := recorder()) is not None and not active.is_constant(node):
        raise TracingError(
            f"[{op}] expected no value to be read while a function is recorded by compile(), got a read of "
            f"{node.aval}; return the tensor and read it outside, or use where() for a branch on values"
        )
