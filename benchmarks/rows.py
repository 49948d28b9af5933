"""What is measured: each row's inputs, and its result in float64 NumPy, by which every library's result is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MLP_WIDTHS = (784, 512, 512, 10)
MLP_BATCH = 256
MLP_CHECKED_STEPS = 3
TINY_OPS = 40


@dataclass(frozen=True)
class Row:
    """A row of the table. `inputs` makes float32 arrays, `expect` the result from the same arrays in float64."""

    name: str
    title: str
    inputs: Callable[[], list[Any]]
    expect: Callable[..., Any]
    tolerance: float  # of the greatest difference, relative to the greatest value


def normal(*shapes: tuple[int, ...]) -> Callable[[], list[Any]]:
    """Arrays of standard normal numbers, the same in every process."""

    def make() -> list[Any]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]

    return make


def gelu(a: Any, b: Any, c: Any) -> Any:
    x = a * b + c
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layernorm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def matmul(a: Any, b: Any) -> Any:
    return a @ b


def tiny(x: Any, y: Any) -> Any:
    for _ in range(TINY_OPS // 2):
        x = x * 1.01 + y
    return x


def mlp_inputs() -> list[Any]:
    """Images, labels, then weight and bias of each layer."""
    rng = np.random.default_rng(0)
    arrays: list[Any] = [
        rng.standard_normal((MLP_BATCH, MLP_WIDTHS[0]), dtype=np.float32),
        rng.integers(0, MLP_WIDTHS[-1], MLP_BATCH),
    ]
    for before, after in zip(MLP_WIDTHS, MLP_WIDTHS[1:], strict=False):
        bound = 1 / math.sqrt(before)
        arrays.append(rng.uniform(-bound, bound, (after, before)).astype(np.float32))
        arrays.append(rng.uniform(-bound, bound, after).astype(np.float32))
    return arrays


def mlp(x: Any, labels: Any, *parameters: Any) -> Any:
    """The losses of the first AdamW steps (lr 1e-3, weight decay 0.01), written out by hand."""
    ps = [p.copy() for p in parameters]
    first, second = [np.zeros_like(p) for p in ps], [np.zeros_like(p) for p in ps]
    labels = labels.astype(np.int64)
    rows = np.arange(len(x))
    losses = []
    for step in range(1, MLP_CHECKED_STEPS + 1):
        acts = [x]
        for n in range(0, len(ps), 2):
            h = acts[-1] @ ps[n].T + ps[n + 1]
            acts.append(np.maximum(h, 0) if n + 2 < len(ps) else h)
        probs = softmax(acts[-1])
        losses.append(-np.log(probs[rows, labels]).mean())
        grad = probs
        grad[rows, labels] -= 1
        grad /= len(x)
        grads: list[Any] = [None] * len(ps)
        for n in range(len(ps) - 2, -1, -2):
            grads[n], grads[n + 1] = grad.T @ acts[n // 2], grad.sum(0)
            if n:
                grad = grad @ ps[n] * (acts[n // 2] > 0)
        for n, g in enumerate(grads):
            first[n] = 0.9 * first[n] + 0.1 * g
            second[n] = 0.999 * second[n] + 0.001 * g * g
            root = np.sqrt(second[n] / (1 - 0.999**step)) + 1e-8
            ps[n] = ps[n] * (1 - 1e-3 * 0.01) - 1e-3 * (first[n] / (1 - 0.9**step)) / root
    return np.array(losses)


def add(x: Any, y: Any) -> Any:
    return x + y


_BIG, _ROWS = (1 << 24,), (4096, 1024)
_TINY = normal((32,), (32,))
ROWS = [
    Row("gelu", "gelu(a*b+c), 16M (tanh form)", normal(_BIG, _BIG, _BIG), gelu, 1e-5),
    Row("softmax", "softmax 4096×1024", normal(_ROWS), softmax, 1e-5),
    Row("layernorm", "layernorm 4096×1024", normal(_ROWS, (1024,), (1024,)), layernorm, 1e-5),
    Row("matmul1024", "matmul 1024", normal((1024, 1024), (1024, 1024)), matmul, 1e-5),
    Row("matmul256", "matmul 256", normal((256, 256), (256, 256)), matmul, 1e-5),
    Row("tiny", "40 tiny ops on 32 elements, compiled", _TINY, tiny, 1e-5),
    Row("tiny_eager", "40 tiny ops on 32 elements, uncompiled", _TINY, tiny, 1e-5),
    Row("mlp", "MLP 784-512-512-10 train step, b256, AdamW, compiled", mlp_inputs, mlp, 1e-4),
    Row("mlp_eager", "the same, uncompiled", mlp_inputs, mlp, 1e-4),
    Row("record", "recording an op (torch: running it), 32 elements", _TINY, add, 1e-6),
]
RECORDED = 500  # operations in one measurement of the row "record"
# Rows whose every measurement needs a process of its own.
FRESH = [
    ("first_empty", "MLP train step, first call, empty caches"),
    ("first_warm", "MLP train step, first call, warm disk cache"),
    ("import", "import"),
]
