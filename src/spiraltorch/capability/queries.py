"""Functions that query `CAPABILITY_MATRIX`, the matrix computed from the package's own evidence.

Backends are given as a `Backend`, its label or its entry point, states as a `CapabilityState` or its name, in any case;
an unknown name raises `ArgumentError` with the list of known names.
"""

from __future__ import annotations

import json
from functools import lru_cache

from .matrix import BackendSummary, CapabilityMatrix, CapabilityRow, CapabilitySummary, Counts
from .rows import Backend
from .states import CapabilityState


@lru_cache(maxsize=1)
def capability_matrix_view() -> CapabilityMatrix:
    """Returns the matrix computed from the package's own evidence, which is read once.

    `CAPABILITY_MATRIX` is the same object.

    Returns:
        The matrix, with all rows, summaries and queries as methods.

    Raises:
        ArgumentError: an evidence file is not valid.

    Example:
        >>> import spiraltorch as st
        >>> len(st.capability.capability_matrix_view().rows)
        15
    """
    return CapabilityMatrix.load()


def capability_matrix() -> tuple[CapabilityRow, ...]:
    """Returns the rows of `CAPABILITY_MATRIX`.

    Returns:
        One row for each capability and each fact about installation, in the specification's order.

    Raises:
        ArgumentError: an evidence file is not valid.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.capability_matrix()[2].capability
        'Tensor ops'
    """
    return capability_matrix_view().rows


def capability_matrix_json() -> str:
    """Returns the matrix with its evidence as JSON.

    Returns:
        The text of a JSON object that follows the schema `docs/capability-matrix.schema.json`.

    Raises:
        ArgumentError: an evidence file is not valid.

    Example:
        >>> import json
        >>> import spiraltorch as st
        >>> json.loads(st.capability.capability_matrix_json())["backends"][0]["label"]
        'CPU (default)'
    """
    return json.dumps(capability_matrix_view().as_json(), indent=1, ensure_ascii=False)


def summarize_backend(backend: Backend | str) -> BackendSummary:
    """Counts the states of a backend's cells.

    Args:
        backend: a backend, its label or its entry point, in any case.

    Returns:
        The numbers of ready, partial and missing cells over all measured rows.

    Raises:
        ArgumentError: no backend has this name.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.summarize_backend("cuda").counts.total
        13
    """
    return capability_matrix_view().summarize_backend(backend)


def backend_summaries() -> tuple[BackendSummary, ...]:
    """Counts the states of every backend's cells.

    Returns:
        One summary for each backend, in the order of the columns.

    Example:
        >>> import spiraltorch as st
        >>> [s.backend.label for s in st.capability.backend_summaries()][-1]
        'HIP / ROCm'
    """
    return capability_matrix_view().backend_summaries()


def capability_summaries() -> tuple[CapabilitySummary, ...]:
    """Counts the states of every measured row's cells.

    Returns:
        One summary for each measured row, in the specification's order.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.capability_summaries()[0].capability
        'Tensor ops'
    """
    return capability_matrix_view().capability_summaries()


def capabilities_with_state(state: CapabilityState | str) -> tuple[CapabilityRow, ...]:
    """Finds the rows that have a state on at least one backend.

    Args:
        state: a state, its name (`"ready"`, `"partial"`, `"missing"`) in any case, or its symbol.

    Returns:
        The rows, in the specification's order.

    Raises:
        ArgumentError: no state has this name.

    Example:
        >>> import spiraltorch as st
        >>> rows = st.capability.capabilities_with_state("ready")
        >>> all(any(c.state is st.capability.CapabilityState.READY for c in r.cells) for r in rows)
        True
    """
    return capability_matrix_view().capabilities_with_state(state)


def capabilities_with_note_containing(fragment: str) -> tuple[CapabilityRow, ...]:
    """Finds the rows with a note that contains a text.

    Args:
        fragment: the text, in any case.

    Returns:
        The rows, in the specification's order.

    Example:
        >>> import spiraltorch as st
        >>> [r.id for r in st.capability.capabilities_with_note_containing("MACOS")]
        ['min-toolchain']
    """
    return capability_matrix_view().capabilities_with_note(fragment)


def capabilities_for_backend_with_state(
    backend: Backend | str, state: CapabilityState | str
) -> tuple[CapabilityRow, ...]:
    """Finds the rows that have a state on a backend.

    Args:
        backend: a backend, its label or its entry point, in any case.
        state: a state, its name in any case, or its symbol.

    Returns:
        The rows, in the specification's order.

    Raises:
        ArgumentError: no backend or no state has this name.

    Example:
        >>> import spiraltorch as st
        >>> rows = st.capability.capabilities_for_backend_with_state("WGPU", "ready")
        >>> all(r.cell("wgpu").state is st.capability.CapabilityState.READY for r in rows)
        True
    """
    return capability_matrix_view().capabilities_for_backend_with_state(backend, state)


def pending_capabilities_for_backend(backend: Backend | str) -> tuple[CapabilityRow, ...]:
    """Finds the measured rows that are not ready on a backend.

    Args:
        backend: a backend, its label or its entry point, in any case.

    Returns:
        The rows, in the specification's order.

    Raises:
        ArgumentError: no backend has this name.

    Example:
        >>> import spiraltorch as st
        >>> rows = st.capability.pending_capabilities_for_backend("wgpu")
        >>> any(r.cell("wgpu").state is st.capability.CapabilityState.READY for r in rows)
        False
    """
    return capability_matrix_view().pending_capabilities_for_backend(backend)


def matrix_summary() -> Counts:
    """Counts the states of all measured cells.

    Returns:
        The numbers of ready, partial and missing cells.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.matrix_summary().total
        65
    """
    return capability_matrix_view().summary()


def readiness_leaderboard() -> tuple[BackendSummary, ...]:
    """Sorts the backends by readiness.

    Returns:
        The summaries of all backends, the highest readiness first. Ties are broken by the number of partial cells.

    Example:
        >>> import spiraltorch as st
        >>> ratios = [s.counts.readiness for s in st.capability.readiness_leaderboard()]
        >>> ratios == sorted(ratios, reverse=True)
        True
    """
    return capability_matrix_view().readiness_leaderboard()
