"""Losses against PyTorch."""

import numpy as np
import pytest
from nn_helpers import close

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from spiraltorch.nn import functional as F

rng = np.random.default_rng(5)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def check(name, input, target, tensors=(), **kwargs):
    """Value and gradient of a loss, with tensor arguments converted for each library."""
    a, b = st.tensor(input, requires_grad=True), torch.tensor(input, requires_grad=True)
    mine = getattr(nn, name)(**{k: st.tensor(v) for k, v in dict(tensors).items()}, **kwargs)(a, st.tensor(target))
    other = getattr(torch.nn, name)(**{k: torch.tensor(v) for k, v in dict(tensors).items()}, **kwargs)(
        b, torch.tensor(target)
    )
    assert tuple(mine.shape) == tuple(other.shape)
    close(mine, other)
    mine.sum().backward()
    other.sum().backward()
    close(a.grad, b.grad)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 2, 2), (5,)])
def test_cross_entropy_of_indices(reduction, smoothing, weighted, shape):
    classes = shape[1] if len(shape) > 1 else shape[0]
    target = rng.integers(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    if target.ndim:
        target.flat[1] = -100
    tensors = {"weight": rng.random(classes).astype(np.float32) + 0.1} if weighted else {}
    check("CrossEntropyLoss", normal(*shape), target, tensors, reduction=reduction, label_smoothing=smoothing)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(reduction, weighted):
    target = rng.dirichlet(np.ones(4), 3).astype(np.float32)
    tensors = {"weight": rng.random(4).astype(np.float32)} if weighted else {}
    check("CrossEntropyLoss", normal(3, 4), target, tensors, reduction=reduction, label_smoothing=0.2)


@pytest.mark.parametrize("ignore", [-100, 1])
def test_nll(ignore):
    logits = normal(5, 3)
    target = np.array([0, 1, 2, 1, 0])
    logp = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    check("NLLLoss", logp, target, {"weight": np.array([0.5, 1.0, 2.0], np.float32)}, ignore_index=ignore)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("SmoothL1Loss", {"beta": 0.5}),
        ("SmoothL1Loss", {"beta": 0.0}),
        ("HuberLoss", {"delta": 0.7}),
        ("BCEWithLogitsLoss", {}),
    ],
)
def test_elementwise_losses(name, kwargs, reduction):
    target = normal(3, 4) if name != "BCEWithLogitsLoss" else rng.random((3, 4)).astype(np.float32)
    check(name, normal(3, 4), target, reduction=reduction, **kwargs)


def test_binary_cross_entropies():
    p, y = rng.random((3, 4)).astype(np.float32), (rng.random((3, 4)) < 0.5).astype(np.float32)
    weight = rng.random((3, 4)).astype(np.float32)
    check("BCELoss", p, y, {"weight": weight})
    check("BCEWithLogitsLoss", normal(3, 4) * 50, y, {"weight": weight, "pos_weight": weight[0] * 3})
    ends = np.array([0.0, 1.0, 0.0, 1.0], np.float32)
    mine = F.binary_cross_entropy(st.tensor(ends), st.tensor(ends[::-1].copy()), reduction="none")
    assert mine.tolist() == [100.0, 100.0, 100.0, 100.0]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    target = rng.dirichlet(np.ones(4), 3).astype(np.float32)
    if not log_target:
        target[0, 0] = 0.0
    target = np.log(target) if log_target else target
    check("KLDivLoss", normal(3, 4) - 2, target, reduction=reduction, log_target=log_target)


def test_cosine_similarity_and_normalize():
    x, y = normal(3, 5), normal(3, 5)
    close(F.cosine_similarity(st.tensor(x), st.tensor(y)), torch.cosine_similarity(torch.tensor(x), torch.tensor(y)))
    for p in (1.0, 2.0, 3.0):
        close(F.normalize(st.tensor(x), p=p), torch.nn.functional.normalize(torch.tensor(x), p=p))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: F.cross_entropy(st.zeros(2, 3), st.tensor([0, 3])), IndexOutOfRange),
        (lambda: F.cross_entropy(st.zeros(2, 3), st.tensor([0, -1])), IndexOutOfRange),
        (lambda: F.cross_entropy(st.zeros(2, 3), st.tensor([0, 1, 2])), ShapeError),
        (lambda: F.cross_entropy(st.zeros(2, 3), st.zeros(2)), DTypeError),
        (lambda: F.cross_entropy(st.zeros(2, 3), st.tensor([0, 1]), st.ones(2)), ShapeError),
        (lambda: F.cross_entropy(st.zeros(2, 3), st.tensor([0, 1]), label_smoothing=2.0), ArgumentError),
        (lambda: F.mse_loss(st.zeros(2, 3), st.zeros(2)), ShapeError),
        (lambda: F.l1_loss(st.zeros(2), st.zeros(2), reduction="avg"), ArgumentError),
        (lambda: F.huber_loss(st.zeros(2), st.zeros(2), delta=0.0), ArgumentError),
    ],
)
def test_bad_arguments(call, error):
    with pytest.raises(error, match=r"^\[\w+\] expected"):
        call()


def test_a_compiled_loss_checks_its_targets() -> None:
    loss = st.compile(lambda x, t: F.cross_entropy(x, t))
    x = st.tensor(np.zeros((2, 3), np.float32))
    np.testing.assert_allclose(loss(x, st.tensor([0, -100])).item(), np.log(3), rtol=1e-6)
    with pytest.raises(IndexOutOfRange, match=r"\[cross_entropy\] expected indices from 0 to 2, got 3"):
        loss(x, st.tensor([0, 3]))
