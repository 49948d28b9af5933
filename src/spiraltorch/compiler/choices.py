"""The decisions of a schedule rule as data: those it requests, their defaults, and the options that replace defaults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from ..runtime.tunings import Option

T = TypeVar("T", bound=Option)


class Decision(NamedTuple):
    """One decision of a rule: its default, all options, and the one that was taken."""

    default: Option
    options: tuple[Option, ...]
    taken: Option


class Choices:
    """Options that replace a rule's defaults. An option is a number, a string, a bool, or a tuple of these.

    Attributes:
        decisions: the options that replace defaults, by the name of the decision.
        origin: a description of their source.
        asked: the decisions that rules have requested so far.

    >>> choices = Choices({"tile": [6, 4]})
    >>> choices.pick("tile", (8, 3), [(8, 3), (6, 4)]), choices.pick("unroll", 4, (1, 2, 4))
    ((6, 4), 4)
    >>> choices.asked["unroll"].options, choices.changed
    ((1, 2, 4), {'tile': (6, 4)})
    """

    __slots__ = ("asked", "decisions", "origin")

    def __init__(self, decisions: Mapping[str, Option] | None = None, origin: str = "") -> None:
        self.decisions = {name: _hashable(option) for name, option in (decisions or {}).items()}
        self.origin = origin
        self.asked: dict[str, Decision] = {}

    def pick(self, name: str, default: T, options: Iterable[T]) -> T:
        """Makes a decision.

        Args:
            name: the decision's name, unique in a kernel.
            default: the rule's default.
            options: all options; the default need not be among them.

        Returns:
            The option in `decisions`; the default where there is none, or one that is not among the options.
        """
        offered = tuple(dict.fromkeys((default, *options)))
        decided = self.decisions.get(name, default)
        taken = next((o for o in offered if type(o) is type(decided) and o == decided), default)
        self.asked[name] = Decision(default, tuple(sorted(offered, key=lambda o: (str(type(o)), o))), taken)
        return taken

    @property
    def changed(self) -> dict[str, Option]:
        """The options that replaced defaults in the schedules made so far."""
        return {name: one.taken for name, one in self.asked.items() if one.taken != one.default}

    def key(self, kernel: str) -> str:
        """The key of a kernel's code under these decisions; without decisions it is the kernel's own key."""
        if not self.decisions:
            return kernel
        return hashlib.sha256(f"{kernel}|{json.dumps(self.decisions, sort_keys=True)}".encode()).hexdigest()[:40]


def _hashable(option: Option) -> Option:
    """The option with tuples in place of lists, which JSON gives."""
    return tuple(map(_hashable, option)) if isinstance(option, (list, tuple)) else option
