"""Stand-ins for objects in the keys and on the way of guards: by identity, with or without keeping the object, and by class."""

from __future__ import annotations

import weakref
from collections.abc import Hashable


class ClassOf:
    """Stands for a class that was reached by its instances only: its constructors are not called."""

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        self.kind = kind


class Identity:
    """Stands for an object in a key: equal to itself only. It keeps the object, so its address is not used again."""

    __slots__ = ("object",)

    def __init__(self, obj: object) -> None:
        self.object = obj

    def __hash__(self) -> int:
        return id(self.object)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.object is self.object


class WeakIdentity:
    """The same without keeping the object: equal while it lives."""

    __slots__ = ("hash", "object")

    def __init__(self, obj: object) -> None:
        self.object = weakref.ref(obj)
        self.hash = id(obj)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WeakIdentity) and other.object is self.object and self.object() is not None


def is_dead(key: tuple[Hashable, ...]) -> bool:
    """Whether the key of a snapshot is that of objects which are no more."""
    return any(type(token) is WeakIdentity and token.object() is None for token in key)
