"""PyTorch's methods that fill a tensor with random numbers, or draw by its values."""

from __future__ import annotations

import math

from ...dtypes import float32
from ...errors import ArgumentError, ShapeError
from ..generator import Generator
from ..ops.casting import cast, require_float
from ..ops.scan import cumsum
from ..ops.sorting import topk
from ..ops.unary import ceil, log, log1p, tan
from ..random import bernoulli as bernoulli_of
from ..random import rand, randint, randn
from ..tensor import Tensor


def _uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """Numbers from [0, 1), in x's dtype, of at least 32 bits."""
    dtype = x.dtype if x.dtype.is_float and x.dtype.itemsize > 2 else float32
    return rand(*x.shape, dtype=dtype, device=x.device, generator=generator)


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers drawn uniformly from [low, high), in place.

    Args:
        x: any shape, floating.
        low: the lower bound; PyTorch's name of it, `from`, is no name in Python.
        high: the upper bound.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: x is not floating.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> bool((st.empty(9).uniform_(2, 3) >= 2).all())
        True
    """
    require_float(x, "uniform_")
    return x.copy_(_uniform(x, generator) * (high - low) + low)


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers drawn from a normal distribution, in place.

    Args:
        x: any shape, floating.
        mean: the mean.
        std: the standard deviation.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: x is not floating.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.empty(3).normal_(5.0, 0.0).tolist()
        [5.0, 5.0, 5.0]
    """
    require_float(x, "normal_")
    return x.copy_(randn(*x.shape, dtype=x.dtype, device=x.device, generator=generator) * std + mean)


def log_normal_(x: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers whose logarithms are drawn from a normal distribution, in place.

    Args:
        x: any shape, floating.
        mean: the mean of the logarithms.
        std: their standard deviation.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: x is not floating.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.empty(2).log_normal_(0.0, 0.0).tolist()
        [1.0, 1.0]
    """
    return normal_(x, mean, std, generator=generator).exp_()


def exponential_(x: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers drawn from an exponential distribution, in place.

    Args:
        x: any shape, floating.
        lambd: the rate: the mean is 1 / lambd.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: x is not floating.
        ArgumentError: the rate is not positive.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> bool((st.empty(9).exponential_() >= 0).all())
        True
    """
    require_float(x, "exponential_")
    if lambd <= 0:
        raise ArgumentError(f"[exponential_] expected a positive rate, got {lambd}; change lambd")
    return x.copy_(-log1p(-_uniform(x, generator)) / lambd)


def cauchy_(x: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers drawn from a Cauchy distribution, in place.

    Args:
        x: any shape, floating.
        median: the median.
        sigma: half the distance between the quartiles.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: x is not floating.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.empty(2).cauchy_(3.0, 0.0).tolist()
        [3.0, 3.0]
    """
    require_float(x, "cauchy_")
    return x.copy_(tan((_uniform(x, generator) - 0.5) * math.pi) * sigma + median)


def geometric_(x: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with the number of trials up to the first success, in place.

    Args:
        x: any shape and dtype but bool.
        p: the probability of success of a trial, in (0, 1).
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        ArgumentError: `p` lies outside (0, 1).
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> bool((st.empty(9).geometric_(0.5) >= 1).all())
        True
    """
    if not 0 < p < 1:
        raise ArgumentError(f"[geometric_] expected a probability between 0 and 1, got {p}; change p")
    trials = ceil(log1p(-_uniform(x, generator)) / math.log1p(-p))
    return x.copy_(trials.clamp_min(1))


def random_(x: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with integers drawn uniformly from [low, high), in place.

    Args:
        x: any shape and dtype.
        low: the lower bound; with one bound, it is the upper one, and the lower one is 0.
        high: the upper bound. By default all integers from 0 that the dtype holds without gaps, but fewer than 2**32.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        ArgumentError: the range is empty or too large.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(3).random_(1).tolist()
        [0.0, 0.0, 0.0]
    """
    if high is None:
        low, high = 0, low or min(1 << _whole_bits(x), (1 << 32) - 1)
    return x.copy_(randint(low, high, x.shape, device=x.device, generator=generator))


def _whole_bits(x: Tensor) -> int:
    """The number of bits of the integers that a dtype holds without gaps."""
    if x.dtype.is_float:
        return {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[x.dtype.name]
    return x.dtype.bits - (x.dtype.kind == "i")


def bernoulli(x: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Draws 1 with a given probability and 0 otherwise, element by element.

    Args:
        x: the probabilities, any shape, floating.
        p: one probability, in place of all of x's.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.0, 1.0]).bernoulli().tolist()
        [0.0, 1.0]
    """
    return bernoulli_of(x if p is None else x.new_full(x.shape, p), generator)


def bernoulli_(x: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with 1, with a given probability, and 0 otherwise, in place.

    Args:
        x: any shape and dtype.
        p: the probability, a number or any shape that broadcasts to x's.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        The tensor itself.

    Raises:
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.empty(2).bernoulli_(st.tensor([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """
    chances = p if isinstance(p, Tensor) else x.new_full((), p, dtype=float32)
    return x.copy_(bernoulli_of(chances.broadcast_to(x.shape), generator))


def multinomial(
    x: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Draws positions of the last axis, each with a probability in proportion to its element.

    Args:
        x: weights of at least 0, shape (n,) or (rows, n), floating. They need not add up to 1.
        num_samples: the number of positions drawn from each row.
        replacement: whether a position may be drawn again.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        An int64 tensor of shape (num_samples,) or (rows, num_samples).

    Raises:
        ShapeError: x has neither 1 nor 2 axes.
        DTypeError: x is not floating.
        ArgumentError: fewer positions exist, and none may be drawn again.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([0.0, 1.0]).multinomial(3, replacement=True).tolist()
        [1, 1, 1]
    """
    require_float(x, "multinomial")
    if x.ndim not in (1, 2):
        raise ShapeError(f"[multinomial] expected 1 or 2 axes, got shape {x.shape}; reshape it")
    n = x.shape[-1]
    if num_samples < 1 or n == 0 or (not replacement and num_samples > n):
        raise ArgumentError(
            f"[multinomial] expected from 1 to {n} samples, got {num_samples}; pass fewer, or replacement=True"
        )
    weights = x.detach() if x.dtype.itemsize > 2 else cast(x.detach(), float32)
    if not replacement:  # the greatest of log(weight) plus Gumbel noise (Efraimidis and Spirakis 2006)
        noise = -log(-log1p(-_uniform(weights, generator)))
        return topk(log(weights) + noise, num_samples).indices
    ends = cumsum(weights, axis=-1)
    total = ends[..., -1:]
    draws = _uniform(weights.new_empty((*x.shape[:-1], num_samples)), generator) * total
    return (ends.unsqueeze(-2) <= draws.unsqueeze(-1)).sum(-1).clamp_max(n - 1)
