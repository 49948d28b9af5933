"""The search for a kernel's schedule: coordinate descent from the rule's own decisions."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ..runtime.tunings import Candidate, Decisions
from ..telemetry.counting import COUNTS
from .client import Answer, Client, WorkerError

PASSES = 4  # the number of passes over all decisions
PRUNED = 3.0  # candidates predicted to be slower than the best prediction by this factor are not compiled
WINNING = 0.97  # a winner takes less than this fraction of the rule's time, with confidence
WINNING_COLD = 1.02  # and less than this fraction of it after pauses
FINALISTS = 2  # the number of candidates that are measured once more
CONFIRM_SECONDS = 2.5  # the time limit of half of the last measurement
COMPILED = ("timed", "wrong", "failed")  # outcomes of candidates that were compiled
LOAD_SECONDS = 60.0  # the least time limit for compiling and running the rule's schedule


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How a search ended. Times are seconds for one run."""

    decisions: Decisions  # those that differ from the rule's defaults; empty if the default schedule is the fastest
    default: float
    best: float
    rule: Decisions  # the default decisions of the rule
    tried: list[Candidate]


class Search:
    """The search for one kernel.

    Args:
        client: the worker that measures.
        packed: the lowered kernel as bytes.
        target: the key of the target that it is for.
        seconds: the time limit of the whole search.
        limit: the time limit of one answer of the worker, in seconds.
    """

    def __init__(self, client: Client, packed: bytes, target: str, seconds: float, limit: float) -> None:
        self.client = client
        self.packed = packed
        self.target = target
        self.limit = limit
        self.deadline = time.monotonic() + seconds
        self.confirm_seconds = min(CONFIRM_SECONDS, seconds / 8)
        self.tried: list[Candidate] = []
        self.scheduled: set[str] = set()  # keys of scheduled kernels; different decisions may give the same kernel
        self.timed: list[tuple[float, Decisions]] = []  # candidates with their ratio to the rule's time
        self.default = 0.0
        self.best_prediction = math.inf
        self.rule: Decisions = {}

    def run(self) -> SearchResult:
        """Searches until no change of one decision is faster, or the time is over.

        Raises:
            WorkerError: the rule's own schedule cannot be measured.
        """
        self._load()
        current = self._inspect({})
        if "refused" in current:
            raise WorkerError(current["refused"])
        self.rule = {name: default for name, (default, _, _) in current["asked"].items()}
        ratio = 1.0
        for _ in range(PASSES):
            before = ratio
            for name in list(current["asked"]):
                for candidate in sorted(self._neighbours(current, name), key=lambda one: one["seconds"]):
                    if self._out_of_time():
                        break
                    measured = self._measure(candidate, ratio)
                    if measured < ratio:
                        ratio, current = measured, candidate
            if ratio == before or self._out_of_time():
                break
        return self._confirmed()

    def _out_of_time(self) -> bool:
        """Whether the time is over; at least one candidate is tried."""
        return bool(self.tried) and time.monotonic() > self.deadline

    def _load(self) -> None:
        """Gives the worker the kernel, after a start of its process too."""
        if not self.client.running:
            self.client.start()
        answer = self.client.ask("load", self.packed, self.target, seconds=max(LOAD_SECONDS, 4 * self.limit))
        if "seconds" not in answer:
            raise WorkerError(answer.get("refused") or answer["wrong"])
        self.default = answer["seconds"]

    def _inspect(self, decisions: Decisions) -> Answer:
        """What the rule makes of decisions; a schedule that was inspected before is `refused`."""
        try:
            answer = self.client.ask("inspect", decisions, seconds=self.limit)
        except WorkerError as error:
            self._record(decisions, "failed", reason=str(error))
            self._load()
            return {"refused": str(error)}
        if "refused" in answer:
            self._record(decisions, "refused", reason=answer["refused"])
        elif answer["kernel"] in self.scheduled:
            return {"refused": "seen"}
        else:
            self.scheduled.add(answer["kernel"])
            self.best_prediction = min(self.best_prediction, answer["seconds"])
        return answer

    def _neighbours(self, current: Answer, name: str) -> list[Answer]:
        """Schedules that differ from the current one in one decision."""
        if name not in current["asked"]:
            return []
        default, options, taken = current["asked"][name]
        neighbours = []
        for option in options:
            if (option == taken and type(option) is type(taken)) or self._out_of_time():
                continue
            decisions = {k: v for k, v in current["changed"].items() if k != name}
            if option != default or type(option) is not type(default):
                decisions[name] = option
            answer = self._inspect(decisions)
            if "refused" not in answer:
                neighbours.append(answer)
        return neighbours

    def _measure(self, candidate: Answer, best: float) -> float:
        """The candidate's time as a part of the rule's; infinite where it is pruned or disqualified."""
        decisions, prediction = candidate["changed"], candidate["seconds"]
        if prediction > PRUNED * self.best_prediction:
            reason = f"{prediction / self.best_prediction:.1f} times the best prediction"
            self._record(decisions, "predicted", reason=reason)
            return math.inf
        try:
            answer = self.client.ask("measure", decisions, best, seconds=self.limit + 10 * self.default)
        except WorkerError as error:
            self._record(decisions, "failed", reason=str(error))
            self._load()
            return math.inf
        if "wrong" in answer:
            self._record(decisions, "wrong", reason=answer["wrong"])
            return math.inf
        if "refused" in answer:
            self._record(decisions, "refused", reason=answer["refused"])
            return math.inf
        ratio = float(answer["ratio"])
        self._record(decisions, "timed", ratio=ratio)
        self.timed.append((ratio, decisions))
        return ratio

    def _record(
        self, decisions: Decisions, outcome: str, *, ratio: float | None = None, reason: str | None = None
    ) -> None:
        """Adds a candidate, with its `ratio` or the `reason` why it has none, and counts it."""
        candidate: Candidate = {"decisions": decisions, "outcome": outcome}
        if ratio is not None:
            candidate["ratio"] = ratio
        if reason is not None:
            candidate["reason"] = reason
        self.tried.append(candidate)
        COUNTS["tuning_candidates"] += outcome in COMPILED
        COUNTS["tuning_disqualified"] += outcome in COMPILED and outcome != "timed"

    def _confirmed(self) -> SearchResult:
        """Measures the fastest candidates once more: the first that is faster beyond noise wins, else the rule's schedule."""
        for ratio, decisions in sorted(self.timed, key=lambda pair: pair[0])[:FINALISTS]:
            if ratio > WINNING:
                break
            try:
                seconds = self.limit + 100 * self.default
                answer = self.client.ask("confirm", decisions, self.confirm_seconds, seconds=seconds)
            except WorkerError as error:
                self._record(decisions, "failed", reason=str(error))
                self._load()
                continue
            if "ratio" not in answer:
                continue
            if answer["ratio"] + answer["spread"] < WINNING and answer["cold_ratio"] < WINNING_COLD:
                best = answer["default"] * answer["ratio"]
                return SearchResult(decisions, answer["default"], best, self.rule, self.tried)
        return SearchResult({}, self.default, self.default, self.rule, self.tried)
