"""What a primitive is: one definition that holds its shape and dtype rule, derivatives and NumPy meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .node import Aval, Node, Params

Infer = Callable[[tuple[Aval, ...], Params], Aval]
Meaning = Callable[..., Any]  # (*arrays, params) -> array
Vjp = Callable[[Node, tuple[Node, ...], Node], tuple["Node | None", ...]]  # (cotangent, args, result) -> cotangents
Jvp = Callable[[tuple["Node | None", ...], tuple[Node, ...], Node], "Node | None"]  # (tangents, args, result)
Parts = Callable[[tuple[Node, ...], Params], Node]

REGISTRY: dict[str, Primitive] = {}


class Primitive:
    """A primitive operation.

    - `kind`: `elementwise` (operands broadcast as in NumPy), `view` (an index map), `reduce`, `contract`, `scan`,
      `index` (gather, scatter), `sort`, `attention`, `source` (no array operand), `move`. The compiler looks at nothing else
      beside the name and the parameters.
    - `infer(avals, params)`: the result's aval, or a typed error that names the op.
    - `meaning(*arrays, params=params)`: the same in NumPy, the reference of all tests.
    - `vjp(cotangent, args, result)`: a cotangent (or None) for each operand, as graph nodes of that operand's shape
      and dtype. `jvp(tangents, args, result)`: the result's tangent; a None tangent is zero.
    - `parts(args, params)`: the same value in simpler primitives, where derivatives without a rule come from.
    """

    __slots__ = ("differentiable", "infer", "jvp", "kind", "meaning", "name", "parts", "vjp")

    def __init__(
        self, name: str, kind: str, infer: Infer, meaning: Meaning, vjp: Vjp | None = None, jvp: Jvp | None = None,
        parts: Parts | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.kind = kind
        self.infer = infer
        self.meaning = meaning
        self.vjp = vjp
        self.jvp = jvp
        self.parts = parts
        self.differentiable = vjp is not None or parts is not None
        if name in REGISTRY:
            raise ValueError(f"[primitive] {name} is defined twice")
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"
