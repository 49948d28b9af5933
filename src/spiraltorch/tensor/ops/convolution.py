"""Convolutions and their transposes with PyTorch's arguments, in channels-first layout (N, C, *space)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ...errors import ArgumentError, DTypeError, ShapeError
from ...graph import build
from ...typing import ArrayLike
from ..arguments import integers
from ..dispatch import as_tensor, node_of
from ..tensor import Tensor
from .contraction import promoted_operands

IntPerAxis: TypeAlias = int | Sequence[int]  # one int for all spatial axes, or one for each


def per_axis(value: IntPerAxis, rank: int, op: str, name: str, least: int = 0) -> tuple[int, ...]:
    """One int for each spatial axis. Raises `ArgumentError` for another count or for less than `least`."""
    ints = integers(value, op, name)
    ints = ints * rank if len(ints) == 1 else ints
    if len(ints) != rank or any(v < least for v in ints):
        raise ArgumentError(f"[{op}] expected {name} as an int or {rank} ints of at least {least}, got {value!r}")
    return ints


def _floating(x: ArrayLike, weight: ArrayLike, op: str) -> tuple[Tensor, Tensor]:
    """The operands in their common dtype. Raises `DTypeError` where that is not floating."""
    a, w = promoted_operands(x, weight)
    if not a.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {a.dtype.name}; cast with .to(st.float32)")
    return a, w


def _batched(x: Tensor, n: int, op: str) -> tuple[Tensor, bool]:
    """The input with a batch axis, and whether it had none. Raises `ShapeError` for another number of axes."""
    if x.ndim == n + 1:
        return x.reshape((1, *x.shape)), True
    if x.ndim != n + 2:
        raise ShapeError(f"[{op}] expected {n + 1} or {n + 2} axes, got shape {x.shape}; add or remove axes")
    return x, False


def _conv(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, stride: IntPerAxis, padding: IntPerAxis | str,
    dilation: IntPerAxis, groups: int, n: int,
) -> Tensor:  # fmt: skip
    """A convolution over `n` spatial axes."""
    op = f"conv{n}d"
    a, w = _floating(x, weight, op)
    a, single = _batched(a, n, op)
    strides, dilations = per_axis(stride, n, op, "stride", 1), per_axis(dilation, n, op, "dilation", 1)
    if w.ndim != n + 2 or groups < 1 or a.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"[{op}] expected input (N, {w.shape[1] * groups if w.ndim == n + 2 else 'C'}, ...) and weight "
            f"(O, C/groups, ...) with O divisible by groups={groups}, got {a.shape} and {w.shape}; "
            "change the shapes or groups"
        )
    pads = _padding(padding, n, op, strides, dilations, w.shape[2:])
    for e, k, d, p in zip(a.shape[2:], w.shape[2:], dilations, pads, strict=True):
        if e + sum(p) < (k - 1) * d + 1:
            raise ShapeError(
                f"[{op}] expected a kernel that fits the padded input, got a kernel of {k} with dilation {d} over "
                f"{e} + {sum(p)} elements; pad more or use a smaller kernel"
            )
    data = a.reshape((a.shape[0], groups, w.shape[1], *a.shape[2:]))
    kernel = w.reshape((groups, w.shape[0] // groups, *w.shape[1:]))
    result = Tensor(build.conv(data.node, kernel.node, strides, pads, (1,) * n, dilations))
    return _finished(result, bias, n, single, op)


def _finished(x: Tensor, bias: ArrayLike | None, n: int, single: bool, op: str) -> Tensor:
    """Groups joined to channels, the bias added, and the batch axis dropped where there was none."""
    x = x.reshape((x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))
    if bias is not None:
        b = as_tensor(bias, x)
        if b.shape != (x.shape[1],):
            raise ShapeError(f"[{op}] expected a bias of shape {(x.shape[1],)}, got {b.shape}; reshape it")
        x = x + b.reshape((-1, *[1] * n))
    return x.reshape(x.shape[1:]) if single else x


def _padding(
    padding: IntPerAxis | str,
    n: int,
    op: str,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    sizes: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """(before, after) for each spatial axis."""
    if padding == "valid":
        return ((0, 0),) * n
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ArgumentError(f"[{op}] expected stride 1 for padding 'same', got {strides}; pass the padding as ints")
        spans = [d * (k - 1) for d, k in zip(dilations, sizes, strict=True)]
        return tuple([(s // 2, s - s // 2) for s in spans])
    if isinstance(padding, str):
        raise ArgumentError(f"[{op}] expected padding 'same', 'valid' or ints, got {padding!r}; choose one")
    return tuple([(p, p) for p in per_axis(padding, n, op, "padding")])


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis | str = 0,
    dilation: IntPerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves over one spatial axis: the cross-correlation of an input with kernels, as in PyTorch.

    An extent S of the input gives (S + 2 * padding - dilation * (K - 1) - 1) // stride + 1 in the result.

    Args:
        x: shape (N, C, L) or (C, L); floating dtypes.
        weight: the kernels, shape (O, C / groups, K).
        bias: the value added to each channel of the result, shape (O,).
        stride: the distance between neighbouring windows, for all spatial axes or for each.
        padding: the number of zeros added at both ends, for all spatial axes or for each; "valid" is 0, "same" keeps
            the extents (stride 1).
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.
        groups: the number of groups of channels, each with its own kernels.

    Returns:
        A tensor of shape (N, O, L') or (O, L'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit, or the kernel is larger than the padded input.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.conv1d(st.ones(1, 1, 5), st.ones(1, 1, 3)).tolist()
        [[[3.0, 3.0, 3.0]]]
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis | str = 0,
    dilation: IntPerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves over two spatial axes: the cross-correlation of an input with kernels, as in PyTorch.

    An extent S of the input gives (S + 2 * padding - dilation * (K - 1) - 1) // stride + 1 in the result.

    Args:
        x: shape (N, C, H, W) or (C, H, W); floating dtypes.
        weight: the kernels, shape (O, C / groups, KH, KW).
        bias: the value added to each channel of the result, shape (O,).
        stride: the distance between neighbouring windows, for all spatial axes or for each.
        padding: the number of zeros added at both ends, for all spatial axes or for each; "valid" is 0, "same" keeps
            the extents (stride 1).
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.
        groups: the number of groups of channels, each with its own kernels.

    Returns:
        A tensor of shape (N, O, H', W') or (O, H', W'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit, or the kernel is larger than the padded input.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.conv2d(st.ones(1, 2, 4, 4), st.ones(3, 2, 3, 3), padding=1).shape
        (1, 3, 4, 4)
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis | str = 0,
    dilation: IntPerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves over three spatial axes: the cross-correlation of an input with kernels, as in PyTorch.

    An extent S of the input gives (S + 2 * padding - dilation * (K - 1) - 1) // stride + 1 in the result.

    Args:
        x: shape (N, C, D, H, W) or (C, D, H, W); floating dtypes.
        weight: the kernels, shape (O, C / groups, KD, KH, KW).
        bias: the value added to each channel of the result, shape (O,).
        stride: the distance between neighbouring windows, for all spatial axes or for each.
        padding: the number of zeros added at both ends, for all spatial axes or for each; "valid" is 0, "same" keeps
            the extents (stride 1).
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.
        groups: the number of groups of channels, each with its own kernels.

    Returns:
        A tensor of shape (N, O, D', H', W') or (O, D', H', W'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit, or the kernel is larger than the padded input.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.conv3d(st.ones(1, 1, 3, 3, 3), st.ones(1, 1, 3, 3, 3)).item()
        27.0
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 3)


def _transposed(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, stride: IntPerAxis, padding: IntPerAxis,
    output_padding: IntPerAxis, groups: int, dilation: IntPerAxis, n: int,
) -> Tensor:  # fmt: skip
    """The gradient of a convolution with respect to its input, as a convolution of the spread-out input."""
    op = f"conv_transpose{n}d"
    a, w = _floating(x, weight, op)
    a, single = _batched(a, n, op)
    strides, dilations = per_axis(stride, n, op, "stride", 1), per_axis(dilation, n, op, "dilation", 1)
    pads, extra = per_axis(padding, n, op, "padding"), per_axis(output_padding, n, op, "output_padding")
    if w.ndim != n + 2 or groups < 1 or a.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ShapeError(
            f"[{op}] expected input (N, C, ...) and weight (C, O/groups, ...) with C divisible by groups={groups}, got "
            f"{a.shape} and {w.shape}; change the shapes or groups"
        )
    if any(e >= s and e >= d for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ArgumentError(f"[{op}] expected output_padding below stride or dilation, got {extra}; reduce it")
    channels = a.shape[1] // groups
    data = a.reshape((a.shape[0], groups, channels, *a.shape[2:]))
    kernel = w.reshape((groups, channels, *w.shape[1:])).swapaxes(1, 2).flip(axis=tuple(range(3, 3 + n)))
    spans = [d * (k - 1) for d, k in zip(dilations, w.shape[2:], strict=True)]
    around = tuple([(s - p, s - p + e) for s, p, e in zip(spans, pads, extra, strict=True)])
    result = Tensor(build.conv(node_of(data), node_of(kernel), (1,) * n, around, strides, dilations))
    return _finished(result, bias, n, single, op)


def conv_transpose1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis = 0,
    output_padding: IntPerAxis = 0,
    groups: int = 1,
    dilation: IntPerAxis = 1,
) -> Tensor:
    """Applies a transposed convolution over one spatial axis, as in PyTorch: the gradient of a convolution by its input.

    An extent S of the input gives (S - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.

    Args:
        x: shape (N, C, L) or (C, L); floating dtypes.
        weight: the kernels, shape (C, O / groups, K).
        bias: the value added to each channel of the result, shape (O,).
        stride: the stride of the convolution, for all spatial axes or for each.
        padding: the padding of the convolution, for all spatial axes or for each.
        output_padding: the number of elements added to the extents of the result, for all spatial axes or for each;
            less than the stride or the dilation.
        groups: the number of groups of channels, each with its own kernels.
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.

    Returns:
        A tensor of shape (N, O, L') or (O, L'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.conv_transpose1d(st.ones(1, 1, 2), st.ones(1, 1, 2), stride=2).tolist()
        [[[1.0, 1.0, 1.0, 1.0]]]
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis = 0,
    output_padding: IntPerAxis = 0,
    groups: int = 1,
    dilation: IntPerAxis = 1,
) -> Tensor:
    """Applies a transposed convolution over two spatial axes, as in PyTorch: the gradient of a convolution by its input.

    An extent S of the input gives (S - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.

    Args:
        x: shape (N, C, H, W) or (C, H, W); floating dtypes.
        weight: the kernels, shape (C, O / groups, KH, KW).
        bias: the value added to each channel of the result, shape (O,).
        stride: the stride of the convolution, for all spatial axes or for each.
        padding: the padding of the convolution, for all spatial axes or for each.
        output_padding: the number of elements added to the extents of the result, for all spatial axes or for each;
            less than the stride or the dilation.
        groups: the number of groups of channels, each with its own kernels.
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.

    Returns:
        A tensor of shape (N, O, H', W') or (O, H', W'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> x, weight = st.ones(1, 3, 4, 4), st.ones(3, 2, 3, 3)
        >>> st.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1).shape
        (1, 2, 8, 8)
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntPerAxis = 1,
    padding: IntPerAxis = 0,
    output_padding: IntPerAxis = 0,
    groups: int = 1,
    dilation: IntPerAxis = 1,
) -> Tensor:
    """Applies a transposed convolution over three spatial axes, as in PyTorch: the gradient of a convolution by its input.

    An extent S of the input gives (S - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.

    Args:
        x: shape (N, C, D, H, W) or (C, D, H, W); floating dtypes.
        weight: the kernels, shape (C, O / groups, KD, KH, KW).
        bias: the value added to each channel of the result, shape (O,).
        stride: the stride of the convolution, for all spatial axes or for each.
        padding: the padding of the convolution, for all spatial axes or for each.
        output_padding: the number of elements added to the extents of the result, for all spatial axes or for each;
            less than the stride or the dilation.
        groups: the number of groups of channels, each with its own kernels.
        dilation: the distance between neighbouring elements of a kernel, for all spatial axes or for each.

    Returns:
        A tensor of shape (N, O, D', H', W') or (O, D', H', W'), in the common dtype.

    Raises:
        DTypeError: the common dtype is not floating.
        ShapeError: the shapes do not fit.
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> st.conv_transpose3d(st.ones(1, 1, 2, 2, 2), st.ones(1, 1, 2, 2, 2)).shape
        (1, 1, 3, 3, 3)
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 3)
