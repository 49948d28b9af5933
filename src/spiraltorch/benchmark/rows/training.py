"""Rows of forward passes, gradients and training steps of models."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray
from ..libraries import Function, Library, Model, parameters
from ..row import LibraryResult, LibraryTensor, Mode, Program, Row, random_normal, shared
from . import models


def _labelled(rng: np.random.Generator, b: int, n: int, classes: int) -> tuple[NDArray, ...]:
    return random_normal(rng, b, n), rng.integers(0, classes, b)


def _step(lib: Library, model: Model, optimizer: Any) -> Function:
    """A training step with the cross-entropy of a model's scores; returns the loss before the update."""

    def loss_of(x: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        scores = model(x)
        return lib.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))

    forward = lib.compile_part(loss_of)

    def step(x: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        optimizer.zero_grad()
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _forward(lib: Library, model: Model) -> Model:
    return lib.load_parameters(model).eval()


def _mlp(lib: Library, n: int, width: int, classes: int, **size: int) -> Function:
    model = lib.load_parameters(models.mlp(lib.nn, n, width, classes))
    return _step(lib, model, lib.optim.AdamW(model.parameters()))


def _mlp_jax(lib: Library, n: int, width: int, classes: int, **size: int) -> Function:
    """The same step with AdamW (Loshchilov and Hutter, 2017, arXiv:1711.05101) written out."""
    jax, xp = lib.jax, lib.xp
    sizes = [(width, n), (width,), (width, width), (width,), (classes, width), (classes,)]
    names = [f"{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    given = [lib.tensor(p) for p in parameters(dict(zip(names, sizes, strict=True))).values()]
    zeros = [xp.zeros_like(p) for p in given]
    state = [given, zeros, zeros, xp.zeros(())]

    def loss_of(p: Any, x: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        x = jax.nn.relu(x @ p[0].T + p[1])
        x = jax.nn.relu(x @ p[2].T + p[3])
        return -xp.take_along_axis(jax.nn.log_softmax(x @ p[4].T + p[5]), y[:, None], 1).mean()

    @jax.jit  # type: ignore[untyped-decorator]
    def update(state: Any, x: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        p, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(p, x, y)
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        p = [
            q * (1 - 1e-3 * 1e-2) - 1e-3 * (a / (1 - 0.9**t)) / (xp.sqrt(b / (1 - 0.999**t)) + 1e-8)
            for q, a, b in zip(p, m, v, strict=True)
        ]
        return loss, [p, m, v, t]

    def step(x: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        loss, state[:] = update(state, x, y)
        return loss

    return step


def _convnet(lib: Library, side: int, width: int, **size: int) -> Function:
    model = lib.load_parameters(models.convnet(lib.nn, side, width))
    return _step(lib, model, lib.optim.AdamW(model.parameters()))


def _block_gradients(lib: Library, d: int, h: int, **size: int) -> Function:
    model = lib.load_parameters(models.block(lib.nn, d, h))
    forward = lib.compile_part(lambda x, w: (model(x) * w).mean())

    def run(x: LibraryTensor, w: LibraryTensor) -> LibraryResult:
        model.zero_grad()
        loss = forward(x, w)
        loss.backward()
        return loss.detach(), [p.grad for p in model.parameters()]

    return run


def _resnet_step(lib: Library, width: int, classes: int, **size: int) -> Function:
    model = lib.load_parameters(models.resnet18(lib.nn, width, classes))
    return _step(lib, model, lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))


def _gpt(lib: Library, v: int, c: int, d: int, h: int, depth: int, **size: int) -> Model:
    return lib.load_parameters(models.gpt(lib.nn, v, c, d, h, depth))


def _gpt_step(lib: Library, **size: int) -> Function:
    model = _gpt(lib, **size)
    return _step(lib, model, lib.optim.AdamW(model.parameters(), lr=3e-4))


def _lstm(lib: Library, d: int, **size: int) -> Function:
    model = lib.load_parameters(lib.nn.LSTM(d, d, batch_first=True))
    return lambda x: model(x)[0]


def _image_batch(rng: np.random.Generator, b: int, side: int, classes: int, **size: int) -> tuple[NDArray, ...]:
    return random_normal(rng, b, 3, side, side), rng.integers(0, classes, b)


def _text(rng: np.random.Generator, b: int, t: int, v: int, **size: int) -> tuple[NDArray, ...]:
    tokens = rng.integers(0, v, (b, t + 1))
    return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])


def _embedded_tokens(rng: np.random.Generator, b: int, t: int, d: int, **size: int) -> tuple[NDArray, ...]:
    return (random_normal(rng, b, t, d),)


def _weighted_tokens(rng: np.random.Generator, b: int, t: int, d: int, **size: int) -> tuple[NDArray, ...]:
    return random_normal(rng, b, t, d), random_normal(rng, b, t, d)


def _block(name: str, b: int, t: int) -> Row:
    program: Program = lambda lib, d, h, **size: _forward(lib, models.block(lib.nn, d, h))  # noqa: E731
    return Row(
        name, "transformer block forward, {b}x{t}x{d}, {h} heads", inputs=_embedded_tokens, programs=shared(program),
        size={"b": b, "t": t, "d": 512, "h": 8}, small_size={"t": 6, "d": 32, "h": 2},
    )  # fmt: skip


_MLP: dict[str, Any] = {
    "size": {"b": 256, "n": 784, "width": 512, "classes": 10},
    "small_size": {"b": 8, "n": 30, "width": 20},
}
_RESNET: dict[str, Any] = {
    "size": {"b": 16, "side": 224, "width": 64, "classes": 1000},
    "small_size": {"b": 2, "side": 64, "width": 4, "classes": 10},
}
_GPT = {"v": 50257, "c": 1024, "d": 768, "h": 12, "depth": 12}
_GPT_SMALL = {"v": 60, "c": 16, "d": 32, "h": 2, "depth": 2, "t": 12}
_TRAIN: dict[str, Any] = {"grad": True, "state": True}

ROWS = [
    Row(
        "mlp", "MLP {n}-{width}-{width}-{classes} train step, b{b}, AdamW, compiled",
        inputs=lambda rng, b, n, classes, **size: _labelled(rng, b, n, classes),
        programs=shared(_mlp, jax=_mlp_jax), **_MLP, **_TRAIN,
    ),
    Row(
        "mlp_eager", "MLP {n}-{width}-{width}-{classes} train step, b{b}, AdamW, not compiled", mode=Mode.EAGER,
        inputs=lambda rng, b, n, classes, **size: _labelled(rng, b, n, classes),
        programs=shared(_mlp), **_MLP, **_TRAIN,
    ),
    _block("block", 4, 256),
    _block("block_small", 1, 16),
    Row(
        "block_grad", "transformer block forward + backward, {b}x{t}x{d}, {h} heads", inputs=_weighted_tokens,
        programs=shared(_block_gradients), grad=True,
        size={"b": 4, "t": 256, "d": 512, "h": 8}, small_size={"b": 2, "t": 6, "d": 32, "h": 2},
    ),
    Row(
        "convnet", "MNIST convnet train step, b{b}, AdamW", programs=shared(_convnet),
        inputs=lambda rng, b, side, **size: (random_normal(rng, b, 1, side, side), rng.integers(0, 10, b)),
        size={"b": 128, "side": 28, "width": 32}, small_size={"b": 4, "side": 12, "width": 4}, **_TRAIN,
    ),
    Row(
        "resnet", "ResNet-18 forward, {b}x3x{side}x{side}", **_RESNET,
        inputs=lambda rng, **size: _image_batch(rng, **size)[:1],
        programs=shared(
            lambda lib, width, classes, **size: _forward(lib, models.resnet18(lib.nn, width, classes))
        ),
    ),
    Row(
        "resnet_train", "ResNet-18 train step, {b}x3x{side}x{side}, SGD", inputs=_image_batch,
        programs=shared(_resnet_step), **_RESNET, **_TRAIN,
        tolerance=1e-4,  # its gradients in float32 are 1e-2 off float64's in PyTorch too, mostly where ReLU's sign flips
    ),
    Row(
        "gpt2", "GPT-2 small forward, {b}x{t} tokens", inputs=lambda rng, **size: _text(rng, **size)[:1],
        programs=shared(_gpt), size={"b": 1, "t": 128, **_GPT}, small_size=_GPT_SMALL,
    ),
    Row(
        "gpt2_train", "GPT-2 small train step, {b}x{t} tokens, AdamW", inputs=_text,
        programs=shared(_gpt_step), size={"b": 2, "t": 128, **_GPT}, small_size=_GPT_SMALL, **_TRAIN,
    ),
    Row(
        "lstm", "LSTM forward, {b}x{t}x{d}", inputs=_embedded_tokens, programs=shared(_lstm),
        size={"b": 16, "t": 128, "d": 256}, small_size={"b": 3, "t": 5, "d": 8},
    ),
]  # fmt: skip
