"""`backward`: adds gradients to the leaves of a recorded graph."""

from __future__ import annotations

from ...autodiff import gradient as ad
from ...errors import GradientError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node
from ...typing import ArrayLike
from ..dispatch import as_tensor
from ..tensor import Tensor
from ..tracing.tracer import TRACING, node_of, recorder
from . import hooks


def backward(
    tensor: Tensor, gradient: ArrayLike | None = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Adds the tensor's gradient with respect to each leaf that requires one to the leaf's `.grad`.

    The gradients are recorded like any operation and computed when they are read.

    Args:
        tensor: the differentiated value, of a floating dtype.
        gradient: the gradient of the tensor itself, of its shape; it may be left out for one element, where it is 1.
        retain_graph: accepted for compatibility with PyTorch. A graph lives as long as something refers to it, so
            calling `backward` twice needs no such request.
        create_graph: whether the gradients can be differentiated in turn.

    Raises:
        GradientError: nothing that the tensor was computed from requires a gradient, or `gradient` is missing for a
            tensor of more than one element.
        ShapeError: `gradient` has another shape than the tensor.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor(2.0, requires_grad=True)
        >>> (x**3).backward(create_graph=True)
        >>> slope, x.grad = x.grad, None
        >>> slope.backward()
        >>> slope.item(), x.grad.item()
        (12.0, 12.0)
    """
    node = node_of(tensor)
    ad.check_differentiable(node, "backward")
    if gradient is None:
        if tensor.size != 1:
            raise GradientError(
                f"[backward] expected one number or a gradient, got shape {tensor.shape}; pass gradient="
            )
        seed = build.ones(node.aval)
    else:
        cotangent = as_tensor(gradient, tensor)
        if cotangent.shape != tensor.shape:
            raise ShapeError(
                f"[backward] expected a gradient of shape {tensor.shape}, got {cotangent.shape}; reshape it"
            )
        seed = build.cast(node_of(cotangent), tensor.dtype)
    leaves = _leaves(node)
    mode = GRAD_MODE.on
    GRAD_MODE.on = create_graph  # not by a `with` block, whose exit might be interrupted
    try:
        grads = ad.vjp([node], [seed], leaves)
        sums = []
        for leaf, grad in zip(leaves, grads, strict=True):
            owner = getattr(leaf, "owner", None)
            holder = owner() if owner is not None else None
            if holder is not None and grad is not None:
                sums.append((holder, hooks.after_leaf_hooks(holder, grad)))
        hooks.add_grads(sums)
    finally:
        GRAD_MODE.on = mode
    if node.buf is None and recorder() is None:
        TRACING.defer(tensor)


def _leaves(root: Node) -> list[Node]:
    """The nodes at which gradients end, without recursion."""
    seen = {root}
    stack = [root]
    leaves = []
    while stack:
        node = stack.pop()
        operands = [a for a in node.args if a.rg]
        if not operands:
            leaves.append(node)
        for a in operands:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return leaves
