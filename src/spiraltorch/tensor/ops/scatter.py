"""Elements written or combined at indices, by name."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError
from ...graph import build
from ..arguments import axis_of
from ..dispatch import handle, handles, see
from ..tensor import Tensor
from .casting import cast
from .gathering import _cropped
from .index_checks import checked
from .indexing import setitem


def scatter(x: Any, dim: int, index: Any, src: Any, reduce: str | None = None) -> Tensor:
    """PyTorch's scatter: `x` with `src` written (or combined by `reduce`) at `index` along an axis.

    >>> import spiraltorch as st
    >>> scatter(st.zeros(3), 0, st.tensor([2]), 5.0).tolist()
    [0.0, 0.0, 5.0]
    """
    x, index = handles(x, index)
    modes = {None: "set", "add": "add", "sum": "add", "multiply": "mul", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in modes:
        raise ArgumentError(f"[scatter] expected reduce of {sorted(m for m in modes if m)}, got {reduce!r}")
    d = axis_of(dim, x.ndim, "scatter")
    src = handle(src, x)
    src = _cropped(src, index.shape, -1, "scatter") if src.ndim else src.expand(index.shape)
    idx = checked(index, x.shape[d], "scatter")
    base, src = x, cast(src, x.dtype)
    small = tuple([x.shape[d] if a == d else n for a, n in enumerate(index.shape)])
    part = _cropped(base, index.shape, d, "scatter")
    made = Tensor(build.scatter_along(see(part), see(idx), see(src), d, modes[reduce]))
    if small == x.shape:
        return made
    return setitem(x, tuple([slice(0, n) for n in small]), made)


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Tensor:
    """`scatter` that adds.

    >>> import spiraltorch as st
    >>> scatter_add(st.ones(2), 0, st.tensor([1, 1]), st.ones(2)).tolist()
    [1.0, 3.0]
    """
    return scatter(x, dim, index, src, "add")


def index_add(x: Any, dim: int, index: Any, source: Any, alpha: float = 1) -> Tensor:
    """`x` with slices of `source` added at `index` along an axis.

    >>> import spiraltorch as st
    >>> index_add(st.zeros(3), 0, st.tensor([2, 2]), st.ones(2)).tolist()
    [0.0, 0.0, 2.0]
    """
    x, idx, source = handles(x, index, source)
    d = axis_of(dim, x.ndim, "index_add")
    idx = checked(idx, x.shape[d], "index_add")
    update = cast(source * alpha if alpha != 1 else source, x.dtype)
    return Tensor(build.scatter(see(x), see(idx), see(update), d, "add"))
