"""Gradient hooks: functions that receive the gradient of a node in the backward pass and may replace it.

`Node.hooks` holds the hooks of a node by registration number. `gradient.vjp` applies them once its gradient is complete. Copies of a node that recompute it (`checkpoint`) share its hooks.
"""

from __future__ import annotations

from collections.abc import Callable

from ..graph.node import Node

Hook = Callable[[Node], Node]


def hooks_of(node: Node) -> dict[int, Hook]:
    """The table of a node's hooks, which is made where there is none."""
    if not hasattr(node, "hooks"):
        node.hooks = {}
    return node.hooks


def apply_hooks(node: Node, gradient: Node) -> Node:
    """Applies the hooks of a node to its gradient, in the order of registration, and returns the result."""
    for _, hook in sorted(getattr(node, "hooks", {}).items()):
        gradient = hook(gradient)
    return gradient


def share_hooks(node: Node, copy: Node) -> None:
    """Registers the hooks of a node for a copy of it; the two then have one table of hooks."""
    if hasattr(node, "hooks"):
        copy.hooks = node.hooks
