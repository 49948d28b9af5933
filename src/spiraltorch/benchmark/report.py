"""The results of a run of the benchmark, as Markdown and as JSON."""

from __future__ import annotations

import datetime
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from . import machine
from .latency import Latency, format_seconds
from .libraries import LIBRARIES, OURS
from .measure import RowResult, Timing
from .row import Mode
from .scaling import Curve

SLOWER = 1.1  # a ratio above it counts as slower than the best peer


class TimingJson(TypedDict):
    """A `Timing` as JSON; times in seconds."""

    median: float | None
    min: float | None
    max: float | None
    rounds: int
    first: float | None
    error: float | None
    verdict: str
    problem: str | None


class RowJson(TypedDict):
    """A `RowResult` as JSON."""

    title: str
    size: dict[str, int]
    tolerance: float
    unit: int
    ratio: float | None
    best: str | None
    unchecked: str | None
    libraries: dict[str, TimingJson]


class CurveJson(TypedDict):
    """A `Curve` as JSON; times in seconds."""

    title: str
    axis: str
    places: list[int]
    seconds: dict[str, list[float | str | None]]


class ReportJson(TypedDict):
    """A `Report` as JSON, as `spiraltorch bench --json` prints it."""

    date: str
    suite: str
    processor: str
    threads: int
    versions: dict[str, str]
    libraries: list[str]
    missing: list[str]
    rows: dict[str, RowJson]
    geometric_mean: float | None
    above: int
    compared: int
    once: dict[str, dict[str, float | str]]
    scaling: list[CurveJson]


@dataclass
class Report:
    """The results of a run of the benchmark, and the machine that it ran on.

    Args:
        libraries: the libraries that were measured, this one first.
        threads: the number of threads of every library.
        suite: a key of `machine.SUITES`.
        missing: libraries that were asked for and are not installed.
        rows: the results of rows.
        once: the latencies.
        curves: the scaling curves.
        date: the date, ISO 8601.
        processor: the processor's name.
        versions: the versions of the libraries, NumPy and llvmlite.
    """

    libraries: Sequence[str]
    threads: int
    suite: str = machine.SUITE
    missing: Sequence[str] = ()
    rows: list[RowResult] = field(default_factory=list)
    once: list[Latency] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    date: str = field(default_factory=lambda: str(datetime.date.today()))
    processor: str = field(default_factory=machine.processor)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        packages = dict.fromkeys([*(LIBRARIES[name].module for name in self.libraries), "numpy", "llvmlite"])
        self.versions = self.versions or machine.versions(packages)

    @property
    def failed(self) -> bool:
        """Whether SpiralTorch was wrong or failed in a row."""
        return any(r.timings[OURS].verdict in ("WRONG", "failed") for r in self.rows if OURS in r.timings)

    def header(self) -> str:
        """A paragraph on when, where and how the results were measured."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        missing = f" Not installed and left out: {', '.join(self.missing)}." if self.missing else ""
        return (
            f"Measured {self.date} on {self.processor}, {self.threads} threads, {platform.system()}, Python "
            f"{platform.python_version()}; {versions}.{missing} Medians in milliseconds, the smallest and greatest round in "
            "brackets; each library in a process of its own, interleaved. The ratio is to the best peer of the row. Errors "
            "are relative to float64."
        )

    def table(self, names: Sequence[str] | None = None) -> str:
        """The Markdown table of the rows (of those in `names`, if given), their summary, and notes on failures."""
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
        """A sentence with the geometric mean of the ratios and the number of those above `SLOWER`."""
        mean, above, count = totals(self.rows)
        if not count:
            return "There is no peer to compare with."
        of = "one row" if count == 1 else f"all {count} rows"
        return f"Geometric mean of the ratios over {of}: {mean:.2f}. Above {SLOWER}: {above} of them."

    def once_table(self) -> str:
        """The Markdown table of the latencies."""
        names = [n for n in self.libraries if any(n in f.values for f in self.once)]
        lines = [_line("once", *[LIBRARIES[n].title for n in names]), _line(*["---"] * (len(names) + 1))]
        lines += [
            _line(f.title, *[format_seconds(f.values[n]) if n in f.values else "-" for n in names]) for f in self.once
        ]
        return "\n".join(lines)

    def curve_tables(self) -> str:
        """A Markdown table for each curve."""
        return "\n\n".join(_curve_table(curve) for curve in self.curves)

    def as_json(self) -> ReportJson:
        """The results as a JSON object; times in seconds."""
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


def totals(rows: Sequence[RowResult]) -> tuple[float, int, int]:
    """The geometric mean of the ratios, the number of those above `SLOWER`, and the number of all."""
    ratios = [r.ratio for r in rows if r.ratio is not None]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 0.0
    return mean, sum(ratio > SLOWER for ratio in ratios), len(ratios)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(r: RowResult, name: str) -> str:
    """The cell of a row and a library: the median and the range of its times."""
    timing = r.timings.get(name)
    if timing is None:
        return "-"
    if timing.median is None or timing.problem is not None:
        return "failed"
    unit, size = ("ms", 1e3) if r.row.mode is not Mode.RECORD else ("µs", 1e6 / r.row.operations)
    low, high, median = (f"{t * size:.3g}" for t in (min(timing.rounds), max(timing.rounds), timing.median))
    text = f"{median} ({low} to {high})" if unit == "ms" else f"{median} ({low} to {high}) {unit}"
    wrong = " WRONG" if timing.verdict == "WRONG" else ""
    return f"{text}{wrong}"


def _error(timing: Timing | None) -> str:
    """The cell with the verdict and the relative error."""
    if timing is None:
        return "-"
    size = "" if timing.relative is None else f" {timing.relative:.1e}"
    allowed = f" (at most {timing.tolerance:g})" if timing.verdict == "WRONG" else ""
    return f"{timing.verdict}{size}{allowed}"


def _curve_table(curve: Curve) -> str:
    lines = [_line(curve.title, *map(str, curve.places)), _line(*["---"] * (len(curve.places) + 1))]
    for name, values in curve.values.items():
        lines.append(_line(LIBRARIES[name].title, *["-" if v is None else format_seconds(v) for v in values]))
    return "\n".join(lines)


def _row_json(r: RowResult) -> RowJson:
    return {
        "title": r.row.label, "size": dict(r.row.size), "tolerance": r.row.tolerance, "unit": r.row.operations,
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
    """None for an infinite error (another shape, or NaN), which JSON cannot express."""
    return value if value is not None and math.isfinite(value) else None
