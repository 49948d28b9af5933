"""`spiraltorch matrix`: prints the capability matrix as a table, Markdown, JSON or an HTML page."""

from __future__ import annotations

import json
from pathlib import Path

from ..capability.matrix import CapabilityMatrix
from ..capability.report import markdown, page, terminal
from ..errors import ArgumentError
from .folders import evidence_folder

FORMATS = ("table", "markdown", "json", "html")


def run(form: str, output: str | None, evidence: str | None, write: str | None) -> None:
    """Prints the matrix or writes it to a file.

    Args:
        form: one of `FORMATS`.
        output: the file to write, or None to print.
        evidence: a folder of evidence, or None for the package's.
        write: a Markdown document whose table is updated, instead of printing.

    Raises:
        ArgumentError: the format is unknown, or a folder or document does not exist.
    """
    if form not in FORMATS:
        raise ArgumentError(f"[matrix] expected a format of {', '.join(FORMATS)}, got {form!r}; choose one")
    root = evidence_folder("matrix", evidence) if evidence else None
    if output is not None and (Path(output).is_dir() or not Path(output).absolute().parent.is_dir()):
        raise ArgumentError(f"[matrix] expected a file in an existing folder, got {output!r}; create the folder first")
    matrix = CapabilityMatrix.load(root)
    if write is not None:
        changed = markdown.write(Path(write), matrix)
        print(f"{write}: {'brought up to date' if changed else 'already up to date'}")
        return
    if form == "table":
        _print_table(matrix, output)
        return
    if form == "json":
        text = json.dumps(matrix.as_json(), indent=1, ensure_ascii=False)
    else:
        text = page.html(matrix) if form == "html" else markdown.table(matrix)
    if output:
        Path(output).write_text(text + "\n", encoding="utf-8", newline="\n")
    else:
        print(text)


def _print_table(matrix: CapabilityMatrix, output: str | None) -> None:
    from rich.console import Console

    if output is None:
        Console().print(terminal.table(matrix))
        return
    with Path(output).open("w", encoding="utf-8") as file:
        Console(file=file, width=160).print(terminal.table(matrix))
