"""Products of tensors that sum over axes: matmul and its relatives."""

from __future__ import annotations

from collections.abc import Sequence

from ...dtypes import promote
from ...errors import ArgumentError, ShapeError
from ...graph import build
from ...graph.primitives.elementwise import broadcast_shapes
from ...typing import ArrayLike
from ..arguments import axes_of, axis_of, integer, integers, is_integer, torch_spellings
from ..dispatch import as_tensor, as_tensors, node_of
from ..tensor import Tensor
from .broadcasting import broadcast_arrays
from .reduction import sum
from .slicing import roll


def promoted_operands(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both operands in their common dtype."""
    a, b = as_tensors(x, y)
    dtype = promote(a.dtype, b.dtype)
    return Tensor(build.cast(node_of(a), dtype)), Tensor(build.cast(node_of(b), dtype))


@torch_spellings
def matmul(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Multiplies matrices, in the last two axes, by NumPy's rules; `x @ y` does the same.

    float16 and bfloat16 are summed in float32 and rounded once.

    Args:
        x: shape (..., m, k), or (k,) for a row; any dtype.
        y: shape (..., k, n), or (k,) for a column; leading axes broadcast with x's.

    Returns:
        A tensor of shape (..., m, n) in the common dtype; without m or n where an operand is 1-d.

    Raises:
        ShapeError: an operand is 0-d, the extents k differ, or the leading axes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.matmul(st.tensor([[1, 2]]), st.tensor([[3], [4]])).tolist()
        [[11]]
    """
    a, b = promoted_operands(x, y)
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
        return matmul(a.reshape((1, k)), b).squeeze(-2)
    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    a, b = a.broadcast_to((*batch, *a.shape[-2:])), b.broadcast_to((*batch, *b.shape[-2:]))
    n = len(batch)
    axes = tuple(range(n))
    return Tensor(build.dot(node_of(a), node_of(b), (n + 1,), (n,), axes, axes))


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Scaled dot-product attention, as one primitive. All operands have one floating dtype.

    Args:
        q: queries, shape (B, H, L, E).
        k: keys, shape (B, H / n, S, E); n heads of queries share a head of keys.
        v: values, shape (B, H / n, S, Ev).
        mask: a tensor that is added to the scores, or booleans that are True where a key takes part; it broadcasts to
            (B, H, L, S).
        causal: whether a query attends only to keys up to its own position.
        scale: the factor of the scores.

    Returns:
        The weighted values, shape (B, H, L, Ev); zeros for a query without any key.

    Example:
        >>> import spiraltorch as st
        >>> q, k, v = st.ones(1, 1, 1, 1), st.ones(1, 1, 2, 1), st.tensor([[[[2.0], [4.0]]]])
        >>> attention(q, k, v, None, False, 1.0).tolist()
        [[[[3.0]]]]
    """
    return Tensor(
        build.attention(node_of(q), node_of(k), node_of(v), None if mask is None else node_of(mask), causal, scale)[0]
    )


def mm(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Multiplies two matrices.

    Args:
        x: shape (m, k), any dtype.
        y: shape (k, n).

    Returns:
        A tensor of shape (m, n) in the common dtype.

    Raises:
        ShapeError: an operand is not a matrix, or the extents k differ.

    Example:
        >>> import spiraltorch as st
        >>> st.mm(st.ones(2, 3), st.ones(3, 1)).tolist()
        [[3.0], [3.0]]
    """
    a, b = promoted_operands(x, y)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"[mm] expected two matrices, got shapes {a.shape} and {b.shape}; use matmul")
    return matmul(a, b)


