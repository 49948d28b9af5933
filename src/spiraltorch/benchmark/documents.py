"""Writes results between the markers of docs/performance.md and the README, and the charts beside."""

from __future__ import annotations

from pathlib import Path

from ..errors import ArgumentError
from . import chart
from .report import Report
from .rows import README

PAGE, FRONT = Path("docs/performance.md"), Path("README.md")


def require(root: Path) -> None:
    """Raises `ArgumentError` if the documents are not in the folder `root`, or charts cannot be drawn."""
    for path in (PAGE, FRONT):
        if not (root / path).is_file():
            raise ArgumentError(
                f"[bench] expected {path} in the current folder, which --write updates, got no such file; run the command "
                "at the root of a checkout"
            )
    chart.require()


def write(report: Report, root: Path) -> list[Path]:
    """Writes the rows of a report, or its curves if it has any. Returns the files.

    Args:
        report: the results.
        root: the root of a checkout.

    Raises:
        ArgumentError: a document or its markers do not exist, or matplotlib is not installed.
    """
    require(root)
    if report.curves:
        image = "![Curves](scaling.svg)"
        _replace_between(root / PAGE, "SCALING", "\n\n".join((report.header(), image, report.curve_tables())))
        return [root / PAGE, *chart.curves(report, root / PAGE.parent / "scaling")]
    image = "![Ratios](performance.svg)\n\nThe chart as a [PNG](performance.png)."
    _replace_between(root / PAGE, "BENCH", "\n\n".join((report.header(), report.table(), report.once_table(), image)))
    _replace_between(root / FRONT, "BENCH", "\n\n".join((report.header(), report.table(README), report.once_table())))
    return [root / PAGE, root / FRONT, *chart.ratios(report, root / PAGE.with_suffix(""))]


def _replace_between(path: Path, marker: str, text: str) -> None:
    """Replaces the text between the two markers with a name."""
    begin, end = f"<!-- {marker}:BEGIN -->", f"<!-- {marker}:END -->"
    old = path.read_text(encoding="utf-8")
    head, found, rest = old.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ArgumentError(
            f"[bench] expected the markers {begin} and {end} in {path.name}, got none; add them where the table belongs"
        )
    path.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8", newline="\n")
