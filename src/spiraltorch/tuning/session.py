"""Tuning as a stretch of a program: every kernel compiled or used inside that has no entry is searched."""

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
from .client import COMMAND, Client, Failed
from .search import Search

SECONDS = 10.0  # of a kernel's search
LIMIT = 10.0  # seconds for a candidate
LARGEST = 1 << 30  # bytes that a kernel reads and writes above which its memory is not taken twice
SMALLEST = 1 << 10  # operations of a kernel below which a launch costs more than any schedule


class Session:
    """A tuner at work. `entries` are those that it made, in order."""

    def __init__(self, seconds: float, limit: float, worker: Sequence[str]) -> None:
        self.seconds = seconds
        self.limit = limit
        self.worker = worker
        self.entries: list[Entry] = []
        self._clients: dict[str, Client] = {}
        self._given_up: set[str] = set()

    def tune(self, device: Device, key: str, lowered: Lowered) -> Entry | None:
        """The entry of a kernel, searched and kept. None where it is not worth it, or cannot be tuned."""
        if key in self._given_up or device.name in self._given_up or lowered.work < SMALLEST:
            return None
        if sum(b.nbytes for b in lowered.kernel.params) > LARGEST:
            return None
        client = self._clients.setdefault(device.name, Client(device.name, self.worker))
        plain = replace(lowered, params=[], stores=[], scalars=[], choices=Choices())
        name = _described(lowered)
        with span(TUNE, device=device.name, kernel=name) as s:
            try:
                if not client.running:
                    client.start()
            except Failed as failed:
                self._give_up(device.name, f"the worker for {device.name} does not start: {failed}")
                return None
            try:
                with deep_recursion():
                    packed = pack(plain)
                found = Search(client, packed, device.target.key, self.seconds, self.limit).run()
            except Failed as failed:
                self._give_up(key, f"{name} on {device.name}: {failed}")
                return None
            entry = Entry(
                key, name, device.name, __version__, found.decisions, found.default, found.best, found.rule,
                found.tried,
            )  # fmt: skip
            s.set(candidates=entry.count, speedup=entry.speedup)
        COUNTS["kernels_tuned"] += 1
        tunings.write(entry)
        self.entries.append(entry)
        return entry

    def _give_up(self, what: str, why: str) -> None:
        """Kernels go on with the rule's choice."""
        self._given_up.add(what)
        warnings.warn(f"[tune] {why}; the rule's schedule is used", RuntimeWarning, stacklevel=2)

    def close(self) -> None:
        """Ends the workers."""
        for client in self._clients.values():
            client.close()


def _described(lowered: Lowered) -> str:
    """The kernel's kind and what it makes of what: `dot float32[8, 8] of float32[8, 4], float32[4, 8]`."""
    stored = {v.id for v in lowered.stores}
    made = ", ".join(f"{v.dtype.name}{list(v.shape)}" for v in lowered.stores)
    read = ", ".join(f"{v.dtype.name}{list(v.shape)}" for v in lowered.params if v.id not in stored)
    return f"{lowered.kind.value} {made}" + (f" of {read}" if read else "")


@contextmanager
def tune(seconds: float = SECONDS, *, limit: float = LIMIT, worker: Sequence[str] = COMMAND) -> Iterator[Session]:
    """Searches the schedule of every kernel that is used inside and was not tuned before, and keeps what it finds.

    `seconds` is how long one kernel's search may take, `limit` how long one candidate: what hangs or crashes does so in a
    process of its own, started as `python WORKER... DEVICE`. Gives a `Session`, whose `entries` say what was found. Later
    runs use it without `tune`. Raises `ArgumentError` where a time is not positive.

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
    """Begins a session that lasts until `stop`, or the program's end."""
    session = Session(seconds, limit, worker)
    TUNING.activate(session)
    atexit.register(session.close)
    return session


def start_with(setting: str) -> Session:
    """Begins a session for `SPIRALTORCH_TUNE`. Raises `ArgumentError` for what neither switches it on nor off."""
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
