"""Rows of matrix products, convolutions and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...typing import NDArray
from ..libraries import Function, Library
from ..row import LibraryResult, LibraryTensor, Program, Row, random_normal, shared, to_float64

SQUARES = (64, 128, 256, 512, 1024, 2048)
TOKENS = (
    (1, 4096, 4096), (1, 512, 2048), (16, 1024, 4096), (16, 4096, 1024),
    (128, 4096, 1024), (128, 1024, 1024), (1024, 512, 2048), (1024, 2048, 512),
)  # fmt: skip


def _product(lib: Library, **size: int) -> Function:
    return lambda x, y: x @ y


_PRODUCT: dict[str, Program] = dict.fromkeys(("spiraltorch", "torch", "jax", "numpy"), _product)


def _matmul64(x: NDArray, y: NDArray) -> NDArray:
    return to_float64(x) @ to_float64(y)


def _square(n: int) -> Row:
    return Row(
        f"matmul{n}", "matmul {n}", size={"n": n}, small_size={"n": min(n, 64)}, programs=_PRODUCT, reference=_matmul64,
        inputs=lambda rng, n: (random_normal(rng, n, n), random_normal(rng, n, n)),
    )  # fmt: skip


def _tokens(t: int, k: int, n: int) -> Row:
    return Row(
        f"gemm{t}x{k}x{n}", "matmul {t}x{k} by {k}x{n}",
        size={"t": t, "k": k, "n": n}, small_size={"t": min(t, 16), "k": k // 16, "n": n // 16},
        programs=_PRODUCT, reference=_matmul64,
        inputs=lambda rng, t, k, n: (random_normal(rng, t, k), random_normal(rng, k, n)),
    )  # fmt: skip


def _images(rng: np.random.Generator, n: int, c: int, s: int, o: int, groups: int = 1) -> tuple[NDArray, ...]:
    return random_normal(rng, n, c, s, s), random_normal(rng, o, c // groups, 3, 3)


def _depthwise_inputs(rng: np.random.Generator, n: int, c: int, s: int) -> tuple[NDArray, ...]:
    return _images(rng, n, c, s, c, c)


def _conv64(x: NDArray, w: NDArray, groups: int = 1) -> NDArray:
    """A 3x3 convolution with padding 1, as nine products."""
    padded = np.pad(to_float64(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
    n, c, h, wide = x.shape
    out = np.zeros((n, groups, len(w) // groups, h, wide))
    taps = to_float64(w).reshape(groups, len(w) // groups, c // groups, 3, 3)
    for i in range(3):
        for j in range(3):
            part = padded[:, :, i : i + h, j : j + wide].reshape(n, groups, c // groups, h * wide)
            out += (taps[None, :, :, :, i, j] @ part).reshape(out.shape)
    return out.reshape(n, len(w), h, wide)


def _conv(grouped: bool) -> dict[str, Program]:
    def groups(c: int) -> int:
        return c if grouped else 1

    def nn(lib: Library, c: int, **size: int) -> LibraryResult:
        return lambda x, w: lib.functional.conv2d(x, w, padding=1, groups=groups(c))

    def jax(lib: Library, c: int, **size: int) -> LibraryResult:
        return lambda x, w: lib.jax.lax.conv_general_dilated(
            x, w, (1, 1), ((1, 1), (1, 1)), feature_group_count=groups(c)
        )

    return shared(nn, jax=jax)


def _attend64(q: NDArray, k: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
    """The weights and the result of causal attention."""
    t = q.shape[-2]
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p, p @ v


def _attention64(q: NDArray, k: NDArray, v: NDArray) -> NDArray:
    return _attend64(to_float64(q), to_float64(k), to_float64(v))[1]


def _attention_gradients64(q: NDArray, k: NDArray, v: NDArray, w: NDArray) -> tuple[Any, tuple[NDArray, ...]]:
    q, k, v, w = to_float64(q), to_float64(k), to_float64(v), to_float64(w)
    p, out = _attend64(q, k, v)
    dp = w @ v.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return (out * w).sum(), (ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ w)


def _heads(count: int) -> Callable[..., tuple[NDArray, ...]]:
    return lambda rng, b, h, t, d: tuple(random_normal(rng, b, h, t, d) for _ in range(count))


def _attend(lib: Library) -> Function:
    return lambda q, k, v: lib.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _attend_jax(lib: Library) -> Function:
    def run(q: LibraryTensor, k: LibraryTensor, v: LibraryTensor) -> LibraryResult:
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))  # JAX takes (batch, time, heads, depth)
        return lib.jax.nn.dot_product_attention(q, k, v, is_causal=True).swapaxes(1, 2)

    return run


def _weighted(lib: Library, attend: Function) -> Function:
    return lib.value_and_grad(lambda q, k, v, w: (attend(q, k, v) * w).sum(), (0, 1, 2))


_HEADS: dict[str, Any] = {"size": {"b": 1, "h": 8, "t": 1024, "d": 64}, "small_size": {"h": 2, "t": 40, "d": 16}}

ROWS = [
    *[_square(n) for n in SQUARES],
    *[_tokens(*size) for size in TOKENS],
    Row(
        "bmm", "batched matmul {b} of {n}", size={"b": 64, "n": 128}, small_size={"b": 3, "n": 20},
        programs=_PRODUCT, reference=_matmul64,
        inputs=lambda rng, b, n: (random_normal(rng, b, n, n), random_normal(rng, b, n, n)),
    ),
    Row(
        "conv2d", "conv2d {n}x{c}x{s}x{s}, 3x3, {o}", inputs=_images, reference=_conv64, programs=_conv(False),
        size={"n": 8, "c": 64, "s": 56, "o": 64}, small_size={"n": 2, "c": 8, "s": 9, "o": 5},
    ),
    Row(
        "depthwise", "depthwise conv2d {n}x{c}x{s}x{s}, 3x3", inputs=_depthwise_inputs,
        reference=lambda x, w: _conv64(x, w, x.shape[1]), programs=_conv(True),
        size={"n": 8, "c": 64, "s": 56}, small_size={"n": 2, "c": 8, "s": 9},
    ),
    Row(
        "attention", "causal attention {b}x{h}x{t}x{d}, forward", inputs=_heads(3), reference=_attention64,
        programs=shared(lambda lib, **size: _attend(lib), jax=lambda lib, **size: _attend_jax(lib)), **_HEADS,
    ),
    Row(
        "attention_grad", "causal attention {b}x{h}x{t}x{d}, forward + backward", inputs=_heads(4), reference=_attention_gradients64, grad=True,
        programs=shared(
            lambda lib, **size: _weighted(lib, _attend(lib)), jax=lambda lib, **size: _weighted(lib, _attend_jax(lib))
        ), **_HEADS,
    ),
]  # fmt: skip
