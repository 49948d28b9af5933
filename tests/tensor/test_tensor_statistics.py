"""Order statistics, sums over NaN, histograms, covariances and logspace against NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError, SpiralTorchError

AXES: list[Any] = [None, 0, -1, (0, 2), (2, 1), (0, 1, 2)]
X = sample((3, 4, 5), "float64", 1)
HOLES = np.where(sample((3, 4, 5), "float64", 2) > 2, np.nan, X)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_over_axes(axis: Any, keepdims: bool) -> None:
    x, holes = st.asarray(X), st.asarray(HOLES)
    for name in ("nansum", "nanmean"):
        close(
            getattr(st, name)(holes, axis=axis, keepdims=keepdims),
            getattr(np, name)(HOLES, axis=axis, keepdims=keepdims),
        )
    close(st.median(x, axis=axis, keepdims=keepdims), np.median(X, axis=axis, keepdims=keepdims))
    close(st.median(holes, axis=axis, keepdims=keepdims), np.median(HOLES, axis=axis, keepdims=keepdims))
    for q in (0.3, [0.0, 0.25, 1.0], np.array([[0.1, 0.9]])):
        for method in ("linear", "lower", "higher", "midpoint", "nearest"):
            got = st.quantile(x, q, axis=axis, keepdims=keepdims, method=method)
            close(got, np.quantile(X, q, axis=axis, keepdims=keepdims, method=method))
    close(st.quantile(holes, [0.5, 0.0], axis=axis), np.quantile(HOLES, [0.5, 0.0], axis=axis))


@pytest.mark.parametrize("n", [1, 4, 5])
@pytest.mark.parametrize("dtype", ["int64", "float32", "float16"])
def test_median_with_dim_is_torchs(dtype: str, n: int) -> None:
    x = sample((3, n, 2), dtype, n, -9, 9)
    if dtype != "int64" and n == 4:
        x[1, 2, 0] = np.nan
    for d in (1, -1):
        for keep in (False, True):
            want = torch.from_numpy(x).median(dim=d, keepdim=keep)
            got = st.asarray(x).median(dim=d, keepdim=keep)
            close(got.values, want.values.numpy())
            index = got.indices if keep else got.indices.unsqueeze(d)
            found = st.take_along_axis(st.asarray(x), index, axis=d)
            close(found if keep else found.squeeze(d), want.values.numpy())
    assert [t.item() for t in st.tensor(3.0).median(dim=0)] == [3.0, 0]
    assert st.median(st.tensor([1.0, 2.0]), dim=0).item() == 1.5
    assert st.median(st.zeros(2, 0), dim=1).isnan().tolist() == [True, True]  # as NumPy
    assert st.zeros(0).median().isnan().item() and st.zeros(0).nanmedian().isnan().item()  # as PyTorch


@pytest.mark.parametrize("values", [[2, 2, -3], [1, 0, 0, 5], [[1, 1], [1, 1]], [np.nan, 1, np.nan], [4, 3, 2, 1]])
def test_equal_middle_elements_share_the_gradient_as_in_torch(values: list[Any]) -> None:
    for method in ("median", "nanmedian"):
        x, t = st.tensor(values, dtype=st.float32, requires_grad=True), torch.tensor(values, dtype=torch.float32)
        t.requires_grad_(True)
        (3 * getattr(x, method)()).backward()
        (3 * getattr(t, method)()).backward()
        assert getattr(x, method)().isnan().item() == getattr(t, method)().isnan().item()
        close(x.grad, t.grad.numpy())


def test_order_statistics_of_other_dtypes() -> None:
    close(st.median(st.tensor([1, 2, 3, 4])), np.float32(2.5))
    half = sample((101,), "bfloat16", 4)
    close(st.quantile(st.asarray(half), 0.37), np.quantile(half.astype(np.float64), 0.37).astype(half.dtype), 8e-3)
    endless = np.array([-np.inf, 1.0, np.inf, np.inf, np.inf])
    close(st.quantile(st.asarray(endless), [0.0, 0.5, 0.6, 1.0]), np.array([-np.inf, np.inf, np.inf, np.inf]))


def test_quantile_has_a_gradient() -> None:
    x = torch.tensor(X, requires_grad=True)
    (torch.quantile(x, torch.tensor([0.3, 0.8], dtype=torch.float64), dim=1) ** 2).sum().backward()
    close(st.grad(lambda x: (st.quantile(x, [0.3, 0.8], axis=1) ** 2).sum())(st.asarray(X)), x.grad.numpy())


def test_sums_over_nan_of_other_kinds() -> None:
    assert st.nansum(st.tensor([1, 2], dtype=st.int8)).dtype is st.int64
    assert st.nanmean(st.tensor([1, 2])).item() == 1.5
    assert st.nansum(st.tensor([st.nan])).item() == 0.0
    assert np.isnan(st.nanmean(st.tensor([st.nan])).item())
    many = np.where(np.arange(5000) % 2, 20.0, np.nan).astype(np.float16)
    assert st.nanmean(st.asarray(many)).item() == 20.0  # the sum alone would be too great for float16
    x = st.tensor([1.0, st.nan, 3.0], requires_grad=True)
    st.nanmean(x).backward()
    assert x.grad.tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("bins", [1, 7, [-2.0, -1.0, -1.0, 0.5, 3.0]], ids=str)
def test_histogram(bins: Any, dtype: str) -> None:
    x = np.concatenate([sample((60,), dtype, 5), np.array([-3, -2, -1, 0, 3, 3], dtype)]).reshape(6, 11)
    w = sample((6, 11), "float64", 6, 0.0, 2.0)
    for limits in (None, (-1.5, 2.0), (3.0, 3.0)):
        for density in (False, True):
            for weights in (None, w):
                want = np.histogram(x, bins, limits, density=density, weights=weights)
                mine = None if weights is None else st.asarray(weights)
                counts, edges = st.histogram(st.asarray(x), bins, range=limits, density=density, weights=mine)
                close(edges, want[1], 1e-6, dtype=False)
                if not density or want[0].sum() > 0:
                    close(counts, want[0], 1e-5, dtype=not density and weights is None)


def test_histogram_passes_over_nan_in_a_range_and_takes_empty_input() -> None:
    x = np.array([0.5, np.nan, np.inf, 0.1])
    close(st.histogram(st.asarray(x), 2, range=(0, 1))[0], np.histogram(x[[0, 3]], 2, range=(0, 1))[0])
    counts, edges = st.histogram(st.zeros(0), 2)
    assert (counts.tolist(), edges.tolist()) == ([0, 0], [0.0, 0.5, 1.0])


@pytest.mark.parametrize("correction", [0, 1, 2])
def test_cov(correction: int) -> None:
    x = sample((3, 8), "float64", 7)
    f, a = np.array([1, 2, 1, 3, 1, 1, 2, 1]), sample((8,), "float64", 8, 0.1, 1.0)
    for weights in ({}, {"fweights": f}, {"aweights": a}, {"fweights": f, "aweights": a}):
        mine = {k: st.asarray(v) for k, v in weights.items()}
        close(st.cov(st.asarray(x), correction=correction, **mine), np.cov(x, ddof=correction, **weights))
        close(st.cov(st.asarray(x[0]), correction=correction, **mine), np.cov(x[0], ddof=correction, **weights))
        want = torch.cov(
            torch.from_numpy(x), correction=correction, **{k: torch.from_numpy(v) for k, v in weights.items()}
        )
        close(st.asarray(x).cov(correction, **mine), want.numpy())
    close(st.cov(st.asarray(x), rowvar=False), np.cov(x, rowvar=False))


def test_logspace() -> None:
    close(st.logspace(-2, 3, 7), np.logspace(-2, 3, 7, dtype=np.float32))
    close(st.logspace(0, 8, 5, base=2, dtype=st.int64), np.logspace(0, 8, 5, base=2, dtype=np.int64))
    close(st.logspace(0, 1, 4, endpoint=False, dtype=st.float64), np.logspace(0, 1, 4, endpoint=False))
    assert st.logspace(0, 1, 0).shape == (0,)


BAD: list[tuple[type[SpiralTorchError], Any]] = [
    (ArgumentError, lambda: st.quantile(st.ones(3), 1.5)),
    (ArgumentError, lambda: st.quantile(st.ones(3), 0.5, method="cubic")),
    (ArgumentError, lambda: st.quantile(st.zeros(0), 0.5)),
    (ArgumentError, lambda: st.zeros(2, 0).median(dim=1)),
    (ArgumentError, lambda: st.median(st.ones(2), axis=0, dim=0)),
    (IndexOutOfRange, lambda: st.median(st.ones(2), dim=3)),
    (ArgumentError, lambda: st.histogram(st.ones(3), 0)),
    (ArgumentError, lambda: st.histogram(st.ones(3), "auto")),
    (ArgumentError, lambda: st.histogram(st.ones(3), [2.0, 1.0])),
    (ArgumentError, lambda: st.histogram(st.tensor([1.0, st.nan]))),
    (ArgumentError, lambda: st.histogram(st.ones(3), range=(2, 1))),
    (ShapeError, lambda: st.histogram(st.ones(3), weights=st.ones(2))),
    (DTypeError, lambda: st.histogram(st.ones(2), weights=st.tensor([True, False]))),
    (ShapeError, lambda: st.cov(st.ones(2, 2, 2))),
    (ShapeError, lambda: st.cov(st.ones(2, 3), fweights=st.ones(2))),
    (ArgumentError, lambda: st.logspace(0, 1, -1)),
]


@pytest.mark.parametrize("n", range(len(BAD)))
def test_bad_input_is_named(n: int) -> None:
    kind, call = BAD[n]
    with pytest.raises(kind, match=r"^\[\w+\] expected .*, got"):
        call()
