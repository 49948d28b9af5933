"""The matrix: its rows and cells, summaries and queries, computed from evidence.

Backends are given as a `Backend`, its label or its entry point, states as a `CapabilityState` or its name, in any case;
an unknown name raises `ArgumentError` with the list of known names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from . import evidence as records
from .digest import digest
from .evidence import Evidence, EvidenceJson
from .rows import ROWS, Backend, Row, fact, row
from .states import CapabilityState, judge


class CountsJson(TypedDict):
    """A `Counts` as JSON."""

    ready: int
    partial: int
    missing: int
    total: int
    readiness: float


class LeaderboardJson(CountsJson):
    """The counts of one backend as JSON."""

    backend: str


class BackendJson(TypedDict):
    """A `Backend` as JSON."""

    id: str
    label: str


class CellJson(TypedDict):
    """A `CapabilityCell` as JSON."""

    backend: str
    state: str | None
    note: str
    evidence: EvidenceJson | None


class RowJson(TypedDict):
    """A `CapabilityRow` as JSON."""

    id: str
    capability: str
    measured: bool
    cells: list[CellJson]


class MatrixJson(TypedDict):
    """A `CapabilityMatrix` as JSON, of the schema `docs/capability-matrix.schema.json`."""

    version: int
    backends: list[BackendJson]
    levels: dict[str, str]
    rows: list[RowJson]
    summary: CountsJson
    leaderboard: list[LeaderboardJson]


@dataclass(frozen=True, slots=True)
class CapabilityCell:
    """One cell of the matrix: the state of a capability on a backend.

    Args:
        backend: the column.
        state: the state; None for facts about installation, which are not measured.
        note: the reason for the state, or the text of the fact.
        evidence: the recorded results of the probes; None if there are none.

    Example:
        >>> import spiraltorch as st
        >>> cell = st.capability.CAPABILITY_MATRIX.cell("build-flag", "wgpu")
        >>> cell.state, cell.text
        (None, '`pip install spiraltorch[wgpu]`')
    """

    backend: Backend
    state: CapabilityState | None
    note: str
    evidence: Evidence | None = None

    @property
    def text(self) -> str:
        """The text of the cell in a table: the symbol of its state and the note."""
        return self.note if self.state is None else f"{self.state.symbol} {self.note}"


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """A capability, or a fact about installation, on every backend.

    Args:
        id: the row's identifier.
        capability: its text in the specification.
        cells: one cell for each backend, in the order of `Backend`.

    Example:
        >>> import spiraltorch as st
        >>> row = st.capability.CAPABILITY_MATRIX.row("build-flag")
        >>> row.measured, row.cell("cpu").note
        (False, 'none')
    """

    id: str
    capability: str
    cells: tuple[CapabilityCell, ...]

    @property
    def measured(self) -> bool:
        """Whether the cells have states."""
        return self.cells[0].state is not None

    def cell(self, backend: Backend | str) -> CapabilityCell:
        """Returns the cell of a backend.

        Args:
            backend: a backend, its label or its entry point, in any case.

        Returns:
            The cell.

        Raises:
            ArgumentError: no backend has this name.
        """
        column = Backend.of(backend)
        return next(c for c in self.cells if c.backend is column)


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of ready, partial and missing cells.

    Args:
        ready: the number of ready cells.
        partial: the number of partial cells.
        missing: the number of missing cells.

    Example:
        >>> import spiraltorch as st
        >>> counts = st.capability.Counts(ready=3, partial=1, missing=0)
        >>> counts.total, counts.readiness
        (4, 0.75)
    """

    ready: int
    partial: int
    missing: int

    @property
    def total(self) -> int:
        """The number of measured cells."""
        return self.ready + self.partial + self.missing

    @property
    def readiness(self) -> float:
        """The fraction of cells that are ready, from 0 to 1."""
        return self.ready / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class BackendSummary:
    """The counts of a backend over all measured rows.

    Args:
        backend: the backend.
        counts: the numbers of its cells by state.

    Example:
        >>> import spiraltorch as st
        >>> summary = st.capability.summarize_backend("cpu")
        >>> summary.backend.label, summary.counts.total
        ('CPU (default)', 13)
    """

    backend: Backend
    counts: Counts


