"""What was measured as Markdown and as JSON."""

from __future__ import annotations

import datetime
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import machine
from .libraries import LIBRARIES, OURS
from .measure import Measured, Timing
from .once import Figure, shown
from .row import Mode
from .scaling import Curve

SLOWER = 1.1  # a ratio above it counts as slower than the best peer


@dataclass
class Report:
    """A run of the benchmark: where it was, with whom, and what came of it."""

    libraries: Sequence[str]
    threads: int
    suite: str = machine.SUITE
    missing: Sequence[str] = ()
    rows: list[Measured] = field(default_factory=list)
    once: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    date: str = field(default_factory=lambda: str(datetime.date.today()))
    processor: str = field(default_factory=machine.processor)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        packages = dict.fromkeys([*(LIBRARIES[name].module for name in self.libraries), "numpy", "llvmlite"])
        self.versions = self.versions or machine.versions(packages)

    @property
    def failed(self) -> bool:
        """Whether this library was wrong or failed in a row."""
        return any(r.timings[OURS].verdict in ("WRONG", "failed") for r in self.rows if OURS in r.timings)

    def header(self) -> str:
        """When, where and how."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        missing = f" Not installed and left out: {', '.join(self.missing)}." if self.missing else ""
        return (
            f"Measured {self.date} on {self.processor}, {self.threads} threads, {platform.system()}, Python "
            f"{platform.python_version()}; {versions}.{missing} Medians in milliseconds, the smallest and greatest round in "
            "brackets; each library in a process of its own, interleaved. The ratio is to the best peer of the row. Errors "
            "are relative to float64."
        )

    def table(self, names: Sequence[str] | None = None) -> str:
        """The rows, or those with some names, and what they come to."""
        rows = [r for r in self.rows if names is None or r.row.name in names]
        titles = [LIBRARIES[name].title for name in self.libraries]
        lines = [_line("work", *titles, "ratio", "error"), _line(*["---"] * (len(titles) + 3))]
        for r in rows:
            cells = [_cell(r, name) for name in self.libraries]
            ratio = "-" if r.ratio is None else f"{r.ratio:.2f}"
            lines.append(_line(r.row.label, *cells, ratio, _error(r.timings.get(OURS))))
        notes = [
            f"- {r.row.label}, {LIBRARIES[n].title}: {t.problem}"
            for r in rows
            for n, t in r.timings.items()
            if t.problem
        ]
        notes += [f"- {r.row.label} could not be checked: {r.unchecked}" for r in rows if r.unchecked]
        return "\n".join([*lines, "", self.summary(), *(["", *notes] if notes else [])])

    def summary(self) -> str:
        """The geometric mean of the ratios and how many are above `SLOWER`."""
        mean, above, count = totals(self.rows)
        if not count:
            return "There is no peer to compare with."
        of = "one row" if count == 1 else f"all {count} rows"
        return f"Geometric mean of the ratios over {of}: {mean:.2f}. Above {SLOWER}: {above} of them."

    def once_table(self) -> str:
        """What is measured once."""
        names = [n for n in self.libraries if any(n in f.values for f in self.once)]
        lines = [_line("once", *[LIBRARIES[n].title for n in names]), _line(*["---"] * (len(names) + 1))]
        lines += [_line(f.title, *[shown(f.values[n]) if n in f.values else "-" for n in names]) for f in self.once]
        return "\n".join(lines)

    def curve_tables(self) -> str:
        """A small table for each curve."""
        return "\n\n".join(_curve_table(curve) for curve in self.curves)

    def as_json(self) -> dict[str, Any]:
        """Everything, with times in seconds."""
        mean, above, count = totals(self.rows)
        return {
            "date": self.date, "suite": self.suite, "processor": self.processor, "threads": self.threads,
            "versions": self.versions, "libraries": list(self.libraries), "missing": list(self.missing),
            "rows": {r.row.name: _row_json(r) for r in self.rows},
            "geometric_mean": mean if count else None, "above": above, "compared": count,
            "once": {f.title: f.values for f in self.once},
            "scaling": [
                {"title": c.title, "axis": c.axis, "places": c.places, "seconds": c.values} for c in self.curves
            ],
        }  # fmt: skip


def totals(rows: Sequence[Measured]) -> tuple[float, int, int]:
    """The geometric mean of the ratios, how many are above `SLOWER`, and how many there are."""
    ratios = [r.ratio for r in rows if r.ratio is not None]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 0.0
    return mean, sum(ratio > SLOWER for ratio in ratios), len(ratios)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(r: Measured, name: str) -> str:
    timing = r.timings.get(name)
    if timing is None:
        return "-"
    if timing.median is None or timing.problem is not None:
        return "failed"
    unit, size = ("ms", 1e3) if r.row.mode is not Mode.RECORD else ("µs", 1e6 / r.row.unit)
    low, high, middle = (f"{t * size:.3g}" for t in (min(timing.rounds), max(timing.rounds), timing.median))
    text = f"{middle} ({low} to {high})" if unit == "ms" else f"{middle} ({low} to {high}) {unit}"
    wrong = " WRONG" if timing.verdict == "WRONG" else ""
    return f"{text}{wrong}"


def _error(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    size = "" if timing.relative is None else f" {timing.relative:.1e}"
    allowed = f" (at most {timing.tolerance:g})" if timing.verdict == "WRONG" else ""
    return f"{timing.verdict}{size}{allowed}"


def _curve_table(curve: Curve) -> str:
    lines = [_line(curve.title, *map(str, curve.places)), _line(*["---"] * (len(curve.places) + 1))]
    for name, values in curve.values.items():
        lines.append(_line(LIBRARIES[name].title, *["-" if v is None else shown(v) for v in values]))
    return "\n".join(lines)


def _row_json(r: Measured) -> dict[str, Any]:
    return {
        "title": r.row.label, "size": dict(r.row.size), "tolerance": r.row.tolerance, "unit": r.row.unit,
        "ratio": r.ratio, "best": r.best, "unchecked": r.unchecked,
        "libraries": {
            name: {
                "median": t.median, "min": min(t.rounds, default=None), "max": max(t.rounds, default=None),
                "rounds": len(t.rounds), "first": t.first, "error": _finite(t.relative), "verdict": t.verdict, "problem": t.problem,
            }
            for name, t in r.timings.items()
        },
    }  # fmt: skip


def _finite(value: float | None) -> float | None:
    """JSON has no infinity, which is the error of a result of another shape or with NaN."""
    return value if value is not None and math.isfinite(value) else None
