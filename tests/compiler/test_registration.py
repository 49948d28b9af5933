"""Which primitives enter `LOWERINGS` by themselves."""

from __future__ import annotations

import importlib

import pytest

from spiraltorch.compiler.lowering import elementwise, registry
from spiraltorch.graph import build as b
from spiraltorch.graph.primitive import REGISTRY, Primitive


def test_element_wise_primitives_are_operations_of_the_kernel_ir_unless_they_have_a_decomposition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that has a decomposition must have no entry: it would be taken for an operation, and never be decomposed."""
    with monkeypatch.context() as patch:
        patch.setattr(registry, "LOWERINGS", {})
        Primitive(
            "square_and_negative", "elementwise", lambda avals, params: avals * 2, lambda x, params: (x * x, -x),
            decompose=lambda args, params: (b.mul(args[0], args[0]), b.neg(args[0])),
        )  # fmt: skip
        try:
            importlib.reload(elementwise)
            assert "square_and_negative" not in registry.LOWERINGS
            assert {"add", "exp", "maximum", "mulhi"} <= registry.LOWERINGS.keys()
        finally:
            del REGISTRY["square_and_negative"]
