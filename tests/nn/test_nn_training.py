"""The same model, state and data here and in PyTorch: the same parameters after ten training steps."""

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim


def mlp(lib):
    return lib.Sequential(lib.Linear(6, 8), lib.GELU(), lib.Linear(8, 8), lib.ReLU(), lib.Linear(8, 3))


def convnet(lib):
    return lib.Sequential(
        lib.Conv2d(1, 4, 3, padding=1),
        lib.BatchNorm2d(4),
        lib.ReLU(),
        lib.MaxPool2d(2),
        lib.Conv2d(4, 4, 3, padding=1, groups=2),
        lib.SiLU(),
        lib.AdaptiveAvgPool2d(1),
        lib.Flatten(),
        lib.Linear(4, 3),
    )


def transformer(lib):
    layer = lib.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True, activation="gelu")
    return lib.Sequential(lib.Embedding(7, 8), layer, lib.Flatten(), lib.Linear(24, 3))


rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(10, 5, 1, 6, 6)).astype(np.float32)
VECTORS = rng.normal(size=(10, 5, 6)).astype(np.float32)
TOKENS = rng.integers(0, 7, (10, 5, 3))
LABELS = rng.integers(0, 3, (10, 5))


@pytest.mark.parametrize(
    ("build", "data", "name", "kwargs"),
    [
        (mlp, VECTORS, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (mlp, VECTORS, "AdamW", {"lr": 0.01}),
        (convnet, IMAGES, "SGD", {"lr": 0.05, "momentum": 0.9}),
        (transformer, TOKENS, "AdamW", {"lr": 0.003, "eps": 1e-4}),
    ],
)
def test_ten_steps(build, data, name, kwargs):
    torch.manual_seed(0)
    ours, theirs = build(nn), build(torch.nn)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    a, b = getattr(optim, name)(ours.parameters(), **kwargs), getattr(torch.optim, name)(theirs.parameters(), **kwargs)
    schedules = [lib.lr_scheduler.OneCycleLR(o, kwargs["lr"], 10) for lib, o in ((optim, a), (torch.optim, b))]
    criteria = [lib.CrossEntropyLoss(label_smoothing=0.1) for lib in (nn, torch.nn)]
    for x, y in zip(data, LABELS):
        loss = criteria[0](ours(st.tensor(x)), st.tensor(y))
        other = criteria[1](theirs(torch.tensor(x)), torch.tensor(y))
        for value, optimizer, schedule in ((loss, a, schedules[0]), (other, b, schedules[1])):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
        assert loss.item() == pytest.approx(other.item(), rel=2e-4)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=2e-3, atol=2e-4, err_msg=key)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        expected = theirs(torch.tensor(data[0])).numpy()
    np.testing.assert_allclose(ours(st.tensor(data[0])).detach().numpy(), expected, rtol=2e-3, atol=5e-4)


def test_clipped_step_follows_torch():
    torch.manual_seed(0)
    ours, theirs = mlp(nn), mlp(torch.nn)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    a, b = optim.SGD(ours.parameters(), lr=1.0), torch.optim.SGD(theirs.parameters(), lr=1.0)
    nn.functional.mse_loss(ours(st.tensor(VECTORS[0])), st.ones(5, 3), reduction="sum").backward()
    torch.nn.functional.mse_loss(theirs(torch.tensor(VECTORS[0])), torch.ones(5, 3), reduction="sum").backward()
    nn.utils.clip_grad_norm_(ours.parameters(), 0.1)
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
    a.step()
    b.step()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_parameters_and_statistics_do_not_keep_old_graphs():
    layer = nn.BatchNorm1d(3)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        layer(st.tensor(rng.normal(size=(4, 3)).astype(np.float32))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    kept = (layer.running_mean, layer.running_var, layer.num_batches_tracked, layer.weight, layer.bias)
    assert all(tensor.node.buf is not None and not tensor.node.args for tensor in kept)
