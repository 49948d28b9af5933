"""Random graphs of primitives, and the search for the smallest part of one that still fails.

Values are kept tame (small magnitudes, no ill-conditioned chains), so that a small tolerance is honest: what float32
kernels may differ in is the order of sums and one or two units in the last place of elementary functions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spiraltorch import dtypes as D
from spiraltorch.graph import build as b
from spiraltorch.graph import reference
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.runtime import device as devices

DEVICE = devices.get("cpu")
FLOATS = [D.float32, D.float32, D.float32, D.float64, D.float16, D.bfloat16]
INTS = [D.int8, D.int16, D.int32, D.int64, D.uint8, D.uint16, D.uint32, D.uint64]
EXTENTS = [1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 33, 64]
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 6e-3, "bfloat16": 5e-2}


class Graph:
    """A random graph: its leaves, its other nodes in order, and how each was made (for the printed snippet)."""

    def __init__(self, seed: int, size: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.made: dict[Node, str] = {}
        rank = int(self.rng.integers(0, 4))
        self.shape = tuple(int(e) for e in self.rng.choice(EXTENTS, rank))
        if self.rng.random() < 0.04 and rank:
            self.shape = (*self.shape[:-1], 0)
        if self.rng.random() < 0.06:
            self.shape = [(300, 70), (5000,), (2, 2049), (64, 65)][int(self.rng.integers(4))]
        while math.prod(self.shape) > 6000:
            self.shape = self.shape[1:]
        for _ in range(int(self.rng.integers(1, 4))):
            self.leaf(self.shape if self.rng.random() < 0.7 else self.broadcastable(self.shape))
        steps = 0
        while steps < size:
            step = STEPS[int(self.rng.choice(len(STEPS), p=WEIGHTS))]
            node = step(self)
            if node is not None and node.aval.size <= 20_000:
                self.nodes.append(node)
                steps += 1
        count = int(self.rng.integers(1, 4))
        picks = self.rng.choice(len(self.nodes), min(count, len(self.nodes)), replace=False)
        self.outputs = [self.nodes[-1], *(self.nodes[int(i)] for i in picks)]

    # ------------------------------------------------------------ material

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to `shape`."""
        made = tuple([e if self.rng.random() < 0.6 else 1 for e in shape])
        return made[int(self.rng.integers(0, len(made) + 1)) :] if self.rng.random() < 0.3 else made

    def leaf(self, shape: tuple[int, ...], dtype: Any = None) -> Node:
        """A leaf of random numbers."""
        if dtype is None:
            kinds = [FLOATS, INTS, [D.bool_]][int(self.rng.choice(3, p=[0.75, 0.18, 0.07]))]
            dtype = kinds[int(self.rng.integers(len(kinds)))]
        node = leaf(DEVICE.from_host(self.array(shape, dtype)), aval_of(shape, dtype))
        self.nodes.append(node)
        return node

    def array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        if dtype.is_bool:
            return np.asarray(self.rng.random(shape) < 0.5)
        if dtype.is_integer:
            low = 0 if dtype.kind == "u" else -9
            return np.asarray(self.rng.integers(low, 10, shape)).astype(dtype.numpy)
        return np.asarray(self.rng.uniform(-2, 2, shape)).astype(dtype.numpy)

    def pick(self, kinds: str = "fiub", rank: int = 0) -> Node | None:
        """A node made so far of these kinds and at least this rank; later ones are likelier."""
        found = [n for n in self.nodes if n.aval.dtype.kind in kinds and n.aval.ndim >= rank]
        if not found:
            return None
        weights = np.arange(1, len(found) + 1, dtype=float)
        return found[int(self.rng.choice(len(found), p=weights / weights.sum()))]

    def partner(self, x: Node) -> Node:
        """Another operand of the same dtype that broadcasts with x."""
        same = [n for n in self.nodes if n.aval.dtype is x.aval.dtype and fits(n.aval.shape, x.aval.shape)]
        roll = self.rng.random()
        if same and roll < 0.6:
            return same[int(self.rng.integers(len(same)))]
        if roll < 0.75:
            value = (
                self.rng.choice([0, 1, 2, 3]) if not x.aval.dtype.is_float else self.rng.choice([0.5, 1, 2, -1, 0.3])
            )
            return b.number(bool(value) if x.aval.dtype.is_bool else value.item(), x.aval.dtype)
        node = self.leaf(self.broadcastable(x.aval.shape), x.aval.dtype)
        return node

    def axis(self, x: Node) -> int:
        return int(self.rng.integers(x.aval.ndim))


