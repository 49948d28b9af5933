"""The matrix as a table for terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..matrix import CapabilityMatrix
from ..rows import Backend
from ..states import CapabilityState

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {CapabilityState.READY: "green", CapabilityState.PARTIAL: "yellow", CapabilityState.MISSING: "dim"}


def table(matrix: CapabilityMatrix) -> Table:
    """The matrix as a `rich` table, with the counts of its cells as the caption."""
    from rich.table import Table
    from rich.text import Text

    counts = matrix.summary()
    caption = (
        f"{counts.ready} ready, {counts.partial} partial, {counts.missing} missing of {counts.total} measured cells"
    )
    result = Table(title="SpiralTorch backends", caption=caption, show_lines=True)
    result.add_column("Capability", style="bold", min_width=12)
    for backend in Backend:
        result.add_column(backend.label, min_width=10, overflow="fold")
    for r in matrix.rows:
        result.add_row(r.capability, *[Text(c.text, style=_STYLES[c.state] if c.state else "") for c in r.cells])
    return result
