"""From an attention, or its gradient, to an unscheduled kernel: which blocks, and where its operands and results are."""

from __future__ import annotations

from ...ir.expr import Buffer, Const, Space, Value
from ...ir.guard import Guard
from ...ir.index import ZERO, Index, index
from ...ir.stmt import Kernel, Stmt, Store, block, loop, loop_nest
from ...ir.target import Target
from ...kernels.attention import (
    AttentionSizes,
    ElementFn,
    LoopNest,
    RowFn,
    ScoreOptions,
    backward,
    forward,
    with_scratch,
)
from ..program import Val
from .cluster import Cluster
from .emitter import Emitter
from .lowered import Lowered
from .registry import Lowering, Operands, Role, register

VECTORS = 4  # of queries in a block: as wide as a register tile
KEYS = 64  # in a block: what a block of scores and its operands take stays in the first cache
FEW_KEYS = 16  # where blocks are shared memory


def _sizes(val: Val, target: Target, tall: int) -> AttentionSizes:
    """Blocks for a target; `tall`: how often a block of queries is as deep as a head."""
    (_, _, rows, depth), keys, width = val.args[0].shape, val.args[1].shape[2], val.args[2].shape[3]
    if not target.has_shared_memory:
        lanes = target.lanes(val.dtype)
        block_ = min(VECTORS * lanes, -(-rows // lanes) * lanes)
        return AttentionSizes(rows, keys, depth, width, block_, min(KEYS, keys))
    columns = min(FEW_KEYS, keys)
    each = (max(depth, width) * tall + columns * 2 + 4) * target.element_bytes(val.dtype)
    block_ = 64
    while block_ > 1 and (block_ * each > target.shared_bytes or block_ > target.group_items or block_ >= 2 * rows):
        block_ //= 2
    return AttentionSizes(rows, keys, depth, width, block_, columns)


def _at(emitter: Emitter, val: Val, batch: Index, head: Index) -> ElementFn:
    """The elements of one head; axes of one are repeated."""
    first = tuple([ZERO if e == 1 else i for e, i in zip(val.shape, (batch, head), strict=False)])

    def element(row: Index, column: Index, condition: Guard) -> Value:
        rest = tuple([ZERO if e == 1 else i for e, i in zip(val.shape[2:], (row, column), strict=True)])
        return emitter.value(val, (*first, *rest), condition)

    return element


def _scores(emitter: Emitter, val: Val, bias: tuple[Val, ...], batch: Index, head: Index) -> ScoreOptions:
    causal, scale = val.params
    return ScoreOptions(scale, causal, _at(emitter, bias[0], batch, head) if bias else None)


def _space(target: Target) -> Space:
    return Space.WORKGROUP if target.has_shared_memory else Space.SCRATCH


def lower_attention(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of `attention`: a task to a block of queries of a head."""
    val = cluster.members[0]
    q, k, v, *bias = val.args
    sizes = _sizes(val, target, 2)
    emitter, out = cluster.emitter, cluster.emitter.buffer(val)
    groups = q.shape[1] // k.shape[1]
    b, h, block_ = loop("b", q.shape[0]), loop("h", q.shape[1]), loop("qb", sizes.query_blocks)
    batch, head = index(b.var), index(h.var)
    shared = head // groups

    def store(row: Index, column: Index, value: Value, there: Guard) -> Stmt:
        return Store(out, (batch, head, row * sizes.value_dim + column), value, there)

    def statistic(row: Index, value: Value, there: Guard) -> Stmt:
        return Store(out, (batch, head, row + sizes.queries * sizes.value_dim), value, there)

    scratch, body, nests = forward(
        sizes, _scores(emitter, val, tuple(bias), batch, head), val.dtype, _space(target),
        _at(emitter, q, batch, head), _at(emitter, k, batch, shared), _at(emitter, v, batch, shared),
        index(block_.var) * sizes.query_block, store, statistic,
    )  # fmt: skip
    loops = [b, h, block_]
    kernel = Kernel("attention", (), loop_nest(loops, with_scratch(scratch, body)))
    work = q.shape[0] * q.shape[1] * sizes.queries * sizes.keys * 2 * (sizes.head_dim + sizes.value_dim + 8)
    return Lowered(kernel, "attention", [one.var.name for one in loops], nests=nests, work=work)


def lower_attention_grad(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of `attention_grad`: a task to a head of keys, which alone adds to their gradients."""
    val = cluster.members[0]
    q, k, v, g, sums, shift, *bias = val.args
    sizes = _sizes(val, target, 3)
    emitter, out = cluster.emitter, cluster.emitter.buffer(val)
    groups, own = q.shape[1] // k.shape[1], q.shape[1] // k.shape[1] * sizes.queries * sizes.head_dim
    b, h, member, block_ = (
        loop("b", k.shape[0]),
        loop("h", k.shape[1]),
        loop("g", groups),
        loop("qb", sizes.query_blocks),
    )
    batch, shared = index(b.var), index(h.var)
    head = shared * groups + member.var
    first = index(block_.var) * sizes.query_block

    def store(row: Index, column: Index, value: Value, there: Guard) -> Stmt:
        flat = (index(member.var) * sizes.queries + row) * sizes.head_dim + column
        return Store(out, (batch, shared, flat), value, there)

    def of_key(row: Index, column: Index) -> tuple[Index, ...]:
        return batch, shared, row * sizes.head_dim + column + own

    def of_value(row: Index, column: Index) -> tuple[Index, ...]:
        return batch, shared, row * sizes.value_dim + column + (own + sizes.keys * sizes.head_dim)

    def row_of(x: Val) -> RowFn:
        return lambda row, there: emitter.value(x, (batch, head, row), there)

    scratch, body, nests = backward(
        sizes, _scores(emitter, val, tuple(bias), batch, head), val.dtype, _space(target),
        _at(emitter, q, batch, head), _at(emitter, k, batch, shared), _at(emitter, v, batch, shared),
        _at(emitter, g, batch, head), row_of(sums), row_of(shift), first, store, out, of_key, of_value,
    )  # fmt: skip
    begin = _cleared(out, (batch, shared), own, sizes.keys * (sizes.head_dim + sizes.value_dim), val)
    nests.append(begin[1])
    inner = loop_nest([member, block_], with_scratch(scratch, body))
    kernel = Kernel("attention_grad", (), loop_nest([b, h], block(begin[0], inner)))
    work = q.shape[0] * q.shape[1] * sizes.queries * sizes.keys * 2 * (3 * sizes.head_dim + 2 * sizes.value_dim + 8)
    return Lowered(kernel, "attention", ["b", "h"], nests=nests, work=work)


def _cleared(out: Buffer, head: tuple[Index, Index], start: int, count: int, val: Val) -> tuple[Stmt, LoopNest]:
    """Zeros where gradients of keys and values are added up."""
    one = loop("n0", count)
    store = Store(out, (*head, index(one.var) + start), Const(0.0, val.dtype))
    return loop_nest([one], store), LoopNest(["n0"], "map", "n0")


register(["attention"], Lowering(Role.STANDALONE, Operands.MEMORY, kernel=lower_attention))
register(
    ["attention_grad"],  # adds up the gradients of keys in one task to a head: too few for throughput-oriented devices
    Lowering(
        Role.STANDALONE,
        Operands.MEMORY,
        kernel=lower_attention_grad,
        supported=lambda target: not target.throughput_oriented,
    ),
)
