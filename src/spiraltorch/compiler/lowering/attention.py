"""Lowers attention and its gradient to unscheduled kernels: block sizes, and positions of operands and results."""

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
from .lowered import KernelKind, LoopRole, Lowered, NamedLoop, Phase, PhaseRole, named
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
    """The kernel of `attention`: one task per block of queries of a head."""
    val = cluster.members[0]
    q, k, v, *bias = val.args
    sizes = _sizes(val, target, 2)
    emitter, results = cluster.emitter, cluster.results()
    shape = tuple([index(e) for e in (*q.shape[:3], v.shape[3])])
    unused = [] if 0 in results else [Buffer("unused", shape, val.dtype, Space.GLOBAL)]
    out = emitter.buffer(results[0]) if 0 in results else unused[0]
    logsumexp = emitter.buffer(results[1]) if 1 in results else None
    groups = q.shape[1] // k.shape[1]
    b, h, block_ = loop("b", q.shape[0]), loop("h", q.shape[1]), loop("qb", sizes.query_blocks)
    batch, head = index(b.var), index(h.var)
    shared = head // groups

    def store(row: Index, column: Index, value: Value, there: Guard) -> Stmt:
        return Store(out, (batch, head, row, column), value, there)

    def statistic(row: Index, value: Value, there: Guard) -> Stmt:
        return block() if logsumexp is None else Store(logsumexp, (batch, head, row), value, there)

    scratch, body, nests = forward(
        sizes, _scores(emitter, val, tuple(bias), batch, head), val.dtype, _space(target),
        _at(emitter, q, batch, head), _at(emitter, k, batch, shared), _at(emitter, v, batch, shared),
        index(block_.var) * sizes.query_block, store, statistic,
    )  # fmt: skip
    loops = [b, h, block_]
    kernel = Kernel("attention", (), with_scratch(unused, loop_nest(loops, with_scratch(scratch, body))))
    work = q.shape[0] * q.shape[1] * sizes.queries * sizes.keys * 2 * (sizes.head_dim + sizes.value_dim + 8)
    return Lowered(kernel, KernelKind.ATTENTION, named(loops), [_phase(nest) for nest in nests], work=work)


def lower_attention_grad(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of `attention_grad`: one task per head of keys, so that no other task adds to their gradients."""
    val = cluster.members[0]
    q, k, v, g, sums, shift, *bias = val.args
    sizes = _sizes(val, target, 3)
    emitter, groups = cluster.emitter, q.shape[1] // k.shape[1]
    outs, unused = _result_buffers(cluster, (q, k, v))
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
        return Store(outs[0], (batch, head, row, column), value, there)

    def of_head(row: Index, column: Index) -> tuple[Index, ...]:
        return batch, shared, row, column

    def row_of(x: Val) -> RowFn:
        return lambda row, there: emitter.value(x, (batch, head, row), there)

    scratch, body, nests = backward(
        sizes, _scores(emitter, val, tuple(bias), batch, head), val.dtype, _space(target),
        _at(emitter, q, batch, head), _at(emitter, k, batch, shared), _at(emitter, v, batch, shared),
        _at(emitter, g, batch, head), row_of(sums), row_of(shift), first, store, outs[1], outs[2], of_head,
    )  # fmt: skip
    begin = [_cleared(outs[1], "n", batch, shared), _cleared(outs[2], "x", batch, shared)]
    nests += [nest for _, nest in begin]
    inner = loop_nest([member, block_], with_scratch(scratch, body))
    whole = with_scratch(unused, loop_nest([b, h], block(*[s for s, _ in begin], inner)))
    kernel = Kernel("attention_grad", (), whole)
    work = q.shape[0] * q.shape[1] * sizes.queries * sizes.keys * 2 * (3 * sizes.head_dim + 2 * sizes.value_dim + 8)
    return Lowered(kernel, KernelKind.ATTENTION, named([b, h]), [_phase(nest) for nest in nests], work=work)


_ROLES = {
    "product": (PhaseRole.PRODUCT, (LoopRole.ROW, LoopRole.COLUMN, LoopRole.REDUCTION)),
    "reduce": (PhaseRole.REDUCTION, (LoopRole.REDUCTION, LoopRole.COLUMN)),
}


def _phase(nest: LoopNest) -> Phase:
    """The roles of a nest's loops: the one that items share, which in most runs over queries, is the column."""
    if nest.kind == "map":
        roles = [LoopRole.COLUMN if name == nest.shared else LoopRole.ROW for name in nest.names]
        return Phase(PhaseRole.ELEMENTWISE, tuple(map(NamedLoop, nest.names, roles)))
    role, of_loops = _ROLES[nest.kind]
    return Phase(role, tuple(map(NamedLoop, nest.names, of_loops)))


def _result_buffers(cluster: Cluster, like: tuple[Val, ...]) -> tuple[list[Buffer], list[Buffer]]:
    """A buffer for each result, shaped like an operand each; those that nothing reads are memory of the kernel's own."""
    results = cluster.results()
    buffers, unused = [], []
    for n, operand in enumerate(like):
        if n in results:
            buffers.append(cluster.emitter.buffer(results[n]))
            continue
        shape = tuple([index(e) for e in operand.shape])
        unused.append(Buffer(f"unused{n}", shape, operand.dtype, Space.GLOBAL))
        buffers.append(unused[-1])
    return buffers, unused


def _cleared(out: Buffer, name: str, batch: Index, head: Index) -> tuple[Stmt, LoopNest]:
    """Zeros in one head, to which gradients are added."""
    loops = [loop(f"{name}{d}", e.const) for d, e in enumerate(out.shape[2:])]
    names = [one.var.name for one in loops]
    store = Store(out, (batch, head, *(index(one.var) for one in loops)), Const(0.0, out.dtype))
    return loop_nest(loops, store), LoopNest(names, "map", names[0])


register(["attention"], Lowering(Role.STANDALONE, Operands.MEMORY, kernel=lower_attention))
register(
    ["attention_grad"],  # one task per head of keys: too few for throughput-oriented devices
    Lowering(
        Role.STANDALONE,
        Operands.MEMORY,
        kernel=lower_attention_grad,
        supported=lambda target: not target.throughput_oriented,
    ),
)
