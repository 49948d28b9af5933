"""The pass that rewrites primitives into those that have a lowering, by the rules of `lowering.registry.LOWERINGS`."""

from __future__ import annotations

from ...ir.target import Target
from ..decompositions.common import filled
from ..lowering.registry import LOWERINGS
from ..program import Builder, Program, Val, rebuild


def decompose(program: Program, target: Target) -> Program:
    """Applies the rule of each primitive once, operands first. Values of size 0 become constants."""
    return rebuild(program, _rule)


def _rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """The decomposition of a value, or None to keep it."""
    if val.size == 0:
        return None if val.prim in ("leaf", "const") else filled(b, val, 0)
    rule = LOWERINGS[val.prim].decompose
    return rule(b, val, args) if rule is not None else None
