"""Measures rows: each library in a process of its own, round by round in turn, so that what the machine does meets all."""

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
from typing import IO, Any

from . import machine
from .libraries import OURS
from .row import Row
from .worker import REFERENCE

COMMAND = (sys.executable, "-m", "spiraltorch.benchmark.worker")
LIMIT = 300.0  # seconds until a worker has prepared a row; torch.compile's first call may take half a minute
BUDGET = 12.0  # seconds that the rounds of a row may take in a library; slow rows have fewer
LEAST = 3  # rounds of a row however slow it is
Say = Callable[[str], None]


@dataclass
class Timing:
    """What a library did with a row. Times are seconds a call; `problem` says why there are none."""

    rounds: list[float] = field(default_factory=list)
    relative: float | None = None
    first: float | None = None
    problem: str | None = None
    tolerance: float = 0.0

    @property
    def median(self) -> float | None:
        """The median of the rounds' medians."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def verdict(self) -> str:
        """`ok`, `WRONG`, `unchecked` (no reference could be computed) or `failed`."""
        if self.problem is not None or not self.rounds:
            return "failed"
        if self.relative is None:
            return "unchecked"
        return "ok" if self.relative <= self.tolerance else "WRONG"


@dataclass
class Measured:
    """A row with the timings of the libraries that have a program for it."""

    row: Row
    timings: dict[str, Timing] = field(default_factory=dict)
    unchecked: str | None = None  # why there is no float64 result to compare with

    @property
    def best(self) -> str | None:
        """The fastest peer that is not wrong."""
        sound = {
            name: t.median
            for name, t in self.timings.items()
            if name != OURS and t.median is not None and t.verdict in ("ok", "unchecked")
        }
        return min(sound, key=lambda name: sound[name]) if sound else None

    @property
    def ratio(self) -> float | None:
        """This library's time over the best peer's: below 1 is faster. None where it is wrong, or no peer is right."""
        ours = self.timings.get(OURS)
        if ours is None or ours.median is None or ours.verdict in ("WRONG", "failed") or self.best is None:
            return None
        theirs = self.timings[self.best].median
        assert theirs is not None
        return ours.median / theirs


class Failure(Exception):
    """A worker said that it cannot, died, or went over its limit."""


class Process:
    """A worker, started when it is first asked and again after it died."""

    def __init__(self, library: str, threads: int, suite: str, command: Sequence[str]) -> None:
        self.library, self.threads = library, threads
        self.command = [*command, library, str(threads)]
        self.environment = machine.environment(threads, suite)
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.errors: IO[str] | None = None

    def ask(self, order: dict[str, Any], limit: float) -> dict[str, Any]:
        """The answer to an order. Raises `Failure`."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            self.end()
            raise Failure(f"no answer within {limit:g} s") from None
        except OSError:
            line = None
        if line is None:
            words = self._last_words()
            self.end()
            raise Failure(words)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failure(str(answer["error"]))
        return answer

    def end(self) -> None:
        """Stops the process, if there is one."""
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
            threading.Thread(target=_pump, args=(self.process, self.lines), daemon=True).start()
        return self.process

    def _last_words(self) -> str:
        assert self.process is not None and self.errors is not None
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "closed its output"
        self.errors.seek(0)
        written = [line.strip() for line in self.errors.read().splitlines() if line.strip()]
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{how}: {written[-1][:300]}" if written else how


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as out:
        for line in out:
            lines.put(line)
    lines.put(None)


def measure(
    rows: Sequence[Row], libraries: Sequence[str], rounds: int, threads: int, seconds: float = 0.3,
    has: Callable[[str, Row], bool] | None = None, say: Say = lambda text: None, suite: str = machine.SUITE,
    command: Sequence[str] = COMMAND, limit: float = LIMIT, budget: float = BUDGET,
) -> list[Measured]:  # fmt: skip
    """Times rows in libraries. A library that fails at a row is reported there and goes on with the next.

    A round is `seconds` of calls of each library in turn. A row whose rounds would take a library longer than `budget` has
    fewer, `LEAST` at the least. `has(library, row)` tells which library has a program for a row, by default the row itself.
    `say` is given a line for each row that has ended.
    """
    knows = has or has_program
    workers = {name: Process(name, threads, suite, command) for name in (REFERENCE, *libraries)}
    measured = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, row in enumerate(rows):
                path = Path(folder) / f"{number}.npz"
                found = Measured(row, {name: Timing(tolerance=row.tolerance) for name in libraries if knows(name, row)})
                _measure_row(
                    found,
                    {n: workers[n] for n in found.timings},
                    workers[REFERENCE],
                    path,
                    rounds,
                    seconds,
                    limit,
                    budget,
                )
                path.unlink(missing_ok=True)
                measured.append(found)
                say(f"{row.label}: {_line(found)}")
    finally:
        for worker in workers.values():
            worker.end()
    return measured


def _measure_row(
    found: Measured, workers: dict[str, Process], reference: Process, path: Path, rounds: int, seconds: float,
    limit: float, budget: float,
) -> None:  # fmt: skip
    order = {"row": found.row.name, "size": dict(found.row.size), "path": str(path)}
    try:
        reference.ask({"do": "reference", **order}, limit)
    except Failure as failure:
        found.unchecked = str(failure)
    turns = {}
    for name, worker in workers.items():
        timing = found.timings[name]
        try:
            answer = worker.ask({"do": "prepare", **order}, limit)
        except Failure as failure:
            timing.problem = str(failure)
            continue
        timing.relative, timing.first = answer["relative"], answer["first"]
        turns[name] = max(min(rounds, LEAST), min(rounds, int(budget / max(answer["call"], seconds))))
    for turn in range(max(turns.values(), default=0)):
        for name, worker in workers.items():
            timing = found.timings[name]
            if timing.problem is not None or turn >= turns[name]:
                continue
            try:
                timing.rounds.append(worker.ask({"do": "time", "seconds": seconds}, limit)["median"])
            except Failure as failure:
                timing.problem = str(failure)


def has_program(library: str, row: Row) -> bool:
    """Whether a library has a program for a row."""
    from .libraries import LIBRARIES

    return LIBRARIES[library].program(row) is not None


def _line(found: Measured) -> str:
    parts = []
    for name, t in found.timings.items():
        what = t.problem if t.problem is not None or t.median is None else f"{t.median * 1e3:.4g} ms"
        error = "" if t.relative is None else f" {t.relative:.1e}"
        parts.append(f"{name} {what} ({t.verdict}{error})")
    ratio = f"; ratio {found.ratio:.2f}" if found.ratio is not None else ""
    return ", ".join(parts) + ratio
