"""The machine: its processor, its load, and the environment that sets the number of threads of every library."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from ..errors import ArgumentError

SUITE = "cpu"
SUITES = {SUITE: "cpu"}  # suite -> the device that its rows run on
MAX_IDLE_LOAD = 0.25  # the largest load per core, over the last minute, at which --write is allowed


def device(suite: str) -> str:
    """The device of a suite. Raises `ArgumentError` for an unknown one."""
    if suite not in SUITES:
        raise ArgumentError(f"[bench] expected a suite of {', '.join(SUITES)}, got {suite!r}; choose one")
    return SUITES[suite]


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_per_core() -> float:
    """The load average of the last minute divided by the number of cores; 0 if the system has none."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def require_idle() -> None:
    """Raises `ArgumentError` if the machine is busy, because ratios would be meaningless."""
    if (load := load_per_core()) > MAX_IDLE_LOAD:
        raise ArgumentError(
            f"[bench] expected an idle machine with a load of at most {MAX_IDLE_LOAD} a core over the last minute, got {load:.2f}; "
            "stop other programs, wait a minute and try again, or omit --write to print the table only"
        )


def environment(threads: int, suite: str = SUITE) -> dict[str, str]:
    """The environment of a process in which every library uses `threads` threads."""
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
    """The name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those of the packages that are installed."""
    result = {}
    for package in packages:
        try:
            result[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return result
