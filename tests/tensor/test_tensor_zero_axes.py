"""0-d tensors and booleans as indices, as in NumPy, and 0-d operands where an axis is named, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch

X = np.arange(6.0, dtype=np.float32).reshape(2, 3)
ALL = slice(None)
KEYS: tuple[Any, ...] = (
    True, False, np.True_, np.False_, (True,), (ALL, True), (ALL, False), (True, True), (True, False), (0, True), (True, 0),
    (ALL, 0, True), ([0, 1], True), (True, [0, 1]), (True, ALL, [0, 1]), (None, True), (..., True), (True, ..., 1),
    ([True, False], True), (False, [0, 1]), (np.array(True),), (ALL, [0, 2], True), (slice(1, None), True),
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_booleans_in_keys(key: Any) -> None:
    x = st.tensor(X)
    try:
        want = X[key]
    except IndexError:
        with pytest.raises((st.errors.IndexOutOfRange, st.errors.ShapeError)):
            x[key]
        return
    np.testing.assert_array_equal(x[key].numpy(), want)
    written, expected = st.tensor(X), X.copy()
    written[key] = 5.0
    expected[key] = 5.0
    np.testing.assert_array_equal(written.numpy(), expected)


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_masks_without_axes(value: float) -> None:
    scalar, array = st.tensor(value), np.array(value, np.float32)
    np.testing.assert_array_equal(scalar[scalar > 1].numpy(), array[array > 1])
    np.testing.assert_array_equal(st.tensor(X)[scalar > 1].numpy(), X[array > 1])
    scalar[scalar > 1] = 9
    assert scalar.item() == (9 if value > 1 else value)
    np.testing.assert_array_equal(st.tensor(value)[True].numpy(), array[True])
    leaf = st.tensor(X).requires_grad_()
    leaf[True, 0].sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), [[1, 1, 1], [0, 0, 0]])


ONES: tuple[Callable[[], Any], ...] = (
    lambda: st.tensor(1), lambda: st.tensor(0) + 1, lambda: st.tensor([1])[0], lambda: st.tensor(1, dtype=st.uint8),
    lambda: np.array(1), lambda: np.int32(1),
)  # fmt: skip


@pytest.mark.parametrize("make", ONES)
def test_integers_of_any_kind_are_positions_and_extents(make: Callable[[], Any]) -> None:
    x, one = st.tensor(X), make()
    theirs = torch.tensor(X)
    pairs = [
        (x[:, one], theirs[:, 1]), (x[one], theirs[1]), (x[one, one], theirs[1, 1]), (x[one:], theirs[1:]),
        (x[:one], theirs[:1]), (x.narrow(one, one, 2), theirs.narrow(1, 1, 2)), (x.narrow(1, 0, one), theirs.narrow(1, 0, 1)),
        (x.select(1, one), theirs.select(1, 1)), (st.roll(x, one, one), theirs.roll(1, 1)), (x.split(one, 1)[2], theirs[:, 2:]),
        (st.topk(x, one)[0], theirs.topk(1)[0]), (x.reshape(one, 6), theirs.reshape(1, 6)), (st.tril(x, one), theirs.tril(1)),
        (x.repeat(one, 2), theirs.repeat(1, 2)), (x.unfold(one, one, one), theirs.unfold(1, 1, 1)),
        (st.diagonal(x, one), theirs.diagonal(1)), (st.sum(x, axis=one), theirs.sum(1)), (st.arange(one), torch.arange(1)),
        (st.zeros((one, 2)), torch.zeros(1, 2)), (st.nn.functional.pad(x, (one, one)), torch.nn.functional.pad(theirs, (1, 1))),
        (st.diag(st.ones(2), one), torch.diag(torch.ones(2), 1)), (st.full((2,), one), torch.full((2,), 1)),
        (st.eye(one, 2, k=one), torch.tensor([[0.0, 1.0]])), (st.repeat_interleave(x, one, 0), theirs),
    ]  # fmt: skip
    for got, want in pairs:
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    x[:, one] = 7.0
    assert x[:, 1].tolist() == [7.0, 7.0]


@pytest.mark.parametrize("value", [2.0, 3])
def test_an_axis_of_a_number(value: float) -> None:
    x, y = st.tensor(value), torch.tensor(value)
    i, j = st.tensor(0), torch.tensor(0)
    pairs = [
        (st.gather(x, 0, i), torch.gather(y, 0, j)), (st.gather(x, 0, st.tensor([0, 0])), torch.gather(y, 0, torch.tensor([0, 0]))),
        (st.scatter(x, 0, i, x * 2), torch.scatter(y, 0, j, y * 2)), (st.scatter(x, 0, i, 7), torch.scatter(y, 0, j, 7)),
        (st.scatter_add(x, 0, i, x * 2), torch.scatter_add(y, 0, j, y * 2)), (st.index_add(x, 0, i, x), torch.index_add(y, 0, j, y)),
        (st.index_select(x, 0, i), torch.index_select(y, 0, j)), (st.take(x, i), torch.take(y, j)),
        (st.index_select(st.tensor([1, 2]), 0, st.tensor(1)), torch.index_select(torch.tensor([1, 2]), 0, torch.tensor(1))),
        (st.gather(st.tensor([1, 2]), 0, st.tensor(1)), torch.gather(torch.tensor([1, 2]), 0, torch.tensor(1))),
        (x.index_fill(0, i, 7), y.index_fill(0, j, 7)), (x.index_copy(0, i, x * 2), y.index_copy(0, j, y * 2)),
        (st.cumsum(x, 0), torch.cumsum(y, 0)), (st.argmax(x, axis=0), torch.argmax(y, 0)), (st.sort(x), torch.sort(y)[0]),
        (st.flip(x, axis=0), torch.flip(y, (0,))), (x.flatten(), y.flatten()), (st.softmax(x.float(), 0), torch.softmax(y.float(), 0)),
    ]  # fmt: skip
    pairs += list(zip(st.topk(x, 1), torch.topk(y, 1), strict=True))
    pairs += list(zip(x.max(dim=0), y.max(dim=0), strict=True)) + list(zip(x.min(dim=0), y.min(dim=0), strict=True))
    for got, want in pairs:
        assert got.shape == tuple(want.shape)
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    with pytest.raises(st.errors.ShapeError, match="one index for a 0-d tensor"):
        st.index_select(x, 0, st.tensor([0, 0]))
    with pytest.raises(st.errors.ShapeError, match="nonzero"):
        st.nonzero(x)


def test_empty_axes() -> None:
    for equation, left, right in (
        ("ij,jk->ik", (2, 1), (0, 3)),
        ("bij,bjk->bik", (1, 2, 3), (0, 3, 4)),
        ("ij,j->i", (2, 1), (0,)),
    ):
        want = torch.einsum(equation, torch.ones(left), torch.ones(right))
        np.testing.assert_array_equal(st.einsum(equation, st.ones(left), st.ones(right)).numpy(), want.numpy())
    assert st.cat([st.zeros(0), st.ones(2, 3)]).shape == (2, 3)
    assert st.cat([st.zeros(0), st.zeros(0)]).shape == (0,)
    assert st.cat([st.zeros(0), st.tensor([[1]])]).dtype == st.float32
    assert [t.shape for t in st.split(st.zeros(0, 2), 0)] == [(0, 2)]
    assert np.isnan(st.median(st.zeros(0)).item())
    assert np.isnan(st.median(st.zeros(2, 0), axis=1).numpy()).all()
    with pytest.raises(st.errors.ArgumentError, match="extent 2"):
        st.split(st.zeros(2), 0)


# ------------------------------------------------------------------ NumPy's scalars


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize(
    "scalar", [np.float32(2), np.float64(2.5), np.int64(3), np.int8(3), np.bool_(True), np.float16(2)]
)
def test_scalars_of_numpy_are_weak(dtype: str, scalar: Any) -> None:
    """The result has the dtype that PyTorch gives with Python's number, and the same value."""
    mine, theirs = st.ones(2, dtype=getattr(st, dtype)), torch.ones(2, dtype=getattr(torch, dtype))
    number = scalar.item()
    for operation in (
        lambda x, y: x * y,
        lambda x, y: y * x,
        lambda x, y: x + y,
        lambda x, y: x / y,
        lambda x, y: x < y,
    ):
        got, want = operation(mine, scalar), operation(theirs, number)
        assert str(got.dtype).rpartition(".")[2] == str(want.dtype).rpartition(".")[2]
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-3)
    for got in (st.where(st.tensor([True, False]), mine, scalar), st.maximum(mine, scalar), st.multiply(scalar, mine)):
        assert got.dtype == (mine * number).dtype


