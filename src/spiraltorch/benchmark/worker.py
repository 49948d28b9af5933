"""A worker process that prepares, checks and times rows in one library.

It answers each line of JSON on its input with one on its output:

- `{"do": "reference", "row": name, "size": {...}, "path": file}` writes the row's reference in float64 to a file;
- `{"do": "prepare", "row": name, "size": {...}, "path": file}` builds the row, warms it up, and answers with the relative
  error (null if the file does not exist) and the seconds of the first and of a warm call;
- `{"do": "time", "seconds": s}` calls the row for `s` seconds and answers with the median seconds of a call.

Errors are answered with `{"error": text}`. What the libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import numpy as np

from ..typing import NDArray
from .libraries import LIBRARIES, Library, TorchFloat64
from .row import LibraryResult, Row, flatten, relative_error, to_float64
from .rows import ROWS

REFERENCE = "float64"  # the library of the worker that computes references
COMPARED_CALLS = 3  # calls whose results are compared if a call changes the state
WARMUP_CALLS = 3  # calls before the first that is timed


class Request(TypedDict, total=False):
    """A line of a worker's input."""

    do: str
    row: str
    size: dict[str, int]
    path: str
    seconds: float


class Answer(TypedDict, total=False):
    """A line of a worker's output."""

    error: str
    relative: float | None
    first: float
    call: float
    median: float


def main(name: str, threads: int) -> None:
    """Answers requests for the library `name` until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(name, threads)
    for line in sys.stdin:
        answer = worker.answer(json.loads(line))
        wait_until_idle()
        print(json.dumps(answer), file=out, flush=True)


def wait_until_idle(longest: float = 1.0) -> None:
    """Waits until the threads of this process sleep: OpenBLAS's spin for 0.1 s, which would disturb the next library."""
    stop = time.perf_counter() + longest
    quiet = 0
    while quiet < 2 and time.perf_counter() < stop:
        used = time.process_time()
        time.sleep(0.02)
        quiet = quiet + 1 if time.process_time() - used < 0.002 else 0


class Worker:
    """A library and the row that is prepared in it."""

    def __init__(self, name: str, threads: int) -> None:
        self.library: Library | None = None
        if name != REFERENCE:
            self.library = LIBRARIES[name]()
            self.library.set_threads(threads)
        self.run: Callable[[], LibraryResult] | None = None
        self.call = 0.0

    def answer(self, request: Request) -> Answer:
        """Handles a request; an exception becomes an answer with `error`."""
        try:
            if request["do"] == "time":
                return self.timed(request["seconds"])
            row = ROWS[request["row"]].with_size(**request["size"])
            if request["do"] == "reference":
                return write_reference(row, Path(request["path"]))
            return self.prepare(row, Path(request["path"]))
        except Exception as error:
            self.run = None
            words = f"{type(error).__name__}: {error}".split()  # of all lines: the cause may be in a later one
            return {"error": " ".join(words)[:300]}

    def prepare(self, row: Row, path: Path) -> Answer:
        """Builds a row, warms it up and compares its result with the reference."""
        assert self.library is not None
        self.run = None  # frees the former row's arrays
        begin = time.perf_counter()
        run = self.library.build(row)
        results = []
        first = 0.0
        for n in range(max(WARMUP_CALLS, COMPARED_CALLS)):
            start = time.perf_counter()
            result = run()
            self.call = time.perf_counter() - start
            first = first or time.perf_counter() - begin
            if row.state and n < COMPARED_CALLS:
                results.append(self.library.to_numpy(result))
        if not row.state:
            results.append(self.library.to_numpy(result))
        self.run = run
        error = None
        if path.exists():
            with np.load(path) as want:
                error = relative_error(flatten(results), [want[key] for key in want.files])
        return {"relative": error, "first": first, "call": self.call}

    def timed(self, seconds: float) -> Answer:
        """Times calls for `seconds` seconds: at least five calls, of slow rows at least one."""
        assert self.run is not None
        run = self.run
        times: list[float] = []
        minimum = 5 if 5 * self.call < 2 * seconds else 1
        if minimum > 1:
            run()  # wakes the threads up
        stop = time.perf_counter() + seconds
        while len(times) < minimum or time.perf_counter() < stop:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        return {"median": statistics.median(times)}


def write_reference(row: Row, path: Path) -> Answer:
    """Writes the arrays of a row's reference to a file."""
    np.savez(path, *reference_results(row))
    return {}


def reference_results(row: Row) -> list[NDArray]:
    """A row's results in float64, by its reference or by torch. Raises `ImportError` if that needs torch and it is missing."""
    if row.reference is not None:
        return [np.asarray(to_float64(np.asarray(part))) for part in flatten(row.reference(*row.arrays()))]
    library = TorchFloat64()
    run = library.build(row)
    calls = [library.to_numpy(run()) for _ in range(COMPARED_CALLS if row.state else 1)]
    return [np.asarray(part) for part in flatten(calls)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
