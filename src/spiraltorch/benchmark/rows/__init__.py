"""All rows, by subject and in the order of the table."""

from __future__ import annotations

from ...errors import ArgumentError
from ..row import Row
from . import contraction, elementwise, indexing, training

ROWS: dict[str, Row] = {row.name: row for row in (*elementwise.ROWS, *contraction.ROWS, *training.ROWS, *indexing.ROWS)}
README = ("gelu", "softmax", "layernorm", "matmul1024", "matmul256", "tiny", "tiny_eager", "mlp", "mlp_eager", "record")


def chosen(names: str | None) -> list[Row]:
    """The rows with these names, with commas between them; all where there are none. Raises `ArgumentError`."""
    if names is None:
        return list(ROWS.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or (unknown := [name for name in wanted if name not in ROWS]):
        got = ", ".join(unknown) if wanted else "none"
        raise ArgumentError(f"[bench] expected rows of {', '.join(ROWS)}, got {got}")
    return [ROWS[name] for name in dict.fromkeys(wanted)]
