"""What the planner decided, and why: for `explain` as lines, for traces as events."""

from __future__ import annotations

from typing import NamedTuple

KINDS: dict[str, str] = {
    "place": "on which device a graph runs",
    "fuse": "what shares a kernel, or a launch",
    "split": "what starts a kernel of its own",
    "schedule": "how a kernel's loops run",
    "reuse": "which memory an intermediate result takes from one that is no longer needed",
}


class Decision(NamedTuple):
    """One choice of the planner.

    >>> print(Decision("fuse", "%3 exp", "it is read where it is computed", 0))
    fuse %3 exp into kernel 0: it is read where it is computed
    >>> print(Decision("reuse", "%4", "it is written in place of %3"))
    reuse %4: it is written in place of %3
    """

    kind: str  # of `KINDS`
    subject: str  # a value (`%3 exp`), a kernel or the graph
    reason: str
    kernel: int | None = None  # for `fuse` and `split`: the kernel that the subject went to, in launch order

    def attributes(self) -> dict[str, str | int | float | bool]:
        """The fields that have a value, as an event carries them."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def __str__(self) -> str:
        where = "" if self.kernel is None else f" into kernel {self.kernel}"
        return f"{self.kind} {self.subject}{where}: {self.reason}"
