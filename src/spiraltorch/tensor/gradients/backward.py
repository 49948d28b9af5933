"""Gradient modes, `backward` and `eval`. The transformations of functions are in `transforms`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ...autodiff import gradient as ad
from ...compiler import evaluate
from ...errors import GradientError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node
from ..dispatch import handle, see
from ..pytree import flatten
from ..tensor import Tensor
from ..tracing import tracer as tracing
from . import hooks


class _GradMode:
    """A context manager and decorator that sets whether operations record gradients."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.saved: list[bool] = []

    def __enter__(self) -> None:
        self.saved.append(GRAD_MODE.on)
        GRAD_MODE.on = self.mode

    def __exit__(self, *_: object) -> None:
        GRAD_MODE.on = self.saved.pop()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(self.mode):
                return fn(*args, **kwargs)

        return wrapped


def no_grad(fn: Callable[..., Any] | None = None) -> Any:
    """Within it, results require no gradients: `with no_grad():` or `@no_grad()`."""
    return _GradMode(False) if fn is None else _GradMode(False)(fn)


def enable_grad(fn: Callable[..., Any] | None = None) -> Any:
    """The opposite of `no_grad`."""
    return _GradMode(True) if fn is None else _GradMode(True)(fn)


class set_grad_enabled(_GradMode):  # PyTorch's name
    """Sets the mode at once; as a context manager it is restored at the end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self.saved.append(GRAD_MODE.on)
        GRAD_MODE.on = mode

    def __enter__(self) -> None:
        pass


def is_grad_enabled() -> bool:
    """Whether operations record gradients."""
    return GRAD_MODE.on


def eval(*trees: Any) -> None:  # the design's word
    """Computes all tensors in the given (nested) arguments together, with what is pending.

    >>> import spiraltorch as st
    >>> x = st.ones(2) + 1
    >>> st.eval(x)
    """
    leaves, _ = flatten(trees)
    nodes = []
    for x in leaves:
        if isinstance(x, Tensor):
            tracing.forbid_read(x.node, "eval")
            nodes.append(x.node)
    evaluate.evaluate(nodes + tracing.TRACING.take_deferred())


def backward(root: Tensor, gradient: Any = None, create_graph: bool = False) -> None:
    """Adds d root / d leaf to `.grad` of every leaf that requires one. `gradient` is needed unless root is one number.

    With `create_graph` the gradients can be differentiated in turn. Graphs stay as long as something refers to them, so
    calling it again needs no `retain_graph`.

    >>> import spiraltorch as st
    >>> x = st.tensor(2.0, requires_grad=True)
    >>> (x**3).backward(create_graph=True)
    >>> slope, x.grad = x.grad, None
    >>> slope.backward()
    >>> slope.item(), x.grad.item()
    (12.0, 12.0)
    """
    node = see(root)
    ad.check_differentiable(node, "backward")
    if gradient is None:
        if root.size != 1:
            raise GradientError(f"[backward] expected one number or a gradient, got shape {root.shape}; pass gradient=")
        seed = build.ones(node.aval)
    else:
        given = handle(gradient, root)
        if given.shape != root.shape:
            raise ShapeError(f"[backward] expected a gradient of shape {root.shape}, got {given.shape}")
        seed = build.cast(see(given), root.dtype)
    leaves = _leaves(node)
    with _GradMode(create_graph):
        grads = ad.vjp([node], [seed], leaves)
        for leaf, g in zip(leaves, grads, strict=True):
            owner = getattr(leaf, "owner", None)
            holder = owner() if owner is not None else None
            if holder is None or g is None:
                continue
            hooks.add_grad(holder, hooks.leaf_passed(holder, g))
    if node.buf is None and tracing.recorder() is None:
        tracing.TRACING.defer(root)


def _leaves(root: Node) -> list[Node]:
    """The nodes at which gradients end, without recursion."""
    seen = {root}
    stack = [root]
    found = []
    while stack:
        node = stack.pop()
        follow = [a for a in node.args if a.rg]
        if not follow:
            found.append(node)
        for a in follow:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return found
