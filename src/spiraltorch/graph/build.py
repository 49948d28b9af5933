"""Builders: one function for each primitive, on nodes. Derivative rules and the tensor room write graphs with these.

They do no promotion: operands have one dtype. Views that change nothing return their operand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from ..dtypes import DType
from .node import _SPECS, GRAD_MODE, Aval, Node, Shape, spec_of
from .node import apply as _apply
from .primitive import REGISTRY, Primitive
from .results import apply_multiple


def _named(name: str) -> Primitive:
    """The primitive, which the package's modules of primitives define when it is imported."""
    return REGISTRY[name]


def _unary(name: str) -> Callable[[Node], Node]:
    # These closures repeat `node.apply` with the operands spelled out: recording is on every user's hot path.
    prim: Primitive | None = None

    def record(x: Node) -> Node:
        nonlocal prim
        if prim is None:
            prim = _named(name)
        spec = _SPECS.get((prim, (x.aval,), ())) or spec_of(prim, (x.aval,), ())
        return Node(spec, (x,), None, x.rg and prim.differentiable and GRAD_MODE.on and spec.aval.dtype.kind == "f")

    return _documented(record, name)


def _binary(name: str) -> Callable[[Node, Node], Node]:
    prim: Primitive | None = None

    def record(x: Node, y: Node) -> Node:
        nonlocal prim
        if prim is None:
            prim = _named(name)
        avals = (x.aval, y.aval)
        spec = _SPECS.get((prim, avals, ())) or spec_of(prim, avals, ())
        rg = (x.rg or y.rg) and prim.differentiable and GRAD_MODE.on and spec.aval.dtype.kind == "f"
        return Node(spec, (x, y), None, rg)

    return _documented(record, name)


Recorder = TypeVar("Recorder", bound=Callable[..., Node])


def _documented(record: Recorder, name: str) -> Recorder:
    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"Records `{name}` of its operands."
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
    """`x` where the condition holds, else `y`."""
    return _apply(_named("where"), (condition, x, y))


def barrier(x: Node, *others: Node) -> Node:
    """`x`, in a way that the compiler does not see through; it waits for the others."""
    return _apply(_named("barrier"), (x, *others))


def bounded(x: Node, lower: int, upper: int, op: str) -> Node:
    """Integers `x`, with the promise that all lie in `[lower, upper)`: `IndexOutOfRange` for `op` at evaluation if not."""
    return _apply(_named("bounded"), (x,), (lower, upper, op))


def cast(x: Node, dtype: DType) -> Node:
    """`x` as `dtype`; `x` itself where it is that."""
    return x if x.aval.dtype is dtype else _apply(_named("cast"), (x,), (dtype,))


def bitcast(x: Node, dtype: DType) -> Node:
    """The bits of `x` read as `dtype`."""
    return x if x.aval.dtype is dtype else _apply(_named("bitcast"), (x,), (dtype,))


_CONSTANTS: dict[Any, Node] = {}
_PLAIN = frozenset((0, 1, -1, 2, 0.5))


