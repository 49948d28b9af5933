"""The state of evaluation: the lock under which graphs are evaluated, and the plans of the graphs seen so far.

`STATE` is the one instance.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from ..errors import TracingError
from .planning.plan import Plan

PLAN_LIMIT = 512
WAIT_SECONDS = 0.25  # a thread that stays at one lock for so long while it records waits for another thread
_WAITING_FILES = frozenset(
    [threading.__file__]
)  # where locks are waited for: `queue` and `concurrent.futures` build on it
PLAN_KERNEL_LIMIT = 4096  # kernels of all plans together: linked code has 35 KB each
GraphKey = tuple[Any, ...]  # see `graph_key.walk`


class KnownGraph:
    """What is remembered of a graph's structure.

    Attributes:
        plan: its plan, or None as long as it was not compiled.
        references: for each node of the walk, the references that the graph itself has to it. See `references`.
        leaf_references: the same for each leaf.
        has_transfers: whether it contains copies between devices.
        used: when it was used last, as `EvaluationState.clock` counts.
    """

    __slots__ = ("has_transfers", "leaf_references", "plan", "references", "used")

    def __init__(self, references: list[int], leaf_references: list[int], has_transfers: bool) -> None:
        self.plan: Plan | None = None
        self.references = references
        self.leaf_references = leaf_references
        self.has_transfers = has_transfers
        self.used = 0

    @property
    def kernels(self) -> int:
        """The number of kernels of its plan."""
        return 0 if self.plan is None else self.plan.statistics.kernels


class EvaluationState:
    """The state of evaluation in this process.

    Attributes:
        lock: held while graphs are evaluated and while a function is recorded, since threads that evaluate graphs with
            shared nodes must not see each other's unfinished work. A thread may take it again. What else is used under it
            says so: plans, programs, kernel caches, tuners.
        running: whether the thread that has the lock runs a plan, or is about to. A signal handler finds it so: what it
            evaluates then neither donates memory nor uses the tables of that plan.
        graphs: the graphs seen so far by key: at most `PLAN_LIMIT`, whose plans have at most `PLAN_KERNEL_LIMIT` kernels.
            Read and written under the lock.
        clock: the number of evaluations.
        recording: the thread that records a function, which holds the lock; None where none does.
    """

    __slots__ = ("clock", "graphs", "lock", "recording", "running")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.running = False
        self.clock = 0
        self.recording: int | None = None
        self.graphs: dict[GraphKey, KnownGraph] = {}
        if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self.lock.release
            )

    def await_recording(self) -> None:
        """Waits while another thread records a function.

        Raises:
            TracingError: that thread waits as well, so the function waits for this one.
        """
        waits = None
        while (thread := self.recording) is not None and thread != threading.get_ident():
            if self.lock.acquire(timeout=WAIT_SECONDS):
                self.lock.release()
                return
            before, waits = waits, _waiting_at(thread)
            if waits is not None and waits == before:
                raise TracingError(
                    "[compile] expected no recorded function to wait for a thread that uses tensors, got one that does; join "
                    "the thread outside of the compiled function"
                )

    def remember(self, key: GraphKey, graph: KnownGraph) -> KnownGraph:
        """Adds a graph. Drops a quarter, the least recently used, where there are too many."""
        graph.used = self.clock
        self.graphs[key] = graph
        kernels = sum(known.kernels for known in self.graphs.values()) if len(self.graphs) % 16 == 0 else 0
        if len(self.graphs) > PLAN_LIMIT or kernels > PLAN_KERNEL_LIMIT:
            by_use = sorted(self.graphs, key=lambda k: self.graphs[k].used)
            for old in by_use[: len(by_use) // 4]:
                del self.graphs[old]
        return graph


def _waiting_at(thread: int) -> tuple[int, int] | None:
    """Where a thread waits for a lock, as its innermost frame and place; None where it does something else."""
    frame = sys._current_frames().get(thread)
    if frame is None or frame.f_code.co_filename not in _WAITING_FILES:
        return None
    return id(frame), frame.f_lasti


STATE = EvaluationState()
