"""Initial values, with PyTorch's names, defaults and distributions.

Every function fills its tensor in place and returns it. Gradients are not recorded.
"""

from __future__ import annotations

import math

import numpy as np

import spiraltorch as st

from ..errors import ArgumentError, ShapeError
from ..tensor.tensor import Tensor
from ..typing import NDArray
from .in_place import set_value

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
_GAINS.update({f"conv{d}d": 1.0 for d in (1, 2, 3)} | {f"conv_transpose{d}d": 1.0 for d in (1, 2, 3)})


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a weight's deviation grows so that a nonlinearity keeps the variance (He et al., 2015).

    Args:
        nonlinearity: `linear`, `conv1d` and the like, `sigmoid`, `tanh`, `relu`, `leaky_relu` or `selu`.
        param: the negative slope of `leaky_relu`; 0.01 by default.

    Returns:
        The factor.

    Raises:
        ArgumentError: an unknown nonlinearity.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.calculate_gain("sigmoid")
        1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ArgumentError(
            f"[calculate_gain] expected one of {', '.join([*_GAINS, 'leaky_relu'])}, got {nonlinearity!r}; choose one"
        )
    return _GAINS[nonlinearity]


def _fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs of one unit, from a weight of at least two axes."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"[{op}] expected a tensor of at least 2 axes, got shape={tuple(tensor.shape)}; "
            "use uniform_ or normal_ for vectors"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(op: str, tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"[{op}] expected mode fan_in or fan_out, got {mode!r}; choose one")
    return _fans(op, tensor)[mode == "fan_out"]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: st.Generator | None = None) -> Tensor:
    """Fills with numbers that are uniform in [a, b).

    Args:
        tensor: the tensor that is filled, of any shape and a floating dtype.
        a: the least number.
        b: the upper limit.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Example:
        >>> import spiraltorch as st
        >>> x = st.nn.init.uniform_(st.zeros(100), -1.0, 1.0)
        >>> x.min().item() >= -1.0 and x.max().item() < 1.0
        True
    """
    set_value(tensor, st.rand(*tensor.shape, generator=generator, device=tensor.device) * (b - a) + a)
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: st.Generator | None = None) -> Tensor:
    """Fills with numbers from a normal distribution.

    Args:
        tensor: the tensor that is filled, of any shape and a floating dtype.
        mean: the mean.
        std: the standard deviation.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.normal_(st.zeros(2), mean=3.0, std=0.0).tolist()
        [3.0, 3.0]
    """
    set_value(tensor, st.randn(*tensor.shape, generator=generator, device=tensor.device) * std + mean)
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: st.Generator | None = None,
) -> Tensor:
    """Fills with numbers from a normal distribution restricted to [a, b].

    It inverts the distribution function, on the host.

    Args:
        tensor: the tensor that is filled, of any shape and a floating dtype.
        mean: the mean before the restriction.
        std: the standard deviation before the restriction.
        a: the least number.
        b: the greatest number.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ArgumentError: `a` is not below `b`.

    Example:
        >>> import spiraltorch as st
        >>> x = st.nn.init.trunc_normal_(st.zeros(100))
        >>> x.abs().max().item() <= 2.0
        True
    """
    if not a < b:
        raise ArgumentError(f"[trunc_normal_] expected a < b, got a={a}, b={b}; swap them")
    low, high = (math.erf((limit - mean) / std / math.sqrt(2.0)) for limit in (a, b))
    noise = st.rand(*tensor.shape, generator=generator).numpy().astype(np.float64)
    values = _erfinv(low + noise * (high - low)) * (std * math.sqrt(2.0)) + mean
    set_value(tensor, st.asarray(np.clip(values, a, b).astype(np.float32), device=tensor.device))
    return tensor


