"""Functions that see the gradient of a node on its way back, and may replace it.

`HOOKS` holds them weakly by node. `gradient.vjp` asks it when the gradient of a node is complete; copies of a node
that are made to compute it again share its hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..graph.node import Node

Hook = Callable[[Node], Node]
HOOKS: WeakKeyDictionary[Node, dict[int, Hook]] = WeakKeyDictionary()


def passed(node: Node, gradient: Node) -> Node:
    """The gradient after the node's hooks, in the order of their numbers."""
    for _, hook in sorted(HOOKS.get(node, {}).items()):
        gradient = hook(gradient)
    return gradient


def share(node: Node, copy: Node) -> None:
    """Gives the hooks of a node to a copy of it."""
    if node in HOOKS:
        HOOKS[copy] = HOOKS[node]
