"""Concatenations of many values: split where a kernel cannot bind all operands, or copied operand by operand."""

from __future__ import annotations

from ...ir.target import Target
from ..program import Builder, Program, Val, rebuild

MANY_PARTS = 8  # number of operands from which copying is faster than selecting


def split_concatenations(program: Program, target: Target) -> Program:
    """Makes concatenations with more operands than a kernel can bind beside the result trees of concatenations."""
    limit = target.max_buffers - 1
    if not any(v.prim == "concat" and len(v.args) > limit for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        return _concat_tree(b, args, val.params[0], limit) if val.prim == "concat" and len(args) > limit else None

    return rebuild(program, rule)


def copy_concatenations(program: Program, target: Target) -> Program:
    """Gives concatenations of at least `MANY_PARTS` operands a kernel that copies the operands one by one.

    Inside of another kernel, each element would be selected by a chain of comparisons, one for each operand.
    """
    if not any(v.prim == "concat" and len(v.args) >= MANY_PARTS for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim != "concat" or len(args) < MANY_PARTS:
            return None
        return b.make("join", args, val.params, val.shape, val.dtype, val.device)

    return rebuild(program, rule)


def _concat_tree(b: Builder, args: tuple[Val, ...], axis: int, limit: int) -> Val:
    """A tree of concatenations, each of at most `limit` operands."""
    while len(args) > 1:
        parts = []
        for start in range(0, len(args), limit):
            group = args[start : start + limit]
            first = group[0]
            extent = sum(a.shape[axis] for a in group)
            shape = (*first.shape[:axis], extent, *first.shape[axis + 1 :])
            parts.append(
                first if len(group) == 1 else b.make("concat", group, (axis,), shape, first.dtype, first.device)
            )
        args = tuple(parts)
    return args[0]
