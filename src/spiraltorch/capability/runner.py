"""Runs probes in worker processes. A probe that crashes or hangs is recorded as such, and the rest run in a new one."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, TypedDict

from ..runtime import process as processes
from .evidence import Outcome, ProbeResult
from .expected import EXPECTED
from .probes.checking import Probe
from .rows import Backend, Row

START_SECONDS = 60.0  # for the interpreter, the imports and opening the device
WORKER = ("-m", "spiraltorch.capability.worker")
Advance = Callable[[str], None]  # called with a probe's name when the probe has ended


class Message(TypedDict, total=False):
    """A line that a worker writes: `start` when a probe begins, the rest when it has ended."""

    start: str
    end: str
    outcome: str
    detail: str
    seconds: float


def run(
    row: Row, backend: Backend, device: str, probes: Sequence[Probe], cache: str, advance: Advance = lambda name: None,
    worker: Sequence[str] = WORKER,
) -> tuple[ProbeResult, ...]:  # fmt: skip
    """Runs a row's probes on a device and returns their results, in the order of `probes`.

    Args:
        row: the row.
        backend: the device's backend.
        device: the device's name.
        probes: the probes.
        cache: an empty folder for compiled kernels, so that every kernel is compiled with the current code.
        advance: called with the name of each probe that has ended.
        worker: the arguments of Python that start a worker.
    """
    results: list[ProbeResult] = []
    remaining = list(probes)
    while remaining:
        command = [*processes.command(worker), device, row.id, *[p.name for p in remaining]]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True,
                encoding="utf-8", env=processes.environment(SPIRALTORCH_CACHE_DIR=cache, PYTHONIOENCODING="utf-8"), start_new_session=True,
            )  # fmt: skip
            try:
                finished = _collect(process, remaining, errors)
            finally:
                _kill(process)
        for result in finished:
            results.append(_with_expectation(result, row, backend))
            advance(result.name)
        remaining = remaining[len(finished) :]
    return tuple(results)


def _collect(process: subprocess.Popen[str], probes: list[Probe], errors: IO[str]) -> list[ProbeResult]:
    """The results of a worker up to its end, or to the first probe that crashed or timed out: at least one."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(process, lines), daemon=True).start()
    results: list[ProbeResult] = []
    for probe in probes:
        started = time.perf_counter()
        limit = START_SECONDS + probe.seconds if not results else probe.seconds
        end: Message | None = None
        outcome, detail = Outcome.TIMEOUT, f"no result within {probe.seconds:g} s"
        while end is None:
            try:
                line = lines.get(timeout=max(0.0, started + limit - time.perf_counter()))
            except queue.Empty:
                break
            if line is None:
                outcome, detail = Outcome.CRASH, _crash_detail(process, errors)
                break
            message: Message = json.loads(line)
            if message.get("end") == probe.name:
                end = message
            elif not results:
                limit = time.perf_counter() - started + probe.seconds  # started: from now on its own limit applies
        if end is None:
            results.append(ProbeResult(probe.name, probe.title, outcome, _seconds_since(started), detail))
            return results
        results.append(
            ProbeResult(probe.name, probe.title, Outcome(end["outcome"]), float(end["seconds"]), str(end["detail"]))
        )
    return results


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Puts the lines of a worker's output into a queue, then None."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _crash_detail(process: subprocess.Popen[str], errors: IO[str]) -> str:
    """The signal or exit code of a process that died, and the last line of its stderr."""
    code = process.wait(timeout=10)
    errors.seek(0)
    written = [line.strip() for line in errors.read().splitlines() if line.strip()]
    cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{cause}: {written[-1][:300]}" if written else cause


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills a process if it still runs, with the processes that it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _with_expectation(result: ProbeResult, row: Row, backend: Backend) -> ProbeResult:
    """The result with the outcome of a probe that is listed in `expected.py`, if it is."""
    reason = EXPECTED.get((backend.entry, row.id, result.name))
    if reason is None:
        return result
    if result.outcome is Outcome.PASS:
        detail = f"passes, but is marked as failing ({reason}); take the mark away"
        return ProbeResult(result.name, result.title, Outcome.UNEXPECTED_PASS, result.seconds, detail)
    return ProbeResult(result.name, result.title, Outcome.EXPECTED_FAILURE, result.seconds, reason)


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
