"""What happens once or hardly takes time: importing, the first call of a compiled function, and the overhead of a call.

Each figure comes from a new process, `python -m spiraltorch.benchmark.once LIBRARY THREADS TASK ARGUMENT`, which prints
seconds. Caches lie in a folder of their own: empty for the first process, and warm for the second.
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
from typing import Any

import numpy as np

from . import machine
from .libraries import LIBRARIES, Library
from .row import Row, normal, shared
from .rows import ROWS

LIMIT = 120.0  # seconds for one process
IMPORTS = 5  # processes that import
CACHES = ("SPIRALTORCH_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
COMPILING = ("spiraltorch", "torch-compile", "jax")
FIRST_CALLS = {"mlp": "MLP train step", "block_grad": "transformer block forward + backward"}
CAPTURED = 50


@dataclass
class Figure:
    """Seconds of one thing in several libraries; a text where there are none."""

    title: str
    values: dict[str, float | str] = field(default_factory=dict)


def measure(libraries: Sequence[str], threads: int, say: Callable[[str], None] = lambda text: None) -> list[Figure]:
    """All figures, for those of the libraries that have them."""
    with with_bytecode():
        figures = _figures(libraries, threads)
    for figure in figures:
        say(f"{figure.title}: " + ", ".join(f"{name} {shown(value)}" for name, value in figure.values.items()))
    return figures


@contextmanager
def with_bytecode() -> Iterator[None]:
    """New processes keep bytecode in a folder of their own and find it there: as installed, also in a checkout."""
    names = ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            del os.environ["PYTHONPYCACHEPREFIX"]
            os.environ.update(before)


def _figures(libraries: Sequence[str], threads: int) -> list[Figure]:
    figures = [Figure("import")]
    for name in libraries:
        figures[0].values[name] = imported(LIBRARIES[name].module, threads)
    for row, title in FIRST_CALLS.items():
        empty, warm = Figure(f"first call, empty caches: {title}"), Figure(f"first call, warm caches: {title}")
        for name in libraries:
            if LIBRARIES[name].program(ROWS[row]) is not None and name in COMPILING:
                empty.values[name], warm.values[name] = first_calls(name, threads, "first", row)
        figures += [empty, warm]
    calls = {"a call of a compiled function, 2 tensors": 0, f"the same, with {CAPTURED} captured parameters": CAPTURED}
    for title, task in calls.items():
        figure = Figure(title)
        for name in libraries:
            if name in COMPILING and not (task and name == "jax"):  # which makes constants of them
                figure.values[name] = run(name, threads, "overhead", str(task))
        figures.append(figure)
    return figures


def shown(value: float | str) -> str:
    """Seconds with three digits and the unit that suits them."""
    if isinstance(value, str):
        return value
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def imported(module: str, threads: int) -> float | str:
    """The median seconds of an import in new processes, after one that writes the bytecode."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    times = []
    for _ in range(IMPORTS + 1):
        value = _ended([sys.executable, "-c", code], machine.environment(threads))
        if isinstance(value, str):
            return value
        times.append(value)
    return statistics.median(times[1:])


def first_calls(library: str, threads: int, task: str, argument: str) -> tuple[float | str, float | str]:
    """Seconds of a first call with empty and with warm caches, after a process that writes the bytecode."""
    with tempfile.TemporaryDirectory() as other, tempfile.TemporaryDirectory() as folder:
        run(library, threads, task, argument, other)
        cold, warm = (run(library, threads, task, argument, folder) for _ in range(2))
    return cold, warm


def run(library: str, threads: int, task: str, argument: str, caches: str | None = None) -> float | str:
    """What a new process measured, or why it did not. `caches` is the folder of its caches."""
    environment = machine.environment(threads)
    if caches is not None:
        environment |= {name: os.path.join(caches, name) for name in CACHES}
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # else it keeps what took a second or more
    command = [sys.executable, "-m", "spiraltorch.benchmark.once", library, str(threads), task, argument]
    return _ended(command, environment)


def _ended(command: list[str], environment: dict[str, str]) -> float | str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"over {LIMIT:g} s"
    try:
        return float(json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError):
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"failed: {words[-1][:200]}"


def first(library: Library, row: Row) -> float:
    """Seconds of the first call of a row whose inputs and parameters are there."""
    call = library.build(row)
    begin = time.perf_counter()
    library.host(call())
    return time.perf_counter() - begin


def overhead(library: Library, captured: int, seconds: float = 0.3) -> float:
    """The median seconds of a call on single elements, with so many tensors captured besides."""
    others = [library.tensor(np.ones(1, np.float32)) for _ in range(captured)]

    def program(lib: Library) -> Callable[..., Any]:
        def add(x: Any, y: Any) -> Any:
            for other in others:
                x = x + other
            return x + y

        return add

    row = Row("overhead", "", lambda rng: (normal(rng, 1), normal(rng, 1)), shared(program, jax=program))
    return _median(library.build(row), seconds)


def chain(length: int) -> Row:
    """A row whose graph has so many operations, one after the other."""

    def program(lib: Library, n: int) -> Callable[..., Any]:
        def run(x: Any, y: Any) -> Any:
            for _ in range(n // 2):
                x = x * 1.01 + y
            return x

        return run

    return Row(
        "chain", "{n} operations", lambda rng, n: (normal(rng, 32), normal(rng, 32)), shared(program, jax=program),
        size={"n": length},
    )  # fmt: skip


def _median(call: Callable[[], Any], seconds: float) -> float:
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
    """Prints the seconds of a task."""
    library = LIBRARIES[name]()
    library.use_threads(threads)
    if task == "overhead":
        value = overhead(library, int(argument))
    else:
        value = first(library, chain(int(argument)) if task == "chain" else ROWS[argument])
    print(json.dumps(value))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5])
