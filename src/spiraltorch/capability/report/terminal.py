"""The matrix as a table for terminals."""

from __future__ import annotations

from typing import Any

from ..matrix import CapabilityMatrix
from ..rows import Backend
from ..states import CapabilityState

_STYLES = {CapabilityState.READY: "green", CapabilityState.PARTIAL: "yellow", CapabilityState.MISSING: "dim"}


def table(matrix: CapabilityMatrix) -> Any:
    """A `rich` table; its caption counts the cells."""
    from rich.table import Table
    from rich.text import Text

    counts = matrix.summary()
    caption = (
        f"{counts.ready} ready, {counts.partial} partial, {counts.missing} missing of {counts.total} measured cells"
    )
    made = Table(title="SpiralTorch backends", caption=caption, show_lines=True)
    made.add_column("Capability", style="bold", min_width=12)
    for backend in Backend:
        made.add_column(backend.label, min_width=10, overflow="fold")
    for r in matrix.rows:
        made.add_row(r.capability, *[Text(c.text, style=_STYLES[c.state] if c.state else "") for c in r.cells])
    return made
