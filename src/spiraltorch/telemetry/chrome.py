"""Chrome's trace event format, which Perfetto reads: https://ui.perfetto.dev.

Process 1 is the host with a track for each thread; every device is a process of its own with a track for its queue.
Spans and kernels are complete events (`X`), planner decisions instant events (`i`), memory and launched kernels counters
(`C`), and names of tracks metadata (`M`). Times are microseconds since the start of the trace, with a resolution of one nanosecond.
The format: "Trace Event Format", Chromium project; the subset that Perfetto reads: https://perfetto.dev/docs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, cast

from ..errors import ArgumentError
from .counting import memory
from .decisions import Decision
from .names import LAUNCH, TRANSFER
from .spans import Attribute, DeferredDecisions, KernelFacts, register, unregister

HOST = 1  # the host's process number; devices follow
_QUEUE_TRACK = 1000  # a queue's track number is this many times its process number, so that track numbers are unique


class _AnyEvent(TypedDict):
    ph: str  # the phase: `X`, `i`, `C` or `M`
    name: str
    pid: int
    tid: int
    args: dict[str, Attribute]


class TraceEvent(_AnyEvent, total=False):
    """One event in Chrome's format."""

    cat: str
    ts: float  # microseconds since the start of the trace
    dur: float  # the duration of complete events, in microseconds
    s: str  # the scope of instant events


class TraceSummary(TypedDict):
    """The totals of a trace.

    Attributes:
        seconds: the time from the start to the end of the trace.
        launches: the number of launches of plans.
        kernels: the number of launched kernels.
        device_seconds: the sum of the kernels' times on their devices.
        transfers: the number of copies between host and device; accesses to shared memory are not counted.
        bytes_transferred: the number of bytes of these copies.
        decisions: the number of the planner's decisions.
        events: the number of events, without metadata.

    Example:
        >>> import spiraltorch as st
        >>> with st.telemetry.trace() as trace:
        ...     (st.ones(4) + 1).tolist()
        [2.0, 2.0, 2.0, 2.0]
        >>> sorted(trace.summary())[:4]
        ['bytes_transferred', 'decisions', 'device_seconds', 'events']
    """

    seconds: float
    launches: int
    kernels: int
    device_seconds: float
    transfers: int
    bytes_transferred: int
    decisions: int
    events: int


