"""Element-wise primitives: shapes broadcast as in NumPy, dtypes agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ...dtypes import DType, bool_
from ...errors import DeviceError, DTypeError, ShapeError, out_of_range
from .. import build as b
from ..node import Aval, Node, Params, Shape, aval_of
from ..primitive import Primitive


@lru_cache(maxsize=65536)
def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """NumPy's broadcast. Raises `ShapeError` naming the operation and both shapes."""
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


def same_device(name: str, avals: tuple[Aval, ...]) -> str:
    """The operands' device. Raises `DeviceError` where they differ."""
    for a in avals[1:]:
        if a.device != avals[0].device:
            raise DeviceError(
                f"[{name}] expected operands on one device, got {avals[0].device} and {a.device}; move one with .to()"
            )
    return avals[0].device


def same_dtype(name: str, avals: tuple[Aval, ...]) -> DType:
    """The operands' dtype. Raises `DTypeError` where they differ."""
    for a in avals[1:]:
        if a.dtype is not avals[0].dtype:
            raise DTypeError(
                f"[{name}] expected operands of one dtype, got {avals[0].dtype.name} and {a.dtype.name}; cast one"
            )
    return avals[0].dtype


def _rule(name: str, kinds: str, result: DType | None) -> Callable[[tuple[Aval, ...], Params], Aval]:
    words = {"f": "floating", "i": "integer", "u": "integer", "b": "bool"}

    def infer(avals: tuple[Aval, ...], params: Params) -> Aval:
        dtype = same_dtype(name, avals)
        if dtype.kind not in kinds:
            allowed = sorted({words[k] for k in kinds})
            raise DTypeError(f"[{name}] expected a {' or '.join(allowed)} dtype, got {dtype.name}; cast with .to()")
        shape = avals[0].shape if len(avals) == 1 else broadcast_shapes(name, *(a.shape for a in avals))
        return aval_of(shape, result or dtype, same_device(name, avals))

    return infer


