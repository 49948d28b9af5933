"""The registry of lowerings: for each primitive of a program, how it is fused, decomposed and compiled.

`LOWERINGS` has an entry for each primitive of a program. An entry holds the primitive's role in fusion, where its operands must be,
and the functions that decompose it, map positions, emit an element, or write the loop nest of a kernel. Passes, fusion
and lowering depend on the entry alone, so a primitive is added by one entry in one module of this package. A primitive
of the graph without an entry is replaced by its decomposition (`graph.primitive.Primitive.decompose`). Element-wise
primitives without a decomposition get their entries in `elementwise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

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
    """The role of a primitive in fusion."""

    INLINE = "inline"  # computed by each reader, at the position that is read
    REDUCTION = "reduction"  # starts a kernel over its operand's axes, which values with these axes may join
    CONTRACTION = "contraction"  # starts a kernel, which element-wise values of its shape may join as an epilogue
    STANDALONE = "standalone"  # starts a kernel, which no other value joins


class Operands(Enum):
    """Where the operands of a primitive must be. Views and casts of values in memory count as in memory."""

    INLINE = "inline"  # computed inline
    CHEAP = "cheap"  # computed inline if that takes one or two operations, else in memory
    TABLE = "table"  # the first operand is in memory if computing it for each index would repeat work
    MEMORY = "memory"  # in memory


class Lowering(NamedTuple):
    """How the compiler treats a primitive.

    Attributes:
        role: its role in fusion.
        operands: where its operands must be.
        decompose: a rewrite into other primitives of the program, applied bottom-up by the pass `decompose`.
        index_map: for views, the position in the operand of the element at a position.
        element: for inline primitives that are neither views nor element-wise, emits the element at a position.
        repositions: whether an inline primitive reads its operand at another position, so that a value is computed once
            for each chain of such primitives through which it is read.
        kernel: writes the unscheduled kernel of a cluster that the primitive starts; None for element-wise kernels.
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
    """Registers a lowering for the primitives that share it.

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
    """Whether the value is never computed inline: leaves, values that start a kernel, and their results."""
    return val.prim in ("leaf", "result") or starts_kernel(val)


def decomposed_on(target: Target) -> frozenset[str]:
    """Names of the primitives that are compiled as their decomposition, as no lowering suits the target."""
    return frozenset(
        name
        for name, prim in REGISTRY.items()
        if prim.decompose is not None
        and ((own := LOWERINGS.get(name)) is None or (own.supported is not None and not own.supported(target)))
    )
