"""Rows of element-wise operations, normalisations, reductions and scans, and of chains of tiny operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray
from ..libraries import Function, Library
from ..row import LibraryResult, LibraryTensor, Mode, Program, Row, random_normal, shared, to_float64


def _gelu64(a: NDArray, b: NDArray, c: NDArray) -> NDArray:
    x = to_float64(a) * b + c
    result: NDArray = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return result


def _softmax64(x: NDArray) -> NDArray:
    e = np.exp(to_float64(x) - x.max(-1, keepdims=True))
    result: NDArray = e / e.sum(-1, keepdims=True)
    return result


def _layernorm64(x: NDArray) -> NDArray:
    x = to_float64(x)
    result: NDArray = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return result


def _chain(x: LibraryTensor, y: LibraryTensor) -> LibraryTensor:
    for _ in range(20):
        x = x * 1.01 + y
    return x


def _jax_softmax(lib: Library, **size: int) -> Function:
    return lambda x: lib.jax.nn.softmax(x, -1)


def _numpy_softmax(lib: Library, **size: int) -> Function:
    def run(x: LibraryTensor) -> LibraryResult:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return run


def _layernorm(xp: Any) -> Function:
    def run(x: LibraryTensor) -> LibraryResult:
        middle = x - x.mean(-1, keepdims=True)
        return middle / xp.sqrt((middle * middle).mean(-1, keepdims=True) + 1e-5)

    return run


def _square(rng: np.random.Generator, n: int, m: int) -> tuple[NDArray, ...]:
    return (random_normal(rng, n, m),)


def _pair(rng: np.random.Generator, n: int) -> tuple[NDArray, ...]:
    return random_normal(rng, n), random_normal(rng, n)


def _sums(axis: int) -> dict[str, Program]:
    def keyword(lib: Library, **size: int) -> Function:
        return lambda x: lib.xp.sum(x, axis=axis)

    return dict.fromkeys(("spiraltorch", "torch", "jax", "numpy"), keyword)


_TINY: dict[str, Any] = {
    "inputs": _pair,
    "reference": lambda x, y: _chain(to_float64(x), to_float64(y)),
    "size": {"n": 32},
}

ROWS = [
    Row(
        "gelu", "gelu(a*b+c), {n:,} elements",
        inputs=lambda rng, n: tuple(random_normal(rng, n) for _ in range(3)), reference=_gelu64,
        size={"n": 1 << 24}, small_size={"n": 5000},
        programs=shared(
            lambda lib, **size: lambda a, b, c: lib.functional.gelu(a * b + c, approximate="tanh"),
            jax=lambda lib, **size: lambda a, b, c: lib.jax.nn.gelu(a * b + c, approximate=True),
        ),
    ),
    Row(
        "softmax", "softmax {n}x{m}", inputs=_square, reference=_softmax64,
        size={"n": 4096, "m": 1024}, small_size={"n": 9, "m": 70},
        programs=shared(
            lambda lib, **size: lambda x: lib.xp.softmax(x, -1), jax=_jax_softmax, numpy=_numpy_softmax
        ),
    ),
    Row(
        "layernorm", "layer norm {n}x{m}", inputs=_square, reference=_layernorm64,
        size={"n": 4096, "m": 1024}, small_size={"n": 9, "m": 70},
        programs=shared(
            lambda lib, n, m: lib.nn.LayerNorm(m),
            jax=lambda lib, **size: _layernorm(lib.xp), numpy=lambda lib, **size: _layernorm(lib.xp),
        ),
    ),
    Row(
        "rowsum", "row sums {n}x{m}", inputs=_square, reference=lambda x: to_float64(x).sum(1),
        size={"n": 4096, "m": 4096}, small_size={"n": 30, "m": 50}, programs=_sums(1),
    ),
    Row(
        "columnsum", "column sums {n}x{m}", inputs=_square, reference=lambda x: to_float64(x).sum(0),
        size={"n": 4096, "m": 4096}, small_size={"n": 30, "m": 50}, programs=_sums(0),
    ),
    Row(
        "cumsum", "cumulative sums along rows {n}x{m}", inputs=_square, reference=lambda x: to_float64(x).cumsum(1),
        size={"n": 4096, "m": 1024}, small_size={"n": 9, "m": 70},
        programs={
            "spiraltorch": lambda lib, **size: lambda x: lib.xp.cumsum(x, 1),
            "torch": lambda lib, **size: lambda x: lib.xp.cumsum(x, 1),
            "jax": lambda lib, **size: lambda x: lib.xp.cumsum(x, 1),
            "numpy": lambda lib, **size: lambda x: lib.xp.cumsum(x, 1),
        },
    ),
    Row(
        "tiny", "40 tiny ops on {n} elements, compiled", **_TINY,
        programs=shared(lambda lib, **size: _chain, jax=lambda lib, **size: _chain),
    ),
    Row(
        "tiny_eager", "40 tiny ops on {n} elements, not compiled", **_TINY, mode=Mode.EAGER,
        programs=shared(lambda lib, **size: _chain, numpy=lambda lib, **size: _chain),
    ),
    Row(
        "record", "recording an op (a + b)", inputs=_pair, size={"n": 32}, mode=Mode.RECORD, operations=1000,
        reference=lambda x, y: to_float64(x) + to_float64(y),
        programs=shared(lambda lib, **size: lambda x, y: [x + y for _ in range(1000)][-1]),
    ),
]  # fmt: skip
