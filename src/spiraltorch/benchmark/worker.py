"""A process of one library: it prepares the row that it is told, checks it, and times it when asked.

It answers each line of JSON on its input with one on its output:

- `{"do": "reference", "row": name, "size": {...}, "path": file}` computes the row's definition in float64 into a file;
- `{"do": "prepare", "row": name, "size": {...}, "path": file}` builds the row, runs it until it is warm, and answers with the
  relative error (null where the file is missing) and the seconds of the first and of a warm call;
- `{"do": "time", "seconds": s}` answers with the median seconds of calls over so long.

What cannot be done is answered with `{"error": text}`. What the libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .libraries import LIBRARIES, Library, TorchDouble
from .row import Row, double, flat, relative_error
from .rows import ROWS

REFERENCE = "float64"  # the worker that computes definitions
CHECKED = 3  # calls whose results are compared where a call changes the state
WARM = 3  # calls before the first that is timed


def main(name: str, threads: int) -> None:
    """Answers orders for the library `name` until its input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(name, threads)
    for line in sys.stdin:
        answer = worker.answer(json.loads(line))
        settle()
        print(json.dumps(answer), file=out, flush=True)


def settle(longest: float = 1.0) -> None:
    """Waits until the threads of this process sleep: OpenBLAS's spin for a tenth of a second, on the next one's time."""
    stop = time.perf_counter() + longest
    quiet = 0
    while quiet < 2 and time.perf_counter() < stop:
        used = time.process_time()
        time.sleep(0.02)
        quiet = quiet + 1 if time.process_time() - used < 0.002 else 0


class Worker:
    """One library, with the row that it holds."""

    def __init__(self, name: str, threads: int) -> None:
        self.library: Library | None = None
        if name != REFERENCE:
            self.library = LIBRARIES[name]()
            self.library.use_threads(threads)
        self.run: Callable[[], Any] | None = None
        self.call = 0.0

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """What came of an order."""
        try:
            if order["do"] == "time":
                return self.timed(order["seconds"])
            row = ROWS[order["row"]].at(**order["size"])
            if order["do"] == "reference":
                return define(row, Path(order["path"]))
            return self.prepare(row, Path(order["path"]))
        except Exception as error:
            self.run = None
            told = f"{type(error).__name__}: {error}".split()  # all lines: the cause may be in a later one
            return {"error": " ".join(told)[:300]}

    def prepare(self, row: Row, path: Path) -> dict[str, Any]:
        """Builds, checks and warms a row up."""
        assert self.library is not None
        self.run = None  # one row's arrays at a time
        begin = time.perf_counter()
        run = self.library.build(row)
        results = []
        first = 0.0
        for n in range(max(WARM, CHECKED)):
            start = time.perf_counter()
            result = run()
            self.call = time.perf_counter() - start
            first = first or time.perf_counter() - begin
            if row.state and n < CHECKED:
                results.append(self.library.host(result))
        if not row.state:
            results.append(self.library.host(result))
        self.run = run
        found = None
        if path.exists():
            with np.load(path) as want:
                found = relative_error(flat(results), [want[key] for key in want.files])
        return {"relative": found, "first": first, "call": self.call}

    def timed(self, seconds: float) -> dict[str, Any]:
        """The median of calls over so many seconds: at least five, but one of a slow row."""
        assert self.run is not None
        run = self.run
        times: list[float] = []
        least = 5 if 5 * self.call < 2 * seconds else 1
        if least > 1:
            run()  # to wake the threads up
        stop = time.perf_counter() + seconds
        while len(times) < least or time.perf_counter() < stop:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        return {"median": statistics.median(times)}


def define(row: Row, path: Path) -> dict[str, Any]:
    """Writes the row's results in float64, one array after the other."""
    np.savez(path, *definition(row))
    return {}


def definition(row: Row) -> list[Any]:
    """The row's results in float64: by its reference, or by its program for torch. Raises `ImportError` without torch."""
    if row.reference is not None:
        return [np.asarray(double(np.asarray(part))) for part in flat(row.reference(*row.arrays()))]
    library = TorchDouble()
    run = library.build(row)
    calls = [library.host(run()) for _ in range(CHECKED if row.state else 1)]
    return [np.asarray(part) for part in flat(calls)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
