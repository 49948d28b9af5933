"""Spans and the sinks that receive them. Times are nanoseconds on the clock of `time.perf_counter_ns`.

`ACTIVE` lists the registered sinks: traces being collected, and the OpenTelemetry exporter. While it is empty nothing is
allocated or called: slow paths write `with span(...)`, which then returns one shared no-op span, and hot paths test
`if ACTIVE` first. Only `register` and `unregister` change the list.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Protocol, Union

from .counting import COUNTS
from .decisions import Decision
from .names import LAUNCH, PLAN, TO_DEVICE, TRANSFER

Attribute = Union[str, int, float, bool]
DeferredDecisions = Callable[[], list[Decision]]
_LAUNCH_NUMBERS = itertools.count()


class KernelFacts(NamedTuple):
    """Static information about a kernel of a plan, for traces."""

    name: str
    nbytes: int  # read and written
    makes: str  # the values that it stores


class TimedProgram(Protocol):
    """A device program that can be launched, with or without timing each kernel."""

    def run(self, after: Iterable[None] = ()) -> None:
        """Launches the kernels, and makes the calls `after`."""

    def timed(self, after: Iterable[None] = ()) -> list[tuple[int, int]]:
        """Launches the kernels, makes the calls `after`, and returns the start and the end of each."""


class Sink(Protocol):
    """A receiver of spans, decisions and launches. Its methods may be called from any thread."""

    device_time: bool  # whether launches should time each kernel

    def begin_span(self, name: str, attributes: dict[str, Attribute]) -> object:
        """Called when a span begins on this thread. Returns a token for `end_span`."""

    def end_span(self, token: object, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """Called when the span ends; `attributes` is complete, and `error` is the exception that its block raised."""

    def add_span(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """Called with a span of this thread that has ended and had no children."""

    def add_decisions(self, decisions: list[Decision], deferred: DeferredDecisions | None) -> None:
        """Called with decisions of the planner; `deferred` computes further, expensive ones and need not be called."""

    def add_launch(
        self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]
    ) -> None:
        """Called after a launch; `times` has the start and end of each kernel, or is empty without device timing."""


ACTIVE: list[Sink] = []


def register(sink: Sink) -> None:
    """Adds a sink, which receives all events from now on."""
    ACTIVE.append(sink)


def unregister(sink: Sink) -> None:
    """Removes a registered sink."""
    ACTIVE.remove(sink)


class Span:
    """A named interval with attributes, reported to every sink. Use it as a context manager."""

    __slots__ = ("_tokens", "attributes", "name")

    def __init__(self, name: str, attributes: dict[str, Attribute]) -> None:
        self.name = name
        self.attributes = attributes
        self._tokens: list[tuple[Sink, object]] = []

    def set(self, **attributes: Attribute) -> None:
        """Adds attributes that are known only after the span began."""
        self.attributes.update(attributes)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Span:
        self._tokens = [(sink, sink.begin_span(self.name, self.attributes)) for sink in tuple(ACTIVE)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for sink, token in reversed(self._tokens):
            sink.end_span(token, self.name, self.attributes, error)


class _NoOpSpan:
    """A no-op span when tracing is disabled. It is false, a `Span` is true."""

    __slots__ = ()

    def set(self, **attributes: Attribute) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> _NoOpSpan:
        return self

    def __exit__(self, *error: object) -> None:
        pass


_NO_OP_SPAN = _NoOpSpan()


def span(name: str, **attributes: Attribute) -> Span | _NoOpSpan:
    """Returns a span to be used as a context manager: a shared no-op span when tracing is disabled.

    Args:
        name: a key of `names.SPANS`.
        **attributes: the attributes that are known when the span begins; `set` adds the others.

    Example:
        >>> from spiraltorch.telemetry.spans import span
        >>> with span("spiraltorch.compile.fuse") as s:
        ...     s.set(kernels=3)
    """
    return Span(name, attributes) if ACTIVE else _NO_OP_SPAN


def record_decisions(decisions: list[Decision], deferred: DeferredDecisions | None = None) -> None:
    """Reports decisions of the planner, and a function that computes further, expensive ones."""
    for sink in tuple(ACTIVE):
        sink.add_decisions(decisions, deferred)


def record_plan_lookup(start: int, hit: bool, values: int) -> None:
    """Reports that a graph of `values` nodes was looked up in the plan cache, beginning at `start`."""
    now = time.perf_counter_ns()
    for sink in tuple(ACTIVE):
        sink.add_span(PLAN, start, now, {"cache": "hit" if hit else "miss", "values": values})


def launch(program: TimedProgram, device: str, kernels: Sequence[KernelFacts], after: Iterable[None] = ()) -> None:
    """Launches a program inside a span, with the calls `after` it; times each kernel if a sink asks for device times."""
    number = next(_LAUNCH_NUMBERS)
    sinks = tuple(ACTIVE)
    nbytes = sum(k.nbytes for k in kernels)
    times: list[tuple[int, int]] = []
    with span(LAUNCH, device=device, launch=number, kernels=len(kernels), bytes=nbytes) as s:
        if any(sink.device_time for sink in sinks):
            times = program.timed(after)
            s.set(device_ns=sum(stop - start for start, stop in times))
        else:
            program.run(after)
        for sink in sinks:
            sink.add_launch(device, number, kernels, times if sink.device_time else [])


@contextmanager
def transfer(direction: str, device: str, nbytes: int, *, shared: bool = False) -> Iterator[None]:
    """A span around a copy between host and device, which is added to the counters.

    Args:
        direction: `names.TO_DEVICE` or `names.TO_HOST`.
        device: the device's name.
        nbytes: the size of the copy in bytes.
        shared: whether the memory is shared; then nothing is copied and nothing is counted.

    Example:
        >>> from spiraltorch.telemetry import counters
        >>> from spiraltorch.telemetry.spans import transfer
        >>> before = counters()["bytes_to_host"]
        >>> with transfer("device_to_host", "cpu:0", 64):
        ...     pass
        >>> counters()["bytes_to_host"] - before
        64
    """
    with span(TRANSFER, direction=direction, device=device, bytes=nbytes, shared=shared):
        yield
    if not shared:
        COUNTS["bytes_to_device" if direction == TO_DEVICE else "bytes_to_host"] += nbytes
