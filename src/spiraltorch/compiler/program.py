"""The compiler's representation of a graph: a list of values in dependency order, in SSA form.

Contract
- A `Val` is one primitive applied to earlier values. Its id is its number in the program.
- A primitive with several results is a value without memory, whose shape is `()`; each result that is used is a value
  of the primitive `result`, whose parameter is its number.
- Passes do not modify a program. They build a new one with a `Builder`, which eliminates common subexpressions.
- Static parameters (`params`) are the primitive's, hence their type `tuple[Any, ...]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..dtypes import DType
from ..graph.node import Node
from ..graph.results import RESULT


class Val:
    """One value of a program: `prim(*args)` with static parameters.

    Attributes:
        id: its number, unique in the program.
        prim: the name of the primitive; `leaf` for a value that is given.
        args: the operands.
        params: the static parameters.
        shape: its shape; `()` for a call with several results.
        dtype: its dtype.
        device: the name of its device.
        slot: of leaves and scalars, the number in the order of the plan's key; -1 for others.
    """

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
        """The number of elements."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.id}" for a in self.args)
        extra = f" {self.params}" if self.params else ""
        return f"%{self.id} = {self.prim}({args}){extra}: {self.dtype.name}{list(self.shape)}"


class Program:
    """Values in dependency order, and those that are its outputs.

    Attributes:
        vals: all values.
        outputs: the values that the caller asked for, and then two for each check, the minimum and the maximum of its
            indices.
        checks: (lower, upper, op): the indices must lie in [lower, upper), or `op` raises `IndexOutOfRange`.
    """

    __slots__ = ("checks", "outputs", "vals")

    def __init__(self, vals: list[Val], outputs: list[Val], checks: list[tuple[int, int, str]] | None = None) -> None:
        self.vals = vals
        self.outputs = outputs
        self.checks = checks or []

    @property
    def index_extremes(self) -> list[Val]:
        """The minimum and maximum of the indices for each of `checks`."""
        return self.outputs[len(self.outputs) - 2 * len(self.checks) :]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.vals)) + f"\nreturn {', '.join(f'%{o.id}' for o in self.outputs)}"


class Builder:
    """Builds the values of a program; equal operations on equal operands give the same value."""

    def __init__(self) -> None:
        self.vals: list[Val] = []
        self.known: dict[Any, Val] = {}

    def make(
        self, prim: str, args: tuple[Val, ...], params: tuple[Any, ...], shape: tuple[int, ...], dtype: DType,
        device: str, slot: int = -1,
    ) -> Val:  # fmt: skip
        """The value of a primitive on operands, with the type given by the caller; an equal value is reused."""
        key = (prim, tuple([a.id for a in args]), _exact_key(params), shape, dtype, device, slot)
        val = self.known.get(key)
        if val is None:
            val = self.known[key] = Val(len(self.vals), prim, args, params, shape, dtype, device, slot)
            self.vals.append(val)
        return val

    def with_operands(self, val: Val, args: tuple[Val, ...]) -> Val:
        """The operation of `val` on other operands."""
        return self.make(val.prim, args, val.params, val.shape, val.dtype, val.device, val.slot)

    # Builders of common primitives, as in `graph.build`.

    def const(self, value: Any, dtype: DType, device: str) -> Val:
        """A 0-d constant."""
        return self.make("const", (), (value, dtype, device), (), dtype, device)

    def op(self, prim: str, *args: Val, dtype: DType | None = None) -> Val:
        """An element-wise primitive; the result has the last operand's dtype unless `dtype` is given."""
        shape: tuple[int, ...] = ()
        for a in args:
            shape = broadcast(shape, a.shape)
        return self.make(prim, args, (), shape, dtype or args[-1].dtype, args[0].device)

    def cast(self, x: Val, dtype: DType) -> Val:
        """`x` converted to `dtype`."""
        return x if x.dtype is dtype else self.make("cast", (x,), (dtype,), x.shape, dtype, x.device)

    def reshape(self, x: Val, shape: tuple[int, ...]) -> Val:
        """`x` with another shape; a reshape of a reshape is one."""
        if x.shape == shape:
            return x
        if x.prim == "reshape":
            return self.reshape(x.args[0], shape)
        return self.make("reshape", (x,), (shape,), shape, x.dtype, x.device)

    def permute(self, x: Val, axes: tuple[int, ...]) -> Val:
        """`x` with its axes permuted; a permutation of a permutation is one."""
        if axes == tuple(range(len(axes))):
            return x
        if x.prim == "permute":
            inner = x.params[0]
            return self.permute(x.args[0], tuple([inner[a] for a in axes]))
        return self.make("permute", (x,), (axes,), tuple([x.shape[a] for a in axes]), x.dtype, x.device)

    def expand(self, x: Val, shape: tuple[int, ...]) -> Val:
        """`x` broadcast to `shape`."""
        if x.shape == shape:
            return x
        return self.make("expand", (x,), (shape,), shape, x.dtype, x.device)

    def reduce(self, prim: str, x: Val, axes: tuple[int, ...]) -> Val:
        """A reduction over sorted axes, which are dropped."""
        if not axes:
            return x
        shape = tuple([e for d, e in enumerate(x.shape) if d not in axes])
        return self.make(prim, (x,), (axes,), shape, x.dtype, x.device)


