"""Pytrees: nested lists, tuples, named tuples and dicts as a flat list of leaves and a description of the nesting."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, TypeAlias

from ..typing import PyTree

TreeDef: TypeAlias = tuple[Any, ...] | None
"""The nesting of a pytree, hashable: None for a leaf, else the container's type, for dicts the keys, and the items'."""


def flatten(tree: PyTree) -> tuple[list[Any], TreeDef]:
    """The leaves of a pytree in order, and its nesting. Everything that is not a container is a leaf."""
    leaves: list[Any] = []
    return leaves, _flatten_into(tree, leaves)


def _flatten_into(tree: PyTree, leaves: list[Any]) -> TreeDef:
    """Appends the leaves to a list; returns the nesting."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return (kind, tuple([_flatten_into(x, leaves) for x in tree]))
    if kind is dict or kind is OrderedDict:
        return (kind, tuple(tree), tuple([_flatten_into(x, leaves) for x in tree.values()]))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (kind, tuple([_flatten_into(x, leaves) for x in tree]))
    leaves.append(tree)
    return None


def unflatten(treedef: TreeDef, leaves: list[Any]) -> PyTree:
    """The pytree of this nesting with these leaves: the inverse of `flatten`."""
    return _build(treedef, iter(leaves))


def _build(treedef: TreeDef, leaves: Iterator[Any]) -> PyTree:
    if treedef is None:
        return next(leaves)
    kind = treedef[0]
    if kind is dict or kind is OrderedDict:
        return kind((k, _build(t, leaves)) for k, t in zip(treedef[1], treedef[2], strict=True))
    items = [_build(t, leaves) for t in treedef[1]]
    return items if kind is list else tuple(items) if kind is tuple else kind(*items)
