"""Where lowered kernels get decisions from: the store, and while a tuner is at work its search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ...runtime import tunings
from ...runtime.tunings import Entry
from ..choices import Choices
from ..lowering.lowered import Lowered


class Tuner(Protocol):
    """Searches for the schedule of a kernel that has no entry; see the room `tuning`."""

    def tune(self, device: Any, key: str, lowered: Lowered) -> Entry | None: ...


TUNERS: list[Tuner] = []  # the one at work is the last
GENERATION = [0]  # a plan of an earlier one asks again when it is used


def decide(device: Any, kernels: Iterable[tuple[str, Lowered]]) -> bool:
    """Gives kernels, each with its key, the decisions that are known; tells whether any has others than before."""
    changed = False
    for key, lowered in kernels:
        name = tunings.entry_key(key, device.target.key)
        entry = tunings.read(name)
        if entry is None and TUNERS:
            entry = TUNERS[-1].tune(device, name, lowered)
        if entry is not None:
            choices = Choices(entry.decisions, entry.origin)
            changed = changed or choices.decisions != lowered.choices.decisions
            lowered.choices = choices
    return changed
