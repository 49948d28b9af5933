"""Chrome's trace event format, which Perfetto reads: https://ui.perfetto.dev.

Rows: process 1 is the host, with a row for each thread; every device is a process of its own, with a row for its queue.
Spans and kernels are complete events (`X`), planner decisions instant events (`i`), memory and launched kernels counters
(`C`), names of rows metadata (`M`). Times are microseconds since the trace began, exact to the nanosecond.
The format: "Trace Event Format", Chromium project; what Perfetto takes of it: https://perfetto.dev/docs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .counting import memory
from .decisions import Decision
from .names import LAUNCH, TRANSFER
from .spans import ACTIVE, Attribute, KernelFacts, Later

HOST = 1  # the host's process number; devices follow
_QUEUE = 1000  # a queue's row number is this many times its process number: rows never share a number


class Trace:
    """Events collected between `trace`'s beginning and end. A listener of `spans`."""

    device_time = True

    def __init__(self) -> None:
        self.began = time.perf_counter_ns()
        self.ended: int | None = None
        self._events: list[dict[str, Any]] = []
        self._threads: dict[int, tuple[int, str]] = {}  # identity -> row, name
        self._devices: dict[str, int] = {}  # name -> process
        self._later: list[tuple[int, int, Later]] = []  # time, row, decisions that cost time to explain
        self._launched = 0
        self._lock = threading.Lock()

    # ------------------------------------------------------------ what spans tell

    def begin(self, name: str, attributes: dict[str, Attribute]) -> int:
        """See `spans.Sink`."""
        return time.perf_counter_ns()

    def end(self, token: int, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """See `spans.Sink`."""
        if error is not None:
            attributes = {**attributes, "error": f"{type(error).__name__}: {error}"}
        self.complete(name, token, time.perf_counter_ns(), attributes)

    def complete(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """See `spans.Sink`."""
        self._add("X", name, "host", HOST, self._row(), start, attributes, dur=(stop - start) / 1000)

    def decided(self, decisions: list[Decision], later: Later | None) -> None:
        """See `spans.Sink`. What costs time is asked for when the trace is over, so that it does not show in it."""
        now, row = time.perf_counter_ns(), self._row()
        for one in decisions:
            self._decision(one, row, now)
        if later is not None:
            self._later.append((now, row, later))

    def launched(self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]) -> None:
        """See `spans.Sink`."""
        process = self._process(device)
        for n, (facts, (start, stop)) in enumerate(zip(kernels, times, strict=True)):
            more: dict[str, Attribute] = {"launch": launch, "kernel": n, "bytes": facts.nbytes, "makes": facts.makes}
            self._add(
                "X", facts.name, "device", process, process * _QUEUE, start, more, dur=(stop - start) / 1000
            )  # fmt: skip
        now = time.perf_counter_ns()
        for name, (in_use, _) in memory().items():
            self._add("C", "memory in use", "memory", self._process(name), 0, now, {"bytes": in_use})
        self._launched += len(kernels)
        self._add("C", "kernels launched", "launches", HOST, 0, now, {"kernels": self._launched})

    # ------------------------------------------------------------ what readers ask

    def events(self) -> list[dict[str, Any]]:
        """The trace's events: names of rows, then everything else in the order of time."""
        self._explain()
        names = [_name("process_name", HOST, 0, f"host (process {os.getpid()})"), _order(HOST, 0)]
        names += [_name("thread_name", HOST, row, name) for row, name in self._threads.values()]
        for device, process in self._devices.items():
            names += [_name("process_name", process, 0, device), _order(process, process)]
            names.append(_name("thread_name", process, process * _QUEUE, "queue 0"))
        return names + sorted(self._events, key=lambda e: (e["ts"], -e.get("dur", 0.0)))

    def summary(self) -> dict[str, Any]:
        """Figures: launches, kernels and their time on devices in seconds, transfers, decisions.

        >>> import spiraltorch as st
        >>> with st.telemetry.trace() as t:
        ...     (st.ones(4) + 1).sum().item()
        8.0
        >>> t.summary()["launches"], t.summary()["kernels"]
        (1, 1)
        """
        self._explain()
        of = self._events
        kernels = [e for e in of if e["ph"] == "X" and e["cat"] == "device"]
        copies = [e for e in of if e["name"] == TRANSFER and not e["args"]["shared"]]
        return {
            "seconds": ((self.ended or time.perf_counter_ns()) - self.began) / 1e9,
            "launches": sum(e["name"] == LAUNCH for e in of),
            "kernels": len(kernels),
            "device_seconds": sum(e["dur"] for e in kernels) / 1e6,
            "transfers": len(copies),
            "bytes_transferred": sum(e["args"]["bytes"] for e in copies),
            "decisions": sum(e["ph"] == "i" for e in of),
            "events": len(of),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace as JSON."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": self.events(), "displayTimeUnit": "ns"}, file)

    # ------------------------------------------------------------ inside

    def _add(
        self, phase: str, name: str, category: str, process: int, row: int, at: int, args: dict[str, Attribute],
        **more: Any,
    ) -> None:  # fmt: skip
        event = {"ph": phase, "name": name, "cat": category, "pid": process, "tid": row, "args": args}
        self._events.append({**event, "ts": (at - self.began) / 1000, **more})

    def _decision(self, one: Decision, row: int, at: int) -> None:
        self._add("i", f"{one.kind} {one.subject}", "decision", HOST, row, at, one.attributes(), s="t")

    def _explain(self) -> None:
        pending, self._later = self._later, []
        for at, row, later in pending:
            for one in later():
                self._decision(one, row, at)

    def _row(self) -> int:
        identity = threading.get_ident()
        found = self._threads.get(identity)
        if found is None:
            with self._lock:
                found = self._threads[identity] = (len(self._threads) + 1, threading.current_thread().name)
        return found[0]

    def _process(self, device: str) -> int:
        found = self._devices.get(device)
        if found is None:
            with self._lock:
                found = self._devices.setdefault(device, HOST + 1 + len(self._devices))
        return found


def _name(what: str, process: int, row: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": row, "args": {"name": name}}


def _order(process: int, place: int) -> dict[str, Any]:
    return {"ph": "M", "name": "process_sort_index", "pid": process, "tid": 0, "args": {"sort_index": place}}


@contextmanager
def trace(path: str | os.PathLike[str] | None = None) -> Iterator[Trace]:
    """Collects everything that happens inside, in all threads, and writes it to `path` as a Chrome trace.

    Each kernel is measured, so plans are launched kernel by kernel: a little slower, with the same results. Without a
    path the events are only kept in the `Trace` that `with` gives. Traces may be nested. The file is written even where
    the block raises. Raises `ArgumentError` at once where the path's folder does not exist.

    >>> import json, os, tempfile
    >>> import spiraltorch as st
    >>> path = os.path.join(tempfile.mkdtemp(), "trace.json")
    >>> with st.telemetry.trace(path):
    ...     (st.ones(4) * 3).tolist()
    [3.0, 3.0, 3.0, 3.0]
    >>> len([e for e in json.load(open(path))["traceEvents"] if e["name"] == "spiraltorch.launch"])
    1
    """
    if path is not None and (not Path(path).absolute().parent.is_dir() or Path(path).is_dir()):
        raise ArgumentError(
            f"[trace] expected a file in an existing folder, got {os.fspath(path)!r}; make the folder first"
        )
    collected = Trace()
    ACTIVE.append(collected)
    try:
        yield collected
    finally:
        ACTIVE.remove(collected)
        collected.ended = time.perf_counter_ns()
        if path is not None:
            collected.write(path)
