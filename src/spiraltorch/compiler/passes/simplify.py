"""Algebraic simplification: rewrites to cheaper values that are equal for every input, including inf, NaN and -0.0."""

from __future__ import annotations

from ...dtypes import DType
from ...ir.target import Target
from ..program import Builder, Program, Val, rebuild


def simplify(program: Program, target: Target) -> Program:
    """Applies the rule of each primitive once, operands first. Barriers remain: recomputed segments are not merged."""
    return rebuild(program, _rule)


def drop_barriers(program: Program, target: Target) -> Program:
    """Removes barriers without merging equal values, so that recomputed segments remain separate."""
    if not any(v.prim == "barrier" for v in program.vals):
        return program
    new: dict[int, Val] = {}
    kept = []
    for val in program.vals:
        args = tuple([new[a.id] for a in val.args])
        if val.prim == "barrier":
            new[val.id] = args[0]
            continue
        new[val.id] = Val(val.id, val.prim, args, val.params, val.shape, val.dtype, val.device, val.slot)
        kept.append(new[val.id])
    return Program(kept, [new[o.id] for o in program.outputs], program.checks)


def _constant(val: Val) -> object:
    """The number that all elements of a value equal if it is a broadcast constant, else None."""
    while val.prim in ("expand", "reshape", "permute"):
        val = val.args[0]
    return val.params[0] if val.prim == "const" else None


def _is_number(val: Val, number: float) -> bool:
    """Whether a value is a broadcast constant that equals a number."""
    value = _constant(val)
    return value is not None and not isinstance(value, bool) and value == number


def _rule(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """The simplification of a value, or None to keep it."""
    rule = _RULES.get(val.prim)
    return rule(b, val, args) if rule else None


def _broadcast_to(b: Builder, val: Val, x: Val) -> Val:
    """`x` broadcast to the shape of `val`."""
    return b.expand(x, val.shape)


def _mul(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """x * 1 is x, and x * -1 of floats is -x."""
    x, y = args
    if _is_number(y, 1):
        return _broadcast_to(b, val, x)
    if _is_number(x, 1):
        return _broadcast_to(b, val, y)
    if val.dtype.is_float and _is_number(y, -1):
        return _broadcast_to(b, val, b.make("neg", (x,), (), x.shape, x.dtype, x.device))
    return None


def _div(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """x / 1 is x."""
    return _broadcast_to(b, val, args[0]) if _is_number(args[1], 1) else None


def _add(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """x + 0 of integers is x; of floats it would lose -0.0."""
    x, y = args
    if val.dtype.is_integer:
        if _is_number(y, 0):
            return _broadcast_to(b, val, x)
        if _is_number(x, 0):
            return _broadcast_to(b, val, y)
    return None


def _sub(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """x - 0 is x."""
    return _broadcast_to(b, val, args[0]) if _is_number(args[1], 0) else None


def _neg(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """-(-x) is x."""
    return args[0].args[0] if args[0].prim == "neg" else None


def _pow(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """x ** 1 is x, and x ** 2 is x * x."""
    x, y = args
    if _is_number(y, 1):
        return _broadcast_to(b, val, x)
    if _is_number(y, 2):
        x = _broadcast_to(b, val, x)
        return b.make("mul", (x, x), (), val.shape, val.dtype, val.device)
    return None


def _cast(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A cast of a constant is a constant; a cast back after an exact cast is dropped."""
    (x,) = args
    if x.dtype is val.dtype:
        return x
    if x.prim == "const":
        return _cast_const(b, x, val.dtype)
    if x.prim == "cast" and _widens(x.args[0].dtype, x.dtype) and x.args[0].dtype is val.dtype:
        return x.args[0]
    return None


def _cast_const(b: Builder, x: Val, dtype: DType) -> Val | None:
    """A constant in another dtype where that is exact, else None."""
    value = x.params[0]
    if dtype.is_bool:
        return b.const(bool(value), dtype, x.device)
    if dtype.is_float and isinstance(value, (int, bool)):
        return b.const(float(value), dtype, x.device) if abs(int(value)) <= 256 else None
    return None


def _widens(small: DType, large: DType) -> bool:
    """Whether a cast from `small` to `large` is exact for every value."""
    if small.is_float:
        return large.is_float and large.itemsize > small.itemsize
    if large.is_float:
        return small.itemsize * 2 <= large.itemsize and large.itemsize >= 4
    if small.kind == large.kind:
        return large.itemsize >= small.itemsize
    return small.is_bool or (small.kind == "u" and large.itemsize > small.itemsize)


def _stop_gradient(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """The operand: gradients are graphs already."""
    return args[0]


def _reshape(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A reshape of a reshape is one."""
    return b.reshape(args[0], val.shape)


def _permute(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A permutation of a permutation is one."""
    return b.permute(args[0], val.params[0])


def _expand(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A broadcast of a broadcast is one."""
    (x,) = args
    if x.shape == val.shape:
        return x
    return b.expand(x.args[0], val.shape) if x.prim == "expand" else None


def _slice(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """A slice of everything is its operand."""
    return args[0] if args[0].shape == val.shape else None


def _pad(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Padding by nothing is its operand."""
    return args[0] if args[0].shape == val.shape else None


def _concat(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Drops empty operands."""
    kept = tuple([a for a in args if a.shape[val.params[0]]])
    if len(kept) == len(args):
        return None
    return kept[0] if len(kept) == 1 else b.with_operands(val, kept) if kept else None


def _reduce(b: Builder, val: Val, args: tuple[Val, ...]) -> Val | None:
    """Drops reduced axes of extent 1 by a reshape; a reduction over only such axes becomes a view."""
    (x,) = args
    axes = val.params[0]
    real = tuple([a for a in axes if x.shape[a] != 1])
    if len(real) == len(axes):
        return None
    squeezed = tuple([e for d, e in enumerate(x.shape) if d not in axes or e != 1])
    gone = [d for d in axes if x.shape[d] == 1]
    moved = tuple([a - sum(1 for g in gone if g < a) for a in real])
    return b.reduce(val.prim, b.reshape(x, squeezed), moved)


_RULES = {
    "mul": _mul, "div": _div, "add": _add, "sub": _sub, "neg": _neg, "pow": _pow, "cast": _cast,
    "stop_gradient": _stop_gradient, "reshape": _reshape, "permute": _permute, "expand": _expand, "slice": _slice,
    "pad": _pad, "concat": _concat, "reduce_sum": _reduce, "reduce_prod": _reduce, "reduce_max": _reduce, "reduce_min": _reduce,
}  # fmt: skip
