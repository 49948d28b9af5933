"""The table of the figures, and its place in the documents."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from pathlib import Path
from typing import Any

import rows

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def table(figures: dict[str, Any]) -> str:
    """Markdown: what was measured where, one line a row, and the geometric mean of the ratios."""
    compared = bool(figures["ratios"])
    head = ["", "SpiralTorch", *(["torch eager", "ratio"] if compared else []), "error"]
    lines = [_where(figures), "", _line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    titles = {**{r.name: r.title for r in rows.ROWS}, **dict(rows.FRESH)}
    for name, title in titles.items():
        if name not in figures["times"]:
            continue
        of = figures["times"][name]
        cells = [title, _time(of["spiraltorch"])]
        if compared:
            cells += [_time(of["torch"]), f"{figures['ratios'][name]:.2f}"]
        error = figures["errors"].get(name)
        lines.append(_line([*cells, f"{error['spiraltorch']:.0e}" if error else ""]))
    steady = [figures["ratios"][r.name] for r in rows.ROWS if r.name in figures["ratios"] and r.name != "record"]
    if steady:
        mean = statistics.geometric_mean(steady)
        lines += ["", f"Geometric mean of the ratios of the {len(steady)} rows that compute: {mean:.2f}."]
    lines += ["", "Median of the rounds (least to greatest). A ratio below 1 is faster than torch eager. "
              "The error is the greatest difference from float64 NumPy, relative to the greatest value."]  # fmt: skip
    return "\n".join(lines)


def write(figures: dict[str, Any]) -> None:
    """Puts the table between the markers of the two documents."""
    for name in ("docs/performance.md", "README.md"):
        file = ROOT / name
        text = file.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, marker, after = rest.partition(END)
        if not marker:
            raise SystemExit(f"{name} lacks the markers {BEGIN} and {END}")
        file.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{after}", encoding="utf-8")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _time(seconds: list[float]) -> str:
    """Such as `1.23 ms (1.20–1.31)`."""
    middle = statistics.median(seconds)
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e3, "ms")) if middle * s >= 1), (1e6, "µs"))
    low, high = min(seconds) * scale, max(seconds) * scale
    return f"{_digits(middle * scale)} {unit} ({_digits(low)}–{_digits(high)})"


def _digits(number: float) -> str:
    """Three digits."""
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _where(figures: dict[str, Any]) -> str:
    """The date, the machine and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.date.today().isoformat()}: {_processor()}, {cores} cores, {figures['threads']} threads; "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}; "
        f"{figures['rounds']} rounds."
    )


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
