"""Losses and normalisation at their limits, and layers on empty batches, against PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch

F, TF = st.nn.functional, torch.nn.functional
INF = math.inf


def compare(fn: Callable[..., Any], theirs: Callable[..., Any], *values: Any, rtol: float = 1e-6) -> None:
    """The result and the gradients of all arguments are PyTorch's."""
    mine = [st.tensor(np.asarray(v, np.float32)).requires_grad_() for v in values]
    other = [torch.tensor(np.asarray(v, np.float32), requires_grad=True) for v in values]
    a, b = fn(*mine), theirs(*other)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-7)
    a.sum().backward()
    b.sum().backward()
    for m, o in zip(mine, other, strict=True):
        np.testing.assert_allclose(m.grad.numpy(), o.grad.numpy(), rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, INF])
def test_normalize(p: float) -> None:
    compare(lambda x: F.normalize(x, p=p, dim=1), lambda x: TF.normalize(x, p=p, dim=1), [[0, 0], [3, 4], [-2, 0]])
    assert np.isfinite(F.normalize(st.tensor([[1e30, 1e30], [1e-30, 1e-30]]), p=p).numpy()).all()


def test_cosine_similarity() -> None:
    random = np.random.RandomState(0)
    for left, right, dim in (
        ((1, 2, 3), (2, 1, 3), -2),
        ((2, 3), (3,), 0),
        ((4, 3), (4, 3), 1),
        ((3,), (3,), 0),
        ((2, 1), (5,), 1),
    ):
        compare(
            lambda x, y, d=dim: F.cosine_similarity(x, y, dim=d), lambda x, y, d=dim: TF.cosine_similarity(x, y, dim=d),
            random.randn(*left), random.randn(*right), rtol=1e-5,
        )  # fmt: skip
    compare(F.cosine_similarity, TF.cosine_similarity, [[0.0, 0.0]], [[3.0, 4.0]])
    huge, tiny = st.tensor([[3e30, 4e30]]), st.tensor([[3e-5, 4e-5]])
    assert F.cosine_similarity(huge, tiny).item() == pytest.approx(1.0)


@pytest.mark.parametrize("probability", [0.0, 1e-38, 0.25, 1.0])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_binary_cross_entropy(probability: float, target: float) -> None:
    """The gradient is PyTorch's, but at a right answer, where PyTorch's divisor of at least 1e-12 makes it 0."""
    mine = st.tensor([probability]).requires_grad_()
    theirs = torch.tensor([probability], requires_grad=True)
    a, b = F.binary_cross_entropy(mine, st.tensor([target])), TF.binary_cross_entropy(theirs, torch.tensor([target]))
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), rel=1e-6)
    right = abs(probability - target) < 1e-30
    assert mine.grad.item() == pytest.approx((1 - 2 * target) if right else theirs.grad.item(), rel=1e-5)


@pytest.mark.parametrize("logit", [0.0, 100.0, -100.0, 1e30, INF, -INF])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_binary_cross_entropy_with_logits(logit: float, target: float) -> None:
    compare(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, [logit], [target])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.parametrize("x", [0.0, 0.5, 1.0, 1e18, -INF])
def test_distances(name: str, x: float) -> None:
    for target in (0.0, 0.5, 1.5):
        compare(getattr(F, name), getattr(TF, name), [x], [target])


@pytest.mark.parametrize("logits", [(0.0, 0.0), (-INF, 0.0), (-INF, -INF), (1e4, 0.0)])
@pytest.mark.parametrize("target", [0, 1])
def test_cross_entropy_of_infinities(logits: tuple[float, float], target: int) -> None:
    compare(
        lambda x: F.cross_entropy(x, st.tensor(target)), lambda x: TF.cross_entropy(x, torch.tensor(target)), logits
    )
    compare(lambda x: F.nll_loss(x, st.tensor(target)), lambda x: TF.nll_loss(x, torch.tensor(target)), logits)


@pytest.mark.parametrize("dtype", [st.float16, st.bfloat16])
def test_losses_of_16_bits_accumulate_in_32(dtype: st.dtypes.DType) -> None:
    n = 40_000
    x, zero = st.full((n,), 200.0, dtype=dtype), st.zeros(n, dtype=dtype)
    classes = st.zeros(n, dtype=st.int64)
    logits = st.zeros(n, 2, dtype=dtype)
    close = {"rel": 0.01}
    for loss, want in (
        (F.mse_loss(x, zero), 40000.0), (F.l1_loss(x, zero), 200.0), (F.smooth_l1_loss(x, zero), 199.5),
        (F.huber_loss(x, zero), 199.5), (F.binary_cross_entropy_with_logits(x, zero), 200.0),
        (F.binary_cross_entropy(zero, zero + 1), 100.0), (F.cross_entropy(logits, classes), math.log(2)),
        (F.cross_entropy(logits, classes, weight=st.ones(2, dtype=dtype), label_smoothing=0.1), math.log(2)),
        (F.nll_loss(logits - 3, classes), 3.0), (F.kl_div(zero - 1, zero + 1, reduction="mean"), 1.0),
        (F.cosine_similarity(x, x, dim=0), 1.0), (F.normalize(x, dim=0)[0], 1 / math.sqrt(n)),
    ):  # fmt: skip
        assert loss.dtype == dtype
        assert loss.item() == pytest.approx(want, **close)


