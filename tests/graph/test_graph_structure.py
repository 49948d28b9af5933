"""Views, reductions, scans, contractions, sorting and indexing against NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_samples import node, same, sample, value, wide

from peers import torch
from spiraltorch import dtypes as dt
from spiraltorch.errors import ArgumentError, DTypeError, ShapeError
from spiraltorch.graph import build as b

SOME = [dt.bool_, dt.int8, dt.uint8, dt.int64, dt.uint64, dt.float16, dt.bfloat16, dt.float32, dt.float64]


def shapes(count: int, rank: int = 3, low: int = 1) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(count)
    return [tuple(int(e) for e in rng.integers(low, 6, rank)) for _ in range(count)]


@pytest.mark.parametrize("dtype", SOME, ids=lambda d: d.name)
def test_views(dtype: dt.DType) -> None:
    x = sample(np.random.default_rng(0), (2, 3, 4), dtype)
    n = node(x)
    same(value(b.reshape(n, (4, -1))), x.reshape(4, 6))
    same(value(b.expand(b.reshape(n, (2, 1, 3, 4)), (2, 5, 3, 4))), np.broadcast_to(x[:, None], (2, 5, 3, 4)))
    same(value(b.permute(n, (2, 0, 1))), x.transpose(2, 0, 1))
    same(value(b.flip(n, (0, 2))), x[::-1, :, ::-1])
    same(value(b.slice(n, (0, 1, 0), (2, 3, 4), (1, 1, 3))), x[0:2, 1:3, ::3])
    same(value(b.concat((n, n), 1)), np.concatenate([x, x], 1))
    padded = np.full((2, 3 + 1 + 4, 4), 1, dtype.numpy)
    padded[:, 1:6:2] = x
    same(value(b.pad(n, ((0, 0, 0), (1, 2, 1), (0, 0, 0)), 1)), padded)


def test_views_of_nothing() -> None:
    n = node(np.zeros((0, 3)))
    assert value(b.reshape(n, (3, 0))).shape == (3, 0)
    assert value(b.pad(n, ((2, 1, 3), (0, 0, 0)))).tolist() == [[0.0] * 3] * 3
    assert value(b.reduce_sum(n, (0,))).tolist() == [0.0] * 3
    assert value(b.reduce_prod(n, (0,))).tolist() == [1.0] * 3
    assert value(b.cumsum(n, 0)).shape == (0, 3)
    assert value(b.argsort(n, 0)).shape == (0, 3)
    assert value(b.dot(n, n, (0,), (0,))).tolist() == [[0.0] * 3] * 3


@pytest.mark.parametrize("size,stride,dilation", [(1, 1, 1), (2, 1, 1), (3, 2, 1), (2, 2, 1), (2, 3, 2), (3, 1, 2)])
def test_windows(size: int, stride: int, dilation: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 9, 8))
    got = value(b.windows(node(x), (1, 2), (size, 2), (stride, 1), (dilation, 1)))
    for i in range(got.shape[1]):
        for j in range(got.shape[2]):
            first = x[:, i * stride : i * stride + (size - 1) * dilation + 1 : dilation, j : j + 2]
            same(got[:, i, j], first)
    assert got.shape == (2, (9 - (size - 1) * dilation - 1) // stride + 1, 7, size, 2)


@pytest.mark.parametrize("dtype", SOME, ids=lambda d: d.name)
def test_reductions(dtype: dt.DType) -> None:
    rng = np.random.default_rng(1)
    for shape in shapes(4):
        x = sample(rng, shape, dtype)
        for axes in [(0,), (1, 2), (0, 1, 2), (0, 2)]:
            high = x.astype(np.float64) if dtype.is_float else x
            sums = high.any(axes) if dtype.is_bool else high.sum(axes)
            same(value(b.reduce_sum(node(x), axes)), np.asarray(sums).astype(dtype.numpy), dtype)
            small = (high % 3).astype(high.dtype) if not dtype.is_bool else high
            product = small.all(axes) if dtype.is_bool else small.prod(axes, dtype=high.dtype)
            same(
                value(b.reduce_prod(node(small.astype(dtype.numpy)), axes)),
                np.asarray(product).astype(dtype.numpy),
                dtype,
            )
            same(value(b.reduce_max(node(x), axes)), high.max(axes))
            same(value(b.reduce_min(node(x), axes)), high.min(axes))
        for axis in range(3):
            same(value(b.argmax(node(x), axis)), wide(x).argmax(axis))
            same(value(b.argmin(node(x), axis)), wide(x).argmin(axis))


def test_sixteen_bits_sum_in_thirty_two() -> None:
    assert value(b.reduce_sum(node(np.ones(4096, np.float16)), (0,))) == 4096
    ones = b.cast(node(np.ones(4096, np.float32)), dt.bfloat16)
    assert float(value(b.reduce_sum(ones, (0,)))) == 4096
    assert float(value(b.dot(ones, ones, (0,), (0,)))) == 4096


def test_nan_wins() -> None:
    x = np.array([1.0, np.nan, 3.0, np.nan])
    assert np.isnan(value(b.reduce_max(node(x), (0,)))) and np.isnan(value(b.reduce_min(node(x), (0,))))
    assert value(b.argmax(node(x), 0)) == 1 and value(b.argmin(node(x), 0)) == 1
    assert value(b.argsort(node(x), 0)).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("dtype", [d for d in SOME if not d.is_bool], ids=lambda d: d.name)
def test_scans(dtype: dt.DType) -> None:
    x = sample(np.random.default_rng(2), (3, 5), dtype)
    high = x.astype(np.float64) if dtype.is_float else x
    fns: dict[str, Any] = {
        "cumsum": lambda v, a: np.cumsum(v, a, dtype=v.dtype),
        "cumprod": lambda v, a: np.cumprod(v, a, dtype=v.dtype),
        "cummax": np.maximum.accumulate,
        "cummin": np.minimum.accumulate,
    }
    for name, fn in fns.items():
        for axis in (0, 1):
            same(value(getattr(b, name)(node(x), axis)), fn(high, axis).astype(dtype.numpy), dtype)
            backwards = np.flip(fn(np.flip(high, axis), axis), axis).astype(dtype.numpy)
            same(value(getattr(b, name)(node(x), axis, True)), backwards, dtype)


@pytest.mark.parametrize("dtype", SOME, ids=lambda d: d.name)
def test_argsort_is_stable_both_ways(dtype: dt.DType) -> None:
    x = sample(np.random.default_rng(3), (4, 30), dtype)
    plain = torch.from_numpy(wide(x).astype(np.float64))
    for descending in (False, True):
        expected = torch.sort(plain, dim=1, descending=descending, stable=True).indices.numpy()
        same(value(b.argsort(node(x), 1, descending)), expected)


@pytest.mark.parametrize("dtype", [dt.int32, dt.float16, dt.bfloat16, dt.float32, dt.float64], ids=lambda d: d.name)
def test_dot(dtype: dt.DType) -> None:
    rng = np.random.default_rng(4)
    x, y = sample(rng, (3, 2, 4, 5), dtype), sample(rng, (5, 6, 3, 4), dtype)
    expected = np.einsum("bick,kjbc->bij", wide(x), wide(y)).astype(dtype.numpy)
    same(value(b.dot(node(x), node(y), (2, 3), (3, 0), (0,), (2,))), expected, dtype)
    same(
        value(b.dot(node(x[0, 0]), node(x[0, 1]), (1,), (1,))),
        (wide(x[0, 0]) @ wide(x[0, 1]).T).astype(dtype.numpy),
        dtype,
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("stride,pad,dilation,groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 1, 2, 2)])
def test_conv(rank: int, stride: int, pad: int, dilation: int, groups: int) -> None:
    rng = np.random.default_rng(5)
    space = tuple(int(e) for e in rng.integers(6, 9, rank))
    x = rng.normal(size=(2, groups, 3, *space))
    w = rng.normal(size=(groups, 4, 3, *([3, 2, 3][:rank])))
    conv = getattr(torch.nn.functional, f"conv{rank}d")
    expected = conv(
        torch.from_numpy(x.reshape(2, groups * 3, *space)), torch.from_numpy(w.reshape(groups * 4, *w.shape[2:])),
        None, stride, pad, dilation, groups,
    ).numpy()  # fmt: skip
    got = b.conv(node(x), node(w), (stride,) * rank, ((pad, pad),) * rank, (1,) * rank, (dilation,) * rank)
    same(value(got).reshape(expected.shape), expected, dt.float64)


def test_conv_spreads_and_crops_its_input() -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(2, 1, 3, 5)), rng.normal(size=(1, 3, 4, 3))
    flipped = node(w[:, :, :, ::-1].transpose(0, 2, 1, 3).copy())
    expected = torch.nn.functional.conv_transpose1d(
        torch.from_numpy(x[:, 0]), torch.from_numpy(w[0]), None, 2, 1
    ).numpy()
    same(value(b.conv(node(x), flipped, (1,), ((1, 1),), (2,), (1,)))[:, 0], expected, dt.float64)
    cropped = torch.nn.functional.conv1d(
        torch.from_numpy(x[:, 0, :, 1:-1]), torch.from_numpy(w[0].transpose(1, 0, 2).copy())
    )
    kernel = node(w.transpose(0, 2, 1, 3).copy())
    same(value(b.conv(node(x), kernel, (1,), ((-1, -1),), (1,), (1,)))[:, 0], cropped.numpy(), dt.float64)


@pytest.mark.parametrize("dtype", SOME, ids=lambda d: d.name)
def test_take(dtype: dt.DType) -> None:
    rng = np.random.default_rng(7)
    x = sample(rng, (4, 5, 3), dtype)
    for axis in range(3):
        idx = rng.integers(0, x.shape[axis], (2, 3))
        same(value(b.take(node(x), node(idx), axis)), np.take(x, idx, axis))
        along = np.argsort(rng.normal(size=x.shape), axis)[:2]
        if axis == 0:
            same(value(b.take_along(node(x), node(along), axis)), np.take_along_axis(x, along, axis))
    assert value(b.take(node(np.arange(3)), node(np.array([-7, 9])), 0)).tolist() == [0, 2]


@pytest.mark.parametrize("mode", ["set", "add", "max", "min", "mul"])
@pytest.mark.parametrize("dtype", [dt.int32, dt.float16, dt.float32, dt.float64], ids=lambda d: d.name)
def test_scatter_combines_and_drops(mode: str, dtype: dt.DType) -> None:
    rng = np.random.default_rng(8)
    base, idx = sample(rng, (4, 3), dtype), np.array([1, 3, 1, 7, -1, 0])
    upd = sample(rng, (6, 3), dtype)
    combine = {"set": lambda p, q: q, "add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[mode]
    expected = base.copy()
    for at, row in zip(idx, upd, strict=True):
        if 0 <= at < 4:
            expected[at] = combine(expected[at], row)
    same(value(b.scatter(node(base), node(idx), node(upd), 0, mode)), expected, dtype)
    turned = b.scatter(node(base.T), node(idx), node(upd.T), 1, mode)
    same(value(turned), expected.T, dtype)
    many = np.repeat(idx[:, None], 3, 1)
    same(value(b.scatter_along(node(base), node(many), node(upd), 0, mode)), expected, dtype)


def test_errors() -> None:
    x = node(np.zeros((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"\[reshape\].*6 elements"):
        b.reshape(x, (4, 2))
    with pytest.raises(ShapeError, match=r"\[expand\]"):
        b.expand(x, (2, 4))
    with pytest.raises(ArgumentError, match=r"\[permute\]"):
        b.permute(x, (0, 0))
    with pytest.raises(ArgumentError, match=r"\[slice\]"):
        b.slice(x, (0, 0), (2, 9), (1, 1))
    with pytest.raises(ArgumentError, match=r"\[pad\]"):
        b.pad(x, ((-1, 0, 0), (0, 0, 0)))
    with pytest.raises(ArgumentError, match=r"\[flip\]"):
        b.flip(x, (2,))
    with pytest.raises(ShapeError, match=r"\[windows\].*axis 1 of extent 3"):
        b.windows(x, (1,), (4,), (1,), (1,))
    with pytest.raises(ShapeError, match=r"\[concat\]"):
        b.concat((x, node(np.zeros((2, 4), np.float32))), 0)
    with pytest.raises(ArgumentError, match=r"\[reduce_sum\]"):
        b.reduce_sum(x, (1, 0))
    with pytest.raises(ArgumentError, match=r"\[max\] expected at least one element over axes"):
        b.reduce_max(node(np.zeros((0, 3))), (0,))
    with pytest.raises(ArgumentError, match=r"\[argmax\]"):
        b.argmax(x, 2)
    with pytest.raises(DTypeError, match=r"\[cumsum\].*bool"):
        b.cumsum(node(np.array([True])), 0)
    with pytest.raises(ShapeError, match=r"\[matmul\].*\(2, 3\)"):
        b.dot(x, x, (1,), (0,))
    with pytest.raises(ShapeError, match=r"\[conv\]"):
        b.conv(node(np.zeros((1, 1, 2, 5))), node(np.zeros((1, 1, 3, 3))), (1,), ((0, 0),), (1,), (1,))
    with pytest.raises(DTypeError, match=r"\[take\].*integer"):
        b.take(x, x, 0)
    with pytest.raises(ShapeError, match=r"\[scatter\].*updates of shape \(1, 3\)"):
        b.scatter(x, node(np.array([0])), x, 0)
    with pytest.raises(ArgumentError, match=r"\[scatter\].*mode"):
        b.scatter(x, node(np.array([0, 1])), x, 0, "sub")
