"""The capability matrix: measured, never declared.

Rows and backends are data (`rows`); probes against the public API measure them (`probes`, `verify`); evidence of that
is kept and ages with the code (`evidence`, `digest`); states and notes are computed from it (`states`, `matrix`).

>>> from spiraltorch import capability
>>> capability.CAPABILITY_MATRIX.cell("Tensor ops", "cpu (default)").backend.label
'CPU (default)'
"""

from __future__ import annotations

from typing import Any

from .evidence import Evidence, Outcome, ProbeResult
from .matrix import (
    BackendSummary,
    CapabilityCell,
    CapabilityMatrix,
    CapabilityRow,
    CapabilitySummary,
    Counts,
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


def __getattr__(name: str) -> Any:
    """`CAPABILITY_MATRIX` is read when it is first named."""
    if name == "CAPABILITY_MATRIX":
        return capability_matrix_view()
    raise AttributeError(f"module 'spiraltorch.capability' has no attribute {name!r}")
