"""`interpolate` against PyTorch, and its gradient as the transpose of what it does."""

import itertools

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, ShapeError
from spiraltorch.nn import functional as F

rng = np.random.default_rng(0)
SPACES = [(5,), (1,), (4, 3), (3, 4, 2)]
SIZES = [{"size": 7}, {"size": 2}, {"size": 1}, *({"scale_factor": f} for f in (1, 2, 3.0, 0.5, 1.7))]
SIZES += [{"scale_factor": 1.7, "recompute_scale_factor": True}]
LINEAR = ("linear", "bilinear", "trilinear")


def compare(shape, dtype, kwargs):
    x = rng.normal(size=shape).astype(dtype)
    mine, other = st.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a, b = F.interpolate(mine, **kwargs), torch.nn.functional.interpolate(other, **kwargs)
    tolerance = 1e-6 if dtype is np.float32 else 1e-12
    assert tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=tolerance, rtol=tolerance)
    weight = rng.normal(size=tuple(b.shape)).astype(dtype)
    a.backward(st.tensor(weight))
    b.backward(torch.tensor(weight))
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), atol=4 * tolerance, rtol=tolerance)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("space", SPACES)
def test_nearest(space, mode):
    for kwargs in SIZES:
        if kwargs.get("scale_factor", 1) * min(space) >= 1:
            compare((2, 3, *space), np.float32, {"mode": mode, **kwargs})


@pytest.mark.parametrize("align_corners", [None, False, True])
@pytest.mark.parametrize("space", SPACES)
def test_linear(space, align_corners):
    for kwargs, dtype in itertools.product(SIZES, (np.float32, np.float64)):
        if kwargs.get("scale_factor", 1) * min(space) >= 1:
            mode = LINEAR[len(space) - 1]
            compare((2, 1, *space), dtype, {"mode": mode, "align_corners": align_corners, **kwargs})


def test_an_extent_for_each_axis():
    compare((1, 2, 4, 6), np.float32, {"size": (8, 3), "mode": "bilinear"})
    compare((1, 2, 4, 6), np.float32, {"scale_factor": (2.0, 0.5), "mode": "nearest"})


def test_dtypes():
    x = st.tensor([[[1, 2]]], dtype=st.int32)
    assert F.interpolate(x, 4).tolist() == [[[1, 1, 2, 2]]]
    assert F.interpolate(x, 3).dtype == st.int32
    half = F.interpolate(st.tensor([[[1.0, 3.0]]], dtype=st.float16), 3, mode="linear", align_corners=True)
    assert half.dtype == st.float16
    assert half.tolist() == [[[1.0, 2.0, 3.0]]]
    with pytest.raises(DTypeError, match="interpolate"):
        F.interpolate(x, 3, mode="linear")


@pytest.mark.parametrize(
    ("shape", "kwargs", "error"),
    [
        ((2, 3), {"size": 2}, ShapeError),
        ((1, 1, 2, 2, 2, 2), {"size": 2}, ShapeError),
        ((1, 1, 0), {"size": 2}, ShapeError),
        ((1, 1, 2), {"scale_factor": 0.3}, ShapeError),
        ((1, 1, 2), {}, ArgumentError),
        ((1, 1, 2), {"size": 2, "scale_factor": 2}, ArgumentError),
        ((1, 1, 2), {"size": 2, "recompute_scale_factor": True}, ArgumentError),
        ((1, 1, 2), {"size": 0}, ArgumentError),
        ((1, 1, 2), {"size": (2, 2)}, ArgumentError),
        ((1, 1, 2), {"scale_factor": -1.0}, ArgumentError),
        ((1, 1, 2), {"scale_factor": float("nan")}, ArgumentError),
        ((1, 1, 2), {"scale_factor": (1.0, 2.0)}, ArgumentError),
        ((1, 1, 2), {"size": 3, "mode": "bilinear"}, ArgumentError),
        ((1, 1, 2), {"size": 3, "align_corners": False}, ArgumentError),
    ],
)
def test_bad_arguments(shape, kwargs, error):
    with pytest.raises(error, match="interpolate"):
        F.interpolate(st.zeros(*shape), **kwargs)
