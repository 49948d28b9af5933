"""Indexing and assignment against NumPy, gathers and scatters against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError, SpiralTorchError, TracingError

X = sample((4, 5, 6), "float32", 1)
I1 = np.array([0, 3, -1, 1])
I2 = np.array([[0, 1], [2, -4]])
MASK = sample((4, 5), "bool", 2)

KEYS: list[Any] = [
    0, -1, 3, (1, 2), (1, 2, 3), (-1, -2, -3), slice(None), slice(1, 3), slice(None, None, 2), slice(None, None, -1),
    slice(3, 0, -2), slice(-3, None), slice(10, 20), slice(3, 1), (slice(None), 2), (..., 1), (..., slice(1, 4)),
    (0, ..., 1), (None, 1), (slice(None), None, slice(2)), (..., None), (None, ..., None, 0), (),
    ..., None, (1, slice(None, None, -2), slice(1, 6, 3)), I1, [0, 2], (slice(None), I1), (..., I1), (I1, I1),
    (I1[:, None], I1), (I2, slice(None), I2), (slice(None), I2, I2), (0, I1), (I1, 0), (0, slice(None), I1),
    (I1, slice(None), 0), (I1, None, I1), (slice(1, 3), I1, slice(None, None, -1)), (I2,), (None, I1, 0), (..., I2, 1),
    MASK, (MASK,), (MASK, slice(1, 3)), (MASK, 0), (slice(None), np.array([True, False, True, False, True])),
    X > 0, (0, MASK[0]), (I1[:3], slice(None), np.array([True, False, True, False, False, True])), np.int64(2),
    np.array([], int), (slice(None), np.array([[], []], int)), (np.array(2), np.array(1)),
]  # fmt: skip


def ours(key: Any, tensors: bool) -> Any:
    """The key with arrays as tensors."""
    if isinstance(key, tuple):
        return tuple(ours(k, tensors) for k in key)
    return st.asarray(key) if tensors and isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_reading(key: Any, tensors: bool) -> None:
    close(st.asarray(X)[ours(key, tensors)], X[key])


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_writing(key: Any, tensors: bool) -> None:
    want, t = X.copy(), st.asarray(X)
    keep = t + 0
    want[key] = 7.0
    t[ours(key, tensors)] = 7.0
    close(t, want)
    value = sample(X[key].shape, "float32", 3)
    want[key] = value
    t[ours(key, tensors)] = st.asarray(value)
    if np.unique(np.arange(X.size).reshape(X.shape)[key]).size == X[key].size:  # else NumPy promises no order
        close(t, want)
    close(keep, X)


@pytest.mark.parametrize("key", [0, slice(1, 3), (..., 1), I1[:2], (slice(None), [0, 2]), MASK, (I1, I1)], ids=str)
def test_update_operators_on_parts(key: Any) -> None:
    want, t = X.copy(), st.asarray(X)
    want[key] += 2.0
    t[key] += 2.0
    close(t, want)
    want[key] *= -1.5
    t[key] *= -1.5
    close(t, want)


def test_writing_broadcasts_and_casts() -> None:
    want, t = X.copy(), st.asarray(X)
    row = np.arange(6)
    want[1:3, ::2] = row
    t[1:3, ::2] = st.asarray(row)
    close(t, want)
    want[..., 0] = np.arange(5)
    t[..., 0] = list(range(5))
    close(t, want)
    with pytest.raises(ShapeError, match="broadcast"):
        t[0] = st.ones(3)


def test_tensor_indices_computed_on_the_way() -> None:
    t = st.asarray(X)
    index = st.argmax(t, axis=1)[0]  # not evaluated when it is used
    close(st.asarray(X[:, 0])[:, index], X[:, 0][:, X.argmax(1)[0]])
    close(t[st.asarray(I1) - 0], X[I1])
    close(t[st.asarray(2)], X[2])


def test_random_keys_against_numpy() -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 5)))
        x = rng.normal(size=shape).astype(np.float32)
        common = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
        key: list[Any] = []
        for n in shape[: rng.integers(0, len(shape) + 1)]:
            kind = rng.integers(0, 5)
            if kind == 0:
                key.append(int(rng.integers(-n, n)))
            elif kind == 1:
                key.append(rng.integers(-n, n, common))
            elif kind == 2:
                key += [None, slice(None)]
            else:
                a, b = sorted(int(v) for v in rng.integers(-n - 1, n + 2, 2))
                step = int(rng.choice([1, 2, 3, -1, -2]))
                key.append(slice(a, b, step) if step > 0 else slice(b, a, step))
        if rng.random() < 0.3:
            key.append(Ellipsis)
        close(st.asarray(x)[tuple(key)], np.asarray(x[tuple(key)]))
        want, t = x.copy(), st.asarray(x)
        want[tuple(key)] = -1
        t[tuple(key)] = -1
        close(t, want)


@pytest.mark.parametrize("key", [4, -5, (0, 5), (0, 0, 0, 0), (..., ...), 1.5, "a", [0, 9], np.array([-5]),
                                 (slice(None), np.array([5])), np.array([0.5]), MASK[:3]], ids=str)  # fmt: skip
def test_bad_keys(key: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[index.*\] expected"):
        st.asarray(X)[key]
    with pytest.raises(SpiralTorchError, match=r"expected"):
        st.asarray(X)[key] = 1.0


def test_slice_step_zero() -> None:
    with pytest.raises((ArgumentError, ValueError)):
        st.asarray(X)[::0]


def test_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        st.arange(3)[3]
    with pytest.raises(IndexOutOfRange, match="from -3 to 2"):
        st.arange(3)[st.asarray([0, 3])]


def test_zero_sized() -> None:
    e = st.zeros(0, 3)
    assert e[:, 1].shape == (0,)
    assert e[::-1].shape == (0, 3)
    assert e[st.asarray(np.zeros((2, 0), int))].shape == (2, 0, 3)
    e[:, 0] = 1.0
    assert e.shape == (0, 3)
    with pytest.raises(IndexOutOfRange):
        e[0]


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take(axis: Any) -> None:
    for index in (I1, I2, np.array(1), np.array([], int), I1.astype(np.int8), np.array([1, 0], np.uint8)):
        close(st.take(st.asarray(X), st.asarray(index), axis=axis), np.take(X, index, axis=axis))


def test_take_along_axis() -> None:
    order = np.argsort(X, axis=1)
    close(st.take_along_axis(st.asarray(X), st.asarray(order), axis=1), np.take_along_axis(X, order, 1))
    first = X.argmax(axis=2, keepdims=True)
    close(st.take_along_axis(st.asarray(X), st.asarray(first)), np.take_along_axis(X, first, -1))
    one = np.array([[[2]]])
    close(st.take_along_axis(st.asarray(X), st.asarray(one), axis=0), np.take_along_axis(X, one, 0))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gather_and_scatter_like_torch(dim: int) -> None:
    rng = np.random.default_rng(5)
    shape = [3, 4, 5]
    index = np.stack([rng.permutation(X.shape[dim])[:3] for _ in range(60)], -1).reshape(-1)[:60].reshape(shape)
    index = np.argsort(rng.random((*shape[:dim], X.shape[dim], *shape[dim + 1 :])), axis=dim)
    index = np.take(index, range(3), axis=dim)
    src = rng.normal(size=index.shape).astype(np.float32)
    t, i, s = st.asarray(X), st.asarray(index), st.asarray(src)
    r, ri, rs = torch.from_numpy(X.copy()), torch.from_numpy(index), torch.from_numpy(src)
    close(st.gather(t, dim, i), r.gather(dim, ri).numpy())
    close(t.scatter(dim, i, s), r.scatter(dim, ri, rs).numpy())
    close(t.scatter(dim, i, 2.0), r.scatter(dim, ri, 2.0).numpy())
    close(t.scatter_add(dim, i, s), r.scatter_add(dim, ri, rs).numpy())
    repeated = index % 2
    for name in ("sum", "amax", "amin", "prod"):
        want = r.scatter_reduce(dim, torch.from_numpy(repeated), rs, reduce=name)
        close(t.scatter(dim, st.asarray(repeated), s, reduce=name), want.numpy(), 1e-4)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_index_add_and_select(dim: int) -> None:
    index = np.array([0, 2, 0])
    t, r = st.asarray(X), torch.from_numpy(X)
    close(st.index_select(t, dim, st.asarray(index)), r.index_select(dim, torch.from_numpy(index)).numpy())
    src = np.take(sample(X.shape, "float32", 6), index, axis=dim)
    want = r.index_add(dim, torch.from_numpy(index), torch.from_numpy(src), alpha=2)
    close(st.index_add(t, dim, st.asarray(index), st.asarray(src), alpha=2), want.numpy())


def test_masks() -> None:
    t, m = st.asarray(X), st.asarray(X > 0)
    close(t.masked_fill(m, -1.0), np.where(X > 0, np.float32(-1), X))
    close(t.masked_select(m), X[X > 0])
    close(st.nonzero(m)[1], np.nonzero(X > 0)[1])
    close(st.nonzero(st.asarray(MASK), as_tuple=False), np.argwhere(MASK))


def test_unique_and_searchsorted() -> None:
    x = np.array([3, 1, 2, 1, 3])
    close(st.unique_values(st.asarray(x)), np.unique(x))
    everything = st.unique_all(st.asarray(x))
    for got, want in zip(everything, np.unique(x, True, True, True), strict=True):
        close(got, want)
    assert [v.tolist() for v in st.unique_counts(st.asarray(x))] == [[1, 2, 3], [2, 1, 2]]
    assert st.unique_inverse(st.asarray(x)).inverse_indices.tolist() == [2, 0, 1, 0, 2]
    a, v = np.array([1.0, 2.0, 2.0, 5.0], np.float32), np.array([[0.0, 2.0], [3.0, 9.0]], np.float32)
    for side in ("left", "right"):
        close(st.searchsorted(st.asarray(a), st.asarray(v), side=side), np.searchsorted(a, v, side=side))
    with pytest.raises(ArgumentError):
        st.searchsorted(st.asarray(a), st.asarray(v), side="x")


@pytest.mark.parametrize(("call", "error"), [
    (lambda: st.take(st.ones(3), st.asarray([3])), IndexOutOfRange), (lambda: st.take(st.ones(3), st.ones(2)), DTypeError),
    (lambda: st.gather(st.ones(2, 2), 0, st.asarray([0])), ShapeError),
    (lambda: st.gather(st.ones(2, 2), 0, st.zeros(2, 3, dtype=st.int64)), ShapeError),
    (lambda: st.scatter(st.ones(2), 0, st.asarray([5]), 1.0), IndexOutOfRange),
    (lambda: st.scatter(st.ones(2), 0, st.asarray([0]), 1.0, reduce="x"), ArgumentError),
    (lambda: st.index_add(st.ones(3, 2), 0, st.asarray([0]), st.ones(1, 3)), ShapeError),
    (lambda: st.take_along_axis(st.ones(3), st.zeros(1, 1, dtype=st.int64)), ShapeError),
])  # fmt: skip
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_masks_while_recording() -> None:
    x = st.asarray(X)

    def fill(t: Any) -> Any:
        y = t + 0
        y[t > 0] = 0.0
        return y

    close(st.compile(fill)(x), np.where(X > 0, np.float32(0), X))
    mask, other = np.array([True, False, True]), np.arange(3 * 4 * 2, dtype=np.float32).reshape(3, 4, 2)
    for value in ([1.0, 2.0], [[1.0, 2.0]] * 4, [[[7.0, 8.0]]], [[3.0]] * 4, [[[[5.0]]]]):

        def rows(t: Any, m: Any, value: Any = value) -> Any:
            y = t + 0
            y[m] = st.tensor(value)
            return y

        expected = other.copy()
        expected[mask] = np.asarray(value, np.float32).reshape(np.shape(value)[-3:])
        for function in (rows, st.compile(rows)):
            close(function(st.asarray(other), st.asarray(mask)), expected)
    with pytest.raises(ShapeError):
        st.asarray(other)[st.asarray(mask)] = st.ones(3)
    with pytest.raises(TracingError):
        st.compile(lambda t: t[t > 0])(x)


@pytest.mark.parametrize(
    "key", [0, slice(None, None, -2), I1, (I1, I1), (slice(None), I2), (0, slice(1, 4), I1), MASK], ids=str
)
def test_gradients_like_torch(key: Any) -> None:
    key = (
        tuple(np.abs(k) % 4 if isinstance(k, np.ndarray) and k.dtype != bool else k for k in key)
        if isinstance(key, tuple)
        else key
    )
    negative = isinstance(key, slice)
    t = st.tensor(X, requires_grad=True)
    (t[ours(key, True)] ** 2).sum().backward()
    want = np.zeros_like(X)
    np.add.at(want, key, 2 * X[key])
    close(t.grad, want)
    if negative:
        return
    r = torch.tensor(X, requires_grad=True)
    theirs = tuple(
        torch.from_numpy(k) if isinstance(k, np.ndarray) else k for k in (key if isinstance(key, tuple) else (key,))
    )
    value = sample(X[key].shape, "float32", 7)
    v, rv = st.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    y, z = t * 1.0, r * 1.0
    unique = np.unique(np.arange(X.size).reshape(X.shape)[key]).size == X[key].size
    if not unique:
        return
    y[ours(key, True)] = v * 2
    z[theirs] = rv * 2
    t.grad = None
    (y * y).sum().backward()
    (z * z).sum().backward()
    close(t.grad, r.grad.numpy())
    close(v.grad, rv.grad.numpy())


def test_a_mask_behind_an_ellipsis_meets_the_last_axes() -> None:
    last = np.array([True, False, True, True, False, True])
    close(st.asarray(X)[..., last], X[..., last])
    with pytest.raises(ShapeError, match=r"mask of shape \(6,\), got \(4,\)"):
        st.asarray(X)[..., st.asarray(np.ones(4, bool))]


def test_keys_of_the_wrong_kind_say_so() -> None:
    x = st.ones(3)
    for key in (slice(None, None, 0), slice(0.5, None)):
        with pytest.raises(ArgumentError, match=r"\[index\] expected slices of ints"):
            x[key]
    with pytest.raises(DTypeError, match="integer indices"):
        x[st.tensor([0.5])]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_each_nan_is_distinct(dtype: str) -> None:
    x = np.array([1.0, np.nan, 0.0, 2.0, np.nan, 1.0, 0.0], st.dtypes.BY_NAME[dtype].numpy)
    want = torch.unique(torch.from_numpy(x.astype(np.float64))).numpy().astype(x.dtype)
    close(st.unique_values(st.asarray(x)), want)
    found = st.unique_all(st.asarray(x))
    close(found.values, want)
    assert found.counts.tolist() == [2, 2, 1, 1, 1]
    close(found.values[found.inverse_indices], x)


def test_searchsorted_puts_nan_last() -> None:
    a, v = np.array([1.0, 2.0, np.nan, np.nan]), np.array([[np.nan, 2.0], [0.0, np.inf]])
    for side in ("left", "right"):
        close(st.searchsorted(st.asarray(a), st.asarray(v), side=side), np.searchsorted(a, v, side=side))
    with pytest.raises(ShapeError, match="one axis"):
        st.searchsorted(st.ones(2, 2), 1.0)
