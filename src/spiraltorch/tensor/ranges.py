"""Tensors made by a rule from a few numbers: ranges, grids, identity matrices, one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, as_dtype, default_float, default_int, int64, uint64
from ..errors import ArgumentError, DTypeError
from ..graph import build
from .creation import as_shape, asarray, device_name
from .tensor import Tensor


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None, device: Any = None) -> Tensor:
    """Numbers from `start` up to `stop`, without it; int64 for ints, float32 otherwise.

    >>> arange(2, 8, 3).tolist()
    [2, 5]
    """
    if stop is None:
        start, stop = 0, start
    if step == 0 or any(isinstance(v, float) and not np.isfinite(v) for v in (start, stop, step)):
        raise ArgumentError(f"[arange] expected finite bounds and a step that is not 0, got {start}, {stop}, {step}")
    whole = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
    wanted = as_dtype(dtype) if dtype is not None else default_int if whole else default_float
    count = max(0, int(np.ceil((stop - start) / step)) if not whole else -(-(stop - start) // step))
    name = device_name(device)
    inner = wanted if wanted.is_float and wanted.itemsize >= 4 else default_float if wanted.is_float else int64
    inner = wanted if wanted is uint64 else inner
    if not whole and not inner.is_float:
        inner = default_float
    node = build.iota((int(count),), 0, inner if not inner.is_float else int64, name)
    made = Tensor(build.cast(node, inner))
    made = made * (step if inner.is_float else int(step)) + (start if inner.is_float else int(start))
    return made.to(wanted)  # type: ignore[no-any-return]


def linspace(
    start: float, stop: float, num: int, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced numbers, the end included unless `endpoint` is False.

    >>> linspace(0, 1, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    if num < 0:
        raise ArgumentError(f"[linspace] expected num >= 0, got {num}")
    wanted = default_float if dtype is None else as_dtype(dtype)
    exact = np.linspace(start, stop, num, endpoint=endpoint, dtype=np.float64)
    return asarray(exact.astype(wanted.numpy), device=device)


def logspace(
    start: float, stop: float, num: int = 50, base: float = 10.0, dtype: Any = None, device: Any = None,
    endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """`base` to the power of `num` evenly spaced numbers, the end included unless `endpoint` is False.

    >>> logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    if num < 0:
        raise ArgumentError(f"[logspace] expected num >= 0, got {num}")
    wanted = default_float if dtype is None else as_dtype(dtype)
    exact = np.logspace(start, stop, num, endpoint=endpoint, base=base, dtype=np.float64)
    return asarray(exact.astype(wanted.numpy), device=device)


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on the `k`-th diagonal.

    >>> eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    name = device_name(device)
    i, j = build.iota(shape, 0, int64, name), build.iota(shape, 1, int64, name)
    hit = build.eq(build.add(i, build.number(k, int64, name)), j)
    return Tensor(build.cast(hit, as_dtype(dtype) if dtype is not None else default_float))


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinate arrays from 1-d ones.

    >>> [t.tolist() for t in meshgrid(arange(2), arange(1))]
    [[[0, 1]], [[0, 0]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}")
    n = len(arrays)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[0], order[1] = 1, 0
    shape = [0] * n
    for a, place in zip(arrays, order, strict=True):
        shape[place] = a.size
    return [
        a.reshape([a.size if d == place else 1 for d in range(n)]).expand(tuple(shape))
        for a, place in zip(arrays, order, strict=True)
    ]


def one_hot(x: Tensor, num_classes: int, dtype: DType = int64) -> Tensor:
    """Ones at the given classes along a new last axis.

    >>> import spiraltorch as st
    >>> one_hot(st.tensor([0, 2]), 3).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"[one_hot] expected integer classes, got {x.dtype.name}; cast with .to(st.int64)")
    classes = arange(num_classes, device=x.device)
    return (x.reshape((*x.shape, 1)) == classes).to(dtype)  # type: ignore[no-any-return]
