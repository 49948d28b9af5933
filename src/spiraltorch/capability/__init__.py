"""The capability matrix: which capability works on which backend, measured by probes.

Rows and backends are data (`rows`); probes measure them through the public API (`probes`, `verify`); their results are
recorded as evidence, which is valid only for the source code that it was recorded with (`evidence`, `digest`); states
and notes are computed from it (`states`, `matrix`).

Example:
    >>> import spiraltorch as st
    >>> st.capability.CAPABILITY_MATRIX.cell("Tensor ops", "cpu (default)").backend.label
    'CPU (default)'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .evidence import Evidence, Outcome, ProbeResult
from .matrix import BackendSummary, CapabilityCell, CapabilityMatrix, CapabilityRow, CapabilitySummary, Counts
from .queries import (
    backend_summaries,
    capabilities_for_backend_with_state,
    capabilities_with_note_containing,
    capabilities_with_state,
    capability_matrix,
    capability_matrix_json,
    capability_matrix_view,
    capability_summaries,
    matrix_summary,
    pending_capabilities_for_backend,
    readiness_leaderboard,
    summarize_backend,
)
from .rows import Backend
from .states import CapabilityState

__all__ = [
    "CAPABILITY_MATRIX", "Backend", "BackendSummary", "CapabilityCell", "CapabilityMatrix", "CapabilityRow",
    "CapabilityState", "CapabilitySummary", "Counts", "Evidence", "Outcome", "ProbeResult", "backend_summaries",
    "capabilities_for_backend_with_state", "capabilities_with_note_containing", "capabilities_with_state",
    "capability_matrix", "capability_matrix_json", "capability_matrix_view", "capability_summaries", "matrix_summary",
    "pending_capabilities_for_backend", "readiness_leaderboard", "summarize_backend",
]  # fmt: skip


if TYPE_CHECKING:
    CAPABILITY_MATRIX: CapabilityMatrix


def __getattr__(name: str) -> CapabilityMatrix:
    """Loads `CAPABILITY_MATRIX` when it is first accessed."""
    if name == "CAPABILITY_MATRIX":
        return capability_matrix_view()
    raise AttributeError(f"module 'spiraltorch.capability' has no attribute {name!r}")
