"""`register_hook` and `retain_grad`: functions that see the gradient of a tensor while `backward` computes it.

A result's hooks belong to its node, as that is what the gradient passes. A leaf's node changes with its value, so a
leaf's hooks belong to the handle. Hooks are recorded with what they compute: a compiled function replays that.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...autodiff.hooks import HOOKS
from ...errors import ArgumentError, GradientError, ShapeError
from ...graph import build
from ...graph.node import Node
from ..dispatch import handle, see
from ..tensor import Tensor
from ..tracing import tracer as tracing

if TYPE_CHECKING:
    from typing_extensions import Self

Function = Callable[[Tensor], Any]
_NUMBERS = itertools.count()
_LAST = 1 << 62  # what is retained is what all other hooks leave


class GradientHook:
    """Takes a hook out again, by `remove()` or at the end of a `with` block."""

    def __init__(self, table: dict[int, Any], number: int) -> None:
        self._table = table
        self.id = number

    def remove(self) -> None:
        """Takes the hook out; a second call does nothing."""
        self._table.pop(self.id, None)
        tracing.TRACING.remove_leaf_hook(self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_hook(tensor: Tensor, hook: Function) -> GradientHook:
    """Calls `hook(gradient)` whenever the gradient of `tensor` is complete; what it returns, if anything, replaces it.

    The gradient has the tensor's shape and dtype. Hooks of one tensor run in the order of their registration. Raises
    `GradientError` for a tensor that requires no gradient, and in `backward` `ShapeError` for a replacement of another
    shape.

    >>> import spiraltorch as st
    >>> x = st.tensor(3.0, requires_grad=True)
    >>> with x.register_hook(lambda gradient: gradient * 10):
    ...     (x * 2).backward()
    >>> x.grad.item()
    20.0
    """
    if not callable(hook):
        raise ArgumentError(f"[register_hook] expected a function, got {type(hook).__name__}; pass a callable")
    node = _wants_gradient(tensor, "register_hook")
    number = next(_NUMBERS)
    if not tracing.is_leaf(node):
        table = HOOKS.setdefault(node, {})
        table[number] = lambda gradient: _called(hook, gradient)
        return GradientHook(table, number)
    hooks: dict[int, Function] | None = getattr(tensor, "_hooks", None)
    if hooks is None:
        hooks = tensor._hooks = {}
        weakref.finalize(tensor, _forget, hooks)
    hooks[number] = hook
    tracing.TRACING.add_leaf_hook(number, hook)
    return GradientHook(hooks, number)


def _forget(hooks: dict[int, Function]) -> None:
    """After the death of a leaf its hooks are nobody's."""
    for number in hooks:
        tracing.TRACING.leaf_hooks.pop(number, None)


def retain_grad(tensor: Tensor) -> None:
    """See `Tensor.retain_grad`."""
    node = _wants_gradient(tensor, "retain_grad")
    if tracing.is_leaf(node) or tensor.retains_grad:
        return
    tensor._retained = node
    holder = weakref.ref(tensor)
    HOOKS.setdefault(node, {})[_LAST + next(_NUMBERS)] = lambda gradient: _kept(holder, gradient)


def leaf_passed(tensor: Tensor, gradient: Node) -> Node:
    """The gradient of a leaf after its hooks."""
    for hook in list(getattr(tensor, "_hooks", {}).values()):
        gradient = _called(hook, gradient)
    return gradient


def add_grad(tensor: Tensor, gradient: Node) -> None:
    """Adds to `.grad`."""
    tracing.record_grad_write(tensor)
    before = tracing.raw_grad(tensor)
    made = Tensor(gradient) if before is None else Tensor(build.add(see(before), gradient))
    tracing.set_raw_grad(tensor, made)


def _wants_gradient(tensor: Tensor, op: str) -> Node:
    node = see(tensor)
    if not node.rg:
        raise GradientError(
            f"[{op}] expected a tensor that requires a gradient, got one that does not; see requires_grad_()"
        )
    return node


def _called(hook: Function, gradient: Node) -> Node:
    """The gradient that a hook leaves."""
    given = Tensor(gradient)
    made = hook(given)
    if made is None:
        return given.node  # which it may have changed in place
    made = handle(made, given)
    if made.shape != given.shape:
        raise ShapeError(f"[register_hook] expected a gradient of shape {given.shape} from the hook, got {made.shape}")
    return build.cast(see(made), given.dtype)


def _kept(holder: weakref.ref[Tensor], gradient: Node) -> Node:
    """Leaves the gradient as it is, and adds it to the holder's, if it still lives."""
    tensor = holder()
    if tensor is not None:
        add_grad(tensor, gradient)
    return gradient
