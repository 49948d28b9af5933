"""The decisions of a rule as data: what it asked, what it would choose, and what is to be chosen instead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One decision of a rule: its default, the other options, and what was taken."""

    default: Any
    options: tuple[Any, ...]
    taken: Any


class Choices:
    """Decisions that differ from a rule's own. Options are numbers, words, truth values, or tuples of those.

    >>> choices = Choices({"tile": [6, 4]})
    >>> choices.pick("tile", (8, 3), [(8, 3), (6, 4)]), choices.pick("unroll", 4, (1, 2, 4))
    ((6, 4), 4)
    >>> choices.asked["unroll"].options, choices.changed
    ((1, 2, 4), {'tile': (6, 4)})
    """

    __slots__ = ("asked", "decisions", "origin")

    def __init__(self, decisions: Mapping[str, Any] | None = None, origin: str = "") -> None:
        self.decisions = {name: _plain(option) for name, option in (decisions or {}).items()}
        self.origin = origin  # where they come from, for people
        self.asked: dict[str, Asked] = {}

    def pick(self, name: str, default: T, options: Iterable[T]) -> T:
        """The rule's `default`, unless another of its `options` was decided. An option that is not offered is no decision."""
        known = tuple(dict.fromkeys((default, *options)))
        wanted = self.decisions.get(name, default)
        taken = next((o for o in known if type(o) is type(wanted) and o == wanted), default)
        self.asked[name] = Asked(default, tuple(sorted(known, key=lambda o: (str(type(o)), o))), taken)
        return taken

    @property
    def changed(self) -> dict[str, Any]:
        """What was taken instead of a default, by the schedules made so far."""
        return {name: one.taken for name, one in self.asked.items() if one.taken != one.default}

    def key(self, kernel: str) -> str:
        """The key of a kernel's code under these decisions; without any, the kernel's own key."""
        if not self.decisions:
            return kernel
        return hashlib.sha256(f"{kernel}|{json.dumps(self.decisions, sort_keys=True)}".encode()).hexdigest()[:40]


def _plain(option: Any) -> Any:
    """Lists, as JSON gives them, are tuples."""
    return tuple(map(_plain, option)) if isinstance(option, (list, tuple)) else option
