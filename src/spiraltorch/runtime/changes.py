"""Changes of several objects that happen all at once: an exception of a signal handler finds all of them made, or none.

Python runs signal handlers between steps of Python code in the main thread, never inside a call of a function in C. So the
changes are made by one such call, which exhausts an iterator of `setattr` and `delattr`. A launch into native code may come
first in the same call (`runtime.protocol.Program.run`): then results that it wrote over old values are installed for certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain


class Changes:
    """Attributes to set and to delete. The objects are without `__setattr__`, properties and the like in Python."""

    __slots__ = ("_before", "_deleted", "_deleted_names", "_names", "_objects", "_values")

    def __init__(self) -> None:
        self._objects: list[object] = []
        self._names: list[str] = []
        self._values: list[object] = []
        self._deleted: list[object] = []
        self._deleted_names: list[str] = []
        self._before: list[object] = []

    def set(self, obj: object, name: str, value: object) -> None:
        """Adds an attribute to set."""
        self._objects.append(obj)
        self._names.append(name)
        self._values.append(value)

    def delete(self, obj: object, name: str) -> None:
        """Adds an attribute to delete, which exists. That happens before others are set."""
        self._deleted.append(obj)
        self._deleted_names.append(name)

    def extend(self, other: Changes) -> None:
        """Adds the changes of another object."""
        self._objects += other._objects
        self._names += other._names
        self._values += other._values
        self._deleted += other._deleted
        self._deleted_names += other._deleted_names

    def replaced(self, name: str) -> list[object]:
        """The present values of the attributes of this name that are to be set."""
        return [getattr(o, n) for o, n in zip(self._objects, self._names, strict=True) if n == name]

    def calls(self) -> Iterator[None]:
        """The calls that make the changes. Old values are kept: to free them may run Python code."""
        self._before += [getattr(o, n, None) for o, n in zip(self._objects, self._names, strict=True)]
        self._before += [getattr(o, n) for o, n in zip(self._deleted, self._deleted_names, strict=True)]
        return chain(
            map(delattr, self._deleted, self._deleted_names), map(setattr, self._objects, self._names, self._values)
        )

    def make(self) -> None:
        """Makes the changes."""
        any(self.calls())
