"""The one place where a primitive says how the compiler makes kernels of it.

`LOWERINGS` has an entry for each primitive of a compiler program. An entry says which part the primitive plays when
values are grouped into kernels, how its operands must lie, and the functions that do the work: rewriting it for the
target, giving its element at a position, or writing the loop nest of a kernel. The passes, fusion and lowering ask the
entry and nothing else, so a primitive is added by one entry in one module of this package. A primitive of the graph
without an entry is replaced by its decomposition into other primitives (`graph.primitive.Primitive.decompose`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ...graph.primitive import REGISTRY
from ...ir.target import Target
from ..program import Builder, Val

if TYPE_CHECKING:
    from ...ir.expr import Value
    from ...ir.guard import Guard
    from .cluster import Cluster
    from .emitter import Emitter, Position
    from .lowered import Lowered

Rewrite = Callable[[Builder, Val, tuple[Val, ...]], "Val | None"]  # (builder, value, new operands); None keeps it
ElementRule = Callable[["Emitter", Val, "Position", "Guard"], "Value"]
IndexMap = Callable[[Val, "Position"], "Position"]
KernelRule = Callable[["Cluster", set[int], Target], "Lowered"]


class Role(Enum):
    """The part of a primitive when values are grouped into kernels."""

    INLINE = "inline"  # computed by whoever reads it, at the position that is read
    REDUCTION = "reduction"  # starts a kernel over its operand's axes that others of the same axes may join
    CONTRACTION = "contraction"  # starts a kernel that element-wise values of the result's shape may join
    STANDALONE = "standalone"  # a kernel of its own


class Operands(Enum):
    """How the operands of a primitive must lie. Views and casts of values in memory count as in memory."""

    INLINE = "inline"  # computed on the way
    CHEAP = "cheap"  # computed on the way where that is one or two operations, else in memory
    TABLE = "table"  # the first operand is in memory if computing it for each index would repeat work
    MEMORY = "memory"  # in memory


@dataclass(frozen=True, slots=True)
class Lowering:
    """How the compiler treats a primitive.

    Attributes:
        role: the part that it plays in fusion.
        operands: how its operands must lie.
        decompose: a rewrite into other primitives of the program, applied bottom-up by the pass `decompose`.
        index_map: for views, the position in the operand of the element at a position.
        element: for inline primitives that are neither views nor element-wise, the element at a position.
        repositions: an inline primitive that reads its operand at another position, so that a value behind it is
            computed once for each path of such reads.
        kernel: writes the unscheduled kernel of a cluster that the primitive starts.
        supported: whether the target runs the kernel well; where not, the graph's decomposition is compiled instead.
    """

    role: Role = Role.INLINE
    operands: Operands = Operands.INLINE
    decompose: Rewrite | None = None
    index_map: IndexMap | None = None
    element: ElementRule | None = None
    repositions: bool = False
    kernel: KernelRule | None = None
    supported: Callable[[Target], bool] | None = None


LOWERINGS: dict[str, Lowering] = {}


def register(names: Iterable[str], lowering: Lowering) -> None:
    """Enters a lowering under the names of the primitives that share it.

    Raises:
        ValueError: a name has an entry already.
    """
    for name in names:
        if name in LOWERINGS:
            raise ValueError(f"[lowering] expected one entry for {name}, got a second")
        LOWERINGS[name] = lowering


def starts_kernel(val: Val) -> bool:
    """Whether the value's primitive starts a kernel, so that its result is computed once and never inline."""
    return LOWERINGS[val.prim].role is not Role.INLINE


def is_reduction(val: Val) -> bool:
    """Whether the value is a reduction over some axes of its operand."""
    return LOWERINGS[val.prim].role is Role.REDUCTION


def is_contraction(val: Val) -> bool:
    """Whether the value is a sum of products: a product of matrices or a convolution."""
    return LOWERINGS[val.prim].role is Role.CONTRACTION


def is_view(val: Val) -> bool:
    """Whether the value only rearranges its operand's elements."""
    return LOWERINGS[val.prim].index_map is not None


def in_memory(val: Val) -> bool:
    """Whether the value is never computed inline: what is given, and what starts a kernel, with its results."""
    return val.prim in ("leaf", "result") or starts_kernel(val)


def decomposed_on(target: Target) -> frozenset[str]:
    """Primitives of the graph that are compiled as their decomposition: those without a kernel that suits the target."""
    return frozenset(
        name
        for name, prim in REGISTRY.items()
        if prim.decompose is not None
        and ((one := LOWERINGS.get(name)) is None or (one.supported is not None and not one.supported(target)))
    )
