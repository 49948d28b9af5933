"""One call of a function on differentiable inputs: what all transformations of functions are built on.

The differentiated arguments are passed to the function as new handles, so a tensor that it also reaches in another way (a
closure, a module) is another variable. The results carry gradients only where something outside the function requires
them: an enclosing transformation, or a parameter that the function captured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...autodiff import gradient
from ...autodiff.custom import set_grad_enabled
from ...errors import ArgumentError, DTypeError, GradientError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node, spec_of
from ...typing import PyTree
from ..arguments import check_function, integers
from ..dispatch import P, as_tensor
from ..pytree import flatten, unflatten
from ..tensor import Tensor
from ..tracing.tracer import grad_leaf, node_of


class Call:
    """A call of a function on new handles.

    Attributes:
        op: the transformation's name, for errors.
        tree: the nesting of the differentiated arguments.
        inputs: their leaves, as the function got them.
        nodes: the nodes of the inputs.
        aux: the auxiliary output that the function returned beside its value.
        out_tree: the nesting of its value.
        outputs: the leaves of its value.
        outer: whether results carry gradients, as something outside requires them.
    """

    def __init__(
        self, op: str, fn: Callable[..., PyTree], args: Sequence[PyTree], argnums: Sequence[int], has_aux: bool
    ) -> None:
        check_function(fn, op)
        self.op = op
        leaves, self.tree = flatten(tuple([args[n] for n in argnums]))
        self.inputs = [_input(x, op, argnums) for x in leaves]
        arguments = list(args)
        for n, value in zip(argnums, unflatten(self.tree, list(self.inputs)), strict=True):
            arguments[n] = value
        with set_grad_enabled(True):
            result = fn(*arguments)
        self.aux: PyTree = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(
                    f"[{op}] expected fn to return (value, aux) with has_aux=True, got {type(result).__name__}; "
                    "return a pair"
                )
            result, self.aux = result
        leaves, self.out_tree = flatten(result)
        self.outputs = [as_tensor(x) for x in leaves]
        self.nodes = [x.node for x in self.inputs]
        self.outer = GRAD_MODE.on and _reaches_outside([node_of(o) for o in self.outputs], set(self.nodes))

    def released(self, tree: PyTree) -> PyTree:
        """The pytree with tensors that carry no gradient, unless something outside requires one."""
        if self.outer:
            return tree
        leaves, treedef = flatten(tree)
        return unflatten(treedef, [x.detach() if isinstance(x, Tensor) else x for x in leaves])

    def result(self) -> PyTree:
        """The value that the function returned."""
        return self.released(unflatten(self.out_tree, list(self.outputs)))

    def pull(self, cotangents: Sequence[Node]) -> list[Tensor]:
        """The inputs' cotangents from the outputs'; zeros for an input on which nothing depends."""
        with set_grad_enabled(self.outer):
            grads = gradient.vjp([node_of(o) for o in self.outputs], list(cotangents), self.nodes)
        return [Tensor(build.zeros(n.aval) if g is None else g) for n, g in zip(self.nodes, grads, strict=True)]

    def push(self, tangents: Sequence[Node]) -> list[Tensor]:
        """The outputs' tangents from the inputs'; zeros for an output that depends on none."""
        outputs = [node_of(o) for o in self.outputs]
        tangents = [
            build.zeros(o.aval) if t is None else t
            for o, t in zip(outputs, gradient.jvp(outputs, self.nodes, list(tangents)), strict=True)
        ]
        return [Tensor(t) for t in tangents]

    def scalar(self) -> Tensor:
        """The only output. Raises unless it is one floating number."""
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = [o.shape for o in self.outputs]
            raise ShapeError(
                f"[{self.op}] expected fn to return one number, got shapes {shapes}; reduce it, or use vjp"
            )
        if not self.outputs[0].dtype.is_float:
            raise GradientError(
                f"[{self.op}] expected a floating result, got {self.outputs[0].dtype.name}; cast the result in fn"
            )
        return self.outputs[0]


def check_transformation(op: str, fn: object, argnums: object) -> None:
    """Raises `ArgumentError` for what is no function, and for arguments of it in the place of their positions."""
    check_function(fn, op)
    if isinstance(argnums, Tensor) or (isinstance(argnums, np.ndarray) and argnums.ndim):
        raise ArgumentError(
            f"[{op}] expected argnums as the positions of arguments, got an array of shape {argnums.shape}; "
            f"call what is returned: st.{op}(fn)(x)"
        )
    integers(argnums, op, "argnums")


def positions(argnums: int | Sequence[int], count: int, op: str) -> tuple[int, ...]:
    """The positions of differentiated arguments among `count`, counted from the front."""
    numbers = integers(argnums, op, "argnums")
    if not numbers or any(not -count <= n < count for n in numbers):
        raise ArgumentError(
            f"[{op}] expected argnums within {count} positional arguments, got {argnums}; correct argnums"
        )
    return tuple([n % count for n in numbers])


def cast_like(x: PyTree, like: Tensor, op: str) -> Node:
    """A cotangent or tangent in the dtype of the value that it belongs to. Raises `ShapeError` for another shape."""
    tensor = as_tensor(x, like)
    if tensor.shape != like.shape:
        raise ShapeError(f"[{op}] expected a value of shape {like.shape}, got {tensor.shape}; reshape it")
    return build.cast(node_of(tensor), like.dtype)


def _input(x: PyTree, op: str, argnums: Sequence[int]) -> Tensor:
    """A new handle on a differentiated argument. Raises `DTypeError` unless it is floating."""
    tensor = as_tensor(x) if isinstance(x, (Tensor, float)) else None
    if tensor is None or not tensor.dtype.is_float:
        got = type(x).__name__ if tensor is None else tensor.dtype.name
        raise DTypeError(f"[{op}] expected floating tensors in arguments {tuple(argnums)}, got {got}; cast them")
    node = node_of(tensor)
    if not node.rg:
        return Tensor(grad_leaf(node))
    identity = spec_of(
        P["reshape"], (node.aval,), (node.aval.shape,)
    )  # through which gradients flow on to the argument
    return Tensor(Node(identity, (node,), None, True))


def _reaches_outside(outputs: Sequence[Node], inputs: set[Node]) -> bool:
    """Whether the outputs depend on anything with a gradient other than the new leaves."""
    seen: set[Node] = set()
    stack = [o for o in outputs if o.rg]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        operands = [a for a in node.args if a.rg]
        if node in inputs:
            if operands:
                return True
        elif not operands:
            return True
        else:
            stack += operands
    return False
