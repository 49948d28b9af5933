"""Initialisation, gradient clipping, parameters as a vector."""

import math

import numpy as np
import pytest
import scipy.stats

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.errors import ArgumentError, GradientError, ShapeError
from spiraltorch.nn import init, utils


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("uniform_", {"a": -2.0, "b": 3.0}),
        ("normal_", {"mean": 1.0, "std": 0.5}),
        ("trunc_normal_", {"std": 0.5, "a": -0.6, "b": 1.0}),
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "relu"}),
    ],
)
def test_distributions_are_those_of_torch(name, kwargs):
    st.manual_seed(11)
    torch.manual_seed(11)
    ours, theirs = st.zeros(60, 20, 5), torch.zeros(60, 20, 5)
    assert getattr(init, name)(ours, **kwargs) is ours
    getattr(torch.nn.init, name)(theirs, **kwargs)
    assert scipy.stats.ks_2samp(ours.numpy().ravel(), theirs.numpy().ravel()).pvalue > 0.01


def test_fixed_values():
    t = st.zeros(3, 4)
    assert (init.eye_(t).numpy() == np.eye(3, 4)).all()
    assert (init.constant_(t, 2.5).numpy() == 2.5).all()
    assert (init.ones_(t).numpy() == 1).all() and (init.zeros_(t).numpy() == 0).all()
    for shape in ((4, 6), (6, 4), (3, 2, 2)):
        q = init.orthogonal_(st.zeros(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)
    for name in ("linear", "relu", "tanh", "sigmoid", "selu", "leaky_relu", "conv2d"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


def test_a_generator_repeats():
    first = init.normal_(st.zeros(5), generator=st.Generator(4)).tolist()
    assert first == init.normal_(st.zeros(5), generator=st.Generator(4)).tolist()


def test_bad_arguments():
    with pytest.raises(ShapeError, match="xavier_uniform_"):
        init.xavier_uniform_(st.zeros(3))
    with pytest.raises(ArgumentError, match="calculate_gain"):
        init.calculate_gain("swish")
    with pytest.raises(ArgumentError, match="fan_in"):
        init.kaiming_normal_(st.zeros(3, 3), mode="fan")
    p = nn.Parameter(st.ones(2))
    p.grad = st.ones(2)
    for norm_type in (0.0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="norm_type"):
            nn.utils.clip_grad_norm_([p], 1.0, norm_type)


def both(*arrays):
    ours = [nn.Parameter(st.zeros(*a.shape)) for a in arrays]
    theirs = [torch.nn.Parameter(torch.zeros(*a.shape)) for a in arrays]
    for p, q, a in zip(ours, theirs, arrays):
        p.grad, q.grad = st.tensor(a), torch.tensor(a)
    return ours, theirs


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(norm_type, max_norm):
    rng = np.random.default_rng(2)
    ours, theirs = both(rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=4).astype(np.float32))
    mine = utils.clip_grad_norm_(ours, max_norm, norm_type)
    other = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert mine.item() == pytest.approx(other.item(), rel=1e-5)
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_clip_other():
    ours, theirs = both(np.array([3.0, -2.0, 0.1], np.float32))
    utils.clip_grad_value_(ours, 1.5)
    torch.nn.utils.clip_grad_value_(theirs, 1.5)
    assert ours[0].grad.tolist() == theirs[0].grad.tolist()
    bad, _ = both(np.array([math.inf], np.float32))
    with pytest.raises(GradientError, match="finite"):
        utils.clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
    with pytest.raises(ArgumentError, match="max_norm"):
        utils.clip_grad_norm_(bad, -1.0)


def test_parameters_as_vector():
    layer = nn.Linear(3, 2)
    vector = utils.parameters_to_vector(layer.parameters())
    np.testing.assert_array_equal(
        vector.detach().numpy(), np.concatenate([p.detach().numpy().ravel() for p in layer.parameters()])
    )
    utils.vector_to_parameters(st.arange(8, dtype=st.float32), layer.parameters())
    assert layer.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and layer.bias.tolist() == [6, 7]
    with pytest.raises(ShapeError, match="vector"):
        utils.vector_to_parameters(st.zeros(3), layer.parameters())
