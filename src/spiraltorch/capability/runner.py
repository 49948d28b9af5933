"""Runs probes in processes of their own: one that crashes or hangs ends as such, and the rest go on."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from .evidence import Outcome, ProbeResult
from .expected import EXPECTED
from .probes.checking import Probe
from .rows import PACKAGE, Backend, Row

START_SECONDS = 60.0  # for the interpreter, the imports and opening the device
WORKER = ("-m", "spiraltorch.capability.worker")
Advance = Callable[[str], None]


def run(
    row: Row, backend: Backend, device: str, probes: Sequence[Probe], cache: str, advance: Advance = lambda name: None,
    worker: Sequence[str] = WORKER,
) -> tuple[ProbeResult, ...]:  # fmt: skip
    """Results of a row's probes on a device. `advance` is called with each probe's name when it has ended.

    Kernels are compiled afresh into the folder `cache`, so that no result is older than the code.
    """
    results: list[ProbeResult] = []
    left = list(probes)
    while left:
        command = [sys.executable, *worker, device, row.id, *[p.name for p in left]]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True,
                encoding="utf-8", env=_environment(cache), start_new_session=True,
            )  # fmt: skip
            try:
                ended = _follow(process, left, errors)
            finally:
                _end(process)
        for result in ended:
            results.append(_marked(result, row, backend))
            advance(result.name)
        left = left[len(ended) :]
    return tuple(results)


def _follow(process: subprocess.Popen[str], probes: list[Probe], errors: IO[str]) -> list[ProbeResult]:
    """Results up to the end of the process, or to the first probe that crashed or went over its limit: at least one."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    results: list[ProbeResult] = []
    for probe in probes:
        started = time.perf_counter()
        limit = START_SECONDS + probe.seconds if not results else probe.seconds
        end: dict[str, Any] | None = None
        outcome, detail = Outcome.TIMEOUT, f"no result within {probe.seconds:g} s"
        while end is None:
            try:
                line = lines.get(timeout=max(0.0, started + limit - time.perf_counter()))
            except queue.Empty:
                break
            if line is None:
                outcome, detail = Outcome.CRASH, _last_words(process, errors)
                break
            message = json.loads(line)
            if message.get("end") == probe.name:
                end = message
            elif not results:
                limit = time.perf_counter() - started + probe.seconds  # it has started: now its own limit counts
        if end is None:
            results.append(ProbeResult(probe.name, probe.title, outcome, _since(started), detail))
            return results
        results.append(
            ProbeResult(probe.name, probe.title, Outcome(end["outcome"]), float(end["seconds"]), str(end["detail"]))
        )
    return results


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _last_words(process: subprocess.Popen[str], errors: IO[str]) -> str:
    """How a process died, and the last line that it wrote."""
    code = process.wait(timeout=10)
    errors.seek(0)
    written = [line.strip() for line in errors.read().splitlines() if line.strip()]
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{how}: {written[-1][:300]}" if written else how


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process that still runs, with the processes that it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _marked(result: ProbeResult, row: Row, backend: Backend) -> ProbeResult:
    """The result of a probe that is marked as failing, in the words of its mark."""
    reason = EXPECTED.get((backend.entry, row.id, result.name))
    if reason is None:
        return result
    if result.outcome is Outcome.PASS:
        detail = f"passes, but is marked as failing ({reason}); take the mark away"
        return ProbeResult(result.name, result.title, Outcome.UNEXPECTED_PASS, result.seconds, detail)
    return ProbeResult(result.name, result.title, Outcome.EXPECTED_FAILURE, result.seconds, reason)


def _environment(cache: str) -> dict[str, str]:
    """This process's, with the same package first on the path and caches of its own."""
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "SPIRALTORCH_CACHE_DIR": cache, "PYTHONIOENCODING": "utf-8"}


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