def fits(a: tuple[int, ...], c: tuple[int, ...]) -> bool:
    """Whether two shapes broadcast without growing much."""
    try:
        return math.prod(np.broadcast_shapes(a, c)) <= 20_000
    except ValueError:
        return False


# ---------------------------------------------------------------- steps

SMOOTH = "neg abs tanh sin cos erf atan floor ceil trunc round sign".split()


def unary(g: Graph) -> Node | None:
    x = g.pick("f")
    if x is None:
        return None
    name = SMOOTH[int(g.rng.integers(len(SMOOTH)))]
    if name in ("floor", "ceil", "trunc", "round", "sign") and g.rng.random() < 0.7:
        name = "tanh"
    return getattr(b, {"abs": "abs_", "round": "round_"}.get(name, name))(x)


def positive(g: Graph) -> Node | None:
    """Functions that want a tame argument get one."""
    x = g.pick("f")
    if x is None:
        return None
    name = "exp log sqrt exp2 log1p expm1 sinh cosh asinh log2".split()[int(g.rng.integers(10))]
    if name in ("log", "sqrt", "log1p", "log2"):
        x = b.add(b.abs_(x), b.number(0.5, x.aval.dtype))
    else:
        x = b.minimum(x, b.number(2.0, x.aval.dtype))
    return getattr(b, name)(x)


def binary(g: Graph) -> Node | None:
    x = g.pick("f" if g.rng.random() < 0.75 else "fiub")
    if x is None:
        return None
    y = g.partner(x)
    kind = x.aval.dtype.kind
    names = {"f": "add sub mul maximum minimum", "b": "add mul maximum minimum bitand bitor bitxor",
             "i": "add sub mul maximum minimum bitand bitor bitxor floordiv mod shl shr",
             "u": "add sub mul maximum minimum bitand bitor bitxor floordiv mod shl shr"}[kind].split()  # fmt: skip
    name = names[int(g.rng.integers(len(names)))]
    if kind == "f" and name == "mul":
        x = b.tanh(x)
    return getattr(b, name)(x, y) if g.rng.random() < 0.5 else getattr(b, name)(y, x)


def divide(g: Graph) -> Node | None:
    x = g.pick("f")
    if x is None:
        return None
    y = b.add(b.abs_(g.partner(x)), b.number(0.5, x.aval.dtype))
    return b.div(x, y)


def compare(g: Graph) -> Node | None:
    x = g.pick("iub" if g.rng.random() < 0.8 else "fiub")
    return None if x is None else getattr(b, "eq ne lt le".split()[int(g.rng.integers(4))])(x, g.partner(x))


def select(g: Graph) -> Node | None:
    x, c = g.pick(), g.pick("b")
    if x is None:
        return None
    y = g.partner(x)
    whole = np.broadcast_shapes(x.aval.shape, y.aval.shape)
    if c is None or not fits(c.aval.shape, whole):
        c = g.leaf(g.broadcastable(whole), D.bool_)
    return b.where(c, x, y)


def cast(g: Graph) -> Node | None:
    x = g.pick()
    if x is None:
        return None
    pools = [FLOATS, INTS, [D.bool_]]
    pool = pools[int(g.rng.choice(3, p=[0.7, 0.2, 0.1]))]
    dtype = pool[int(g.rng.integers(len(pool)))]
    if x.aval.dtype.is_float and not dtype.is_float:
        return None  # a float near an integer would decide by rounding
    if x.aval.dtype.is_integer and dtype.is_float:
        x = b.mod(x, b.number(8, x.aval.dtype))
    return b.cast(x, dtype)


