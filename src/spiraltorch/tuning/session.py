"""Tuning sessions: while one is active, every kernel without an entry in the tuning store has its schedule searched."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..compiler.choices import Choices
from ..compiler.lowering import Lowered
from ..compiler.tuning_state import TUNING
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

SECONDS = 10.0  # the time limit of the search for one kernel
LIMIT = 10.0  # the time limit of one candidate, in seconds
LARGEST_BYTES = 1 << 30  # the largest size of a kernel's parameters, which the search allocates again
SMALLEST_WORK = 1 << 10  # operations below which a launch costs more than any schedule can save


class Session:
    """An active tuner, as `st.tune` yields it.

    Args:
        seconds: the time limit of the search for one kernel.
        limit: the time limit of one candidate, in seconds.
        worker: the arguments of the Python interpreter that start the worker process, without the device's name.

    Attributes:
        entries: the entries that it has stored, in order.

    Example:
        >>> import spiraltorch as st
        >>> with st.tune(seconds=1) as session:
        ...     (st.ones(4) + 1).tolist()  # too small to be worth a search
        [2.0, 2.0, 2.0, 2.0]
        >>> session.entries
        []
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
            device: the device that the kernel runs on.
            key: the key of the kernel's entry in the store.
            lowered: the kernel before it is scheduled.

        Returns:
            The entry; None if the kernel is too small or too large, or if tuning fails, which is reported as a warning.
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
        """Warns that a kernel, or all kernels of a device, keep the default schedule of their rule."""
        self._given_up.add(subject)
        warnings.warn(f"[tune] {why}; the rule's schedule is used", RuntimeWarning, stacklevel=2)

    def close(self) -> None:
        """Ends the worker processes."""
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
    """Searches the schedule of every kernel that is used in a block and was not tuned before. It is a context manager.

    The results are stored, and kernels use the stored schedules from then on, also in later processes and without
    `tune`.

    Args:
        seconds: the time limit of the search for one kernel.
        limit: the time limit of one candidate, in seconds. Candidates run in a separate process, which may hang or
            crash.
        worker: the arguments of the Python interpreter that start this process, without the device's name.

    Yields:
        The session, whose `entries` are the results.

    Raises:
        ArgumentError: a time limit is not positive.

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
            raise ArgumentError(f"[tune] expected {name} above 0, got {value!r}; pass a time limit in seconds")
    session = start(seconds, limit, worker)
    try:
        yield session
    finally:
        stop(session)


def start(seconds: float = SECONDS, limit: float = LIMIT, worker: Sequence[str] = COMMAND) -> Session:
    """Starts a tuning session that lasts until `stop`, or until the program ends.

    Args:
        seconds: the time limit of the search for one kernel.
        limit: the time limit of one candidate, in seconds.
        worker: the arguments of the Python interpreter that start the worker process, without the device's name.

    Returns:
        The session.

    Example:
        >>> import spiraltorch as st
        >>> session = st.tuning.start(seconds=1)
        >>> st.tuning.stop(session)
        >>> session.entries
        []
    """
    session = Session(seconds, limit, worker)
    TUNING.activate(session)
    atexit.register(session.close)
    return session


def start_with(setting: str) -> Session:
    """Starts a tuning session as the environment variable `SPIRALTORCH_TUNE` requests it.

    Args:
        setting: the value of the variable, which is neither empty nor "0".

    Returns:
        The session, which lasts until the program ends.

    Raises:
        ArgumentError: the value is not "1".

    Example:
        >>> import spiraltorch as st
        >>> session = st.tuning.start_with("1")
        >>> st.tuning.stop(session)
    """
    if setting != "1":
        raise ArgumentError(
            f"[tune] expected SPIRALTORCH_TUNE to be 1, or 0 or empty for no tuning, got {setting!r}; set or unset it"
        )
    return start()


def stop(session: Session) -> None:
    """Ends a tuning session and its worker processes.

    Args:
        session: the session that `start` returned.

    Example:
        >>> import spiraltorch as st
        >>> session = st.tuning.start()
        >>> st.tuning.stop(session)
    """
    TUNING.deactivate(session)
    session.close()
    atexit.unregister(session.close)
