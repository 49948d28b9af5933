"""Decisions of the planner with their reasons, as lines of `st.explain` and as events of traces."""

from __future__ import annotations

from typing import NamedTuple

KINDS: dict[str, str] = {
    "place": "on which device a graph runs",
    "fuse": "which operations share a kernel or a launch",
    "split": "which operations start a kernel of their own",
    "schedule": "how a kernel's loops are scheduled",
    "reuse": "which intermediate results share memory",
}


class Decision(NamedTuple):
    """One decision of the planner.

    Args:
        kind: a key of `KINDS`.
        subject: what was decided about: a value (`%3 exp`), a kernel or the graph.
        reason: the reason, as a clause.
        kernel: for `fuse` and `split`, the kernel that the subject belongs to, in launch order.

    Example:
        >>> import spiraltorch as st
        >>> print(st.telemetry.Decision("fuse", "%3 exp", "it is read where it is computed", 0))
        fuse %3 exp into kernel 0: it is read where it is computed
        >>> print(st.telemetry.Decision("reuse", "%4", "it is written in place of %3"))
        reuse %4: it is written in place of %3
    """

    kind: str
    subject: str
    reason: str
    kernel: int | None = None

    def attributes(self) -> dict[str, str | int | float | bool]:
        """The fields that are not None, as attributes of an event."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def __str__(self) -> str:
        where = "" if self.kernel is None else f" into kernel {self.kernel}"
        return f"{self.kind} {self.subject}{where}: {self.reason}"
