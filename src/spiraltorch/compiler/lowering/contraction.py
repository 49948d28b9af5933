"""Kernels of contractions: products of matrices and convolutions, with members of the result's shape as epilogue."""

from __future__ import annotations

from ...ir.expr import Const, FromGuard, Load, Value, cast, op
from ...ir.guard import guard
from ...ir.index import ZERO, Index, index
from ...ir.stmt import Accumulate, Alloc, For, Kernel, block, loop, loop_nest
from ...ir.target import Target
from ..decompositions.contraction import decompose_contraction
from ..program import Val
from .cluster import Cluster, store_member, stores_with_most_reads_first
from .lowered import KernelKind, LoopRole, Lowered, NamedLoop, named
from .registry import Lowering, Operands, Role, register


def lower_contraction(cluster: Cluster, stored: set[int], target: Target) -> Lowered:
    """The kernel of a contraction and its epilogue."""
    val = cluster.members[0]
    acc = cluster.accumulators[val.id]
    place = cluster.position_of(val)
    assert place is not None
    loops = [For(v, index(e), block()) for v, e in zip(cluster.vars, cluster.shape, strict=True)]
    for n, one in enumerate(loops):
        one.var.name = f"o{n}"
    operands = _dot_operands if val.prim == "dot" else _conv_operands
    left, right, terms, roles = operands(cluster, val, place)
    finish = []
    for m in cluster.members:
        if m.id in stored:
            finish.append(store_member(cluster, m, Load(acc, place) if m is val else cluster.values[m.id]))
    zero = Const(0.0 if val.dtype.is_float else 0, val.dtype)
    leaf = Accumulate(
        acc,
        place,
        "add",
        op("mul", left, right),
        axes=tuple([t.var for t in terms]),
        init=zero,
        finish=tuple(stores_with_most_reads_first(finish)),
    )
    kernel = Kernel(val.prim, (), Alloc(acc, loop_nest([*loops, *terms], leaf)))
    work = 2 * val.size
    for t in terms:
        work *= t.extent.const
    loop_roles = [NamedLoop(one.var.name, role) for one, role in zip(loops, roles, strict=True)]
    return Lowered(kernel, KernelKind(val.prim), [*loop_roles, *named(terms, LoopRole.REDUCTION)], work=work)


_Operands = tuple[Value, Value, list[For], list[LoopRole]]  # left, right, loops over terms, roles of the result's axes


def _dot_operands(cluster: Cluster, val: Val, place: tuple[Index, ...]) -> _Operands:
    x, y = val.args
    xc, yc, xb, yb = val.params
    terms = [loop(f"k{n}", x.shape[d]) for n, d in enumerate(xc) if x.shape[d] != 1]
    names = iter(terms)
    term_at = [ZERO if x.shape[d] == 1 else index(next(names).var) for d in xc]
    rows = [d for d in range(len(x.shape)) if d not in xc and d not in xb]
    columns = [d for d in range(len(y.shape)) if d not in yc and d not in yb]
    at_x, at_y = [ZERO] * len(x.shape), [ZERO] * len(y.shape)
    for n, (dx, dy) in enumerate(zip(xb, yb, strict=True)):
        at_x[dx] = at_y[dy] = place[n]
    for n, d in enumerate(rows):
        at_x[d] = place[len(xb) + n]
    for n, d in enumerate(columns):
        at_y[d] = place[len(xb) + len(rows) + n]
    for n, (dx, dy) in enumerate(zip(xc, yc, strict=True)):
        at_x[dx] = at_y[dy] = term_at[n]
    left = cluster.emitter.value(x, tuple(at_x))
    right = cluster.emitter.value(y, tuple(at_y))
    axes = [
        *((LoopRole.BATCH, x.shape[d]) for d in xb),
        *((LoopRole.ROW, x.shape[d]) for d in rows),
        *((LoopRole.COLUMN, y.shape[d]) for d in columns),
    ]
    return left, right, terms, [role for role, extent in axes if extent != 1]


def _conv_operands(cluster: Cluster, val: Val, place: tuple[Index, ...]) -> _Operands:
    """`x[n, g, c, y*stride + p*dilation - lo]`, where that is an element and not between or beside elements."""
    x, w = val.args
    strides, padding, lhs, rhs = val.params
    group, channel = place[1], loop("k0", w.shape[2])
    window = [loop(f"k{1 + n}", e) for n, e in enumerate(w.shape[3:])]
    terms = [t for t in (channel, *window) if t.extent.const != 1]
    at = [place[0], group, index(channel.var)]
    inside: list[Index] = []
    for n, one in enumerate(window):
        i = place[3 + n] * strides[n] + index(one.var) * rhs[n] - padding[n][0]
        extent = x.shape[3 + n]
        if lhs[n] > 1:  # the bounds apply to the quotient, which the verifier sees at the access
            inside.append((i % lhs[n]) * -1)
            i = i // lhs[n]
        inside += [i, index(extent - 1) - i]
        at.append(i)
    left = cluster.emitter.value(x, tuple(at), guard(*inside))
    right = cluster.emitter.value(w, (group, place[2], index(channel.var), *(index(one.var) for one in window)))
    if not isinstance(left, Load):  # what is not plain memory may not be zero outside
        condition = guard(*inside)
        if not condition.always:
            zero = Const(0.0 if val.dtype.is_float else 0, val.dtype)
            left = op("select", FromGuard(condition), cast(left, val.dtype), zero)
    of_right = right.variables

    def role(axis: int) -> LoopRole:
        if axis >= 2:
            return LoopRole.COLUMN if axis == 2 else LoopRole.WINDOW
        return LoopRole.ROW if of_right.isdisjoint(place[axis].variables) else LoopRole.BATCH

    return left, right, terms, [role(axis) for axis, extent in enumerate(val.shape) if extent != 1]


register(
    ["dot", "conv"],
    Lowering(Role.CONTRACTION, Operands.MEMORY, decompose=decompose_contraction, kernel=lower_contraction),
)