def reduce(g: Graph) -> Node | None:
    x = g.pick("fiub", 1)
    if x is None or x.aval.size == 0:
        return None
    rank = x.aval.ndim
    count = int(g.rng.integers(1, rank + 1))
    axes = tuple(sorted(int(a) for a in g.rng.choice(rank, count, replace=False)))
    kind = x.aval.dtype.kind
    names = ["reduce_max", "reduce_min"] + ([] if kind == "b" else ["reduce_sum"] * 3)
    name = names[int(g.rng.integers(len(names)))]
    if kind == "f":
        x = b.tanh(x)
        n = math.prod([x.aval.shape[a] for a in axes])
        made = getattr(b, name)(x, axes)
        if name == "reduce_sum":
            made = b.mul(made, b.number(1.0 / max(1, n), x.aval.dtype))
    else:
        made = getattr(b, name)(x, axes)
    if g.rng.random() < 0.5:
        made = b.reshape(made, tuple([1 if d in axes else e for d, e in enumerate(x.aval.shape)]))
        if g.rng.random() < 0.5 and x.aval.dtype is made.aval.dtype and kind == "f":
            made = b.sub(x, made)
    return made


def normalize(g: Graph) -> Node | None:
    """Softmax or a normalisation along the last axes: several reductions over one row."""
    x = g.pick("f", 1)
    if x is None or x.aval.size == 0 or x.aval.dtype.itemsize < 4:
        return None
    axis = x.aval.ndim - 1 if g.rng.random() < 0.7 else g.axis(x)
    kept = tuple([1 if d == axis else e for d, e in enumerate(x.aval.shape)])
    top = b.reshape(b.reduce_max(x, (axis,)), kept)
    powers = b.exp(b.minimum(b.sub(x, top), b.number(0.0, x.aval.dtype)))
    return b.div(powers, b.reshape(b.reduce_sum(powers, (axis,)), kept))


def arg(g: Graph) -> Node | None:
    x = g.pick("iub", 1)
    if x is None or x.aval.size == 0:
        return None
    return (b.argmax if g.rng.random() < 0.5 else b.argmin)(x, g.axis(x))


def scan(g: Graph) -> Node | None:
    x = g.pick("fiu", 1)
    if x is None or x.aval.size == 0:
        return None
    name = "cumsum cummax cummin".split()[int(g.rng.integers(3))]
    axis = g.axis(x)
    if x.aval.dtype.is_float:
        if x.aval.dtype.itemsize == 2:
            return None
        x = b.mul(b.tanh(x), b.number(1.0 / x.aval.shape[axis], x.aval.dtype))
    return getattr(b, name)(x, axis, bool(g.rng.random() < 0.3))


def argsort(g: Graph) -> Node | None:
    x = g.pick("iub", 1)
    if x is None or x.aval.size == 0 or x.aval.size > 600:
        return None
    return b.argsort(x, g.axis(x), bool(g.rng.random() < 0.3))


def reshape(g: Graph) -> Node | None:
    x = g.pick()
    if x is None or x.aval.size == 0:
        return None
    left, shape = x.aval.size, []
    for _ in range(int(g.rng.integers(0, 3))):
        divisors = [d for d in range(1, min(left, 64) + 1) if left % d == 0]
        shape.append(divisors[int(g.rng.integers(len(divisors)))])
        left //= shape[-1]
    shape.append(left)
    if g.rng.random() < 0.3:
        shape.insert(int(g.rng.integers(len(shape) + 1)), 1)
    return b.reshape(x, tuple(shape))


def permute(g: Graph) -> Node | None:
    x = g.pick(rank=2)
    return None if x is None else b.permute(x, tuple(int(a) for a in g.rng.permutation(x.aval.ndim)))


def expand(g: Graph) -> Node | None:
    x = g.pick()
    if x is None:
        return None
    shape = tuple([int(g.rng.integers(1, 5)) if e == 1 else e for e in x.aval.shape])
    if g.rng.random() < 0.4:
        shape = (int(g.rng.integers(1, 4)), *shape)
    return b.expand(x, shape) if math.prod(shape) <= 20_000 else None


