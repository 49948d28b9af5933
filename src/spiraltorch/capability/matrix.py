"""The matrix and every question about it. Functions without a matrix speak of `CAPABILITY_MATRIX`.

Backends are given as a `Backend` or its label, states as a `CapabilityState` or its word, both in any case; an unknown
one raises `ArgumentError` with the list of the known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import evidence as records
from .digest import digest
from .evidence import Evidence
from .rows import ROWS, Backend, Row, fact, row
from .states import CapabilityState, judge


@dataclass(frozen=True, slots=True)
class CapabilityCell:
    """A row at a backend. Cells of facts about installing have no state; measured ones may have evidence."""

    backend: Backend
    state: CapabilityState | None
    note: str
    evidence: Evidence | None = None

    @property
    def text(self) -> str:
        """What a table shows."""
        return self.note if self.state is None else f"{self.state.symbol} {self.note}"


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """A capability, or a fact about installing, at every backend."""

    id: str
    capability: str
    cells: tuple[CapabilityCell, ...]

    @property
    def measured(self) -> bool:
        """Whether the cells have states."""
        return self.cells[0].state is not None

    def cell(self, backend: Backend | str) -> CapabilityCell:
        """The cell of a backend."""
        wanted = Backend.of(backend)
        return next(c for c in self.cells if c.backend is wanted)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cells are ready, partial and missing."""

    ready: int
    partial: int
    missing: int

    @property
    def total(self) -> int:
        """All measured cells."""
        return self.ready + self.partial + self.missing

    @property
    def readiness(self) -> float:
        """The part that is ready, from 0 to 1."""
        return self.ready / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class BackendSummary:
    """The counts of one backend over all measured rows."""

    backend: Backend
    counts: Counts


@dataclass(frozen=True, slots=True)
class CapabilitySummary:
    """The counts of one row over all backends."""

    capability: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class CapabilityMatrix:
    """All rows, in the specification's order.

    >>> matrix = CapabilityMatrix.load()
    >>> len(matrix.rows), [c.backend.label for c in matrix.rows[0].cells][:2]
    (15, ['CPU (default)', 'WGPU'])
    """

    rows: tuple[CapabilityRow, ...]

    @classmethod
    def load(cls, root: Path | None = None) -> CapabilityMatrix:
        """The matrix by the evidence in a folder (by default the package's own) and the present code."""
        place = records.folder() if root is None else root
        return cls.of({(r, b): records.read(r, b, place) for r in ROWS if r.measured for b in Backend})

    @classmethod
    def of(cls, found: dict[tuple[Row, Backend], Evidence | None]) -> CapabilityMatrix:
        """The matrix by given evidence; what is not given counts as never measured."""
        return cls(tuple(CapabilityRow(r.id, r.label, tuple(_cell(r, b, found) for b in Backend)) for r in ROWS))

    def row(self, which: str) -> CapabilityRow:
        """A row by its identifier or label."""
        wanted = row(which).id
        return next(r for r in self.rows if r.id == wanted)

    def cell(self, which: str, backend: Backend | str) -> CapabilityCell:
        """The cell of a row, by identifier or label, and a backend."""
        return self.row(which).cell(backend)

    @property
    def measured(self) -> tuple[CapabilityRow, ...]:
        """The rows whose cells have states."""
        return tuple(r for r in self.rows if r.measured)

    def capabilities_with_state(self, state: CapabilityState | str) -> tuple[CapabilityRow, ...]:
        """The rows that have the state at one backend or more."""
        wanted = CapabilityState.of(state)
        return tuple(r for r in self.measured if any(c.state is wanted for c in r.cells))

    def capabilities_with_note(self, fragment: str) -> tuple[CapabilityRow, ...]:
        """The rows in which a note contains a text, in any case."""
        return tuple(r for r in self.rows if any(fragment.lower() in c.note.lower() for c in r.cells))

    def capabilities_for_backend_with_state(
        self, backend: Backend | str, state: CapabilityState | str
    ) -> tuple[CapabilityRow, ...]:
        """The rows that have the state at this backend."""
        column, wanted = Backend.of(backend), CapabilityState.of(state)
        return tuple(r for r in self.measured if r.cell(column).state is wanted)

    def pending_capabilities_for_backend(self, backend: Backend | str) -> tuple[CapabilityRow, ...]:
        """The measured rows that are not ready at this backend."""
        column = Backend.of(backend)
        return tuple(r for r in self.measured if r.cell(column).state is not CapabilityState.READY)

    def summarize_backend(self, backend: Backend | str) -> BackendSummary:
        """The counts of a backend."""
        column = Backend.of(backend)
        return BackendSummary(column, _counts(r.cell(column) for r in self.measured))

    def backend_summaries(self) -> tuple[BackendSummary, ...]:
        """The counts of every backend, in the order of the columns."""
        return tuple(self.summarize_backend(b) for b in Backend)

    def capability_summaries(self) -> tuple[CapabilitySummary, ...]:
        """The counts of every measured row."""
        return tuple(CapabilitySummary(r.capability, _counts(iter(r.cells))) for r in self.measured)

    def summary(self) -> Counts:
        """The counts of all measured cells."""
        return _counts(c for r in self.measured for c in r.cells)

    def readiness_leaderboard(self) -> tuple[BackendSummary, ...]:
        """Backends, the readiest first; among equals the one with more partial cells, then the order of the columns."""
        return tuple(sorted(self.backend_summaries(), key=lambda s: (-s.counts.readiness, -s.counts.partial)))

    def as_json(self) -> dict[str, Any]:
        """A JSON object of the schema `docs/capability-matrix.schema.json`."""
        return {
            "version": records.VERSION,
            "backends": [{"id": b.entry, "label": b.label} for b in Backend],
            "levels": records.LEVELS,
            "rows": [
                {"id": r.id, "capability": r.capability, "measured": r.measured, "cells": [_shown(c) for c in r.cells]}
                for r in self.rows
            ],
            "summary": _counted(self.summary()),
            "leaderboard": [{"backend": s.backend.entry, **_counted(s.counts)} for s in self.readiness_leaderboard()],
        }


