"""The benchmark: each library in a process of its own, rows interleaved round by round, medians and ratios.

    python benchmarks/run.py [--rows gelu,mlp] [--rounds 7] [--threads 2] [--write] [--json]

A worker stays alive and times the row that it is told to; between rounds the other library runs. A library that is not
installed is named and left out. `--write` puts the whole table into docs/performance.md and README.md; it refuses on a
machine that is doing something else, because the ratios would mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from rows import MAKERS, ROWS

ROOT = Path(__file__).resolve().parents[1]
IDLE = 0.25  # the greatest load a core, over the last minute, at which a table may be written
BEGIN, END = "<!-- BENCH:BEGIN -->", "<!-- BENCH:END -->"


def worker(library: str, threads: int) -> None:
    """Answers one line of JSON for each line it reads: {"row": name, "seconds": budget}."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    rows: dict[str, Any] = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["row"]
        if name not in rows:
            rows.clear()  # one row's arrays at a time
            rows[name] = MAKERS[library](name)
            check = rows[name][1]()
            for _ in range(3):
                rows[name][0]()
        run = rows[name][0]
        times = []
        stop = time.perf_counter() + order["seconds"]
        while len(times) < 5 or time.perf_counter() < stop:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        print(json.dumps({"median": statistics.median(times), "check": check}), flush=True)


def start(library: str, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "SPIRALTORCH_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", library, "--threads", str(threads)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


FIRST_CALL = """
import sys, time
sys.path.insert(0, sys.argv[1])
import spiraltorch
begin = time.perf_counter()
from rows import spiraltorch_row
import rows, spiraltorch as st
from spiraltorch import nn, optim
params, batch, labels = rows.mlp_data()
model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
optimizer, criterion = optim.AdamW(model.parameters()), nn.CrossEntropyLoss()
def step(x, y):
    optimizer.zero_grad(); loss = criterion(model(x), y); loss.backward(); optimizer.step(); return loss.detach()
run, x, y = st.compile(step), st.tensor(batch), st.tensor(labels)
st.eval(*model.parameters())
begin = time.perf_counter()
run(x, y).item()
print(time.perf_counter() - begin)
"""


def first_calls() -> dict[str, float]:
    """Seconds of the first MLP train step in a new process, with empty and with warm caches; and of the import."""
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "SPIRALTORCH_CACHE_DIR": cache}
        for name in ("first call, empty caches", "first call, warm caches"):
            command = [sys.executable, "-c", FIRST_CALL, str(Path(__file__).resolve().parent)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            found[name] = float(done.stdout)
    code = "import time; t = time.perf_counter(); import spiraltorch; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    found["import spiraltorch"] = statistics.median(times)
    return found


def measure(names: list[str], rounds: int, threads: int, seconds: float) -> dict[str, dict[str, Any]]:
    libraries = [lib for lib in MAKERS if importlib.util.find_spec(lib) is not None]
    for missing in set(MAKERS) - set(libraries):
        print(f"{missing} is not installed and is left out", file=sys.stderr)
    workers = {lib: start(lib, threads) for lib in libraries}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        times: dict[str, list[float]] = {lib: [] for lib in libraries}
        checks = {}
        for _ in range(rounds):
            for lib in libraries:
                process = workers[lib]
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps({"row": name, "seconds": seconds}) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                times[lib].append(answer["median"])
                checks[lib] = answer["check"]
        found[name] = {"checks": checks}
        for lib in libraries:
            found[name][lib] = statistics.median(times[lib])
            found[name][f"{lib}_spread"] = (min(times[lib]), max(times[lib]))
        shown = ", ".join(f"{lib} {found[name][lib] * 1e3:.3f} ms ({checks[lib]})" for lib in libraries)
        print(f"{ROWS[name]}: {shown}", file=sys.stderr)
    for process in workers.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return found


def table(found: dict[str, dict[str, Any]], calls: dict[str, float], threads: int) -> str:
    versions = ", ".join(
        f"{lib} {importlib.metadata.version(lib)}" for lib in ("spiraltorch", "torch", "numpy", "llvmlite") if _has(lib)
    )
    lines = [
        f"Measured {date.today()} on {_processor()}, {threads} threads, {platform.system()}, Python "
        f"{platform.python_version()}; {versions}. Medians in milliseconds, the smallest and greatest round in brackets; "
        "each library in a process of its own, interleaved. Errors are relative to float64.",
        "",
        "| work | SpiralTorch | torch eager | ratio | error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        scale = 1e3 if name == "record" else 1.0  # a thousand recordings a run: microseconds each
        cells = []
        for lib in ("spiraltorch", "torch"):
            if lib not in row:
                cells.append("-")
                continue
            low, high = row[f"{lib}_spread"]
            text = f"{row[lib] * 1e3:.3g} ({low * 1e3:.3g} to {high * 1e3:.3g})"
            cells.append(text if scale == 1 else f"{row[lib] * 1e3:.2f} µs")
        ratio = f"{row['spiraltorch'] / row['torch']:.2f}" if "torch" in row else "-"
        lines.append(f"| {ROWS[name]} | {cells[0]} | {cells[1]} | {ratio} | {row['checks']['spiraltorch']} |")
    lines += ["", "| once | seconds |", "| --- | --- |"]
    lines += [f"| {name} | {value:.2f} |" for name, value in calls.items()]
    return "\n".join(lines)


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def write(text: str) -> None:
    """Puts the table between the markers of the documents that show it."""
    for path in (ROOT / "docs" / "performance.md", ROOT / "README.md"):
        old = path.read_text()
        head, _, rest = old.partition(BEGIN)
        _, _, tail = rest.partition(END)
        path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def load_per_core() -> float:
    """Processes that wanted a core, over the last minute and divided by the cores; 0 where the system does not say."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.threads)
        return
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"[rows] expected names of {', '.join(ROWS)}, got {', '.join(unknown)}")
    if options.write and set(names) != set(ROWS):
        parser.error("[write] expected all rows, because the table replaces the old one; leave --rows out")
    if options.write and (load := load_per_core()) > IDLE:
        parser.error(
            f"[write] expected an idle machine with a load of at most {IDLE} a core over the last minute, got {load:.2f}; "
            "stop what runs beside it, wait a minute, and try again, or leave --write out to see the table only"
        )
    found = measure(names, options.rounds, options.threads, options.seconds)
    calls = first_calls()
    text = table(found, calls, options.threads)
    print(json.dumps({"rows": found, "once": calls}) if options.json else text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
