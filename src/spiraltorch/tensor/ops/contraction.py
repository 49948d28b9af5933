"""Products of tensors that sum over axes: matmul and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...graph.primitives.elementwise import broadcast_shapes
from ..arguments import axes_of, axis_of, torch_spellings
from ..dispatch import handle, handles, see
from ..tensor import Tensor


def _both(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    a, b = handles(x, y)
    dtype = promote(a.dtype, b.dtype)
    return Tensor(build.cast(see(a), dtype)), Tensor(build.cast(see(b), dtype))


@torch_spellings
def matmul(x: Any, y: Any) -> Tensor:
    """The matrix product, with batch axes broadcast and NumPy's rules for 1-d operands.

    >>> matmul(handle([[1, 2]]), handle([[3], [4]])).tolist()
    [[11]]
    """
    a, b = _both(x, y)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            f"[matmul] expected at least one axis on both sides, got shapes {a.shape} and {b.shape}; use *"
        )
    k, other = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if k != other:
        raise ShapeError(
            f"[matmul] expected the last axis of the left operand to match the second to last of the right, got shapes "
            f"{a.shape} and {b.shape} ({k} and {other}); transpose one operand"
        )
    if b.ndim <= 2:
        return Tensor(build.dot(a.node, b.node, (a.ndim - 1,), (max(b.ndim - 2, 0),)))
    if a.ndim == 1:
        return matmul(a.reshape((1, k)), b).squeeze(-2)  # type: ignore[no-any-return]
    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    a, b = a.broadcast_to((*batch, *a.shape[-2:])), b.broadcast_to((*batch, *b.shape[-2:]))
    n = len(batch)
    axes = tuple(range(n))
    return Tensor(build.dot(see(a), see(b), (n + 1,), (n,), axes, axes))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Weighted values (B, H, L, Ev) of q (B, H, L, E), k (B, H / n, S, E) and v (B, H / n, S, Ev) in one float dtype.

    The mask, where there is one, broadcasts to (B, H, L, S); a query without any key gets zeros.

    >>> attend(handle([[[[1.0]]]]), handle([[[[1.0], [1.0]]]]), handle([[[[2.0], [4.0]]]]), None, False, 1.0).tolist()
    [[[[3.0]]]]
    """
    return Tensor(build.attention(see(q), see(k), see(v), None if mask is None else see(mask), causal, scale)[0])


def mm(x: Any, y: Any) -> Tensor:
    """PyTorch's product of two matrices.

    >>> import spiraltorch as st
    >>> mm(st.ones(2, 3), st.ones(3, 1)).tolist()
    [[3.0], [3.0]]
    """
    a, b = _both(x, y)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"[mm] expected two matrices, got shapes {a.shape} and {b.shape}; use matmul")
    return matmul(a, b)


def bmm(x: Any, y: Any) -> Tensor:
    """PyTorch's product of two batches of matrices.

    >>> import spiraltorch as st
    >>> bmm(st.ones(1, 2, 3), st.ones(1, 3, 1)).shape
    (1, 2, 1)
    """
    a, b = _both(x, y)
    if a.ndim != 3 or b.ndim != 3:
        raise ShapeError(f"[bmm] expected two batches of matrices, got shapes {a.shape} and {b.shape}; use matmul")
    return matmul(a, b)


def dot(x: Any, y: Any) -> Tensor:
    """The inner product of two vectors (`matmul` for more axes).

    >>> import spiraltorch as st
    >>> dot(st.tensor([1, 2]), st.tensor([3, 4])).item()
    11
    """
    return matmul(x, y)


@torch_spellings
def vecdot(x: Any, y: Any, axis: int = -1) -> Tensor:
    """The sum of products along an axis.

    >>> import spiraltorch as st
    >>> vecdot(st.ones(2, 3), st.ones(2, 3)).tolist()
    [3.0, 3.0]
    """
    from .reduction import sum as total

    a, b = _both(x, y)
    return total(a * b, axis=axis, dtype=a.dtype)


def outer(x: Any, y: Any) -> Tensor:
    """All products of two vectors.

    >>> import spiraltorch as st
    >>> outer(st.tensor([1, 2]), st.tensor([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    a, b = _both(x, y)
    return a.reshape((-1, 1)) * b.reshape((1, -1))  # type: ignore[no-any-return]


def tensordot(x: Any, y: Any, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of `x` with the first of `y`, or two lists.

    >>> import spiraltorch as st
    >>> tensordot(st.ones(2, 3), st.ones(3, 4), axes=1).shape
    (2, 4)
    """
    a, b = _both(x, y)
    if isinstance(axes, int):
        if axes < 0:
            raise ArgumentError(f"[tensordot] expected at least 0 axes, got {axes}")
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([s] if isinstance(s, int) else list(s) for s in axes)
    ax = tuple([axis_of(d, a.ndim, "tensordot") for d in left])
    by = tuple([axis_of(d, b.ndim, "tensordot") for d in right])
    if len(set(ax)) != len(ax) or len(set(by)) != len(by):
        raise ArgumentError(f"[tensordot] expected distinct axes of each operand, got {left} and {right}")
    if [a.shape[d] for d in ax] != [b.shape[d] for d in by]:
        raise ShapeError(f"[tensordot] expected equal extents on axes {ax} and {by}, got {a.shape} and {b.shape}")
    return Tensor(build.dot(a.node, b.node, ax, by))


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """`x @ weight.T + bias`, with PyTorch's weight of shape (out, in).

    >>> import spiraltorch as st
    >>> linear(st.ones(2, 3), st.ones(4, 3), st.ones(4)).shape
    (2, 4)
    """
    a, w = _both(x, weight)
    if w.ndim != 2 or a.shape[-1:] != w.shape[-1:]:
        raise ShapeError(f"[linear] expected x (..., in) and a weight (out, in), got shapes {a.shape} and {w.shape}")
    made = Tensor(build.dot(a.node, w.node, (a.ndim - 1,), (1,)))
    return made if bias is None else made + handle(bias, made)


def multi_dot(arrays: Sequence[Any]) -> Tensor:
    """The product of several matrices, from left to right.

    >>> import spiraltorch as st
    >>> multi_dot([st.ones(1, 2), st.ones(2, 3), st.ones(3, 1)]).tolist()
    [[6.0]]
    """
    made, *rest = handles(*arrays)
    for other in rest:
        made = matmul(made, other)
    return made


def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """The cross product of 3-vectors along an axis.

    >>> import spiraltorch as st
    >>> cross(st.tensor([1, 0, 0]), st.tensor([0, 1, 0])).tolist()
    [0, 0, 1]
    """
    from .broadcasting import broadcast_arrays
    from .slicing import roll

    a, b = broadcast_arrays(*_both(x, y))
    if a.ndim == 0:
        raise ShapeError("[cross] expected vectors of extent 3, got 0-d tensors")
    (d,) = axes_of(axis, a.ndim, "cross")
    if a.shape[d] != 3 or b.shape[d] != 3:
        raise ShapeError(f"[cross] expected extent 3 along axis {d}, got {a.shape} and {b.shape}")
    return roll(a, -1, axis=d) * roll(b, -2, axis=d) - roll(a, -2, axis=d) * roll(b, -1, axis=d)
