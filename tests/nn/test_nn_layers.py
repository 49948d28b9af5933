"""Every layer against PyTorch: output, gradients, state keys, buffers after the call."""

import numpy as np
import pytest
from nn_helpers import close, compare

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.errors import ArgumentError, ShapeError

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


LAYERS = {
    "Linear": ((5, 3), {}, (2, 4, 5)),
    "Linear no bias": ((5, 3), {"bias": False}, (5,)),
    "Conv1d": ((4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (2, 4, 9)),
    "Conv2d": ((3, 4, 3), {"padding": 1}, (2, 3, 6, 5)),
    "Conv2d strided": ((4, 4, (3, 2)), {"stride": (2, 1), "dilation": (1, 2), "groups": 4}, (1, 4, 7, 6)),
    "Conv2d same": ((2, 3, 3), {"padding": "same", "bias": False}, (1, 2, 5, 4)),
    "Conv2d circular": ((2, 3, 3), {"padding": 1, "padding_mode": "circular"}, (1, 2, 5, 4)),
    "Conv2d reflect": ((2, 3, 3), {"padding": (1, 2), "padding_mode": "reflect"}, (1, 2, 5, 4)),
    "Conv3d": ((2, 3, 2), {"padding": 1}, (1, 2, 3, 4, 3)),
    "ConvTranspose1d": ((4, 2, 3), {"stride": 2, "padding": 1, "output_padding": 1}, (2, 4, 5)),
    "ConvTranspose2d": ((4, 6, 3), {"stride": 2, "groups": 2}, (1, 4, 4, 3)),
    "ConvTranspose3d": ((4, 2, (2, 3, 1)), {"stride": (2, 1, 2), "padding": (0, 1, 0)}, (2, 4, 3, 4, 2)),
    "ConvTranspose3d groups": ((4, 2, 2), {"stride": 2, "output_padding": 1, "groups": 2, "bias": False}, (4, 2, 3, 2)),
    "LayerNorm": ((6,), {}, (3, 6)),
    "LayerNorm two axes": (((4, 6),), {"eps": 1e-3}, (2, 4, 6)),
    "LayerNorm no bias": ((6,), {"bias": False}, (3, 6)),
    "RMSNorm": ((6,), {}, (3, 6)),
    "GroupNorm": ((2, 6), {}, (2, 6, 4)),
    "BatchNorm1d": ((4,), {}, (5, 4)),
    "BatchNorm1d sequence": ((4,), {"momentum": 0.3}, (3, 4, 5)),
    "BatchNorm1d cumulative": ((4,), {"momentum": None}, (5, 4)),
    "BatchNorm2d": ((3,), {}, (2, 3, 4, 4)),
    "BatchNorm2d plain": ((3,), {"affine": False, "track_running_stats": False}, (2, 3, 4, 4)),
    "InstanceNorm1d": ((3,), {}, (2, 3, 5)),
    "InstanceNorm1d running": ((3,), {"affine": True, "track_running_stats": True}, (2, 3, 5)),
    "InstanceNorm2d": ((3,), {"affine": True, "eps": 1e-3}, (2, 3, 4, 5)),
    "InstanceNorm2d one": ((3,), {"track_running_stats": True, "momentum": 0.4}, (3, 4, 5)),
    "InstanceNorm2d fixed": ((3,), {"track_running_stats": True, "momentum": None}, (2, 3, 4, 5)),
    "InstanceNorm3d": ((2,), {"affine": True}, (2, 2, 3, 2, 2)),
    "MaxPool1d": ((3,), {"stride": 2, "padding": 1}, (2, 3, 8)),
    "MaxPool2d": ((2,), {}, (2, 3, 6, 6)),
    "MaxPool2d ceil": ((3,), {"stride": 2, "ceil_mode": True}, (1, 2, 7, 8)),
    "MaxPool3d": ((2,), {"stride": 1, "padding": 1, "dilation": 2}, (1, 2, 5, 4, 4)),
    "MaxPool3d ceil": (((2, 3, 2),), {"ceil_mode": True}, (2, 5, 4, 5)),
    "AvgPool1d": ((2,), {}, (2, 3, 8)),
    "AvgPool2d divisor": ((2,), {"divisor_override": 3}, (1, 2, 6, 7)),
    "AvgPool3d": (((2, 3, 2),), {"stride": (1, 2, 2), "padding": (1, 1, 0)}, (1, 2, 4, 5, 4)),
    "AvgPool3d ceil": ((2,), {"ceil_mode": True, "count_include_pad": False, "padding": 1}, (2, 4, 5, 4)),
    "AvgPool2d": ((3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (1, 2, 6, 7)),
    "AdaptiveAvgPool1d": ((3,), {}, (2, 3, 8)),
    "AdaptiveAvgPool2d": (((2, 3),), {}, (1, 2, 5, 7)),
    "AdaptiveAvgPool2d one": ((1,), {}, (1, 2, 5, 7)),
    "AdaptiveAvgPool3d": (((2, 3, None),), {}, (1, 2, 5, 7, 3)),
    "AdaptiveAvgPool3d one": ((1,), {}, (2, 3, 4, 5)),
    "Upsample": ((), {"scale_factor": 2}, (1, 2, 3, 4)),
    "Upsample sized": (((5, 3),), {"mode": "bilinear"}, (1, 2, 3, 4)),
    "Flatten": ((), {}, (2, 3, 4)),
    "Unflatten": ((1, (2, 3)), {}, (2, 6)),
    "Identity": ((), {}, (2, 3)),
    "GELU": ((), {}, (3, 4)),
    "GELU tanh": (("tanh",), {}, (3, 4)),
    "SiLU": ((), {}, (3, 4)),
    "ReLU": ((), {}, (3, 4)),
    "ReLU6": ((), {}, (3, 4)),
    "LeakyReLU": ((0.2,), {}, (3, 4)),
    "ELU": ((1.3,), {}, (3, 4)),
    "SELU": ((), {}, (3, 4)),
    "Softplus": ((2.0, 3.0), {}, (3, 4)),
    "Sigmoid": ((), {}, (3, 4)),
    "LogSigmoid": ((), {}, (3, 4)),
    "Tanh": ((), {}, (3, 4)),
    "Softsign": ((), {}, (3, 4)),
    "Softmax": ((1,), {}, (3, 4)),
    "LogSoftmax": ((0,), {}, (3, 4)),
    "GLU": ((), {}, (3, 4)),
    "Hardswish": ((), {}, (3, 4)),
    "Hardsigmoid": ((), {}, (3, 4)),
    "Hardtanh": ((), {}, (3, 4)),
    "Mish": ((), {}, (3, 4)),
    "PReLU": ((), {}, (3, 4)),
    "PReLU channels": ((4,), {}, (3, 4, 2)),
    "Dropout": ((0.0,), {}, (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    args, kwargs, shape = LAYERS[name]
    kind = name.split()[0]
    theirs = getattr(torch.nn, kind)(*args, **kwargs)
    ours = getattr(nn, kind)(*args, **kwargs)
    for _ in range(2 if "Batch" in name else 1):
        compare(ours, theirs, normal(*shape) * 2)
        theirs.zero_grad()
        ours.zero_grad()
    ours.eval()
    theirs.eval()
    compare(ours, theirs, normal(*shape))


@pytest.mark.parametrize("name", ["ELU", "SELU", "Softplus", "LogSigmoid", "Mish", "SiLU", "GELU", "Hardswish", "ReLU"])
def test_activations_at_extremes(name):
    values = np.array([-200.0, -90.0, -3.0, 0.0, 3.0, 90.0, 200.0], np.float32)
    compare(getattr(nn, name)(), getattr(torch.nn, name)(), values)


def test_embedding_and_its_padding_row():
    ids = np.array([[1, 2, 0], [4, 0, 1]])
    compare(nn.Embedding(5, 3), torch.nn.Embedding(5, 3), ids)
    compare(nn.Embedding(5, 3, padding_idx=0), torch.nn.Embedding(5, 3, padding_idx=0), ids)
    assert nn.Embedding(5, 3, padding_idx=-1).weight[4].abs().sum().item() == 0.0
    frozen = nn.Embedding.from_pretrained(st.ones(3, 2))
    assert not frozen.weight.requires_grad and frozen.weight.tolist() == [[1.0, 1.0]] * 3


def test_random_shapes_of_convolution():
    for _ in range(4):
        groups, kernel, stride = (int(n) for n in rng.integers(1, 4, 3))
        args = (2 * groups, groups * int(rng.integers(1, 3)), kernel)
        kwargs = {"stride": stride, "padding": int(rng.integers(0, 2)), "groups": groups}
        shape = (int(rng.integers(1, 3)), 2 * groups, int(rng.integers(4, 7)), int(rng.integers(4, 7)))
        compare(nn.Conv2d(*args, **kwargs), torch.nn.Conv2d(*args, **kwargs), normal(*shape))


def test_default_initialisation_has_torch_distribution():
    st.manual_seed(1)
    torch.manual_seed(1)
    for kind, args in (("Linear", (200, 150)), ("Conv2d", (8, 40, 5)), ("Embedding", (200, 50))):
        ours = getattr(nn, kind)(*args).weight.detach().numpy()
        theirs = getattr(torch.nn, kind)(*args).weight.detach().numpy()
        assert abs(ours.mean()) < 0.03 * theirs.std()
        np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.03)
        if kind != "Embedding":
            np.testing.assert_allclose(np.abs(ours).max(), np.abs(theirs).max(), rtol=0.01)
    attention = nn.MultiheadAttention(32, 4)
    np.testing.assert_allclose(np.abs(attention.in_proj_weight.detach().numpy()).max(), (6 / 128) ** 0.5, rtol=0.02)


def test_dropout_keeps_the_mean_and_only_acts_in_training():
    st.manual_seed(0)
    x = st.ones(100, 100)
    layer = nn.Dropout(0.25)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1 / 0.75)}
    assert abs(y.mean() - 1) < 0.03
    assert layer.eval()(x) is x
    channels = nn.Dropout2d(0.5)(st.ones(8, 16, 3, 3)).numpy()
    assert (channels == channels[:, :, :1, :1]).all() and 0 < (channels[:, :, 0, 0] == 0).sum() < 128


@pytest.mark.parametrize("momentum", [0.3, None])
def test_instance_statistics_move_in_training_and_serve_in_evaluation(momentum):
    ours = nn.InstanceNorm1d(3, momentum=momentum, affine=True, track_running_stats=True)
    theirs = torch.nn.InstanceNorm1d(3, momentum=momentum, affine=True, track_running_stats=True)
    for _ in range(3):
        x = normal(4, 3, 5) + 2
        close(ours(st.tensor(x)), theirs(torch.tensor(x)), 1e-5)
    for key, value in theirs.state_dict().items():
        close(ours.state_dict()[key], value, 1e-6)
    x = normal(2, 3, 1)
    close(ours.eval()(st.tensor(x)), theirs.eval()(torch.tensor(x)), 1e-5)
    ours.reset_parameters()
    assert ours.running_mean.tolist() == [0.0] * 3


def test_half_width_normalisation_computes_wide():
    x = normal(4, 64) * 30
    layer = nn.LayerNorm(64).half()
    y = layer(st.tensor(x).to(st.float16))
    assert y.dtype is st.float16
    reference = torch.nn.functional.layer_norm(torch.tensor(x).half().float(), (64,)).numpy()
    np.testing.assert_allclose(y.numpy().astype(np.float32), reference, atol=3e-3)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ArgumentError),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ArgumentError),
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), ArgumentError),
        (lambda: nn.Conv2d(3, 4, 0), ArgumentError),
        (lambda: nn.Conv1d(3, 4, 2, stride=0), ArgumentError),
        (lambda: nn.ConvTranspose2d(3, 4, 2, dilation=0), ArgumentError),
        (lambda: nn.MultiheadAttention(10, 3), ArgumentError),
        (lambda: nn.Dropout(1.5), ArgumentError),
        (lambda: nn.GroupNorm(4, 6), ArgumentError),
        (lambda: nn.Embedding(3, 2, padding_idx=5), ArgumentError),
        (lambda: nn.Linear(3, 2)(st.zeros(2, 4)), ShapeError),
        (lambda: nn.BatchNorm2d(3)(st.zeros(2, 3)), ShapeError),
        (lambda: nn.BatchNorm1d(3)(st.zeros(1, 3)), ArgumentError),
        (lambda: nn.InstanceNorm1d(3)(st.zeros(2, 4, 5)), ShapeError),
        (lambda: nn.InstanceNorm2d(3)(st.zeros(3, 4)), ShapeError),
        (lambda: nn.InstanceNorm1d(3)(st.zeros(2, 3, 1)), ArgumentError),
        (lambda: nn.AdaptiveAvgPool3d((2, 2))(st.zeros(1, 2, 4, 4, 4)), ArgumentError),
        (lambda: nn.AdaptiveAvgPool3d(2)(st.zeros(1, 2, 4)), ShapeError),
        (lambda: nn.LayerNorm(3)(st.zeros(2, 4)), ShapeError),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"), ArgumentError),
        (lambda: nn.GRU(3, 4)(st.zeros(5, 2, 4)), ShapeError),
    ],
)
def test_bad_arguments(build, error):
    with pytest.raises(error, match=r"^\[\w+"):
        build()