def pad(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    if x is None:
        return None
    pads = tuple([tuple(int(v) for v in g.rng.integers(0, 3, 3)) for _ in x.aval.shape])
    value = 0 if g.rng.random() < 0.6 else 1
    return b.pad(x, pads, value)


def slice_(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    if x is None:
        return None
    starts, stops, steps = [], [], []
    for e in x.aval.shape:
        a = int(g.rng.integers(0, e + 1)) if g.rng.random() < 0.5 else 0
        starts.append(min(a, max(e - 1, 0)))
        stops.append(int(g.rng.integers(starts[-1], e + 1)) if g.rng.random() < 0.3 else e)
        steps.append(int(g.rng.choice([1, 1, 1, 2, 3])))
    return b.slice(x, tuple(starts), tuple(stops), tuple(steps))


def flip(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    return None if x is None else b.flip(x, tuple(sorted({g.axis(x), g.axis(x)})))


def windows(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    if x is None:
        return None
    axis = g.axis(x)
    n = x.aval.shape[axis]
    if n < 3 or x.aval.size > 2000:
        return None
    return b.windows(
        x, (axis,), (int(g.rng.integers(1, 3)),), (int(g.rng.integers(1, 3)),), (int(g.rng.integers(1, 3)),)
    )


def concat(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    if x is None:
        return None
    axis = g.axis(x)
    shape = tuple([int(g.rng.integers(0, 4)) if d == axis else e for d, e in enumerate(x.aval.shape)])
    parts = [x, g.leaf(shape, x.aval.dtype)]
    return b.concat(tuple(parts if g.rng.random() < 0.5 else [*parts[::-1], x]), axis)


def take(g: Graph) -> Node | None:
    x = g.pick(rank=1)
    if x is None:
        return None
    axis = g.axis(x)
    if x.aval.shape[axis] == 0:
        return None
    shape = tuple(int(e) for e in g.rng.integers(0, 5, int(g.rng.integers(0, 3))))
    idx = g.leaf(shape, D.int64)
    idx = b.mod(b.abs_(idx), b.number(x.aval.shape[axis], D.int64))
    if g.rng.random() < 0.5:
        return b.take(x, idx, axis)
    base = tuple([3 if d == axis else e for d, e in enumerate(x.aval.shape)])
    idx = b.mod(b.abs_(g.leaf(base, D.int32)), b.number(x.aval.shape[axis], D.int32))
    return b.take_along(x, idx, axis)


def scatter(g: Graph) -> Node | None:
    x = g.pick("fiu", 1)
    if x is None or x.aval.size == 0 or (x.aval.dtype.is_float and x.aval.dtype.itemsize == 2):
        return None
    axis = g.axis(x)
    idx = g.leaf((int(g.rng.integers(1, 6)),), D.int64)
    upd = g.leaf((*x.aval.shape[:axis], idx.aval.size, *x.aval.shape[axis + 1 :]), x.aval.dtype)
    return b.scatter(x, idx, upd, axis, "set add max min".split()[int(g.rng.integers(4))])


def dot(g: Graph) -> Node | None:
    x = g.pick("f" if g.rng.random() < 0.85 else "iu", 1)
    if x is None or x.aval.size == 0 or x.aval.ndim > 3:
        return None
    batch = x.aval.ndim == 3 and g.rng.random() < 0.6
    axis = int(g.rng.integers(1, 3)) if batch else g.axis(x)
    n = int(g.rng.choice([1, 2, 5, 16, 33]))
    shape = ((x.aval.shape[0],) if batch else ()) + (x.aval.shape[axis], n)
    y = g.leaf(shape if g.rng.random() < 0.5 else (*shape[:-2], n, x.aval.shape[axis]), x.aval.dtype)
    at = len(shape) - 2 if y.aval.shape == shape else len(shape) - 1
    if x.aval.dtype.is_float:
        x = b.mul(b.tanh(x), b.number(1.0 / x.aval.shape[axis], x.aval.dtype))
    if math.prod(x.aval.shape) // x.aval.shape[axis] * n > 20_000:
        return None
    return b.dot(x, y, (axis,), (at,), (0,) if batch else (), (0,) if batch else ())


def conv(g: Graph) -> Node | None:
    rank = int(g.rng.integers(1, 3))
    n, groups, c, o = (int(v) for v in g.rng.integers(1, 4, 4))
    space = tuple(int(v) for v in g.rng.integers(3, 9, rank))
    size = tuple(int(v) for v in g.rng.integers(1, 4, rank))
    x = g.leaf((n, groups, c, *space), D.float32)
    w = b.mul(g.leaf((groups, o, c, *size), D.float32), b.number(0.2, D.float32))
    x = b.tanh(x) if g.rng.random() < 0.4 else x
    stride = tuple(int(v) for v in g.rng.integers(1, 3, rank))
    pads = tuple([(int(g.rng.integers(0, 3)), int(g.rng.integers(0, 3))) for _ in range(rank)])
    lhs = (1,) * rank if g.rng.random() < 0.7 else (2,) * rank
    rhs = (1,) * rank
    return b.conv(x, w, stride, pads, lhs, rhs)


def random_bits(g: Graph) -> Node | None:
    shape = tuple(int(e) for e in g.rng.integers(1, 9, 2))
    seed, counter = b.scalar(int(g.rng.integers(1 << 40)), D.uint64), b.scalar(int(g.rng.integers(1 << 33)), D.uint64)
    return b.random_bits(seed, counter, shape)


STEPS = [unary, positive, binary, divide, compare, select, cast, reduce, normalize, arg, scan, argsort, reshape, permute,
         expand, pad, slice_, flip, windows, concat, take, scatter, dot, conv, random_bits]  # fmt: skip
_RAW = np.array([8, 5, 16, 3, 4, 5, 4, 9, 3, 2, 3, 1, 6, 5, 4, 4, 4, 3, 2, 3, 3, 2, 5, 1, 0.5])
WEIGHTS = _RAW / _RAW.sum()


# ---------------------------------------------------------------- comparing and shrinking


def coarsest(root: Node) -> str:
    """The floating dtype of the least precision that a value was made of."""
    names = {n.aval.dtype.name for n in topological([root])}
    return next((n for n in ("bfloat16", "float16", "float32") if n in names), "float64")


def differs(got: np.ndarray, want: np.ndarray, root: Node) -> str:
    """What is wrong, or an empty string. Integers and booleans must be equal."""
    dtype = root.aval.dtype
    if got.shape != want.shape:
        return f"shape {got.shape} instead of {want.shape}"
    if not dtype.is_float:
        return "" if np.array_equal(got, want) else f"{np.sum(got != want)} of {got.size} elements differ"
    limit = TOLERANCE[coarsest(root)]
    a, c = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(all="ignore"):
        close = (np.abs(a - c) <= limit + limit * np.abs(c)) | (a == c) | (np.isnan(a) & np.isnan(c))
    if close.all():
        return ""
    worst = np.nanmax(np.where(close, 0, np.abs(a - c))) if a.size else 0
    return f"{np.sum(~close)} of {close.size} elements differ, by up to {worst:.3g}"


def copied(roots: list[Node], cut: dict[Node, Node]) -> list[Node]:
    """Fresh nodes of the same graph, with some replaced."""
    made: dict[Node, Node] = {}
    stack = list(roots)
    while stack:
        n = stack[-1]
        if n in made:
            stack.pop()
            continue
        if n in cut:
            made[n] = cut[n]
            continue
        if n.buf is not None:
            made[n] = n
            continue
        todo = [a for a in n.args if a not in made]
        if todo:
            stack += todo
            continue
        made[n] = Node(n.spec, tuple([made[a] for a in n.args]), n.scalar, False)
    return [made[r] for r in roots]


def topological(roots: list[Node]) -> list[Node]:
    """Operands first."""
    order: dict[Node, None] = {}
    stack = list(roots)
    while stack:
        n = stack[-1]
        todo = [a for a in n.args if a not in order]
        if n in order or not todo:
            stack.pop()
            order[n] = None
        else:
            stack += todo
    return list(order)


def shrink(roots: list[Node], fails: Any) -> list[Node]:
    """The smallest failing graph found by taking single roots and replacing inner values by leaves."""
    for n in topological(roots):
        if n.args and fails(copied([n], {})):
            roots = [n]
            break
    changed = True
    while changed:
        changed = False
        for n in topological(roots)[::-1]:
            if n.buf is not None or not n.args or n in roots:
                continue
            (value,) = reference.evaluate([n])
            frozen = leaf(DEVICE.from_host(np.array(value)), n.aval)
            if fails(copied(roots, {n: frozen})):
                roots = copied(roots, {n: frozen})
                changed = True
                break
    return roots


def listing(roots: list[Node]) -> str:
    """The graph as text."""
    order = topological(roots)
    number = {n: i for i, n in enumerate(order)}
    lines = []
    for n in order:
        args = ", ".join(f"%{number[a]}" for a in n.args)
        scalar = f" value {n.scalar!r}" if n.scalar is not None else ""
        lines.append(f"  %{number[n]} = {n.spec!r} ({args}){scalar}")
    return "\n".join([*lines, f"  return {', '.join(f'%{number[r]}' for r in roots)}"])
