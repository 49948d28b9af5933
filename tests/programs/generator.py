"""Random programs: steps that build a graph, with the value and the expected rounding of each step.

A generated step is kept only where its result is well conditioned, so that a difference means a bug:
- `exact` values come out bit for bit from any correct order of evaluation. Only they feed comparisons, rounding, sorts,
  and casts to integers.
- Every other value has a shadow in float64, disturbed at each step by about the rounding of one operation. How far the
  shadow strays is the tolerance of the comparison; steps where it strays too far are not generated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spiraltorch import dtypes
from spiraltorch.dtypes import DType
from spiraltorch.errors import SpiralTorchError
from spiraltorch.graph import build
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.runtime import device

Array = np.ndarray[Any, Any]
FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
INTEGERS = tuple(d for d in dtypes.ALL if d.is_integer)
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
MANTISSA = {"float16": 24, "bfloat16": 24, "float32": 24, "float64": 53}  # of what sums are accumulated in
WORST = {
    "float16": 8,
    "bfloat16": 8,
    "float32": 128,
    "float64": 128,
}  # units in the last place, of the greatest element

SUMS = frozenset(("reduce_sum", "cumsum", "dot", "conv", "scatter", "scatter_along"))
STEADY = frozenset(  # exact for exact operands, where the result is representable
    "neg abs_ sign floor ceil trunc round_ add sub mul maximum minimum where cast reshape expand permute pad slice flip "
    "windows concat reduce_max reduce_min cummax cummin take take_along barrier stop_gradient floordiv mod".split()
)


@dataclass(frozen=True)
class Step:
    """`build.<op>(*args, *params)`; the op `leaf` has its array as the only parameter.

    `stray` is how far correct results may lie apart; None where they are equal.
    """

    op: str
    args: tuple[int, ...] = ()
    params: tuple[Any, ...] = ()
    stray: float | None = None


@dataclass
class Program:
    """Steps in order, each naming earlier ones, and the steps whose values are wanted."""

    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def nodes(self, where: str = "cpu:0") -> list[Node]:
        """Fresh nodes on a device, one for each step."""
        made: list[Node] = []
        for step in self.steps:
            made.append(apply(step, [made[a] for a in step.args], where))
        return made


def apply(step: Step, args: list[Node], where: str = "cpu:0") -> Node:
    """The node of one step."""
    if step.op == "leaf":
        array = step.params[0]
        aval = aval_of(array.shape, dtypes.from_numpy(array.dtype), where)
        return leaf(device.get(where).from_host(array.copy()), aval)
    if step.op == "concat":
        return build.concat(tuple(args), *step.params)
    if step.op in ("const", "scalar", "iota"):
        return getattr(build, step.op)(*step.params, device=where)  # type: ignore[no-any-return]
    node: Node = getattr(build, step.op)(*args, *step.params)
    return node


def wide(array: Any) -> Array:
    """Floats as float64."""
    array = np.asarray(array)
    return array.astype(np.float64) if array.dtype.kind in "fV" else array


@dataclass
class Known:
    """What the generator knows of a step."""

    value: Array
    shadow: Array
    dtype: DType
    exact: bool

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def stray(self) -> float:
        """How far the shadow is from the value, at most."""
        if self.exact or self.value.size == 0:
            return 0.0
        return float(np.max(np.abs(self.shadow - wide(self.value))))


class Generator:
    """Grows a program step by step. `limit`: elements of one value; `kinds`: what may be generated, with weights."""

    def __init__(
        self, rng: np.random.Generator, limit: int, kinds: dict[str, int], floats_only: bool = False,
        floats: tuple[DType, ...] = FLOATS,
    ) -> None:  # fmt: skip
        self.rng = rng
        self.floats = floats  # the first is the usual one
        self.limit = limit
        self.floats_only = floats_only
        self.program = Program()
        self.known: list[Known] = []
        self.nodes: list[Node] = []
        names = list(kinds)
        weights = np.array([kinds[n] for n in names], float)
        self.names, self.weights = names, weights / weights.sum()

    def grow(self, count: int) -> Program:
        """`count` operations beside leaves; outputs are what nothing reads, and sometimes something else."""
        self.new_leaf(self.dtype(), self.shape())
        made = tries = 0
        while made < count and tries < 40 * count:
            tries += 1
            kind = str(self.rng.choice(self.names, p=self.weights))
            if getattr(self, f"make_{kind}")() is not None:
                made += 1
        used = {a for step in self.program.steps for a in step.args}
        sinks = [n for n, s in enumerate(self.program.steps) if n not in used and s.op != "leaf"]
        extra = [n for n, s in enumerate(self.program.steps) if n in used and self.chance(0.1)]
        self.program.outputs = [*sinks, *extra] or [len(self.program.steps) - 1]
        return prune(self.program)

    # ------------------------------------------------------------ choices

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def dtype(self) -> DType:
        if self.floats_only:
            return dtypes.float32
        kind = self.rng.random()
        if kind < 0.45:
            return dtypes.float32
        if kind < 0.7:
            return self.floats[int(self.rng.integers(1, len(self.floats)))]
        return dtypes.bool_ if kind > 0.95 else INTEGERS[int(self.rng.integers(len(INTEGERS)))]

    def shape(self, rank: int | None = None) -> tuple[int, ...]:
        """Odd extents, powers of two and their neighbours, ones, and rarely zero."""
        rank = int(self.rng.choice(5, p=[0.06, 0.24, 0.36, 0.24, 0.1])) if rank is None else rank
        while True:
            top = max(2.0, self.limit ** (1 / max(rank, 1)) * 2)
            extents = []
            for _ in range(rank):
                e = int(self.pick((1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 64, 65, 100, 128, 257, 1000)))
                e = int(self.rng.integers(1, self.limit + 1)) if self.chance(0.05) else e
                extents.append(0 if self.chance(0.01) else e if e <= top else int(self.rng.integers(1, int(top) + 1)))
            if int(np.prod(extents)) <= self.limit:
                return tuple(extents)

    def data(self, dtype: DType, shape: tuple[int, ...], low: int | None = None, high: int | None = None) -> Array:
        """Values for a leaf; integers in [low, high) where given."""
        if low is not None:
            assert high is not None
            return np.asarray(self.rng.integers(low, high, shape)).astype(dtype.numpy)
        if dtype.is_bool:
            return np.asarray(self.rng.integers(0, 2, shape)).astype(np.bool_)
        if dtype.is_integer:
            if self.chance(0.25):
                info = np.iinfo(dtype.numpy)
                return np.asarray(self.rng.integers(info.min, info.max, shape, dtype.numpy, endpoint=True))
            return np.asarray(self.rng.integers(0 if dtype.kind == "u" else -9, 10, shape)).astype(dtype.numpy)
        roll = self.rng.random()
        if roll < 0.5:
            return np.asarray(self.rng.integers(-16, 17, shape) / 4).astype(dtype.numpy)
        values = np.asarray(self.rng.normal(size=shape) if roll < 0.75 else self.rng.uniform(0.5, 2.0, shape))
        if roll > 0.97:
            flat = values.reshape(-1)
            for special in (np.nan, np.inf, -np.inf):
                if flat.size:
                    flat[int(self.rng.integers(flat.size))] = special
        return values.astype(dtype.numpy)

    def some(self, test: Callable[[Known], bool] = lambda k: True) -> int | None:
        """A step for which the test holds; later ones are likelier."""
        fitting = [n for n, k in enumerate(self.known) if test(k)]
        if not fitting:
            return None
        return fitting[-1] if self.chance(0.5) else int(self.pick(fitting))

    # ------------------------------------------------------------ adding steps

    def new_leaf(self, dtype: DType, shape: tuple[int, ...], array: Array | None = None) -> int:
        if array is None:
            array = self.data(dtype, shape)
        return self._append(Step("leaf", (), (array,)), Known(array, wide(array), dtype, True))

    def _append(self, step: Step, known: Known) -> int:
        self.program.steps.append(Step(step.op, step.args, step.params, None if known.exact else known.stray))
        self.known.append(known)
        self.nodes.append(apply(step, [self.nodes[a] for a in step.args]))
        return len(self.known) - 1

    def add(self, op: str, *args: int, params: tuple[Any, ...] = ()) -> int | None:
        """Appends a step, or gives None where it is not allowed, does nothing, or is badly conditioned."""
        step = Step(op, args, params)
        operands = [self.nodes[a] for a in args]
        try:
            node = apply(step, operands)
        except SpiralTorchError:
            return None
        if any(node is o for o in operands) or node.aval.size > 2 * self.limit:
            return None
        known = self._known(op, node, [self.known[a] for a in args])
        return None if known is None else self._append(step, known)

    def _known(self, op: str, node: Node, args: list[Known]) -> Known | None:
        prim, dtype = node.spec.prim, node.aval.dtype
        assert prim is not None
        meaning, parameters = prim.reference, node.spec.params
        with np.errstate(all="ignore"):
            if op == "scalar":
                value = np.asarray(meaning(node.scalar, params=parameters))
                return Known(value, wide(value), dtype, True)
            value = np.asarray(meaning(*[a.value for a in args], params=parameters))
            exact_args = all(a.exact for a in args)
            if not dtype.is_float or op == "bitcast":
                return Known(value, wide(value), dtype, True) if exact_args else None
            shadow_of_cast = op == "cast" and args[0].dtype.is_float
            shadow = args[0].shadow if shadow_of_cast else wide(meaning(*[a.shadow for a in args], params=parameters))
            if op == "cast" and not args[0].dtype.is_float:
                shadow = args[0].value.astype(np.float64)
            size: Array | float = np.abs(shadow)
            if op in SUMS:
                size = np.abs(wide(meaning(*[_magnitude(a.shadow) for a in args], params=parameters)))
        if exact_args and self._is_exact(op, dtype, args, value, shadow, size):
            return Known(value, wide(value), dtype, True)
        if not np.all(np.isfinite(wide(value))) or not np.all(np.isfinite(shadow)):
            return None
        terms = max(1.0, max([a.value.size for a in args], default=1) / max(1, value.size))
        unit = EPS[dtype.name] * (1.0 if dtype.itemsize == 2 else 4.0)
        if op in SUMS or op == "reduce_prod":
            unit += EPS["float32" if dtype.itemsize == 2 else dtype.name] * (4 + terms**0.5)
        if op not in STEADY or op in ("add", "sub", "mul", "cast"):
            shadow = shadow + size * unit * self.rng.uniform(-1, 1, shadow.shape)
        known = Known(value, shadow, dtype, False)
        scale = float(np.max(np.abs(wide(value)), initial=0.0))
        if scale > 1e4 or (0 < scale < 1e-3) or known.stray > WORST[dtype.name] * EPS[dtype.name] * scale:
            return None
        return known

    def _is_exact(
        self, op: str, dtype: DType, args: list[Known], value: Array, shadow: Array, size: Array | float
    ) -> bool:
        """Whether every order of evaluation, with or without fused multiply-add, gives these bits."""
        if op in ("const", "iota"):
            return True
        if op == "cast" and not (args[0].dtype.is_float and args[0].dtype.itemsize > dtype.itemsize):
            return bool(np.array_equal(wide(value), shadow, equal_nan=True))
        if op in SUMS:
            if op.startswith("scatter") and self._mode == "set":
                return True
            digits = sum(_digits(a.value) for a in args if a.dtype.is_float) if op in ("dot", "conv") or (
                op.startswith("scatter") and self._mode == "mul"
            ) else max(_digits(a.value) for a in args if a.dtype.is_float)  # fmt: skip
            if (
                not np.all(np.isfinite(size))
                or float(np.max(size, initial=0.0)) * 2.0**digits >= 2.0 ** MANTISSA[dtype.name]
            ):
                return False
            return bool(np.array_equal(wide(value), shadow))
        if op not in STEADY:
            return False
        if op in ("add", "sub", "mul", "floordiv", "mod"):
            if dtype is dtypes.float64 and max([_digits(a.value) for a in args]) > 8:
                return False
            finite = np.abs(shadow[np.isfinite(shadow)])
            if float(np.max(finite, initial=0.0)) >= 2.0**16:
                return False
        return bool(np.array_equal(wide(value), shadow, equal_nan=True))

    _mode = "set"  # of the scatter that is being added

    # ------------------------------------------------------------ kinds of steps

    def partner(self, n: int, low: int | None = None, high: int | None = None) -> int | None:
        """Something of the same dtype that broadcasts with step `n`."""
        k = self.known[n]
        if low is None and self.chance(0.5):

            def fits(o: Known) -> bool:
                try:
                    return int(np.prod(np.broadcast_shapes(o.shape, k.shape))) <= self.limit and o.dtype is k.dtype
                except ValueError:
                    return False

            found = self.some(fits)
            if found is not None and (found != n or self.chance(0.3)):
                return found
        if self.chance(0.25):
            value = int(self.rng.integers(0 if low is None else low, 3 if high is None else high))
            number: Any = bool(value % 2) if k.dtype.is_bool else value if k.dtype.is_integer else float(value)
            return self.add("const", params=(number, k.dtype)) if self.chance(0.5) else self.add(
                "scalar", params=(number if k.dtype.is_bool or k.dtype.is_integer else number + 0.25, k.dtype)
            )  # fmt: skip
        shape = tuple([1 if self.chance(0.3) else e for e in k.shape])
        if self.chance(0.3):
            shape = shape[int(self.rng.integers(len(shape) + 1)) :]
        array = None if low is None else self.data(k.dtype, shape, low, high)
        return self.new_leaf(k.dtype, shape, array)

    def make_unary(self) -> int | None:
        n = self.some(lambda k: not k.dtype.is_bool)
        if n is None:
            return None
        k = self.known[n]
        if k.dtype.is_integer:
            return self.add(self.pick(("neg", "abs_", "sign", "invert")), n)
        names = ["neg", "abs_", "sin", "cos", "tanh", "atan", "asinh", "erf", "stop_gradient", "isnan", "barrier"]
        if k.exact:
            names += ["sign", "floor", "ceil", "trunc", "round_"]
        values = wide(k.value)
        top, bottom = (float(values.max()), float(values.min())) if values.size else (0.0, 0.0)
        if -12 < bottom and top < 6:
            names += ["exp", "expm1", "exp2", "sinh", "cosh"]
        if bottom > 0.01:
            names += ["sqrt", "log", "log2", "log10", "log1p"]
        if bottom >= -0.95 and top <= 0.95:
            names += ["asin", "acos", "atanh", "log1p", "tan"]
        if bottom >= 1.05:
            names.append("acosh")
        return self.add(self.pick(names), n)

    def make_binary(self) -> int | None:
        n = self.some()
        if n is None:
            return None
        k = self.known[n]
        if k.dtype.is_bool:
            names = ["add", "mul", "maximum", "minimum", "bitand", "bitor", "bitxor", "eq", "ne", "lt", "le"]
        elif k.dtype.is_integer:
            names = "add sub mul maximum minimum pow floordiv mod bitand bitor bitxor shl shr eq ne lt le".split()
        else:
            names = ["add", "sub", "mul", "maximum", "minimum"] * 2 + ["div", "pow", "atan2"]
            if k.exact:
                names += ["eq", "ne", "lt", "le", "floordiv", "mod"]
        op = str(self.pick(names))
        other = self.partner(n, 0, 6) if op in ("pow", "shl", "shr") and k.dtype.is_integer else self.partner(n)
        if other is None:
            return None
        pair = (n, other) if self.chance(0.6) or (op == "pow" and k.dtype.is_integer) else (other, n)
        x, y = self.known[pair[0]].value, wide(self.known[pair[1]].value)
        if k.dtype.is_float:
            if op in ("div", "floordiv", "mod", "atan2") and (y.size and np.min(np.abs(y)) < 0.2):
                return None
            if op == "pow" and ((x.size and np.min(wide(x)) < 0.1) or (y.size and np.max(np.abs(y)) > 6)):
                return None
        return self.add(op, *pair)

    def make_where(self) -> int | None:
        c = self.some(lambda k: k.dtype.is_bool)
        if c is None:
            n = self.some(lambda k: k.exact and k.dtype.is_float)
            other = None if n is None else self.partner(n)
            c = None if other is None or n is None else self.add("lt", n, other)
        if c is None:
            return None

        def fits(o: Known) -> bool:
            try:
                return int(np.prod(np.broadcast_shapes(o.shape, self.known[c].shape))) <= self.limit
            except ValueError:
                return False

        x = self.some(fits)
        if x is None:
            return None
        y = self.partner(x)
        return None if y is None else self.add("where", c, *((x, y) if self.chance(0.5) else (y, x)))

    def make_cast(self) -> int | None:
        n = self.some()
        if n is None:
            return None
        k, target = self.known[n], self.dtype()
        if self.chance(0.15) and k.exact and not k.dtype.is_bool and np.all(wide(k.value) != 0) and k.dtype.is_float:
            same = [d for d in INTEGERS if d.itemsize == k.dtype.itemsize]
            return None if np.any(np.isnan(wide(k.value))) else self.add("bitcast", n, params=(self.pick(same),))
        if k.dtype.is_float and target.is_integer:
            info, values = np.iinfo(target.numpy), wide(k.value)
            if not np.all(np.isfinite(values)) or np.any(values < info.min) or np.any(values > info.max // 2):
                return None
        return self.add("cast", n, params=(target,))

    def make_reduce(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0)
        if n is None:
            return None
        k = self.known[n]
        rank = len(k.shape)
        if self.chance(0.25):
            return self.add(self.pick(("argmax", "argmin")), n, params=(int(self.rng.integers(rank)),))
        axes = tuple([d for d in range(rank) if self.chance(0.5)]) or (int(self.rng.integers(rank)),)
        axes = tuple(range(rank)) if self.chance(0.1) else axes
        ops = ["reduce_max", "reduce_min"] if k.dtype.is_bool else ["reduce_sum"] * 3 + ["reduce_max", "reduce_min"]
        if not k.dtype.is_bool and (k.dtype.is_integer or k.value.size <= 64):
            ops.append("reduce_prod")
        done = self.add(self.pick(ops), n, params=(axes,))
        if done is not None and self.chance(0.5):  # back to the shape that was reduced: normalisation
            kept = tuple([1 if d in axes else e for d, e in enumerate(k.shape)])
            shaped = done if kept == self.known[done].shape else self.add("reshape", done, params=(kept,))
            if shaped is not None:
                return self.add(self.pick(("sub", "mul", "add", "maximum")), n, shaped) if not k.dtype.is_bool else done
        return done

    def make_scan(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0 and not k.dtype.is_bool)
        if n is None:
            return None
        axis = int(self.rng.integers(len(self.known[n].shape)))
        ops = ["cumsum", "cummax", "cummin"] + (["cumprod"] if self.known[n].dtype.is_integer else [])
        return self.add(self.pick(ops), n, params=(axis, self.chance(0.4)))

    def make_sort(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0 and k.exact)
        if n is None:
            return None
        axis = int(self.rng.integers(len(self.known[n].shape)))
        order = self.add("argsort", n, params=(axis, self.chance(0.5)))
        return order if order is None or self.chance(0.4) else self.add("take_along", n, order, params=(axis,))

    def make_view(self) -> int | None:
        n = self.some()
        if n is None:
            return None
        shape = self.known[n].shape
        rank = len(shape)
        rng = self.rng
        op = self.pick(("reshape", "reshape", "permute", "permute", "expand", "pad", "slice", "flip", "windows"))
        if op == "reshape":
            return self.add("reshape", n, params=(self._other_shape(shape),))
        if op == "permute":
            return self.add("permute", n, params=(tuple(int(a) for a in rng.permutation(rank)),))
        if op == "expand":
            wider = tuple([int(self.pick((2, 3, 5, 16))) if e == 1 and self.chance(0.7) else e for e in shape])
            return self.add("expand", n, params=(((int(self.pick((2, 3))),) if self.chance(0.4) else ()) + wider,))
        if op == "pad":
            pads = tuple([tuple([int(rng.integers(4)) if self.chance(0.4) else 0 for _ in range(3)]) for _ in shape])
            return self.add("pad", n, params=(pads, int(rng.integers(2))))
        if op == "slice":
            bounds = [sorted(int(v) for v in rng.integers(0, e + 1, 2)) if self.chance(0.6) else [0, e] for e in shape]
            steps = tuple([int(self.pick((1, 1, 1, 2, 3))) for _ in shape])
            if any(a == b for (a, b), e in zip(bounds, shape) if e) and self.chance(0.9):
                return None
            return self.add("slice", n, params=(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), steps))
        if op == "flip":
            return self.add("flip", n, params=(tuple([d for d in range(rank) if self.chance(0.5)]),))
        axes = tuple([d for d in range(rank) if self.chance(0.4) and shape[d] > 1][:2])
        if not axes or rank > 3:
            return None
        sizes = tuple([int(rng.integers(1, min(4, shape[d]) + 1)) for d in axes])
        ones = tuple([int(self.pick((1, 1, 2, 3))) for _ in axes])
        return self.add("windows", n, params=(axes, sizes, ones, tuple([int(self.pick((1, 1, 2))) for _ in axes])))

    def _other_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Joins and splits axes at random."""
        size = int(np.prod(shape))
        if size == 0:
            return tuple(reversed(shape))
        made: list[int] = []
        while size > 1 and len(made) < 4 and self.chance(0.75):
            divisors = [d for d in range(1, min(size, 300) + 1) if size % d == 0]
            e = int(self.pick(divisors))
            made.append(e)
            size //= e
        made.insert(int(self.rng.integers(len(made) + 1)), size)
        return tuple(made)

    def make_concat(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0)
        if n is None:
            return None
        k = self.known[n]
        axis = int(self.rng.integers(len(k.shape)))
        parts = [n]
        for _ in range(int(self.rng.integers(1, 3))):

            def fits(o: Known) -> bool:
                return o.dtype is k.dtype and len(o.shape) == len(k.shape) and all(
                    p == q for d, (p, q) in enumerate(zip(o.shape, k.shape)) if d != axis
                )  # fmt: skip

            shape = tuple([int(self.rng.integers(1, 6)) if d == axis else e for d, e in enumerate(k.shape)])
            found = self.some(fits) if self.chance(0.6) else None
            parts.append(self.new_leaf(k.dtype, shape) if found is None else found)
        self.rng.shuffle(parts)
        return self.add("concat", *(int(p) for p in parts), params=(axis,))

    def make_take(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0 and k.value.size > 0)
        if n is None:
            return None
        k = self.known[n]
        axis = int(self.rng.integers(len(k.shape)))
        extent = k.shape[axis]
        along = self.chance(0.5)
        if along:
            shape = tuple([int(self.rng.integers(1, 9)) if d == axis else e for d, e in enumerate(k.shape)])
        else:
            shape = self.pick(((), (1,), (5,), (3, 2), (17,)))
        idx = self._indices(shape, extent, 2 if self.chance(0.2) else 0)
        return None if idx is None else self.add("take_along" if along else "take", n, idx, params=(axis,))

    def _indices(self, shape: tuple[int, ...], extent: int, beyond: int) -> int | None:
        """Integers in [0, extent), or a little beyond; sometimes computed."""
        kinds = (
            [dtypes.int64, dtypes.int32, dtypes.uint8] if extent <= 120 and not beyond else [dtypes.int64, dtypes.int32]
        )
        dtype = self.pick(kinds)
        array = self.data(dtype, shape, -beyond, extent + beyond)
        made: int | None = self.new_leaf(dtype, shape, array)
        if self.chance(0.25) and made is not None:
            top = self.add("const", params=(max(extent - 1, 0), dtype))
            made = None if top is None else self.add("sub", top, made)
        return made

    def make_scatter(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0 and k.value.size > 0 and not k.dtype.is_bool)
        if n is None:
            return None
        k = self.known[n]
        axis = int(self.rng.integers(len(k.shape)))
        along = self.chance(0.5)
        if along:
            shape = tuple([int(self.rng.integers(1, 9)) if d == axis else e for d, e in enumerate(k.shape)])
            upd_shape = shape
        else:
            shape = self.pick(((), (1,), (5,), (3, 2), (17,)))
            upd_shape = k.shape[:axis] + shape + k.shape[axis + 1 :]
        if int(np.prod(upd_shape)) > self.limit:
            return None
        idx = self._indices(shape, k.shape[axis], 2 if self.chance(0.3) else 0)
        upd = self.some(lambda o: o.shape == upd_shape and o.dtype is k.dtype)
        if upd is None or self.chance(0.5):
            upd = self.new_leaf(k.dtype, upd_shape)
        self._mode = self.pick(("set", "add", "add", "max", "min", "mul"))
        if idx is None:
            return None
        return self.add("scatter_along" if along else "scatter", n, idx, upd, params=(axis, self._mode))

    def make_dot(self) -> int | None:
        n = self.some(lambda k: len(k.shape) > 0 and (not k.dtype.is_bool or self.chance(0.1)))
        if n is None:
            return None
        k = self.known[n]
        roles = [str(self.rng.choice(("contract", "free", "batch"), p=(0.4, 0.4, 0.2))) for _ in k.shape]
        if "contract" not in roles:
            roles[-1] = "contract"
        contract = [d for d, r in enumerate(roles) if r == "contract"]
        batch = [d for d, r in enumerate(roles) if r == "batch"]
        room = max(1, self.limit // max(1, int(np.prod([k.shape[d] for d, r in enumerate(roles) if r != "contract"]))))
        free = [
            min(room, int(self.pick((1, 2, 5, 8, 16, 17, 33, 64, 100))))
            for _ in range(int(self.rng.choice(3, p=(0.15, 0.7, 0.15))))
        ]
        if len(free) == 2:
            free[1] = max(1, min(free[1], room // max(1, free[0])))
        axes: list[tuple[str, int]] = [("c", d) for d in contract] + [("b", d) for d in batch]
        axes += [("f", d) for d in range(len(free))]
        axes = [axes[int(i)] for i in self.rng.permutation(len(axes))]
        shape = tuple([free[d] if kind == "f" else k.shape[d] for kind, d in axes])
        if int(np.prod(shape)) > 4 * self.limit or k.value.size * int(np.prod(free)) > 1 << 22:
            return None
        y = self.some(lambda o: o.shape == shape and o.dtype is k.dtype)
        if y is None or self.chance(0.5):
            y = self.new_leaf(k.dtype, shape)
        place = {(kind, d): at for at, (kind, d) in enumerate(axes)}
        yc = tuple([place["c", d] for d in contract])
        yb = tuple([place["b", d] for d in batch])
        return self.add("dot", n, y, params=(tuple(contract), yc, tuple(batch), yb))

    def make_conv(self) -> int | None:
        n = self.some(lambda k: 4 <= len(k.shape) <= 5 and not k.dtype.is_bool and k.value.size > 0)
        if n is None or self.chance(0.5):
            rank = int(self.pick((1, 1, 2, 2)))
            lead = (int(self.pick((1, 2, 3))), int(self.pick((1, 1, 2, 3))), int(self.pick((1, 2, 3, 8))))
            room = max(1, self.limit // int(np.prod(lead)))
            top = max(2, int(room ** (1 / rank)))
            space = tuple([int(self.rng.integers(1, min(top, 40) + 1)) for _ in range(rank)])
            dtype = self.dtype()
            if dtype.is_bool:
                return None
            n = self.new_leaf(dtype, (*lead, *space))
            if self.chance(0.4):
                n = self.add("abs_", n) or n
        k = self.known[n]
        _, groups, channels, *extents = k.shape
        kernel, strides, pads, lhs, rhs = [], [], [], [], []
        for e in extents:
            size, dilation = int(self.pick((1, 2, 3, 3, 5))), int(self.pick((1, 1, 2)))
            lo, hi = (int(v) for v in self.rng.integers(0, 3, 2)) if self.chance(0.7) else (0, 0)
            lo = -1 if self.chance(0.05) and e > 6 else lo
            spread = int(self.pick((1, 1, 1, 2)))
            kernel.append(size)
            strides.append(int(self.pick((1, 1, 2, 3))))
            pads.append((lo, hi))
            lhs.append(spread)
            rhs.append(dilation)
        w = self.new_leaf(k.dtype, (groups, int(self.pick((1, 2, 5, 8, 16, 17))), channels, *kernel))
        params = (tuple(strides), tuple(pads), tuple(lhs), tuple(rhs))
        return self.add("conv", n, w, params=params)

    def make_source(self) -> int | None:
        roll, shape = self.rng.random(), self.shape()
        if roll < 0.4 and shape:
            dtype = self.pick((dtypes.int64, dtypes.int32, dtypes.float32))
            return self.add("iota", params=(shape, int(self.rng.integers(len(shape))), dtype))
        if roll < 0.7:
            seed = self.add("scalar", params=(int(self.rng.integers(1 << 62)), dtypes.uint64))
            counter = self.add("scalar", params=(int(self.rng.integers(1 << 40)), dtypes.uint64))
            return None if seed is None or counter is None else self.add("random_bits", seed, counter, params=(shape,))
        return self.new_leaf(self.dtype(), shape)


def _magnitude(x: Array) -> Array:
    """Absolute values of floats; indices as they are."""
    return np.abs(x) if x.dtype.kind == "f" else x


def _digits(x: Array) -> int:
    """The binary digits after the point that the values need; 64 where more than 12."""
    values = wide(x)
    for digits in range(13):
        scaled = values * 2.0**digits
        if np.array_equal(scaled, np.rint(scaled)):
            return digits
    return 64


def prune(program: Program) -> Program:
    """Without the steps that no output needs."""
    needed: set[int] = set()
    stack = list(program.outputs)
    while stack:
        n = stack.pop()
        if n not in needed:
            needed.add(n)
            stack += program.steps[n].args
    number = {old: new for new, old in enumerate(sorted(needed))}
    steps = [
        Step(s.op, tuple(number[a] for a in s.args), s.params, s.stray)
        for n, s in enumerate(program.steps)
        if n in needed
    ]
    return Program(steps, [number[o] for o in program.outputs])


EVERYTHING = {
    "unary": 22, "binary": 30, "where": 6, "cast": 8, "reduce": 16, "scan": 3, "sort": 2, "view": 26, "concat": 5,
    "take": 5, "scatter": 4, "dot": 5, "conv": 2, "source": 2,
}  # fmt: skip
CONTRACTIONS = {"unary": 6, "binary": 10, "view": 8, "reduce": 3, "cast": 2, "dot": 12, "conv": 8}
FUSIBLE = {"unary": 20, "binary": 25, "reduce": 14, "view": 16, "where": 4, "cast": 3}
