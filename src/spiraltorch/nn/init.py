"""Initial values, with PyTorch's names, defaults and distributions. Every function fills its tensor and returns it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .api import Tensor, st
from .state import put

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
_GAINS.update({f"conv{d}d": 1.0 for d in (1, 2, 3)} | {f"conv_transpose{d}d": 1.0 for d in (1, 2, 3)})


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity; `param` is the slope of `leaky_relu`.

    >>> from spiraltorch.nn.init import calculate_gain
    >>> calculate_gain("sigmoid")
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


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fills with numbers from the half-open interval [a, b)."""
    put(tensor, st.rand(*tensor.shape, generator=generator, device=tensor.device) * (b - a) + a)
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fills with normal numbers."""
    put(tensor, st.randn(*tensor.shape, generator=generator, device=tensor.device) * std + mean)
    return tensor


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fills with normal numbers cut to [a, b], by the inverse of the distribution function (on the host)."""
    if not a < b:
        raise ArgumentError(f"[trunc_normal_] expected a < b, got a={a}, b={b}; swap them")
    low, high = (math.erf((limit - mean) / std / math.sqrt(2.0)) for limit in (a, b))
    noise = st.rand(*tensor.shape, generator=generator).numpy().astype(np.float64)
    values = _erfinv(low + noise * (high - low)) * (std * math.sqrt(2.0)) + mean
    put(tensor, st.asarray(np.clip(values, a, b).astype(np.float32), device=tensor.device))
    return tensor


def _erfinv(y: Any) -> Any:
    """The inverse of erf on (-1, 1): Winitzki's estimate, polished by Newton steps on a rational erf of 1e-7."""
    y = np.clip(y, -1 + 1e-7, 1 - 1e-7)
    log = np.log1p(-y * y)
    half = 2 / (math.pi * 0.147) + log / 2
    x = np.sign(y) * np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(2):
        t = 1 / (1 + 0.3275911 * np.abs(x))
        poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
        error = np.sign(x) * (1 - poly * np.exp(-x * x)) - y
        x = x - error * math.sqrt(math.pi) / 2 * np.exp(x * x)
    return x


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with one value."""
    put(tensor, st.full(tuple(tensor.shape), val, dtype=tensor.dtype, device=tensor.device))
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fills with ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fills a matrix with the identity."""
    if tensor.ndim != 2:
        raise ShapeError(f"[eye_] expected 2 axes, got shape={tuple(tensor.shape)}; use dirac_ for convolutions")
    put(tensor, st.asarray(np.eye(*tensor.shape, dtype=np.float32), device=tensor.device))
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Glorot's uniform distribution: bound `gain * sqrt(6 / (fan_in + fan_out))`."""
    bound = gain * math.sqrt(6.0 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Glorot's normal distribution: deviation `gain * sqrt(2 / (fan_in + fan_out))`."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans("xavier_normal_", tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """He's uniform distribution: bound `gain * sqrt(3 / fan)`."""
    fan = _fan("kaiming_uniform_", tensor, mode)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan) if fan else 0.0
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """He's normal distribution: deviation `gain / sqrt(fan)`."""
    fan = _fan("kaiming_normal_", tensor, mode)
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fills with a (semi-)orthogonal matrix: axes after the first count as columns. The QR runs on the host."""
    _fans("orthogonal_", tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    noise = st.randn(rows, columns, generator=generator).numpy().astype(np.float64)
    q, r = np.linalg.qr(noise.T if rows < columns else noise)
    q = q * np.sign(np.diag(r))
    q = (q.T if rows < columns else q).reshape(tensor.shape) * gain
    put(tensor, st.asarray(q.astype(np.float32), device=tensor.device))
    return tensor


def reset_linear(weight: Tensor, bias: Tensor | None, fan_in: int) -> None:
    """The initialisation of linear and convolution layers: uniform in +-1/sqrt(fan_in), bias too."""
    bound = 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)
