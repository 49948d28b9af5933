"""Attention in the kernel IR, with a softmax that goes along the keys block by block (Milakov and Gimelshein, 2018;
Dao et al., FlashAttention, NeurIPS 2022): no memory grows with queries times keys.

A block of queries runs along the innermost loops and keys along the rows of every tile, so queries are what lanes or
items are made of, no product needs a packed operand, and the softmax has no sum across lanes. Blocks of the queries,
the cotangents and the result lie transposed in scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..dtypes import DType
from ..ir.expr import Buffer, Const, Load, Space, Test, Value, op
from ..ir.guard import ALWAYS, Guard, guard, less
from ..ir.index import Index, Var, index, minimum
from ..ir.stmt import Accumulate, Alloc, For, Stmt, Store, block, loop, loop_nest

At = Callable[[Index, Index, Guard], Value]  # (row, column, where it exists) -> element
Row = Callable[[Index, Guard], Value]


@dataclass(slots=True)
class Sizes:
    """Extents of one head, and of the blocks that it is taken in."""

    queries: int
    keys: int
    depth: int  # of queries and keys
    width: int  # of values
    rows: int  # queries in a block
    columns: int  # keys in a block

    @property
    def row_blocks(self) -> int:
        return -(-self.queries // self.rows)

    @property
    def column_blocks(self) -> int:
        return -(-self.keys // self.columns)


@dataclass(slots=True)
class Scores:
    """How scores are made and which count. `bias` is added, or is boolean: True where a key takes part."""

    scale: float
    causal: bool
    bias: At | None


@dataclass(slots=True)
class Nest:
    """The names of a nest's loops, outermost first; of a product: rows, columns, terms."""

    names: list[str]
    kind: str  # product, reduce or map
    shared: str  # the loop that items of a group share; those over queries in all nests that may