def _wide(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Computes 16-bit floats in float32 and rounds once; keeps the dtype otherwise."""

    def meaning(*xs: Any, params: Params = ()) -> Any:
        dtype = xs[0].dtype
        with np.errstate(all="ignore"):
            if dtype.itemsize == 2 and dtype.kind in "fV":
                return np.asarray(fn(*[x.astype(np.float32) for x in xs])).astype(dtype)
            return np.asarray(fn(*xs)).astype(dtype, copy=False)

    return meaning


def _test(fn: Callable[..., Any]) -> Callable[..., Any]:
    def meaning(*xs: Any, params: Params = ()) -> Any:
        if xs[0].dtype.itemsize == 2 and xs[0].dtype.kind in "fV":
            xs = tuple([x.astype(np.float32) for x in xs])
        return fn(*xs)

    return meaning


def unbroadcast(g: Node, like: Node) -> Node:
    """Sums a cotangent back to the shape of an operand that was broadcast."""
    have, want = g.aval.shape, like.aval.shape
    if have == want:
        return g
    extra = len(have) - len(want)
    axes = tuple([d for d in range(len(have)) if d < extra or (want[d - extra] == 1 and have[d] != 1)])
    return b.reshape(b.reduce_sum(g, axes), want)


Partial = Callable[..., "Node | None"]  # (cotangent or tangent, *operands, result) -> its product with the derivative


def _rules(*partials: Partial | None) -> tuple[Any, Any]:
    """The vjp and the jvp. An element-wise derivative is diagonal, so that one formula serves both ways."""

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


def _c(value: float, like: Node) -> Node:
    return b.const(value, like.aval.dtype, like.aval.device)


def _erf(x: Any) -> Any:
    if x.dtype == np.float32:
        return _ERF(x.astype(np.float64)).astype(np.float32)
    return _ERF(x)


_ERF: Any = np.vectorize(math.erf, otypes=[np.float64])


def _unary(name: str, kinds: str, fn: Any, partial: Partial) -> Primitive:
    return Primitive(name, "elementwise", _rule(name, kinds, None), _wide(fn), *_rules(partial))


def _zero(*_: Node) -> None:
    """The derivative of a step function."""


def _one_minus_square(x: Node) -> Node:
    return b.sub(_c(1.0, x), b.mul(x, x))


def _one_plus_square(x: Node) -> Node:
    return b.add(_c(1.0, x), b.mul(x, x))


neg = _unary("neg", "fiu", np.negative, lambda g, x, y: b.neg(g))
abs_ = _unary("abs", "fiu", np.abs, lambda g, x, y: b.mul(g, b.sign(x)))
sign = _unary("sign", "fiu", np.sign, _zero)
floor = _unary("floor", "f", np.floor, _zero)
ceil = _unary("ceil", "f", np.ceil, _zero)
trunc = _unary("trunc", "f", np.trunc, _zero)
round_ = _unary("round", "f", np.rint, _zero)
sqrt = _unary("sqrt", "f", np.sqrt, lambda g, x, y: b.div(b.mul(g, _c(0.5, x)), y))
exp = _unary("exp", "f", np.exp, lambda g, x, y: b.mul(g, y))
expm1 = _unary("expm1", "f", np.expm1, lambda g, x, y: b.mul(g, b.add(y, _c(1.0, x))))
exp2 = _unary("exp2", "f", np.exp2, lambda g, x, y: b.mul(g, b.mul(y, _c(math.log(2), x))))
log = _unary("log", "f", np.log, lambda g, x, y: b.div(g, x))
log1p = _unary("log1p", "f", np.log1p, lambda g, x, y: b.div(g, b.add(x, _c(1.0, x))))
log2 = _unary("log2", "f", np.log2, lambda g, x, y: b.div(g, b.mul(x, _c(math.log(2), x))))
log10 = _unary("log10", "f", np.log10, lambda g, x, y: b.div(g, b.mul(x, _c(math.log(10), x))))
sin = _unary("sin", "f", np.sin, lambda g, x, y: b.mul(g, b.cos(x)))
cos = _unary("cos", "f", np.cos, lambda g, x, y: b.neg(b.mul(g, b.sin(x))))
tan = _unary("tan", "f", np.tan, lambda g, x, y: b.mul(g, _one_plus_square(y)))
asin = _unary("asin", "f", np.arcsin, lambda g, x, y: b.div(g, b.sqrt(_one_minus_square(x))))
acos = _unary("acos", "f", np.arccos, lambda g, x, y: b.neg(b.div(g, b.sqrt(_one_minus_square(x)))))
atan = _unary("atan", "f", np.arctan, lambda g, x, y: b.div(g, _one_plus_square(x)))
sinh = _unary("sinh", "f", np.sinh, lambda g, x, y: b.mul(g, b.cosh(x)))
cosh = _unary("cosh", "f", np.cosh, lambda g, x, y: b.mul(g, b.sinh(x)))
tanh = _unary("tanh", "f", np.tanh, lambda g, x, y: b.mul(g, _one_minus_square(y)))
asinh = _unary("asinh", "f", np.arcsinh, lambda g, x, y: b.div(g, b.sqrt(_one_plus_square(x))))
acosh = _unary("acosh", "f", np.arccosh, lambda g, x, y: b.div(g, b.sqrt(b.sub(b.mul(x, x), _c(1.0, x)))))
atanh = _unary("atanh", "f", np.arctanh, lambda g, x, y: b.div(g, _one_minus_square(x)))
erf = _unary(
    "erf", "f", _erf, lambda g, x, y: b.mul(g, b.mul(b.exp(b.neg(b.mul(x, x))), _c(2 / math.sqrt(math.pi), x)))
)
invert = Primitive("invert", "elementwise", _rule("invert", "iub", None), lambda x, params=(): np.invert(x))
isnan = Primitive("isnan", "elementwise", _rule("isnan", "f", bool_), _test(np.isnan))


def _binary(name: str, kinds: str, fn: Any, *partials: Partial) -> Primitive:
    return Primitive(name, "elementwise", _rule(name, kinds, None), _wide(fn), *_rules(*partials))


def _share(loses: Callable[[Node, Node], Node]) -> Partial:
    """All to the greater (or lesser) operand, half each where they are equal."""

    def partial(g: Node, x: Node, y: Node, out: Node) -> Node:
        tie = b.where(b.eq(x, y), b.mul(g, _c(0.5, g)), g)
        return b.where(loses(x, y), _c(0.0, g), tie)

    return partial


def _constant(x: Node) -> Any:
    """The number that every element of `x` is, where the program knows it."""
    while x.spec.prim is not None and x.spec.prim.name == "expand":
        (x,) = x.args
    return x.spec.params[0] if x.spec.prim is not None and x.spec.prim.name == "const" else None


def _pow_base(g: Node, x: Node, y: Node, out: Node) -> Node:
    known = _constant(y)
    if known in (1, 2):
        return g if known == 1 else b.mul(g, b.mul(y, x))
    slope = b.mul(g, b.mul(y, b.pow(x, b.sub(y, _c(1.0, y)))))
    return b.where(b.eq(y, _c(0.0, y)), _c(0.0, g), slope)


def _pow_exponent(g: Node, x: Node, y: Node, out: Node) -> Node:
    zero = _c(0.0, x)
    flat = b.bitand(b.eq(x, zero), b.le(zero, y))  # log(1) in place of log(0): the limit from the right is 0
    return b.mul(g, b.mul(out, b.log(b.where(flat, _c(1.0, x), x))))


def _norm(x: Node, y: Node) -> Node:
    return b.add(b.mul(x, x), b.mul(y, y))


def _int_division(fn: Any) -> Any:
    def meaning(x: Any, y: Any) -> Any:
        if x.dtype.kind == "f":
            return fn(x, y)
        zero = y == 0
        return np.where(zero, np.zeros((), x.dtype), fn(x, np.where(zero, np.ones((), y.dtype), y)))

    return meaning


def _pow(x: Any, y: Any) -> Any:
    if x.dtype.kind == "i" and np.any(y < 0):
        safe = np.where(y < 0, np.zeros((), y.dtype), y)
        small = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0)).astype(x.dtype)
        return np.where(y < 0, small, np.power(x, safe))
    return np.power(x, y)


def _shift(right: bool) -> Any:
    def meaning(x: Any, y: Any, params: Params = ()) -> Any:
        width = x.dtype.itemsize * 8
        big = (y >= width) | (y < 0)
        moved = (np.right_shift if right else np.left_shift)(x, np.where(big, np.zeros((), y.dtype), y))
        over = np.where(x < 0, -1, 0).astype(x.dtype) if right and x.dtype.kind == "i" else np.zeros((), x.dtype)
        return np.where(big, over, moved)

    return meaning


def _same(g: Node, x: Node, y: Node, out: Node) -> Node:
    return g


add = _binary("add", "fiub", np.add, _same, _same)
sub = _binary("sub", "fiu", np.subtract, _same, lambda g, x, y, o: b.neg(g))
mul = _binary("mul", "fiub", np.multiply, lambda g, x, y, o: b.mul(g, y), lambda g, x, y, o: b.mul(g, x))
maximum = _binary("maximum", "fiub", np.maximum, _share(lambda x, y: b.lt(x, y)), _share(lambda x, y: b.lt(y, x)))
minimum = _binary("minimum", "fiub", np.minimum, _share(lambda x, y: b.lt(y, x)), _share(lambda x, y: b.lt(x, y)))
div = _binary("div", "f", np.divide, lambda g, x, y, o: b.div(g, y), lambda g, x, y, o: b.neg(b.mul(b.div(g, y), o)))
pow_ = _binary("pow", "fiu", _pow, _pow_base, _pow_exponent)
atan2 = _binary(
    "atan2", "f", np.arctan2,
    lambda g, x, y, o: b.mul(g, b.div(y, _norm(x, y))), lambda g, x, y, o: b.neg(b.mul(g, b.div(x, _norm(x, y)))),
)  # fmt: skip
floordiv = _binary("floordiv", "fiu", _int_division(np.floor_divide), _zero, _zero)
mod = _binary(
    "mod", "fiu", _int_division(np.mod), _same, lambda g, x, y, o: b.neg(b.mul(g, b.floordiv(x, y)))
)  # fmt: skip


def _plain(name: str, kinds: str, fn: Any, result: DType | None = None) -> Primitive:
    return Primitive(name, "elementwise", _rule(name, kinds, result), fn)


bitand = _plain("bitand", "iub", lambda x, y, params=(): np.bitwise_and(x, y))
bitor = _plain("bitor", "iub", lambda x, y, params=(): np.bitwise_or(x, y))
bitxor = _plain("bitxor", "iub", lambda x, y, params=(): np.bitwise_xor(x, y))
shl = _plain("shl", "iu", _shift(False))
shr = _plain("shr", "iu", _shift(True))
eq = _plain("eq", "fiub", _test(np.equal), bool_)
ne = _plain("ne", "fiub", _test(np.not_equal), bool_)
lt = _plain("lt", "fiub", _test(np.less), bool_)
le = _plain("le", "fiub", _test(np.less_equal), bool_)


def _where_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    condition, x, y = avals
    if not condition.dtype.is_bool:
        raise DTypeError(f"[where] expected a bool condition, got {condition.dtype.name}; compare first")
    same_dtype("where", (x, y))
    shape = broadcast_shapes("where", condition.shape, x.shape, y.shape)
    return aval_of(shape, x.dtype, same_device("where", avals))


where = Primitive(
    "where", "elementwise", _where_infer, lambda c, x, y, params=(): np.where(c, x, y),
    *_rules(None, lambda g, c, x, y, o: b.where(c, g, _c(0.0, g)), lambda g, c, x, y, o: b.where(c, _c(0.0, g), g)),
)  # fmt: skip


def _cast_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    return aval_of(avals[0].shape, params[0], avals[0].device)


def _cast(x: Any, params: Params) -> Any:
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
    if avals[0].dtype.itemsize != params[0].itemsize:
        raise DTypeError(f"[bitcast] expected dtypes of one size, got {avals[0].dtype.name} and {params[0].name}")
    return aval_of(avals[0].shape, params[0], avals[0].device)


bitcast = Primitive(
    "bitcast", "elementwise", _bitcast_infer, lambda x, params: np.ascontiguousarray(x).view(params[0].numpy).reshape(x.shape)
)  # fmt: skip


def _first(avals: tuple[Aval, ...], params: Params) -> Aval:
    return avals[0]


def _bounded(x: np.ndarray[Any, Any], params: Params) -> np.ndarray[Any, Any]:
    lower, upper, op = params
    if x.size and (x.min() < lower or x.max() >= upper):
        raise out_of_range(op, lower, upper, int(x.min() if x.min() < lower else x.max()))
    return x


bounded = Primitive("bounded", "elementwise", _first, _bounded)
stop_gradient = Primitive("stop_gradient", "elementwise", _first, lambda x, params=(): x)
barrier = Primitive(
    "barrier", "elementwise", _first, lambda x, *others, params=(): x,
    lambda g, args, out: (g, *(None for _ in args[1:])), lambda ts, args, out: ts[0],
)  # fmt: skip
