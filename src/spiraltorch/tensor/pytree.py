"""Nested lists, tuples and dicts of tensors as flat lists."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """The leaves, and a hashable description of what was around them. Anything that is no container is a leaf."""
    leaves: list[Any] = []
    return leaves, _describe(tree, leaves)


def _describe(tree: Any, leaves: list[Any]) -> Any:
    kind = type(tree)
    if kind is tuple or kind is list:
        return (kind, tuple([_describe(x, leaves) for x in tree]))
    if kind is dict or kind is OrderedDict:
        return (kind, tuple(tree), tuple([_describe(x, leaves) for x in tree.values()]))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (kind, tuple([_describe(x, leaves) for x in tree]))
    leaves.append(tree)
    return None


def unflatten(tree: Any, leaves: list[Any]) -> Any:
    """The inverse of `flatten`."""
    return _build(tree, iter(leaves))


def _build(tree: Any, leaves: Any) -> Any:
    if tree is None:
        return next(leaves)
    kind = tree[0]
    if kind is dict or kind is OrderedDict:
        return kind((k, _build(t, leaves)) for k, t in zip(tree[1], tree[2], strict=True))
    parts = [_build(t, leaves) for t in tree[1]]
    return parts if kind is list else tuple(parts) if kind is tuple else kind(*parts)