def bmm(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Multiplies two batches of matrices.

    Args:
        x: shape (b, m, k), any dtype.
        y: shape (b, k, n).

    Returns:
        A tensor of shape (b, m, n) in the common dtype.

    Raises:
        ShapeError: an operand does not have 3 axes, or the extents b or k differ.

    Example:
        >>> import spiraltorch as st
        >>> st.bmm(st.ones(1, 2, 3), st.ones(1, 3, 1)).shape
        (1, 2, 1)
    """
    a, b = promoted_operands(x, y)
    if a.ndim != 3 or b.ndim != 3:
        raise ShapeError(f"[bmm] expected two batches of matrices, got shapes {a.shape} and {b.shape}; use matmul")
    return matmul(a, b)


def dot(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes the inner product of two vectors; of more axes it is `matmul`.

    Args:
        x: shape (k,), any dtype.
        y: shape (k,).

    Returns:
        A 0-d tensor in the common dtype.

    Raises:
        ShapeError: the extents differ.

    Example:
        >>> import spiraltorch as st
        >>> st.dot(st.tensor([1, 2]), st.tensor([3, 4])).item()
        11
    """
    return matmul(x, y)


@torch_spellings
def vecdot(x: ArrayLike, y: ArrayLike, axis: int = -1, *, dim: int = -1) -> Tensor:
    """Computes inner products of vectors along an axis.

    Args:
        x: any shape and dtype.
        y: any shape that broadcasts with x's.
        axis: the axis of the vectors.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of the common shape without the axis, in the common dtype.

    Raises:
        ShapeError: the shapes do not broadcast.
        IndexOutOfRange: the axis lies outside those of the common shape.

    Example:
        >>> import spiraltorch as st
        >>> st.vecdot(st.ones(2, 3), st.ones(2, 3)).tolist()
        [3.0, 3.0]
    """
    a, b = promoted_operands(x, y)
    return sum(a * b, axis=axis, dtype=a.dtype)


def outer(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Computes the products of all pairs of elements of two vectors.

    Args:
        x: shape (m,), any dtype; more axes are flattened.
        y: shape (n,), any dtype; more axes are flattened.

    Returns:
        A tensor of shape (m, n) in the common dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.outer(st.tensor([1, 2]), st.tensor([3, 4])).tolist()
        [[3, 4], [6, 8]]
    """
    a, b = promoted_operands(x, y)
    return a.reshape((-1, 1)) * b.reshape((1, -1))


def tensordot(
    x: ArrayLike,
    y: ArrayLike,
    axes: int | Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    dims: int | Sequence[int] | Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Sums products over pairs of axes.

    Args:
        x: any shape and dtype.
        y: any shape and dtype.
        axes: a number n, for the last n axes of `x` with the first n of `y`, 2 by default; or the axes of each.
        dims: alias of `axes`, as in PyTorch.

    Returns:
        A tensor in the common dtype, with the other axes of `x` and then those of `y`.

    Raises:
        ArgumentError: the number is negative, an axis is given twice, or both `axes` and `dims` are given.
        ShapeError: paired axes have different extents.
        IndexOutOfRange: an axis does not exist.

    Example:
        >>> import spiraltorch as st
        >>> st.tensordot(st.ones(2, 3), st.ones(3, 4), axes=1).shape
        (2, 4)
    """
    a, b = promoted_operands(x, y)
    if axes is not None and dims is not None:
        raise ArgumentError("[tensordot] expected one of dims and axes, got both; pass one of them")
    axes = dims if axes is None else axes
    axes = 2 if axes is None else axes
    if is_integer(axes):
        count = integer(axes, "tensordot", "axes", 0)
        left, right = tuple(range(a.ndim - count, a.ndim)), tuple(range(count))
    else:
        left, right = (integers(s, "tensordot", "axes") for s in axes)  # type: ignore[union-attr]  # not an int
    ax = tuple([axis_of(d, a.ndim, "tensordot") for d in left])
    by = tuple([axis_of(d, b.ndim, "tensordot") for d in right])
    if len(set(ax)) != len(ax) or len(set(by)) != len(by):
        raise ArgumentError(
            f"[tensordot] expected distinct axes of each operand, got {left} and {right}; pass each axis once"
        )
    if [a.shape[d] for d in ax] != [b.shape[d] for d in by]:
        raise ShapeError(
            f"[tensordot] expected equal extents on axes {ax} and {by}, got {a.shape} and {b.shape}; "
            "transpose or reshape one operand"
        )
    return Tensor(build.dot(a.node, b.node, ax, by))


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """Computes x @ weight.T + bias, with PyTorch's layout of weights.

    Args:
        x: shape (..., in), any dtype.
        weight: shape (out, in).
        bias: shape (out,).

    Returns:
        A tensor of shape (..., out) in the common dtype.

    Raises:
        ShapeError: the shapes do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.linear(st.ones(2, 3), st.ones(4, 3), st.ones(4)).shape
        (2, 4)
    """
    a, w = promoted_operands(x, weight)
    if w.ndim != 2 or a.shape[-1:] != w.shape[-1:]:
        raise ShapeError(
            f"[linear] expected x (..., in) and a weight (out, in), got shapes {a.shape} and {w.shape}; "
            "transpose or reshape one of them"
        )
    product = Tensor(build.dot(a.node, w.node, (a.ndim - 1,), (1,)))
    return product if bias is None else product + as_tensor(bias, product)


def multi_dot(arrays: Sequence[ArrayLike]) -> Tensor:
    """Multiplies several matrices, from left to right.

    Args:
        arrays: at least one matrix; the extents of neighbours fit each other.

    Returns:
        The product, in the common dtype.

    Raises:
        ShapeError: the shapes do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.multi_dot([st.ones(1, 2), st.ones(2, 3), st.ones(3, 1)]).tolist()
        [[6.0]]
    """
    product, *rest = as_tensors(*arrays)
    for other in rest:
        product = matmul(product, other)
    return product


@torch_spellings
def cross(x: ArrayLike, y: ArrayLike, axis: int = -1, *, dim: int = -1) -> Tensor:
    """Computes the cross product of vectors of three elements along an axis.

    Args:
        x: extent 3 along the axis, any dtype.
        y: any shape that broadcasts with x's.
        axis: the axis of the vectors.
        dim: alias of `axis`, as in PyTorch.

    Returns:
        A tensor of the common shape and dtype.

    Raises:
        ShapeError: the extent is not 3, or the shapes do not broadcast.
        IndexOutOfRange: the axis lies outside those of the common shape.

    Example:
        >>> import spiraltorch as st
        >>> st.linalg.cross(st.tensor([1, 0, 0]), st.tensor([0, 1, 0])).tolist()
        [0, 0, 1]
    """
    a, b = broadcast_arrays(*promoted_operands(x, y))
    if a.ndim == 0:
        raise ShapeError("[cross] expected vectors of extent 3, got 0-d tensors; pass vectors")
    (d,) = axes_of(axis, a.ndim, "cross")
    if a.shape[d] != 3 or b.shape[d] != 3:
        raise ShapeError(f"[cross] expected extent 3 along axis {d}, got {a.shape} and {b.shape}; choose another axis")
    return roll(a, -1, axis=d) * roll(b, -2, axis=d) - roll(a, -2, axis=d) * roll(b, -1, axis=d)
