"""A program that grows step by step, with the value and the expected rounding of each step.

A generated step is kept only where its result is well conditioned, so that a difference means a bug:
- `exact` values come out bit for bit from any correct order of evaluation. Only they feed comparisons, rounding, sorts,
  and casts to integers.
- Every other value has a shadow in float64, disturbed at each step by about the rounding of one operation. How far the
  shadow strays is the tolerance of the comparison; steps where it strays too far are not generated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from steps import Array, Program, Step, apply

from spiraltorch import dtypes
from spiraltorch.dtypes import DType
from spiraltorch.errors import SpiralTorchError
from spiraltorch.graph.node import Node

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


class Builder:
    """Adds random steps to a program, and chooses their operands.

    Args:
        rng: the source of all choices.
        limit: elements of one value, at most.
        floats_only: whether all values are float32.
        floats: the floating dtypes to choose from; the first is the usual one.
    """

    def __init__(
        self, rng: np.random.Generator, limit: int, floats_only: bool = False, floats: tuple[DType, ...] = FLOATS
    ) -> None:
        self.rng = rng
        self.floats = floats
        self.limit = limit
        self.floats_only = floats_only
        self.program = Program()
        self.known: list[Known] = []
        self.nodes: list[Node] = []

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