def test_numbers_of_types_and_parameters_are_pythons() -> None:
    """Whichever of two equal numbers comes first, kernels and results are made from Python's."""
    n, k = np.int32(7919), np.int64(13)
    first = st.zeros((n,))[np.int16(3) : n : k].reshape(-1, np.int8(1))
    assert {type(e) for e in (*first.shape, *st.zeros(7919).shape, *st.roll(st.zeros(n), k).shape)} == {int}
    np.testing.assert_array_equal(st.arange(7919)[3:7919:13].numpy(), np.arange(7919)[3:7919:13])
    assert st.pad(st.ones(3), (k, n)).sum().item() == 3
    assert type(st.full((n,), np.float32(2.5)).node.args[0].scalar) is float


def test_compiled_functions_take_scalars_of_numpy() -> None:
    @st.compile
    def cut(x: Any, k: Any, factor: Any) -> Any:
        return x[:k] * factor

    x = st.arange(5.0)
    for k, factor in (
        (np.int64(2), np.float32(2)),
        (2, 2.0),
        (np.int32(3), np.float64(0.5)),
        (np.int64(2), np.float32(3)),
    ):
        got = cut(x, k, factor)
        assert got.dtype == st.float32
        assert got.tolist() == [v * float(factor) for v in range(int(k))]
