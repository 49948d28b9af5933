"""Sorting rows of any length: stable, NaN greatest, zeros of both signs equal, in either direction."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import spiraltorch as st

DTYPES = [
    np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16,
    np.uint32, np.uint64, np.bool_,
]  # fmt: skip


def values(dtype: Any, n: int) -> Any:
    """Rows with many ties and every special value."""
    rng, kind = np.random.default_rng(n), np.dtype(dtype).kind
    if kind in "fV":
        x = rng.standard_normal((3, n)).astype(np.float32)
        for start, every, special in ((0, 7, 0.0), (1, 11, -0.0), (3, 13, np.nan), (5, 17, np.inf), (6, 19, -np.inf)):
            x[:, start::every] = special
        x[:, 8::23] = np.copysign(np.nan, -1)
        return x.astype(dtype)
    if kind == "b":
        return rng.random((3, n)) < 0.5
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (3, n), dtype=dtype, endpoint=True)
    x[:, ::5], x[:, 1::5] = info.min, info.max
    return x


def places(x: Any, descending: bool) -> Any:
    """NumPy's stable order; descending keeps the order of equal elements."""
    keys = x.astype(np.uint8) if x.dtype == bool else x.astype(np.float64) if x.dtype.kind in "fV" else x
    if not descending:
        return np.argsort(keys, axis=1, kind="stable")
    return x.shape[1] - 1 - np.argsort(keys[:, ::-1], axis=1, kind="stable")[:, ::-1]


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1000, 4101])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_argsort_of_rows(dtype: Any, n: int) -> None:
    x = values(dtype, n)
    for descending in (False, True):
        got = st.argsort(st.asarray(x), 1, descending=descending).numpy()
        np.testing.assert_array_equal(got, places(x, descending))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_axes_and_what_feeds_the_sort(axis: int) -> None:
    x = np.random.default_rng(1).standard_normal((70, 65, 66)).astype(np.float32)
    got = st.sort(st.asarray(x) * 2 - 1, axis)
    got = got[0] if isinstance(got, tuple) else got
    np.testing.assert_array_equal(got.numpy(), np.sort(x * np.float32(2) - np.float32(1), axis))


def test_a_long_row() -> None:
    x = np.random.default_rng(2).standard_normal(300_000).astype(np.float32)
    np.testing.assert_array_equal(st.argsort(st.asarray(x)).numpy(), np.argsort(x, kind="stable"))
    top = st.topk(st.asarray(x), 10)
    np.testing.assert_array_equal(top[0].numpy(), np.sort(x)[::-1][:10])


@pytest.mark.parametrize("rest", [0, 1, 5])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint64], ids=lambda d: np.dtype(d).name)
def test_rows_that_several_threads_share(dtype: Any, rows: int, rest: int) -> None:
    """Blocks of a row keep the order of equal elements, whatever is left over after the last of them."""
    x = values(dtype, (1 << 15) + 4096 + rest)[:rows]
    for descending in (False, True):
        got = st.argsort(st.asarray(x), 1, descending=descending).numpy()
        np.testing.assert_array_equal(got, places(x, descending))
    turned = st.sort(st.asarray(np.ascontiguousarray(x.T)), 0)
    np.testing.assert_array_equal((turned[0] if isinstance(turned, tuple) else turned).numpy(), np.sort(x, 1).T)


@pytest.mark.parametrize("seed", range(30))
def test_topk_of_long_rows_is_the_head_of_a_stable_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lead = tuple(int(e) for e in rng.integers(1, 4, rng.integers(0, 3)))
    axis, n, k = int(rng.integers(0, len(lead) + 1)), int(rng.integers(1024, 5000)), int(rng.integers(1, 40))
    shape, largest = (*lead[:axis], n, *lead[axis:]), bool(rng.integers(0, 2))
    dtype = ("float32", "float64", "float16", "int32", "uint8", "int64", "bool")[seed % 7]
    x = (rng.standard_normal(shape) * rng.choice([1, 3, 1000])).astype(dtype)
    if x.dtype.kind == "f":
        for value, share in ((np.nan, 0.003), (np.inf, 0.01), (-np.inf, 0.01), (-0.0, 0.01), (0.0, 0.01)):
            x[rng.random(shape) < share] = value
        if seed % 3 == 0:
            x[rng.random(shape) < 0.995] = np.nan
    along = np.moveaxis(x, axis, -1)
    if largest:
        order = n - 1 - np.flip(np.argsort(np.flip(along, -1), -1, kind="stable"), -1)
    else:
        order = np.argsort(along, -1, kind="stable")
    want = np.moveaxis(order[..., :k], -1, axis)
    values, places = st.topk(st.tensor(x), k, axis=axis, largest=largest)
    np.testing.assert_array_equal(places.numpy(), want)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, want, axis))


def test_topk_of_long_rows_gives_its_gradient_to_the_elements_it_took() -> None:
    x = st.randn(3, 2000).requires_grad_()
    values, places = st.topk(x, 5)
    (values * st.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()
    want = np.zeros((3, 2000), np.float32)
    np.put_along_axis(want, places.numpy(), np.tile(np.arange(1, 6, dtype=np.float32), (3, 1)), 1)
    np.testing.assert_array_equal(x.grad.numpy(), want)


@pytest.mark.parametrize("n", [64, 1000, 40000])
@pytest.mark.parametrize(
    "dtype", "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split()
)
def test_values_alone_are_sorted_without_places(dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x = (rng.standard_normal((2, n)) * 1000).astype(np.float64)
    if dtype.startswith("float"):
        for value in (np.nan, np.inf, -np.inf, -0.0, 0.0):
            x[rng.random(x.shape) < 0.01] = value
    x = x.astype(dtype)
    for descending in (False, True):
        made = st.sort(st.tensor(x), descending=descending)
        assert "%2 sort" in st.explain(made)
        want = np.sort(x, -1)
        np.testing.assert_array_equal(made.numpy(), want[:, ::-1] if descending else want)
