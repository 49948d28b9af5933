"""Normalisation by statistics of the input. float16 and bfloat16 inputs are computed in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence

import spiraltorch as st

from ...dtypes import float32
from ...errors import ArgumentError, ShapeError
from ...tensor.tensor import Tensor
from ..in_place import set_value


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(float32) if x.dtype.itemsize < 4 else x


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int] | None) -> Tensor:
    """x * weight + bias, both reshaped to `shape` if that is given."""
    if weight is not None:
        x = x * _at_least_float32(weight if shape is None else weight.reshape(*shape))
    if bias is not None:
        x = x + _at_least_float32(bias if shape is None else bias.reshape(*shape))
    return x


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """The mean, x - mean and the biased variance over `axes`, which stay as axes of extent 1.

    By the corrected two-pass algorithm (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37(3), 1983): what the mean leaves on average is added to it, and its square is taken from the variance. A
    constant row thus has its own value as mean. The derivative of the correction is 0.
    """
    first = x.mean(axis=axes, keepdims=True)
    distance = x - first
    correction = distance.mean(axis=axes, keepdims=True).detach()
    mean = first + correction
    square, squares = correction * correction, (distance * distance).mean(axis=axes, keepdims=True)
    return mean, x - mean, st.where(squares <= square, 0.0, squares - square)


def _standardized(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps), with mean and variance over `axes`."""
    _, centered, var = _moments(x, axes)
    return centered * st.rsqrt(var + eps)


