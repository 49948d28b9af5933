"""Derivatives other than those of the recorded operations: `checkpoint` and `custom_vjp`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

from ...autodiff import checkpoint as checkpointing
from ...autodiff import custom as rules
from ...errors import GradientError
from ...graph.node import Node
from ...typing import PyTree
from ..arguments import check_function
from ..dispatch import as_tensor
from ..pytree import TreeDef, flatten, unflatten
from ..tensor import Tensor
from ..tracing.tracer import node_of

P = ParamSpec("P")
R = TypeVar("R")
Residuals: TypeAlias = Any  # what a user's `forward` keeps for its `backward`


def checkpoint(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Computes `fn(*args, **kwargs)` without keeping its intermediate values for the gradient.

    They are recomputed in the backward pass, which saves memory and costs time. Random numbers are the same both times.

    Args:
        fn: a function of tensors and other values.
        *args: its arguments. Pass large tensors here rather than capture them, because captured values are kept.
        **kwargs: its keyword arguments; tensors among them count as captured.

    Returns:
        The result of `fn`.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor(2.0, requires_grad=True)
        >>> st.checkpoint(lambda v: (v * 3) ** 2, x).backward()
        >>> x.grad.item()
        36.0
    """
    check_function(fn, "checkpoint")
    leaves, tree = flatten(args)
    places = [n for n, x in enumerate(leaves) if isinstance(x, Tensor)]
    outputs: list[Any] = []
    out_tree: TreeDef = None

    def run(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        nonlocal outputs, out_tree
        arguments = unflatten(tree, _with_nodes(leaves, places, nodes))
        outputs, out_tree = flatten(fn(*arguments, **kwargs))
        return tuple([node_of(x) for x in outputs if isinstance(x, Tensor)])

    results = iter(checkpointing.checkpoint(run, tuple([node_of(leaves[n]) for n in places])))
    result: R = unflatten(out_tree, [Tensor(next(results)) if isinstance(x, Tensor) else x for x in outputs])
    return result


class custom_vjp(Generic[R]):  # used like a function, as in JAX
    """A function with a custom derivative, which `defvjp` sets.

    Args:
        fn: the function; its arguments are tensors, and values without gradients. It gives the name and the docstring:
            what is computed is the `forward` of `defvjp`.

    Raises:
        GradientError: when called, if `defvjp` was not called, or in the backward pass, if `backward` returns a wrong
            number of cotangents or one of another shape or dtype.

    Example:
        >>> import spiraltorch as st
        >>> double = st.custom_vjp(lambda x: x * 2)
        >>> double.defvjp(lambda x: (x * 2, None), lambda _, g: (g * 100,))
        >>> st.grad(double)(st.tensor(1.0)).item()
        100.0
    """

    def __init__(self, fn: Callable[..., R]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.forward: Callable[..., tuple[R, Residuals]] | None = None
        self.backward: Callable[[Residuals, PyTree], PyTree] | None = None

    def defvjp(
        self, forward: Callable[..., tuple[R, Residuals]], backward: Callable[[Residuals, PyTree], PyTree]
    ) -> None:
        """Sets the function's value and its derivative.

        Args:
            forward: takes the arguments and returns (result, residuals), where residuals are anything that `backward`
                needs.
            backward: takes the residuals and the cotangent, nested like the result. It returns a tuple with one
                cotangent for each tensor argument, of its shape and dtype, or None where there is no gradient. It has
                to be linear in the cotangent.

        Example:
            >>> import spiraltorch as st
            >>> clipped = st.custom_vjp(lambda x: x)
            >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (g.clip(-1, 1),))
            >>> st.grad(lambda x: clipped(x) * 5)(st.tensor(1.0)).item()
            1.0
        """
        self.forward, self.backward = forward, backward

    def __call__(self, *args: PyTree) -> R:
        """The function's value."""
        if self.forward is None or self.backward is None:
            raise GradientError(
                f"[custom_vjp] expected defvjp() to be called before {self.fn!r} is used; "
                "call defvjp(forward, backward) first"
            )
        forward, backward = self.forward, self.backward
        places = [n for n, x in enumerate(args) if isinstance(x, Tensor)]
        out_tree: TreeDef = None

        def run(nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], object]:
            nonlocal out_tree
            result, residuals = forward(*_with_nodes(list(args), places, nodes))
            outputs, out_tree = flatten(result)
            return tuple([node_of(as_tensor(x)) for x in outputs]), residuals

        def pull(residuals: object, cotangents: tuple[Node, ...]) -> list[Node | None]:
            grads = backward(residuals, unflatten(out_tree, [Tensor(c) for c in cotangents]))
            grads = grads if isinstance(grads, (tuple, list)) else (grads,)
            return [None if g is None else node_of(as_tensor(g)) for g in grads]

        results = rules.custom_vjp(run, pull, tuple([node_of(args[n]) for n in places]))
        value: R = unflatten(out_tree, [Tensor(n) for n in results])
        return value


def _with_nodes(leaves: list[Any], places: list[int], nodes: tuple[Node, ...]) -> list[Any]:
    """The leaves with tensors of the given nodes in these places."""
    replaced = list(leaves)
    for n, node in zip(places, nodes, strict=True):
        replaced[n] = Tensor(node)
    return replaced
