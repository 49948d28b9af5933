"""Dynamic shapes: a function compiled with a symbolic dimension runs with every size without being recorded again."""

from __future__ import annotations

from typing import Any

import numpy as np

import spiraltorch as st

from .checking import equal, expect, probe, public, raises


def _compiled() -> Any:
    """The softmax of a product, for any number of rows from 1 to 64."""
    batch = public("Dim")("batch", min=1, max=64)
    w = st.asarray(np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6))
    compiled: Any = st.compile
    return compiled(lambda x: st.softmax(x @ w, -1), dynamic_shapes=[(batch, 4)])


@probe()
def one_recording(device: str) -> None:
    """One recording serves all sizes, with NumPy's results."""
    f, rng = _compiled(), np.random.default_rng(0)
    w = np.linspace(-1, 1, 24).reshape(4, 6)
    for rows in (1, 5, 33, 64):
        a = rng.standard_normal((rows, 4)).astype(np.float32)
        e = np.exp(a @ w)
        equal(f"{rows} rows", f(st.asarray(a)), e / e.sum(1, keepdims=True), 1e-4, 1e-5)
    expect(f.traces == 1, f"recordings: expected 1 for four sizes, got {f.traces}")


@probe()
def bounds(device: str) -> None:
    """A size outside the declared bounds is an error that names the dimension."""
    f = _compiled()
    message = raises("65 rows", st.ShapeError, lambda: f(st.ones(65, 4)))
    expect("batch" in message, f"65 rows: expected the dimension's name in the message, got {message!r}")
