"""Runs the probes of cells and compares the results with the recorded evidence."""

from __future__ import annotations

import datetime
import platform
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import TypedDict

import spiraltorch as st

from ..runtime import device as devices
from . import evidence as records
from . import runner
from .digest import digest
from .evidence import Evidence, EvidenceJson, Outcome, level_of
from .probes.checking import probes_of
from .rows import ROWS, Backend, Row
from .states import CapabilityState, judge

CORE = ("numpy", "llvmlite", "ml_dtypes")


class Verdict(str, Enum):
    """How new results compare with a cell's recorded evidence."""

    SAME = "same"  # the new results confirm the record
    CHANGED = "changed"  # other results or other code, but no claim is broken: record it
    BROKEN = "broken"  # recorded as ready, and no longer is: an error
    UNEXPECTED = "unexpected pass"  # a probe that is listed in `expected.py` passed: an error
    UNAVAILABLE = "unavailable"  # the backend has no device here; the record stands


class CheckJson(TypedDict):
    """A `Check` as JSON."""

    backend: str
    row: str
    capability: str
    state: str
    note: str
    verdict: str
    reason: str | None
    evidence: EvidenceJson | None


@dataclass(frozen=True, slots=True)
class Check:
    """The result of checking one cell.

    Args:
        row: the cell's row.
        backend: the cell's backend.
        state: the cell's state by the new results.
        note: the cell's note by the new results.
        verdict: how the new results compare with the record.
        fresh: the new results; None if the backend is unavailable.
        recorded: the record; None if there is none.
        reason: why the backend is unavailable; None if it is not.
    """

    row: Row
    backend: Backend
    state: CapabilityState
    note: str
    verdict: Verdict
    fresh: Evidence | None
    recorded: Evidence | None
    reason: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it makes `spiraltorch verify` fail."""
        return self.verdict in (Verdict.BROKEN, Verdict.UNEXPECTED)

    def as_json(self) -> CheckJson:
        """The result as a JSON object, for `spiraltorch verify --json`."""
        return {
            "backend": self.backend.entry, "row": self.row.id, "capability": self.row.label, "state": self.state.value,
            "note": self.note, "verdict": self.verdict.value, "reason": self.reason,
            "evidence": None if self.fresh is None else self.fresh.as_json(),
        }  # fmt: skip


def cells(backends: Sequence[Backend] = tuple(Backend), rows: Sequence[Row] = ROWS) -> list[tuple[Row, Backend]]:
    """The measured cells of backends and rows."""
    return [(r, b) for b in backends for r in rows if r.measured]


def unavailable(backend: Backend) -> str | None:
    """Why a backend has no device here, or None if it has one."""
    installed = devices.backends().get(backend.entry)
    if installed is None:
        return "this version of SpiralTorch does not have it yet" if not backend.exists else "it is not installed"
    return None if installed.devices() else installed.reason() or "it has no device"


def probe_count(selected: Sequence[tuple[Row, Backend]]) -> int:
    """The number of probes that `verify` runs for these cells."""
    return sum(len(probes_of(r)) for r, b in selected if unavailable(b) is None)


def verify(
    selected: Sequence[tuple[Row, Backend]], root: Path, advance: Callable[[str], None] = lambda text: None
) -> list[Check]:
    """Runs the probes of cells and compares the results with the evidence in a folder.

    Kernels are compiled into a cache of this run alone, so that no cached kernel hides an error.

    Args:
        selected: the cells.
        root: the folder of evidence.
        advance: called with a description of each probe that has ended.

    Returns:
        One result for each cell.

    Raises:
        ArgumentError: a file of evidence is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="spiraltorch-verify-") as cache:
        return [_check(r, b, root, cache, advance) for r, b in selected]


def _check(row: Row, backend: Backend, root: Path, cache: str, advance: Callable[[str], None]) -> Check:
    recorded = records.read(row, backend, root)
    current = digest(row, backend) if backend.exists else ""
    reason = unavailable(backend)
    if reason is not None:
        state, note = judge(row, backend, recorded, current)
        return Check(row, backend, state, note, Verdict.UNAVAILABLE, None, recorded, reason)
    fresh = measure(row, backend, current, cache, advance)
    # Results that only confirm the record do not replace it: a software device does not undo a real one.
    shown = recorded if fresh.confirms(recorded) else fresh
    state, note = judge(row, backend, shown, current)
    return Check(row, backend, state, note, _verdict(fresh, recorded), fresh, recorded)


def _verdict(fresh: Evidence, recorded: Evidence | None) -> Verdict:
    if any(p.outcome is Outcome.UNEXPECTED_PASS for p in fresh.probes):
        return Verdict.UNEXPECTED
    if recorded is not None and recorded.holds and not fresh.holds:
        return Verdict.BROKEN
    return Verdict.SAME if fresh.confirms(recorded) else Verdict.CHANGED


def measure(row: Row, backend: Backend, current: str, cache: str, advance: Callable[[str], None]) -> Evidence:
    """Runs a cell's probes on the backend's first device. `current` is the digest of the current code."""
    installed = devices.backends()[backend.entry]
    name = installed.devices()[0]
    facts = {"name": name, **installed.describe(name)}
    results = runner.run(row, backend, name, probes_of(row), cache, lambda probe: advance(f"{name} {row.id}/{probe}"))
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Evidence(backend.entry, row.id, current, today, level_of(facts), facts, versions(backend), results)


def versions(backend: Backend) -> dict[str, str]:
    """The versions that results may depend on: this package's, Python's, and those of the backend's libraries."""
    known = {"spiraltorch": st.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in (*CORE, *_extra(backend)):
        try:
            known[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


def _extra(backend: Backend) -> list[str]:
    """The distributions that the backend's extra requires."""
    try:
        required = metadata.requires("spiraltorch") or []
    except metadata.PackageNotFoundError:
        return []
    of_extra = re.compile(rf"extra\s*==\s*['\"]{backend.entry}['\"]")
    return [re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0] for r in required if of_extra.search(r)]
