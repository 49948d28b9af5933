"""Random programs: a step of a random kind is added until there are enough; see `growing` for which steps are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from growing import FLOATS, INTEGERS, Builder, Known, wide
from steps import Program, prune

from spiraltorch import dtypes
from spiraltorch.dtypes import DType

EVERYTHING = {
    "unary": 22, "binary": 30, "where": 6, "cast": 8, "reduce": 16, "scan": 3, "sort": 2, "view": 26, "concat": 5,
    "take": 5, "scatter": 4, "dot": 5, "conv": 2, "source": 2,
}  # fmt: skip
CONTRACTIONS = {"unary": 6, "binary": 10, "view": 8, "reduce": 3, "cast": 2, "dot": 12, "conv": 8}
FUSIBLE = {"unary": 20, "binary": 25, "reduce": 14, "view": 16, "where": 4, "cast": 3}


class Generator(Builder):
    """Grows a program step by step.

    Args:
        rng, limit, floats_only, floats: as in `Builder`.
        kinds: what may be generated, with weights.
    """

    def __init__(
        self, rng: np.random.Generator, limit: int, kinds: dict[str, int], floats_only: bool = False,
        floats: tuple[DType, ...] = FLOATS,
    ) -> None:  # fmt: skip
        super().__init__(rng, limit, floats_only, floats)
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
