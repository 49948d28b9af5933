"""What the tests of tuning share: devices, graphs with all kinds of kernels, and an empty store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.graph_key import walk
from spiraltorch.compiler.lowering import Lowered
from spiraltorch.runtime import device

DEVICES = [name for backend in device.backends().values() for name in backend.devices()[:1]]
FAULTY = "spiraltorch.capability.probes.autotuning"


def normal(where: str, *shape: int) -> Any:
    """A float32 tensor that has its value."""
    x = st.asarray(np.random.default_rng(1).standard_normal(shape).astype(np.float32)).to(where)
    st.eval(x)
    return x


def indices(where: str, count: int, below: int) -> Any:
    """An int64 tensor that has its value."""
    x = st.asarray(np.random.default_rng(2).integers(0, below, count)).to(where)
    st.eval(x)
    return x


def _centred(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1)


GRAPHS: dict[str, Callable[[str], Any]] = {
    "map": lambda d: st.exp(normal(d, 37, 53)) * 2,
    "wide map": lambda d: st.tanh(normal(d, 64, 1100)),
    "transposed": lambda d: normal(d, 70, 90).mT + 1,
    "rows": lambda d: st.softmax(normal(d, 33, 300), -1),
    "short rows": lambda d: _centred(normal(d, 90, 40)),
    "one row": lambda d: normal(d, 5000).sum(),
    "columns": lambda d: normal(d, 200, 70).sum(0),
    "scan": lambda d: st.cumsum(normal(d, 60, 40), 0),
    "sort": lambda d: st.argsort(normal(d, 3, 30), -1),
    "take": lambda d: st.take(normal(d, 90, 33), indices(d, 50, 90), 0),
    "scatter": lambda d: st.index_add(normal(d, 40, 21), 0, indices(d, 30, 40), normal(d, 30, 21)),
    "dot": lambda d: normal(d, 61, 50) @ normal(d, 50, 45),
    "deep dot": lambda d: normal(d, 20, 700) @ normal(d, 700, 33),
    "wide dot": lambda d: normal(d, 50, 130) @ normal(d, 130, 66),
    "batched dot": lambda d: normal(d, 2, 35, 40) @ normal(d, 2, 40, 34),
    "vector": lambda d: normal(d, 90, 120) @ normal(d, 120),
    "attention": lambda d: st.nn.functional.scaled_dot_product_attention(*(normal(d, 2, 20, 16) for _ in range(3))),
    "conv": lambda d: st.conv2d(normal(d, 2, 3, 8, 18), normal(d, 17, 3, 3, 3), padding=1),
    "strided conv": lambda d: st.conv2d(normal(d, 2, 6, 13, 9), normal(d, 16, 6, 3, 3), stride=2),
    "thin conv": lambda d: st.conv2d(normal(d, 3, 4, 12, 18), normal(d, 1, 4, 3, 3), padding=1),
    "weight's gradient": lambda d: st.conv2d(normal(d, 12, 2, 10, 10), normal(d, 17, 2, 8, 8)),
}


def lowered(graph: Any) -> list[Lowered]:
    """The kernels that a tensor is computed by, not scheduled yet."""
    order, _, _, leaves = walk([graph.node])
    return list(evaluate.plan_for([graph.node], order, leaves).kernels.lowered)


@contextmanager
def store(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder."""
    with monkeypatch.context() as patch:
        patch.setenv("SPIRALTORCH_CACHE_DIR", str(root))
        yield root
