"""The benchmark: `python benchmarks/run.py [--write] [--rows a,b] [--rounds N]`.

Each library runs in a process of its own, because the thread pools of one slow another down. The processes stay alive
and take turns, round by round, so that a change of the machine's speed meets all of them. A row's figure is the median
of its rounds, its spread their least and greatest. Every result is checked against float64 NumPy before it is timed.
PyTorch is compared with where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import report
import rows

PAUSE = 0.3  # seconds between two libraries, until the threads of the first one sleep


class Worker:
    """A library's process."""

    def __init__(self, library: str, threads: int) -> None:
        command = [sys.executable, __file__, "--worker", library, "--threads", str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(threads)
        )
        self.library = library
        self.version = self._answer()["version"]

    def ask(self, **request: Any) -> Any:
        """Sends a request and waits for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.library} ended with exit code {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def _environment(threads: int, cache: str | None = None) -> dict[str, str]:
    environment = {**os.environ, "SPIRALTORCH_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    if cache is not None:
        environment["SPIRALTORCH_CACHE_DIR"] = cache
    return environment


def measure(names: list[str], libraries: list[str], threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """The figures: for each row and library the seconds of each round, and the error against NumPy."""
    times: dict[str, dict[str, list[float]]] = {}
    errors: dict[str, dict[str, float]] = {}
    workers = [Worker(library, threads) for library in libraries]
    versions = {w.library: w.version for w in workers}
    chosen = [r for r in rows.ROWS if r.name in names]
    with tempfile.TemporaryDirectory() as folder:
        for row in chosen:
            wanted = np.asarray(row.expect(*[a.astype(np.float64) for a in row.inputs()]))
            for worker in workers:
                errors.setdefault(row.name, {})[worker.library] = _check(row, worker, wanted, folder)
    for n in range(rounds):
        for row in chosen:
            for worker in workers:
                _say(f"round {n + 1}/{rounds}  {row.name}  {worker.library}")
                time.sleep(PAUSE)
                took = worker.ask(do="time", row=row.name, seconds=seconds)["seconds"]
                took /= rows.RECORDED if row.name == "record" else 1
                times.setdefault(row.name, {}).setdefault(worker.library, []).append(took)
    for worker in workers:
        worker.close()
    _measure_fresh(names, libraries, threads, rounds, times)
    _say("")
    return {"times": times, "errors": errors, "versions": versions, "threads": threads, "rounds": rounds}


def _check(row: rows.Row, worker: Worker, wanted: Any, folder: str) -> float:
    """The greatest difference, relative to the greatest value. Ends the benchmark where it is too great."""
    _say(f"checking {row.name}  {worker.library}")
    file = os.path.join(folder, "result.npy")
    worker.ask(do="check", row=row.name, file=file)
    got = np.load(file).astype(np.float64)
    error = float(np.abs(got - wanted).max() / np.abs(wanted).max()) if got.shape == wanted.shape else math.inf
    if not error <= row.tolerance:
        raise SystemExit(
            f"{worker.library} computes {row.name} wrongly: error {error:.2e}, shape {got.shape} for {wanted.shape}"
        )
    return error


def _measure_fresh(names: list[str], libraries: list[str], threads: int, rounds: int, times: dict[str, Any]) -> None:
    """The rows that need a new process each time; an empty cache is a new folder, the warm one is the same again."""
    wanted = [name for name, _ in rows.FRESH if name in names]
    for n in range(rounds if wanted else 0):
        for library in libraries:
            with tempfile.TemporaryDirectory() as cache:
                if "first_warm" in wanted and "first_empty" not in wanted:
                    _fresh(library, "first_empty", threads, cache)
                for name in wanted:
                    _say(f"round {n + 1}/{rounds}  {name}  {library}")
                    times.setdefault(name, {}).setdefault(library, []).append(_fresh(library, name, threads, cache))


def _fresh(library: str, row: str, threads: int, cache: str) -> float:
    command = [sys.executable, __file__, "--fresh", library, row, "--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=_environment(threads, cache), check=True)
    return float(done.stdout.split()[-1])


def _say(text: str) -> None:
    """One line of progress on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Parses the command line and runs."""
    known = [r.name for r in rows.ROWS] + [name for name, _ in rows.FRESH]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default=",".join(known), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of measuring one row once")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="print the raw figures")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md and README.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--fresh", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker or options.fresh:
        import worker

        if options.worker:
            worker.serve(options.worker, options.threads)
        else:
            print(worker.fresh(*options.fresh, options.threads))
        return
    names = options.rows.split(",")
    if unknown := set(names) - set(known):
        parser.error(f"expected rows out of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    libraries = ["spiraltorch"] + (["torch"] if importlib.util.find_spec("torch") else [])
    figures = measure(names, libraries, options.threads, options.rounds, options.seconds)
    figures["ratios"] = {
        name: statistics.median(t["spiraltorch"]) / statistics.median(t["torch"])
        for name, t in figures["times"].items()
        if "torch" in t
    }
    print(json.dumps(figures) if options.json else report.table(figures))
    if options.write:
        report.write(figures)


if __name__ == "__main__":
    main()
