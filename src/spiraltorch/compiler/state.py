"""The state of evaluation: the lock under which graphs are evaluated, and the plans of the graphs seen so far.

`STATE` is the one instance.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from .planning.plan import Plan

PLAN_LIMIT = 512
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
    """

    __slots__ = ("clock", "graphs", "lock", "running")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.running = False
        self.clock = 0
        self.graphs: dict[GraphKey, KnownGraph] = {}
        if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self.lock.release
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


STATE = EvaluationState()