def _erfinv(y: NDArray) -> NDArray:
    """The inverse of erf on (-1, 1): Winitzki's estimate, refined by Newton steps on a rational erf of 1e-7."""
    y = np.clip(y, -1 + 1e-7, 1 - 1e-7)
    log = np.log1p(-y * y)
    half = 2 / (math.pi * 0.147) + log / 2
    x: NDArray = np.sign(y) * np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(2):
        t = 1 / (1 + 0.3275911 * np.abs(x))
        poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
        error = np.sign(x) * (1 - poly * np.exp(-x * x)) - y
        x = x - error * math.sqrt(math.pi) / 2 * np.exp(x * x)
    return x


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with one number.

    Args:
        tensor: the tensor that is filled, of any shape and any dtype.
        val: the number.

    Returns:
        The tensor.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.constant_(st.zeros(2), 3.0).tolist()
        [3.0, 3.0]
    """
    set_value(tensor, st.full(tuple(tensor.shape), val, dtype=tensor.dtype, device=tensor.device))
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with zeros.

    Args:
        tensor: the tensor that is filled, of any shape and any dtype.

    Returns:
        The tensor.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.zeros_(st.ones(2)).tolist()
        [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fills with ones.

    Args:
        tensor: the tensor that is filled, of any shape and any dtype.

    Returns:
        The tensor.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.ones_(st.zeros(2)).tolist()
        [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fills a matrix with ones on the diagonal and zeros elsewhere.

    Args:
        tensor: the matrix that is filled.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has another number of axes than 2.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.eye_(st.zeros(2, 2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim != 2:
        raise ShapeError(f"[eye_] expected 2 axes, got shape={tuple(tensor.shape)}; use dirac_ for convolutions")
    set_value(tensor, st.asarray(np.eye(*tensor.shape, dtype=np.float32), device=tensor.device))
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: st.Generator | None = None) -> Tensor:
    """Fills with numbers uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Args:
        tensor: the tensor that is filled, a weight of at least 2 axes: (outputs, inputs, *kernel).
        gain: see `calculate_gain`.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.xavier_uniform_(st.zeros(3, 3)).abs().max().item() <= 1.0
        True
    """
    bound = gain * math.sqrt(6.0 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: st.Generator | None = None) -> Tensor:
    """Fills with normal numbers of deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Args:
        tensor: the tensor that is filled, a weight of at least 2 axes: (outputs, inputs, *kernel).
        gain: see `calculate_gain`.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.xavier_normal_(st.zeros(2, 2), gain=0.0).tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans("xavier_normal_", tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: st.Generator | None = None,
) -> Tensor:
    """Fills with numbers uniform in +-gain * sqrt(3 / fan) (He et al., 2015).

    Args:
        tensor: the tensor that is filled, a weight of at least 2 axes: (outputs, inputs, *kernel).
        a: the negative slope of `leaky_relu`.
        mode: `fan_in` keeps the variance forwards, `fan_out` that of the gradients.
        nonlinearity: the function that follows the layer; see `calculate_gain`.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.
        ArgumentError: an unknown `mode` or `nonlinearity`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.kaiming_uniform_(st.zeros(2, 6)).abs().max().item() <= 1.0
        True
    """
    fan = _fan("kaiming_uniform_", tensor, mode)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan) if fan else 0.0
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: st.Generator | None = None,
) -> Tensor:
    """Fills with normal numbers of deviation gain / sqrt(fan) (He et al., 2015).

    Args:
        tensor: the tensor that is filled, a weight of at least 2 axes: (outputs, inputs, *kernel).
        a: the negative slope of `leaky_relu`.
        mode: `fan_in` keeps the variance forwards, `fan_out` that of the gradients.
        nonlinearity: the function that follows the layer; see `calculate_gain`.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.
        ArgumentError: an unknown `mode` or `nonlinearity`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.init.kaiming_normal_(st.zeros(2, 3), nonlinearity="relu").shape
        (2, 3)
    """
    fan = _fan("kaiming_normal_", tensor, mode)
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: st.Generator | None = None) -> Tensor:
    """Fills with a (semi-)orthogonal matrix (Saxe et al., 2014), from a QR decomposition on the host.

    Args:
        tensor: the tensor that is filled, of at least 2 axes; all but the first count as columns.
        gain: the length of its rows, or of its columns where there are fewer of them.
        generator: the source of the random numbers; if None, the default generator.

    Returns:
        The tensor.

    Raises:
        ShapeError: the tensor has fewer than 2 axes.

    Example:
        >>> import spiraltorch as st
        >>> q = st.nn.init.orthogonal_(st.zeros(2, 3))
        >>> st.allclose(q @ q.T, st.eye(2), atol=1e-5)
        True
    """
    _fans("orthogonal_", tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    noise = st.randn(rows, columns, generator=generator).numpy().astype(np.float64)
    q, r = np.linalg.qr(noise.T if rows < columns else noise)
    q = q * np.sign(np.diag(r))
    q = (q.T if rows < columns else q).reshape(tensor.shape) * gain
    set_value(tensor, st.asarray(q.astype(np.float32), device=tensor.device))
    return tensor


def reset_linear(weight: Tensor, bias: Tensor | None, fan_in: int) -> None:
    """The initialisation of linear and convolution layers: uniform in +-1/sqrt(fan_in), bias too."""
    bound = 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)