@dataclass(frozen=True, slots=True)
class CapabilitySummary:
    """The counts of a row over all backends.

    Args:
        capability: the row's text in the specification.
        counts: the numbers of its cells by state.

    Example:
        >>> import spiraltorch as st
        >>> summary = st.capability.capability_summaries()[0]
        >>> summary.capability, summary.counts.total
        ('Tensor ops', 5)
    """

    capability: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class CapabilityMatrix:
    """The capability matrix.

    Args:
        rows: all rows, in the specification's order.

    Example:
        >>> import spiraltorch as st
        >>> matrix = st.capability.CapabilityMatrix.load()
        >>> len(matrix.rows), [c.backend.label for c in matrix.rows[0].cells][:2]
        (15, ['CPU (default)', 'WGPU'])
    """

    rows: tuple[CapabilityRow, ...]

    @classmethod
    def load(cls, root: Path | None = None) -> CapabilityMatrix:
        """Computes the matrix from recorded evidence and the current code.

        Args:
            root: the folder of evidence; by default the package's own.

        Returns:
            The matrix.

        Raises:
            ArgumentError: an evidence file is not valid.
        """
        source = records.folder() if root is None else root
        return cls.of({(r, b): records.read(r, b, source) for r in ROWS if r.measured for b in Backend})

    @classmethod
    def of(cls, evidence: dict[tuple[Row, Backend], Evidence | None]) -> CapabilityMatrix:
        """Computes the matrix from the given evidence and the current code.

        Args:
            evidence: the evidence of each measured cell, by row and backend; a cell whose entry is missing or None
                counts as never measured.

        Returns:
            The matrix.
        """
        return cls(tuple(CapabilityRow(r.id, r.label, tuple(_cell(r, b, evidence) for b in Backend)) for r in ROWS))

    def row(self, which: str) -> CapabilityRow:
        """Returns the row with an identifier or a label.

        Args:
            which: the identifier (`"tensor-ops"`) or the label (`"Tensor ops"`), in any case.

        Returns:
            The row.

        Raises:
            ArgumentError: no row has this name.
        """
        identifier = row(which).id
        return next(r for r in self.rows if r.id == identifier)

    def cell(self, which: str, backend: Backend | str) -> CapabilityCell:
        """Returns the cell of a row and a backend.

        Args:
            which: the identifier or the label of the row, in any case.
            backend: a backend, its label or its entry point, in any case.

        Returns:
            The cell.

        Raises:
            ArgumentError: no row or no backend has this name.
        """
        return self.row(which).cell(backend)

    @property
    def measured(self) -> tuple[CapabilityRow, ...]:
        """The rows whose cells have states."""
        return tuple(r for r in self.rows if r.measured)

    def capabilities_with_state(self, state: CapabilityState | str) -> tuple[CapabilityRow, ...]:
        """Finds the rows that have a state on at least one backend.

        Args:
            state: a state, its name (`"ready"`, `"partial"`, `"missing"`) in any case, or its symbol.

        Returns:
            The rows, in the specification's order.

        Raises:
            ArgumentError: no state has this name.
        """
        asked = CapabilityState.of(state)
        return tuple(r for r in self.measured if any(c.state is asked for c in r.cells))

    def capabilities_with_note(self, fragment: str) -> tuple[CapabilityRow, ...]:
        """Finds the rows with a note that contains a text.

        Args:
            fragment: the text, in any case.

        Returns:
            The rows, in the specification's order.
        """
        return tuple(r for r in self.rows if any(fragment.lower() in c.note.lower() for c in r.cells))

    def capabilities_for_backend_with_state(
        self, backend: Backend | str, state: CapabilityState | str
    ) -> tuple[CapabilityRow, ...]:
        """Finds the rows that have a state on a backend.

        Args:
            backend: a backend, its label or its entry point, in any case.
            state: a state, its name (`"ready"`, `"partial"`, `"missing"`) in any case, or its symbol.

        Returns:
            The rows, in the specification's order.

        Raises:
            ArgumentError: no backend or no state has this name.
        """
        column, asked = Backend.of(backend), CapabilityState.of(state)
        return tuple(r for r in self.measured if r.cell(column).state is asked)

    def pending_capabilities_for_backend(self, backend: Backend | str) -> tuple[CapabilityRow, ...]:
        """Finds the measured rows that are not ready on a backend.

        Args:
            backend: a backend, its label or its entry point, in any case.

        Returns:
            The rows, in the specification's order.

        Raises:
            ArgumentError: no backend has this name.
        """
        column = Backend.of(backend)
        return tuple(r for r in self.measured if r.cell(column).state is not CapabilityState.READY)

    def summarize_backend(self, backend: Backend | str) -> BackendSummary:
        """Counts the states of a backend's measured cells.

        Args:
            backend: a backend, its label or its entry point, in any case.

        Returns:
            The numbers of ready, partial and missing cells.

        Raises:
            ArgumentError: no backend has this name.
        """
        column = Backend.of(backend)
        return BackendSummary(column, _counts(r.cell(column) for r in self.measured))

    def backend_summaries(self) -> tuple[BackendSummary, ...]:
        """Counts the states of every backend's measured cells.

        Returns:
            One summary for each backend, in the order of the columns.
        """
        return tuple(self.summarize_backend(b) for b in Backend)

    def capability_summaries(self) -> tuple[CapabilitySummary, ...]:
        """Counts the states of every measured row's cells.

        Returns:
            One summary for each measured row, in the specification's order.
        """
        return tuple(CapabilitySummary(r.capability, _counts(iter(r.cells))) for r in self.measured)

    def summary(self) -> Counts:
        """Counts the states of all measured cells.

        Returns:
            The numbers of ready, partial and missing cells.
        """
        return _counts(c for r in self.measured for c in r.cells)

    def readiness_leaderboard(self) -> tuple[BackendSummary, ...]:
        """Sorts the backends by readiness.

        Returns:
            The summaries of all backends, the highest readiness first. Ties are broken by the number of partial cells,
            then by the order of the columns.
        """
        return tuple(sorted(self.backend_summaries(), key=lambda s: (-s.counts.readiness, -s.counts.partial)))

    def as_json(self) -> MatrixJson:
        """Converts the matrix to a JSON object.

        Returns:
            An object that follows the schema `docs/capability-matrix.schema.json`.
        """
        return {
            "version": records.VERSION,
            "backends": [{"id": b.entry, "label": b.label} for b in Backend],
            "levels": records.LEVELS,
            "rows": [
                {
                    "id": r.id,
                    "capability": r.capability,
                    "measured": r.measured,
                    "cells": [_cell_json(c) for c in r.cells],
                }
                for r in self.rows
            ],
            "summary": _counts_json(self.summary()),
            "leaderboard": [
                {"backend": s.backend.entry, **_counts_json(s.counts)} for s in self.readiness_leaderboard()
            ],
        }


def _cell(of: Row, backend: Backend, evidence: dict[tuple[Row, Backend], Evidence | None]) -> CapabilityCell:
    if not of.measured:
        return CapabilityCell(backend, None, fact(of, backend))
    known = evidence.get((of, backend))
    state, note = judge(of, backend, known, digest(of, backend) if known and backend.exists else "")
    return CapabilityCell(backend, state, note, known)


def _counts(cells: Iterator[CapabilityCell]) -> Counts:
    states = [c.state for c in cells]
    return Counts(*[states.count(s) for s in CapabilityState])


def _counts_json(counts: Counts) -> CountsJson:
    return {
        "ready": counts.ready, "partial": counts.partial, "missing": counts.missing, "total": counts.total,
        "readiness": round(counts.readiness, 4),
    }  # fmt: skip


def _cell_json(cell: CapabilityCell) -> CellJson:
    return {
        "backend": cell.backend.entry,
        "state": None if cell.state is None else cell.state.value,
        "note": cell.note,
        "evidence": None if cell.evidence is None else cell.evidence.as_json(),
    }
