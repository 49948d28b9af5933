"""The process in which schedules are made, compiled and run: `python -m spiraltorch.tuning.worker DEVICE`.

Requests come as pickles on stdin, each after its length in eight bytes; answers go out as JSON lines. A request is a word
and its arguments:

- `kernel`, a packed lowered kernel and the target's key: the rule's choice is compiled and run. Gives its time.
- `look`, decisions: the kernel is scheduled with them. Gives what was asked, the changes, and the predicted seconds.
- `attempt`, decisions and the best ratio so far: it is compiled, checked and timed against the rule's choice.
- `last`, decisions and seconds: it is timed for twice so long, at once and after pauses.

An answer with `refused` says why there is nothing to measure. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import IO, Any

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
from .cost import predict
from .trial import Trial, Wrong

Alter = Callable[[Kernel, Mapping[str, Any]], Kernel]


def main(arguments: list[str], alter: Alter | None = None) -> None:
    """Answers requests until there are no more. `alter` may change what is made of decisions: tests put faults there."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    state = _State(devices.get(arguments[0]), alter)
    _say(out, {"ready": True})
    while True:
        head = sys.stdin.buffer.read(8)
        if len(head) < 8:
            return
        word, *rest = pickle.loads(sys.stdin.buffer.read(int.from_bytes(head, "little")))
        try:
            with deep_recursion():
                answer = getattr(state, word)(*rest)
        except Wrong as wrong:
            answer = {"wrong": str(wrong)}
        except Exception as error:  # a schedule that cannot be made or run is no candidate, whatever the reason
            answer = {"refused": f"{type(error).__name__}: {error}"[:300]}
        _say(out, answer)


def _say(out: IO[str], answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=out, flush=True)


class _State:
    """The kernel at hand. Its public methods are the requests."""

    def __init__(self, device: Any, alter: Alter | None) -> None:
        self.device = device
        self.alter = alter
        self.lowered: Lowered | None = None

    def kernel(self, packed: bytes, target: str) -> dict[str, Any]:
        if target != self.device.target.key:
            raise ArgumentError(
                f"[tune] expected a device like the caller's, {target!r}, got {self.device.target.key!r}"
            )
        self.lowered = unpack(packed, Lowered)
        self.trial = Trial(self.device, self.lowered.kernel)
        self.made: dict[str, Any] = {}
        self.proven = _verifies(self._scheduled({})[0])
        self.rule = self._ready({})
        self.trial.remember(self.rule)
        self.trial.check(self.rule)  # what is not the same twice cannot be compared
        return {"seconds": min(self.rule.sample() for _ in range(3))}

    def look(self, decisions: dict[str, Any]) -> dict[str, Any]:
        kernel, choices = self._scheduled(decisions)
        asked = {name: [one.default, list(one.options), one.taken] for name, one in choices.asked.items()}
        same = kernel_key(kernel, "scheduled", "")
        seconds = predict(kernel, self.device.target)
        return {"asked": asked, "changed": choices.changed, "same": same, "seconds": seconds}

    def attempt(self, decisions: dict[str, Any], best: float) -> dict[str, Any]:
        ready = self._ready(decisions)
        self.trial.check(ready)
        return asdict(self.trial.look(self.rule, ready, best))

    def last(self, decisions: dict[str, Any], seconds: float) -> dict[str, Any]:
        ready = self._ready(decisions)
        self.trial.check(ready)
        hot, cold = self.trial.settle(self.rule, ready, seconds)
        return {**asdict(hot), "cold": cold.ratio}

    def _scheduled(self, decisions: dict[str, Any]) -> tuple[Kernel, Choices]:
        assert self.lowered is not None
        choices = Choices(decisions)
        return schedule(self.lowered, self.device.target, choices), choices

    def _ready(self, decisions: dict[str, Any]) -> Any:
        name = json.dumps(decisions, sort_keys=True)
        if name not in self.made:
            kernel, _ = self._scheduled(decisions)
            if decisions and self.proven:
                verify(kernel, lowered=True)
            if decisions and self.alter is not None:
                kernel = self.alter(kernel, decisions)
            self.made = {k: v for k, v in self.made.items() if k == "{}"} | {name: self.trial.program(kernel)}
        return self.made[name]


def _verifies(kernel: Kernel) -> bool:
    """Whether the rule's choice can be proven; of others no more is asked, their results are compared in any case."""
    try:
        verify(kernel, lowered=True)
    except IRError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
