"""Order and places: sorting, the greatest, gathering, scattering, and the losses that pick by label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..row import Program, Row, double, normal, shared

TOP = 100


def _vector(rng: Any, n: int) -> tuple[Any, ...]:
    return (normal(rng, n),)


def _numpy_topk(x: Any) -> Any:
    return np.sort(np.partition(x, len(x) - TOP)[len(x) - TOP :])[::-1]


def _method(make: Callable[[Any], Callable[..., Any]], *names: str) -> dict[str, Program]:
    return {name: lambda lib, **size: make(lib.xp) for name in names}


def _updates(rng: Any, n: int) -> tuple[Any, ...]:
    return np.zeros(n, np.float32), rng.integers(0, n, n), normal(rng, n)


def _scattered64(x: Any, index: Any, values: Any) -> Any:
    return double(x) + np.bincount(index, double(values), len(x))


def _tokens(rng: Any, v: int, d: int, t: int) -> tuple[Any, ...]:
    return rng.integers(0, v, t), normal(rng, v, d), normal(rng, t, d)


def _embedding_gradient64(index: Any, table: Any, w: Any) -> Any:
    table, w = double(table), double(w)
    gradient = np.zeros_like(table)
    np.add.at(gradient, index, w)
    return (table[index] * w).sum(), (gradient,)


def _embedded(look_up: Callable[[Any], Callable[..., Any]]) -> Program:
    return lambda lib, **size: lib.value_and_grad(lambda i, table, w: (look_up(lib)(i, table) * w).sum(), (1,))


def _scores(rng: Any, n: int, c: int) -> tuple[Any, ...]:
    return normal(rng, n, c), rng.integers(0, c, n)


def _cross_entropy64(z: Any, y: Any) -> Any:
    e = np.exp(double(z) - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return loss, (p / len(y),)


def _jax_cross_entropy(lib: Any, **size: int) -> Any:
    def loss(z: Any, y: Any) -> Any:
        return -lib.xp.take_along_axis(lib.jax.nn.log_softmax(z), y[:, None], 1).mean()

    return lib.value_and_grad(loss, (0,))


_ALL = ("spiraltorch", "torch", "jax", "numpy")
_EMBEDDING: dict[str, Any] = {"size": {"v": 50257, "d": 768, "t": 4096}, "small": {"v": 50, "d": 7, "t": 90}}

ROWS = [
    Row(
        "sort", "sort {n:,}", inputs=_vector, reference=lambda x: np.sort(double(x)), tolerance=0.0,
        size={"n": 1 << 20}, small={"n": 3000},
        programs={
            **_method(lambda xp: lambda x: xp.sort(x), "spiraltorch", "jax", "numpy"),
            **_method(lambda xp: lambda x: xp.sort(x)[0], "torch"),
        },
    ),
    Row(
        "argsort", "stable argsort {n:,}", inputs=_vector, tolerance=0.0,
        reference=lambda x: np.argsort(x, kind="stable"), size={"n": 1 << 20}, small={"n": 3000},
        programs={
            **_method(lambda xp: lambda x: xp.argsort(x, stable=True), "spiraltorch", "torch", "jax"),
            **_method(lambda xp: lambda x: xp.argsort(x, kind="stable"), "numpy"),
        },
    ),
    Row(
        "topk", f"the {TOP} greatest of {{n:,}}", inputs=_vector, reference=lambda x: np.sort(double(x))[: -TOP - 1 : -1],
        tolerance=0.0, size={"n": 1 << 20}, small={"n": 3000},
        programs=shared(
            lambda lib, **size: lambda x: lib.xp.topk(x, TOP)[0],
            jax=lambda lib, **size: lambda x: lib.jax.lax.top_k(x, TOP)[0], numpy=lambda lib, **size: _numpy_topk,
        ),
    ),
    Row(
        "argmax", "argmax of {n:,}", inputs=_vector, reference=np.argmax, tolerance=0.0,
        size={"n": 1 << 20}, small={"n": 3000}, programs=_method(lambda xp: lambda x: xp.argmax(x), *_ALL),
    ),
    Row(
        "scatter_add", "scatter-add of {n:,} into as many", inputs=_updates, reference=_scattered64,
        size={"n": 1 << 20}, small={"n": 3000},
        programs=shared(
            lambda lib, **size: lambda x, i, v: lib.xp.scatter_add(x, 0, i, v),
            jax=lambda lib, **size: lambda x, i, v: x.at[i].add(v),
            numpy=lambda lib, n: lambda x, i, v: x + np.bincount(i, v, n).astype(np.float32),
        ),
    ),
    Row(
        "embedding", "embedding of {t} tokens, {v}x{d}", inputs=_tokens, tolerance=0.0,
        reference=lambda i, table, w: double(table)[i], **_EMBEDDING,
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
        grad=True, size={"n": 4096, "c": 1000}, small={"n": 9, "c": 30},
        programs=shared(
            lambda lib, **size: lib.value_and_grad(lib.functional.cross_entropy, (0,)), jax=_jax_cross_entropy
        ),
    ),
]  # fmt: skip