def _cell(of: Row, backend: Backend, found: dict[tuple[Row, Backend], Evidence | None]) -> CapabilityCell:
    if not of.measured:
        return CapabilityCell(backend, None, fact(of, backend))
    known = found.get((of, backend))
    state, note = judge(of, backend, known, digest(of, backend) if known else "")
    return CapabilityCell(backend, state, note, known)


def _counts(cells: Iterator[CapabilityCell]) -> Counts:
    states = [c.state for c in cells]
    return Counts(*[states.count(s) for s in CapabilityState])


def _counted(counts: Counts) -> dict[str, Any]:
    return {
        "ready": counts.ready, "partial": counts.partial, "missing": counts.missing, "total": counts.total,
        "readiness": round(counts.readiness, 4),
    }  # fmt: skip


def _shown(cell: CapabilityCell) -> dict[str, Any]:
    return {
        "backend": cell.backend.entry,
        "state": None if cell.state is None else cell.state.value,
        "note": cell.note,
        "evidence": None if cell.evidence is None else cell.evidence.as_json(),
    }


@lru_cache(maxsize=1)
def capability_matrix_view() -> CapabilityMatrix:
    """The matrix by the evidence that came with the package, read once."""
    return CapabilityMatrix.load()


def capability_matrix() -> tuple[CapabilityRow, ...]:
    """The rows of `CAPABILITY_MATRIX`.

    >>> capability_matrix()[2].capability
    'Tensor ops'
    """
    return capability_matrix_view().rows


def capability_matrix_json() -> str:
    """The matrix with its evidence as JSON, of the schema `docs/capability-matrix.schema.json`.

    >>> import json
    >>> json.loads(capability_matrix_json())["backends"][0]["label"]
    'CPU (default)'
    """
    return json.dumps(capability_matrix_view().as_json(), indent=1, ensure_ascii=False)


def summarize_backend(backend: Backend | str) -> BackendSummary:
    """The counts of a backend.

    >>> summarize_backend("cuda").counts.total
    13
    """
    return capability_matrix_view().summarize_backend(backend)


def backend_summaries() -> tuple[BackendSummary, ...]:
    """The counts of every backend, in the order of the columns.

    >>> [s.backend.label for s in backend_summaries()][-1]
    'HIP / ROCm'
    """
    return capability_matrix_view().backend_summaries()


def capability_summaries() -> tuple[CapabilitySummary, ...]:
    """The counts of every measured row.

    >>> capability_summaries()[0].capability
    'Tensor ops'
    """
    return capability_matrix_view().capability_summaries()


def capabilities_with_state(state: CapabilityState | str) -> tuple[CapabilityRow, ...]:
    """The rows that have the state at one backend or more.

    >>> all(any(c.state is CapabilityState.READY for c in r.cells) for r in capabilities_with_state("ready"))
    True
    """
    return capability_matrix_view().capabilities_with_state(state)


def capabilities_with_note_containing(fragment: str) -> tuple[CapabilityRow, ...]:
    """The rows in which a note contains a text, in any case.

    >>> [r.id for r in capabilities_with_note_containing("MACOS")]
    ['min-toolchain']
    """
    return capability_matrix_view().capabilities_with_note(fragment)


def capabilities_for_backend_with_state(
    backend: Backend | str, state: CapabilityState | str
) -> tuple[CapabilityRow, ...]:
    """The rows that have the state at this backend.

    >>> all(r.cell("wgpu").state is CapabilityState.READY for r in capabilities_for_backend_with_state("WGPU", "ready"))
    True
    """
    return capability_matrix_view().capabilities_for_backend_with_state(backend, state)


def pending_capabilities_for_backend(backend: Backend | str) -> tuple[CapabilityRow, ...]:
    """The measured rows that are not ready at this backend.

    >>> any(r.cell("wgpu").state is CapabilityState.READY for r in pending_capabilities_for_backend("wgpu"))
    False
    """
    return capability_matrix_view().pending_capabilities_for_backend(backend)


def matrix_summary() -> Counts:
    """The counts of all measured cells.

    >>> matrix_summary().total
    65
    """
    return capability_matrix_view().summary()


def readiness_leaderboard() -> tuple[BackendSummary, ...]:
    """Backends, the readiest first.

    >>> ratios = [s.counts.readiness for s in readiness_leaderboard()]
    >>> ratios == sorted(ratios, reverse=True)
    True
    """
    return capability_matrix_view().readiness_leaderboard()
