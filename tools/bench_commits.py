"""Compares the speed of two source trees on the benchmark's rows: `python tools/bench_commits.py OLD NEW --rows gelu,mlp`.

OLD and NEW are commits, or `.` for the working tree with what is not committed. Each tree has a worker process of its own
(`spiraltorch.benchmark.worker`), with its own kernel cache, and both take turns in rounds, so that what disturbs the machine
disturbs both. A row's figure is the ratio of the medians of its rounds, new by old. Only `spiraltorch` itself is timed, so no
other library has to be installed. Relied on: the worker's protocol of one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]


class TreeWorker:
    """The benchmark's worker of one source tree."""

    def __init__(self, tree: Path, cache: Path, threads: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "SPIRALTORCH_CACHE_DIR": str(cache)}
        environment["SPIRALTORCH_NUM_THREADS"] = str(threads)
        command = [sys.executable, "-m", "spiraltorch.benchmark.worker", "spiraltorch", str(threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, **request: object) -> dict[str, float]:
        """The answer to a request. Raises `RuntimeError` with the worker's error."""
        given, taken = _pipe(self.process.stdin), _pipe(self.process.stdout)
        print(json.dumps(request), file=given, flush=True)
        line = taken.readline()
        answer = json.loads(line) if line else {"error": f"the worker ended with {self.process.wait()}"}
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return dict(answer)

    def close(self) -> None:
        """Ends the process."""
        _pipe(self.process.stdin).close()
        self.process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def compare(old: TreeWorker, new: TreeWorker, row: str, rounds: int, seconds: float) -> tuple[list[float], list[float]]:
    """The median seconds of a call in each round, of both trees."""
    for worker in (old, new):
        worker.ask(do="prepare", row=row, size={}, path=os.devnull + ".none")  # no reference: the suite checks results
    times: tuple[list[float], list[float]] = ([], [])
    for n in range(rounds):
        order = ((old, 0), (new, 1)) if n % 2 == 0 else ((new, 1), (old, 0))
        for worker, side in order:
            times[side].append(worker.ask(do="time", seconds=seconds)["median"])
    return times


def unpack(commit: str, folder: Path) -> Path:
    """The source tree of a commit, unpacked into a folder; the working tree for `.`."""
    if commit == ".":
        return ROOT
    tree = folder / commit.replace("/", "_")
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive, check=True)
    return tree


def row_names(tree: Path) -> list[str]:
    """All rows of a tree's benchmark."""
    code = "from spiraltorch.benchmark.rows import ROWS; print(*ROWS)"
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    found = subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return found.stdout.split()


def main() -> int:
    """Prints a line for each row and the geometric mean; ends with 1 if a row failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rows", default="", help="names, separated by commas; all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a round")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    given = parser.parse_args()
    ratios, failed = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trees = [unpack(commit, folder) for commit in (given.old, given.new)]
        old_worker, new_worker = (TreeWorker(tree, folder / f"cache{n}", given.threads) for n, tree in enumerate(trees))
        print(f"{'row':<28}{'old ms':>10}{'new ms':>10}{'new/old':>9}")
        for row in given.rows.split(",") if given.rows else row_names(trees[1]):
            try:
                old, new = map(statistics.median, compare(old_worker, new_worker, row, given.rounds, given.seconds))
            except RuntimeError as error:
                failed += 1
                print(f"{row:<28}{error}", flush=True)
                continue
            ratios.append(new / old)
            print(f"{row:<28}{old * 1e3:>10.3f}{new * 1e3:>10.3f}{new / old:>9.3f}", flush=True)
        old_worker.close()
        new_worker.close()
    if ratios:
        print(f"geometric mean of {len(ratios)} rows: {math.exp(statistics.fmean(map(math.log, ratios))):.3f}")
    return 1 if failed or not ratios else 0


if __name__ == "__main__":
    sys.exit(main())