# ------------------------------------------------------------------ empty batches

Shapes = tuple[tuple[int, ...], ...]


def layers() -> Iterator[tuple[str, Callable[[Any], Any], Shapes]]:
    """Layers of both libraries, and the shapes of inputs without elements."""
    for name, shapes in (
        ("BatchNorm1d", ((0, 4), (0, 4, 5), (2, 4, 0))), ("BatchNorm2d", ((0, 4, 3, 3),)), ("BatchNorm3d", ((0, 4, 2, 2, 2),)),
        ("InstanceNorm1d", ((0, 4, 5), (2, 4, 0))), ("InstanceNorm2d", ((0, 4, 3, 3),)),
    ):  # fmt: skip
        yield name, lambda nn, n=name: getattr(nn, n)(4), shapes
    yield "GroupNorm", lambda nn: nn.GroupNorm(2, 4), ((0, 4), (0, 4, 5), (2, 4, 0), (0, 4, 3, 3))
    yield "LayerNorm", lambda nn: nn.LayerNorm(4), ((0, 4), (2, 0, 4))
    yield "RMSNorm", lambda nn: nn.RMSNorm(4), ((0, 4), (2, 0, 4))
    yield "Linear", lambda nn: nn.Linear(4, 3), ((0, 4), (2, 0, 4))
    for rank in (1, 2, 3):
        space = (5,) * rank
        yield f"Conv{rank}d", lambda nn, r=rank: getattr(nn, f"Conv{r}d")(4, 6, 3, groups=2), ((0, 4, *space),)
        yield f"ConvTranspose{rank}d", lambda nn, r=rank: getattr(nn, f"ConvTranspose{r}d")(4, 6, 3), ((0, 4, *space),)
        for pool in ("MaxPool", "AvgPool", "AdaptiveAvgPool"):
            yield f"{pool}{rank}d", lambda nn, p=f"{pool}{rank}d": getattr(nn, p)(2), ((0, 4, *space),)
    for name in ("RNN", "LSTM", "GRU"):
        yield name, lambda nn, n=name: getattr(nn, n)(4, 3, 2, batch_first=True, bidirectional=True), ((0, 3, 4),)
    yield "Encoder", lambda nn: nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), ((0, 3, 4), (2, 0, 4))
    yield "GLU", lambda nn: nn.GLU(), ((0, 4), (4, 0))
    yield "Softmax", lambda nn: nn.Softmax(-1), ((0, 4), (4, 0))


@pytest.mark.parametrize(("make", "shapes"), [pytest.param(m, s, id=n) for n, m, s in layers()])
@pytest.mark.parametrize("training", [True, False])
def test_empty_inputs_pass_through_layers(make: Callable[[Any], Any], shapes: Shapes, training: bool) -> None:
    for shape in shapes:
        mine, theirs = make(st.nn), make(torch.nn)
        mine.train(training)
        theirs.train(training)
        before = {name: value.numpy().copy() for name, value in mine.state_dict().items()}
        got = mine(st.zeros(shape).requires_grad_())
        try:
            want = theirs(torch.zeros(shape, requires_grad=True))
        except (RuntimeError, ValueError):
            want = None  # PyTorch has no such input
        got, want = (r[0] if isinstance(r, tuple) else r for r in (got, want))
        assert want is None or got.shape == tuple(want.shape)
        got.sum().backward()
        for parameter in mine.parameters():
            assert parameter.grad is None or not parameter.grad.numpy().any()
        for name, value in mine.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_nothing(reduction: str) -> None:
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "binary_cross_entropy_with_logits"):
        compare(
            lambda x, y, n=name: getattr(F, n)(x, y, reduction=reduction),
            lambda x, y, n=name: getattr(TF, n)(x, y, reduction=reduction), np.zeros((0, 3)), np.zeros((0, 3)),
        )  # fmt: skip
    for name in ("cross_entropy", "nll_loss"):
        compare(
            lambda x, n=name: getattr(F, n)(x, st.zeros(0, dtype=st.int64), reduction=reduction),
            lambda x, n=name: getattr(TF, n)(x, torch.zeros(0, dtype=torch.int64), reduction=reduction), np.zeros((0, 3)),
        )  # fmt: skip


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_interpolation_of_nothing(mode: str) -> None:
    assert F.interpolate(st.zeros(0, 3, 4, 4), scale_factor=2, mode=mode).shape == (0, 3, 8, 8)