@dataclass(slots=True)
class _Builder:
    """Scratch and statements of one kernel, in order."""

    sizes: Sizes
    scores: Scores
    dtype: DType
    space: Space
    scratch: list[Buffer] = field(default_factory=list)
    nests: list[Nest] = field(default_factory=list)

    def buffer(self, name: str, *shape: int) -> Buffer:
        made = Buffer(name, tuple([index(e) for e in shape]), self.dtype, self.space)
        self.scratch.append(made)
        return made

    def const(self, value: float) -> Const:
        return Const(value, self.dtype)

    def nest(
        self, name: str, extents: tuple[int, ...], kind: str, shared: int, body: Callable[..., list[Stmt]]
    ) -> Stmt:
        """Loops `{name}0, {name}1, ...` around what `body` makes of their variables."""
        loops = [loop(f"{name}{d}", e) for d, e in enumerate(extents)]
        names = [one.var.name for one in loops]
        self.nests.append(Nest(names, kind, names[shared]))
        return loop_nest(loops, block(*body(*[one.var for one in loops])))

    def product(
        self, name: str, target: Buffer, extents: tuple[int, int, int], shared: int, left: Callable[..., Value],
        right: Callable[..., Value], init: Callable[..., Value] | None, position: Callable[..., tuple[Index, ...]],
        condition: Callable[..., Guard] = lambda *_: ALWAYS,
    ) -> Stmt:  # fmt: skip
        """`target[position] += left * right` over the last loop; `init` is where it starts, None where it goes on."""

        def body(r: Var, c: Var, t: Var) -> list[Stmt]:
            value = op("mul", left(r, c, t), right(r, c, t))
            start = None if init is None else init(r, c)
            return [Accumulate(target, position(r, c), "add", value, condition(r, c), (t,), start)]

        return self.nest(name, extents, "product", shared, body)

    def inside(self, row: Index | None, column: Index | None) -> Guard:
        """Where a query and a key exist."""
        s = self.sizes
        there = ALWAYS
        if row is not None and s.queries % s.rows:
            there = there & less(row, s.queries)
        if column is not None and s.keys % s.columns:
            there = there & less(column, s.keys)
        return there

    def scored(self, score: Value, row: Index, column: Index) -> Value:
        """The score, or -inf where the key does not count."""
        s, none = self.scores, self.const(float("-inf"))
        if s.bias is not None:
            bias = s.bias(row, column, self.inside(row, column))
            score = op("select", bias, score, none) if bias.dtype.is_bool else op("add", score, bias)
        counts = self.inside(None, column) & (guard(row - column) if s.causal else ALWAYS)
        return score if counts.always else op("select", Test(counts), score, none)

    @property
    def masks(self) -> bool:
        return self.scores.bias is not None or self.scores.causal or self.sizes.keys % self.sizes.columns != 0

    def blocks_for(self, first: Index) -> For:
        """The loop over blocks of keys that a block of queries from `first` on looks at."""
        s = self.sizes
        one = loop("kb", s.column_blocks)
        if not self.scores.causal:
            return one
        extent = minimum(index(s.column_blocks), (first + (s.rows - 1)) // s.columns + 1)
        return For(Var("kb", s.column_blocks - 1), extent, one.body)


def forward(
    sizes: Sizes, scores: Scores, dtype: DType, space: Space, q: At, k: At, v: At, first: Index,
    store: Callable[[Index, Index, Value, Guard], Stmt], statistic: Callable[[Index, Value, Guard], Stmt],
) -> tuple[list[Buffer], Stmt, list[Nest]]:  # fmt: skip
    """One block of queries, from `first` on: scratch, statements and their nests.

    `store` takes a result's row, column and value, `statistic` a row's logarithm of the sum of exponentials, which is
    inf where no key counts, so that the weights are 0 wherever it is subtracted.
    """
    e = _Builder(sizes, scores, dtype, space)
    n, m = sizes.rows, sizes.columns
    qt, st, ot = e.buffer("qt", sizes.depth, n), e.buffer("st", m, n), e.buffer("ot", sizes.width, n)
    top, base, total, shrink = (e.buffer(name, n) for name in ("top", "base", "total", "shrink"))
    zero, none = e.const(0.0), e.const(float("-inf"))

    def queries(d: Var, i: Var) -> list[Stmt]:
        row = first + i
        value = op("mul", q(row, index(d), e.inside(row, None)), e.const(scores.scale))
        return [Store(qt, (index(d), index(i)), value)]

    parts = [
        e.nest("q", (sizes.depth, n), "map", 1, queries),
        e.nest("z", (sizes.width, n), "map", 1, lambda d, i: [Store(ot, (index(d), index(i)), zero)]),
        e.nest("t", (n,), "map", 0, lambda i: [Store(top, (index(i),), none), Store(total, (index(i),), zero)]),
    ]
    blocks = e.blocks_for(first)
    start = index(blocks.var) * m

    def greatest(j: Var, i: Var) -> list[Stmt]:
        here = (index(j), index(i))
        score: Value = Load(st, here)
        made: list[Stmt] = []
        if e.masks:
            made = [Store(st, here, e.scored(score, first + i, start + j))]
        begin = Load(top, (index(i),))
        return [*made, Accumulate(base, (index(i),), "max", Load(st, here), ALWAYS, (j,), begin)]

    def rescale(i: Var) -> list[Stmt]:
        at = (index(i),)
        new = Load(base, at)
        safe = op("select", op("eq", new, none), zero, new)  # -inf less itself would be NaN
        return [
            Store(shrink, at, op("exp", op("sub", Load(top, at), safe))),
            Store(top, at, new),
            Store(base, at, safe),
            Store(total, at, op("mul", Load(total, at), Load(shrink, at))),
        ]

    def weights(j: Var, i: Var) -> list[Stmt]:
        here = (index(j), index(i))
        made = op("exp", op("sub", Load(st, here), Load(base, (index(i),))))
        return [Store(st, here, made), Accumulate(total, (index(i),), "add", Load(st, here), ALWAYS, (j,))]

    def key(j: Var, i: Var, d: Var) -> Value:
        return k(start + j, index(d), e.inside(None, start + j))

    def value(d: Var, i: Var, j: Var) -> Value:
        return v(start + j, index(d), e.inside(None, start + j))

    along = block(
        e.product("s", st, (m, n, sizes.depth), 1, key, lambda j, i, d: Load(qt, (index(d), index(i))),
                  lambda j, i: zero, lambda j, i: (index(j), index(i))),
        e.nest("m", (m, n), "reduce", 1, greatest),
        e.nest("a", (n,), "map", 0, rescale),
        e.nest("p", (m, n), "reduce", 1, weights),
        e.product("o", ot, (sizes.width, n, m), 1, value, lambda d, i, j: Load(st, (index(j), index(i))),
                  lambda d, i: op("mul", Load(ot, (index(d), index(i))), Load(shrink, (index(i),))),
                  lambda d, i: (index(d), index(i))),
    )  # fmt: skip
    parts.append(loop_nest([blocks], along))

    def ends(i: Var) -> list[Stmt]:
        at = (index(i),)
        whole = Load(total, at)
        empty = op("eq", whole, zero)
        sum_ = op("select", empty, e.const(float("inf")), op("add", Load(base, at), op("log", whole)))
        inverse = op("select", empty, zero, op("div", e.const(1.0), whole))
        return [statistic(first + i, sum_, e.inside(first + i, None)), Store(shrink, at, inverse)]

    def results(i: Var, d: Var) -> list[Stmt]:
        made = op("mul", Load(ot, (index(d), index(i))), Load(shrink, (index(i),)))
        return [store(first + i, index(d), made, e.inside(first + i, None))]

    parts += [e.nest("l", (n,), "map", 0, ends), e.nest("f", (n, sizes.width), "map", 0, results)]
    return e.scratch, block(*parts), e.nests


def backward(
    sizes: Sizes, scores: Scores, dtype: DType, space: Space, q: At, k: At, v: At, g: At, statistic: Row, shift: Row,
    first: Index, store: Callable[[Index, Index, Value, Guard], Stmt], gradients: Buffer,
    of_key: Callable[[Index, Index], tuple[Index, ...]], of_value: Callable[[Index, Index], tuple[Index, ...]],
) -> tuple[list[Buffer], Stmt, list[Nest]]:  # fmt: skip
    """One block of queries: what it adds to the gradients of keys and values, and the gradient of its queries.

    `g` is the result's cotangent, `shift` the sum of each of its rows times the result's. `of_key` and `of_value` say
    where in `gradients` an element goes.
    """
    e = _Builder(sizes, scores, dtype, space)
    n, m = sizes.rows, sizes.columns
    qt, gt, dq = e.buffer("qt", sizes.depth, n), e.buffer("gt", sizes.width, n), e.buffer("dq", sizes.depth, n)
    st, dp = e.buffer("st", m, n), e.buffer("dp", m, n)
    sums, shifts = e.buffer("sums", n), e.buffer("shifts", n)
    zero, factor = e.const(0.0), e.const(scores.scale)

    def queries(d: Var, i: Var) -> list[Stmt]:
        here, row = (index(d), index(i)), first + i
        value = op("mul", q(row, index(d), e.inside(row, None)), factor)
        return [Store(qt, here, value), Store(dq, here, zero)]

    def cotangents(d: Var, i: Var) -> list[Stmt]:
        row = first + i
        return [Store(gt, (index(d), index(i)), g(row, index(d), e.inside(row, None)))]

    def rows(i: Var) -> list[Stmt]:
        row, at = first + i, (index(i),)
        there = e.inside(row, None)
        return [Store(sums, at, statistic(row, there)), Store(shifts, at, shift(row, there))]

    parts = [
        e.nest("q", (sizes.depth, n), "map", 1, queries),
        e.nest("c", (sizes.width, n), "map", 1, cotangents),
        e.nest("r", (n,), "map", 0, rows),
    ]
    blocks = e.blocks_for(first)
    start = index(blocks.var) * m

    def weights(j: Var, i: Var) -> list[Stmt]:
        here, row, column = (index(j), index(i)), first + i, start + j
        score: Value = e.scored(Load(st, here), row, column)
        weight: Value = op("exp", op("sub", score, Load(sums, (index(i),))))
        there = e.inside(row, None)
        if not there.always:
            weight = op("select", Test(there), weight, zero)
        slope = op("mul", op("mul", weight, op("sub", Load(dp, here), Load(shifts, (index(i),)))), factor)
        return [Store(dp, here, slope), Store(st, here, weight)]

    def key(j: Var, i: Var, d: Var) -> Value:
        return k(start + j, index(d), e.inside(None, start + j))

    def value(j: Var, i: Var, d: Var) -> Value:
        return v(start + j, index(d), e.inside(None, start + j))

    def exists(j: Var, d: Var) -> Guard:
        return e.inside(None, start + j)

    along = block(
        e.product("s", st, (m, n, sizes.depth), 1, key, lambda j, i, d: Load(qt, (index(d), index(i))),
                  lambda j, i: zero, lambda j, i: (index(j), index(i))),
        e.product("w", dp, (m, n, sizes.width), 1, value, lambda j, i, d: Load(gt, (index(d), index(i))),
                  lambda j, i: zero, lambda j, i: (index(j), index(i))),
        e.nest("p", (m, n), "map", 1, weights),
        e.product("v", gradients, (m, sizes.width, n), 1, lambda j, d, i: Load(st, (index(j), index(i))),
                  lambda j, d, i: g(first + i, index(d), e.inside(first + i, None)), None,
                  lambda j, d: of_value(start + j, index(d)), exists),
        e.product("k", gradients, (m, sizes.depth, n), 1, lambda j, d, i: Load(dp, (index(j), index(i))),
                  lambda j, d, i: q(first + i, index(d), e.inside(first + i, None)), None,
                  lambda j, d: of_key(start + j, index(d)), exists),
        e.product("y", dq, (sizes.depth, n, m), 1,
                  lambda d, i, j: k(start + j, index(d), e.inside(None, start + j)),
                  lambda d, i, j: Load(dp, (index(j), index(i))), None, lambda d, i: (index(d), index(i))),
    )  # fmt: skip
    parts.append(loop_nest([blocks], along))

    def results(i: Var, d: Var) -> list[Stmt]:
        return [store(first + i, index(d), Load(dq, (index(d), index(i))), e.inside(first + i, None))]

    parts.append(e.nest("f", (n, sizes.depth), "map", 0, results))
    return e.scratch, block(*parts), e.nests


def in_scratch(scratch: list[Buffer], body: Stmt) -> Stmt:
    """The statements with their memory around them."""
    for buffer in reversed(scratch):
        body = Alloc(buffer, body)
    return body