def const(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A 0-d number that is part of the program."""
    value = bool(value) if dtype.is_bool else int(value) if dtype.is_integer else float(value)
    key = (repr(value), dtype, device)
    node = _CONSTANTS.get(key)
    if node is None or node.buf is not None:  # one that was asked for by itself is a leaf now, no longer a number
        if dtype.is_float and math.isnan(value):
            value = math.nan
        node = _CONSTANTS[key] = Node(spec_of(_named("const"), (), (_exact(value), dtype, device)), ())
    return node


class _Float(float):
    """A number that equals another `_Float` only where the bits do: 0.0 and -0.0 are two constants, NaN is one."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other) if type(other) is _Float else float.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return 0 if math.isnan(self) else float.__hash__(self)


def _exact(value: Any) -> Any:
    return _Float(value) if isinstance(value, float) else value


def scalar(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A 0-d number that is a parameter of the plan: another value does not recompile."""
    return Node(spec_of(_named("scalar"), (), (dtype, device)), (), value)


def number(value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """A Python number: `const` for 0, 1, -1, 2, 0.5 and booleans, else `scalar`."""
    if dtype.is_bool or value in _PLAIN or not math.isfinite(value):
        return const(value, dtype, device)
    return scalar(value, dtype, device)


def full(shape: Shape, value: Any, dtype: DType, device: str = "cpu:0") -> Node:
    """The number in every element."""
    return expand(number(value, dtype, device), shape)


def zeros(aval: Aval) -> Node:
    """Zeros of an aval."""
    return expand(const(0, aval.dtype, aval.device), aval.shape)


def ones(aval: Aval) -> Node:
    """Ones of an aval."""
    return expand(const(1, aval.dtype, aval.device), aval.shape)


def zeros_like(x: Node) -> Node:
    """Zeros in the shape of `x`."""
    return zeros(x.aval)


def ones_like(x: Node) -> Node:
    """Ones in the shape of `x`."""
    return ones(x.aval)


def iota(shape: Shape, axis: int, dtype: DType, device: str = "cpu:0") -> Node:
    """Counts 0, 1, ... along `axis`."""
    return Node(spec_of(_named("iota"), (), (shape, axis, dtype, device)), ())


def random_bits(seed: Node, counter: Node, shape: Shape) -> Node:
    """uint32 words of Philox 4x32-10."""
    return _apply(_named("random_bits"), (seed, counter), (shape,))


def reshape(x: Node, shape: Shape) -> Node:
    """`x` with another shape; one extent may be -1."""
    if -1 in shape:
        known = 1
        for e in shape:
            known *= e if e != -1 else 1
        shape = tuple([(x.aval.size // known if known else 0) if e == -1 else e for e in shape])
    return x if x.aval.shape == shape else _apply(_named("reshape"), (x,), (shape,))


def expand(x: Node, shape: Shape) -> Node:
    """`x` broadcast to `shape`."""
    return x if x.aval.shape == shape else _apply(_named("expand"), (x,), (shape,))


def permute(x: Node, axes: tuple[int, ...]) -> Node:
    """`x` with its axes in another order."""
    return x if axes == tuple(range(len(axes))) else _apply(_named("permute"), (x,), (axes,))


def pad(x: Node, pads: tuple[tuple[int, int, int], ...], value: Any = 0) -> Node:
    """`x` with (before, after, between) extra elements for each axis."""
    if not any(v for p in pads for v in p):
        return x
    value = bool(value) if x.aval.dtype.is_bool else float(value) if x.aval.dtype.is_float else int(value)
    return _apply(_named("pad"), (x,), (pads, _exact(value)))


def slice(x: Node, starts: Shape, stops: Shape, steps: Shape) -> Node:  # the primitive's name
    """`x[start:stop:step]` on every axis."""
    if all(s == 0 for s in starts) and stops == x.aval.shape and all(s == 1 for s in steps):
        return x
    return _apply(_named("slice"), (x,), (starts, stops, steps))


def flip(x: Node, axes: tuple[int, ...]) -> Node:
    """`x` reversed along axes."""
    return _apply(_named("flip"), (x,), (axes,)) if axes else x


def windows(x: Node, axes: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> Node:
    """Sliding windows along axes; the window axes come last."""
    return _apply(_named("windows"), (x,), (axes, sizes, strides, dilations))


def concat(xs: tuple[Node, ...], axis: int) -> Node:
    """The operands joined along an axis."""
    return xs[0] if len(xs) == 1 else _apply(_named("concat"), xs, (axis,))


def _reduction(name: str) -> Callable[[Node, Shape], Node]:
    def record(x: Node, axes: Shape) -> Node:
        return _apply(_named(name), (x,), (axes,)) if axes else x

    record.__name__ = name
    record.__doc__ = f"Records `{name}` over sorted axes, which are dropped."
    return record


reduce_sum, reduce_prod, reduce_max, reduce_min = map(
    _reduction, ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min")
)


def argmax(x: Node, axis: int) -> Node:
    """The first place of the greatest element."""
    return _apply(_named("argmax"), (x,), (axis,))


def argmin(x: Node, axis: int) -> Node:
    """The first place of the least element."""
    return _apply(_named("argmin"), (x,), (axis,))


def cumsum(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive sums."""
    return _apply(_named("cumsum"), (x,), (axis, reverse))


def cumprod(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive products."""
    return _apply(_named("cumprod"), (x,), (axis, reverse))


def cummax(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive maxima."""
    return _apply(_named("cummax"), (x,), (axis, reverse))


def cummin(x: Node, axis: int, reverse: bool = False) -> Node:
    """Inclusive minima."""
    return _apply(_named("cummin"), (x,), (axis, reverse))


def argsort(x: Node, axis: int, descending: bool = False) -> Node:
    """The stable sorting permutation."""
    return _apply(_named("argsort"), (x,), (axis, descending))


def dot(x: Node, y: Node, x_contract: Shape, y_contract: Shape, x_batch: Shape = (), y_batch: Shape = ()) -> Node:
    """A general contraction; see the table of primitives."""
    return _apply(_named("dot"), (x, y), (x_contract, y_contract, x_batch, y_batch))


def conv(
    x: Node, w: Node, strides: Shape, padding: tuple[tuple[int, int], ...], lhs_dilation: Shape, rhs_dilation: Shape
) -> Node:
    """A grouped convolution (cross-correlation); see the table of primitives."""
    return _apply(_named("conv"), (x, w), (strides, padding, lhs_dilation, rhs_dilation))


def attention(q: Node, k: Node, v: Node, bias: Node | None, causal: bool, scale: float) -> tuple[Node, Node]:
    """Weighted values (B, H, L, Ev), and (B, H, L) the logarithm of each query's sum of exponentials."""
    args = (q, k, v) if bias is None else (q, k, v, bias)
    values, statistic = apply_multiple(_named("attention"), args, (causal, scale))
    return values, statistic


def take(x: Node, idx: Node, axis: int) -> Node:
    """Elements of `x` along an axis."""
    return _apply(_named("take"), (x, idx), (axis,))


def take_along(x: Node, idx: Node, axis: int) -> Node:
    """One element of `x` along an axis for each index."""
    return _apply(_named("take_along"), (x, idx), (axis,))


def scatter(base: Node, idx: Node, upd: Node, axis: int, mode: str = "set") -> Node:
    """`base` with updates at indices along an axis."""
    return _apply(_named("scatter"), (base, idx, upd), (axis, mode))


def scatter_along(base: Node, idx: Node, upd: Node, axis: int, mode: str = "set") -> Node:
    """`base` with one update for each index."""
    return _apply(_named("scatter_along"), (base, idx, upd), (axis, mode))


def to_device(x: Node, device: str) -> Node:
    """`x` on another device."""
    return x if x.aval.device == device else _apply(_named("to_device"), (x,), (device,))
