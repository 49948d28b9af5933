"""Scaling curves: time by threads, time by size, and compile time by the length of the graph."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import latency, machine
from .measure import RowResult, measure
from .rows import ROWS

SIZES = (64, 128, 256, 512, 1024, 2048)
LENGTHS = (10, 100, 1000, 10_000)
ROW_COUNTS = (1, 16, 256, 4096, 16384)
THREADED = ("matmul1024", "softmax", "gelu", "block")
Log = Callable[[str], None]  # called with a line of text for each row


@dataclass
class Curve:
    """The times of several libraries along an axis.

    Args:
        title: what is measured.
        axis: the name of the axis.
        places: the values on the axis.
        values: for each library the seconds at each place, or a text that says why there are none.
    """

    title: str
    axis: str
    places: list[int]
    values: dict[str, list[float | str | None]] = field(default_factory=dict)


def measure_curves(
    libraries: Sequence[str], threads: int, rounds: int, seconds: float, log: Log = lambda text: None,
    suite: str = machine.SUITE,
) -> list[Curve]:  # fmt: skip
    """Measures all curves; those by threads go up to the number of processors.

    Args:
        libraries: names of `libraries.LIBRARIES`.
        threads: the number of threads for the curves by size.
        rounds: see `measure.measure`.
        seconds: see `measure.measure`.
        log: see `measure.measure`.
        suite: see `measure.measure`.
    """
    counts = thread_counts(machine.cores())
    curves = [Curve(f"{ROWS[name].label}, by threads", "threads", counts) for name in THREADED]
    for count in counts:
        results = measure([ROWS[n] for n in THREADED], libraries, rounds, count, seconds, log=log, suite=suite)
        for curve, result in zip(curves, results, strict=True):
            _append(curve, result)
    sized = (
        ("matmul n, by n", "n", SIZES, [ROWS["matmul1024"].with_size(n=n) for n in SIZES]),
        ("softmax n x 1024, by n", "n", ROW_COUNTS, [ROWS["softmax"].with_size(n=n) for n in ROW_COUNTS]),
    )
    for title, axis, places, rows in sized:
        curve = Curve(title, axis, list(places))
        for result in measure(rows, libraries, rounds, threads, seconds, log=log, suite=suite):
            _append(curve, result)
        curves.append(curve)
    with latency.bytecode_cache():
        return [*curves, compile_times(libraries, threads, log)]


def _append(curve: Curve, result: RowResult) -> None:
    """Adds the times of a row as the curve's next place."""
    for name, timing in result.timings.items():
        curve.values.setdefault(name, []).append(timing.median if timing.problem is None else timing.problem)


def thread_counts(cores: int) -> list[int]:
    """The powers of two up to a number of processors, and the number itself."""
    counts = [1]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == cores else [*counts, cores]


def compile_times(
    libraries: Sequence[str], threads: int, log: Log = lambda text: None, lengths: Sequence[int] = LENGTHS
) -> Curve:
    """The first call of compiled chains of element-wise operations, with empty caches."""
    curve = Curve("first call of a compiled chain, by its operations", "operations", list(lengths))
    for name in libraries:
        if name not in latency.COMPILERS:
            continue
        with tempfile.TemporaryDirectory() as folder:
            latency.run(name, threads, "chain", str(lengths[0]), folder)  # writes the bytecode
        for length in lengths:
            times = curve.values.setdefault(name, [])
            if times and isinstance(times[-1], str):
                times.append(times[-1])  # a shorter chain has failed
                continue
            with tempfile.TemporaryDirectory() as folder:
                times.append(latency.run(name, threads, "chain", str(length), folder))
            log(f"{length} operations compiled: {name} {latency.format_seconds(times[-1] or 0.0)}")
    return curve
