"""Builders: one function for each primitive, from nodes to a node. Derivative rules and `tensor` use them.

Contract
- Operands of one builder have one dtype and one device; promotion is the caller's. Element-wise builders broadcast.
- A builder whose operation would not change its operand returns the operand.
- Axes are non-negative and parameters are tuples: everything is normalized by the caller.
- A builder raises what its primitive's `infer` raises: `ShapeError`, `DTypeError`, `DeviceError` or `ArgumentError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from ..dtypes import DType
from .node import _SPECS, GRAD_MODE, Aval, Node, Shape, Table, spec_of
from .node import apply as _apply
from .primitive import REGISTRY, Primitive
from .results import apply_multiple


def _primitive(name: str) -> Primitive:
    """A primitive by its name. It is looked up late, because the modules that define primitives import this one."""
    return REGISTRY[name]


def _unary(name: str) -> Callable[[Node], Node]:
    """The builder of a primitive with one operand and no parameters."""
    # These closures repeat `node.apply` with the operands spelled out: recording is on every user's hot path.
    prim: Primitive | None = None

    def record(x: Node) -> Node:
        nonlocal prim
        if prim is None:
            prim = _primitive(name)
        spec = _SPECS.get((prim, (x.aval,), ())) or spec_of(prim, (x.aval,), ())
        return Node(spec, (x,), None, x.rg and prim.differentiable and GRAD_MODE.on and spec.aval.dtype.kind == "f")

    return _with_docstring(record, name)


def _binary(name: str) -> Callable[[Node, Node], Node]:
    """The builder of a primitive with two operands and no parameters."""
    prim: Primitive | None = None

    def record(x: Node, y: Node) -> Node:
        nonlocal prim
        if prim is None:
            prim = _primitive(name)
        avals = (x.aval, y.aval)
        spec = _SPECS.get((prim, avals, ())) or spec_of(prim, avals, ())
        rg = (x.rg or y.rg) and prim.differentiable and GRAD_MODE.on and spec.aval.dtype.kind == "f"
        return Node(spec, (x, y), None, rg)

    return _with_docstring(record, name)


Recorder = TypeVar("Recorder", bound=Callable[..., Node])


def _with_docstring(record: Recorder, name: str) -> Recorder:
    """Names a builder after its primitive and describes it."""
    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"Records `{name}`, element by element, of operands whose shapes broadcast."
    return record


neg, abs_, sign, floor, ceil, trunc, round_, sqrt, exp, expm1, exp2 = map(
    _unary, ["neg", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "exp", "expm1", "exp2"]
)
log, log1p, log2, log10, sin, cos, tan, asin, acos, atan = map(
    _unary, ["log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan"]
)
sinh, cosh, tanh, asinh, acosh, atanh, erf, invert, isnan, stop_gradient = map(
    _unary, ["sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "invert", "isnan", "stop_gradient"]
)
add, sub, mul, div, maximum, minimum, atan2, floordiv, mod = map(
    _binary, ["add", "sub", "mul", "div", "maximum", "minimum", "atan2", "floordiv", "mod"]
)
pow = _binary("pow")  # the primitive's name
bitand, bitor, bitxor, shl, shr, eq, ne, lt, le = map(
    _binary, ["bitand", "bitor", "bitxor", "shl", "shr", "eq", "ne", "lt", "le"]
)


def where(condition: Node, x: Node, y: Node) -> Node:
    """Elements of `x` where a bool condition is true, else of `y`; all three shapes broadcast."""
    return _apply(_primitive("where"), (condition, x, y))


def barrier(x: Node, *others: Node) -> Node:
    """`x`, opaque to simplification and computed after the values of any shape in `others`."""
    return _apply(_primitive("barrier"), (x, *others))


def bounded(x: Node, lower: int, upper: int, op: str) -> Node:
    """Integers `x`, checked at evaluation to lie in [lower, upper): else `IndexOutOfRange` in the name of `op`."""
    return _apply(_primitive("bounded"), (x,), (lower, upper, op))


def cast(x: Node, dtype: DType) -> Node:
    """`x` converted to `dtype`, of the same shape."""
    return x if x.aval.dtype is dtype else _apply(_primitive("cast"), (x,), (dtype,))


def bitcast(x: Node, dtype: DType) -> Node:
    """The bits of `x` reinterpreted as a `dtype` of the same size, of the same shape."""
    return x if x.aval.dtype is dtype else _apply(_primitive("bitcast"), (x,), (dtype,))


_CONSTANTS: Table[Any, Node] = Table()
_STATIC_NUMBERS = frozenset((0, 1, -1, 2, 0.5))


def const(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A 0-d constant, which is part of the plan's key and known to simplification."""
    value = bool(value) if dtype.is_bool else int(value) if dtype.is_integer else float(value)
    key = (repr(value), dtype, device)
    node = _CONSTANTS.get(key)
    if node is None or node.buf is not None:  # a constant that was evaluated as a result is a leaf
        if dtype.is_float and math.isnan(value):
            value = math.nan
        node = _CONSTANTS.remember(key, Node(spec_of(_primitive("const"), (), (_bitwise(value), dtype, device)), ()))
    return node


