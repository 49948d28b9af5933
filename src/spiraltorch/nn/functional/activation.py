"""Activation functions, element by element or along one axis. See each function for its formula and its source."""

from __future__ import annotations

import spiraltorch as st

from ...errors import ArgumentError, ShapeError
from ...tensor.tensor import Tensor
from ...typing import DTypeLike


def in_place_or_new(input: Tensor, output: Tensor, inplace: bool) -> Tensor:
    """`output`, or `input` after that value was written to it."""
    return input.copy_(output) if inplace else output


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Rectified linear unit: max(x, 0) (Nair and Hinton, 2010).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.relu(st.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return in_place_or_new(input, st.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Rectified linear unit with an upper limit: min(max(x, 0), 6) (Krizhevsky, 2010).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.relu6(st.tensor([-1.0, 2.0, 8.0])).tolist()
        [0.0, 2.0, 6.0]
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Piecewise linear tanh: min(max(x, min_val), max_val) (Collobert, 2004); the gradient at both limits is 0.

    Args:
        input: shape (*), a floating dtype.
        min_val: the lower limit.
        max_val: the upper limit.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.hardtanh(st.tensor([-3.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    inside = (input > min_val) & (input < max_val)
    cut = st.where(input <= min_val, min_val, st.where(input >= max_val, max_val, input))
    # Comparisons are false for NaN, which has to pass.
    return in_place_or_new(input, st.where(inside | st.isnan(input), input, cut), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Leaky rectified linear unit: x where x > 0, elsewhere negative_slope * x (Maas et al., 2013).

    Args:
        input: shape (*), a floating dtype.
        negative_slope: the slope for x <= 0.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.leaky_relu(st.tensor([-2.0, 2.0]), 0.5).tolist()
        [-1.0, 2.0]
    """
    return in_place_or_new(input, st.where(input > 0, input, input * negative_slope), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Leaky rectified linear unit with a learned slope: x where x > 0, elsewhere weight * x (He et al., 2015).

    Args:
        input: shape (N, C, *), or any shape for one slope; a floating dtype.
        weight: one slope, or one for each channel: shape (1,) or (C,).

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ShapeError: another number of slopes than 1 or C.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.prelu(st.tensor([-2.0, 2.0]), st.tensor([0.25])).tolist()
        [-0.5, 2.0]
    """
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
    """Exponential linear unit: x where x > 0, elsewhere alpha * (exp(x) - 1) (Clevert et al., 2016).

    Args:
        input: shape (*), a floating dtype.
        alpha: the negated limit as x goes to -inf.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.elu(st.tensor([0.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    # The inner select keeps exp from overflowing on the branch that is not taken, whose gradient would be NaN.
    negative = st.where(input > 0, 0.0, input)
    return in_place_or_new(input, st.where(input > 0, input, st.expm1(negative) * alpha), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Self-normalising exponential linear unit: 1.0507 * elu(x, 1.6733) (Klambauer et al., 2017).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.selu(st.tensor([1.0])).item(), 4)
        1.0507
    """
    return in_place_or_new(input, elu(input, 1.6732632423543772) * 1.0507009873554805, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit: x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        input: shape (*), a floating dtype.
        approximate: `none` for x * (1 + erf(x / sqrt(2))) / 2, or `tanh` for
            x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ArgumentError: `approximate` is another string.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.gelu(st.tensor([1.0])).item(), 4)
        0.8413
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"[gelu] expected approximate 'none' or 'tanh', got {approximate!r}; choose one")
    return st.gelu(input, approximate=approximate)


def sigmoid(input: Tensor) -> Tensor:
    """Logistic function: 1 / (1 + exp(-x)).

    Args:
        input: shape (*), a floating dtype.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.sigmoid(st.tensor([0.0])).tolist()
        [0.5]
    """
    return st.sigmoid(input)


def logsigmoid(input: Tensor) -> Tensor:
    """Logarithm of the logistic function: log(1 / (1 + exp(-x))), without overflow.

    Args:
        input: shape (*), a floating dtype.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.logsigmoid(st.tensor([0.0])).item(), 4)
        -0.6931
    """
    return -softplus(-input, threshold=float("inf"))


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent.

    Args:
        input: shape (*), a floating dtype.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.tanh(st.tensor([0.0])).tolist()
        [0.0]
    """
    return st.tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Sigmoid linear unit, or swish: x * sigmoid(x) (Elfwing et al., 2018).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.silu(st.tensor([1.0])).item(), 4)
        0.7311
    """
    return in_place_or_new(input, input * st.sigmoid(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Self-gated activation: x * tanh(log(1 + exp(x))) (Misra, 2019).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.mish(st.tensor([1.0])).item(), 4)
        0.8651
    """
    return in_place_or_new(input, input * st.tanh(softplus(input)), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Smooth max(x, 0): log(1 + exp(beta * x)) / beta (Dugas et al., 2001), and x where beta * x > threshold.

    Args:
        input: shape (*), a floating dtype.
        beta: the sharpness: the greater it is, the closer the function is to max(x, 0).
        threshold: the value of beta * x above which the function is x.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.softplus(st.tensor([0.0])).item(), 4)
        0.6931
    """
    smooth = st.softplus(input, beta)
    return smooth if threshold == float("inf") else st.where(input * beta > threshold, input, smooth)


def softsign(input: Tensor) -> Tensor:
    """Rational sigmoid: x / (1 + |x|).

    Args:
        input: shape (*), a floating dtype.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.softsign(st.tensor([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """
    return input / (st.abs(input) + 1.0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Piecewise linear sigmoid: min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.hardsigmoid(st.tensor([-4.0, 0.0, 4.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return in_place_or_new(input, hardtanh(input + 3.0, 0.0, 6.0) / 6.0, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Swish with a piecewise linear sigmoid: x * hardsigmoid(x) (Howard et al., 2019).

    Args:
        input: shape (*), a floating dtype.
        inplace: whether the result is written to `input`, which is returned.

    Returns:
        A tensor of the same shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.hardswish(st.tensor([0.0, 4.0])).tolist()
        [0.0, 4.0]
    """
    return in_place_or_new(input, input * hardsigmoid(input), inplace)


def softmax(input: Tensor, dim: int = -1, dtype: DTypeLike | None = None) -> Tensor:
    """Normalised exponential along an axis: exp(x) / sum(exp(x)), without overflow.

    Args:
        input: shape (*), a floating dtype.
        dim: the axis.
        dtype: the dtype that `input` is cast to first; None keeps its dtype.

    Returns:
        A tensor of the same shape, of `dtype`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.softmax(st.tensor([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """
    return st.softmax(input if dtype is None else input.to(dtype), axis=dim)


def log_softmax(input: Tensor, dim: int = -1, dtype: DTypeLike | None = None) -> Tensor:
    """Logarithm of `softmax` along an axis: x - log(sum(exp(x))), without overflow or underflow.

    Args:
        input: shape (*), a floating dtype.
        dim: the axis.
        dtype: the dtype that `input` is cast to first; None keeps its dtype.

    Returns:
        A tensor of the same shape, of `dtype`.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.log_softmax(st.tensor([0.0, 0.0]))[0].item(), 4)
        -0.6931
    """
    return st.log_softmax(input if dtype is None else input.to(dtype), axis=dim)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Gated linear unit: a * sigmoid(b), a and b the halves of an axis (Dauphin et al., 2017).

    Args:
        input: shape (..., n, ...), n even; a floating dtype.
        dim: the axis that is halved.

    Returns:
        A tensor of half the extent along `dim`, of the same dtype.

    Raises:
        ShapeError: the extent along `dim` is odd.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.glu(st.tensor([3.0, 0.0])).tolist()
        [1.5]
    """
    if input.shape[dim] % 2:
        raise ShapeError(f"[glu] expected an even extent, got shape={tuple(input.shape)}, dim={dim}; pad or slice")
    half = input.shape[dim] // 2
    gated, gate = st.split(input, [half, half], axis=dim)
    return gated * st.sigmoid(gate)
