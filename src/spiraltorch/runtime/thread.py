"""One thread for calls that must not be interrupted, and that must run one at a time.

Python raises the exceptions of signal handlers in the main thread, between any two steps of it, also where a library has
just taken a lock of its own. So calls into such a library are made by a `Worker`: whoever is interrupted while he waits for
a result leaves a call behind that ends as it should.

Contract
- A worker's thread is started at the first call, and again where there is none: in a forked child.
- Where no thread can be had (limits, the end of the interpreter) the calling thread makes the call.
- A fork waits for the call at work, so a child finds no lock of the library held by a thread that it does not have.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Result(Generic[R]):
    """The result of a call that a worker makes."""

    __slots__ = ("_call", "_done", "_error", "_value", "cancelled")

    def __init__(self, call: Callable[[], R]) -> None:
        self._call: Callable[[], R] | None = call
        self._done = threading.Lock()
        self._done.acquire()
        self._error: BaseException | None = None
        self._value: Any = None
        self.cancelled = False

    def run(self) -> None:
        """Makes the call, unless it was cancelled."""
        call, self._call = self._call, None
        try:
            if call is not None and not self.cancelled:
                self._value = call()
        except BaseException as error:  # raised again in the thread that asks for the result
            self._error = error
        self._done.release()

    def result(self) -> R:
        """Waits for the call. Returns what it returned, or raises what it raised."""
        with self._done:
            pass
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback refers to this frame
        value: R = self._value
        return value


class Worker:
    """A thread that makes calls one after another, in the order in which they were submitted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._start_lock = threading.RLock()
        self._renew()
        self._closed = False
        _WORKERS.add(self)
        atexit.register(self._close)

    def _renew(self) -> None:
        """Has no thread and nothing to do."""
        self._calls: SimpleQueue[Result[Any] | None] = SimpleQueue()
        self._thread: int | None = None  # its identifier, while it runs
        self.busy = threading.RLock()  # held while a call is made

    def submit(self, call: Callable[[], R]) -> Result[R]:
        """Has a call made. From the worker's own thread, or where no thread can be had, it is made at once."""
        result = Result(call)
        if self._thread == threading.get_ident() or not self._runs():
            with self.busy:
                result.run()
        else:
            self._calls.put(result)
        return result

    def call(self, call: Callable[[], R]) -> R:
        """Has a call made and waits for it."""
        return self.submit(call).result()

    def _runs(self) -> bool:
        """Whether there is a thread, which is started where there is none."""
        if sys.is_finalizing():
            return False
        if self._thread is not None:
            return True
        with self._start_lock:
            if self._thread is None and not self._closed:
                try:
                    self._thread = _thread.start_new_thread(self._work, (self._calls, self.busy))
                except (RuntimeError, MemoryError, OSError):
                    return False
        return self._thread is not None

    def _work(self, calls: SimpleQueue[Result[Any] | None], busy: threading.RLock) -> None:
        """What the thread does. Should an interrupted start have left two threads, they make calls in turns."""
        while (result := calls.get()) is not None:
            with busy:
                result.run()
            del result  # which may be the last reference to much memory

    def _close(self) -> None:
        """Ends the thread after the calls that were submitted; later ones are made by the calling thread."""
        self._closed = True
        if self._thread is not None:
            last = Result(lambda: None)
            self._calls.put(last)
            self._thread = None
            last.result()
            self._calls.put(None)


_WORKERS: weakref.WeakSet[Worker] = weakref.WeakSet()


def _before_fork() -> None:
    for worker in _WORKERS:
        worker.busy.acquire()


def _after_fork_in_parent() -> None:
    for worker in _WORKERS:
        worker.busy.release()


def _after_fork_in_child() -> None:
    for worker in _WORKERS:
        worker._start_lock = threading.RLock()
        worker._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
