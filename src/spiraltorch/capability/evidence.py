"""Evidence: what a cell's probes gave on a device, kept as one JSON file a cell.

In a checkout the files are `evidence/<backend>/<row>.json`; a wheel carries the same folder inside the package. The
schema is `docs/capability-matrix.schema.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .rows import PACKAGE, Backend, Row

VERSION = 1
LEVELS = {
    "hardware": "ran on the real device",
    "driver": "ran through the real API, compiler and driver on a software device",
    "emulated": "the exact kernel text ran in an emulator, host calls against a mock",
    "compiled": "the vendor's compiler, or LLVM's backend for the real ISA, accepted it",
}
READY_LEVELS = ("hardware", "driver")


class Outcome(str, Enum):
    """How a probe ended."""

    PASS = "pass"
    FAIL = "fail"  # it ran, and a result was wrong or an error came
    MISSING = "missing"  # the public API that it tries does not exist
    CRASH = "crash"  # its process died
    TIMEOUT = "timeout"  # it did not end within its limit
    EXPECTED_FAILURE = "expected failure"  # marked in `expected.py`, and it did fail
    UNEXPECTED_PASS = "unexpected pass"  # marked in `expected.py`, and it passed


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe's end. `detail` says what it counted, what is missing or what was wrong; `seconds` is wall time."""

    name: str
    title: str
    outcome: Outcome
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured for a cell, where, when, and of which code."""

    backend: str  # the entry point's name
    capability: str  # the row's identifier
    digest: str  # of the code that it covers
    recorded: str  # the date, ISO 8601
    level: str  # one of LEVELS
    device: dict[str, Any]  # name and facts, from the backend's `describe`
    versions: dict[str, str]
    probes: tuple[ProbeResult, ...] = field(default=())

    @property
    def passed(self) -> int:
        """How many probes passed, marked or not."""
        return sum(p.outcome in (Outcome.PASS, Outcome.UNEXPECTED_PASS) for p in self.probes)

    @property
    def holds(self) -> bool:
        """Whether it makes a cell ready: every probe passed at a level that counts."""
        return self.passed == len(self.probes) > 0 and self.level in READY_LEVELS

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {"version": VERSION, **asdict(self), "probes": [asdict(p) for p in self.probes]}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Evidence:
        """Raises `ArgumentError` for what is no evidence of this version."""
        try:
            if given["version"] != VERSION or given["level"] not in LEVELS:
                raise ValueError(f"version {given['version']}, level {given['level']}")
            fields = {k: v for k, v in given.items() if k not in ("version", "probes")}
            probes = tuple(ProbeResult(**{**p, "outcome": Outcome(p["outcome"])}) for p in given["probes"])
            return cls(**fields, probes=probes)
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(
                f"[capability] expected evidence of version {VERSION}, got {error}; run `spiraltorch verify --record`"
            ) from None

    def confirms(self, known: Evidence | None) -> bool:
        """Whether it adds nothing to a record: of the same code, with the same outcomes, at the same level or a better one.

        So a run on a software device leaves the record of a real one as it is.
        """
        if known is None or known.digest != self.digest or _ends(known) != _ends(self):
            return False
        order = list(LEVELS)
        return order.index(known.level) <= order.index(self.level)


def _ends(evidence: Evidence) -> list[tuple[str, str, Outcome]]:
    return [(p.name, p.title, p.outcome) for p in evidence.probes]


def level_of(facts: dict[str, Any]) -> str:
    """The level of what runs on a device of these facts.

    >>> level_of({"software": True})
    'driver'
    """
    return "driver" if facts.get("software") else "hardware"


def folder() -> Path:
    """Where evidence is kept: inside the installed wheel, or at the root of the checkout."""
    shipped = PACKAGE / "capability" / "evidence"
    return shipped if shipped.is_dir() else PACKAGE.parents[1] / "evidence"


def path_of(row: Row, backend: Backend, root: Path) -> Path:
    """The file of a cell."""
    return root / backend.entry / f"{row.id}.json"


def read(row: Row, backend: Backend, root: Path) -> Evidence | None:
    """The evidence of a cell; None where none was recorded. Raises `ArgumentError` for a damaged file."""
    try:
        text = path_of(row, backend, root).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ArgumentError(
            f"[capability] expected JSON in {backend.entry}/{row.id}.json, got {error}; run `spiraltorch verify "
            f"--record --backend {backend.entry} --row {row.id}`"
        ) from None
    return Evidence.from_json(given)


def write(evidence: Evidence, row: Row, backend: Backend, root: Path) -> bool:
    """Keeps evidence. A record that it only confirms stays as it is; returns whether a file was written."""
    try:
        known = read(row, backend, root)
    except ArgumentError:
        known = None
    if evidence.confirms(known):
        return False
    path = path_of(row, backend, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evidence.as_json(), indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    return True
