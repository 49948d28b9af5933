"""The machine that is measured: what it is, how busy it is, and the environment that gives a library its threads."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from ..errors import ArgumentError

SUITE = "cpu"
SUITES = {SUITE: "cpu"}  # each with the device that its rows run on
IDLE = 0.25  # the greatest load a core, over the last minute, at which a table may be written


def device(suite: str) -> str:
    """The device of a suite. Raises `ArgumentError` for one that there is not."""
    if suite not in SUITES:
        raise ArgumentError(f"[bench] expected a suite of {', '.join(SUITES)}, got {suite!r}")
    return SUITES[suite]


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_per_core() -> float:
    """Processes that wanted a core, over the last minute and divided by the cores; 0 where the system does not say."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def require_idle() -> None:
    """Raises `ArgumentError` on a machine that is doing something else, because ratios would mean nothing."""
    if (load := load_per_core()) > IDLE:
        raise ArgumentError(
            f"[bench] expected an idle machine with a load of at most {IDLE} a core over the last minute, got {load:.2f}; "
            "stop what runs beside it, wait a minute, and try again, or leave --write out to see the table only"
        )


def environment(threads: int, suite: str = SUITE) -> dict[str, str]:
    """The environment of a process in which every library uses so many threads."""
    count = str(threads)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    names = ("SPIRALTORCH_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    return {
        **os.environ,
        **dict.fromkeys(names, count),
        "XLA_FLAGS": flags.strip(),
        "JAX_PLATFORMS": "cpu",
        "SPIRALTORCH_DEVICE": device(suite),
    }


def processor() -> str:
    """What the system calls its processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
