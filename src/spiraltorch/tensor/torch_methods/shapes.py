"""PyTorch's methods that reshape and turn a tensor, and make diagonals."""

from __future__ import annotations

from collections.abc import Sequence

from ...dtypes import int64
from ...errors import ArgumentError, ShapeError
from ...typing import ShapeLike
from ..arguments import axis_of
from ..dispatch import unshared
from ..filling import zeros_like
from ..ops import broadcasting, diagonals, transposition
from ..ops.repetition import pad
from ..ops.selection import where
from ..ops.shape import reshape, unpacked, view
from ..ops.transposition import moveaxis
from ..ranges import eye
from ..tensor import Tensor
from .copies import clone, flip
from .reductions import sum


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """Repeats a tensor to another tensor's shape, without a copy.

    Args:
        x: any shape that broadcasts to other's, any dtype.
        other: a tensor of the shape of the result.

    Returns:
        A tensor of x's dtype and other's shape.

    Raises:
        ShapeError: x's shape does not broadcast to other's.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(3).expand_as(st.zeros(2, 3)).shape
        (2, 3)
    """
    return broadcasting.broadcast_to(x, _tensor(other, "expand_as").shape)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """Reshapes the tensor to another tensor's shape; the elements stay in row-major order.

    Args:
        x: any shape and dtype.
        other: a tensor of as many elements.

    Returns:
        A tensor of x's dtype and other's shape.

    Raises:
        ShapeError: the numbers of elements differ.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(6).view_as(st.zeros(2, 3)).shape
        (2, 3)
    """
    return view(x, _tensor(other, "view_as").shape)


def _tensor(other: object, op: str) -> Tensor:
    """The argument whose shape is taken. Raises `ArgumentError` for what is no tensor."""
    if not isinstance(other, Tensor):
        raise ArgumentError(
            f"[{op}] expected a tensor, whose shape is taken, got {type(other).__name__}; use {op[:-3]}()"
        )
    return other


def t(x: Tensor) -> Tensor:
    """Transposes a matrix.

    Args:
        x: at most 2 axes, any dtype.

    Returns:
        The matrix with its axes exchanged; tensors of fewer axes as they are.

    Raises:
        ShapeError: x has more than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).t().shape
        (3, 2)
    """
    if x.ndim > 2:
        raise ShapeError(f"[t] expected at most 2 axes, got shape {x.shape}; use .mT or .permute()")
    return x.T if x.ndim == 2 else x


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """Reshapes the tensor to another tensor's shape; the elements stay in row-major order.

    Args:
        x: any shape and dtype.
        other: a tensor of as many elements.

    Returns:
        A tensor of x's dtype and other's shape: a view where the elements lie at regular distances.

    Raises:
        ShapeError: the numbers of elements differ.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(6).reshape_as(st.zeros(2, 3)).shape
        (2, 3)
    """
    return reshape(x, _tensor(other, "reshape_as").shape)


def sum_to_size(x: Tensor, *size: ShapeLike) -> Tensor:
    """Sums over the axes along which a smaller shape would be repeated to x's: the inverse of `expand`.

    Args:
        x: any shape and dtype.
        *size: the extents of the result, as separate ints or as one sequence; they broadcast to x's shape.

    Returns:
        A tensor of the given shape.

    Raises:
        ShapeError: the shape does not broadcast to x's.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2, 3).sum_to_size(3).tolist()
        [2.0, 2.0, 2.0]
    """
    shape = tuple(unpacked(size))
    leading = x.ndim - len(shape)
    if leading < 0 or any(n not in (1, e) for n, e in zip(shape, x.shape[leading:], strict=True)):
        raise ShapeError(f"[sum_to_size] expected a shape that broadcasts to {x.shape}, got {shape}; change it")
    ones = [d for d in range(leading, x.ndim) if shape[d - leading] == 1 and x.shape[d] != 1]
    axes = (*range(leading), *ones)
    return sum(x, axes).reshape(shape) if axes else x


