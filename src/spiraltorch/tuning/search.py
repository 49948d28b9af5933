"""The search for a kernel's schedule: from the rule's choice, one decision at a time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, cast

from ..runtime.tunings import Candidate
from ..telemetry.counting import COUNTS
from .client import Client, Failed

PASSES = 4
HOPELESS = 3.0  # what is predicted to take so many times as long as the best prediction is not tried
GAIN = 0.97  # a winner takes at most this part of the rule's time, noise deducted
NO_LOSS = 1.02  # and this part where the device was idle before
FINALISTS = 2
RUN = ("timed", "wrong", "failed")  # outcomes of candidates that were compiled


@dataclass(frozen=True, slots=True)
class Found:
    """How a search ended. Times are seconds for one run."""

    decisions: dict[str, Any]  # empty: the rule's choice stays
    default: float
    best: float
    rule: dict[str, Any]  # its own decisions
    tried: list[Candidate]


class Search:
    """One kernel's search. `packed` is the lowered kernel, `target` the key of what it is for."""

    def __init__(self, client: Client, packed: bytes, target: str, seconds: float, limit: float) -> None:
        self.client = client
        self.packed = packed
        self.target = target
        self.limit = limit  # for one answer
        self.until = time.monotonic() + seconds
        self.patience = min(2.5, seconds / 8)  # of half a last comparison
        self.tried: list[Candidate] = []
        self.seen: set[str] = set()
        self.timed: list[tuple[float, dict[str, Any]]] = []  # ratios to the rule's time
        self.default = 0.0
        self.best_guess = math.inf
        self.rule: dict[str, Any] = {}

    def run(self) -> Found:
        """Searches until nothing gets better or the time is over. Raises `Failed` where the rule's own choice does."""
        self._begin()
        here = self._look({})
        if "refused" in here:
            raise Failed(here["refused"])
        self.rule = {name: default for name, (default, _, _) in here["asked"].items()}
        ratio = 1.0
        for _ in range(PASSES):
            before = ratio
            for name in list(here["asked"]):
                for guess, found in sorted(self._neighbours(here, name), key=lambda pair: pair[0]):
                    if self._over():
                        break
                    got = (
                        self._attempt(found, ratio) if guess <= HOPELESS * self.best_guess else self._skip(found, guess)
                    )
                    if got < ratio:
                        ratio, here = got, found
            if ratio == before or self._over():
                break
        return self._decided()

    def _over(self) -> bool:
        """Whether the time is over; something is always tried."""
        return bool(self.tried) and time.monotonic() > self.until

    def _begin(self) -> None:
        if not self.client.running:
            self.client.start()
        answer = self.client.ask("kernel", self.packed, self.target, seconds=max(60.0, 4 * self.limit))
        if "seconds" not in answer:
            raise Failed(answer.get("refused") or answer["wrong"])
        self.default = answer["seconds"]

    def _look(self, decisions: dict[str, Any]) -> dict[str, Any]:
        """What the rule makes of decisions; a schedule that was seen already is `refused`."""
        try:
            answer = self.client.ask("look", decisions, seconds=self.limit)
        except Failed as failed:
            self._note(decisions, "failed", reason=str(failed))
            self._begin()
            return {"refused": str(failed)}
        if "refused" in answer:
            self._note(decisions, "refused", reason=answer["refused"])
        elif answer["same"] in self.seen:
            return {"refused": "seen"}
        else:
            self.seen.add(answer["same"])
            self.best_guess = min(self.best_guess, answer["seconds"])
        return answer

    def _neighbours(self, here: dict[str, Any], name: str) -> list[tuple[float, dict[str, Any]]]:
        """Schedules with one decision changed, with their predicted times."""
        if name not in here["asked"]:
            return []
        default, options, taken = here["asked"][name]
        found = []
        for option in options:
            if (option == taken and type(option) is type(taken)) or self._over():
                continue
            decisions = {k: v for k, v in here["changed"].items() if k != name}
            if option != default or type(option) is not type(default):
                decisions[name] = option
            answer = self._look(decisions)
            if "refused" not in answer:
                found.append((answer["seconds"], answer))
        return found

    def _skip(self, found: dict[str, Any], guess: float) -> float:
        self._note(found["changed"], "predicted", reason=f"{guess / self.best_guess:.1f} times the best prediction")
        return math.inf

    def _attempt(self, found: dict[str, Any], best: float) -> float:
        """The time as a part of the rule's; infinite where the schedule is disqualified."""
        decisions = found["changed"]
        try:
            answer = self.client.ask("attempt", decisions, best, seconds=self.limit + 10 * self.default)
        except Failed as failed:
            self._note(decisions, "failed", reason=str(failed))
            self._begin()
            return math.inf
        for outcome in ("wrong", "refused"):
            if outcome in answer:
                self._note(decisions, outcome, reason=answer[outcome])
                return math.inf
        ratio = float(answer["ratio"])
        self._note(decisions, "timed", ratio=ratio)
        self.timed.append((ratio, decisions))
        return ratio

    def _note(self, decisions: dict[str, Any], outcome: str, **more: Any) -> None:
        """Adds a candidate, with its `ratio` or the `reason` why it has none, and counts it."""
        self.tried.append(cast(Candidate, {"decisions": decisions, "outcome": outcome, **more}))
        COUNTS["tuning_candidates"] += outcome in RUN
        COUNTS["tuning_disqualified"] += outcome in RUN and outcome != "timed"

    def _decided(self) -> Found:
        """The first of the quickest that is quicker beyond noise when it is measured once more."""
        for ratio, decisions in sorted(self.timed, key=lambda pair: pair[0])[:FINALISTS]:
            if ratio > GAIN:
                break
            try:
                answer = self.client.ask("last", decisions, self.patience, seconds=self.limit + 100 * self.default)
            except Failed as failed:
                self._note(decisions, "failed", reason=str(failed))
                self._begin()
                continue
            if "ratio" in answer and answer["ratio"] + answer["spread"] < GAIN and answer["cold"] < NO_LOSS:
                return Found(decisions, answer["default"], answer["default"] * answer["ratio"], self.rule, self.tried)
        return Found({}, self.default, self.default, self.rule, self.tried)
