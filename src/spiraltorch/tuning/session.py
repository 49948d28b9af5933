"""Tuning sessions: while one is active, every kernel that is compiled or used without an entry in the store is searched."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..compiler.choices import Choices
from ..compiler.lowering import Lowered
from ..compiler.schedules.tuned import TUNING
from ..errors import ArgumentError
from ..ir.wire import pack
from ..runtime import tunings
from ..runtime.interpreter import deep_recursion
from ..runtime.protocol import Device
from ..runtime.tunings import Entry
from ..telemetry.counting import COUNTS
from ..telemetry.names import TUNE
from ..telemetry.spans import span
from ..version import __version__
from .client import COMMAND, Client, WorkerError
from .search import Search

SECONDS = 10.0  # of a kernel's search
LIMIT = 10.0  # seconds for a candidate
LARGEST_BYTES = 1 << 30  # of a kernel's parameters: the search allocates them again
SMALLEST_WORK = 1 << 10  # operations of a kernel: below, a launch costs more than any schedule


class Session:
    """An active tuner.

    Attributes:
        entries: what it stored, in order.
    """

    def __init__(self, seconds: float, limit: float, worker: Sequence[str]) -> None:
        self.seconds = seconds
        self.limit = limit
        self.worker = worker
        self.entries: list[Entry] = []
        self._clients: dict[str, Client] = {}
        self._given_up: set[str] = set()  # keys of kernels, and names of devices

    def tune(self, device: Device, key: str, lowered: Lowered) -> Entry | None:
        """Searches the schedule of a kernel and stores the result.

        Args:
            device: where it runs.
            key: of its entry in the store.
            lowered: the kernel.

        Returns:
            The entry; None where the kernel is too small or too large, or cannot be tuned, of which a warning tells.
        """
        if key in self._given_up or device.name in self._given_up or lowered.work < SMALLEST_WORK:
            return None
        if sum(b.nbytes for b in lowered.kernel.params) > LARGEST_BYTES:
            return None
        client = self._clients.setdefault(device.name, Client(device.name, self.worker))
        plain = replace(lowered, params=[], stores=[], scalars=[], choices=Choices())
        name = _description(lowered)
        with span(TUNE, device=device.name, kernel=name) as s:
            try:
                if not client.running:
                    client.start()
            except WorkerError as error:
                self._give_up(device.name, f"the worker for {device.name} does not start: {error}")
                return None
            try:
                with deep_recursion():
                    packed = pack(plain)
                result = Search(client, packed, device.target.key, self.seconds, self.limit).run()
            except WorkerError as error:
                self._give_up(key, f"{name} on {device.name}: {error}")
                return None
            entry = Entry(
                key, name, device.name, __version__, result.decisions, result.default, result.best, result.rule,
                result.tried,
            )  # fmt: skip
            s.set(candidates=entry.count, speedup=entry.speedup)
        COUNTS["kernels_tuned"] += 1
        tunings.write(entry)
        self.entries.append(entry)
        return entry

    def _give_up(self, subject: str, why: str) -> None:
        """Warns that a kernel, or all kernels of a device, keep the rule's schedule."""
        self._given_up.add(subject)
        warnings.warn(f"[tune] {why}; the rule's schedule is used", RuntimeWarning, stacklevel=2)

    def close(self) -> None:
        """Ends the workers."""
        for client in self._clients.values():
            client.close()


def _description(lowered: Lowered) -> str:
    """The kernel's kind, results and operands: `dot float32[8, 8] of float32[8, 4], float32[4, 8]`."""
    stored = {v.id for v in lowered.stores}
    results = ", ".join(f"{v.dtype.name}{list(v.shape)}" for v in lowered.stores)
    operands = ", ".join(f"{v.dtype.name}{list(v.shape)}" for v in lowered.params if v.id not in stored)
    return f"{lowered.kind.value} {results}" + (f" of {operands}" if operands else "")


@contextmanager
def tune(seconds: float = SECONDS, *, limit: float = LIMIT, worker: Sequence[str] = COMMAND) -> Iterator[Session]:
    """Searches the schedule of every kernel that is used inside and was not tuned before, and stores the results.

    Kernels use the stored schedules from then on, in later processes too, without `tune`.

    Args:
        seconds: how long the search for one kernel may take.
        limit: how many seconds one candidate may take. Candidates that hang or crash do so in a process of their own.
        worker: arguments of the Python interpreter that start that process, before the device's name.

    Returns:
        A context manager that gives the session, whose `entries` are the results.

    Raises:
        ArgumentError: a time is not positive.

    Example:
        >>> import spiraltorch as st
        >>> with st.tune(seconds=1) as session:
        ...     (st.ones(4) + 1).tolist()  # too small to be worth a search
        [2.0, 2.0, 2.0, 2.0]
        >>> session.entries
        []
    """
    for name, value in (("seconds", seconds), ("limit", limit)):
        if not value > 0:
            raise ArgumentError(f"[tune] expected {name} above 0, got {value!r}; give how long a search may take")
    session = start(seconds, limit, worker)
    try:
        yield session
    finally:
        stop(session)


def start(seconds: float = SECONDS, limit: float = LIMIT, worker: Sequence[str] = COMMAND) -> Session:
    """Begins a session that lasts until `stop`, or until the program ends. The arguments are those of `tune`."""
    session = Session(seconds, limit, worker)
    TUNING.activate(session)
    atexit.register(session.close)
    return session


def start_with(setting: str) -> Session:
    """Begins a session for a value of `SPIRALTORCH_TUNE` that is neither empty nor 0.

    Raises:
        ArgumentError: the value is not 1.
    """
    if setting != "1":
        raise ArgumentError(
            f"[tune] expected SPIRALTORCH_TUNE to be 1, or 0 or empty for no tuning, got {setting!r}; set or unset it"
        )
    return start()


def stop(session: Session) -> None:
    """Ends a session."""
    TUNING.deactivate(session)
    session.close()
    atexit.unregister(session.close)
