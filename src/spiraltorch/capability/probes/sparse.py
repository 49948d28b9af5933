"""Sparse tensor ops: products, arithmetic and gradients of compressed tensors equal the dense ones."""

from __future__ import annotations

import numpy as np

import spiraltorch as st

from ...typing import NDArray
from .checking import equal, expect, probe, public


def _dense() -> NDArray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((40, 30)) * (rng.random((40, 30)) < 0.1)).astype(np.float32)


@probe()
def formats(device: str) -> None:
    """A dense tensor becomes a compressed one with its nonzeros alone, and comes back unchanged."""
    a = _dense()
    compressed = public("sparse.from_dense")(st.asarray(a))
    expect(compressed.nnz == np.count_nonzero(a), f"nnz: expected {np.count_nonzero(a)}, got {compressed.nnz}")
    equal("to_dense", compressed.to_dense(), a)


@probe()
def products(device: str) -> None:
    """Sparse times dense, by matrix and by vector, equals the dense product."""
    a, rng = _dense(), np.random.default_rng(1)
    compressed = public("sparse.from_dense")(st.asarray(a))
    b, v = rng.standard_normal((30, 7)).astype(np.float32), rng.standard_normal(30).astype(np.float32)
    equal("matrix", compressed @ st.asarray(b), a @ b, 1e-5, 1e-5)
    equal("vector", compressed @ st.asarray(v), a @ v, 1e-5, 1e-5)


@probe()
def gradients(device: str) -> None:
    """Gradients flow through a sparse product to its dense operand."""
    a = _dense()
    compressed = public("sparse.from_dense")(st.asarray(a))
    got = st.grad(lambda x: (compressed @ x).sum())(st.ones(30, 3))
    equal("gradient", got, np.repeat(a.sum(0)[:, None], 3, 1), 1e-5, 1e-5)
