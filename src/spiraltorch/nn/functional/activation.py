"""Activation functions. All take a tensor of any shape and floating dtype and return the same shape and dtype."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, ShapeError
from ..api import Tensor, st


def _result(input: Tensor, output: Tensor, inplace: bool) -> Tensor:
    """`output`, or `input` after it took over that value."""
    return input.copy_(output) if inplace else output


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return _result(input, st.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x cut to [min_val, max_val]; the gradient at both limits is 0."""
    inside = (input > min_val) & (input < max_val)
    cut = st.where(input <= min_val, min_val, st.where(input >= max_val, max_val, input))
    # Comparisons are false for NaN, which has to pass.
    return _result(input, st.where(inside | st.isnan(input), input, cut), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, elsewhere `negative_slope * x`."""
    return _result(input, st.where(input > 0, input, input * negative_slope), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Leaky ReLU with a learned slope: one, or one for each channel (axis 1). Raises `ShapeError`."""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(
            f"[prelu] expected 1 or {channels} slopes, got weight of shape={tuple(weight.shape)} for input of "
            f"shape={tuple(input.shape)}; set num_parameters"
        )
    if weight.size > 1:
        weight = weight.reshape(-1, *([1] * (input.ndim - 2)))
    return st.where(input > 0, input, input * weight)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, elsewhere `alpha * (exp(x) - 1)`."""
    # The inner select keeps exp from overflowing on the branch that is not taken, whose gradient would be NaN.
    negative = st.where(input > 0, 0.0, input)
    return _result(input, st.where(input > 0, input, st.expm1(negative) * alpha), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The self-normalising ELU."""
    return _result(input, elu(input, 1.6732632423543772) * 1.0507009873554805, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x; `approximate` is `none` or `tanh`."""
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}; choose one")
    return st.gelu(input, approximate=approximate)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return st.sigmoid(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    return -softplus(-input, threshold=float("inf"))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return st.tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    return _result(input, input * st.sigmoid(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))."""
    return _result(input, input * st.tanh(softplus(input)), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where `beta * x` is above `threshold`."""
    smooth = st.softplus(input, beta)
    return smooth if threshold == float("inf") else st.where(input * beta > threshold, input, smooth)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (st.abs(input) + 1.0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(x + 3) / 6 cut to [0, 1]."""
    return _result(input, hardtanh(input + 3.0, 0.0, 6.0) / 6.0, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x)."""
    return _result(input, input * hardsigmoid(input), inplace)


def softmax(input: Tensor, dim: int = -1, dtype: Any = None) -> Tensor:
    """exp(x) normalised along `dim`, after a cast to `dtype` if that is given."""
    return st.softmax(input if dtype is None else input.to(dtype), axis=dim)


def log_softmax(input: Tensor, dim: int = -1, dtype: Any = None) -> Tensor:
    """log(softmax(x)), without underflow."""
    return st.log_softmax(input if dtype is None else input.to(dtype), axis=dim)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of an axis times the sigmoid of the second. Raises `ShapeError` for an odd extent."""
    if input.shape[dim] % 2:
        raise ShapeError(f"[glu] expected an even extent, got shape={tuple(input.shape)}, dim={dim}; pad or slice")
    gated, gate = st.split(input, input.shape[dim] // 2, axis=dim)
    return gated * st.sigmoid(gate)
