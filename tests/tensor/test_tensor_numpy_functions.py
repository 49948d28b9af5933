"""NumPy's own functions on tensors mean and return what they do for arrays; gradients are never lost without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.errors import ArgumentError, GradientError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4)).astype(np.float32)

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda x: np.mean(x), "mean axis": lambda x: np.mean(x, axis=0, keepdims=True), "sum": lambda x: np.sum(x, 1),
    "sum dtype": lambda x: np.sum(x, dtype=np.float64), "std": lambda x: np.std(x, axis=1),
    "std ddof": lambda x: np.std(x, ddof=1), "var": lambda x: np.var(x, 0), "max": lambda x: np.max(x, axis=1),
    "amin": lambda x: np.amin(x), "max initial": lambda x: np.max(x, initial=9.0), "any": lambda x: np.any(x > 0, axis=0),
    "all": lambda x: np.all(x), "transpose": lambda x: np.transpose(x), "transpose axes": lambda x: np.transpose(x, (1, 0)),
    "sort": lambda x: np.sort(x), "sort axis": lambda x: np.sort(x, axis=0), "argsort": lambda x: np.argsort(x, axis=0),
    "argmax": lambda x: np.argmax(x), "argmin": lambda x: np.argmin(x, axis=1), "cumsum": lambda x: np.cumsum(x),
    "cumprod": lambda x: np.cumprod(x, axis=1), "reshape": lambda x: np.reshape(x, (4, 3)),
    "reshape order": lambda x: np.reshape(x, (4, 3), order="F"), "ravel": lambda x: np.ravel(x),
    "squeeze": lambda x: np.squeeze(x), "median": lambda x: np.median(x), "quantile": lambda x: np.quantile(x, 0.3),
    "percentile": lambda x: np.percentile(x, 30, axis=0), "nonzero": lambda x: np.nonzero(x > 0),
    "argwhere": lambda x: np.argwhere(x > 0), "take": lambda x: np.take(x, [1, 0], axis=1), "diff": lambda x: np.diff(x, 2),
    "repeat": lambda x: np.repeat(x, 2, axis=0), "tile": lambda x: np.tile(x, 2), "clip": lambda x: np.clip(x, -1, 1),
    "round": lambda x: np.round(x, 1), "dot": lambda x: np.dot(x, X.T), "outer": lambda x: np.outer(x, x),
    "concatenate": lambda x: np.concatenate([x, X, x]), "stack": lambda x: np.stack((x, x)), "where": lambda x: np.where(x > 0, x, 0),
    "unique": lambda x: np.unique(x, return_counts=True), "split": lambda x: np.split(x, 2, axis=1),
    "histogram": lambda x: np.histogram(x, bins=3), "einsum": lambda x: np.einsum("ij,kj", x, x), "norm": lambda x: np.linalg.norm(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1), "expand_dims": lambda x: np.expand_dims(x, 0), "trace": lambda x: np.trace(x),
    "ptp": lambda x: np.ptp(x), "average": lambda x: np.average(x, axis=0), "allclose": lambda x: np.allclose(x, X),
    "array_equal": lambda x: np.array_equal(x, X), "count_nonzero": lambda x: np.count_nonzero(x > 0), "shape": lambda x: np.shape(x),
    "ndim": lambda x: np.ndim(x), "size": lambda x: np.size(x), "size axis": lambda x: np.size(x, 1), "copy": lambda x: np.copy(x),
    "zeros_like": lambda x: np.zeros_like(x), "full_like": lambda x: np.full_like(x, 7), "result_type": lambda x: np.result_type(x, np.float64),
    "pad": lambda x: np.pad(x, 1), "flip": lambda x: np.flip(x, 0), "roll": lambda x: np.roll(x, 1), "inner": lambda x: np.inner(x, x),
    "searchsorted": lambda x: np.searchsorted([0.0, 1.0], x), "fft": lambda x: np.fft.fft(x), "exp": lambda x: np.exp(x),
    "add": lambda x: np.add(x, X), "isnan": lambda x: np.isnan(x), "reduce": lambda x: np.add.reduce(x, axis=1),
    "array": lambda x: np.array(x), "asarray dtype": lambda x: np.asarray(x, dtype=np.float64),
}  # fmt: skip


def equal(got: Any, want: Any) -> None:
    assert type(got) is type(want)
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            equal(g, w)
        return
    if isinstance(want, (np.ndarray, np.generic)):
        assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys(name: str) -> None:
    function = FUNCTIONS[name]
    equal(function(st.asarray(X)), function(X))


def test_tensors_are_not_written_to() -> None:
    x = st.ones(3)
    with pytest.raises(ArgumentError, match="out="):
        np.mean(st.ones(3, 3), axis=0, out=x)  # type: ignore[call-overload]
    out = np.empty(3, np.float32)
    assert np.sum(st.ones(2, 3), axis=0, out=out) is out and out.tolist() == [2.0] * 3
    with pytest.raises(ValueError, match="read-only"):
        np.copyto(x, [5, 5, 5])  # type: ignore[arg-type]


LOSING: list[Callable[[Any], Any]] = [
    lambda p: np.exp(p), lambda p: np.asarray(p), lambda p: np.array(p), lambda p: np.mean(p), lambda p: np.sum(p, axis=0),
    lambda p: np.concatenate([p, p]), lambda p: np.multiply(2.0, p), lambda p: np.std(p), lambda p: np.where(X > 0, p, 0),
    lambda p: np.copyto(np.zeros((3, 4), np.float32), p), lambda p: st.tensor([[p, p]]), lambda p: np.add(X, p),
    lambda p: np.einsum("ij->i", p), lambda p: np.linalg.norm(p), lambda p: np.array([p[0], p[1]]), lambda p: p.__array__(),
]  # fmt: skip


@pytest.mark.parametrize("n", range(len(LOSING)))
def test_gradients_are_not_lost(n: int) -> None:
    p = st.tensor(X, requires_grad=True)
    for leaf in (p, p * 2):
        with pytest.raises(GradientError, match=r"^\[\w+\] expected tensors that require no gradient .*, got .*detach"):
            LOSING[n](leaf)
    with st.no_grad():
        LOSING[n](p) if n != 10 else None
    LOSING[n](p.detach()) if n != 10 else None


def test_what_has_no_gradient_is_not_refused() -> None:
    p = st.tensor(X, requires_grad=True)
    assert np.shape(p) == (3, 4) and np.ndim(p) == 2 and np.zeros_like(p).shape == (3, 4)
    assert np.argmax(p) == X.argmax() and np.argsort(p, axis=0).tolist() == np.argsort(X, axis=0).tolist()
    assert np.array_equal(p, X) and np.any(p) and np.count_nonzero(p) == 12
    assert (
        (p + X).requires_grad
        and (X * p).requires_grad
        and (np.float32(2) * p).requires_grad
        and (X @ p.T).requires_grad
    )
    assert float(p[0, 0]) == X[0, 0] and p.tolist() == X.tolist()


class Series:
    """An object as pandas has them: it wraps an array, and asks arrays and tensors beside it to leave operators to it."""

    __array_priority__ = 2000

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values

    def __mul__(self, other: Any) -> Series:
        return Series(self.values * other)

    __rmul__ = __mul__


def test_objects_of_other_libraries_keep_their_operators() -> None:
    a, x = Series(X), st.asarray(X)
    for product in (a * x, x * a):
        assert isinstance(product, Series)
        np.testing.assert_array_equal(product.values, X * X)


def test_dtypes_are_ones_of_numpy() -> None:
    for dtype in st.dtypes.ALL:
        assert np.dtype(dtype) == dtype.numpy  # type: ignore[call-overload]
    assert np.zeros(2, dtype=st.ones(2).dtype).dtype == np.float32  # type: ignore[call-overload]


class Foreign:
    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> str:
        return "foreign"


def test_functions_beside_arrays_of_a_third_library_are_left_to_it() -> None:
    assert np.concatenate([st.ones(2), Foreign()]) == "foreign"  # type: ignore[comparison-overlap, list-item]