class Trace:
    """The events collected by `trace`. It is a sink of `spans`, and the times of its methods are in nanoseconds.

    Attributes:
        device_time: True: launches time each kernel.
        began: the start of the trace.
        ended: the end of the trace; None while it is being collected.

    Example:
        >>> import spiraltorch as st
        >>> with st.telemetry.trace() as trace:
        ...     (st.ones(4) + 1).tolist()
        [2.0, 2.0, 2.0, 2.0]
        >>> any(event["name"] == "spiraltorch.launch" for event in trace.events())
        True
    """

    device_time = True

    def __init__(self) -> None:
        self.began = time.perf_counter_ns()
        self.ended: int | None = None
        self._events: list[TraceEvent] = []
        self._threads: dict[int, tuple[int, str]] = {}  # thread identifier -> track, name
        self._devices: dict[str, int] = {}  # name -> process number
        self._deferred: list[tuple[int, int, DeferredDecisions]] = []  # time, track, decisions still to be computed
        self._kernels_launched = 0
        self._lock = threading.Lock()

    # ------------------------------------------------------------ the protocol `spans.Sink`

    def begin_span(self, name: str, attributes: dict[str, Attribute]) -> int:
        """Returns the start time of a span; called by `spans.Span`.

        Args:
            name: the name of the span, a key of `SPANS`.
            attributes: the attributes that are known at the start.

        Returns:
            A token for `end_span`: the current time on the clock of `time.perf_counter_ns`.
        """
        return time.perf_counter_ns()

    def end_span(self, token: object, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """Adds a span that has ended; called by `spans.Span`.

        Args:
            token: the value that `begin_span` returned.
            name: the name of the span, a key of `SPANS`.
            attributes: all attributes of the span.
            error: the exception that its block raised; None if it raised none.
        """
        if error is not None:
            attributes = {**attributes, "error": f"{type(error).__name__}: {error}"}
        self.add_span(name, cast(int, token), time.perf_counter_ns(), attributes)

    def add_span(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """Adds a span that has ended, on the track of the calling thread.

        Args:
            name: the name of the span, a key of `SPANS`.
            start: its start on the clock of `time.perf_counter_ns`.
            stop: its end on that clock.
            attributes: all attributes of the span.
        """
        self._complete(name, "host", HOST, self._track(), start, stop, attributes)

    def add_decisions(self, decisions: list[Decision], deferred: DeferredDecisions | None) -> None:
        """Adds decisions of the planner as instant events, on the track of the calling thread.

        Args:
            decisions: the decisions.
            deferred: computes further decisions; it is called after the trace has ended, so that it takes no time in
                the trace. None if there are none.
        """
        now, track = time.perf_counter_ns(), self._track()
        for decision in decisions:
            self._decision(decision, track, now)
        if deferred is not None:
            self._deferred.append((now, track, deferred))

    def add_launch(
        self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]
    ) -> None:
        """Adds the kernels of one launch, and the counters of memory and of launched kernels.

        Args:
            device: the name of the device.
            launch: the number of the launch.
            kernels: descriptions of the kernels, in launch order.
            times: the start and the end of each kernel on the clock of `time.perf_counter_ns`.
        """
        process = self._process(device)
        for n, (facts, (start, stop)) in enumerate(zip(kernels, times, strict=True)):
            args: dict[str, Attribute] = {"launch": launch, "kernel": n, "bytes": facts.nbytes, "makes": facts.makes}
            self._complete(facts.name, "device", process, process * _QUEUE_TRACK, start, stop, args)
        now = time.perf_counter_ns()
        for name, (in_use, _) in memory().items():
            self._counter("memory in use", "memory", self._process(name), now, {"bytes": in_use})
        self._kernels_launched += len(kernels)
        self._counter("kernels launched", "launches", HOST, now, {"kernels": self._kernels_launched})

    # ------------------------------------------------------------ the results

    def events(self) -> list[TraceEvent]:
        """Returns the events of the trace: first the metadata, then all others, sorted by time."""
        self._compute_deferred()
        metadata = [_name("process_name", HOST, 0, f"host (process {os.getpid()})"), _sort_index(HOST, 0)]
        metadata += [_name("thread_name", HOST, track, name) for track, name in self._threads.values()]
        for device, process in self._devices.items():
            metadata += [_name("process_name", process, 0, device), _sort_index(process, process)]
            metadata.append(_name("thread_name", process, process * _QUEUE_TRACK, "queue 0"))
        return metadata + sorted(self._events, key=lambda e: (e["ts"], -e.get("dur", 0.0)))

    def summary(self) -> TraceSummary:
        """Returns the totals of the trace: launches, kernels and their time on devices, transfers, decisions.

        Example:
            >>> import spiraltorch as st
            >>> with st.telemetry.trace() as trace:
            ...     (st.ones(4) + 1).sum().item()
            8.0
            >>> trace.summary()["launches"], trace.summary()["kernels"]
            (1, 1)
        """
        self._compute_deferred()
        events = self._events
        kernels = [e for e in events if e["ph"] == "X" and e["cat"] == "device"]
        copies = [e for e in events if e["name"] == TRANSFER and not e["args"]["shared"]]
        return {
            "seconds": ((self.ended or time.perf_counter_ns()) - self.began) / 1e9,
            "launches": sum(e["name"] == LAUNCH for e in events),
            "kernels": len(kernels),
            "device_seconds": sum(e["dur"] for e in kernels) / 1e6,
            "transfers": len(copies),
            "bytes_transferred": sum(int(e["args"]["bytes"]) for e in copies),
            "decisions": sum(e["ph"] == "i" for e in events),
            "events": len(events),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace as a JSON file.

        Args:
            path: the file, which is replaced if it exists.

        Raises:
            OSError: the file cannot be written.
        """
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": self.events(), "displayTimeUnit": "ns"}, file)

    # ------------------------------------------------------------ helpers

    def _complete(
        self, name: str, category: str, process: int, track: int, start: int, stop: int, args: dict[str, Attribute]
    ) -> None:
        event = self._event("X", name, category, process, track, start, args)
        event["dur"] = (stop - start) / 1000
        self._events.append(event)

    def _counter(self, name: str, category: str, process: int, time: int, args: dict[str, Attribute]) -> None:
        self._events.append(self._event("C", name, category, process, 0, time, args))

    def _decision(self, decision: Decision, track: int, time: int) -> None:
        name = f"{decision.kind} {decision.subject}"
        event = self._event("i", name, "decision", HOST, track, time, decision.attributes())
        event["s"] = "t"
        self._events.append(event)

    def _event(
        self, phase: str, name: str, category: str, process: int, track: int, time: int, args: dict[str, Attribute]
    ) -> TraceEvent:
        return {
            "ph": phase, "name": name, "cat": category, "pid": process, "tid": track, "args": args,
            "ts": (time - self.began) / 1000,
        }  # fmt: skip

    def _compute_deferred(self) -> None:
        pending, self._deferred = self._deferred, []
        for time_, track, deferred in pending:
            for decision in deferred():
                self._decision(decision, track, time_)

    def _track(self) -> int:
        """The track of the calling thread."""
        identifier = threading.get_ident()
        known = self._threads.get(identifier)
        if known is None:
            with self._lock:
                known = self._threads[identifier] = (len(self._threads) + 1, threading.current_thread().name)
        return known[0]

    def _process(self, device: str) -> int:
        """The process number of a device."""
        known = self._devices.get(device)
        if known is None:
            with self._lock:
                known = self._devices.setdefault(device, HOST + 1 + len(self._devices))
        return known


def _name(kind: str, process: int, track: int, name: str) -> TraceEvent:
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "args": {"name": name}}


def _sort_index(process: int, index: int) -> TraceEvent:
    return {"ph": "M", "name": "process_sort_index", "pid": process, "tid": 0, "args": {"sort_index": index}}


@contextmanager
def trace(path: str | os.PathLike[str] | None = None) -> Iterator[Trace]:
    """Records the activity of a block, in all threads, and writes it as a Chrome trace. It is a context manager.

    Every kernel is timed, so kernels are launched one by one: the results are the same, and the program is somewhat
    slower. Traces may be nested. The file is written even if the block raises.

    Args:
        path: the JSON file to write; if None, the events are kept in memory only.

    Yields:
        The `Trace`, with `events()`, `summary()` and `write(path)`.

    Raises:
        ArgumentError: the folder of `path` does not exist, or `path` is a folder. Raised before the block runs.

    Example:
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
            f"[trace] expected a file in an existing folder, got {os.fspath(path)!r}; create the folder first"
        )
    collected = Trace()
    register(collected)
    try:
        yield collected
    finally:
        unregister(collected)
        collected.ended = time.perf_counter_ns()
        if path is not None:
            collected.write(path)
