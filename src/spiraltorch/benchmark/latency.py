"""Latencies: the import, the first call of a compiled function, and the overhead of a call.

Each is measured in a new process, `python -m spiraltorch.benchmark.latency LIBRARY THREADS TASK ARGUMENT`, which prints
seconds. First calls are measured twice with the same folder of caches: empty at first, then warm.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from . import machine
from .libraries import LIBRARIES, Library
from .row import LibraryResult, LibraryTensor, Row, random_normal, shared
from .rows import ROWS

LIMIT = 120.0  # seconds for one process
IMPORTS = 5  # processes that measure an import
CACHES = ("SPIRALTORCH_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
COMPILERS = ("spiraltorch", "torch-compile", "jax")
FIRST_CALLS = {"mlp": "MLP train step", "block_grad": "transformer block forward + backward"}
CAPTURED = 50
Seconds = float | str  # a text says why there is no measurement


@dataclass
class Latency:
    """A latency in several libraries, in seconds, or a text that says why there is none."""

    title: str
    values: dict[str, Seconds] = field(default_factory=dict)


def measure(libraries: Sequence[str], threads: int, log: Callable[[str], None] = lambda text: None) -> list[Latency]:
    """Measures all latencies in those of the libraries that have them. `log` is called with a line of text for each."""
    with bytecode_cache():
        latencies = _measure(libraries, threads)
    for latency in latencies:
        values = ", ".join(f"{name} {format_seconds(value)}" for name, value in latency.values.items())
        log(f"{latency.title}: {values}")
    return latencies


@contextmanager
def bytecode_cache() -> Iterator[None]:
    """Lets new processes cache bytecode in a temporary folder, as those of an installed package do."""
    names = ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            del os.environ["PYTHONPYCACHEPREFIX"]
            os.environ.update(before)


def _measure(libraries: Sequence[str], threads: int) -> list[Latency]:
    latencies = [Latency("import")]
    for name in libraries:
        latencies[0].values[name] = import_time(LIBRARIES[name].module, threads)
    for row, title in FIRST_CALLS.items():
        empty, warm = Latency(f"first call, empty caches: {title}"), Latency(f"first call, warm caches: {title}")
        for name in libraries:
            if LIBRARIES[name].program(ROWS[row]) is not None and name in COMPILERS:
                empty.values[name], warm.values[name] = first_call_times(name, threads, "first", row)
        latencies += [empty, warm]
    calls = {"a call of a compiled function, 2 tensors": 0, f"the same, with {CAPTURED} captured parameters": CAPTURED}
    for title, task in calls.items():
        latency = Latency(title)
        for name in libraries:
            if name in COMPILERS and not (task and name == "jax"):  # JAX turns captured arrays into constants
                latency.values[name] = run(name, threads, "overhead", str(task))
        latencies.append(latency)
    return latencies


def format_seconds(value: Seconds) -> str:
    """Seconds with three digits, in s, ms or µs; a text as it is."""
    if isinstance(value, str):
        return value
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def import_time(module: str, threads: int) -> Seconds:
    """The median time of an import in new processes, after one that writes the bytecode."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    times = []
    for _ in range(IMPORTS + 1):
        value = _run_process([sys.executable, "-c", code], machine.environment(threads))
        if isinstance(value, str):
            return value
        times.append(value)
    return statistics.median(times[1:])


def first_call_times(library: str, threads: int, task: str, argument: str) -> tuple[Seconds, Seconds]:
    """The time of a first call with empty and with warm caches, after a process that writes the bytecode."""
    with tempfile.TemporaryDirectory() as other, tempfile.TemporaryDirectory() as folder:
        run(library, threads, task, argument, other)
        cold, warm = (run(library, threads, task, argument, folder) for _ in range(2))
    return cold, warm


def run(library: str, threads: int, task: str, argument: str, caches: str | None = None) -> Seconds:
    """The time that a new process measures for a task. `caches` is the folder of its caches."""
    environment = machine.environment(threads)
    if caches is not None:
        environment |= {name: os.path.join(caches, name) for name in CACHES}
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # by default only what took a second is cached
    command = [sys.executable, "-m", "spiraltorch.benchmark.latency", library, str(threads), task, argument]
    return _run_process(command, environment)


def _run_process(command: list[str], environment: dict[str, str]) -> Seconds:
    """The number that a process prints, or a text if it fails or takes longer than `LIMIT`."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"over {LIMIT:g} s"
    try:
        return float(json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError):
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"failed: {words[-1][:200]}"


def first_call(library: Library, row: Row) -> float:
    """The seconds of a row's first call, without creating its inputs and parameters."""
    call = library.build(row)
    begin = time.perf_counter()
    library.to_numpy(call())
    return time.perf_counter() - begin


def overhead(library: Library, captured: int, seconds: float = 0.3) -> float:
    """The median seconds of a call with tensors of one element and a number of captured tensors."""
    others = [library.tensor(np.ones(1, np.float32)) for _ in range(captured)]

    def program(lib: Library) -> Callable[..., LibraryResult]:
        def add(x: LibraryTensor, y: LibraryTensor) -> LibraryTensor:
            for other in others:
                x = x + other
            return x + y

        return add

    row = Row("overhead", "", lambda rng: (random_normal(rng, 1), random_normal(rng, 1)), shared(program, jax=program))
    return _median(library.build(row), seconds)


def chain(length: int) -> Row:
    """A row with a chain of `length` element-wise operations."""

    def program(lib: Library, n: int) -> Callable[..., LibraryResult]:
        def run(x: LibraryTensor, y: LibraryTensor) -> LibraryTensor:
            for _ in range(n // 2):
                x = x * 1.01 + y
            return x

        return run

    return Row(
        "chain", "{n} operations", lambda rng, n: (random_normal(rng, 32), random_normal(rng, 32)), shared(program, jax=program),
        size={"n": length},
    )  # fmt: skip


def _median(call: Callable[[], object], seconds: float) -> float:
    """The median seconds of a call, after 100 calls, over `seconds` seconds."""
    times = []
    for _ in range(100):
        call()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main(name: str, threads: int, task: str, argument: str) -> None:
    """Measures a task and prints its seconds."""
    library = LIBRARIES[name]()
    library.set_threads(threads)
    if task == "overhead":
        value = overhead(library, int(argument))
    else:
        value = first_call(library, chain(int(argument)) if task == "chain" else ROWS[argument])
    print(json.dumps(value))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5])
