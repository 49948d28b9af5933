"""Recording: the few functions that make nodes from handles. They are the hot path of uncompiled programs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType, bool_, default_float, int64, promote, scalar_dtype
from ..errors import DTypeError
from ..graph import build, node
from ..graph import primitives as _primitives  # noqa: F401  # defines them
from ..graph.node import _SPECS, GRAD_MODE, Aval, Node, Spec, spec_of
from ..graph.primitive import REGISTRY, Primitive
from .tracing.tracer import TRACING, record_read

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from .tensor import Tensor

P = REGISTRY
new_tensor: Any = None  # the Tensor class, set by its module
Handle: type[Tensor] = ()  # type: ignore[assignment]  # likewise
_number = build.number


def see(x: Tensor) -> Node:
    """The node of a handle that an operation reads."""
    if TRACING.recorder is not None:
        record_read(x)
    return x.node


def nary(prim: Primitive, nodes: tuple[Node, ...], params: tuple[Any, ...] = ()) -> Tensor:
    """A handle on `prim` of nodes that fit."""
    return new_tensor(node.apply(prim, nodes, params))  # type: ignore[no-any-return]


def unary(prim: Primitive, x: Tensor) -> Tensor:
    """An element-wise operation on one handle."""
    if TRACING.recorder is not None:
        record_read(x)
    a = x.node
    spec = _SPECS.get((prim, (a.aval,), ()))
    if spec is None:
        spec = spec_of(prim, (a.aval,), ())
    return new_tensor(Node(spec, (a,), None, a.rg and prim.differentiable and GRAD_MODE.on))  # type: ignore[no-any-return]


def float_unary(prim: Primitive, x: ArrayLike) -> Tensor:
    """As `unary`; integers and booleans are taken as the default floating dtype."""
    x = handle(x)
    if not x.node.aval.dtype.is_float:
        x = nary(P["cast"], (see(x),), (default_float,))
    return unary(prim, x)


def handle(x: ArrayLike, like: Tensor | None = None) -> Tensor:
    """A handle from a handle, a number or an array."""
    if isinstance(x, Handle):
        return x
    from .creation import asarray

    return asarray(x, device=None if like is None else like.node.aval.device)


def handles(*xs: ArrayLike) -> list[Tensor]:
    """Handles from tensors and what stands beside them: numbers and arrays go to the device of the first tensor."""
    like = first_handle(xs)
    return [handle(x, like) for x in xs]


def first_handle(xs: Iterable[object]) -> Tensor | None:
    """The first tensor among operands, which says where the numbers and arrays beside it go; None without one."""
    return next((x for x in xs if isinstance(x, Handle)), None)


def operator(prim: Primitive, slow: Any, swap: bool = False) -> Any:
    """An operator method: a straight function for tensors of one dtype and for numbers beside floats.

    Specs are remembered by the operands' avals. All else (promotion, integers beside numbers, NumPy arrays, errors)
    is the work of `slow`. `swap` puts the other operand first, for reflected operators and for > and >=.
    """
    specs: dict[tuple[Aval, Aval], Spec] = {}
    find = specs.get
    gradable = prim.differentiable

    def call(x: Any, y: Any) -> Any:
        if TRACING.recorder is not None:
            record_read(x)
        a = x.node
        kind = type(y)
        if kind is Handle:
            if TRACING.recorder is not None:
                record_read(y)
            b = y.node
        elif (kind is float or kind is int) and a.aval.dtype.kind == "f":
            b = weak(y, a.aval)
        else:
            return slow(x, y)
        spec = find((b.aval, a.aval) if swap else (a.aval, b.aval))
        if spec is None:
            made = slow(x, y)
            key = (b.aval, a.aval) if swap else (a.aval, b.aval)
            if made.node.spec.prim is prim and tuple([n.aval for n in made.node.args]) == key:
                specs[key] = made.node.spec
            return made
        return new_tensor(Node(spec, (b, a) if swap else (a, b), None, gradable and (a.rg or b.rg) and GRAD_MODE.on))

    return call


_WEAK: dict[Aval, tuple[Spec, dict[float, Node]]] = {}


def weak(value: float, aval: Aval) -> Node:
    """A Python number beside a floating operand: `build.number`, with what it needs remembered by aval."""
    known = _WEAK.get(aval)
    if known is None:
        constants = {v: build.const(v, aval.dtype, aval.device) for v in (1.0, -1.0, 2.0, 0.5)}
        known = _WEAK[aval] = (build.scalar(3.0, aval.dtype, aval.device).spec, constants)
    constant = known[1].get(value)
    if constant is not None:
        if constant.buf is not None:  # it was asked for by itself and is a leaf now: see build.const
            constant = known[1][value] = build.const(value, aval.dtype, aval.device)
        return constant
    if value == 0 or value - value != 0:  # zeros of both signs, infinities and NaN
        return _number(float(value), aval.dtype, aval.device)
    return Node(known[0], (), float(value))


COMPARISONS = ("eq", "ne", "lt", "le")


def _beside(prim: Primitive, y: Any, a: Node) -> tuple[Node, Node]:
    """An operand and a number, both in the dtype of the operation."""
    dtype = a.aval.dtype
    wide = scalar_dtype(y, dtype)
    if prim.name in COMPARISONS and wide.is_integer and not _fits(int(y), wide):
        wide = int64  # 300 and -1 have a place beside uint8
    if wide is not dtype:
        a = build.cast(a, wide)
    return a, _number(fit(y, wide), wide, a.aval.device)


def binary(prim: Primitive, x: Tensor, y: object) -> Any:
    """An operation of a handle with a handle, a number or an array; NotImplemented for anything else."""
    a = see(x)
    if isinstance(y, Handle):
        b = see(y)
        if a.aval.dtype is not b.aval.dtype:
            dtype = promote(a.aval.dtype, b.aval.dtype)
            a, b = build.cast(a, dtype), build.cast(b, dtype)
    elif isinstance(y, (bool, int, float)):
        a, b = _beside(prim, y, a)
    else:
        y = foreign(y, x)
        return NotImplemented if y is None else binary(prim, x, y)
    return nary(prim, (a, b))


def reflected(prim: Primitive, x: Tensor, y: object) -> Any:
    """`y op x`, for a number or an array `y`."""
    if isinstance(y, (bool, int, float)):
        a, b = _beside(prim, y, see(x))
        return nary(prim, (b, a))
    other = foreign(y, x)
    return NotImplemented if other is None else binary(prim, other, x)


def foreign(y: object, like: Tensor) -> Tensor | None:
    """A number or NumPy array beside a handle, as a handle; None for anything else."""
    if isinstance(y, (bool, int, float)):
        dtype = scalar_dtype(y, like.node.aval.dtype)
        return new_tensor(_number(fit(y, dtype), dtype, like.node.aval.device))  # type: ignore[no-any-return]
    if isinstance(y, (np.ndarray, np.generic)):
        return handle(y, like)
    return None


def fit(value: Any, dtype: DType) -> Any:
    """A Python number as a value of the dtype. Raises `DTypeError` where an integer does not fit."""
    if not hasattr(value, "__float__"):
        raise DTypeError(f"[scalar] expected a number, got {value!r}; convert it with float() or int() first")
    if dtype.is_float:
        return float(value)
    if dtype.is_bool:
        return bool(value)
    if not math.isfinite(value):
        raise DTypeError(f"[scalar] expected a number that {dtype.name} can hold, got {value}; cast the tensor first")
    value = int(value)
    if not _fits(value, dtype):
        low, high = _limits(dtype)
        raise DTypeError(
            f"[scalar] expected a number that {dtype.name} can hold ({low} to {high}), got {value}; cast the tensor first"
        )
    return value


def _limits(dtype: DType) -> tuple[int, int]:
    return (-(1 << (dtype.bits - 1)) if dtype.kind == "i" else 0), (1 << (dtype.bits - (dtype.kind == "i"))) - 1


def _fits(value: int, dtype: DType) -> bool:
    low, high = _limits(dtype)
    return low <= value <= high


def true_divide(x: Tensor, y: object) -> Any:
    """`x / y`, in floating point."""
    if not x.node.aval.dtype.is_float and not (isinstance(y, Handle) and y.node.aval.dtype.is_float):
        x = nary(P["cast"], (see(x),), (default_float,))
        if isinstance(y, Handle):
            y = nary(P["cast"], (see(y),), (default_float,))
    return binary(P["div"], x, y)


def common(*xs: ArrayLike, like: Tensor | None = None) -> tuple[list[Node], DType]:
    """Nodes of handles and numbers in their common dtype; numbers are weak. Without a handle, `like` says where."""
    found = [x for x in xs if isinstance(x, Handle)]
    if not found:
        found = [handle(xs[0], like)]
        xs = (found[0], *xs[1:])
    dtype = found[0].node.aval.dtype
    for h in found[1:]:
        dtype = promote(dtype, h.node.aval.dtype)
    others = [foreign_or_handle(x, found[0]) if not isinstance(x, Handle) else x for x in xs]
    for x, o in zip(xs, others, strict=True):
        if isinstance(x, (bool, int, float)):
            dtype = scalar_dtype(x, dtype)
        elif not isinstance(x, Handle):
            dtype = promote(dtype, o.node.aval.dtype)
    device = found[0].node.aval.device
    nodes = []
    for x, o in zip(xs, others, strict=True):
        if isinstance(x, (bool, int, float)):
            nodes.append(_number(fit(x, dtype), dtype, device))
        else:
            nodes.append(build.cast(see(o), dtype))
    return nodes, dtype


def foreign_or_handle(x: ArrayLike, like: Tensor) -> Any:
    """A handle from a number, an array or a nested list."""
    if isinstance(x, (bool, int, float)):
        return x
    return handle(x, like)


def condition(x: ArrayLike, like: Tensor | None = None) -> Node:
    """The node of a boolean operand: other dtypes are compared with zero."""
    if isinstance(x, (bool, int, float)):
        x = bool(x)
    x = handle(x, like)
    n = see(x)
    if n.aval.dtype is bool_:
        return n
    return build.ne(n, _number(0, n.aval.dtype, n.aval.device))
