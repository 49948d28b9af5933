"""The structural key of a graph, by which its plan is found.

Two graphs with the same key differ in the values of their leaves and scalars only, so one plan runs both.
"""

from __future__ import annotations

from typing import Any

from ..graph.node import Node


def walk(roots: list[Node]) -> tuple[list[Node], tuple[Any, ...], list[Any], list[Node]]:
    """One pass in discovery order: the nodes, the structural key, the scalars' values, and the leaves.

    The key holds each node's spec and the numbers of its operands. A leaf used twice has one number, two leaves of one
    aval have two, so aliasing is part of it. Values of scalars are not.
    """
    order = list(roots)
    seen: dict[Node, int] = {}
    number = 0
    for node in order:
        seen[node] = number
        number += 1
    key: list[Any] = [number]
    scalars: list[Any] = []
    leaves: list[Node] = []
    put = key.append
    known = seen.setdefault
    for node in order:  # grows while it is walked
        if node.buf is not None:
            put(node.aval)
            leaves.append(node)
            continue
        put(node.spec)
        for arg in node.args:
            i = known(arg, number)
            if i == number:
                number += 1
                order.append(arg)
            put(i)
        if node.scalar is not None:
            scalars.append(node.scalar)
    return order, tuple(key), scalars, leaves
