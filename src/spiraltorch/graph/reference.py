"""The reference evaluator: evaluates graphs with the NumPy reference of each primitive. Tests compare with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..runtime import device
from .node import Aval, Node


def evaluate(roots: Sequence[Node]) -> list[np.ndarray[Any, Any]]:
    """Evaluates nodes without storing anything in them. Graphs may be of any depth.

    Args:
        roots: nodes, none of which is a call of a primitive with several results.

    Returns:
        An array in C order for each node.

    >>> from spiraltorch.dtypes import float32
    >>> from spiraltorch.graph import build
    >>> evaluate([build.add(build.const(1, float32), build.const(2, float32))])
    [array(3., dtype=float32)]
    """
    values: dict[Node, Any] = {}  # arrays; tuples of them for calls of primitives with several results
    stack = list(roots)
    while stack:
        node = stack[-1]
        if node in values:
            stack.pop()
            continue
        if node.buf is not None:
            values[node] = device.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
            continue
        unevaluated = [a for a in node.args if a not in values]
        if unevaluated:
            stack += unevaluated
            continue
        values[node] = _run(node, [values[a] for a in node.args])
    return [np.array(values[node], order="C") for node in roots]


def _run(node: Node, args: list[Any]) -> Any:
    """The value of a node, or the tuple of values of a call, from its operands' values."""
    prim = node.spec.prim
    assert prim is not None, "a leaf without a buffer is a placeholder of jvp, which no result depends on"
    if prim.name == "scalar":
        args = [node.scalar]
    with np.errstate(all="ignore"):
        out = prim.reference(*args, params=node.spec.params)
    if node.spec.results:
        return tuple([_checked(prim.name, o, aval) for o, aval in zip(out, node.spec.results, strict=True)])
    return _checked(prim.name, out, node.aval)


def _checked(name: str, value: Any, aval: Aval) -> np.ndarray[Any, Any]:
    """An array, whose shape and dtype must be those that the primitive's `infer` gave."""
    out: np.ndarray[Any, Any] = np.asarray(value)
    assert out.shape == aval.shape, f"{name}: the reference has shape {out.shape}, the rule {aval.shape}"
    assert out.dtype == aval.dtype.numpy, f"{name}: the reference has dtype {out.dtype}, the rule {aval.dtype}"
    return out
