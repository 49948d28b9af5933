"""The compiler's own form of a graph: numbered values in dependency order, rebuilt by each pass.

A `Val` is what a `Node` is to the user: one primitive on earlier values. Passes never change a program; they build a new
one through `Builder`, which shares equal values (common subexpressions) as it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..dtypes import DType
from ..graph.node import Node


class Val:
    """One value: `prim(*args)` with static `params`. `slot` numbers leaves and scalars in the order of the plan key."""

    __slots__ = ("args", "device", "dtype", "id", "params", "prim", "shape", "slot")

    def __init__(
        self, id_: int, prim: str, args: tuple[Val, ...], params: tuple[Any, ...], shape: tuple[int, ...], dtype: DType,
        device: str, slot: int = -1,
    ) -> None:  # fmt: skip
        self.id = id_
        self.prim = prim
        self.args = args
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.slot = slot

    @property
    def size(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.id}" for a in self.args)
        extra = f" {self.params}" if self.params else ""
        return f"%{self.id} = {self.prim}({args}){extra}: {self.dtype.name}{list(self.shape)}"


class Program:
    """Values in dependency order, and those that the caller wants.

    The last two outputs for each of `checks` are the least and greatest of integers that must lie in `[lower, upper)`
    for `op`.
    """

    __slots__ = ("checks", "outputs", "vals")

    def __init__(self, vals: list[Val], outputs: list[Val], checks: list[tuple[int, int, str]] | None = None) -> None:
        self.vals = vals
        self.outputs = outputs
        self.checks = checks or []

    @property
    def watched(self) -> list[Val]:
        """The least and greatest values that `checks` are about."""
        return self.outputs[len(self.outputs) - 2 * len(self.checks) :]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.vals)) + f"\nreturn {', '.join(f'%{o.id}' for o in self.outputs)}"


class Builder:
    """Makes values, the same one for equal arguments."""

    def __init__(self) -> None:
        self.vals: list[Val] = []
        self.known: dict[Any, Val] = {}

    def make(
        self, prim: str, args: tuple[Val, ...], params: tuple[Any, ...], shape: tuple[int, ...], dtype: DType,
        device: str, slot: int = -1,
    ) -> Val:  # fmt: skip
        key = (prim, tuple([a.id for a in args]), _exact(params), shape, dtype, device, slot)
        val = self.known.get(key)
        if val is None:
            val = self.known[key] = Val(len(self.vals), prim, args, params, shape, dtype, device, slot)
            self.vals.append(val)
        return val

    def like(self, val: Val, args: tuple[Val, ...]) -> Val:
        """The same operation on other operands."""
        return self.make(val.prim, args, val.params, val.shape, val.dtype, val.device, val.slot)

    # Shorthands for passes; operands have one dtype and broadcast by NumPy's rule.

    def const(self, value: Any, dtype: DType, device: str) -> Val:
        return self.make("const", (), (value, dtype, device), (), dtype, device)

    def op(self, prim: str, *args: Val, dtype: DType | None = None) -> Val:
        shape: tuple[int, ...] = ()
        for a in args:
            shape = broadcast(shape, a.shape)
        return self.make(prim, args, (), shape, dtype or args[-1].dtype, args[0].device)

    def cast(self, x: Val, dtype: DType) -> Val:
        return x if x.dtype is dtype else self.make("cast", (x,), (dtype,), x.shape, dtype, x.device)

    def reshape(self, x: Val, shape: tuple[int, ...]) -> Val:
        if x.shape == shape:
            return x
        if x.prim == "reshape":
            return self.reshape(x.args[0], shape)
        return self.make("reshape", (x,), (shape,), shape, x.dtype, x.device)

    def permute(self, x: Val, axes: tuple[int, ...]) -> Val:
        if axes == tuple(range(len(axes))):
            return x
        if x.prim == "permute":
            inner = x.params[0]
            return self.permute(x.args[0], tuple([inner[a] for a in axes]))
        return self.make("permute", (x,), (axes,), tuple([x.shape[a] for a in axes]), x.dtype, x.device)

    def expand(self, x: Val, shape: tuple[int, ...]) -> Val:
        if x.shape == shape:
            return x
        return self.make("expand", (x,), (shape,), shape, x.dtype, x.device)

    def reduce(self, prim: str, x: Val, axes: tuple[int, ...]) -> Val:
        if not axes:
            return x
        shape = tuple([e for d, e in enumerate(x.shape) if d not in axes])
        return self.make(prim, (x,), (axes,), shape, x.dtype, x.device)


Rule = Callable[[Builder, Val, tuple[Val, ...]], "Val | None"]


def rebuild(program: Program, rule: Rule) -> Program:
    """A new program in which `rule(builder, val, new_args)` may replace a value; None keeps the operation."""
    builder = Builder()
    new: dict[int, Val] = {}
    for val in program.vals:
        args = tuple([new[a.id] for a in val.args])
        made = rule(builder, val, args)
        new[val.id] = made if made is not None else builder.like(val, args)
    return live(Program(builder.vals, [new[o.id] for o in program.outputs], program.checks))


def live(program: Program) -> Program:
    """Drops what no output needs."""
    needed = {o.id for o in program.outputs}
    for val in reversed(program.vals):
        if val.id in needed:
            needed.update([a.id for a in val.args])
    return Program([v for v in program.vals if v.id in needed], program.outputs, program.checks)


def from_nodes(order: list[Node], wanted: list[int], apart: frozenset[str] = frozenset()) -> Program:
    """The program of nodes in the walk's discovery order; `wanted` are positions in it.

    Primitives in `apart` are taken as their parts.

    Leaves and scalars get the number that the plan key gives them, so equal keys mean interchangeable programs. Behind
    the wanted values stand two for each entry of `checks`: the least and the greatest index of what must be in range.
    """
    slots: dict[Node, int] = {}
    leaves = scalars = 0
    for node in order:
        if node.buf is not None:
            slots[node] = leaves
            leaves += 1
        elif node.spec.prim is not None and node.spec.prim.name == "scalar":
            slots[node] = scalars
            scalars += 1
    builder = Builder()
    made: dict[Node, Val] = {}
    instead: dict[Node, Node] = {}
    watched: list[Val] = []
    checks: list[tuple[int, int, str]] = []
    for wanted_node in [order[i] for i in wanted]:
        stack = [wanted_node]
        while stack:
            node = stack[-1]
            if node in made:
                stack.pop()
                continue
            if node.buf is None:
                prim = node.spec.prim
                assert prim is not None
                if prim.name in apart and prim.parts is not None:
                    if node not in instead:
                        instead[node] = prim.parts(node.args, node.spec.params)
                    if instead[node] in made:
                        made[node] = made[instead[node]]
                    else:
                        stack.append(instead[node])
                    continue
                todo = [a for a in node.args if a not in made]
                if todo:
                    stack += todo
                    continue
            stack.pop()
            aval = node.aval
            if node.buf is not None:
                made[node] = builder.make("leaf", (), (), aval.shape, aval.dtype, aval.device, slots[node])
                continue
            prim = node.spec.prim
            assert prim is not None
            if prim.name == "bounded":
                made[node] = x = made[node.args[0]]
                axes = tuple(range(len(x.shape)))
                watched += [builder.reduce("reduce_min", x, axes), builder.reduce("reduce_max", x, axes)]
                checks.append(node.spec.params)
                continue
            made[node] = builder.make(
                prim.name, tuple([made[a] for a in node.args]), node.spec.params, aval.shape, aval.dtype, aval.device,
                slots.get(node, -1),
            )  # fmt: skip
    return Program(builder.vals, [made[order[i]] for i in wanted] + watched, checks)


def broadcast(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcast of two shapes that are known to fit."""
    if x == y or not y:
        return x
    if not x:
        return y
    n = max(len(x), len(y))
    x = (1,) * (n - len(x)) + x
    y = (1,) * (n - len(y)) + y
    return tuple([q if p == 1 else p for p, q in zip(x, y, strict=True)])


def _exact(params: tuple[Any, ...]) -> Any:
    """Numbers that compare equal but are not the same (0.0 and -0.0, 1 and True, NaN) must not be shared."""
    return tuple([_exact(p) if isinstance(p, tuple) else (type(p), repr(p)) if isinstance(p, (float, int)) else p
                  for p in params])  # fmt: skip
