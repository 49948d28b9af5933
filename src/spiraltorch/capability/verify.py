"""Runs the probes of cells and compares what they say with what was recorded."""

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
from typing import Any

import spiraltorch as st

from ..runtime import device as devices
from . import evidence as records
from . import runner
from .digest import digest
from .evidence import Evidence, Outcome, level_of
from .probes.checking import probes_of
from .rows import ROWS, Backend, Row
from .states import CapabilityState, judge

CORE = ("numpy", "llvmlite", "ml_dtypes")


class Verdict(str, Enum):
    """What a check says of a cell's record."""

    SAME = "same"  # the record is confirmed
    CHANGED = "changed"  # it says something else, or of other code, but no claim is broken: record it
    BROKEN = "broken"  # recorded as ready, and it is not: fails
    UNEXPECTED = "unexpected pass"  # a probe marked as failing passed: fails
    UNAVAILABLE = "unavailable"  # the backend has no device here; the record stands


@dataclass(frozen=True, slots=True)
class Check:
    """The result for one cell. `fresh` is None where the backend is unavailable, for `reason`."""

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
        """Whether `spiraltorch verify` fails for it."""
        return self.verdict in (Verdict.BROKEN, Verdict.UNEXPECTED)

    def as_json(self) -> dict[str, Any]:
        """For `spiraltorch verify --json`."""
        return {
            "backend": self.backend.entry, "row": self.row.id, "capability": self.row.label, "state": self.state.value,
            "note": self.note, "verdict": self.verdict.value, "reason": self.reason,
            "evidence": None if self.fresh is None else self.fresh.as_json(),
        }  # fmt: skip


def cells(backends: Sequence[Backend] = tuple(Backend), rows: Sequence[Row] = ROWS) -> list[tuple[Row, Backend]]:
    """The measured cells of some backends and rows."""
    return [(r, b) for b in backends for r in rows if r.measured]


def unavailable(backend: Backend) -> str | None:
    """Why a backend has no device here; None where it has one."""
    found = devices.backends().get(backend.entry)
    if found is None:
        return "this version of SpiralTorch does not have it yet" if not backend.exists else "it is not installed"
    return None if found.devices() else found.reason() or "it has no device"


def probe_count(wanted: Sequence[tuple[Row, Backend]]) -> int:
    """How many probes will run for some cells."""
    return sum(len(probes_of(r)) for r, b in wanted if unavailable(b) is None)


def verify(
    wanted: Sequence[tuple[Row, Backend]], root: Path, advance: Callable[[str], None] = lambda text: None
) -> list[Check]:
    """Checks cells against the evidence in a folder. `advance` is called with a text after each probe.

    Kernels are compiled into a folder of this run alone, so nothing cached hides a fault.
    """
    with tempfile.TemporaryDirectory(prefix="spiraltorch-verify-") as cache:
        return [_check(r, b, root, cache, advance) for r, b in wanted]


def _check(row: Row, backend: Backend, root: Path, cache: str, advance: Callable[[str], None]) -> Check:
    recorded = records.read(row, backend, root)
    current = digest(row, backend)
    reason = unavailable(backend)
    if reason is not None:
        state, note = judge(row, backend, recorded, current)
        return Check(row, backend, state, note, Verdict.UNAVAILABLE, None, recorded, reason)
    fresh = measure(row, backend, current, cache, advance)
    # What only confirms the record leaves its word standing: a software device does not undo a real one.
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
    """Runs a cell's probes on the backend's first device. `current` is the digest of the code."""
    found = devices.backends()[backend.entry]
    name = found.devices()[0]
    facts = {"name": name, **found.describe(name)}
    results = runner.run(row, backend, name, probes_of(row), cache, lambda probe: advance(f"{name} {row.id}/{probe}"))
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Evidence(backend.entry, row.id, current, today, level_of(facts), facts, versions(backend), results)


def versions(backend: Backend) -> dict[str, str]:
    """The versions that a result may depend on: ours, Python's, and those of the libraries under the backend."""
    found = {"spiraltorch": st.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in (*CORE, *_extra(backend)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _extra(backend: Backend) -> list[str]:
    """The distributions that the backend's extra asks for."""
    try:
        required = metadata.requires("spiraltorch") or []
    except metadata.PackageNotFoundError:
        return []
    wanted = re.compile(rf"extra\s*==\s*['\"]{backend.entry}['\"]")
    return [re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0] for r in required if wanted.search(r)]