Rule = Callable[[Builder, Val, tuple[Val, ...]], "Val | None"]


def rebuild(program: Program, rule: Rule) -> Program:
    """Rewrites a program, operands first.

    Args:
        program: the program.
        rule: `rule(builder, val, new_args)` returns the value that replaces `val`, or None to keep its operation.

    Returns:
        The new program, without dead values and common subexpressions.
    """
    builder = Builder()
    new: dict[int, Val] = {}
    for val in program.vals:
        args = tuple([new[a.id] for a in val.args])
        replacement = rule(builder, val, args)
        new[val.id] = replacement if replacement is not None else builder.with_operands(val, args)
    return without_dead_values(Program(builder.vals, [new[o.id] for o in program.outputs], program.checks))


def without_dead_values(program: Program) -> Program:
    """Dead code elimination: drops the values that no output depends on."""
    needed = {o.id for o in program.outputs}
    for val in reversed(program.vals):
        if val.id in needed:
            needed.update([a.id for a in val.args])
    return Program([v for v in program.vals if v.id in needed], program.outputs, program.checks)


def from_nodes(order: list[Node], outputs: list[int], decomposed: frozenset[str] = frozenset()) -> Program:
    """The program of a graph.

    Args:
        order: the graph's nodes in the discovery order of `graph_key.walk`. Leaves and scalars get the numbers that the
            key gives them, so that graphs with equal keys have interchangeable programs.
        outputs: positions in `order` of the nodes whose values are the program's outputs.
        decomposed: names of primitives that are replaced by their decompositions.

    Returns:
        The program, with two more outputs for each entry of `checks`.
    """
    return _GraphConverter(order, decomposed).program([order[i] for i in outputs])


class _GraphConverter:
    """Converts nodes to values, operands first and without recursion."""

    def __init__(self, order: list[Node], decomposed: frozenset[str]) -> None:
        self.decomposed = decomposed
        self.builder = Builder()
        self.vals: dict[Node, Val] = {}
        self.replacements: dict[Node, tuple[Node, ...]] = {}  # results of decompositions
        self.index_extremes: list[Val] = []
        self.checks: list[tuple[int, int, str]] = []
        self.slots: dict[Node, int] = {}
        leaves = scalars = 0
        for node in order:
            if node.buf is not None:
                self.slots[node] = leaves
                leaves += 1
            elif node.spec.prim is not None and node.spec.prim.name == "scalar":
                self.slots[node] = scalars
                scalars += 1

    def program(self, roots: list[Node]) -> Program:
        """The program whose outputs are the values of `roots`."""
        for root in roots:
            stack = [root]
            while stack:
                node = stack[-1]
                unconverted = [] if node in self.vals else self.unconverted(node)
                if unconverted:
                    stack += unconverted
                    continue
                stack.pop()
                if node not in self.vals:
                    self.vals[node] = self.value(node)
        return Program(self.builder.vals, [self.vals[n] for n in roots] + self.index_extremes, self.checks)

    def unconverted(self, node: Node) -> list[Node]:
        """The nodes that must be converted before a node: its operands, or the node that replaces it."""
        if node.buf is not None:
            return []
        replacement = self.replacement(node)
        needed = node.args if replacement is None else (replacement,)
        return [n for n in needed if n not in self.vals]

    def replacement(self, node: Node) -> Node | None:
        """The result of the decomposition that replaces a node, or None where its primitive is not decomposed."""
        prim = node.spec.prim
        call, number = (node.args[0], node.spec.params[0]) if prim is RESULT else (node, 0)
        prim = call.spec.prim
        if prim is None or prim.name not in self.decomposed or prim.decompose is None:
            return None
        if call not in self.replacements:
            results = prim.decompose(call.args, call.spec.params)
            self.replacements[call] = results if isinstance(results, tuple) else (results,)
        return self.replacements[call][number]

    def value(self, node: Node) -> Val:
        """The value of a node whose operands are converted."""
        aval = node.aval
        if node.buf is not None:
            return self.builder.make("leaf", (), (), aval.shape, aval.dtype, aval.device, self.slots[node])
        replacement = self.replacement(node)
        if replacement is not None:
            return self.vals[replacement]
        prim = node.spec.prim
        assert prim is not None, "a leaf without a buffer has no value"
        args = tuple([self.vals[a] for a in node.args])
        if prim.name == "bounded":
            (x,) = args
            axes = tuple(range(len(x.shape)))
            self.index_extremes += [
                self.builder.reduce("reduce_min", x, axes),
                self.builder.reduce("reduce_max", x, axes),
            ]
            self.checks.append(node.spec.params)
            return x
        shape = () if node.spec.results else aval.shape  # a call has no memory
        slot = self.slots.get(node, -1)
        return self.builder.make(prim.name, args, node.spec.params, shape, aval.dtype, aval.device, slot)


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


def _exact_key(params: tuple[Any, ...]) -> Any:
    """A key of parameters that tells apart numbers which compare equal: 0.0 and -0.0, 1 and True."""
    return tuple([_exact_key(p) if isinstance(p, tuple) else (type(p), repr(p)) if isinstance(p, (float, int)) else p
                  for p in params])  # fmt: skip
