"""The Python interpreter: the one fact that the runtime depends on, and the settings that the compiler changes.

This module is the only one that writes the recursion limit and the switch interval. Blocks may nest, and blocks of
several threads may overlap: the first that is entered changes the setting, the last that is left restores it. `_Setting`
counts them under a lock of its own, which is held only for the change.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

RECURSION_LIMIT = 20_000  # frames; expressions of long fused chains are walked recursively
SWITCH_INTERVAL = 2e-4  # seconds that a thread may keep the interpreter while another one asks for it

N = TypeVar("N")

# Whether only one thread runs Python code at a time. It is False in every build that can do without the global interpreter
# lock, even while an extension module has it enabled: so it holds for the life of the process.
HAS_GLOBAL_LOCK = "free-threading" not in sys.version


class _Setting(Generic[N]):
    """One setting: how to read and write it, and how many blocks need its other value now."""

    def __init__(self, read: Callable[[], N], write: Callable[[N], None]) -> None:
        self.read = read
        self.write = write
        self.lock = threading.RLock()  # a signal handler may come in between
        self.blocks = 0
        self.before: N

    @contextmanager
    def changed(self, choose: Callable[[N], N]) -> Iterator[None]:
        """A block in which the setting is what `choose` makes of its present value."""
        with self.lock:
            if self.blocks == 0:
                self.before = self.read()
                self.write(choose(self.before))
            self.blocks += 1
        try:
            yield
        finally:
            with self.lock:
                self.blocks -= 1
                if self.blocks == 0:
                    self.write(self.before)


_RECURSION = _Setting[int](sys.getrecursionlimit, sys.setrecursionlimit)
_SWITCH = _Setting[float](sys.getswitchinterval, sys.setswitchinterval)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """A block that may recurse over long expressions: the recursion limit is at least `RECURSION_LIMIT`."""
    with _RECURSION.changed(lambda limit: max(limit, RECURSION_LIMIT)):
        yield


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """A block in which another thread that asks for the interpreter gets it after `SWITCH_INTERVAL` at the latest."""
    with _SWITCH.changed(lambda interval: min(interval, SWITCH_INTERVAL)):
        yield
