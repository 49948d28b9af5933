"""The matrix as a Markdown table, between two markers of a document."""

from __future__ import annotations

from pathlib import Path

from ...errors import ArgumentError
from ..matrix import CapabilityMatrix
from ..rows import Backend

BEGIN = "<!-- AUTOGEN:BEGIN backend-matrix -->"
END = "<!-- AUTOGEN:END backend-matrix -->"


def table(matrix: CapabilityMatrix) -> str:
    """The table: a heading, a separator, and one line for each row.

    >>> table(CapabilityMatrix.load()).splitlines()[0]
    '| Capability | CPU (default) | WGPU | MPS | CUDA | HIP / ROCm |'
    """
    head = ["Capability", *[b.label for b in Backend]]
    lines = [head, ["---"] * len(head)]
    lines += [[r.capability, *[c.text for c in r.cells]] for r in matrix.rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def inserted(document: str, matrix: CapabilityMatrix) -> str:
    """The document with the table between its markers. Raises `ArgumentError` unless each marker occurs once, in order."""
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise ArgumentError(f"[matrix] expected one line {BEGIN!r} before one line {END!r} in the document, got others")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(matrix)}\n{END}{after}"


def write(path: Path, matrix: CapabilityMatrix) -> bool:
    """Updates the table in a file. Returns whether the file changed; raises `ArgumentError` if there is none."""
    try:
        old = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ArgumentError(f"[matrix] expected the document {path} to write to, got none; name another") from None
    new = inserted(old, matrix)
    if new != old:
        path.write_text(new, encoding="utf-8", newline="\n")
    return new != old
