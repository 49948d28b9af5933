"""`register_hook` and `retain_grad`: functions that see the gradient of a tensor while `backward` computes it.

A result's hooks belong to its node, through which the gradient passes. A leaf's node changes with its value, so a leaf's
hooks belong to the handle. What a hook computes is recorded with the rest of `backward`, so a compiled function replays
it without calling the hook again.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ...autodiff.hooks import hooks_of
from ...errors import ArgumentError, GradientError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node
from ...runtime.changes import Changes
from ...typing import ArrayLike
from ..aliasing import assign, new_node, plan_write
from ..dispatch import as_tensor
from ..tensor import Tensor
from ..tracing.tracer import TRACING, is_leaf, node_of, raw_grad, record_grad_write, recorder

if TYPE_CHECKING:
    from typing_extensions import Self

Hook = Callable[[Tensor], ArrayLike | None]
_NUMBERS = itertools.count()
_LAST = 1 << 62  # what is retained is what all other hooks leave


class GradientHook:
    """A registered hook, as `register_hook` returns it; a `with` block removes it at its end."""

    def __init__(self, hooks: MutableMapping[int, Any], number: int) -> None:
        self._hooks = hooks
        self.id = number

    def remove(self) -> None:
        """Removes the hook; a second call does nothing.

        Example:
            >>> import spiraltorch as st
            >>> x = st.tensor(3.0, requires_grad=True)
            >>> hook = x.register_hook(print)
            >>> hook.remove()
        """
        self._hooks.pop(self.id, None)
        TRACING.remove_leaf_hook(self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_hook(tensor: Tensor, hook: Hook) -> GradientHook:
    """Calls `hook(gradient)` whenever the gradient of `tensor` is complete.

    Hooks of one tensor run in the order of their registration.

    Args:
        tensor: a tensor that requires a gradient, a leaf or a result.
        hook: takes the gradient, of the tensor's shape and dtype; what it returns, if not None, replaces the gradient.

    Returns:
        The registered hook, with `remove()`; it is a context manager too.

    Raises:
        ArgumentError: `hook` is not callable.
        GradientError: the tensor requires no gradient.
        ShapeError: in `backward`, if a hook returns a gradient of another shape.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor(3.0, requires_grad=True)
        >>> with x.register_hook(lambda gradient: gradient * 10):
        ...     (x * 2).backward()
        >>> x.grad.item()
        20.0
    """
    if not callable(hook):
        raise ArgumentError(f"[register_hook] expected a function, got {type(hook).__name__}; pass a callable")
    node = _differentiable_node(tensor, "register_hook")
    number = next(_NUMBERS)
    if not is_leaf(node):
        active = recorder()
        node = node if active is None else active.hooked_node(node)
        node_hooks = hooks_of(node)
        node_hooks[number] = lambda gradient: _after_hook(hook, gradient)
        return GradientHook(node_hooks, number)
    hooks: dict[int, Hook] | None = getattr(tensor, "_hooks", None)
    if hooks is None:
        hooks = tensor._hooks = {}
        weakref.finalize(tensor, _forget, hooks)
    hooks[number] = hook
    TRACING.add_leaf_hook(number, tensor)
    return GradientHook(hooks, number)


def _forget(hooks: dict[int, Hook]) -> None:
    """Drops the hooks of a leaf that has died."""
    for number in hooks:
        TRACING.leaf_hooks.pop(number, None)


def retain_grad(tensor: Tensor) -> None:
    """Lets `backward` accumulate the gradient of a result in its `.grad`, as it does for leaves.

    Args:
        tensor: a tensor that requires a gradient; nothing changes for a leaf.

    Raises:
        GradientError: the tensor requires no gradient.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor(3.0, requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> (y * y).backward()
        >>> y.grad.item()
        12.0
    """
    node = _differentiable_node(tensor, "retain_grad")
    if is_leaf(node) or tensor.retains_grad:
        return
    tensor._retained = node
    holder = weakref.ref(tensor)
    hooks_of(node)[_LAST + next(_NUMBERS)] = lambda gradient: _retained(holder, gradient)


def after_leaf_hooks(tensor: Tensor, gradient: Node) -> Node:
    """The gradient of a leaf after its hooks."""
    for hook in list(getattr(tensor, "_hooks", {}).values()):
        gradient = _after_hook(hook, gradient)
    return gradient


def add_grads(gradients: list[tuple[Tensor, Node]]) -> None:
    """Adds gradients to the `.grad` of tensors, in place where there is one.

    All are added at once: an exception of a signal handler finds all of them, or none. Only a `.grad` that is a view, or
    shares an array's memory, follows the others.
    """
    sums: dict[int, tuple[Tensor, Node]] = {}
    for tensor, gradient in gradients:
        known = sums.get(id(tensor))
        sums[id(tensor)] = tensor, gradient if known is None else build.add(known[1], gradient)
    changes, later = Changes(), list[tuple[Tensor, Node]]()
    for tensor, gradient in sums.values():
        record_grad_write(tensor)
        before = raw_grad(tensor)
        if before is None or GRAD_MODE.on:  # as in PyTorch: with `create_graph` the sum is another tensor
            after = Tensor(gradient if before is None else build.add(node_of(before), gradient))
            changes.set(tensor, "_grad", after)
            continue
        node = build.cast(build.add(node_of(before), gradient), before.dtype)
        if recorder() is not None or not plan_write(before, new_node(before, node), changes):
            later.append((before, node))
    changes.make()
    for before, node in later:
        assign(before, node)


def _differentiable_node(tensor: Tensor, op: str) -> Node:
    """The node of a tensor that requires a gradient; raises `GradientError` for one that does not."""
    node = node_of(tensor)
    if not node.rg:
        raise GradientError(
            f"[{op}] expected a tensor that requires a gradient, got one that does not; see requires_grad_()"
        )
    return node


def _after_hook(hook: Hook, gradient: Node) -> Node:
    """The gradient that a hook leaves: what it returns, or its argument, which it may have changed in place."""
    argument = Tensor(gradient)
    returned = hook(argument)
    if returned is None:
        return argument.node
    result = as_tensor(returned, argument)
    if result.shape != argument.shape:
        raise ShapeError(
            f"[register_hook] expected a gradient of shape {argument.shape} from the hook, got {result.shape}; "
            "return a gradient of that shape"
        )
    return build.cast(node_of(result), argument.dtype)


def _retained(holder: weakref.ref[Tensor], gradient: Node) -> Node:
    """Adds the gradient to the holder's, if it is still alive, and leaves it as it is."""
    tensor = holder()
    if tensor is not None:
        add_grads([(tensor, gradient)])
    return gradient
