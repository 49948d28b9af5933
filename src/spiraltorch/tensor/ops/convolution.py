"""Convolutions and their transposes with PyTorch's arguments, in channels-first layout (N, C, *space)."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, DTypeError, ShapeError
from ...graph import build
from ..dispatch import handle, see
from ..tensor import Tensor
from .contraction import _both


def per_axis(value: Any, rank: int, op: str, name: str, least: int = 0) -> tuple[int, ...]:
    """One int for each spatial axis. Raises `ArgumentError` for another count or for less than `least`."""
    try:
        made = tuple([v.__index__() for v in value]) if isinstance(value, (tuple, list)) else (value.__index__(),)
    except AttributeError:
        raise ArgumentError(f"[{op}] expected {name} as an int or {rank} ints, got {value!r}") from None
    made = made * rank if len(made) == 1 else made
    if len(made) != rank or any(v < least for v in made):
        raise ArgumentError(f"[{op}] expected {name} as an int or {rank} ints of at least {least}, got {value!r}")
    return made


def _floating(x: Any, weight: Any, op: str) -> tuple[Tensor, Tensor]:
    """The operands in their common dtype. Raises `DTypeError` where that is not floating."""
    a, w = _both(x, weight)
    if not a.dtype.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {a.dtype.name}; cast with .to(st.float32)")
    return a, w


def _batched(x: Tensor, n: int, op: str) -> tuple[Tensor, bool]:
    if x.ndim == n + 1:
        return x.reshape((1, *x.shape)), True
    if x.ndim != n + 2:
        raise ShapeError(f"[{op}] expected {n + 1} or {n + 2} axes, got shape {x.shape}")
    return x, False


def _conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, n: int) -> Tensor:
    op = f"conv{n}d"
    a, w = _floating(x, weight, op)
    a, single = _batched(a, n, op)
    strides, dilations = per_axis(stride, n, op, "stride", 1), per_axis(dilation, n, op, "dilation", 1)
    if w.ndim != n + 2 or groups < 1 or a.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"[{op}] expected input (N, {w.shape[1] * groups if w.ndim == n + 2 else 'C'}, ...) and weight "
            f"(O, C/groups, ...) with O divisible by groups={groups}, got {a.shape} and {w.shape}"
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
    made = Tensor(build.conv(data.node, kernel.node, strides, pads, (1,) * n, dilations))
    return _finish(made, bias, n, single, op)


def _finish(made: Tensor, bias: Any, n: int, single: bool, op: str) -> Tensor:
    """Groups joined to channels, the bias added, and the batch axis dropped where there was none."""
    made = made.reshape((made.shape[0], made.shape[1] * made.shape[2], *made.shape[3:]))
    if bias is not None:
        b = handle(bias, made)
        if b.shape != (made.shape[1],):
            raise ShapeError(f"[{op}] expected a bias of shape {(made.shape[1],)}, got {b.shape}")
        made = made + b.reshape((-1, *[1] * n))
    return made.reshape(made.shape[1:]) if single else made


def _padding(
    padding: Any, n: int, op: str, strides: tuple[int, ...], dilations: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if padding == "valid":
        return ((0, 0),) * n
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ArgumentError(f"[{op}] expected stride 1 for padding 'same', got {strides}")
        spans = [d * (k - 1) for d, k in zip(dilations, sizes, strict=True)]
        return tuple([(s // 2, s - s // 2) for s in spans])
    if isinstance(padding, str):
        raise ArgumentError(f"[{op}] expected padding 'same', 'valid' or ints, got {padding!r}")
    return tuple([(p, p) for p in per_axis(padding, n, op, "padding")])


def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation: x (N, C, L) with weight (O, C/groups, K) gives (N, O, L'), as in PyTorch.

    `padding` is in ints, 'valid' or 'same' (stride 1). Raises `ShapeError`, `ArgumentError`.

    >>> import spiraltorch as st
    >>> conv1d(st.ones(1, 1, 5), st.ones(1, 1, 3)).tolist()
    [[[3.0, 3.0, 3.0]]]
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation: x (N, C, H, W) with weight (O, C/groups, KH, KW) gives (N, O, H', W'); see `conv1d`.

    >>> import spiraltorch as st
    >>> conv2d(st.ones(1, 2, 4, 4), st.ones(3, 2, 3, 3), padding=1).shape
    (1, 3, 4, 4)
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation over three spatial axes; see `conv1d`.

    >>> import spiraltorch as st
    >>> conv3d(st.ones(1, 1, 3, 3, 3), st.ones(1, 1, 3, 3, 3)).item()
    27.0
    """
    return _conv(x, weight, bias, stride, padding, dilation, groups, 3)


def _transposed(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any, n: int
) -> Tensor:
    """The gradient of a convolution with respect to its input, as a convolution of the spread-out input."""
    op = f"conv_transpose{n}d"
    a, w = _floating(x, weight, op)
    a, single = _batched(a, n, op)
    strides, dilations = per_axis(stride, n, op, "stride", 1), per_axis(dilation, n, op, "dilation", 1)
    pads, extra = per_axis(padding, n, op, "padding"), per_axis(output_padding, n, op, "output_padding")
    if w.ndim != n + 2 or groups < 1 or a.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ShapeError(
            f"[{op}] expected input (N, C, ...) and weight (C, O/groups, ...) with C divisible by groups={groups}, got "
            f"{a.shape} and {w.shape}"
        )
    if any(e >= s and e >= d for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ArgumentError(f"[{op}] expected output_padding below stride or dilation, got {extra}")
    channels = a.shape[1] // groups
    data = a.reshape((a.shape[0], groups, channels, *a.shape[2:]))
    kernel = w.reshape((groups, channels, *w.shape[1:])).swapaxes(1, 2).flip(axis=tuple(range(3, 3 + n)))
    spans = [d * (k - 1) for d, k in zip(dilations, w.shape[2:], strict=True)]
    around = tuple([(s - p, s - p + e) for s, p, e in zip(spans, pads, extra, strict=True)])
    made = Tensor(build.conv(see(data), see(kernel), (1,) * n, around, strides, dilations))
    return _finish(made, bias, n, single, op)


def conv_transpose1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution: (N, C, L) with weight (C, O/groups, K) gives (N, O, L'), as in PyTorch.

    L' is (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.

    >>> import spiraltorch as st
    >>> conv_transpose1d(st.ones(1, 1, 2), st.ones(1, 1, 2), stride=2).tolist()
    [[[1.0, 1.0, 1.0, 1.0]]]
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution over two spatial axes; see `conv_transpose1d`.

    >>> import spiraltorch as st
    >>> conv_transpose2d(st.ones(1, 3, 4, 4), st.ones(3, 2, 3, 3), stride=2, padding=1, output_padding=1).shape
    (1, 2, 8, 8)
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution over three spatial axes; see `conv_transpose1d`.

    >>> import spiraltorch as st
    >>> conv_transpose3d(st.ones(1, 1, 2, 2, 2), st.ones(1, 1, 2, 2, 2)).shape
    (1, 1, 3, 3, 3)
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation, 3)
