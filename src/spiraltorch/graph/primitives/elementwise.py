"""Element-wise primitives, with their derivatives and NumPy references.

Contract
- Shapes broadcast by NumPy's rule. Operands have one dtype; promotion is the caller's.
- The references compute 16-bit floats in float32 and round once, as the backends do.
- A derivative is one formula for each operand (`_rules`), used in both modes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ...dtypes import DType, bool_
from ...errors import DTypeError, ShapeError, out_of_range
from .. import build as b
from ..node import Aval, Node, Params, Shape, apply, aval_of
from ..primitive import REGISTRY, Primitive


@lru_cache(maxsize=4096)
def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The shape that shapes broadcast to by NumPy's rule.

    Raises:
        ShapeError: they do not broadcast; it names the operation and the shapes.
    """
    rank = max((len(s) for s in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for at, extent in enumerate(shape, rank - len(shape)):
            if extent != 1:
                if result[at] not in (1, extent):
                    listed = " and ".join(str(s) for s in shapes)
                    raise ShapeError(
                        f"[{name}] expected shapes that broadcast, got {listed}: axis {at - rank} is {result[at]} and "
                        f"{extent}; reshape or expand one operand"
                    )
                result[at] = extent
    return tuple(result)


def same_dtype(name: str, avals: tuple[Aval, ...]) -> DType:
    """The operands' dtype. Raises `DTypeError` where they differ."""
    for a in avals[1:]:
        if a.dtype is not avals[0].dtype:
            raise DTypeError(
                f"[{name}] expected operands of one dtype, got {avals[0].dtype.name} and {a.dtype.name}; cast one"
            )
    return avals[0].dtype


def _infer_rule(name: str, kinds: str, result: DType | None) -> Callable[[tuple[Aval, ...], Params], Aval]:
    """The rule of shapes and dtypes: operands have a dtype of `kinds`; the result has `result` or their dtype."""
    words = {"f": "floating", "i": "integer", "u": "integer", "b": "bool"}

    def infer(avals: tuple[Aval, ...], params: Params) -> Aval:
        dtype = same_dtype(name, avals)
        if dtype.kind not in kinds:
            allowed = sorted({words[k] for k in kinds})
            raise DTypeError(f"[{name}] expected a {' or '.join(allowed)} dtype, got {dtype.name}; cast with .to()")
        shape = avals[0].shape if len(avals) == 1 else broadcast_shapes(name, *(a.shape for a in avals))
        return aval_of(shape, result or dtype, avals[0].device)

    return infer


def _through_float32(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy reference that calls `fn`: 16-bit floats are computed in float32 and rounded once."""

    def reference(*xs: Any, params: Params = ()) -> Any:
        dtype = xs[0].dtype
        with np.errstate(all="ignore"):
            if dtype.itemsize == 2 and dtype.kind in "fV":
                return np.asarray(fn(*[x.astype(np.float32) for x in xs])).astype(dtype)
            return np.asarray(fn(*xs)).astype(dtype, copy=False)

    return reference


def _predicate(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy reference that calls `fn`, whose result is boolean, after a cast of 16-bit floats to float32."""

    def reference(*xs: Any, params: Params = ()) -> Any:
        if xs[0].dtype.itemsize == 2 and xs[0].dtype.kind in "fV":
            xs = tuple([x.astype(np.float32) for x in xs])
        return fn(*xs)

    return reference


def unbroadcast(g: Node, like: Node) -> Node:
    """Sums a cotangent over the axes along which its operand `like` was broadcast."""
    shape, operand_shape = g.aval.shape, like.aval.shape
    if shape == operand_shape:
        return g
    extra = len(shape) - len(operand_shape)
    axes = tuple([d for d in range(len(shape)) if d < extra or (operand_shape[d - extra] == 1 and shape[d] != 1)])
    return b.reshape(b.reduce_sum(g, axes), operand_shape)


Partial = Callable[..., "Node | None"]  # (cotangent or tangent, *operands, result) -> its product with the derivative


def _rules(*partials: Partial | None) -> tuple[Any, Any]:
    """The vjp and the jvp of an element-wise primitive.

    The Jacobian is diagonal, so one formula for each operand serves both.

    Args:
        partials: for each operand the product of a cotangent or tangent with the partial derivative, or None for an
            operand without a derivative.

    Returns:
        (vjp, jvp)
    """

    def vjp(g: Node, args: tuple[Node, ...], out: Node) -> tuple[Node | None, ...]:
        grads: list[Node | None] = []
        for partial, arg in zip(partials, args, strict=True):
            part = partial(g, *args, out) if partial is not None and arg.rg else None
            grads.append(None if part is None else unbroadcast(part, arg))
        return tuple(grads)

    def jvp(tangents: tuple[Node | None, ...], args: tuple[Node, ...], out: Node) -> Node | None:
        total: Node | None = None
        for partial, tangent in zip(partials, tangents, strict=True):
            if partial is not None and tangent is not None:
                part = partial(b.expand(tangent, out.aval.shape), *args, out)
                total = part if total is None else total if part is None else b.add(total, part)
        return total

    return vjp, jvp


def _const(value: float, like: Node) -> Node:
    """A constant of the dtype of `like`, on its device."""
    return b.const(value, like.aval.dtype, like.aval.device)


def _erf(x: Any) -> Any:
    """The error function in NumPy."""
    if x.dtype == np.float32:
        return _ERF(x.astype(np.float64)).astype(np.float32)
    return _ERF(x)


_ERF: Any = np.vectorize(math.erf, otypes=[np.float64])


def _unary(name: str, kinds: str, fn: Any, partial: Partial) -> Primitive:
    """Defines a primitive with one operand."""
    return Primitive(name, "elementwise", _infer_rule(name, kinds, None), _through_float32(fn), *_rules(partial))


def _zero_partial(*_: Node) -> None:
    """The derivative of a piecewise constant function: None, which is zero."""


def _one_minus_square(x: Node) -> Node:
    """1 - x * x."""
    return b.sub(_const(1.0, x), b.mul(x, x))


def _factored_one_minus_square(x: Node) -> Node:
    """1 - x * x as (1 - x) * (1 + x), which does not cancel near 1 and -1."""
    return b.mul(b.sub(_const(1.0, x), x), b.add(_const(1.0, x), x))


def _sqrt_square_minus_one(x: Node) -> Node:
    """sqrt(x * x - 1) for x >= 1, in factors, which neither cancel near 1 nor overflow."""
    return b.mul(b.sqrt(b.sub(x, _const(1.0, x))), b.sqrt(b.add(x, _const(1.0, x))))


def _one_plus_square(x: Node) -> Node:
    """1 + x * x."""
    return b.add(_const(1.0, x), b.mul(x, x))


neg = _unary("neg", "fiu", np.negative, lambda g, x, y: b.neg(g))
abs_ = _unary("abs", "fiu", np.abs, lambda g, x, y: b.mul(g, b.sign(x)))
sign = _unary("sign", "fiu", np.sign, _zero_partial)
floor = _unary("floor", "f", np.floor, _zero_partial)
ceil = _unary("ceil", "f", np.ceil, _zero_partial)
trunc = _unary("trunc", "f", np.trunc, _zero_partial)
round_ = _unary("round", "f", np.rint, _zero_partial)
sqrt = _unary("sqrt", "f", np.sqrt, lambda g, x, y: b.div(b.mul(g, _const(0.5, x)), y))
exp = _unary("exp", "f", np.exp, lambda g, x, y: b.mul(g, y))
expm1 = _unary("expm1", "f", np.expm1, lambda g, x, y: b.mul(g, b.exp(x)))  # y + 1 cancels where x is negative
exp2 = _unary("exp2", "f", np.exp2, lambda g, x, y: b.mul(g, b.mul(y, _const(math.log(2), x))))
log = _unary("log", "f", np.log, lambda g, x, y: b.div(g, x))
log1p = _unary("log1p", "f", np.log1p, lambda g, x, y: b.div(g, b.add(x, _const(1.0, x))))
log2 = _unary("log2", "f", np.log2, lambda g, x, y: b.div(g, b.mul(x, _const(math.log(2), x))))
log10 = _unary("log10", "f", np.log10, lambda g, x, y: b.div(g, b.mul(x, _const(math.log(10), x))))
sin = _unary("sin", "f", np.sin, lambda g, x, y: b.mul(g, b.cos(x)))
cos = _unary("cos", "f", np.cos, lambda g, x, y: b.neg(b.mul(g, b.sin(x))))
tan = _unary("tan", "f", np.tan, lambda g, x, y: b.mul(g, _one_plus_square(y)))
asin = _unary("asin", "f", np.arcsin, lambda g, x, y: b.div(g, b.sqrt(_factored_one_minus_square(x))))
acos = _unary("acos", "f", np.arccos, lambda g, x, y: b.neg(b.div(g, b.sqrt(_factored_one_minus_square(x)))))
atan = _unary("atan", "f", np.arctan, lambda g, x, y: b.div(g, _one_plus_square(x)))
sinh = _unary("sinh", "f", np.sinh, lambda g, x, y: b.mul(g, b.cosh(x)))
cosh = _unary("cosh", "f", np.cosh, lambda g, x, y: b.mul(g, b.sinh(x)))
tanh = _unary("tanh", "f", np.tanh, lambda g, x, y: b.mul(g, _one_minus_square(y)))
asinh = _unary("asinh", "f", np.arcsinh, lambda g, x, y: b.div(g, b.sqrt(_one_plus_square(x))))
acosh = _unary("acosh", "f", np.arccosh, lambda g, x, y: b.div(g, _sqrt_square_minus_one(x)))
atanh = _unary("atanh", "f", np.arctanh, lambda g, x, y: b.div(g, _factored_one_minus_square(x)))
erf = _unary(
    "erf",
    "f",
    _erf,
    lambda g, x, y: b.mul(g, b.mul(b.exp(b.neg(b.mul(x, x))), _const(2 / math.sqrt(math.pi), x))),
)
invert = Primitive("invert", "elementwise", _infer_rule("invert", "iub", None), lambda x, params=(): np.invert(x))
isnan = Primitive("isnan", "elementwise", _infer_rule("isnan", "f", bool_), _predicate(np.isnan))


def _binary(name: str, kinds: str, fn: Any, *partials: Partial) -> Primitive:
    """Defines a primitive with two operands."""
    return Primitive(name, "elementwise", _infer_rule(name, kinds, None), _through_float32(fn), *_rules(*partials))


def _extremum_partial(loses: Callable[[Node, Node], Node]) -> Partial:
    """The partial derivative of a maximum or minimum: 1 for the operand that is the result, one half where both are.

    Args:
        loses: `loses(x, y)` is true where the operand `x` is not the result.
    """

    def partial(g: Node, x: Node, y: Node, out: Node) -> Node:
        tie = b.where(b.eq(x, y), b.mul(g, _const(0.5, g)), g)
        return b.where(loses(x, y), _const(0.0, g), tie)

    return partial


def _constant_value(x: Node) -> Any:
    """The number that all elements of `x` equal if `x` is a broadcast constant, else None."""
    while x.spec.prim is not None and x.spec.prim.name == "expand":
        (x,) = x.args
    return x.spec.params[0] if x.spec.prim is not None and x.spec.prim.name == "const" else None


def _pow_base(g: Node, x: Node, y: Node, out: Node) -> Node:
    """The partial derivative of `pow` with respect to the base, 0 where the exponent is 0."""
    known = _constant_value(y)
    if known in (1, 2):
        return g if known == 1 else b.mul(g, b.mul(y, x))
    slope = b.mul(g, b.mul(y, b.pow(x, b.sub(y, _const(1.0, y)))))
    return b.where(b.eq(y, _const(0.0, y)), _const(0.0, g), slope)


def _pow_exponent(g: Node, x: Node, y: Node, out: Node) -> Node:
    """The partial derivative of `pow` with respect to the exponent."""
    zero = _const(0.0, x)
    flat = b.bitand(b.eq(x, zero), b.le(zero, y))  # log(1) in place of log(0): the limit from the right is 0
    return b.mul(g, b.mul(out, b.log(b.where(flat, _const(1.0, x), x))))


def _over_sum_of_squares(z: Node, x: Node, y: Node) -> Node:
    """z / (x * x + y * y) for z among x and y, without overflow or underflow of the squares; 0 where both are 0."""
    largest = b.maximum(b.maximum(x, b.neg(x)), b.maximum(y, b.neg(y)))
    usable = b.bitand(b.lt(_const(0.0, x), largest), b.lt(largest, _const(math.inf, x)))
    scale = apply(REGISTRY["stop_gradient"], (b.where(usable, largest, _const(1.0, x)),), ())
    left, right = b.div(x, scale), b.div(y, scale)
    squares = b.add(b.mul(left, left), b.mul(right, right))
    safe = b.where(b.eq(squares, _const(0.0, x)), _const(1.0, x), squares)
    return b.div(b.div(b.div(z, scale), safe), scale)


def _int_division(fn: Any) -> Any:
    """The NumPy reference of a division: integers divided by zero give 0."""

    def reference(x: Any, y: Any) -> Any:
        if x.dtype.kind == "f":
            return fn(x, y)
        zero = y == 0
        return np.where(zero, np.zeros((), x.dtype), fn(x, np.where(zero, np.ones((), y.dtype), y)))

    return reference


def _pow(x: Any, y: Any) -> Any:
    """`pow` in NumPy: negative powers of integers are rounded towards zero."""
    if x.dtype.kind == "i" and np.any(y < 0):
        safe = np.where(y < 0, np.zeros((), y.dtype), y)
        small = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0)).astype(x.dtype)
        return np.where(y < 0, small, np.power(x, safe))
    return np.power(x, y)


def _shift(right: bool) -> Any:
    """The NumPy reference of a shift; bits are shifted out where the width is exceeded."""

    def reference(x: Any, y: Any, params: Params = ()) -> Any:
        width = x.dtype.itemsize * 8
        big = (y >= width) | (y < 0)
        moved = (np.right_shift if right else np.left_shift)(x, np.where(big, np.zeros((), y.dtype), y))
        over = np.where(x < 0, -1, 0).astype(x.dtype) if right and x.dtype.kind == "i" else np.zeros((), x.dtype)
        return np.where(big, over, moved)

    return reference


def _identity_partial(g: Node, x: Node, y: Node, out: Node) -> Node:
    """The partial derivative 1."""
    return g


add = _binary("add", "fiub", np.add, _identity_partial, _identity_partial)
sub = _binary("sub", "fiu", np.subtract, _identity_partial, lambda g, x, y, o: b.neg(g))
mul = _binary("mul", "fiub", np.multiply, lambda g, x, y, o: b.mul(g, y), lambda g, x, y, o: b.mul(g, x))
maximum = _binary(
    "maximum",
    "fiub",
    np.maximum,
    _extremum_partial(lambda x, y: b.lt(x, y)),
    _extremum_partial(lambda x, y: b.lt(y, x)),
)
minimum = _binary(
    "minimum",
    "fiub",
    np.minimum,
    _extremum_partial(lambda x, y: b.lt(y, x)),
    _extremum_partial(lambda x, y: b.lt(x, y)),
)
div = _binary("div", "f", np.divide, lambda g, x, y, o: b.div(g, y), lambda g, x, y, o: b.neg(b.mul(b.div(g, y), o)))
pow_ = _binary("pow", "fiu", _pow, _pow_base, _pow_exponent)
atan2 = _binary(
    "atan2", "f", np.arctan2,
    lambda g, x, y, o: b.mul(g, _over_sum_of_squares(y, x, y)),
    lambda g, x, y, o: b.neg(b.mul(g, _over_sum_of_squares(x, x, y))),
)  # fmt: skip
floordiv = _binary("floordiv", "fiu", _int_division(np.floor_divide), _zero_partial, _zero_partial)
mod = _binary(
    "mod", "fiu", _int_division(np.mod), _identity_partial, lambda g, x, y, o: b.neg(b.mul(g, b.floordiv(x, y)))
)  # fmt: skip


def _without_derivative(name: str, kinds: str, fn: Any, result: DType | None = None) -> Primitive:
    """Defines a primitive without a derivative."""
    return Primitive(name, "elementwise", _infer_rule(name, kinds, result), fn)


bitand = _without_derivative("bitand", "iub", lambda x, y, params=(): np.bitwise_and(x, y))
bitor = _without_derivative("bitor", "iub", lambda x, y, params=(): np.bitwise_or(x, y))
bitxor = _without_derivative("bitxor", "iub", lambda x, y, params=(): np.bitwise_xor(x, y))
shl = _without_derivative("shl", "iu", _shift(False))
shr = _without_derivative("shr", "iu", _shift(True))
eq = _without_derivative("eq", "fiub", _predicate(np.equal), bool_)
ne = _without_derivative("ne", "fiub", _predicate(np.not_equal), bool_)
lt = _without_derivative("lt", "fiub", _predicate(np.less), bool_)
le = _without_derivative("le", "fiub", _predicate(np.less_equal), bool_)


def _where_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `where`."""
    condition, x, y = avals
    if not condition.dtype.is_bool:
        raise DTypeError(f"[where] expected a bool condition, got {condition.dtype.name}; compare first")
    same_dtype("where", (x, y))
    shape = broadcast_shapes("where", condition.shape, x.shape, y.shape)
    return aval_of(shape, x.dtype, condition.device)


where = Primitive(
    "where", "elementwise", _where_infer, lambda c, x, y, params=(): np.where(c, x, y),
    *_rules(
        None, lambda g, c, x, y, o: b.where(c, g, _const(0.0, g)), lambda g, c, x, y, o: b.where(c, _const(0.0, g), g)
    ),
)  # fmt: skip


def _cast_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `cast`."""
    return aval_of(avals[0].shape, params[0], avals[0].device)


def _cast(x: Any, params: Params) -> Any:
    """`cast` in NumPy; float to integer truncates and saturates."""
    target: DType = params[0]
    with np.errstate(all="ignore"):
        if x.dtype.kind in "fV" and target.is_integer:
            wide = x.astype(np.float64)
            low, high = np.iinfo(target.numpy).min, np.iinfo(target.numpy).max
            safe = np.where(np.isnan(wide), 0.0, np.clip(wide, float(low), float(high)))
            exact = np.where(safe >= float(high), 0.0, safe).astype(target.numpy)
            return np.where(safe >= float(high), target.numpy.type(high), exact)
        return x.astype(target.numpy)


cast = Primitive(
    "cast", "elementwise", _cast_infer, _cast,
    lambda g, args, out: (b.cast(g, args[0].aval.dtype) if args[0].aval.dtype.is_float else None,),
    lambda ts, args, out: b.cast(ts[0], out.aval.dtype) if ts[0] is not None and out.aval.dtype.is_float else None,
)  # fmt: skip


def _bitcast_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `bitcast`."""
    if avals[0].dtype.itemsize != params[0].itemsize:
        raise DTypeError(
            f"[bitcast] expected dtypes of one size, got {avals[0].dtype.name} and {params[0].name}; "
            "choose a dtype of that size"
        )
    return aval_of(avals[0].shape, params[0], avals[0].device)


bitcast = Primitive(
    "bitcast", "elementwise", _bitcast_infer, lambda x, params: np.ascontiguousarray(x).view(params[0].numpy).reshape(x.shape)
)  # fmt: skip


def _infer_first(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of the first operand."""
    return avals[0]


def _bounded(x: np.ndarray[Any, Any], params: Params) -> np.ndarray[Any, Any]:
    """The operand, after the check that `IndexOutOfRange` reports."""
    lower, upper, op = params
    if x.size and (x.min() < lower or x.max() >= upper):
        raise out_of_range(op, lower, upper, int(x.min() if x.min() < lower else x.max()))
    return x


bounded = Primitive("bounded", "elementwise", _infer_first, _bounded)
stop_gradient = Primitive("stop_gradient", "elementwise", _infer_first, lambda x, params=(): x)
barrier = Primitive(
    "barrier", "elementwise", _infer_first, lambda x, *others, params=(): x,
    lambda g, args, out: (g, *(None for _ in args[1:])), lambda ts, args, out: ts[0],
)  # fmt: skip
