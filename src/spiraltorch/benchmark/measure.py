"""Measures rows: each library in its own process, in interleaved rounds, so that disturbances affect all libraries."""

from __future__ import annotations

import json
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from . import machine
from .libraries import OURS
from .row import Row
from .worker import REFERENCE, Answer, Request

COMMAND = (sys.executable, "-m", "spiraltorch.benchmark.worker")
LIMIT = 300.0  # seconds in which a worker has to answer; torch.compile's first call may take half a minute
ROW_SECONDS = 12.0  # seconds that the rounds of a row may take in a library; slow rows have fewer rounds
MIN_ROUNDS = 3  # rounds of a row, however slow it is
Log = Callable[[str], None]


@dataclass
class Timing:
    """The times of a row in one library.

    Args:
        rounds: the median seconds of a call in each round.
        relative: the relative error of the result; None if there is no reference.
        first: the seconds of the first call, with compilation.
        problem: why there are no times, or no further ones; None if nothing failed.
        tolerance: the largest relative error that counts as correct.
    """

    rounds: list[float] = field(default_factory=list)
    relative: float | None = None
    first: float | None = None
    problem: str | None = None
    tolerance: float = 0.0

    @property
    def median(self) -> float | None:
        """The median of the rounds, in seconds."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def verdict(self) -> str:
        """`ok`, `WRONG`, `unchecked` (there is no reference) or `failed`."""
        if self.problem is not None or not self.rounds:
            return "failed"
        if self.relative is None:
            return "unchecked"
        return "ok" if self.relative <= self.tolerance else "WRONG"


@dataclass
class RowResult:
    """A row with the times of all libraries that have a program for it.

    Args:
        row: the row.
        timings: the times, by library.
        unchecked: why there is no reference; None if there is one.
    """

    row: Row
    timings: dict[str, Timing] = field(default_factory=dict)
    unchecked: str | None = None

    @property
    def best(self) -> str | None:
        """The name of the fastest peer without a wrong result."""
        times = {
            name: t.median
            for name, t in self.timings.items()
            if name != OURS and t.median is not None and t.verdict in ("ok", "unchecked")
        }
        return min(times, key=lambda name: times[name]) if times else None

    @property
    def ratio(self) -> float | None:
        """SpiralTorch's time divided by the best peer's; None if its result is wrong or there is no such peer."""
        ours = self.timings.get(OURS)
        if ours is None or ours.median is None or ours.verdict in ("WRONG", "failed") or self.best is None:
            return None
        theirs = self.timings[self.best].median
        assert theirs is not None
        return ours.median / theirs


class WorkerError(Exception):
    """A worker reported an error, died, or did not answer in time."""


class Process:
    """A worker process, started at the first request and again after it died."""

    def __init__(self, library: str, threads: int, suite: str, command: Sequence[str]) -> None:
        self.library, self.threads = library, threads
        self.command = [*command, library, str(threads)]
        self.environment = machine.environment(threads, suite)
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.errors: IO[str] | None = None

    def ask(self, request: Request, limit: float) -> Answer:
        """The answer to a request, within `limit` seconds. Raises `WorkerError`."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            self.end()
            raise WorkerError(f"no answer within {limit:g} s") from None
        except OSError:
            line = None
        if line is None:
            message = self._exit_message()
            self.end()
            raise WorkerError(message)
        answer = cast(Answer, json.loads(line))
        if "error" in answer:
            raise WorkerError(str(answer["error"]))
        return answer

    def end(self) -> None:
        """Kills the process if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.errors):
                assert pipe is not None
                try:
                    pipe.close()
                except OSError:
                    continue
        self.process = None

    def _running(self) -> subprocess.Popen[str]:
        if self.process is None:
            self.lines = queue.Queue()
            self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                encoding="utf-8", env=self.environment,
            )  # fmt: skip
            threading.Thread(target=_read_lines, args=(self.process, self.lines), daemon=True).start()
        return self.process

    def _exit_message(self) -> str:
        """The exit code or signal of the process, and the last line of its stderr."""
        assert self.process is not None and self.errors is not None
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "closed its output"
        self.errors.seek(0)
        written = [line.strip() for line in self.errors.read().splitlines() if line.strip()]
        cause = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{cause}: {written[-1][:300]}" if written else cause


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Puts the lines of a worker's output into a queue, then None."""
    assert process.stdout is not None
    with process.stdout as out:
        for line in out:
            lines.put(line)
    lines.put(None)


