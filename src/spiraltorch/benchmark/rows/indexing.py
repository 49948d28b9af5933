"""Rows of sorting, gathering and scattering, and of losses by label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...typing import NDArray
from ..libraries import Function, Library
from ..row import LibraryResult, LibraryTensor, Program, Row, random_normal, shared, to_float64

TOP = 100


def _vector(rng: np.random.Generator, n: int) -> tuple[NDArray, ...]:
    return (random_normal(rng, n),)


def _numpy_topk(x: LibraryTensor) -> LibraryTensor:
    return np.sort(np.partition(x, len(x) - TOP)[len(x) - TOP :])[::-1]


def _method(make: Callable[[Any], Function], *names: str) -> dict[str, Program]:
    return {name: lambda lib, **size: make(lib.xp) for name in names}


def _updates(rng: np.random.Generator, n: int) -> tuple[NDArray, ...]:
    return np.zeros(n, np.float32), rng.integers(0, n, n), random_normal(rng, n)


def _scattered64(x: NDArray, index: NDArray, values: NDArray) -> NDArray:
    return to_float64(x) + np.bincount(index, to_float64(values), len(x))


def _tokens(rng: np.random.Generator, v: int, d: int, t: int) -> tuple[NDArray, ...]:
    return rng.integers(0, v, t), random_normal(rng, v, d), random_normal(rng, t, d)


def _embedding_gradient64(index: NDArray, table: NDArray, w: NDArray) -> tuple[Any, tuple[NDArray, ...]]:
    table, w = to_float64(table), to_float64(w)
    gradient = np.zeros_like(table)
    np.add.at(gradient, index, w)
    return (table[index] * w).sum(), (gradient,)


def _embedded(look_up: Callable[[Library], Function]) -> Program:
    return lambda lib, **size: lib.value_and_grad(lambda i, table, w: (look_up(lib)(i, table) * w).sum(), (1,))


def _scores(rng: np.random.Generator, n: int, c: int) -> tuple[NDArray, ...]:
    return random_normal(rng, n, c), rng.integers(0, c, n)


def _cross_entropy64(z: NDArray, y: NDArray) -> tuple[Any, tuple[NDArray, ...]]:
    e = np.exp(to_float64(z) - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return loss, (p / len(y),)


def _jax_cross_entropy(lib: Library, **size: int) -> Function:
    def loss(z: LibraryTensor, y: LibraryTensor) -> LibraryResult:
        return -lib.xp.take_along_axis(lib.jax.nn.log_softmax(z), y[:, None], 1).mean()

    return lib.value_and_grad(loss, (0,))


_ALL = ("spiraltorch", "torch", "jax", "numpy")
_EMBEDDING: dict[str, Any] = {"size": {"v": 50257, "d": 768, "t": 4096}, "small_size": {"v": 50, "d": 7, "t": 90}}

ROWS = [
    Row(
        "sort", "sort {n:,}", inputs=_vector, reference=lambda x: np.sort(to_float64(x)), tolerance=0.0,
        size={"n": 1 << 20}, small_size={"n": 3000},
        programs={
            **_method(lambda xp: lambda x: xp.sort(x), "spiraltorch", "jax", "numpy"),
            **_method(lambda xp: lambda x: xp.sort(x)[0], "torch"),
        },
    ),
    Row(
        "argsort", "stable argsort {n:,}", inputs=_vector, tolerance=0.0,
        reference=lambda x: np.argsort(x, kind="stable"), size={"n": 1 << 20}, small_size={"n": 3000},
        programs={
            **_method(lambda xp: lambda x: xp.argsort(x, stable=True), "spiraltorch", "torch", "jax"),
            **_method(lambda xp: lambda x: xp.argsort(x, kind="stable"), "numpy"),
        },
    ),
    Row(
        "topk", f"the {TOP} greatest of {{n:,}}", inputs=_vector, reference=lambda x: np.sort(to_float64(x))[: -TOP - 1 : -1],
        tolerance=0.0, size={"n": 1 << 20}, small_size={"n": 3000},
        programs=shared(
            lambda lib, **size: lambda x: lib.xp.topk(x, TOP)[0],
            jax=lambda lib, **size: lambda x: lib.jax.lax.top_k(x, TOP)[0], numpy=lambda lib, **size: _numpy_topk,
        ),
    ),
    Row(
        "argmax", "argmax of {n:,}", inputs=_vector, reference=np.argmax, tolerance=0.0,
        size={"n": 1 << 20}, small_size={"n": 3000}, programs=_method(lambda xp: lambda x: xp.argmax(x), *_ALL),
    ),
    Row(
        "scatter_add", "scatter-add of {n:,} into as many", inputs=_updates, reference=_scattered64,
        size={"n": 1 << 20}, small_size={"n": 3000},
        programs=shared(
            lambda lib, **size: lambda x, i, v: lib.xp.scatter_add(x, 0, i, v),
            jax=lambda lib, **size: lambda x, i, v: x.at[i].add(v),
            numpy=lambda lib, n: lambda x, i, v: x + np.bincount(i, v, n).astype(np.float32),
        ),
    ),
    Row(
        "embedding", "embedding of {t} tokens, {v}x{d}", inputs=_tokens, tolerance=0.0,
        reference=lambda i, table, w: to_float64(table)[i], **_EMBEDDING,
        programs=shared(
            lambda lib, **size: lambda i, table, w: lib.functional.embedding(i, table),
            jax=lambda lib, **size: lambda i, table, w: table[i],
            numpy=lambda lib, **size: lambda i, table, w: table[i],
        ),
    ),
    Row(
        "embedding_grad", "embedding of {t} tokens, {v}x{d}, forward + gradient of the table", inputs=_tokens, grad=True,
        reference=_embedding_gradient64, **_EMBEDDING,
        programs=shared(_embedded(lambda lib: lib.functional.embedding), jax=_embedded(lambda lib: lambda i, t: t[i])),
    ),
    Row(
        "cross_entropy", "cross-entropy {n}x{c}, forward + backward", inputs=_scores, reference=_cross_entropy64,
        grad=True, size={"n": 4096, "c": 1000}, small_size={"n": 9, "c": 30},
        programs=shared(
            lambda lib, **size: lib.value_and_grad(lib.functional.cross_entropy, (0,)), jax=_jax_cross_entropy
        ),
    ),
]  # fmt: skip
