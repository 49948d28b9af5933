"""Attention and its gradient in the kernel IR, with an online softmax: no memory grows with queries times keys.

The softmax runs along the keys block by block, with a running maximum and a running sum that rescale what was added up so
far (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", NeurIPS 2022).
The backward pass computes the weights again from each row's logarithm of the sum of exponentials.

Contract
- `forward` and `backward` build the statements of one block of queries of one head. The caller builds the loops over
  batches, heads and blocks, and passes functions that read operands and store results at a place of that head.
- Queries are the innermost loop of every nest and keys the rows of every tile, so lanes or items of a group run over
  queries: no product needs a packed operand, and no sum of the softmax crosses lanes. Blocks of the queries, the
  cotangents and the results are held transposed in scratch memory.
- The nests are described by `LoopNest`, which schedules go by. Names of loops and buffers are fixed, so one kernel holds
  one block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..dtypes import DType
from ..ir.expr import Buffer, Const, FromGuard, Load, Space, Value, op
from ..ir.guard import ALWAYS, Guard, guard, less
from ..ir.index import Index, Var, index, minimum
from ..ir.stmt import Accumulate, Alloc, For, Stmt, Store, block, loop, loop_nest

ElementFn = Callable[[Index, Index, Guard], Value]  # (row, column, where it exists) -> element
RowFn = Callable[[Index, Guard], Value]  # (row, where it exists) -> element
StoreElementFn = Callable[[Index, Index, Value, Guard], Stmt]  # (row, column, value, where it exists)
StoreRowFn = Callable[[Index, Value, Guard], Stmt]
PositionFn = Callable[[Index, Index], tuple[Index, ...]]  # (row, column) -> a position in a buffer


@dataclass(slots=True)
class AttentionSizes:
    """Extents of one head, and of its blocks."""

    queries: int
    keys: int
    head_dim: int  # of queries and keys
    value_dim: int
    query_block: int
    key_block: int

    @property
    def query_blocks(self) -> int:
        return -(-self.queries // self.query_block)

    @property
    def key_blocks(self) -> int:
        return -(-self.keys // self.key_block)


@dataclass(slots=True)
class ScoreOptions:
    """How scores are computed and which of them count.

    `bias` is added to them, or it is boolean: True where a key takes part.
    """

    scale: float
    causal: bool
    bias: ElementFn | None


@dataclass(slots=True)
class LoopNest:
    """A nest of loops, for the schedule: the names of its loops from the outermost inwards (a product's: rows, columns,
    terms), and the loop over queries, which the items of a group share."""

    names: list[str]
    kind: Literal["product", "reduce", "map"]
    shared: str


class AttentionBlock(NamedTuple):
    """What one block of queries needs: scratch buffers, and statements with a description of their nests."""

    scratch: list[Buffer]
    body: Stmt
    nests: list[LoopNest]


def forward(
    sizes: AttentionSizes, scores: ScoreOptions, dtype: DType, space: Space, q: ElementFn, k: ElementFn, v: ElementFn,
    first: Index, store: StoreElementFn, store_logsumexp: StoreRowFn,
) -> AttentionBlock:  # fmt: skip
    """The attention of the queries `first`, `first + 1`, ... of one block.

    Args:
        sizes: extents of the head and of its blocks.
        scores: scale, masks and bias.
        dtype: the floating dtype of the computation.
        space: memory for scratch buffers.
        q: elements of the queries, (row, column in head_dim).
        k: elements of the keys, likewise.
        v: elements of the values, (row, column in value_dim).
        first: the first query of the block.
        store: stores an element of the result, (row, column in value_dim).
        store_logsumexp: stores the logarithm of a row's sum of exponentials: inf where no key counts, so that weights
            computed from it are 0.
    """
    return _Forward(sizes, scores, dtype, space, first).build(q, k, v, store, store_logsumexp)


def backward(
    sizes: AttentionSizes, scores: ScoreOptions, dtype: DType, space: Space, q: ElementFn, k: ElementFn, v: ElementFn,
    cotangent: ElementFn, logsumexp: RowFn, delta: RowFn, first: Index, store: StoreElementFn, key_gradients: Buffer,
    value_gradients: Buffer, of_head: PositionFn,
) -> AttentionBlock:  # fmt: skip
    """The gradient of the queries of one block, and what the block adds to the gradients of keys and values.

    Args:
        sizes: extents of the head and of its blocks.
        scores: scale, masks and bias, as in `forward`.
        dtype: the floating dtype of the computation.
        space: memory for scratch buffers.
        q: elements of the queries, (row, column in head_dim).
        k: elements of the keys, likewise.
        v: elements of the values, (row, column in value_dim).
        cotangent: elements of the result's cotangent, (row, column in value_dim).
        logsumexp: the value that `forward` stored for a row.
        delta: the sum over a row of the cotangent times the result.
        first: the first query of the block.
        store: stores an element of the gradient of the queries.
        key_gradients: the buffer in which the gradients of keys are added up; it holds zeros at the start.
        value_gradients: likewise for values.
        of_head: the position in both buffers of a row and a column of the head.
    """
    return _Backward(sizes, scores, dtype, space, first).build(
        q, k, v, cotangent, logsumexp, delta, store, key_gradients, value_gradients, of_head
    )


def with_scratch(scratch: list[Buffer], body: Stmt) -> Stmt:
    """The statements inside the allocation of their scratch buffers, the first buffer outermost."""
    for buffer in reversed(scratch):
        body = Alloc(buffer, body)
    return body


class _Block:
    """Builds the scratch buffers and nests of one block of queries, in order."""

    def __init__(
        self, sizes: AttentionSizes, scores: ScoreOptions, dtype: DType, space: Space, first: Index
    ) -> None:  # fmt: skip
        self.sizes, self.scores, self.dtype, self.space, self.first = sizes, scores, dtype, space, first
        self.scratch: list[Buffer] = []
        self.nests: list[LoopNest] = []
        self.zero = Const(0.0, dtype)
        self.minus_infinity = Const(float("-inf"), dtype)

    def buffer(self, name: str, *shape: int) -> Buffer:
        """A new scratch buffer."""
        result = Buffer(name, tuple([index(e) for e in shape]), self.dtype, self.space)
        self.scratch.append(result)
        return result

    def nest(
        self, name: str, extents: tuple[int, ...], kind: Literal["product", "reduce", "map"], shared: int,
        body: Callable[..., list[Stmt]],
    ) -> Stmt:  # fmt: skip
        """Loops `{name}0`, `{name}1`, ... around the statements that `body` builds from their variables; the loop number
        `shared` runs over queries."""
        loops = [loop(f"{name}{d}", e) for d, e in enumerate(extents)]
        names = [one.var.name for one in loops]
        self.nests.append(LoopNest(names, kind, names[shared]))
        return loop_nest(loops, block(*body(*[one.var for one in loops])))

    def product(
        self, name: str, target: Buffer, extents: tuple[int, int, int], left: Callable[[Var, Var, Var], Value],
        right: Callable[[Var, Var, Var], Value], init: Callable[[Var, Var], Value] | None,
        position: Callable[[Var, Var], tuple[Index, ...]],
        condition: Callable[[Var, Var], Guard] = lambda *_: ALWAYS,
    ) -> Stmt:  # fmt: skip
        """`target[position] += left * right` over the last loop, starting from `init`; without it, from what is there."""

        def body(r: Var, c: Var, t: Var) -> list[Stmt]:
            value = op("mul", left(r, c, t), right(r, c, t))
            start = None if init is None else init(r, c)
            return [Accumulate(target, position(r, c), "add", value, condition(r, c), (t,), start)]

        return self.nest(name, extents, "product", 1, body)

    def exists(self, row: Index | None, column: Index | None) -> Guard:
        """The condition that a query and a key lie inside the head: always, where its blocks divide it."""
        s = self.sizes
        condition = ALWAYS
        if row is not None and s.queries % s.query_block:
            condition = condition & less(row, s.queries)
        if column is not None and s.keys % s.key_block:
            condition = condition & less(column, s.keys)
        return condition

    def masked(self, score: Value, row: Index, column: Index) -> Value:
        """The score with its bias, or -inf where the key does not count."""
        s = self.scores
        if s.bias is not None:
            bias = s.bias(row, column, self.exists(row, column))
            score = op("select", bias, score, self.minus_infinity) if bias.dtype.is_bool else op("add", score, bias)
        counts = self.exists(None, column) & (guard(row - column) if s.causal else ALWAYS)
        return score if counts.always else op("select", FromGuard(counts), score, self.minus_infinity)

    @property
    def has_mask(self) -> bool:
        """Whether `masked` changes any score."""
        return self.scores.bias is not None or self.scores.causal or self.sizes.keys % self.sizes.key_block != 0

    def key_blocks(self) -> For:
        """The loop over the blocks of keys that take part: with a causal mask, those up to the block's last query."""
        s = self.sizes
        one = loop("kb", s.key_blocks)
        if not self.scores.causal:
            return one
        extent = minimum(index(s.key_blocks), (self.first + (s.query_block - 1)) // s.key_block + 1)
        return For(Var("kb", s.key_blocks - 1), extent, one.body)

    def key_row_product(
        self, name: str, target: Buffer, extent: int, start: Index, operand: ElementFn, transposed: Buffer
    ) -> Stmt:  # fmt: skip
        """`target[j, i]`: the product of row `start + j` of an operand (of keys or values) with query i of a transposed
        block, over their `extent` columns."""
        m, n = self.sizes.key_block, self.sizes.query_block
        return self.product(
            name, target, (m, n, extent),
            lambda j, i, d: operand(start + j, index(d), self.exists(None, start + j)),
            lambda j, i, d: Load(transposed, _at(d, i)), lambda j, i: self.zero, _at,
        )  # fmt: skip


class _Forward(_Block):
    """`forward`."""

    def build(
        self, q: ElementFn, k: ElementFn, v: ElementFn, store: StoreElementFn, store_logsumexp: StoreRowFn
    ) -> AttentionBlock:  # fmt: skip
        s = self.sizes
        n, m = s.query_block, s.key_block
        self.queries, self.weights = self.buffer("qt", s.head_dim, n), self.buffer("st", m, n)
        self.result = self.buffer("ot", s.value_dim, n)
        self.maximum, self.base, self.total, self.factor = (
            self.buffer(name, n) for name in ("top", "base", "total", "shrink")
        )
        parts = self._start(q)
        blocks = self.key_blocks()
        parts.append(loop_nest([blocks], self._key_block(index(blocks.var) * m, k, v)))
        parts += self._end(store, store_logsumexp)
        return AttentionBlock(self.scratch, block(*parts), self.nests)

    def _start(self, q: ElementFn) -> list[Stmt]:
        """Loads the scaled queries, and sets result, maximum and sum to those of no keys."""
        s, n = self.sizes, self.sizes.query_block

        def load_queries(d: Var, i: Var) -> list[Stmt]:
            row = self.first + i
            value = op("mul", q(row, index(d), self.exists(row, None)), Const(self.scores.scale, self.dtype))
            return [Store(self.queries, _at(d, i), value)]

        def clear_result(d: Var, i: Var) -> list[Stmt]:
            return [Store(self.result, _at(d, i), self.zero)]

        def clear_rows(i: Var) -> list[Stmt]:
            return [Store(self.maximum, _at(i), self.minus_infinity), Store(self.total, _at(i), self.zero)]

        return [
            self.nest("q", (s.head_dim, n), "map", 1, load_queries),
            self.nest("z", (s.value_dim, n), "map", 1, clear_result),
            self.nest("t", (n,), "map", 0, clear_rows),
        ]

    def _key_block(self, start: Index, k: ElementFn, v: ElementFn) -> Stmt:
        """Scores of the keys from `start` on, the new maximum, and what their values add to the rescaled result."""
        s = self.sizes
        n, m = s.query_block, s.key_block

        def find_maximum(j: Var, i: Var) -> list[Stmt]:
            score = Load(self.weights, _at(j, i))
            masked: list[Stmt] = []
            if self.has_mask:
                masked = [Store(self.weights, _at(j, i), self.masked(score, self.first + i, start + j))]
            before = Load(self.maximum, _at(i))
            largest = Accumulate(self.base, _at(i), "max", Load(self.weights, _at(j, i)), ALWAYS, (j,), before)
            return [*masked, largest]

        def rescale(i: Var) -> list[Stmt]:
            new = Load(self.base, _at(i))
            finite = op("select", op("eq", new, self.minus_infinity), self.zero, new)  # -inf - -inf would be NaN
            return [
                Store(self.factor, _at(i), op("exp", op("sub", Load(self.maximum, _at(i)), finite))),
                Store(self.maximum, _at(i), new),
                Store(self.base, _at(i), finite),
                Store(self.total, _at(i), op("mul", Load(self.total, _at(i)), Load(self.factor, _at(i)))),
            ]

        def exponentiate(j: Var, i: Var) -> list[Stmt]:
            weight = op("exp", op("sub", Load(self.weights, _at(j, i)), Load(self.base, _at(i))))
            return [
                Store(self.weights, _at(j, i), weight),
                Accumulate(self.total, _at(i), "add", Load(self.weights, _at(j, i)), ALWAYS, (j,)),
            ]

        return block(
            self.key_row_product("s", self.weights, s.head_dim, start, k, self.queries),
            self.nest("m", (m, n), "reduce", 1, find_maximum),
            self.nest("a", (n,), "map", 0, rescale),
            self.nest("p", (m, n), "reduce", 1, exponentiate),
            self.product(
                "o", self.result, (s.value_dim, n, m),
                lambda d, i, j: v(start + j, index(d), self.exists(None, start + j)),
                lambda d, i, j: Load(self.weights, _at(j, i)),
                lambda d, i: op("mul", Load(self.result, _at(d, i)), Load(self.factor, _at(i))), _at,
            ),
        )  # fmt: skip

    def _end(self, store: StoreElementFn, store_logsumexp: StoreRowFn) -> list[Stmt]:
        """Stores the logarithms of the sums, and the results divided by the sums."""

        def finish_rows(i: Var) -> list[Stmt]:
            row, total = self.first + i, Load(self.total, _at(i))
            empty = op("eq", total, self.zero)
            logarithm = op("add", Load(self.base, _at(i)), op("log", total))
            logsumexp = op("select", empty, Const(float("inf"), self.dtype), logarithm)
            inverse = op("select", empty, self.zero, op("div", Const(1.0, self.dtype), total))
            return [store_logsumexp(row, logsumexp, self.exists(row, None)), Store(self.factor, _at(i), inverse)]

        def store_results(i: Var, d: Var) -> list[Stmt]:
            row = self.first + i
            value = op("mul", Load(self.result, _at(d, i)), Load(self.factor, _at(i)))
            return [store(row, index(d), value, self.exists(row, None))]

        n = self.sizes.query_block
        return [
            self.nest("l", (n,), "map", 0, finish_rows),
            self.nest("f", (n, self.sizes.value_dim), "map", 0, store_results),
        ]


class _Backward(_Block):
    """`backward`."""

    def build(
        self, q: ElementFn, k: ElementFn, v: ElementFn, cotangent: ElementFn, logsumexp: RowFn, delta: RowFn,
        store: StoreElementFn, key_gradients: Buffer, value_gradients: Buffer, of_head: PositionFn,
    ) -> AttentionBlock:  # fmt: skip
        s = self.sizes
        n, m = s.query_block, s.key_block
        self.queries, self.cotangents = self.buffer("qt", s.head_dim, n), self.buffer("gt", s.value_dim, n)
        self.query_gradients = self.buffer("dq", s.head_dim, n)
        self.weights, self.slopes = self.buffer("st", m, n), self.buffer("dp", m, n)  # slopes: gradients of the scores
        self.logsumexps, self.deltas = self.buffer("sums", n), self.buffer("shifts", n)
        parts = self._start(q, cotangent, logsumexp, delta)
        blocks = self.key_blocks()
        start = index(blocks.var) * m
        along_keys = block(
            *self._weights_and_slopes(start, k, v),
            *self._products(start, q, k, cotangent, key_gradients, value_gradients, of_head),
        )
        parts.append(loop_nest([blocks], along_keys))

        def store_gradients(i: Var, d: Var) -> list[Stmt]:
            row = self.first + i
            return [store(row, index(d), Load(self.query_gradients, _at(d, i)), self.exists(row, None))]

        parts.append(self.nest("f", (n, s.head_dim), "map", 0, store_gradients))
        return AttentionBlock(self.scratch, block(*parts), self.nests)

    def _start(self, q: ElementFn, cotangent: ElementFn, logsumexp: RowFn, delta: RowFn) -> list[Stmt]:
        """Loads the scaled queries, the cotangents and the statistics of each row, and clears the queries' gradients."""
        s, n = self.sizes, self.sizes.query_block

        def load_queries(d: Var, i: Var) -> list[Stmt]:
            row = self.first + i
            value = op("mul", q(row, index(d), self.exists(row, None)), Const(self.scores.scale, self.dtype))
            return [Store(self.queries, _at(d, i), value), Store(self.query_gradients, _at(d, i), self.zero)]

        def load_cotangents(d: Var, i: Var) -> list[Stmt]:
            row = self.first + i
            return [Store(self.cotangents, _at(d, i), cotangent(row, index(d), self.exists(row, None)))]

        def load_rows(i: Var) -> list[Stmt]:
            row = self.first + i
            condition = self.exists(row, None)
            return [
                Store(self.logsumexps, _at(i), logsumexp(row, condition)),
                Store(self.deltas, _at(i), delta(row, condition)),
            ]

        return [
            self.nest("q", (s.head_dim, n), "map", 1, load_queries),
            self.nest("c", (s.value_dim, n), "map", 1, load_cotangents),
            self.nest("r", (n,), "map", 0, load_rows),
        ]

    def _weights_and_slopes(self, start: Index, k: ElementFn, v: ElementFn) -> list[Stmt]:
        """The weights of the keys from `start` on, and the gradients of their scores."""
        s = self.sizes

        def differentiate(j: Var, i: Var) -> list[Stmt]:
            row = self.first + i
            score = self.masked(Load(self.weights, _at(j, i)), row, start + j)
            weight: Value = op("exp", op("sub", score, Load(self.logsumexps, _at(i))))
            condition = self.exists(row, None)
            if not condition.always:
                weight = op("select", FromGuard(condition), weight, self.zero)
            change = op("sub", Load(self.slopes, _at(j, i)), Load(self.deltas, _at(i)))
            slope = op("mul", op("mul", weight, change), Const(self.scores.scale, self.dtype))
            return [Store(self.slopes, _at(j, i), slope), Store(self.weights, _at(j, i), weight)]

        return [
            self.key_row_product("s", self.weights, s.head_dim, start, k, self.queries),
            self.key_row_product("w", self.slopes, s.value_dim, start, v, self.cotangents),
            self.nest("p", (s.key_block, s.query_block), "map", 1, differentiate),
        ]

    def _products(
        self, start: Index, q: ElementFn, k: ElementFn, cotangent: ElementFn, key_gradients: Buffer,
        value_gradients: Buffer, of_head: PositionFn,
    ) -> list[Stmt]:  # fmt: skip
        """The products that are added to the gradients of values, keys and queries."""
        s = self.sizes
        n, m = s.query_block, s.key_block

        def row_of(operand: ElementFn) -> Callable[[Var, Var, Var], Value]:
            return lambda j, d, i: operand(self.first + i, index(d), self.exists(self.first + i, None))

        def key_exists(j: Var, d: Var) -> Guard:
            return self.exists(None, start + j)

        return [
            self.product(
                "v", value_gradients, (m, s.value_dim, n), lambda j, d, i: Load(self.weights, _at(j, i)), row_of(cotangent),
                None, lambda j, d: of_head(start + j, index(d)), key_exists,
            ),
            self.product(
                "k", key_gradients, (m, s.head_dim, n), lambda j, d, i: Load(self.slopes, _at(j, i)), row_of(q),
                None, lambda j, d: of_head(start + j, index(d)), key_exists,
            ),
            self.product(
                "y", self.query_gradients, (s.head_dim, n, m),
                lambda d, i, j: k(start + j, index(d), self.exists(None, start + j)),
                lambda d, i, j: Load(self.slopes, _at(j, i)), None, _at,
            ),
        ]  # fmt: skip


def _at(*variables: Var) -> tuple[Index, ...]:
    """The position of variables."""
    return tuple([index(v) for v in variables])
