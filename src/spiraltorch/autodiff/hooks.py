"""Gradient hooks: functions that receive the gradient of a node in the backward pass and may replace it.

`HOOKS` maps nodes, which it references weakly, to their hooks by registration number. `gradient.vjp` applies the hooks
of a node once its gradient is complete. Copies of a node that recompute it (`checkpoint`) share its hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..graph.node import Node

Hook = Callable[[Node], Node]
HOOKS: WeakKeyDictionary[Node, dict[int, Hook]] = WeakKeyDictionary()


def apply_hooks(node: Node, gradient: Node) -> Node:
    """Applies the hooks of a node to its gradient, in the order of registration, and returns the result."""
    for _, hook in sorted(HOOKS.get(node, {}).items()):
        gradient = hook(gradient)
    return gradient


def share_hooks(node: Node, copy: Node) -> None:
    """Registers the hooks of a node for a copy of it; the two then have one table of hooks."""
    if node in HOOKS:
        HOOKS[copy] = HOOKS[node]
