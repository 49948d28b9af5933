"""Everything that depends on CPython's reference counts.

They answer two questions. Which values inside a graph does something outside still refer to? They are evaluated
with the graph, so that they are computed once. And which leaves does nothing but the graph refer to? Their memory may
be donated: results are written over it.

Assumption: `sys.getrefcount` counts every reference to an object, and no other thread takes or drops one between the
count and its use. CPython with its global interpreter lock fulfils this for graph nodes and buffers: they are only
counted while lists and other objects refer to them, and the caller has no name for any of them. `_BASELINE` is measured, so
what the interpreter itself refers to during the count does not matter.

Elsewhere (CPython without the lock, other interpreters) counts are not used (`EXACT` is False) and the answers are
conservative. No leaf is donated. A value inside a graph is evaluated with it if it was computed before, as a part of
another graph, and is met again: then something outside does refer to it, or to what was made of it. So a loop that carries
an unevaluated value from step to step does not grow. Results are the same; memory and time may be more.

`SPIRALTORCH_EXACT_REFERENCES=0` asks for conservative answers in any interpreter, for tests.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from operator import gt

from ..dtypes import float32
from ..graph.node import Node, aval_of
from ..graph.results import live_results
from ..runtime.interpreter import HAS_GLOBAL_LOCK

EXACT = (
    sys.implementation.name == "cpython"
    and hasattr(sys, "getrefcount")
    and HAS_GLOBAL_LOCK
    and os.environ.get("SPIRALTORCH_EXACT_REFERENCES") != "0"
)
_UNLIMITED = sys.maxsize
_getrefcount = getattr(sys, "getrefcount", lambda x: 0)
# Without exact counts: nodes inside graphs that were evaluated. Used under the evaluation lock.
_COMPUTED: weakref.WeakSet[Node] = weakref.WeakSet()


def _baseline() -> int:
    """What `getrefcount` gives for a node that only a list refers to, in this interpreter."""
    (count,) = map(_getrefcount, [Node(aval_of((), float32).leaf, ())])
    return int(count)


_BASELINE = _baseline()


def own_references(order: list[Node], count: int) -> tuple[list[int], list[int]]:
    """What `getrefcount` gives for the nodes of a graph if nothing outside refers to them.

    Args:
        order: the nodes in the order of `graph_key.walk`. The caller refers to them by this list only.
        count: the number of roots, which come first.

    Returns:
        A number for each node, which is unlimited for roots and where evaluating a node with the graph saves nothing. And
        one for each leaf, where the caller has a second list with leaves.
    """
    uses: dict[Node, int] = {}
    for node in order:
        if node.buf is None:
            for a in node.args:
                uses[a] = uses.get(a, 0) + 1
    inner = [uses[n] + _BASELINE if n.buf is None and n.args else _UNLIMITED for n in order[count:]]
    return [_UNLIMITED] * count + inner, [uses.get(n, 0) + _BASELINE + 1 for n in order if n.buf is not None]


def values_in_use(order: list[Node], references: list[int]) -> list[Node]:
    """Values inside a graph that something outside refers to, and that are worth keeping.

    They may be asked for later, and should not be computed again then. So they are evaluated with the graph, as a
    framework without lazy evaluation would have done.

    Args:
        order: the nodes of the graph.
        references: the result of `own_references` for its structure.
    """
    if not EXACT:
        return _computed_before(order, references)
    if not any(map(gt, map(_getrefcount, order), references)):
        return []
    counts = list(map(_getrefcount, order))
    return _worth_keeping([n for n, c, own in zip(order, counts, references, strict=True) if c > own], order)


def _computed_before(order: list[Node], references: list[int]) -> list[Node]:
    """Values inside a graph that were computed before, and that a root reads or a value that was not.

    From now on all values inside the graph count as computed.
    """
    inner = {n for n, own in zip(order, references, strict=True) if own != _UNLIMITED}
    known = {n for n in inner if n in _COMPUTED}
    again = dict.fromkeys([a for n in order if n.buf is None and n not in known for a in n.args if a in known])
    _COMPUTED.update(inner)
    return _worth_keeping(list(again), order)


def donatable(leaves: list[Node], numbers: Sequence[int], references: list[int], held: Mapping[int, int]) -> list[int]:
    """Those of the leaves with these numbers that nothing but the graph refers to, and whose memory is theirs alone.

    Args:
        leaves: the leaves of a graph. The caller refers to them by this list and by the list of all nodes only.
        numbers: the leaves in question.
        references: the result of `own_references` for the leaves.
        held: by the id of a leaf, how many handles refer to it that get another node together with the results.
    """
    if not EXACT:
        return []
    counts = list(map(_getrefcount, leaves))
    if held:
        unused = [n for n in numbers if counts[n] == references[n] + held.get(id(leaves[n]), 0)]
    else:
        unused = [n for n in numbers if counts[n] == references[n]]
    if not unused:
        return unused
    return [n for n, own in zip(unused, _own_memory([leaves[n] for n in unused]), strict=True) if own]


def needed_later(order: list[Node], references: list[int], roots: Iterable[Node]) -> set[Node]:
    """The leaves of values outside that an evaluation leaves without a buffer, as it does with views.

    Args:
        order: the nodes of the graph.
        references: the result of `own_references` for its structure.
        roots: the nodes that get buffers.
    """
    counts = list(map(_getrefcount, order))
    stack = [n for n, c, own in zip(order, counts, references, strict=True) if c > own]
    ends, seen = set(roots), set(stack)
    while stack:
        node = stack.pop()
        if node.buf is None and node not in ends:
            new = [a for a in node.args if a not in seen]
            seen.update(new)
            stack += new
    return {n for n in seen if n.buf is not None}


def solely_owned(nodes: list[Node]) -> list[bool]:
    """Whether only one handle, besides this list, refers to each node, and the node's memory is its alone."""
    if not EXACT:
        return [False] * len(nodes)
    counts = list(map(_getrefcount, nodes))
    return [c == _BASELINE + 1 and own for c, own in zip(counts, _own_memory(nodes), strict=True)]


def _own_memory(nodes: list[Node]) -> list[bool]:
    """Whether a node's memory is its alone: no other value and no array of the host shares it."""
    buffers = [n.buf for n in nodes]
    counts = list(map(_getrefcount, buffers))
    return [c == _BASELINE + 1 and b.keep is None for c, b in zip(counts, buffers, strict=True)]


def _worth_keeping(nodes: list[Node], order: list[Node]) -> list[Node]:
    """Those of the nodes that are values which cost computation, and for calls their results outside the graph."""
    kept = [n for n in nodes if _costs_computation(n)]
    if any([n.spec.results for n in nodes]):
        known = set(order)
        kept += [r for n in nodes for r in live_results(n) if r.buf is None and r not in known]
    return kept


def _costs_computation(node: Node) -> bool:
    """Whether a value costs computation. One that has a buffer and a view of one cost none, and a view that repeats elements costs memory."""
    while node.buf is None and node.spec.prim is not None and node.spec.prim.kind == "view":
        if node.spec.prim.name in ("expand", "windows", "concat"):
            return False
        node = node.args[0]
    return node.buf is None and bool(node.args) and not node.spec.results
