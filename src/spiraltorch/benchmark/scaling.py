"""Curves: time against threads, against size, and the time to compile against the length of a graph."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import machine, once
from .measure import measure
from .rows import ROWS

SIZES = (64, 128, 256, 512, 1024, 2048)
LENGTHS = (10, 100, 1000, 10_000)
ROW_COUNTS = (1, 16, 256, 4096, 16384)
THREADED = ("matmul1024", "softmax", "gelu", "block")
Say = Callable[[str], None]


@dataclass
class Curve:
    """Seconds at some places, for each library that has them; None or a text where it has none."""

    title: str
    axis: str
    places: list[int]
    values: dict[str, list[float | str | None]] = field(default_factory=dict)


def measure_curves(
    libraries: Sequence[str], threads: int, rounds: int, seconds: float, say: Say = lambda text: None, **options: Any
) -> list[Curve]:
    """All curves. `threads` is what the curves over sizes use; those over threads go up to the processors there are."""
    counts = thread_counts(machine.cores())
    curves = [Curve(f"{ROWS[name].label}, by threads", "threads", counts) for name in THREADED]
    for count in counts:
        found = measure([ROWS[n] for n in THREADED], libraries, rounds, count, seconds, say=say, **options)
        for curve, row in zip(curves, found, strict=True):
            for name, timing in row.timings.items():
                curve.values.setdefault(name, []).append(timing.median if timing.problem is None else timing.problem)
    sized = (
        ("matmul n, by n", "n", SIZES, [ROWS["matmul1024"].at(n=n) for n in SIZES]),
        ("softmax n x 1024, by n", "n", ROW_COUNTS, [ROWS["softmax"].at(n=n) for n in ROW_COUNTS]),
    )
    for title, axis, places, rows in sized:
        curve = Curve(title, axis, list(places))
        for row in measure(rows, libraries, rounds, threads, seconds, say=say, **options):
            for name, timing in row.timings.items():
                curve.values.setdefault(name, []).append(timing.median if timing.problem is None else timing.problem)
        curves.append(curve)
    with once.with_bytecode():
        return [*curves, compile_times(libraries, threads, say)]


def thread_counts(cores: int) -> list[int]:
    """Powers of two up to the processors, and their number."""
    counts = [1]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == cores else [*counts, cores]


def compile_times(
    libraries: Sequence[str], threads: int, say: Say = lambda text: None, lengths: Sequence[int] = LENGTHS
) -> Curve:
    """The first call of a compiled chain of element-wise operations, with empty caches."""
    curve = Curve("first call of a compiled chain, by its operations", "operations", list(lengths))
    for name in libraries:
        if name not in once.COMPILING:
            continue
        with tempfile.TemporaryDirectory() as folder:
            once.run(name, threads, "chain", str(lengths[0]), folder)  # writes the bytecode
        for length in lengths:
            found = curve.values.setdefault(name, [])
            if found and isinstance(found[-1], str):
                found.append(found[-1])  # a shorter one was too much already
                continue
            with tempfile.TemporaryDirectory() as folder:
                found.append(once.run(name, threads, "chain", str(length), folder))
            say(f"{length} operations compiled: {name} {once.shown(found[-1] or 0.0)}")
    return curve
