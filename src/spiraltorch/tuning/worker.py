"""The process in which candidates are scheduled, compiled and run: `python -m spiraltorch.tuning.worker DEVICE`.

Requests come as pickles on stdin, each after its length in eight bytes; answers go out as JSON lines. A request is a name
and its arguments:

- `load`, a packed lowered kernel and the target's key: the rule's schedule is compiled and run. Gives its `seconds`.
- `inspect`, decisions: the kernel is scheduled with them. Gives what was `asked`, what was `changed`, a key of the scheduled
  `kernel`, and the predicted `seconds`.
- `measure`, decisions and the best ratio so far: the schedule is compiled, checked and timed against the rule's.
- `confirm`, decisions and seconds: it is timed for so long without pauses, and for so long with pauses.

An answer may have `wrong` instead, where the results differ from the rule's, or `refused`, where the schedule cannot be made
or run. The process ends when its stdin is closed.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import IO

from ..compiler.choices import Choices
from ..compiler.lowering import Lowered
from ..compiler.schedules import schedule
from ..errors import ArgumentError
from ..ir.kernel_key import kernel_key
from ..ir.stmt import Kernel
from ..ir.verifier import IRError, verify
from ..ir.wire import unpack
from ..runtime import device as devices
from ..runtime.interpreter import deep_recursion
from ..runtime.protocol import Device
from ..runtime.tunings import Option
from .client import Answer
from .cost import predict
from .trial import Comparison, LoadedSchedule, Trial, WrongResultError

Decisions = Mapping[str, Option]
Alter = Callable[[Kernel, Decisions], Kernel]


def main(arguments: list[str], alter: Alter | None = None) -> None:
    """Answers requests until there are no more.

    Args:
        arguments: the device's name.
        alter: changes the scheduled kernel of a candidate; tests inject faults with it.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = _Worker(devices.get(arguments[0]), alter)
    requests: dict[str, Callable[..., Answer]] = {
        "load": worker.load, "inspect": worker.inspect, "measure": worker.measure, "confirm": worker.confirm,
    }  # fmt: skip
    _send(out, {"ready": True})
    while True:
        head = sys.stdin.buffer.read(8)
        if len(head) < 8:
            return
        word, *rest = pickle.loads(sys.stdin.buffer.read(int.from_bytes(head, "little")))
        answer: Answer
        try:
            with deep_recursion():
                answer = requests[word](*rest)
        except WrongResultError as wrong:
            answer = {"wrong": str(wrong)}
        except Exception as error:  # a schedule that cannot be made or run is not a candidate, for any reason
            answer = {"refused": f"{type(error).__name__}: {error}"[:300]}
        _send(out, answer)


def _send(out: IO[str], answer: Answer) -> None:
    """Writes an answer as one line."""
    print(json.dumps(answer), file=out, flush=True)


class _Worker:
    """Answers requests about one kernel at a time. Each public method is a request."""

    def __init__(self, device: Device, alter: Alter | None) -> None:
        self.device = device
        self.alter = alter

    def load(self, packed: bytes, target: str) -> Answer:
        """Loads a kernel and measures its default schedule."""
        if target != self.device.target.key:
            raise ArgumentError(
                f"[tune] expected a device like the caller's, {target!r}, got {self.device.target.key!r}"
            )
        self.lowered = unpack(packed, Lowered)
        self.trial = Trial(self.device, self.lowered.kernel)
        self.loaded: dict[str, LoadedSchedule] = {}  # by decisions: the rule's, and the last candidate
        self.verifiable = _verifies(self._schedule({})[0])
        self.rule = self._compiled({})
        self.trial.set_reference(self.rule)
        self.trial.check(self.rule)  # a result that is not deterministic cannot be compared
        return {"seconds": min(self.rule.sample() for _ in range(3))}

    def inspect(self, decisions: Decisions) -> Answer:
        """Schedules the kernel with decisions."""
        kernel, choices = self._schedule(decisions)
        return {
            "asked": {name: (one.default, list(one.options), one.taken) for name, one in choices.asked.items()},
            "changed": choices.changed,
            "kernel": kernel_key(kernel, "scheduled", ""),
            "seconds": predict(kernel, self.device.target),
        }

    def measure(self, decisions: Decisions, best: float) -> Answer:
        """Compares a candidate with the rule's schedule."""
        candidate = self._compiled(decisions)
        self.trial.check(candidate)
        return _answer(self.trial.compare(self.rule, candidate, best))

    def confirm(self, decisions: Decisions, seconds: float) -> Answer:
        """Compares a candidate with the rule's schedule for longer, and after pauses."""
        candidate = self._compiled(decisions)
        self.trial.check(candidate)
        hot, cold = self.trial.confirm(self.rule, candidate, seconds)
        return {**_answer(hot), "cold_ratio": cold.ratio}

    def _schedule(self, decisions: Decisions) -> tuple[Kernel, Choices]:
        """The kernel as the rule schedules it with decisions, and what the rule asked."""
        choices = Choices(decisions)
        return schedule(self.lowered, self.device.target, choices), choices

    def _compiled(self, decisions: Decisions) -> LoadedSchedule:
        """The compiled schedule, verified where the rule's own can be."""
        name = json.dumps(decisions, sort_keys=True)
        if name not in self.loaded:
            kernel, _ = self._schedule(decisions)
            if decisions and self.verifiable:
                verify(kernel, lowered=True)
            if decisions and self.alter is not None:
                kernel = self.alter(kernel, decisions)
            self.loaded = {k: v for k, v in self.loaded.items() if k == "{}"} | {name: self.trial.load(kernel)}
        return self.loaded[name]


def _answer(comparison: Comparison) -> Answer:
    """A comparison as an answer."""
    return {"default": comparison.default, "ratio": comparison.ratio, "spread": comparison.spread}


def _verifies(kernel: Kernel) -> bool:
    """Whether the verifier proves the rule's schedule. Candidates must be proven only if it does; all are checked."""
    try:
        verify(kernel, lowered=True)
    except IRError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
