"""Kernels that run as phases of one: an optimizer's updates of all parameters, a loss and the mean of its rows.

A kernel's body is a sequence of phases, and what one phase stores the next may read. So neighbours in launch order are
joined where that saves a launch and costs nothing: independent element-wise kernels, and small reductions or element-wise
kernels after the kernel whose results they read. Where each phase takes a launch of its own, there is nothing to save.
"""

from __future__ import annotations

import hashlib

from ...ir.expr import Buffer, Load, Rewriter, Value
from ...ir.stmt import Accumulate, Kernel, Stmt, Store, block, rewrite_leaf, transform
from ...ir.target import Target
from ...ir.tree import ScheduleError, rename_loops
from ..choices import Choices
from ..lowering.lowered import KernelKind, Lowered
from ..program import Val
from ..schedules import schedule

MAX_PHASES = 32
KINDS = frozenset((KernelKind.MAP, KernelKind.ROWS, KernelKind.COLUMNS))


class Group:
    """Lowered kernels that become one: parameters and scalars of all, each once."""

    def __init__(self, first: Lowered) -> None:
        self.members = [first]
        self.params: list[Val] = list(first.params)
        self.scalars: list[int] = list(first.scalars)

    @property
    def name(self) -> str:
        """The kinds of the phases."""
        return "+".join(dict.fromkeys(m.kernel.name for m in self.members))

    def add(self, low: Lowered) -> None:
        """Appends a phase."""
        self.members.append(low)
        known = {v.id for v in self.params}
        self.params += [v for v in low.params if v.id not in known]
        self.scalars += [s for s in low.scalars if s not in self.scalars]

    def takes(self, low: Lowered, target: Target) -> bool:
        """Whether the kernel may become the next phase."""
        if len(self.members) >= MAX_PHASES or low.kind not in KINDS or self.members[-1].kind not in KINDS:
            return False
        stored = {v.id for m in self.members for v in m.stores}
        reads = any(v.id in stored for v in low.params)
        if low.kind is KernelKind.MAP and all(m.kind is KernelKind.MAP for m in self.members) and not reads:
            return True
        most = target.parallel_work
        return low.work < most and (reads or sum(m.work for m in self.members) < most)

    def key(self, keys: list[str]) -> str:
        """The kernel's key from its phases' keys and from what they share."""
        if len(keys) == 1:
            return keys[0]
        place = {v.id: n for n, v in enumerate(self.params)}
        shared = [[place[v.id] for v in m.params] + [self.scalars.index(s) for s in m.scalars] for m in self.members]
        return hashlib.sha256(f"{keys}{shared}".encode()).hexdigest()[:40]

    def kernel(self, target: Target) -> Kernel:
        """The scheduled kernel."""
        made = [_scheduled(m, target) for m in self.members]
        if len(made) == 1:
            return made[0]
        buffers: dict[int, Buffer] = {}
        parts: list[Stmt] = []
        for n, (low, kernel) in enumerate(zip(self.members, made, strict=True)):
            mapping: dict[Buffer, Buffer] = {}
            for val, buffer in zip(low.params, kernel.params, strict=True):
                own = Buffer(f"p{len(buffers)}", buffer.shape, buffer.dtype, buffer.space)
                mapping[buffer] = buffers.setdefault(val.id, own)
            body = rename_loops(kernel.body, f".{n}") if n else kernel.body  # names of loops are unique in a kernel
            parts.append(_redirected(body, mapping))
        scalars = {s.name: s for kernel in made for s in kernel.scalars}
        params = tuple([buffers[v.id] for v in self.params])
        for n, buffer in enumerate(params):
            buffer.name = f"p{n}"
        return Kernel("_".join(self.name.split("+")), params, block(*parts), tuple(scalars.values()))


def group(lowered: list[Lowered], target: Target) -> list[Group]:
    """The kernels in launch order, neighbours joined."""
    groups: list[Group] = []
    for low in lowered:
        if groups and target.phases_share_launch and groups[-1].takes(low, target):
            groups[-1].add(low)
        else:
            groups.append(Group(low))
    return groups


def _scheduled(low: Lowered, target: Target) -> Kernel:
    """As decided; decisions that are refused, as somebody may have written them into the store, are forgotten."""
    try:
        return schedule(low, target)
    except ScheduleError as error:
        if not low.choices.decisions:
            raise
        low.choices = Choices(origin=f"what the tuner's store has for it is refused ({error})")
        return schedule(low, target)


def _redirected(body: Stmt, mapping: dict[Buffer, Buffer]) -> Stmt:
    """The statements with buffers replaced by those that hold the same value."""
    if not mapping:
        return body

    def on_load(load: Load) -> Value:
        return Load(mapping[load.buffer], load.position, load.guard) if load.buffer in mapping else load

    rewriter = Rewriter(on_load=on_load)

    def visit(s: Stmt) -> Stmt:
        s = rewrite_leaf(s, rewriter)
        if isinstance(s, Store):
            return _store(s, mapping)
        if isinstance(s, Accumulate):
            finish = tuple([_store(f, mapping) for f in s.finish])
            target = mapping.get(s.buffer, s.buffer)
            return Accumulate(target, s.position, s.op, s.value, s.guard, s.axes, s.init, finish)
        return s

    return transform(body, visit)


def _store(s: Store, mapping: dict[Buffer, Buffer]) -> Store:
    return Store(mapping.get(s.buffer, s.buffer), s.position, s.value, s.guard)
