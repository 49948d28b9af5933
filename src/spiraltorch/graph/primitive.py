"""Primitives: one definition holds the shape and dtype rule, derivatives, the NumPy reference and the decomposition.

Arrays and cotangents have the type `Any` here, because a rule takes one of them or a tuple, by the number of results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .node import Aval, Node, Params

Infer = Callable[[tuple[Aval, ...], Params], "Aval | tuple[Aval, ...]"]
Reference = Callable[..., Any]  # (*arrays, params) -> an array, or a tuple of them
Vjp = Callable[[Any, tuple[Node, ...], Node], tuple["Node | None", ...]]  # (cotangent, args, node) -> cotangents
Jvp = Callable[[tuple["Node | None", ...], tuple[Node, ...], Node], Any]  # (tangents, args, node) -> tangent
Decomposition = Callable[[tuple[Node, ...], Params], "Node | tuple[Node, ...]"]

REGISTRY: dict[str, Primitive] = {}


class Primitive:
    """A primitive operation, with one result or several.

    A primitive has several results where `infer` gives a tuple of types. Then its NumPy reference gives a tuple of
    arrays, `vjp` takes a tuple with a cotangent or None for each result, `jvp` gives such a tuple of tangents, and
    `decompose` gives a tuple of nodes. The `node` that derivatives are given is the node of the result, or the call,
    whose results `graph.results.results_of` gives. Calls are recorded with `graph.results.apply_multiple`.

    Attributes:
        name: its name, unique.
        kind: `elementwise` (operands broadcast as in NumPy; without `decompose` it is one operation of the kernel IR),
            `view` (an index map), `reduce`, `contract`, `scan`, `index` (gather, scatter), `sort`, `attention`, `source`
            (no array operand), `move`, `result`.
        infer: from the operands' types and the parameters to the type of the result, or of all results. Raises a typed
            error that names the operation.
        reference: `reference(*arrays, params=params)`, the same in NumPy: what every test compares with.
        vjp: `vjp(cotangent, args, node)`, a cotangent or None for each operand, of that operand's shape and dtype.
        jvp: `jvp(tangents, args, node)`, the tangent of the result, of its shape; None is zero.
        decompose: `decompose(args, params)`, the same in other primitives. Derivatives without a rule are those of the
            decomposition, and the compiler uses it for primitives without a lowering.
    """

    __slots__ = ("decompose", "differentiable", "infer", "jvp", "kind", "name", "reference", "vjp")

    def __init__(
        self, name: str, kind: str, infer: Infer, reference: Reference, vjp: Vjp | None = None, jvp: Jvp | None = None,
        decompose: Decomposition | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.kind = kind
        self.infer = infer
        self.reference = reference
        self.vjp = vjp
        self.jvp = jvp
        self.decompose = decompose
        self.differentiable = vjp is not None or decompose is not None
        if name in REGISTRY:
            raise ValueError(f"[primitive] {name} is defined twice")
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"
