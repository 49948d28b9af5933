"""The state of evaluation: the lock under which graphs are evaluated, and the plans of the graphs seen so far.

`STATE` is the one instance.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from .planning.plan import Plan

PLAN_LIMIT = 4096
GraphKey = tuple[Any, ...]  # see `graph_key.walk`


class KnownGraph:
    """What is remembered of a graph's structure.

    Attributes:
        plan: its plan, or None as long as it was not compiled.
        references: for each node of the walk, the references that the graph itself has to it. See `references`.
        leaf_references: the same for each leaf.
        has_transfers: whether it contains copies between devices.
    """

    __slots__ = ("has_transfers", "leaf_references", "plan", "references")

    def __init__(self, references: list[int], leaf_references: list[int], has_transfers: bool) -> None:
        self.plan: Plan | None = None
        self.references = references
        self.leaf_references = leaf_references
        self.has_transfers = has_transfers


class EvaluationState:
    """The state of evaluation in this process.

    Attributes:
        lock: held while graphs are evaluated and while a function is recorded, since threads that evaluate graphs with
            shared nodes must not see each other's unfinished work. A thread may take it again. What else is used under it
            says so: plans, programs, kernel caches, tuners.
        running: whether the thread that has the lock runs a plan, or is about to. A signal handler finds it so: what it
            evaluates then neither donates memory nor uses the tables of that plan.
        graphs: the graphs seen so far by key, the oldest first: at most `PLAN_LIMIT`. Read and written under the lock.
    """

    __slots__ = ("graphs", "lock", "running")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.running = False
        self.graphs: dict[GraphKey, KnownGraph] = {}
        if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self.lock.release
            )

    def remember(self, key: GraphKey, graph: KnownGraph) -> KnownGraph:
        """Adds a graph, and drops the oldest where there are too many."""
        self.graphs[key] = graph
        if len(self.graphs) > PLAN_LIMIT:
            self.graphs.pop(next(iter(self.graphs)))
        return graph


STATE = EvaluationState()