def _last_axes(op: str, input: Tensor, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    """The axes that `normalized_shape` covers."""
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"[{op}] expected input of shape (..., {', '.join(map(str, shape))}), got shape={tuple(input.shape)}; "
            "change normalized_shape"
        )
    return tuple(range(input.ndim - len(shape), input.ndim))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba et al., 2016).

    Args:
        input: shape (..., *normalized_shape), a floating dtype.
        normalized_shape: the extents of the axes over which mean and variance are taken.
        weight: shape `normalized_shape`.
        bias: shape `normalized_shape`.
        eps: the constant added to the variance for numerical stability.

    Returns:
        A tensor of the input's shape and dtype.

    Raises:
        ShapeError: the input's last extents are not `normalized_shape`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.layer_norm(st.tensor([[1.0, 3.0]]), (2,), eps=0.0).tolist()
        [[-1.0, 1.0]]
    """
    axes = _last_axes("layer_norm", input, normalized_shape)
    return _affine(_standardized(_at_least_float32(input), axes, eps), weight, bias, None).to(input.dtype)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x * x) + eps) * weight over the last axes (Zhang and Sennrich, 2019).

    Args:
        input: shape (..., *normalized_shape), a floating dtype.
        normalized_shape: the extents of the axes over which the mean is taken.
        weight: shape `normalized_shape`.
        eps: the constant added to the mean for numerical stability; the machine epsilon of the dtype of computation by
            default.

    Returns:
        A tensor of the input's shape and dtype.

    Raises:
        ShapeError: the input's last extents are not `normalized_shape`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.rms_norm(st.tensor([[2.0, -2.0]]), (2,), eps=0.0).tolist()
        [[1.0, -1.0]]
    """
    axes = _last_axes("rms_norm", input, normalized_shape)
    wide = _at_least_float32(input)
    epsilon = 2.0 ** -(52 if wide.dtype.itemsize == 8 else 23) if eps is None else eps
    scaled = wide * st.rsqrt((wide * wide).mean(axis=axes, keepdims=True) + epsilon)
    return _affine(scaled, weight, None, None).to(input.dtype)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of channels (Wu and He, 2018).

    Args:
        input: shape (N, C, *), a floating dtype.
        num_groups: the number of groups, which divides C.
        weight: shape (C,).
        bias: shape (C,).
        eps: the constant added to the variance for numerical stability.

    Returns:
        A tensor of the input's shape and dtype.

    Raises:
        ShapeError: C is not a multiple of `num_groups`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.group_norm(st.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ShapeError(
            f"[group_norm] expected (N, C, ...) with C a multiple of {num_groups}, got shape={tuple(input.shape)}; "
            "change num_groups"
        )
    members = math.prod(input.shape[1:]) // num_groups
    grouped = _at_least_float32(input).reshape(input.shape[0], num_groups, members)
    normal = _standardized(grouped, (2,), eps).reshape(*input.shape)
    return _affine(normal, weight, bias, (-1, *[1] * (input.ndim - 2))).to(input.dtype)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (Ioffe and Szegedy, 2015).

    Args:
        input: shape (N, C, *), a floating dtype.
        running_mean: shape (C,). In training it moves towards the batch's mean by `momentum`, in place; otherwise it
            is used as the mean.
        running_var: shape (C,); as `running_mean`, with the batch's unbiased variance.
        weight: shape (C,).
        bias: shape (C,).
        training: whether mean and variance are the batch's.
        momentum: the weight of the batch in the running statistics.
        eps: the constant added to the variance for numerical stability.

    Returns:
        A tensor of the input's shape and dtype.

    Raises:
        ShapeError: the input has fewer than 2 axes.
        ArgumentError: one value per channel in training, or no running statistics otherwise. An empty batch is allowed,
            and leaves the running statistics as they are.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.batch_norm(st.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0).tolist()
        [[-1.0], [1.0]]
    """
    if input.ndim < 2:
        raise ShapeError(f"[batch_norm] expected (N, C, ...), got shape={tuple(input.shape)}; add the missing axes")
    shape = (1, -1, *[1] * (input.ndim - 2))
    wide = _at_least_float32(input)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("[batch_norm] expected running statistics in evaluation, got None; pass training=True")
        mean, var = _at_least_float32(running_mean).reshape(*shape), _at_least_float32(running_var).reshape(*shape)
        return _affine((wide - mean) * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)
    count = math.prod(input.shape) // max(input.shape[1], 1)
    if count == 1:
        raise ArgumentError(
            f"[batch_norm] expected more than 1 value per channel in training, got shape={tuple(input.shape)}; "
            "use a larger batch or eval()"
        )
    mean, centered, var = _moments(wide, (0, *range(2, input.ndim)))
    for running, batch, correction in ((running_mean, mean, 1.0), (running_var, var, count / (count - 1))):
        if running is not None and count:  # an empty batch has no statistics
            with st.no_grad():
                statistic = batch.detach().reshape(-1) * correction
                set_value(running, running + (statistic - running) * momentum, deferred=True)
    return _affine(centered * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each element (Ulyanov et al., 2016).

    Args:
        input: shape (N, C, *spatial), a floating dtype.
        running_mean: shape (C,). With `use_input_stats` it moves by `momentum`, in place, towards the mean over the
            batch of the means; otherwise it is used as the mean.
        running_var: shape (C,); as `running_mean`, with the unbiased variances.
        weight: shape (C,).
        bias: shape (C,).
        use_input_stats: whether mean and variance are the input's.
        momentum: the weight of the batch in the running statistics.
        eps: the constant added to the variance for numerical stability.

    Returns:
        A tensor of the input's shape and dtype.

    Raises:
        ShapeError: the input has fewer than 3 axes.
        ArgumentError: one value per channel with `use_input_stats`, or no running statistics without it. An empty input
            is allowed, and leaves the running statistics as they are.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.instance_norm(st.tensor([[[1.0, 3.0], [2.0, 6.0]]]), eps=0.0).tolist()
        [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    if input.ndim < 3:
        raise ShapeError(
            f"[instance_norm] expected (N, C, *space), got shape={tuple(input.shape)}; add the missing axes"
        )
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                "[instance_norm] expected running statistics without use_input_stats, got None; pass them"
            )
        return batch_norm(input, running_mean, running_var, weight, bias, False, eps=eps)
    count = math.prod(input.shape[2:])
    if count == 1:
        raise ArgumentError(
            f"[instance_norm] expected more than 1 value per channel, got shape={tuple(input.shape)}; use a larger input"
        )
    mean, centered, var = _moments(_at_least_float32(input), tuple(range(2, input.ndim)))
    for running, batch, correction in ((running_mean, mean, 1.0), (running_var, var, count / (count - 1))):
        if running is not None and input.size:  # an empty batch has no statistics
            with st.no_grad():
                statistic = batch.detach().reshape(*input.shape[:2]).mean(axis=0) * correction
                set_value(running, running + (statistic - running) * momentum, deferred=True)
    shape = (1, -1, *[1] * (input.ndim - 2))
    return _affine(centered * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(norm, eps), with the p-norm along an axis: sum(|x|**p)**(1 / p).

    Where the norm is below eps, it has no derivative: the gradient of a row of zeros is the cotangent divided by eps.

    Args:
        input: shape (*), a floating dtype.
        p: the order of the norm, as in `st.linalg.vector_norm`.
        dim: the axis.
        eps: the smallest divisor.

    Returns:
        A tensor of the input's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> [round(x, 4) for x in st.nn.functional.normalize(st.tensor([[3.0, 4.0]]))[0].tolist()]
        [0.6, 0.8]
    """
    wide = _at_least_float32(input)
    norm = st.linalg.vector_norm(wide, ord=p, axis=dim, keepdims=True)
    return (wide / st.clip(norm, min=eps)).to(input.dtype)
