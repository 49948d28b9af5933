"""Dispatch: from tensors, numbers and arrays to recorded nodes. The hot path of uncompiled programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..dtypes import DType, bool_, default_float, int64, promote, scalar_dtype
from ..errors import ArgumentError, DTypeError
from ..graph import build, node
from ..graph import primitives as _primitives  # noqa: F401  # defines them
from ..graph.node import _SPECS, GRAD_MODE, Aval, Node, Spec, Table, spec_of
from ..graph.primitive import REGISTRY, Primitive
from ..typing import ArrayLike, Shape
from .aliasing import make_view, path_between
from .arguments import number_of
from .creation import asarray
from .tensor import Tensor
from .tracing.tracer import TRACING, record_read
from .tracing.tracer import node_of as node_of

P = REGISTRY
SPEC_LIMIT = 2048  # combinations of types that each operator remembers
_number = build.number


def view_of(base: Tensor, node: Node, strides: Shape | None = None) -> Tensor:
    """A view of a tensor: `node` is made by view primitives from the tensor's node, or is that node.

    `strides` are those of the view, where the primitives do not say them.
    """
    return make_view(Tensor(node), base, path_between(base.node, node), strides)


def nary(prim: Primitive, nodes: tuple[Node, ...], params: tuple[Any, ...] = ()) -> Tensor:
    """A tensor of `prim` applied to nodes that fit."""
    return Tensor(node.apply(prim, nodes, params))


def unary(prim: Primitive, x: Tensor) -> Tensor:
    """An element-wise operation on one tensor."""
    if TRACING.recorder is not None:
        record_read(x)
    try:
        a = x._node
    except AttributeError:
        a = x.node
    spec = _SPECS.get((prim, (a.aval,), ()))
    if spec is None:
        spec = spec_of(prim, (a.aval,), ())
    return Tensor(Node(spec, (a,), None, a.rg and prim.differentiable and GRAD_MODE.on))


def float_unary(prim: Primitive, x: ArrayLike) -> Tensor:
    """As `unary`; integers and booleans are cast to the default floating dtype."""
    tensor: Tensor = as_tensor(x)
    if not tensor.node.aval.dtype.is_float:
        tensor = nary(P["cast"], (node_of(tensor),), (default_float,))
    return unary(prim, tensor)


def as_tensor(x: ArrayLike, like: Tensor | None = None) -> Tensor:
    """A tensor from a tensor, a number or an array; the last two go to the device of `like`."""
    if isinstance(x, Tensor):
        return x
    return asarray(x, device=None if like is None else like.node.aval.device)


def unshared(x: Tensor) -> Tensor:
    """A tensor of the same value that shares no elements with x: the result of a function that has nothing to do."""
    n = node_of(x)
    return Tensor(build.barrier(n) if n.rg else n)


def as_tensors(*xs: ArrayLike) -> list[Tensor]:
    """Tensors from operands: numbers and arrays go to the device of the first tensor."""
    like = first_tensor(xs)
    return [as_tensor(x, like) for x in xs]


def first_tensor(xs: Iterable[object]) -> Tensor | None:
    """The first tensor among operands, which says where numbers and arrays beside it go; None without one."""
    return next((x for x in xs if isinstance(x, Tensor)), None)


def operator(prim: Primitive, general: Callable[[Tensor, Any], Any], swap: bool = False) -> Callable[..., Any]:
    """A method for an operator: a short path for tensors of one dtype, and for Python numbers beside floats.

    Everything else (promotion, integers beside numbers, NumPy arrays, errors) is left to `general`.

    Args:
        prim: the element-wise primitive that is recorded.
        general: computes the result of any operands, or NotImplemented.
        swap: whether the second operand comes first, for reflected operators and for > and >=.

    Returns:
        A function of two operands, the first of which is a tensor.
    """
    specs: Table[tuple[Aval, Aval], Spec] = Table(SPEC_LIMIT)  # by the operands' avals
    find = specs.get
    gradable = prim.differentiable

    def call(x: Tensor, y: Any) -> Any:
        kind = type(y)
        if TRACING.recorder is not None:
            record_read(x)
            if kind is Tensor:
                record_read(y)
        try:
            a = x._node
        except AttributeError:
            a = x.node
        if kind is Tensor:
            try:
                b = y._node
            except AttributeError:
                b = y.node
        elif (kind is float or kind is int) and a.aval.dtype.kind == "f":
            b = weak_scalar(y, a.aval)
        else:
            return general(x, y)
        spec = find((b.aval, a.aval) if swap else (a.aval, b.aval))
        if spec is None:
            result = general(x, y)
            key = (b.aval, a.aval) if swap else (a.aval, b.aval)
            if result.node.spec.prim is prim and tuple([n.aval for n in result.node.args]) == key:
                specs.remember(key, result.node.spec)
            return result
        return Tensor(Node(spec, (b, a) if swap else (a, b), None, gradable and (a.rg or b.rg) and GRAD_MODE.on))

    return call


_WEAK: Table[Aval, tuple[Spec, dict[float, Node]]] = Table(SPEC_LIMIT)


def weak_scalar(value: float, aval: Aval) -> Node:
    """A Python number beside a floating operand: `build.number`, with spec and common constants kept by aval."""
    known = _WEAK.get(aval)
    if known is None:
        constants = {v: build.const(v, aval.dtype, aval.device) for v in (1.0, -1.0, 2.0, 0.5)}
        known = _WEAK.remember(aval, (build.scalar(3.0, aval.dtype, aval.device).spec, constants))
    constant = known[1].get(value)
    if constant is not None:
        if constant.buf is not None:  # evaluated by itself, so it is a leaf now: see build.const
            constant = known[1][value] = build.const(value, aval.dtype, aval.device)
        return constant
    if value == 0 or value - value != 0:  # zeros of both signs, infinities and NaN
        return _number(float(value), aval.dtype, aval.device)
    return Node(known[0], (), float(value))


COMPARISONS = ("eq", "ne", "lt", "le")


def _with_number(prim: Primitive, y: float, a: Node) -> tuple[Node, Node]:
    """An operand and a number, both in the dtype of the operation."""
    dtype = a.aval.dtype
    wide = scalar_dtype(y, dtype)
    if prim.name in COMPARISONS and wide.is_integer and not _fits(int(y), wide):
        wide = int64  # so that 300 and -1 can be compared with uint8
    if wide is not dtype:
        a = build.cast(a, wide)
    return a, _number(scalar_value(y, wide), wide, a.aval.device)


def binary(prim: Primitive, x: Tensor, y: object) -> Any:
    """An operation of a tensor with a tensor, a number or an array; NotImplemented for anything else."""
    a = node_of(x)
    if prim.name == "pow" and not a.aval.dtype.is_float and not isinstance(y, Tensor):
        _check_exponent(y)
    if isinstance(y, Tensor):
        b = node_of(y)
        if a.aval.dtype is not b.aval.dtype:
            dtype = promote(a.aval.dtype, b.aval.dtype)
            a, b = build.cast(a, dtype), build.cast(b, dtype)
    elif (number := number_of(y)) is not None:
        a, b = _with_number(prim, number, a)
    else:
        other = checked_operand(prim.name, y, x)
        return NotImplemented if other is None else binary(prim, x, other)
    return nary(prim, (a, b))


def _check_exponent(y: object) -> None:
    """Raises `ArgumentError` for a negative integer, or an array with one, as exponent of integers."""
    if isinstance(y, (bool, int, np.integer, np.ndarray)):
        exponents = np.asarray(y)
        if exponents.dtype.kind in "iO" and np.any(exponents < 0):
            raise ArgumentError(
                f"[pow] expected an exponent of at least 0 for a base of integers, got {exponents.min()}; "
                "cast the base with .to(st.float32)"
            )


def reflected(prim: Primitive, x: Tensor, y: object) -> Any:
    """`y op x`, for a number or an array `y`."""
    number = number_of(y)
    if number is not None:
        a, b = _with_number(prim, number, node_of(x))
        return nary(prim, (b, a))
    other = checked_operand(prim.name, y, x)
    return NotImplemented if other is None else binary(prim, other, x)


def checked_operand(name: str, y: object, like: Tensor) -> Tensor | None:
    """As `as_operand`. Raises `DTypeError` for what neither is an operand nor can make something of a tensor."""
    other = as_operand(y, like)
    if other is None and not _left_to_python(name, y):
        kind = f"{type(y).__module__}.{type(y).__qualname__}".removeprefix("builtins.")
        remedy = "convert it with st.asarray(y)" if hasattr(y, "__len__") else "pass one of these"
        raise DTypeError(f"[{name}] expected a tensor, a number or a NumPy array, got {kind}; {remedy}")
    return other


def _left_to_python(name: str, y: object) -> bool:
    """Whether Python asks the other operand, or compares identities: not where that would hide a mistake."""
    if hasattr(y, "__dlpack__"):  # an array of another library, where == would be False
        return False
    return name in ("eq", "ne") or not (y is None or isinstance(y, (str, bytes, list, tuple, dict, set)))


def as_operand(y: object, like: Tensor) -> Tensor | None:
    """A number or NumPy array beside a tensor, as a tensor; None for anything else."""
    number = number_of(y)
    if number is not None:
        dtype = scalar_dtype(number, like.node.aval.dtype)
        return Tensor(_number(scalar_value(number, dtype), dtype, like.node.aval.device))
    if isinstance(y, (np.ndarray, np.generic)):
        return as_tensor(y, like)
    return None


def scalar_value(value: Any, dtype: DType) -> Any:
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
    """The least and the greatest value of an integer dtype."""
    return (-(1 << (dtype.bits - 1)) if dtype.kind == "i" else 0), (1 << (dtype.bits - (dtype.kind == "i"))) - 1


def _fits(value: int, dtype: DType) -> bool:
    low, high = _limits(dtype)
    return low <= value <= high


def true_divide(x: Tensor, y: object) -> Any:
    """`x / y`, in floating point."""
    if not x.node.aval.dtype.is_float and not (isinstance(y, Tensor) and y.node.aval.dtype.is_float):
        x = nary(P["cast"], (node_of(x),), (default_float,))
        if isinstance(y, Tensor):
            y = nary(P["cast"], (node_of(y),), (default_float,))
    return binary(P["div"], x, y)


def promoted_nodes(*xs: ArrayLike, like: Tensor | None = None) -> tuple[list[Node], DType]:
    """Nodes of operands in their common dtype, and that dtype.

    Numbers of Python and scalars of NumPy are weak. Without a tensor among the operands, the first becomes one on the device of `like`.
    """
    tensors = [x for x in xs if isinstance(x, Tensor)]
    if not tensors:
        tensors = [as_tensor(xs[0], like)]
        xs = (tensors[0], *xs[1:])
    dtype = tensors[0].node.aval.dtype
    for t in tensors[1:]:
        dtype = promote(dtype, t.node.aval.dtype)
    numbers = [number_of(x) for x in xs]
    operands = [as_tensor(x, tensors[0]) if n is None else n for x, n in zip(xs, numbers, strict=True)]
    for x, operand in zip(xs, operands, strict=True):
        if isinstance(operand, (bool, int, float)):
            dtype = scalar_dtype(operand, dtype)
        elif not isinstance(x, Tensor):
            dtype = promote(dtype, operand.node.aval.dtype)
    device = tensors[0].node.aval.device
    nodes = []
    for operand in operands:
        if isinstance(operand, (bool, int, float)):
            nodes.append(_number(scalar_value(operand, dtype), dtype, device))
        else:
            nodes.append(build.cast(node_of(operand), dtype))
    return nodes, dtype


def condition_node(x: ArrayLike, like: Tensor | None = None) -> Node:
    """The node of a boolean operand: other dtypes are compared with zero."""
    number = number_of(x)
    if number is not None:
        x = bool(number)
    n = node_of(as_tensor(x, like))
    if n.aval.dtype is bool_:
        return n
    return build.ne(n, _number(0, n.aval.dtype, n.aval.device))