def trace(x: Tensor) -> Tensor:
    """Sums the diagonal of the last two axes.

    Args:
        x: shape (..., m, n), any dtype.

    Returns:
        A tensor of shape (...), of x's dtype where that is floating, else of int64 (uint64 for uint64).

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).trace().item()
        5
    """
    return sum(diagonals.diagonal(x, 0, -2, -1), -1)


def adjoint(x: Tensor) -> Tensor:
    """Exchanges the last two axes, as `x.mT` does: the conjugate of a real number is itself.

    Args:
        x: at least 2 axes, any dtype.

    Returns:
        A view of shape (..., n, m).

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3).adjoint().shape
        (3, 2)
    """
    return x.mT


def matrix_adjoint(x: Tensor) -> Tensor:
    """The transposed matrix, as `x.t()` gives it: the conjugate of a real number is itself."""
    if x.ndim not in (0, 2):
        raise ShapeError(f"[H] expected a matrix, got shape {x.shape}; use .mH for the last two axes")
    return t(x)


def fliplr(x: Tensor) -> Tensor:
    """Copies the elements in reversed order along the second axis.

    Args:
        x: at least 2 axes, any dtype.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).fliplr().tolist()
        [[2, 1], [4, 3]]
    """
    axis_of(1, x.ndim, "fliplr")
    return flip(x, 1)


def flipud(x: Tensor) -> Tensor:
    """Copies the elements in reversed order along the first axis.

    Args:
        x: at least one axis, any dtype.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        IndexOutOfRange: x is 0-d.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).flipud().tolist()
        [[3, 4], [1, 2]]
    """
    axis_of(0, x.ndim, "flipud", scalar=False)
    return flip(x, 0)


def rot90(x: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turns the elements by quarter turns in the plane of two axes.

    Args:
        x: at least 2 axes, any dtype.
        k: the number of turns from the first axis towards the second; negative ones turn back.
        dims: the two axes.

    Returns:
        A tensor of x's dtype.

    Raises:
        ArgumentError: `dims` are not two different axes.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]]).rot90().tolist()
        [[2, 4], [1, 3]]
    """
    axes = [axis_of(d, x.ndim, "rot90") for d in dims]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ArgumentError(f"[rot90] expected two different axes, got {tuple(dims)}; change dims")
    a, b = axes
    turns = k % 4
    if turns == 0:
        return clone(x)
    if turns == 2:
        return flip(x, a, b)
    turned: Tensor = flip(x, b if turns == 1 else a)
    return clone(turned.swapaxes(a, b))


def broadcast_to(x: Tensor, size: ShapeLike | None = None, *, shape: ShapeLike | None = None) -> Tensor:
    """Repeats a tensor to a shape, without a copy.

    Args:
        x: any shape that broadcasts to `size`, any dtype.
        size: the extents of the result.
        shape: alias of `size`, as in NumPy.

    Returns:
        A tensor of x's dtype and of the given shape.

    Raises:
        ShapeError: x's shape does not broadcast to it.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(3).broadcast_to((2, 3)).shape
        (2, 3)
    """
    extents = size if shape is None else shape
    if extents is None:
        raise ShapeError("[broadcast_to] expected the extents of the result, got none; pass size")
    return broadcasting.broadcast_to(x, extents)


def transpose(
    x: Tensor,
    *axes: ShapeLike,
    dim0: int | None = None,
    dim1: int | None = None,
) -> Tensor:
    """Exchanges two axes; or reverses or permutes all, as NumPy's method does.

    Args:
        x: any shape and dtype.
        *axes: two axes to exchange; every axis once, for a permutation; or none, to reverse their order. A sequence of
            two axes of a matrix is a permutation.
        dim0: the first of two axes, by name.
        dim1: the second.

    Returns:
        A view of x.

    Raises:
        ArgumentError: an axis is missing or given twice.
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3, 4).transpose(0, 2).shape
        (4, 3, 2)
    """
    if dim0 is None and dim1 is None:
        return transposition.transpose(x, *axes)
    pair = [d for d in (*axes, dim0, dim1) if d is not None]
    if len(pair) != 2:
        raise ArgumentError(f"[transpose] expected two axes, got {pair}; pass dim0 and dim1")
    return transposition.swapaxes(x, *pair)  # type: ignore[arg-type]  # ints


def swapdims(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchanges two axes.

    Args:
        x: any shape and dtype.
        dim0: one axis.
        dim1: the other.

    Returns:
        A view of x.

    Raises:
        IndexOutOfRange: an axis lies outside [-x.ndim, x.ndim).

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2, 3, 4).swapdims(0, 2).shape
        (4, 3, 2)
    """
    return transposition.swapaxes(x, dim0, dim1)


