"""Schedule choices from the tuning store, and from tuners while they are active."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..runtime import tunings
from ..runtime.protocol import Device
from ..runtime.tunings import Entry
from .choices import Choices
from .lowering.lowered import Lowered


class Tuner(Protocol):
    """Searches for the schedule of a kernel that the store has no entry of. See the package `tuning`."""

    def tune(self, device: Device, key: str, lowered: Lowered) -> Entry | None:
        """The entry of a kernel, or None where it is not worth a search."""


class TuningState:
    """Which tuners are active, and how often that has changed. `TUNING` is the one instance.

    Written by `activate` and `deactivate`, which the package `tuning` calls. Read under the evaluation lock when plans
    are made and run. A plan remembers the generation in which it looked up its choices, and does so again in another one.

    Attributes:
        generation: changes whenever a tuner is activated or deactivated.
    """

    __slots__ = ("_tuners", "generation")

    def __init__(self) -> None:
        self.generation = 0
        self._tuners: list[Tuner] = []

    def activate(self, tuner: Tuner) -> None:
        """Kernels without an entry go to this tuner, until it is deactivated or another one is activated."""
        self._tuners.append(tuner)
        self.generation += 1

    def deactivate(self, tuner: Tuner) -> None:
        """Ends what `activate` began. The tuner that was active before is active again."""
        self._tuners.remove(tuner)
        self.generation += 1

    def decide(self, device: Device, kernels: Iterable[tuple[str, Lowered]]) -> bool:
        """Looks up the choices for kernels, given with their keys. Returns whether any kernel has others than before."""
        changed = False
        for key, lowered in kernels:
            name = tunings.entry_key(key, device.target.key)
            entry = tunings.read(name)
            if entry is None and self._tuners:
                entry = self._tuners[-1].tune(device, name, lowered)
            if entry is not None:
                choices = Choices(entry.decisions, entry.origin)
                changed = changed or choices.decisions != lowered.choices.decisions
                lowered.choices = choices
        return changed


TUNING = TuningState()
