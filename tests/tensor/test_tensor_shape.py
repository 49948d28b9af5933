"""Views and joins against NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, ShapeError, SpiralTorchError

X = sample((2, 3, 4), "float32", 1)
T = st.asarray(X)

SAME = [  # calls that torch and SpiralTorch spell alike
    lambda t: t.reshape(6, 4), lambda t: t.reshape((-1, 2)), lambda t: t.view(4, -1), lambda t: t.reshape(24),
    lambda t: t.permute(2, 0, 1), lambda t: t.permute((1, 0, 2)), lambda t: t.transpose(0, 2), lambda t: t.mT,
    lambda t: t.swapaxes(1, -1), lambda t: t.movedim(0, -1), lambda t: t.moveaxis((0, 1), (2, 0)), lambda t: t[0].t(),
    lambda t: t[0].T, lambda t: t.unsqueeze(1), lambda t: t.unsqueeze(-1).squeeze(-1), lambda t: t[:1].squeeze(),
    lambda t: t.squeeze(0), lambda t: t.flatten(), lambda t: t.flatten(1), lambda t: t.flatten(0, 1), lambda t: t.ravel(),
    lambda t: t.unflatten(2, (2, -1)), lambda t: t[:, :1].expand(2, 5, 4), lambda t: t[:1].expand(3, -1, -1),
    lambda t: t[0, 0].expand(5, 4), lambda t: t.flip(0), lambda t: t.flip((0, 2)), lambda t: t.roll(1, 0),
    lambda t: t.roll(5), lambda t: t.roll((1, -2), (0, 2)), lambda t: t.repeat(2, 1, 3), lambda t: t.repeat(2, 1, 1, 1),
    lambda t: t.tile((2, 2)), lambda t: t.narrow(1, 1, 2), lambda t: t.diagonal(0, 1, 2), lambda t: t.diagonal(1, 0, 2),
    lambda t: t[0].diagonal(), lambda t: t.tril(), lambda t: t.triu(1), lambda t: t.tril(-1), lambda t: t.unfold(2, 2, 1),
    lambda t: t.unfold(1, 2, 1), lambda t: t.contiguous(), lambda t: t.clone(), lambda t: t.select(1, 2),
    lambda t: t.repeat_interleave(2), lambda t: t.repeat_interleave(3, dim=1), lambda t: t.view_as(t.reshape(4, 6)),
]  # fmt: skip


@pytest.mark.parametrize("call", SAME, ids=range(len(SAME)))
def test_like_torch(call: Any) -> None:
    close(call(T), call(torch.from_numpy(X)).contiguous().numpy())


PIECES = [
    lambda t: t.split(2, dim=2), lambda t: t.split([1, 3], 2), lambda t: t.split(3, -1), lambda t: t.chunk(3, 2),
    lambda t: t.chunk(2, dim=1), lambda t: t.unbind(1), lambda t: t.unbind(), lambda t: t.chunk(9, 2),
]  # fmt: skip


@pytest.mark.parametrize("call", PIECES, ids=range(len(PIECES)))
def test_pieces_like_torch(call: Any) -> None:
    got, want = call(T), call(torch.from_numpy(X))
    assert isinstance(got, tuple)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        close(a, b.contiguous().numpy())


@pytest.mark.parametrize(("mode", "value"), [("constant", 0.0), ("constant", 2.5), ("reflect", 0.0), ("replicate", 0.0),
                                             ("circular", 0.0)])  # fmt: skip
@pytest.mark.parametrize("amounts", [(1, 2), (1, 1, 2, 0), (0, 3, 1, 2)], ids=str)
def test_pad_like_torch(mode: str, value: float, amounts: tuple[int, ...]) -> None:
    x = sample((2, 3, 4, 5), "float32", 2)
    kwargs = {"value": value} if mode == "constant" else {}
    x = x if len(amounts) == 4 else x[0]
    want = torch.nn.functional.pad(torch.from_numpy(x), amounts, mode=mode, **kwargs)
    close(st.pad(st.asarray(x), amounts, mode=mode, **kwargs), want.numpy())


def test_negative_padding_crops() -> None:
    close(st.pad(T, (-1, 2)), torch.nn.functional.pad(torch.from_numpy(X), (-1, 2)).numpy())


def test_pad_keeps_integers() -> None:
    got = st.pad(st.asarray([1, 2]), (1, 0), value=7)
    assert got.tolist() == [7, 1, 2]
    assert got.dtype is st.int64


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concat(axis: Any) -> None:
    y = sample((2, 3, 4), "float64", 3)
    close(st.concat([T, st.asarray(y)], axis=axis), np.concatenate([X, y], axis=axis))
    if axis is not None:
        close(st.cat((T, T), dim=axis), np.concatenate([X, X], axis=axis))
        close(st.stack([T, T], dim=axis), np.stack([X, X], axis=axis))


def test_empty_pieces_join() -> None:
    close(st.concat([T[:0], T]), X)
    close(st.concat([st.zeros(0), st.ones(2)]), np.ones(2, np.float32))


def test_broadcasting() -> None:
    a, b = st.broadcast_arrays(st.ones(3, 1), st.ones(4))
    assert a.shape == b.shape == (3, 4)
    assert st.broadcast_to(st.ones(1, 4), (3, 4)).shape == (3, 4)
    assert st.broadcast_shapes((3, 1), (4,)) == (3, 4)
    assert st.expand_dims(T, axis=1).shape == (2, 1, 3, 4)
    assert st.squeeze(st.ones(1, 2, 1), axis=(0, 2)).shape == (2,)
    assert st.permute_dims(T, (2, 0, 1)).shape == (4, 2, 3)
    assert st.matrix_transpose(T).shape == (2, 4, 3)


def test_repeat_and_tile_like_numpy() -> None:
    close(st.tile(T, (2, 1, 2, 1)), np.tile(X, (2, 1, 2, 1)))
    close(st.tile(T[0, 0], (2, 2)), np.tile(X[0, 0], (2, 2)))
    close(st.repeat(T, 2, axis=1), np.repeat(X, 2, axis=1))
    close(st.repeat_interleave(st.asarray([1, 2]), st.asarray([2, 1])), np.array([1, 1, 2]))


def test_zero_sized_and_zero_dimensional() -> None:
    e = st.zeros(0, 3)
    assert e.reshape(3, 0).shape == (3, 0)
    assert e.reshape(-1, 3).shape == (0, 3)
    assert e.flip(0).T.shape == (3, 0)
    s = st.asarray(1.0)
    assert s.reshape(1, 1).shape == (1, 1)
    assert s.flatten().shape == (1,)
    assert s.T.shape == ()
    assert s.expand(2, 2).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_views_of_non_contiguous_arrays() -> None:
    for x in (X.T, X[:, ::-1], X[..., ::2], np.asfortranarray(X)):
        close(st.asarray(x).reshape(-1), x.reshape(-1))
        close(st.from_numpy(x), x)


@pytest.mark.parametrize("call", [
    lambda: T.reshape(5, 5), lambda: T.reshape(-1, -1), lambda: T.reshape(7, -1), lambda: T.reshape(-2, 12),
    lambda: T.permute(0, 1), lambda: T.permute(0, 0, 1), lambda: T.expand(2, 3, 5), lambda: T.expand(4),
    lambda: T.broadcast_to((3,)), lambda: T.unsqueeze(5), lambda: T.flatten(2, 1), lambda: T.split(0),
    lambda: T.split([1, 1], 2), lambda: T.chunk(0), lambda: st.concat([]), lambda: st.stack([T, T[0]]),
    lambda: st.concat([T, T[0]]), lambda: st.concat([T, T[:, :2]], axis=2), lambda: st.concat([st.asarray(1.0)]),
    lambda: T.narrow(0, 1, 5), lambda: st.pad(T, (1,)), lambda: st.pad(T, (1, 1), mode="x"),
    lambda: st.pad(T, (9, 0), mode="reflect"), lambda: T.swapaxes(0, 3), lambda: T.moveaxis((0, 1), (0,)),
    lambda: T.roll((1, 2), (0,)), lambda: st.ones(2).tril(), lambda: T.unfold(2, 9, 1), lambda: T.flip(4),
])  # fmt: skip
def test_errors_are_typed_and_say_what_was_expected(call: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[.+\] expected .+"):
        call()


def test_unflatten_and_squeeze_errors() -> None:
    with pytest.raises(ShapeError):
        T.unflatten(2, (3, 2))
    with pytest.raises(ShapeError, match="extent 1"):
        st.squeeze(T, axis=(0,))
    with pytest.raises(ArgumentError):
        T.diagonal(0, 1, 1)


def test_view_of_bits() -> None:
    x = st.asarray(np.array([1.0], np.float32))
    assert x.view(st.int32).item() == 0x3F800000


def test_meshgrid() -> None:
    a, b = np.arange(3), np.arange(4.0, dtype=np.float32)
    for indexing in ("xy", "ij"):
        got = st.meshgrid(st.asarray(a), st.asarray(b), indexing=indexing)
        for g, w in zip(got, np.meshgrid(a, b, indexing=indexing), strict=True):
            close(g, w)


def test_diag_keeps_what_is_not_finite_on_the_diagonal() -> None:
    v = np.array([1.0, np.nan, np.inf], np.float32)
    for k in (0, 2, -1):
        close(st.diag(st.asarray(v), k), np.diag(v, k))


@pytest.mark.parametrize("shape", [(33, 70), (16, 16), (5, 129), (200, 7), (3, 40, 50), (65, 4, 66)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64])
def test_transposed_memory_is_crossed_in_squares(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)
    y = np.random.default_rng(1).integers(-5, 5, shape[::-1]).astype(dtype)
    axes = tuple(range(len(shape)))[::-1]
    got = st.permute(st.asarray(x), axes) + st.asarray(y)
    np.testing.assert_array_equal(got.numpy(), x.transpose(axes) + y)