class _BitwiseFloat(float):
    """A float for keys of caches: 0.0 and -0.0 differ, and NaN equals itself."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other) if type(other) is _BitwiseFloat else float.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return 0 if float.__ne__(self, self) else float.__hash__(self)  # `math` may be gone at the end of a program


def _bitwise(value: Any) -> Any:
    """A float as a `_BitwiseFloat`; other numbers as they are."""
    return _BitwiseFloat(value) if isinstance(value, float) else value


def scalar(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A 0-d number that is a parameter of the plan, so that another value does not recompile."""
    return Node(spec_of(_primitive("scalar"), (), (dtype, device)), (), value)


def number(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A 0-d Python number: `const` for 0, 1, -1, 2, 0.5, infinities, NaN and booleans, else `scalar`."""
    if dtype.is_bool or value in _STATIC_NUMBERS or not math.isfinite(value):
        return const(value, dtype, device)
    return scalar(value, dtype, device)


def full(shape: Shape, value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A number broadcast to `shape`."""
    return expand(number(value, dtype, device), shape)


def zeros(aval: Aval) -> Node:
    """Zeros of an aval's shape, dtype and device."""
    return expand(const(0, aval.dtype, aval.device), aval.shape)


def ones(aval: Aval) -> Node:
    """Ones of an aval's shape, dtype and device."""
    return expand(const(1, aval.dtype, aval.device), aval.shape)


def zeros_like(x: Node) -> Node:
    """Zeros of the shape, dtype and device of `x`."""
    return zeros(x.aval)


def ones_like(x: Node) -> Node:
    """Ones of the shape, dtype and device of `x`."""
    return ones(x.aval)


def iota(shape: Shape, axis: int, dtype: DType, device: str = "cpu:0") -> Node:
    """The numbers 0, 1, ... along `axis`, broadcast along the other axes of `shape`."""
    return Node(spec_of(_primitive("iota"), (), (shape, axis, dtype, device)), ())


def random_bits(seed: Node, counter: Node, shape: Shape) -> Node:
    """uint32 words of Philox 4x32-10, of `shape`, from 0-d uint64 `seed` and `counter`: see `primitives.source`."""
    return _apply(_primitive("random_bits"), (seed, counter), (shape,))


def reshape(x: Node, shape: Shape) -> Node:
    """`x` with another shape of the same size, in C order; one extent may be -1."""
    if -1 in shape:
        known = 1
        for e in shape:
            known *= e if e != -1 else 1
        shape = tuple([(x.aval.size // known if known else 0) if e == -1 else e for e in shape])
    return x if x.aval.shape == shape else _apply(_primitive("reshape"), (x,), (shape,))


def expand(x: Node, shape: Shape) -> Node:
    """`x` broadcast to `shape` by NumPy's rule."""
    return x if x.aval.shape == shape else _apply(_primitive("expand"), (x,), (shape,))


def permute(x: Node, axes: tuple[int, ...]) -> Node:
    """`x` with its axes permuted: axis d of the result is axis `axes[d]` of `x`."""
    return x if axes == tuple(range(len(axes))) else _apply(_primitive("permute"), (x,), (axes,))


def pad(x: Node, pads: tuple[tuple[int, int, int], ...], value: Any = 0) -> Node:
    """`x` with (before, after, between) elements added along each axis, all of them `value`."""
    if not any(v for p in pads for v in p):
        return x
    value = bool(value) if x.aval.dtype.is_bool else float(value) if x.aval.dtype.is_float else int(value)
    return _apply(_primitive("pad"), (x,), (pads, _bitwise(value)))


def slice(x: Node, starts: Shape, stops: Shape, steps: Shape) -> Node:  # the primitive's name
    """`x[start:stop:step]` on every axis, with 0 <= start, stop <= extent and step >= 1."""
    if all(s == 0 for s in starts) and stops == x.aval.shape and all(s == 1 for s in steps):
        return x
    return _apply(_primitive("slice"), (x,), (starts, stops, steps))


def flip(x: Node, axes: tuple[int, ...]) -> Node:
    """`x` reversed along axes, of the same shape."""
    return _apply(_primitive("flip"), (x,), (axes,)) if axes else x


def windows(x: Node, axes: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> Node:
    """Sliding windows: (..., n, ...) to (..., (n - (size - 1) * dilation - 1) // stride + 1, ..., *sizes)."""
    return _apply(_primitive("windows"), (x,), (axes, sizes, strides, dilations))


def concat(xs: tuple[Node, ...], axis: int) -> Node:
    """Concatenates operands, whose shapes are equal except along `axis`."""
    return xs[0] if len(xs) == 1 else _apply(_primitive("concat"), xs, (axis,))


def _reduction(name: str) -> Callable[[Node, Shape], Node]:
    """The builder of a reduction."""

    def record(x: Node, axes: Shape) -> Node:
        return _apply(_primitive(name), (x,), (axes,)) if axes else x

    record.__name__ = name
    record.__doc__ = f"Records `{name}` over sorted axes, which are dropped."
    return record


reduce_sum, reduce_prod, reduce_max, reduce_min = map(
    _reduction, ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min")
)


def argmax(x: Node, axis: int) -> Node:
    """The int64 index of the first maximum along `axis`, which is dropped."""
    return _apply(_primitive("argmax"), (x,), (axis,))


def argmin(x: Node, axis: int) -> Node:
    """The int64 index of the first minimum along `axis`, which is dropped."""
    return _apply(_primitive("argmin"), (x,), (axis,))


def cumsum(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive sums along `axis`, from its end if `reverse`; the shape of `x`."""
    return _apply(_primitive("cumsum"), (x,), (axis, reverse))


def cumprod(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive products along `axis`, from its end if `reverse`; the shape of `x`."""
    return _apply(_primitive("cumprod"), (x,), (axis, reverse))


def cummax(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive maxima along `axis`, from its end if `reverse`; the shape of `x`."""
    return _apply(_primitive("cummax"), (x,), (axis, reverse))


def cummin(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive minima along `axis`, from its end if `reverse`; the shape of `x`."""
    return _apply(_primitive("cummin"), (x,), (axis, reverse))


def argsort(x: Node, axis: int, descending: bool = False) -> Node:
    """The stable sorting permutation along `axis`: int64, of the shape of `x`, NaN last."""
    return _apply(_primitive("argsort"), (x,), (axis, descending))


def dot(x: Node, y: Node, x_contract: Shape, y_contract: Shape, x_batch: Shape = (), y_batch: Shape = ()) -> Node:
    """A general contraction: the batch axes, then the free axes of `x` and of `y`, in their order in the operands."""
    return _apply(_primitive("dot"), (x, y), (x_contract, y_contract, x_batch, y_batch))


def conv(
    x: Node, w: Node, strides: Shape, padding: tuple[tuple[int, int], ...], lhs_dilation: Shape, rhs_dilation: Shape
) -> Node:
    """A grouped cross-correlation: (N, G, C, *S) with (G, O, C, *K) to (N, G, O, *S'); see `docs/primitives.md`."""
    return _apply(_primitive("conv"), (x, w), (strides, padding, lhs_dilation, rhs_dilation))


def attention(q: Node, k: Node, v: Node, bias: Node | None, causal: bool, scale: float) -> tuple[Node, Node]:
    """Attention of q (B, H, L, E) over k (B, H / n, S, E) and v (B, H / n, S, Ev).

    Returns:
        The weighted values, (B, H, L, Ev), and the logarithm of the sum of each query's exponentials, (B, H, L).
    """
    args = (q, k, v) if bias is None else (q, k, v, bias)
    values, log_sums = apply_multiple(_primitive("attention"), args, (causal, scale))
    return values, log_sums


def take(x: Node, indices: Node, axis: int) -> Node:
    """Gathers along `axis`: x.shape[:axis] + indices.shape + x.shape[axis + 1:]."""
    return _apply(_primitive("take"), (x, indices), (axis,))


def take_along(x: Node, indices: Node, axis: int) -> Node:
    """Gathers one element for each index: the shape of `indices`, whose other axes equal those of `x`."""
    return _apply(_primitive("take_along"), (x, indices), (axis,))


def scatter(base: Node, indices: Node, updates: Node, axis: int, mode: str = "set") -> Node:
    """`base` with `updates`, of the shape that `take` gives; `mode` is set, add, max, min or mul."""
    return _apply(_primitive("scatter"), (base, indices, updates), (axis, mode))


def scatter_along(base: Node, indices: Node, updates: Node, axis: int, mode: str = "set") -> Node:
    """`base` with one update for each index, as `take_along` gathers; `mode` is set, add, max, min or mul."""
    return _apply(_primitive("scatter_along"), (base, indices, updates), (axis, mode))


def to_device(x: Node, device: str) -> Node:
    """`x` copied to another device, of the same shape and dtype."""
    return x if x.aval.device == device else _apply(_primitive("to_device"), (x,), (device,))
