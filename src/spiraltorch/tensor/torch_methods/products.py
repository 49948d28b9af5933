"""PyTorch's methods of matrices and vectors: products that are added, and norms."""

from __future__ import annotations

from ...errors import ArgumentError, ShapeError
from ...graph.primitives.elementwise import broadcast_shapes
from ...typing import ArrayLike, Axis, DTypeLike
from ..arguments import array_api_spellings
from ..dispatch import as_tensor
from ..ops import contraction, elementwise
from ..ops.casting import cast
from ..ops.norms import vector_norm
from ..ops.reduction import sum
from ..tensor import Tensor
from .reductions import axes_or_all


def _combined(x: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * x + alpha * product. Where beta is 0, what `x` holds does not count, NaN included."""
    scaled = product if alpha == 1 else elementwise.multiply(product, alpha)
    if beta == 0:
        return scaled.broadcast_to(broadcast_shapes("addmm", x.shape, scaled.shape))
    return elementwise.add(x if beta == 1 else elementwise.multiply(x, beta), scaled)


def _require_axes(op: str, shape: str, count: int, *tensors: Tensor) -> None:
    """Raises `ShapeError` for an operand of another number of axes."""
    for t in tensors:
        if t.ndim != count:
            raise ShapeError(f"[{op}] expected operands of {count} axes, {shape}, got shape {t.shape}; reshape it")


def addmm(x: Tensor, mat1: ArrayLike, mat2: ArrayLike, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Computes beta * x + alpha * mat1 @ mat2.

    Args:
        x: any shape that broadcasts to (m, n).
        mat1: shape (m, k).
        mat2: shape (k, n).
        beta: the factor of `x`; where it is 0, what `x` holds does not count.
        alpha: the factor of the product.

    Returns:
        A tensor of shape (m, n) in the common dtype.

    Raises:
        ShapeError: an operand is not a matrix, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2).addmm(st.ones(2, 3), st.ones(3, 2), alpha=2).tolist()
        [[7.0, 7.0], [7.0, 7.0]]
    """
    a, b = as_tensor(mat1, x), as_tensor(mat2, x)
    _require_axes("addmm", "(m, k) and (k, n)", 2, a, b)
    return _combined(x, contraction.matmul(a, b), beta, alpha)


def addmv(x: Tensor, mat: ArrayLike, vec: ArrayLike, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Computes beta * x + alpha * mat @ vec.

    Args:
        x: any shape that broadcasts to (m,).
        mat: shape (m, k).
        vec: shape (k,).
        beta: the factor of `x`; where it is 0, what `x` holds does not count.
        alpha: the factor of the product.

    Returns:
        A tensor of shape (m,) in the common dtype.

    Raises:
        ShapeError: the operands are not a matrix and a vector, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2).addmv(st.ones(2, 3), st.ones(3)).tolist()
        [4.0, 4.0]
    """
    return _combined(x, mv(as_tensor(mat, x), vec), beta, alpha)


def addr(x: Tensor, vec1: ArrayLike, vec2: ArrayLike, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Computes beta * x + alpha * outer(vec1, vec2).

    Args:
        x: any shape that broadcasts to (m, n).
        vec1: shape (m,).
        vec2: shape (n,).
        beta: the factor of `x`; where it is 0, what `x` holds does not count.
        alpha: the factor of the product.

    Returns:
        A tensor of shape (m, n) in the common dtype.

    Raises:
        ShapeError: an operand is not a vector, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 2).addr(st.tensor([1.0, 2.0]), st.tensor([3.0, 4.0])).tolist()
        [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = as_tensor(vec1, x), as_tensor(vec2, x)
    _require_axes("addr", "(m,) and (n,)", 1, a, b)
    return _combined(x, contraction.outer(a, b), beta, alpha)


def addbmm(x: Tensor, batch1: ArrayLike, batch2: ArrayLike, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Computes beta * x + alpha * the sum of a batch of products.

    Args:
        x: any shape that broadcasts to (m, n).
        batch1: shape (b, m, k).
        batch2: shape (b, k, n).
        beta: the factor of `x`; where it is 0, what `x` holds does not count.
        alpha: the factor of the products.

    Returns:
        A tensor of shape (m, n) in the common dtype.

    Raises:
        ShapeError: an operand has not 3 axes, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2, 2).addbmm(st.ones(3, 2, 4), st.ones(3, 4, 2)).tolist()
        [[13.0, 13.0], [13.0, 13.0]]
    """
    product = cast(sum(contraction.bmm(as_tensor(batch1, x), batch2), axis=0), x.dtype)
    return _combined(x, product, beta, alpha)


def baddbmm(x: Tensor, batch1: ArrayLike, batch2: ArrayLike, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Computes beta * x + alpha * bmm(batch1, batch2).

    Args:
        x: any shape that broadcasts to (b, m, n).
        batch1: shape (b, m, k).
        batch2: shape (b, k, n).
        beta: the factor of `x`; where it is 0, what `x` holds does not count.
        alpha: the factor of the products.

    Returns:
        A tensor of shape (b, m, n) in the common dtype.

    Raises:
        ShapeError: an operand has not 3 axes, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(1, 1, 1).baddbmm(st.ones(1, 1, 4), st.ones(1, 4, 1)).tolist()
        [[[5.0]]]
    """
    return _combined(x, contraction.bmm(as_tensor(batch1, x), batch2), beta, alpha)


def mv(x: Tensor, vec: ArrayLike) -> Tensor:
    """Multiplies a matrix and a vector.

    Args:
        x: shape (m, k), any dtype.
        vec: shape (k,).

    Returns:
        A tensor of shape (m,) in the common dtype.

    Raises:
        ShapeError: the operands are not a matrix and a vector, or they do not fit.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).mv(st.tensor([1, 1])).tolist()
        [3, 7]
    """
    v = as_tensor(vec, x)
    _require_axes("mv", "(m, k), beside a vector (k,)", 2, x)
    _require_axes("mv", "(k,), beside a matrix (m, k)", 1, v)
    return contraction.matmul(x, v)


def inner(x: Tensor, other: ArrayLike) -> Tensor:
    """Sums products over the last axes of two tensors.

    Args:
        x: shape (..., k), any dtype; or a 0-d tensor, which is multiplied.
        other: shape (..., k); or a 0-d tensor.

    Returns:
        A tensor in the common dtype, with the other axes of `x` and then those of `other`.

    Raises:
        ShapeError: the last axes have different extents.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).inner(st.tensor([3, 4])).item()
        11
    """
    y = as_tensor(other, x)
    return contraction.tensordot(x, y, ((-1,), (-1,))) if x.ndim and y.ndim else elementwise.multiply(x, y)


def kron(x: Tensor, other: ArrayLike) -> Tensor:
    """Computes the Kronecker product: each element of `x` is replaced by its product with `other`.

    Args:
        x: any shape and dtype.
        other: any shape; the shape with fewer axes gets leading axes of extent 1.

    Returns:
        A tensor in the common dtype, whose extents are products of both operands'.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 10]).kron(st.tensor([1, 2])).tolist()
        [1, 2, 10, 20]
    """
    y = as_tensor(other, x)
    n = max(x.ndim, y.ndim)
    a, b = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    left = x.reshape([e for extent in a for e in (extent, 1)])
    right = y.reshape([e for extent in b for e in (1, extent)])
    return elementwise.multiply(left, right).reshape([e * f for e, f in zip(a, b, strict=True)])


def cross(x: Tensor, other: ArrayLike, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """Computes the cross product of vectors of three elements.

    Args:
        x: extent 3 along the axis, any dtype.
        other: any shape that broadcasts with x's.
        dim: the axis of the vectors; by default the first of extent 3. That of `st.linalg.cross` is the last axis.
        axis: alias of `dim`.

    Returns:
        A tensor in the common dtype.

    Raises:
        ShapeError: the extents of the axis are not 3, there is no such axis, or the shapes do not broadcast.
        IndexOutOfRange: the axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 0, 0]).cross(st.tensor([0, 1, 0])).tolist()
        [0, 0, 1]
    """
    dim = axis if dim is None else dim
    if dim is None:
        if 3 not in x.shape:
            raise ShapeError(f"[cross] expected an axis of extent 3, got shape {x.shape}; reshape it")
        dim = x.shape.index(3)
    y = as_tensor(other, x)
    n = max(x.ndim, y.ndim)
    return contraction.cross(x, y, dim - n if dim >= 0 and x.ndim == n else dim)


@array_api_spellings
def norm(
    x: Tensor,
    p: float | str | None = "fro",
    dim: Axis = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
    *,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """Computes the p-norm of vectors.

    Args:
        x: any shape and dtype.
        p: the order; "fro" and None are 2.
        dim: the axes that make up a vector; all by default.
        keepdim: whether the axes stay, with extent 1.
        dtype: the dtype in which the norm is computed and returned.
        axis: alias of `dim`.
        keepdims: alias of `keepdim`.

    Returns:
        A tensor of x's shape without the axes.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).
        ArgumentError: `p` is another word, an axis is given twice, or `p` is infinite and there is no element.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([3.0, -4.0]).norm().item(), st.tensor([3.0, -4.0]).norm(1).item()
        (5.0, 7.0)
    """
    if isinstance(p, str) and p != "fro":
        raise ArgumentError(f"[norm] expected a number or 'fro', got {p!r}; use st.linalg.matrix_norm for matrices")
    order = 2.0 if p is None or isinstance(p, str) else p
    return vector_norm(x if dtype is None else cast(x, dtype), axis=axes_or_all(dim), keepdims=keepdim, ord=order)


def dist(x: Tensor, other: ArrayLike, p: float = 2) -> Tensor:
    """Computes the p-norm of the difference of two tensors.

    Args:
        x: any shape and dtype.
        other: any shape that broadcasts with x's.
        p: the order of the norm.

    Returns:
        A 0-d tensor.

    Raises:
        ShapeError: the shapes do not broadcast.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1.0, 1.0]).dist(st.tensor([4.0, 5.0])).item()
        5.0
    """
    return vector_norm(x - other, ord=p)  # type: ignore[operator]  # sequences are refused
