"""Joins of many values: in steps where a kernel cannot bind them all, and copied part by part."""

from __future__ import annotations

from ...ir.target import Target
from ..program import Builder, Program, Val, rebuild

MANY_PARTS = 8


def join_in_steps(program: Program, target: Target) -> Program:
    """Joins of more values than a kernel can bind beside the result become joins of joins."""
    most = target.max_buffers - 1
    if not any(v.prim == "concat" and len(v.args) > most for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        return _joined(b, args, val.params[0], most) if val.prim == "concat" and len(args) > most else None

    return rebuild(program, rule)


def copy_joins(program: Program, target: Target) -> Program:
    """A join of many is copied part by part: inside another kernel each element would ask which part it is in."""
    if not any(v.prim == "concat" and len(v.args) >= MANY_PARTS for v in program.vals):
        return program

    def rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
        if val.prim != "concat" or len(args) < MANY_PARTS:
            return None
        return b.make("join", args, val.params, val.shape, val.dtype, val.device)

    return rebuild(program, rule)


def _joined(b: Builder, args: tuple[Val, ...], axis: int, most: int) -> Val:
    while len(args) > 1:
        parts = []
        for start in range(0, len(args), most):
            group = args[start : start + most]
            first = group[0]
            extent = sum(a.shape[axis] for a in group)
            shape = (*first.shape[:axis], extent, *first.shape[axis + 1 :])
            parts.append(
                first if len(group) == 1 else b.make("concat", group, (axis,), shape, first.dtype, first.device)
            )
        args = tuple(parts)
    return args[0]
