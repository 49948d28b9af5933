"""Programs as data: steps that build a graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spiraltorch import dtypes
from spiraltorch.graph import build
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.runtime import device

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Step:
    """`build.<op>(*args, *params)`; the op `leaf` has its array as the only parameter.

    `stray` is how far correct results may lie apart; None where they are equal.
    """

    op: str
    args: tuple[int, ...] = ()
    params: tuple[Any, ...] = ()
    stray: float | None = None


@dataclass
class Program:
    """Steps in order, each naming earlier ones, and the steps whose values are wanted."""

    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def nodes(self, where: str = "cpu:0") -> list[Node]:
        """Fresh nodes on a device, one for each step."""
        made: list[Node] = []
        for step in self.steps:
            made.append(apply(step, [made[a] for a in step.args], where))
        return made


def apply(step: Step, args: list[Node], where: str = "cpu:0") -> Node:
    """The node of one step."""
    if step.op == "leaf":
        array = step.params[0]
        aval = aval_of(array.shape, dtypes.from_numpy(array.dtype), where)
        return leaf(device.get(where).from_host(array.copy()), aval)
    if step.op == "concat":
        return build.concat(tuple(args), *step.params)
    if step.op in ("const", "scalar", "iota"):
        return getattr(build, step.op)(*step.params, device=where)  # type: ignore[no-any-return]
    node: Node = getattr(build, step.op)(*args, *step.params)
    return node


def prune(program: Program) -> Program:
    """Without the steps that no output needs."""
    needed: set[int] = set()
    stack = list(program.outputs)
    while stack:
        n = stack.pop()
        if n not in needed:
            needed.add(n)
            stack += program.steps[n].args
    number = {old: new for new, old in enumerate(sorted(needed))}
    steps = [
        Step(s.op, tuple(number[a] for a in s.args), s.params, s.stray)
        for n, s in enumerate(program.steps)
        if n in needed
    ]
    return Program(steps, [number[o] for o in program.outputs])
