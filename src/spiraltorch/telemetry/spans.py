"""Spans and their listeners. Times are nanoseconds on the clock of `time.perf_counter_ns`.

`ACTIVE` holds the listeners: traces being written, and the exporter. While it is empty nothing is made or called: slow
paths write `with span(...)`, which gives one shared object then, and hot paths ask `if ACTIVE` first.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, Union

from .counting import COUNTS
from .decisions import Decision
from .names import LAUNCH, PLAN, TO_DEVICE, TRANSFER

Attribute = Union[str, int, float, bool]
Later = Callable[[], list[Decision]]
_LAUNCHES = itertools.count()


class KernelFacts(NamedTuple):
    """What a listener learns of a launched kernel besides its times."""

    name: str
    nbytes: int  # read and written
    makes: str  # the values that it stores


class Sink(Protocol):
    """A listener. It may be called from any thread."""

    device_time: bool  # whether it wants launches to measure each kernel

    def begin(self, name: str, attributes: dict[str, Attribute]) -> Any:
        """A span begins on this thread; gives what `end` gets."""

    def end(self, token: Any, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """The span ends, with all its attributes."""

    def complete(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """A span of this thread that is over and had none inside."""

    def decided(self, decisions: list[Decision], later: Later | None) -> None:
        """The planner decided. `later` gives further decisions, at a cost that a listener may put off or spare."""

    def launched(self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]) -> None:
        """Kernels of one launch ran on a device; `times` is empty where nobody measured."""


ACTIVE: list[Sink] = []


class Span:
    """Something that takes time, told to every listener. Use it as a context manager."""

    __slots__ = ("_open", "attributes", "name")

    def __init__(self, name: str, attributes: dict[str, Attribute]) -> None:
        self.name = name
        self.attributes = attributes
        self._open: list[tuple[Sink, Any]] = []

    def set(self, **attributes: Attribute) -> None:
        """Adds what is only known now."""
        self.attributes.update(attributes)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Span:
        self._open = [(sink, sink.begin(self.name, self.attributes)) for sink in tuple(ACTIVE)]
        return self

    def __exit__(self, kind: Any, error: BaseException | None, where: Any) -> None:
        for sink, token in reversed(self._open):
            sink.end(token, self.name, self.attributes, error)


class _Off:
    """A span that nobody listens to. It is false."""

    __slots__ = ()

    def set(self, **attributes: Attribute) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> _Off:
        return self

    def __exit__(self, *error: object) -> None:
        pass


_OFF = _Off()


def span(name: str, **attributes: Attribute) -> Span | _Off:
    """A span of this name (see `names.SPANS`), or where nobody listens one that does nothing and is false.

    >>> with span("spiraltorch.compile.fuse") as s:
    ...     s.set(kernels=3)
    """
    return Span(name, attributes) if ACTIVE else _OFF


def decided(decisions: list[Decision], later: Later | None = None) -> None:
    """Tells the listeners of decisions made just now, and how to get those that cost time to explain."""
    for sink in tuple(ACTIVE):
        sink.decided(decisions, later)


def looked_up(since: int, hit: bool, values: int) -> None:
    """Tells the listeners that a graph of so many values was looked up among the plans."""
    now = time.perf_counter_ns()
    for sink in tuple(ACTIVE):
        sink.complete(PLAN, since, now, {"cache": "hit" if hit else "miss", "values": values})


def launch(program: Any, device: str, kernels: Sequence[KernelFacts]) -> None:
    """Runs a device's program under a span; each kernel is measured where a listener wants device times."""
    number = next(_LAUNCHES)
    listeners = tuple(ACTIVE)
    nbytes = sum(k.nbytes for k in kernels)
    times: list[tuple[int, int]] = []
    with span(LAUNCH, device=device, launch=number, kernels=len(kernels), bytes=nbytes) as s:
        if any(sink.device_time for sink in listeners):
            times = program.timed()
            s.set(device_ns=sum(stop - start for start, stop in times))
        else:
            program.run()
        for sink in listeners:
            sink.launched(device, number, kernels, times if sink.device_time else [])


@contextmanager
def transfer(direction: str, device: str, nbytes: int, *, shared: bool = False) -> Iterator[None]:
    """Around a copy of `nbytes` bytes (`names.TO_DEVICE` or `names.TO_HOST`): counts them and tells the listeners.

    With `shared` the memory is only seen from the other side: nothing is copied, nothing is counted.

    >>> from spiraltorch.telemetry import counters
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