# ---------------------------------------------------------------- diagonals


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """Takes the lower triangle of matrices and sets the rest to 0.

    Args:
        x: shape (..., m, n), any dtype.
        diagonal: the last one that is kept: positive ones lie above the main diagonal, negative ones below.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2, 2).tril().tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return diagonals.tril(x, diagonal)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """Takes the upper triangle of matrices and sets the rest to 0.

    Args:
        x: shape (..., m, n), any dtype.
        diagonal: the first one that is kept: positive ones lie above the main diagonal, negative ones below.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ShapeError: x has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2, 2).triu().tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return diagonals.triu(x, diagonal)


def diag(x: Tensor, diagonal: int = 0) -> Tensor:
    """Takes the diagonal of a matrix, or makes a matrix with a given diagonal.

    Args:
        x: shape (m, n) or (n,), any dtype.
        diagonal: which one: positive ones lie above the main diagonal, negative ones below.

    Returns:
        Of a matrix its diagonal, 1-d; of a 1-d tensor a square matrix of n + |diagonal| rows, 0 elsewhere.

    Raises:
        ShapeError: x has neither 1 nor 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).diag().tolist()
        [[1, 0], [0, 2]]
    """
    if x.ndim not in (1, 2):
        raise ShapeError(f"[diag] expected 1 or 2 axes, got shape {x.shape}; use diag_embed() or diagonal()")
    return unshared(diagonals.diag(x, diagonal))


def diagflat(x: Tensor, offset: int = 0) -> Tensor:
    """Makes a matrix whose diagonal has the elements in row-major order.

    Args:
        x: any shape and dtype.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.

    Returns:
        A square matrix of x.size + |offset| rows, 0 elsewhere.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1], [2]]).diagflat().tolist()
        [[1, 0], [0, 2]]
    """
    return diagonals.diag(x.reshape(-1), offset)


def diag_embed(x: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Makes matrices whose diagonals have the elements of the last axis.

    Args:
        x: shape (..., n), any dtype.
        offset: the diagonal: positive ones lie above the main diagonal, negative ones below.
        dim1: the axis of rows of the result.
        dim2: the axis of columns of the result.

    Returns:
        A tensor of x's dtype with one more axis; both have extent n + |offset|. It is 0 elsewhere.

    Raises:
        ArgumentError: both axes are the same.
        IndexOutOfRange: an axis lies outside [-x.ndim - 1, x.ndim + 1).

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([1, 2]).diag_embed().tolist()
        [[1, 0], [0, 2]]
    """
    rank = x.ndim + 1
    rows, columns = axis_of(dim1, rank, "diag_embed"), axis_of(dim2, rank, "diag_embed")
    if rows == columns:
        raise ArgumentError(f"[diag_embed] expected two axes, got {dim1} twice; choose two different axes")
    n = x.shape[-1] + abs(offset)
    by_column = pad(x, (max(offset, 0), max(-offset, 0))).unsqueeze(-2)
    on_diagonal = eye(n, k=offset, dtype=int64, device=x.device) == 1
    return moveaxis(where(on_diagonal, by_column, zeros_like(by_column)), (-2, -1), (rows, columns))
