"""`interpolate`: resizing of the spatial axes by nearest neighbours or linear weights, with PyTorch's conventions.

Each axis is resized by itself: positions in the input are computed on the host, as they depend on extents only, and
elements are gathered at them. Nearest neighbours at an integer factor are a view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

import spiraltorch as st

from ...dtypes import float32
from ...errors import ArgumentError, DTypeError, ShapeError
from ...tensor.arguments import integers, number_of
from ...tensor.tensor import Tensor
from ...typing import NDArray

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
_NEAREST = ("nearest", "nearest-exact")


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Resizes the spatial axes, by nearest neighbours or by linear interpolation.

    Args:
        input: shape (N, C, *spatial) with 1 to 3 spatial axes, none of them empty.
        size: the new spatial extents; an int stands for all axes.
        scale_factor: the factors of the spatial extents, instead of `size`; a number stands for all axes.
        mode: `nearest` (the element at floor(position * old / new)), `nearest-exact` (the element whose center is
            nearest), and `linear`, `bilinear` or `trilinear` for 1, 2 or 3 spatial axes, of floating dtypes.
        align_corners: in the linear modes, whether the centers of the outer elements stay where they are; otherwise
            their outer edges do.
        recompute_scale_factor: whether positions follow from the new extents; otherwise a given `scale_factor` is used.

    Returns:
        A tensor of shape (N, C, *size) and the input's dtype.

    Raises:
        ArgumentError: both or neither of `size` and `scale_factor`, or an invalid setting.
        ShapeError: another number of axes, or an empty axis.
        DTypeError: a linear mode with a dtype that is not floating.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[[1.0, 3.0]]])
        >>> st.nn.functional.interpolate(x, size=3, mode="linear", align_corners=True).tolist()
        [[[1.0, 2.0, 3.0]]]
    """
    rank = input.ndim - 2
    if input.ndim not in _LINEAR:
        raise ShapeError(
            f"[interpolate] expected (N, C) and 1 to 3 spatial axes, got shape={tuple(input.shape)}; reshape it"
        )
    if mode not in (*_NEAREST, _LINEAR[input.ndim]):
        raise ArgumentError(
            f"[interpolate] expected mode nearest, nearest-exact or {_LINEAR[input.ndim]} for {rank} spatial axes, "
            f"got {mode!r}; choose one"
        )
    if mode in _NEAREST and align_corners is not None:
        raise ArgumentError(
            f"[interpolate] expected align_corners=None for mode {mode!r}, got {align_corners}; omit it"
        )
    if mode not in _NEAREST and not input.dtype.is_float:
        raise DTypeError(f"[interpolate] expected a floating dtype, got {input.dtype.name}; cast with .to(st.float32)")
    old = tuple(input.shape[2:])
    if 0 in input.shape[1:]:
        raise ShapeError(
            f"[interpolate] expected axes that are not empty, got shape={tuple(input.shape)}; pass a non-empty input"
        )
    new, factors = _sizes(old, size, scale_factor, bool(recompute_scale_factor))
    if mode in _NEAREST:
        for axis in range(rank):
            input = _nearest(input, axis + 2, new[axis], factors[axis], mode == "nearest-exact")
        return input
    result = input.to(float32) if input.dtype.itemsize < 4 else input
    for axis in range(rank):
        result = _linear(result, axis + 2, new[axis], factors[axis], bool(align_corners))
    return (result.clone() if result is input else result).to(input.dtype)


def _sizes(
    old: tuple[int, ...],
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    recompute: bool,
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The new extents, and for each axis the scale factor; None stands for the ratio of the extents."""
    rank = len(old)
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"[interpolate] expected size or scale_factor, got {size} and {scale_factor}; pass one")
    if size is not None:
        if recompute:
            raise ArgumentError("[interpolate] expected a scale_factor to recompute, got size; omit one of them")
        new = integers(size, "interpolate", "size", 1)
        new = new * rank if len(new) == 1 else new
        if len(new) != rank:
            raise ArgumentError(
                f"[interpolate] expected size as 1 or {rank} positive integers, got {size}; pass one for each axis"
            )
        return new, (None,) * rank
    assert scale_factor is not None
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * rank
    factors = [number_of(f) or 0.0 for f in given]  # 0 is no factor, nor is what is not a number
    if len(factors) != rank or not all(0 < f < math.inf for f in factors):
        raise ArgumentError(f"[interpolate] expected scale_factor as 1 or {rank} positive numbers, got {scale_factor}")
    new = tuple([math.floor(n * float(f)) for n, f in zip(old, factors)])
    if 0 in new:
        raise ShapeError(f"[interpolate] expected a result with elements, got shape {new}; raise scale_factor")
    return new, (None,) * rank if recompute else tuple([float(f) for f in factors])


def _step(old: int, new: int, factor: float | None) -> float:
    """The distance in the input between the positions of neighbouring elements of the result."""
    return old / new if factor is None else 1.0 / factor


def _nearest(x: Tensor, axis: int, new: int, factor: float | None, exact: bool) -> Tensor:
    """One axis resized by nearest neighbours."""
    old, shape = x.shape[axis], tuple(x.shape)
    if new == old and (exact or factor in (None, 1.0)):
        return x
    if new % old == 0 and factor in (None, new / old):
        repeated = x.reshape(*shape[: axis + 1], 1, *shape[axis + 1 :])
        repeated = repeated.expand(*shape[: axis + 1], new // old, *shape[axis + 1 :])
        return repeated.reshape(*shape[:axis], new, *shape[axis + 1 :])
    # In single precision, as the rounding of the product decides which element it is.
    position = np.arange(new).astype(np.float32) + np.float32(0.5 if exact else 0.0)
    indices = np.floor(position * np.float32(_step(old, new, factor))).astype(np.int64)
    return _take(x, np.minimum(indices, old - 1), axis)


def _linear(x: Tensor, axis: int, new: int, factor: float | None, align_corners: bool) -> Tensor:
    """One axis resized by linear interpolation."""
    old = x.shape[axis]
    if new == old and (align_corners or factor in (None, 1.0)):
        return x
    dtype = x.dtype.numpy
    target = np.arange(new).astype(dtype)
    if align_corners:
        position = target * dtype.type((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        position = np.maximum((target + dtype.type(0.5)) * dtype.type(_step(old, new, factor)) - dtype.type(0.5), 0)
    lower = np.minimum(position.astype(np.int64), old - 1)
    weight = np.clip(position - lower, 0, 1).astype(dtype).reshape(-1, *[1] * (x.ndim - axis - 1))
    first, second = _take(x, lower, axis), _take(x, np.minimum(lower + 1, old - 1), axis)
    upper = st.asarray(weight, device=x.device)
    return first * (1 - upper) + second * upper


def _take(x: Tensor, indices: NDArray, axis: int) -> Tensor:
    """Elements of one axis at indices from the host."""
    return st.take(x, st.asarray(indices, device=x.device), axis=axis)
