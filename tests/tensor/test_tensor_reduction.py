"""Reductions, scans, sorting and softmax against NumPy, SciPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from tensor_helpers import FLOATS, INTS, close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, IndexOutOfRange, SpiralTorchError

AXES: list[Any] = [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "var", "std", "any", "all", "count_nonzero"])
def test_reductions(name: str, axis: Any, keepdims: bool) -> None:
    x = sample((3, 4, 5), "float64", 1)
    want = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))
    close(getattr(st, name)(st.asarray(x), axis=axis, keepdims=keepdims), want)
    if name not in ("max", "min", "var", "std"):
        close(getattr(st.asarray(x), name)(dim=axis, keepdim=keepdims), want)


@pytest.mark.parametrize("dtype", [*INTS, "bool"])
def test_sum_of_integers_is_wide(dtype: str) -> None:
    x = sample((4, 3), dtype, 2, -3, 5)
    want = np.uint64 if dtype.startswith("u") else np.int64
    close(st.sum(st.asarray(x)), np.sum(x, dtype=want))
    close(st.prod(st.asarray(x), axis=0), np.prod(x, axis=0, dtype=want))
    close(st.cumsum(st.asarray(x), axis=1), np.cumsum(x, axis=1, dtype=want))
    close(st.mean(st.asarray(x)), np.mean(x, dtype=np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_accumulated_in_single(dtype: str) -> None:
    x = np.full((5000,), 20.0).astype(st.dtypes.BY_NAME[dtype].numpy)
    assert st.mean(st.asarray(x)).item() == 20.0  # the sum alone would be too great for float16
    assert st.sum(st.asarray(np.ones(4096).astype(x.dtype))).item() == 4096.0
    assert st.asarray(x).var().dtype.name == dtype


def test_sum_takes_a_dtype() -> None:
    assert st.sum(st.asarray([1, 2]), dtype=st.float64).dtype is st.float64
    assert st.sum(st.ones(3, dtype=st.float16), dtype=st.float32).dtype is st.float32


@pytest.mark.parametrize("correction", [0, 1, 2])
def test_variance_correction(correction: int) -> None:
    x = sample((5, 6), "float64", 3)
    close(st.var(st.asarray(x), axis=1, correction=correction), np.var(x, axis=1, ddof=correction))
    close(st.std(st.asarray(x), correction=correction), np.std(x, ddof=correction))


def test_variance_methods_with_torchs_arguments_divide_as_torch() -> None:
    x = sample((5, 6), "float32", 3)
    close(st.asarray(x).var(dim=1), torch.from_numpy(x).var(dim=1).numpy())
    close(st.asarray(x).std(dim=0, unbiased=False), torch.from_numpy(x).std(dim=0, unbiased=False).numpy())


def test_nan_propagates() -> None:
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]], np.float32)
    for name in ("sum", "mean", "max", "min", "var", "prod"):
        close(getattr(st, name)(st.asarray(x), axis=1), getattr(np, name)(x, axis=1))
    assert st.argmax(st.asarray(x), axis=1).tolist() == [1, 2]
    assert st.any(st.asarray(x), axis=1).tolist() == [True, True]


def test_empty_reductions() -> None:
    e = st.zeros(0, 3)
    assert st.sum(e).item() == 0.0
    assert st.prod(e, axis=0).tolist() == [1.0] * 3
    assert st.any(e).item() is False
    assert st.all(e).item() is True
    assert np.isnan(st.mean(e).item())
    assert st.sum(e, axis=1).shape == (0,)
    assert st.max(e, axis=1).shape == (0,)
    for call in (st.max, st.min, st.argmax, st.argmin):
        with pytest.raises(ArgumentError, match="at least one"):
            call(e)
        with pytest.raises(ArgumentError):
            call(e, axis=0)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "any", "argmax", "softmax", "cumsum", "sort", "logsumexp"])
def test_bad_axes(name: str) -> None:
    with pytest.raises(IndexOutOfRange, match=r"axis"):
        getattr(st, name)(st.ones(2, 3), axis=2)
    with pytest.raises(SpiralTorchError):
        getattr(st, name)(st.ones(2, 3), axis="x")


def test_repeated_axes_raise() -> None:
    with pytest.raises(ArgumentError, match="distinct"):
        st.sum(st.ones(2, 3), axis=(0, -2))
    with pytest.raises(ArgumentError, match="both"):
        st.sum(st.ones(2, 3), axis=0, dim=1)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reductions(name: str, axis: Any) -> None:
    x = np.array([[3, 1, 3], [1, 1, 0]], np.float32)
    close(getattr(st, name)(st.asarray(x), axis=axis), getattr(np, name)(x, axis=axis))
    got = getattr(st, name)(st.asarray(x), axis=axis, keepdims=True)
    close(got, getattr(np, name)(x, axis=axis, keepdims=True))


def test_max_methods_follow_their_library() -> None:
    x = sample((3, 4), "float32", 4)
    t, r = st.asarray(x), torch.from_numpy(x)
    close(st.max(t, axis=0), x.max(axis=0))
    close(t.max(axis=0).values, x.max(axis=0))
    close(t.max(), x.max())
    values, indices = t.max(dim=1)
    close(values, r.max(dim=1).values.numpy())
    close(indices, r.max(dim=1).indices.numpy())
    assert t.min(dim=0, keepdim=True).values.shape == (1, 4)
    close(t.amax(dim=(0, 1)), x.max())


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_logsumexp(axis: Any) -> None:
    x = sample((3, 4), "float32", 5) * 100
    close(st.logsumexp(st.asarray(x), axis=axis), np.asarray(scipy.special.logsumexp(x, axis=axis), np.float32))
    assert st.logsumexp(st.asarray([-np.inf, -np.inf])).item() == -np.inf


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax(dtype: str, axis: int) -> None:
    x = sample((4, 7), dtype, 6) * 20
    wide = x.astype(np.float64)
    close(st.softmax(st.asarray(x), axis=axis), scipy.special.softmax(wide, axis=axis).astype(x.dtype))
    want = scipy.special.log_softmax(wide, axis=axis).astype(x.dtype)
    close(st.log_softmax(st.asarray(x), dim=axis), want, {"float16": 6e-2, "bfloat16": 5e-1}.get(dtype))


def test_softmax_wants_floats() -> None:
    with pytest.raises(DTypeError, match="softmax"):
        st.softmax(st.asarray([1, 2]))


@pytest.mark.parametrize("order", [0, 1, 2, 3, np.inf, -np.inf, 0.5])
def test_vector_norm(order: float) -> None:
    x = sample((3, 4), "float64", 7)
    close(st.vector_norm(st.asarray(x), axis=1, ord=order), np.linalg.norm(x, ord=order, axis=1))
    close(st.linalg.vector_norm(st.asarray(x), ord=order), np.linalg.norm(x.reshape(-1), ord=order))


def test_norm_is_torchs() -> None:
    x = sample((3, 4), "float32", 8)
    close(st.asarray(x).norm(), torch.from_numpy(x).norm().numpy())
    close(st.norm(st.asarray(x), p=1, dim=1), torch.from_numpy(x).norm(p=1, dim=1).numpy())


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("name", "reference"), [
    ("cumsum", np.cumsum), ("cumprod", np.cumprod), ("cummax", np.maximum.accumulate), ("cummin", np.minimum.accumulate),
])  # fmt: skip
def test_scans(name: str, reference: Any, axis: int) -> None:
    x = sample((4, 5), "float64", 9)
    close(getattr(st, name)(st.asarray(x), axis=axis), reference(x, axis=axis))


def test_cumulative_sum_with_initial() -> None:
    x = np.array([[1, 2, 3], [4, 5, 6]])
    got = st.cumulative_sum(st.asarray(x), axis=1, include_initial=True)
    close(got, np.concatenate([np.zeros((2, 1), int), np.cumsum(x, 1)], 1))
    got = st.cumulative_prod(st.asarray(x[0]), include_initial=True)
    close(got, np.array([1, 1, 2, 6]))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_sorting(axis: int, descending: bool) -> None:
    x = np.random.default_rng(10).integers(0, 4, (6, 7)).astype(np.float32)
    t, r = st.asarray(x), torch.from_numpy(x)
    values, order = torch.sort(r, dim=axis, descending=descending, stable=True)
    close(st.sort(t, axis=axis, descending=descending), values.numpy())
    close(st.argsort(t, axis=axis, descending=descending), order.numpy())


def test_sort_puts_nan_last() -> None:
    x = np.array([2.0, np.nan, 1.0], np.float32)
    close(st.sort(st.asarray(x)), np.sort(x))


def test_topk() -> None:
    x = np.random.default_rng(11).permutation(24).reshape(4, 6).astype(np.float32)
    for largest in (True, False):
        values, indices = st.topk(st.asarray(x), 3, largest=largest)
        want = torch.topk(torch.from_numpy(x), 3, largest=largest)
        close(values, want.values.numpy())
        close(indices, want.indices.numpy())
    with pytest.raises(ArgumentError, match="k from 0 to 6"):
        st.topk(st.asarray(x), 7)


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (5,), (16,), (40,), (2, 2), (3, 5), (5, 33), (2, 3, 4)], ids=str)
def test_reductions_of_constants(shape: tuple[int, ...]) -> None:
    """A value that does not depend on the reduced axes is still added once for each element."""
    count = int(np.prod(shape))
    assert st.ones(shape).sum().item() == count
    assert st.full(shape, 2.5).sum().item() == 2.5 * count
    assert st.ones(shape).mean().item() == 1.0
    assert st.full(shape, 3).sum(axis=-1).tolist() == np.full(shape, 3).sum(-1).tolist()
    assert st.full(shape, 1.25).prod().item() == pytest.approx(1.25**count, rel=1e-4)
    close(st.asarray(np.arange(shape[-1], dtype=np.float32)).expand(shape).sum(axis=0), np.broadcast_to(
        np.arange(shape[-1], dtype=np.float32), shape).sum(0))  # fmt: skip


def test_zero_dimensional() -> None:
    x = st.asarray(2.5)
    assert (x.sum().item(), x.mean().item(), x.argmax().item(), st.sort(x).item()) == (2.5, 2.5, 0, 2.5)
    assert x.max(axis=-1).values.item() == 2.5
    assert st.max(x, axis=-1).item() == 2.5
    assert st.softmax(x).item() == 1.0


def test_random_shapes_against_numpy() -> None:
    rng = np.random.default_rng(12)
    for _ in range(25):
        shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 5)))
        x = rng.normal(size=shape)
        axis = tuple(int(a) for a in rng.permutation(len(shape))[: rng.integers(0, len(shape) + 1)])
        for name in ("sum", "max", "mean", "var"):
            close(getattr(st, name)(st.asarray(x), axis=axis), np.asarray(getattr(np, name)(x, axis=axis)))


def test_sixteen_bits_are_squared_and_summed_in_single() -> None:
    x = np.array([300.0, -300.0, 400.0, 500.0], np.float16)
    t, wide = st.asarray(x), x.astype(np.float32)
    assert st.std(t).item() == np.std(wide).astype(np.float16)
    assert st.norm(t).item() == np.linalg.norm(wide).astype(np.float16)
    assert st.vector_norm(t, ord=3).item() == np.linalg.norm(wide, ord=3).astype(np.float16)
    few = np.array([-1.0, 2.0, 3.3125], st.bfloat16.numpy)
    for name in ("softmax", "log_softmax", "logsumexp"):  # rounded once, at the end
        want = getattr(scipy.special, name)(few.astype(np.float64))
        np.testing.assert_array_equal(getattr(st, name)(st.asarray(few), axis=0).numpy(), want.astype(few.dtype))


def test_scans_of_booleans() -> None:
    x = np.array([[False, True, False], [True, False, True]])
    close(st.cummax(st.asarray(x), axis=1), np.maximum.accumulate(x, axis=1))
    close(st.cummin(st.asarray(x), axis=1), np.minimum.accumulate(x, axis=1))


def test_softmax_of_no_elements_has_none_and_logsumexp_is_log_of_zero() -> None:
    e = st.zeros(3, 0, requires_grad=True)
    for op in (st.softmax, st.log_softmax):
        assert op(e, -1).shape == (3, 0) and op(e, 0).shape == (3, 0)
        op(e, -1).sum().backward()
        assert e.grad is not None and e.grad.shape == (3, 0)
    assert st.logsumexp(e, axis=-1).tolist() == [-np.inf] * 3 and st.logsumexp(e, axis=0).shape == (0,)
    with pytest.raises(st.ArgumentError):
        st.max(e, axis=1)
