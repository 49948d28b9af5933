"""Normalisation. Statistics of float16 and bfloat16 inputs are computed in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...dtypes import float32
from ...errors import ArgumentError, ShapeError
from .. import state
from ..api import Tensor, st


def _wide(x: Tensor) -> Tensor:
    return x.to(float32) if x.dtype.itemsize < 4 else x


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int] | None) -> Tensor:
    """x * weight + bias, both given `shape` first."""
    if weight is not None:
        x = x * _wide(weight if shape is None else weight.reshape(*shape))
    if bias is not None:
        x = x + _wide(bias if shape is None else bias.reshape(*shape))
    return x


def _standardised(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """x without its mean, divided by its deviation over `axes`."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred * st.rsqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)


def _last_axes(op: str, input: Tensor, normalized_shape: Sequence[int]) -> tuple[int, ...]:
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
    """Normalises over the last axes, which must be `normalized_shape` (`ShapeError`); same shape and dtype.

    >>> from spiraltorch import tensor
    >>> from spiraltorch.nn import functional as F
    >>> F.layer_norm(tensor([[1.0, 3.0]]), (2,), eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    axes = _last_axes("layer_norm", input, normalized_shape)
    return _affine(_standardised(_wide(input), axes, eps), weight, bias, None).to(input.dtype)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divides by the root mean square over the last axes; `eps` None is the machine epsilon of the dtype."""
    axes = _last_axes("rms_norm", input, normalized_shape)
    wide = _wide(input)
    small = 2.0 ** -(52 if wide.dtype.itemsize == 8 else 23) if eps is None else eps
    scaled = wide * st.rsqrt((wide * wide).mean(axis=axes, keepdims=True) + small)
    return _affine(scaled, weight, None, None).to(input.dtype)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalises an (N, C, ...) input over groups of channels. Raises `ShapeError` where C is no multiple."""
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ShapeError(
            f"[group_norm] expected (N, C, ...) with C a multiple of {num_groups}, got shape={tuple(input.shape)}; "
            "change num_groups"
        )
    grouped = _wide(input).reshape(input.shape[0], num_groups, -1)
    normal = _standardised(grouped, (2,), eps).reshape(*input.shape)
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
    """Normalises the channels (axis 1) of an (N, C, ...) input over all other axes; same shape and dtype.

    In training the statistics are the batch's, and the running ones move towards them by `momentum` in place (the
    variance without bias); otherwise the running ones are used. Raises `ShapeError`, and `ArgumentError` for
    training on one value a channel or evaluation without running statistics.
    """
    if input.ndim < 2:
        raise ShapeError(f"[batch_norm] expected (N, C, ...), got shape={tuple(input.shape)}; add the missing axes")
    shape = (1, -1, *[1] * (input.ndim - 2))
    wide = _wide(input)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("[batch_norm] expected running statistics in evaluation, got None; pass training=True")
        mean, var = _wide(running_mean).reshape(*shape), _wide(running_var).reshape(*shape)
        return _affine((wide - mean) * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)
    axes = (0, *range(2, input.ndim))
    count = math.prod(input.shape) // max(input.shape[1], 1)
    if count < 2:
        raise ArgumentError(
            f"[batch_norm] expected more than 1 value a channel in training, got shape={tuple(input.shape)}; "
            "use a larger batch or eval()"
        )
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    var = (centred * centred).mean(axis=axes, keepdims=True)
    for running, batch, factor in ((running_mean, mean, 1.0), (running_var, var, count / (count - 1))):
        if running is not None:
            with st.no_grad():
                seen = batch.detach().reshape(-1) * factor
                state.put(running, running + (seen - running) * momentum, pending=True)
    return _affine(centred * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)


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
    """Normalises each channel of each element of an (N, C, *space) batch over its space; same shape and dtype.

    With `use_input_stats` running statistics move by `momentum`, in place, towards the mean over the batch of the
    means and unbiased variances; without it they are used instead. Raises `ShapeError`, and `ArgumentError` for
    statistics of one value or running statistics that are missing.

    >>> from spiraltorch import tensor
    >>> from spiraltorch.nn import functional as F
    >>> F.instance_norm(tensor([[[1.0, 3.0], [2.0, 6.0]]]), eps=0.0).tolist()
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
    axes, count = tuple(range(2, input.ndim)), math.prod(input.shape[2:])
    if count < 2:
        raise ArgumentError(
            f"[instance_norm] expected more than 1 value a channel, got shape={tuple(input.shape)}; use a larger input"
        )
    wide = _wide(input)
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    var = (centred * centred).mean(axis=axes, keepdims=True)
    for running, seen, factor in ((running_mean, mean, 1.0), (running_var, var, count / (count - 1))):
        if running is not None:
            with st.no_grad():
                batch = seen.detach().reshape(*input.shape[:2]).mean(axis=0) * factor
                state.put(running, running + (batch - running) * momentum, pending=True)
    shape = (1, -1, *[1] * (input.ndim - 2))
    return _affine(centred * st.rsqrt(var + eps), weight, bias, shape).to(input.dtype)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Divides by the p-norm along `dim`, but by no less than `eps`."""
    if p == 2.0:
        norm = st.sqrt((input * input).sum(axis=dim, keepdims=True))
    else:
        norm = (st.abs(input) ** p).sum(axis=dim, keepdims=True) ** (1.0 / p)
    return input / st.maximum(norm, eps)