def measure(
    rows: Sequence[Row], libraries: Sequence[str], rounds: int, threads: int, seconds: float = 0.3,
    has: Callable[[str, Row], bool] | None = None, log: Log = lambda text: None, suite: str = machine.SUITE,
    command: Sequence[str] = COMMAND, limit: float = LIMIT, budget: float = ROW_SECONDS,
) -> list[RowResult]:  # fmt: skip
    """Times rows in several libraries, each in its own process, in interleaved rounds.

    A library that fails in a row is reported there and continues with the next.

    Args:
        rows: the rows, as of `rows.ROWS`.
        libraries: names of `libraries.LIBRARIES`.
        rounds: the number of rounds of a row, in which each library is timed once.
        threads: the number of threads of every library.
        seconds: for how long a library calls the function in one round.
        has: `has(library, row)` tells whether a library has a program for a row; by default, whether the row has one.
        log: called with a line of text for each row that has been measured.
        suite: a key of `machine.SUITES`.
        command: starts a worker; library and threads are appended.
        limit: the seconds in which a worker has to answer.
        budget: the seconds that a row's rounds may take in one library; slow rows have fewer rounds, at least
            `MIN_ROUNDS`.

    Returns:
        One result for each row.

    Example:
        >>> from spiraltorch.benchmark.measure import measure
        >>> from spiraltorch.benchmark.rows import ROWS
        >>> (result,) = measure([ROWS["rowsum"].small()], ["spiraltorch"], rounds=1, threads=1, seconds=0.01)
        >>> result.timings["spiraltorch"].verdict
        'ok'
    """
    knows = has or has_program
    workers = {name: Process(name, threads, suite, command) for name in (REFERENCE, *libraries)}
    results = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, row in enumerate(rows):
                path = Path(folder) / f"{number}.npz"
                timings = {name: Timing(tolerance=row.tolerance) for name in libraries if knows(name, row)}
                result = RowResult(row, timings)
                request: Request = {"row": row.name, "size": dict(row.size), "path": str(path)}
                _compute_reference(result, workers[REFERENCE], request, limit)
                own = {n: workers[n] for n in timings}
                turns = _prepare(result, own, request, rounds, seconds, limit, budget)
                _time_rounds(result, own, turns, seconds, limit)
                path.unlink(missing_ok=True)
                results.append(result)
                log(f"{row.label}: {_line(result)}")
    finally:
        for worker in workers.values():
            worker.end()
    return results


def _compute_reference(result: RowResult, reference: Process, request: Request, limit: float) -> None:
    """Writes the row's reference to the file of the request."""
    try:
        reference.ask({"do": "reference", **request}, limit)
    except WorkerError as error:
        result.unchecked = str(error)


def _prepare(
    result: RowResult, workers: dict[str, Process], request: Request, rounds: int, seconds: float, limit: float,
    budget: float,
) -> dict[str, int]:  # fmt: skip
    """Prepares and checks the row in every library; returns the number of rounds of each that succeeded."""
    turns = {}
    for name, worker in workers.items():
        timing = result.timings[name]
        try:
            answer = worker.ask({"do": "prepare", **request}, limit)
        except WorkerError as error:
            timing.problem = str(error)
            continue
        timing.relative, timing.first = answer["relative"], answer["first"]
        turns[name] = max(min(rounds, MIN_ROUNDS), min(rounds, int(budget / max(answer["call"], seconds))))
    return turns


def _time_rounds(
    result: RowResult, workers: dict[str, Process], turns: dict[str, int], seconds: float, limit: float
) -> None:
    """Times the prepared libraries in turn."""
    for turn in range(max(turns.values(), default=0)):
        for name, worker in workers.items():
            timing = result.timings[name]
            if timing.problem is not None or turn >= turns[name]:
                continue
            try:
                timing.rounds.append(worker.ask({"do": "time", "seconds": seconds}, limit)["median"])
            except WorkerError as error:
                timing.problem = str(error)


def has_program(library: str, row: Row) -> bool:
    """Whether a library has a program for a row."""
    from .libraries import LIBRARIES

    return LIBRARIES[library].program(row) is not None


def _line(result: RowResult) -> str:
    """A line of text that reports a row's times."""
    parts = []
    for name, t in result.timings.items():
        time = t.problem if t.problem is not None or t.median is None else f"{t.median * 1e3:.4g} ms"
        error = "" if t.relative is None else f" {t.relative:.1e}"
        parts.append(f"{name} {time} ({t.verdict}{error})")
    ratio = f"; ratio {result.ratio:.2f}" if result.ratio is not None else ""
    return ", ".join(parts) + ratio
