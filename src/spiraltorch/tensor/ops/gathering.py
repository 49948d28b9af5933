"""Elements picked by indices or masks, by name."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from ...graph import build
from ..arguments import axis_of, torch_spellings
from ..dispatch import P, handle, handles, nary, see
from ..tensor import Tensor
from .index_checks import checked
from .indexing import getitem


@torch_spellings
def take(x: Any, indices: Any, axis: Any = None) -> Tensor:
    """Elements along an axis, one slice for each index; of the flattened tensor without an axis.

    >>> take(handle([10, 20, 30]), handle([2, 0])).tolist()
    [30, 10]
    """
    x = handle(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    d = axis_of(axis, x.ndim, "take")
    idx = checked(handle(indices, x), x.shape[d], "take")
    return nary(P["take"], (see(x), see(idx)), (d,))


@torch_spellings
def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """One element along an axis for each index; other axes broadcast.

    >>> import spiraltorch as st
    >>> take_along_axis(st.tensor([[3, 1]]), st.tensor([[1, 0]])).tolist()
    [[1, 3]]
    """
    x, idx = handles(x, indices)
    d = axis_of(axis, x.ndim, "take_along_axis")
    if x.ndim != idx.ndim:
        raise ShapeError(f"[take_along_axis] expected equal numbers of axes, got {x.shape} and {idx.shape}")
    from ...graph.primitives.elementwise import broadcast_shapes

    a, b = list(x.shape), list(idx.shape)
    a[d] = b[d] = 1
    common = list(broadcast_shapes("take_along_axis", tuple(a), tuple(b)))
    common[d] = x.shape[d]
    x = x.broadcast_to(tuple(common))
    common[d] = idx.shape[d]
    idx = checked(idx, x.shape[d], "take_along_axis").broadcast_to(tuple(common))
    return nary(P["take_along"], (see(x), see(idx)), (d,))


def gather(x: Any, dim: int, index: Any) -> Tensor:
    """PyTorch's gather: `index` may be smaller than `x` on the other axes.

    >>> import spiraltorch as st
    >>> gather(st.tensor([[1, 2], [3, 4]]), 1, st.tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    x, index = handles(x, index)
    d = axis_of(dim, x.ndim, "gather")
    x = _cropped(x, index.shape, d, "gather")
    return nary(P["take_along"], (see(x), see(checked(index, x.shape[d], "gather"))), (d,))


def _cropped(x: Tensor, shape: tuple[int, ...], d: int, op: str) -> Tensor:
    if len(shape) != x.ndim or any(n > e for a, (n, e) in enumerate(zip(shape, x.shape, strict=True)) if a != d):
        raise ShapeError(f"[{op}] expected an index no larger than {x.shape} beside axis {d}, got {shape}")
    stops = tuple([x.shape[d] if a == d else n for a, n in enumerate(shape)])
    return Tensor(build.slice(see(x), (0,) * x.ndim, stops, (1,) * x.ndim))


def index_select(x: Any, dim: int, index: Any) -> Tensor:
    """PyTorch's name of `take`.

    >>> import spiraltorch as st
    >>> index_select(st.tensor([10, 20, 30]), 0, st.tensor([2, 0])).tolist()
    [30, 10]
    """
    return take(x, index, axis=dim)


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements where the mask holds, flattened.

    >>> import spiraltorch as st
    >>> masked_select(st.tensor([1, 2]), st.tensor([True, False])).tolist()
    [1]
    """
    x, mask = handles(x, mask)
    from .broadcasting import broadcast_arrays

    x, mask = broadcast_arrays(x, mask)
    return getitem(x, mask)
