"""Charts of the results, as SVG and PNG, drawn with matplotlib, which the extra `bench` installs."""

from __future__ import annotations

import importlib
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from .libraries import LIBRARIES, OURS
from .report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png")
COLOURS = {OURS: "#d1495b", "torch": "#30638e", "torch-compile": "#7fb0d6", "jax": "#3c8d53", "numpy": "#8d8d8d"}
MARKS = {OURS: "o", "torch": "s", "torch-compile": "D", "jax": "^", "numpy": "v"}


def require() -> None:
    """Raises `ArgumentError` if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ArgumentError(
            '[bench] expected matplotlib for the charts, which is not installed; run `pip install "spiraltorch[bench]"`'
        )


def ratios(report: Report, stem: Path) -> list[Path]:
    """Draws, for each row, the time of every library divided by SpiralTorch's. Returns the files, `stem` with suffixes."""
    rows = [r for r in report.rows if OURS in r.timings and r.timings[OURS].median is not None]
    figure = _figure(9, 1.5 + 0.24 * len(rows))
    axes = figure.subplots()
    for name in [n for n in report.libraries if n != OURS]:
        points = []
        for place, r in enumerate(rows):
            theirs, ours = r.timings.get(name), r.timings[OURS].median
            if theirs is not None and theirs.median is not None and ours is not None:
                points.append((theirs.median / ours, place))
        if points:
            axes.scatter(
                [x for x, _ in points], [y for _, y in points], s=22, label=LIBRARIES[name].title,
                color=COLOURS[name], marker=MARKS[name],
            )  # fmt: skip
    axes.axvline(1.0, color=COLOURS[OURS], linewidth=1.5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [r.row.label for r in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", which="both", linewidth=0.3)
    axes.set_xlabel("time over SpiralTorch's: right of the line is slower than SpiralTorch")
    axes.set_title(f"{report.processor}, {report.threads} threads, {report.date}", fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="lower right")
    return _save(figure, stem)


def curves(report: Report, stem: Path) -> list[Path]:
    """Draws a panel for each curve, on logarithmic axes. Returns the files, `stem` with suffixes."""
    columns = 3
    lines = max(1, math.ceil(len(report.curves) / columns))
    figure = _figure(11, 3 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, curve in zip(panels, report.curves, strict=False):
        for name, values in curve.values.items():
            points = [(x, v * 1e3) for x, v in zip(curve.places, values, strict=True) if isinstance(v, float)]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], color=COLOURS[name], marker=MARKS[name], markersize=4,
                label=LIBRARIES[name].title,
            )  # fmt: skip
        axes.set_xscale("log", base=2 if all(x & (x - 1) == 0 for x in curve.places) else 10)
        axes.set_xticks(curve.places, [f"{x:,}" for x in curve.places], fontsize=7)
        axes.set_yscale("log")
        axes.set_title(curve.title, fontsize=8)
        axes.set_xlabel(curve.axis, fontsize=7)
        axes.set_ylabel("ms", fontsize=7)
        axes.grid(which="both", linewidth=0.3)
        if curve.values:
            axes.legend(fontsize=6)
    for axes in panels[len(report.curves) :]:
        axes.set_visible(False)
    return _save(figure, stem)


def _figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    require()
    figure: Figure = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    return figure


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(suffix) for suffix in FORMATS]
    for path in paths:
        figure.savefig(path, dpi=120)
    return paths
