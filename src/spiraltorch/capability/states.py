"""The state and the note of a cell, computed from its evidence and the digest of the current code."""

from __future__ import annotations

from enum import Enum

from .evidence import READY_LEVELS, Evidence, Outcome, ProbeResult
from .rows import Backend, Row


class CapabilityState(Enum):
    """The state of a cell. The value is its name in JSON.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.CapabilityState.of("READY").symbol
        '✅'
    """

    READY = "ready"  # every probe passed on a device or its real driver, with the current code
    PARTIAL = "partial"  # some probes passed; the note names those that did not
    MISSING = "missing"  # no probe passed; the note says what is missing

    @property
    def symbol(self) -> str:
        """The symbol of the state in tables."""
        return {"ready": "✅", "partial": "⚠️", "missing": "❌"}[self.value]

    @classmethod
    def of(cls, which: CapabilityState | str) -> CapabilityState:
        """Returns the state with a name.

        Args:
            which: a state, its name in JSON in any case, or its symbol.

        Returns:
            The state.

        Raises:
            ArgumentError: no state has this name; the message lists the known names.
        """
        from ..errors import ArgumentError

        for state in cls:
            if which is state or str(which).strip().lower() in (state.value, state.symbol):
                return state
        known = ", ".join(repr(s.value) for s in cls)
        raise ArgumentError(f"[capability] expected a state of {known}, got {which!r}; choose one")


def judge(row: Row, backend: Backend, evidence: Evidence | None, digest: str) -> tuple[CapabilityState, str]:
    """The state and the note of a measured cell. `digest` is that of the current code."""
    if evidence is None:
        if not backend.exists:
            return CapabilityState.MISSING, "No backend yet"
        return CapabilityState.MISSING, f"Never measured: run `spiraltorch verify --record --backend {backend.entry}`"
    count = len(evidence.probes)
    if evidence.passed == 0:
        return CapabilityState.MISSING, _gaps(evidence)
    if evidence.digest != digest:
        return CapabilityState.PARTIAL, f"Stale: the code changed after {evidence.passed} of {count} probes passed"
    measured = f"{evidence.passed} of {count} probes at level {evidence.level}"
    if evidence.passed < count:
        return CapabilityState.PARTIAL, f"{measured}; {_gaps(evidence)}"
    if evidence.level not in READY_LEVELS:
        return CapabilityState.PARTIAL, f"{measured}; not run on a device"
    return CapabilityState.READY, f"Ready ({count} probes, {evidence.level})"


def _gaps(evidence: Evidence) -> str:
    """A summary of the probes that did not pass, without duplicates."""
    gaps = [_gap(p) for p in evidence.probes if p.outcome not in (Outcome.PASS, Outcome.UNEXPECTED_PASS)]
    return "; ".join(dict.fromkeys(gaps)) or "no probe"


def _gap(result: ProbeResult) -> str:
    """A summary of one probe that did not pass."""
    if result.outcome is Outcome.MISSING:
        return f"missing: {result.detail}"
    if result.outcome is Outcome.EXPECTED_FAILURE:
        return f"{result.name}: {result.detail}"
    word = {Outcome.CRASH: "crashes", Outcome.TIMEOUT: "does not end"}.get(result.outcome, "fails")
    return f"{result.name} {word}"
