"""All rows, in the order of the table."""

from __future__ import annotations

from ...errors import ArgumentError
from ..row import Row
from . import contraction, elementwise, indexing, training

ROWS: dict[str, Row] = {row.name: row for row in (*elementwise.ROWS, *contraction.ROWS, *training.ROWS, *indexing.ROWS)}
README = ("gelu", "softmax", "layernorm", "matmul1024", "matmul256", "tiny", "tiny_eager", "mlp", "mlp_eager", "record")


def select_rows(names: str | None) -> list[Row]:
    """The rows of a comma-separated list of names, or all rows for None. Raises `ArgumentError` for an unknown name."""
    if names is None:
        return list(ROWS.values())
    selected = [name.strip() for name in names.split(",") if name.strip()]
    if not selected or (unknown := [name for name in selected if name not in ROWS]):
        got = ", ".join(unknown) if selected else "none"
        raise ArgumentError(f"[bench] expected rows of {', '.join(ROWS)}, got {got}; choose from these")
    return [ROWS[name] for name in dict.fromkeys(selected)]
