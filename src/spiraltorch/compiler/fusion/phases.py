"""Horizontal fusion: neighbouring loop nests in launch order become phases of one kernel, which saves launches.

Contract
- The body of a kernel is a sequence of phases; a phase may read what an earlier one stores.
- Independent element-wise nests are fused, for example an optimizer's updates of all parameters. So are small reductions
  or element-wise nests after the nest whose results they read, for example a loss and the mean of its rows.
- Nothing is fused for targets on which each phase is a launch of its own.

Limits
- Only neighbours in launch order are fused, at most `MAX_PHASES`, and only nests of `FUSIBLE_KINDS`.
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

MAX_PHASES = 32
FUSIBLE_KINDS = frozenset((KernelKind.MAP, KernelKind.ROWS, KernelKind.COLUMNS))


class FusedKernel:
    """One kernel of a plan: a loop nest, or several that run as its phases.

    Attributes:
        nests: the lowered loop nests, in the order in which they run.
        params: the values that any nest reads or stores, each once: the buffers of the kernel.
        scalars: slots of the scalar parameters of all nests, each once.
    """

    def __init__(self, first: Lowered) -> None:
        self.nests = [first]
        self.params: list[Val] = list(first.params)
        self.scalars: list[int] = list(first.scalars)

    @property
    def name(self) -> str:
        """The names of the nests, each once."""
        return "+".join(dict.fromkeys(m.kernel.name for m in self.nests))

    def append(self, low: Lowered) -> None:
        """Appends a nest as the last phase."""
        self.nests.append(low)
        known = {v.id for v in self.params}
        self.params += [v for v in low.params if v.id not in known]
        self.scalars += [s for s in low.scalars if s not in self.scalars]

    def accepts(self, low: Lowered, target: Target) -> bool:
        """Whether a nest may become the next phase: it adds no work that would need threads of its own."""
        if len(self.nests) >= MAX_PHASES or low.kind not in FUSIBLE_KINDS or self.nests[-1].kind not in FUSIBLE_KINDS:
            return False
        stored = {v.id for m in self.nests for v in m.stores}
        reads = any(v.id in stored for v in low.params)
        if low.kind is KernelKind.MAP and all(m.kind is KernelKind.MAP for m in self.nests) and not reads:
            return True
        limit = target.parallel_work
        return low.work < limit and (reads or sum(m.work for m in self.nests) < limit)

    def key(self, keys: list[str]) -> str:
        """The key of the kernel, from the keys of its nests and the parameters that they share."""
        if len(keys) == 1:
            return keys[0]
        number = {v.id: n for n, v in enumerate(self.params)}
        shared = [[number[v.id] for v in m.params] + [self.scalars.index(s) for s in m.scalars] for m in self.nests]
        return hashlib.sha256(f"{keys}{shared}".encode()).hexdigest()[:40]

    def scheduled_kernel(self, target: Target) -> Kernel:
        """The scheduled kernel, with the loops of each nest renamed and the buffers of equal values shared."""
        kernels = [_schedule_nest(m, target) for m in self.nests]
        if len(kernels) == 1:
            return kernels[0]
        buffers: dict[int, Buffer] = {}
        parts: list[Stmt] = []
        for n, (low, kernel) in enumerate(zip(self.nests, kernels, strict=True)):
            mapping: dict[Buffer, Buffer] = {}
            for val, buffer in zip(low.params, kernel.params, strict=True):
                new = Buffer(f"p{len(buffers)}", buffer.shape, buffer.dtype, buffer.space)
                mapping[buffer] = buffers.setdefault(val.id, new)
            body = rename_loops(kernel.body, f".{n}") if n else kernel.body  # names of loops are unique in a kernel
            parts.append(_replace_buffers(body, mapping))
        scalars = {s.name: s for kernel in kernels for s in kernel.scalars}
        params = tuple([buffers[v.id] for v in self.params])
        for n, buffer in enumerate(params):
            buffer.name = f"p{n}"
        return Kernel("_".join(self.name.split("+")), params, block(*parts), tuple(scalars.values()))


def fuse_phases(lowered: list[Lowered], target: Target) -> list[FusedKernel]:
    """Fuses neighbouring nests.

    Args:
        lowered: the loop nests in launch order.
        target: facts of the device.

    Returns:
        The kernels in launch order.
    """
    kernels: list[FusedKernel] = []
    for low in lowered:
        if kernels and target.phases_share_launch and kernels[-1].accepts(low, target):
            kernels[-1].append(low)
        else:
            kernels.append(FusedKernel(low))
    return kernels


def _schedule_nest(low: Lowered, target: Target) -> Kernel:
    """Schedules a nest by its choices; if they are invalid, as a tuning store may be, by the rule's own choices."""
    from ..schedules import schedule  # not needed for kernels that a cache has

    try:
        return schedule(low, target)
    except ScheduleError as error:
        if not low.choices.decisions:
            raise
        low.choices = Choices(origin=f"what the tuner's store has for it is refused ({error})")
        return schedule(low, target)


def _replace_buffers(body: Stmt, mapping: dict[Buffer, Buffer]) -> Stmt:
    """The statements with buffers replaced by `mapping`."""
    if not mapping:
        return body

    def on_load(load: Load) -> Value:
        return Load(mapping[load.buffer], load.position, load.guard) if load.buffer in mapping else load

    rewriter = Rewriter(on_load=on_load)

    def visit(s: Stmt) -> Stmt:
        s = rewrite_leaf(s, rewriter)
        if isinstance(s, Store):
            return _replace_store(s, mapping)
        if isinstance(s, Accumulate):
            finish = tuple([_replace_store(f, mapping) for f in s.finish])
            target = mapping.get(s.buffer, s.buffer)
            return Accumulate(target, s.position, s.op, s.value, s.guard, s.axes, s.init, finish)
        return s

    return transform(body, visit)


def _replace_store(s: Store, mapping: dict[Buffer, Buffer]) -> Store:
    """A store to the buffer that replaces its own."""
    return Store(mapping.get(s.buffer, s.buffer), s.position, s.value, s.guard)
