"""Tensor ops: the operations of arrays, with all dtypes of the device, compared with NumPy and explicit loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import spiraltorch as st

from ...typing import NDArray
from .checking import dtype, equal, expect, probe, raises, supported, tolerance

SIZES = (1, 33, 257)  # below and across the widths of vectors and groups
_erf = np.vectorize(math.erf, otypes=[np.float64])
FLOAT_FUNCTIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "exp": np.exp, "expm1": np.expm1, "log": lambda x: np.log(np.abs(x) + 0.5), "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "atan": np.arctan, "sinh": np.sinh, "erf": _erf, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "round": np.round, "sqrt": lambda x: np.sqrt(np.abs(x) + 0.5), "sign": np.sign, "abs": np.abs,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip
SHIFTED = ("log", "sqrt")  # taken of |x| + 0.5


def numbers(rng: np.random.Generator, name: str, shape: int | tuple[int, ...]) -> NDArray:
    """Small numbers of a dtype: floats of both signs, integers that do not overflow in a product."""
    kind = st.dtypes.BY_NAME[name].kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind == "f":
        return (rng.standard_normal(shape) * 2).astype(dtype(name))
    return rng.integers(0 if kind == "u" else -9, 10, shape).astype(dtype(name))


@probe(seconds=240)
def elementwise(device: str) -> str:
    """Arithmetic and functions of one element equal NumPy on every dtype of the device."""
    rng = np.random.default_rng(0)
    for name in supported(device):
        for n in SIZES:
            a, b = numbers(rng, name, n), numbers(rng, name, n)
            x, y = st.asarray(a), st.asarray(b)
            kind = x.dtype.kind
            if kind == "b":
                equal("bool and", x & y, a & b)
                equal("bool or", x | y, a | b)
                equal("bool not", ~x, ~a)
            elif kind == "f":
                _floats(name, a, b)
            else:
                equal(f"{name} (x + y) * 2", (x + y) * 2, (a + b) * dtype(name).type(2))
                equal(f"{name} x * y - x", x * y - x, a * b - a)
                divisor = np.where(b == 0, dtype(name).type(3), b)
                equal(f"{name} //", x // st.asarray(divisor), a // divisor)
                equal(f"{name} %", x % st.asarray(divisor), a % divisor)
                equal(f"{name} bits", (x & y) ^ (x | y), (a & b) ^ (a | b))
                equal(f"{name} shift", (x & 7) << 2, (a & dtype(name).type(7)) << dtype(name).type(2))
    return f"{len(supported(device))} dtypes"


def _floats(name: str, a: NDArray, b: NDArray) -> None:
    rtol = tolerance(name)
    x, y = st.asarray(a), st.asarray(b)
    wide, other = a.astype(np.float64), b.astype(np.float64)
    equal(f"{name} x * y + x", x * y + x, wide * other + wide, 4 * rtol, 16 * rtol)
    equal(f"{name} x / y", x / (y.abs() + 1), wide / (np.abs(other) + 1), 2 * rtol)
    equal(f"{name} pow", (x.abs() + 0.5) ** 1.5, (np.abs(wide) + 0.5) ** 1.5, 8 * rtol)
    equal(f"{name} where", st.where(x < y, x, y), np.minimum(wide, other))
    for function, reference in FLOAT_FUNCTIONS.items():
        given = x.abs() + 0.5 if function in SHIFTED else x
        equal(f"{name} {function}", getattr(st, function)(given), reference(wide), 8 * rtol)


@probe()
def comparisons_and_nan(device: str) -> None:
    """Comparisons, NaN, infinities and signed zeros follow IEEE 754."""
    special = [0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, math.nan]
    for name in [n for n in supported(device) if st.dtypes.BY_NAME[n].is_float]:
        a = np.repeat(np.array(special, dtype(name)), len(special))
        b = np.tile(np.array(special, dtype(name)), len(special))
        x, y = st.asarray(a), st.asarray(b)
        with np.errstate(all="ignore"):
            for what, got, want in (
                ("==", x == y, a == b), ("!=", x != y, a != b), ("<", x < y, a < b), ("<=", x <= y, a <= b),
                (">", x > y, a > b), (">=", x >= y, a >= b), ("isnan", st.isnan(x), np.isnan(a)),
                ("isinf", st.isinf(x), np.isinf(a)), ("isfinite", st.isfinite(x), np.isfinite(a)),
            ):  # fmt: skip
                equal(f"{name} {what}", got, want)
            equal(f"{name} maximum", st.maximum(x, y), np.maximum(a, b))
            equal(f"{name} minimum", st.minimum(x, y), np.minimum(a, b))
            equal(f"{name} +", x + y, a + b)
        equal(f"{name} max of NaN", x.max(), np.array(math.nan))
        equal(f"{name} sign of zero", 1 / st.asarray(np.array([0.0, -0.0], dtype(name))), [math.inf, -math.inf])


@probe()
def casts(device: str) -> str:
    """Every dtype converts to every other, as NumPy converts it."""
    names, count = supported(device), 0
    values = np.array([0, 1, 2, 5, 100, 1, 0, 3])
    for source in names:
        a = values.astype(dtype(source))
        for target in names:
            equal(f"{source} to {target}", st.asarray(a).astype(st.dtypes.BY_NAME[target]), a.astype(dtype(target)))
            count += 1
    if "float32" in names and "int32" in names:
        a = np.array([-2.9, -0.5, 0.5, 2.9], np.float32)
        equal("float32 to int32 truncates", st.asarray(a).astype(st.int32), a.astype(np.int32))
    return f"{count} pairs"


@probe(seconds=240)
def reductions(device: str) -> str:
    """Sums, products, extremes, means, variances, arguments of extremes and scans equal NumPy over any axes."""
    rng = np.random.default_rng(1)
    names = [n for n in supported(device) if n != "bool"]
    for name in names:
        for shape, axis in (((5,), 0), ((33, 70), 1), ((33, 70), 0), ((4, 9, 17), (0, 2)), ((2, 3, 130), None)):
            _reduction(name, numbers(rng, name, shape), axis)
    mask = rng.integers(0, 5, (6, 40)) > 0
    equal("all", st.asarray(mask).all(axis=1), mask.all(1))
    equal("any", st.asarray(~mask).any(axis=1), (~mask).any(1))
    tall = rng.standard_normal((1, 100_003)).astype(np.float32)
    equal("sum of many", st.asarray(tall).sum(), tall.astype(np.float64).sum(), 1e-5, 5e-3)
    return f"{len(names)} dtypes"


def _reduction(name: str, a: NDArray, axis: int | tuple[int, ...] | None) -> None:
    x, rtol = st.asarray(a), tolerance(name)
    wide = a.astype(np.float64)
    margin = 0.0 if rtol == 0 else rtol * 4 * math.sqrt(a.size) + (np.abs(wide).sum() * rtol / 8 if rtol > 1e-3 else 0)
    equal(f"{name} max over {axis}", st.max(x, axis=axis), wide.max(axis))
    equal(f"{name} min over {axis}", st.min(x, axis=axis), wide.min(axis))
    if x.dtype.is_float:
        equal(f"{name} sum over {axis}", x.sum(axis=axis), wide.sum(axis), rtol, margin)
        equal(f"{name} mean over {axis}", x.mean(axis=axis), wide.mean(axis), 4 * rtol, margin)
        equal(f"{name} var over {axis}", st.var(x, axis=axis), wide.var(axis), 32 * rtol, 32 * rtol)
        high = wide.max(axis, keepdims=True)
        want = np.log(np.exp(wide - high).sum(axis, keepdims=True)) + high
        equal(f"{name} logsumexp over {axis}", st.logsumexp(x, axis=axis, keepdims=True), want, 8 * rtol)
    else:
        total = x.sum(axis=axis)
        equal(f"{name} sum over {axis}", total, a.sum(axis, dtype=total.dtype.numpy))
    if isinstance(axis, int):
        equal(f"{name} argmax over {axis}", x.argmax(axis=axis), wide.argmax(axis))
        equal(f"{name} argmin over {axis}", x.argmin(axis=axis), wide.argmin(axis))
        equal(f"{name} cummax over {axis}", st.cummax(x, axis), np.maximum.accumulate(a, axis))
        scan = st.cumsum(x, axis)
        want = wide.cumsum(axis) if x.dtype.is_float else a.cumsum(axis, dtype=scan.dtype.numpy)
        equal(f"{name} cumsum over {axis}", scan, want, rtol, margin if rtol else None)


@probe()
def views(device: str) -> None:
    """Reshaping, permuting, slicing, flipping, padding, joining and broadcasting move elements as NumPy does."""
    a = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    x = st.asarray(a)
    equal("permute and reshape", x.permute(2, 0, 3, 1).reshape(8, 15) + 0, a.transpose(2, 0, 3, 1).reshape(8, 15))
    equal("slice", x[:, ::2, 1:-1, ::-1], a[:, ::2, 1:-1, ::-1])
    equal("flip and roll", st.roll(st.flip(x, (1, 3)), 2, 3), np.roll(np.flip(a, (1, 3)), 2, 3))
    equal("newaxis, ellipsis", x[None, ..., 2, :], a[None, ..., 2, :])
    equal("concat", st.concat([x, x * 2, x[:, :1]], axis=1), np.concatenate([a, a * 2, a[:, :1]], 1))
    equal("stack", st.stack([x, -x], axis=2), np.stack([a, -a], 2))
    equal("split", st.cat(st.split(x, 2, 3)[::-1], 3), np.concatenate([a[..., 4:], a[..., 2:4], a[..., :2]], 3))
    equal("broadcast", x[:1] * x[..., :1] + x[0, 0], a[:1] * a[..., :1] + a[0, 0])
    equal("tile and repeat", st.tile(x, (1, 2, 1, 1)).flatten(), np.tile(a, (1, 2, 1, 1)).ravel())
    equal("swap and squeeze", x.swapaxes(0, 3).unsqueeze(1).squeeze(1), a.swapaxes(0, 3))
    equal("pad", st.nn.functional.pad(x, (1, 2)), np.pad(a, [(0, 0)] * 3 + [(1, 2)]))
    equal("diagonal", st.diagonal(x[0, 0]), np.diagonal(a[0, 0]))
    equal("triangle", st.tril(x[0, 0]) + st.triu(x[0, 0], 1), a[0, 0])


@probe()
def indexing_and_scatter(device: str) -> None:
    """Gathers and scatters by integers and masks equal NumPy; an index out of range is an error."""
    rng = np.random.default_rng(2)
    a = rng.standard_normal((30, 12)).astype(np.float32)
    x = st.asarray(a)
    rows, columns = rng.integers(-30, 30, 50), rng.integers(0, 12, 50)
    equal("x[rows]", x[st.asarray(rows)], a[rows])
    equal("x[rows, columns]", x[st.asarray(rows), st.asarray(columns)], a[rows, columns])
    equal("take", st.take(x, st.asarray(columns), 1), np.take(a, columns, 1))
    order = np.argsort(a, 1)
    equal("take_along_axis", st.take_along_axis(x, st.asarray(order), 1), np.take_along_axis(a, order, 1))
    equal("mask", x[x > 0.5], a[a > 0.5])
    y, b = x.clone(), a.copy()
    y[3:20:4, ::5] = -1.0
    b[3:20:4, ::5] = -1.0
    y[st.asarray(np.array([7, 2]))] = st.asarray(a[:2])
    b[[7, 2]] = a[:2]
    y[y < -1.5] = 0.0
    b[b < -1.5] = 0.0
    equal("assignment", y, b)
    target, source = rng.integers(0, 12, (30, 12)), np.ones((30, 12), np.float32)
    want = np.zeros((30, 12), np.float32)
    np.add.at(want, (np.arange(30)[:, None], target), source)
    equal("scatter_add", st.scatter_add(st.zeros(30, 12), 1, st.asarray(target), st.asarray(source)), want)
    equal("one_hot", st.one_hot(st.asarray(columns), 12), np.eye(12)[columns])
    message = raises("index out of range", st.IndexOutOfRange, lambda: x[st.asarray(np.array([30]))].numpy())
    expect("30" in message, f"index out of range: expected the index in the message, got {message!r}")


@probe()
def sorting(device: str) -> None:
    """Sorting is stable with NaN last; top-k, unique values and binary search equal NumPy."""
    rng = np.random.default_rng(3)
    for shape in ((1,), (2, 31), (3, 128), (500,)):
        a = rng.integers(0, 40, shape).astype(np.float32)
        a.reshape(-1)[::17] = np.nan
        x = st.asarray(a)
        equal("sort", st.sort(x), np.sort(a))
        equal("argsort", st.argsort(x), np.argsort(a, kind="stable"))
    whole = rng.integers(-1000, 1000, 300).astype(np.int32)
    x = st.asarray(whole)
    values, places = st.topk(x, 7)
    equal("topk", values, np.sort(whole)[::-1][:7])
    equal("topk places", whole[places.numpy()], np.sort(whole)[::-1][:7])
    equal("unique", st.unique(x), np.unique(whole))
    edges = np.sort(whole)
    equal("searchsorted", st.searchsorted(st.asarray(edges), x), np.searchsorted(edges, whole))


@probe(seconds=240)
def contraction(device: str) -> str:
    """Matrix products of all shapes, batches and dtypes, tensor contractions and einsum equal NumPy."""
    rng = np.random.default_rng(4)
    names = [n for n in supported(device) if n != "bool"]
    for name in names:
        for m, k, n in ((1, 1, 1), (3, 5, 7), (33, 65, 17), (64, 128, 96), (1, 300, 40), (130, 70, 1)):
            a, b = numbers(rng, name, (m, k)), numbers(rng, name, (k, n))
            wide = a.astype(np.float64) @ b.astype(np.float64)
            if st.dtypes.BY_NAME[name].is_float:
                equal(
                    f"{name} {m}x{k}x{n}", st.asarray(a) @ st.asarray(b), wide, 4 * tolerance(name), _rounding(name, k)
                )
            else:
                equal(f"{name} {m}x{k}x{n}", st.asarray(a) @ st.asarray(b), a @ b)
    a = rng.standard_normal((4, 1, 9, 20)).astype(np.float32)
    b = rng.standard_normal((3, 20, 11)).astype(np.float32)
    x, y = st.asarray(a), st.asarray(b)
    equal("batched", x @ y, a.astype(np.float64) @ b, 1e-5, 1e-4)
    equal("transposed", st.einsum("abij,kjl->bkil", x, y), np.einsum("abij,kjl->bkil", a, b), 1e-5, 1e-4)
    equal("trace", st.einsum("iji->j", st.asarray(b[:, :3, :3].copy())), np.einsum("iji->j", b[:, :3, :3]), 1e-5, 1e-5)
    equal("tensordot", st.tensordot(x, y, ([3], [1])), np.tensordot(a, b, ([3], [1])), 1e-5, 1e-4)
    equal("outer", st.outer(x[0, 0, 0], y[0, 0]), np.outer(a[0, 0, 0], b[0, 0]), 1e-6)
    return f"{len(names)} dtypes"


def _rounding(name: str, k: int) -> float:
    """An absolute error for sums of k products of numbers about 2: float16 and bfloat16 round the result alone."""
    return tolerance(name) * 8 * math.sqrt(k)


@probe()
def convolution(device: str) -> None:
    """Convolutions with strides, padding, dilation and groups, transposed ones and pooling equal written-out loops."""
    rng = np.random.default_rng(5)
    for stride, padding, dilation, groups in ((1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (2, 1, 1, 2), (1, 1, 1, 4)):
        a = rng.standard_normal((2, 4, 9, 8)).astype(np.float32)
        w = rng.standard_normal((8, 4 // groups, 3, 3)).astype(np.float32)
        got = st.conv2d(st.asarray(a), st.asarray(w), None, stride, padding, dilation, groups)
        want = _conv(a, w, stride, padding, dilation, groups)
        equal(f"conv2d stride {stride}, dilation {dilation}, groups {groups}", got, want, 1e-5, 1e-4)
    a = rng.standard_normal((2, 3, 8, 6)).astype(np.float32)
    blocks = a.reshape(2, 3, 4, 2, 3, 2)
    equal("max_pool2d", st.max_pool2d(st.asarray(a), 2), blocks.max((3, 5)))
    equal("avg_pool2d", st.avg_pool2d(st.asarray(a), 2), blocks.mean((3, 5)), 1e-6, 1e-6)
    w = rng.standard_normal((3, 5, 2, 2)).astype(np.float32)
    want = np.einsum("nchw,cokl->nohkwl", a, w).reshape(2, 5, 16, 12)  # stride and size 2: no overlap
    equal("conv_transpose2d", st.conv_transpose2d(st.asarray(a), st.asarray(w), None, 2), want, 1e-5, 1e-4)


def _conv(a: NDArray, w: NDArray, stride: int, padding: int, dilation: int, groups: int) -> NDArray:
    """A grouped cross-correlation, one tap of the window at a time, in float64."""
    padded = np.pad(a.astype(np.float64), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    taps = [d * dilation for d in range(w.shape[2])]
    height = (padded.shape[2] - taps[-1] - 1) // stride + 1
    width = (padded.shape[3] - taps[-1] - 1) // stride + 1
    result = np.zeros((len(a), len(w), height, width))
    inner, outer = a.shape[1] // groups, len(w) // groups
    for g in range(groups):
        part, own = padded[:, g * inner : (g + 1) * inner], slice(g * outer, (g + 1) * outer)
        for i, row in enumerate(taps):
            for j, column in enumerate(taps):
                seen = part[:, :, row : row + height * stride : stride, column : column + width * stride : stride]
                seen = seen[:, :, :height, :width]
                result[:, own] += np.einsum("nchw,oc->nohw", seen, w[own, :, i, j])
    return result


@probe()
def random_numbers(device: str) -> None:
    """Random numbers are Philox 4x32-10 by its published test vector, the same on every device, and well spread."""
    # Random123's known answers (Salmon et al., SC 2011): counter 0 under key 0.
    published = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint32)
    st.manual_seed(0)
    equal("first block", st.rand(4), (published >> 8).astype(np.float32) / np.float32(1 << 24))
    st.manual_seed(5)
    first = st.rand(1000).numpy()
    second = st.rand(1000).numpy()
    expect(np.mean(first == second) < 0.01, "rand: expected new numbers at each call, got the same")
    st.manual_seed(5)
    equal("same seed", st.rand(1000), first)
    n = 200_000
    u, g = st.rand(n).numpy().astype(np.float64), st.randn(n).numpy().astype(np.float64)
    for what, got, want, deviation in (
        ("mean of rand", u.mean(), 0.5, math.sqrt(1 / 12 / n)), ("variance of rand", u.var(), 1 / 12, 0.075 / math.sqrt(n)),
        ("mean of randn", g.mean(), 0.0, 1 / math.sqrt(n)), ("variance of randn", g.var(), 1.0, math.sqrt(2 / n)),
        ("tail of randn", np.mean(np.abs(g) > 1.959964), 0.05, math.sqrt(0.0475 / n)),
    ):  # fmt: skip
        expect(abs(got - want) < 5 * deviation, f"{what}: expected {want:.5f} within 5 deviations, got {got:.5f}")
    whole = st.randint(3, 9, (5000,)).numpy()
    expect(set(np.unique(whole).tolist()) == set(range(3, 9)), "randint: expected each of 3 to 8, got others")
    equal("randperm", np.sort(st.randperm(777).numpy()), np.arange(777))
