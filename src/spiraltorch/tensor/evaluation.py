"""`eval`: computes tensors without reading them."""

from __future__ import annotations

from ..compiler import evaluate
from ..typing import PyTree
from .pytree import flatten
from .tensor import Tensor
from .tracing.tracer import TRACING, forbid_read, node_of


def eval(*trees: PyTree) -> None:  # the established name
    """Computes tensors together, in one plan for each device.

    Operations are recorded and run when a value is read; `eval` runs them now, so that a later read does not wait and
    the recorded graph is released.

    Args:
        *trees: tensors, or nested lists, tuples and dicts of them; other leaves are ignored.

    Raises:
        TracingError: a function is being recorded by `st.compile`.

    Example:
        >>> import spiraltorch as st
        >>> x = st.ones(2) + 1
        >>> st.eval(x)
    """
    leaves, _ = flatten(trees)
    nodes = []
    for x in leaves:
        if isinstance(x, Tensor):
            node = node_of(x)
            forbid_read(node, "eval")
            nodes.append(node)
    evaluate.evaluate(nodes + TRACING.take_deferred())
