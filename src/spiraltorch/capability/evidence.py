"""Evidence: the recorded results of a cell's probes on a device, in one JSON file per cell.

In a checkout the files are `evidence/<backend>/<row>.json`; a wheel contains the same folder inside the package. The
schema is `docs/capability-matrix.schema.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypedDict

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


class ProbeResultJson(TypedDict):
    """A `ProbeResult` as JSON."""

    name: str
    title: str
    outcome: str
    seconds: float
    detail: str


class EvidenceJson(TypedDict):
    """An `Evidence` as JSON, which is also the content of its file."""

    version: int
    backend: str
    capability: str
    digest: str
    recorded: str
    level: str
    device: dict[str, object]
    versions: dict[str, str]
    probes: list[ProbeResultJson]


class Outcome(str, Enum):
    """How a probe ended.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.Outcome("pass") is st.capability.Outcome.PASS
        True
    """

    PASS = "pass"
    FAIL = "fail"  # a result was wrong, or an exception was raised
    MISSING = "missing"  # a public function or class that it needs does not exist
    CRASH = "crash"  # its process died
    TIMEOUT = "timeout"  # it took longer than its limit
    EXPECTED_FAILURE = "expected failure"  # listed in `expected.py`, and it failed
    UNEXPECTED_PASS = "unexpected pass"  # listed in `expected.py`, and it passed


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one probe.

    Args:
        name: the probe's name.
        title: the claim that the probe tests.
        outcome: how the probe ended.
        seconds: the elapsed time in seconds.
        detail: what it counted, what is missing, or what was wrong.

    Example:
        >>> import spiraltorch as st
        >>> result = st.capability.ProbeResult("sorting", "Sorting is stable.", st.capability.Outcome.PASS, 0.5)
        >>> result.as_json()["outcome"]
        'pass'
    """

    name: str
    title: str
    outcome: Outcome
    seconds: float
    detail: str = ""

    def as_json(self) -> ProbeResultJson:
        """Converts the result to a JSON object.

        Returns:
            The object, which `from_json` reads.
        """
        return {
            "name": self.name, "title": self.title, "outcome": self.outcome.value, "seconds": self.seconds,
            "detail": self.detail,
        }  # fmt: skip

    @classmethod
    def from_json(cls, given: ProbeResultJson) -> ProbeResult:
        """Creates a result from its JSON object: the inverse of `as_json`.

        Args:
            given: the JSON object.

        Returns:
            The result.

        Raises:
            KeyError: a key is missing.
            TypeError: a value has the wrong type.
            ValueError: a key or an outcome is unknown.
        """
        _require_keys(given, ProbeResultJson.__annotations__.keys() - {"detail"}, {"detail"})
        outcome = Outcome(given["outcome"])
        return cls(given["name"], given["title"], outcome, given["seconds"], given.get("detail", ""))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The recorded results of a cell's probes.

    Args:
        backend: the name of the backend's entry point.
        capability: the row's identifier.
        digest: the SHA-256 digest of the source code that the results depend on, see `digest.digest`.
        recorded: the date, ISO 8601.
        level: a key of `LEVELS`.
        device: the device's name and properties as JSON values, from the backend's `describe`.
        versions: the versions of the package, Python, the platform and the libraries that the backend uses.
        probes: the results.

    Example:
        >>> import spiraltorch as st
        >>> result = st.capability.ProbeResult("sorting", "Sorting is stable.", st.capability.Outcome.PASS, 0.5)
        >>> evidence = st.capability.Evidence("cpu", "tensor-ops", "", "2026-01-31", "hardware", {}, {}, (result,))
        >>> evidence.passed, evidence.holds
        (1, True)
    """

    backend: str
    capability: str
    digest: str
    recorded: str
    level: str
    device: dict[str, object]
    versions: dict[str, str]
    probes: tuple[ProbeResult, ...] = field(default=())

    @property
    def passed(self) -> int:
        """The number of probes that passed, whether or not they were expected to."""
        return sum(p.outcome in (Outcome.PASS, Outcome.UNEXPECTED_PASS) for p in self.probes)

    @property
    def holds(self) -> bool:
        """Whether the evidence makes a cell ready: every probe passed, at a level of `READY_LEVELS`."""
        return self.passed == len(self.probes) > 0 and self.level in READY_LEVELS

    def as_json(self) -> EvidenceJson:
        """Converts the evidence to a JSON object.

        Returns:
            The object, which `from_json` reads.
        """
        return {
            "version": VERSION, "backend": self.backend, "capability": self.capability, "digest": self.digest,
            "recorded": self.recorded, "level": self.level, "device": self.device, "versions": self.versions,
            "probes": [p.as_json() for p in self.probes],
        }  # fmt: skip

    @classmethod
    def from_json(cls, given: EvidenceJson) -> Evidence:
        """Creates evidence from its JSON object: the inverse of `as_json`.

        Args:
            given: the JSON object.

        Returns:
            The evidence.

        Raises:
            ArgumentError: the object is not evidence of version `VERSION`.
        """
        try:
            if given["version"] != VERSION or given["level"] not in LEVELS:
                raise ValueError(f"version {given['version']}, level {given['level']}")
            _require_keys(given, EvidenceJson.__annotations__.keys())
            return cls(
                given["backend"], given["capability"], given["digest"], given["recorded"], given["level"],
                given["device"], given["versions"], tuple(map(ProbeResult.from_json, given["probes"])),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(
                f"[capability] expected evidence of version {VERSION}, got {error}; run `spiraltorch verify --record`"
            ) from None

    def confirms(self, known: Evidence | None) -> bool:
        """Tests whether new results only confirm recorded ones.

        They do if the code and the outcomes are the same and the level is that of the record or a lower one. A run on a
        software device therefore does not replace the record of a hardware device.

        Args:
            known: the recorded evidence; None if there is none.

        Returns:
            Whether the record can stay as it is.
        """
        if known is None or known.digest != self.digest or _outcomes(known) != _outcomes(self):
            return False
        order = list(LEVELS)
        return order.index(known.level) <= order.index(self.level)


def _outcomes(evidence: Evidence) -> list[tuple[str, str, Outcome]]:
    return [(p.name, p.title, p.outcome) for p in evidence.probes]


def _require_keys(
    given: Mapping[str, object], required: AbstractSet[str], optional: AbstractSet[str] = frozenset()
) -> None:
    if not required <= given.keys() <= required | optional:
        raise ValueError(f"the keys {sorted(given)} instead of {sorted(required)}")


def level_of(facts: Mapping[str, object]) -> str:
    """The level of results from a device with these facts.

    >>> level_of({"software": True})
    'driver'
    """
    return "driver" if facts.get("software") else "hardware"


def folder() -> Path:
    """The folder of evidence: inside the installed wheel, or at the root of the checkout."""
    shipped = PACKAGE / "capability" / "evidence"
    return shipped if shipped.is_dir() else PACKAGE.parents[1] / "evidence"


def path_of(row: Row, backend: Backend, root: Path) -> Path:
    """The file of a cell in a folder of evidence."""
    return root / backend.entry / f"{row.id}.json"


def read(row: Row, backend: Backend, root: Path) -> Evidence | None:
    """The evidence of a cell, or None if none was recorded. Raises `ArgumentError` if the file is not valid."""
    try:
        data = path_of(row, backend, root).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArgumentError(
            f"[capability] expected a readable file {backend.entry}/{row.id}.json, got {error}; correct its permissions"
        ) from None
    try:
        given = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArgumentError(
            f"[capability] expected JSON in {backend.entry}/{row.id}.json, got {error}; run `spiraltorch verify "
            f"--record --backend {backend.entry} --row {row.id}`"
        ) from None
    return Evidence.from_json(given)


def write(evidence: Evidence, row: Row, backend: Backend, root: Path) -> bool:
    """Records evidence, unless it only confirms what is recorded. Returns whether a file was written."""
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
