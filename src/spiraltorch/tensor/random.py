"""Random tensors: of distributions, permutations, and dropout. Where the numbers come from is in `generator`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..dtypes import DType, as_dtype, default_float, float32, float64, int64, uint64
from ..errors import ArgumentError, DTypeError
from ..typing import ArrayLike, DeviceLike, DTypeLike, Shape, ShapeLike
from .arguments import integer, real, sequence_argument
from .creation import as_shape, device_name
from .dispatch import P, as_tensor, nary, node_of
from .generator import Generator, default_generator, manual_seed
from .ops.selection import where
from .ops.unary import cos, log, sqrt
from .tensor import Tensor

__all__ = [
    "Generator", "bernoulli", "default_generator", "dropout", "manual_seed", "normal", "permutation", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm", "uniform",
]  # fmt: skip


def _stream(generator: Generator | None) -> Generator:
    """The stream to draw from. Raises `ArgumentError` for an argument that is none."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise ArgumentError(
            f"[random] expected generator as an st.Generator, got {generator!r}; pass st.Generator(seed) or call "
            "st.manual_seed(seed)"
        )
    return generator


def _target(
    shape: tuple[ShapeLike, ...], dtype: DTypeLike | None, device: DeviceLike | None, op: str
) -> tuple[Shape, DType, str]:
    """Shape, dtype and device of a floating result, from what the caller gave. Raises `DTypeError`."""
    target = default_float if dtype is None else as_dtype(dtype)
    if not target.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {target.name}; choose float32, for example")
    return as_shape(shape[0] if len(shape) == 1 else shape, op), target, device_name(device)


def _uniform(shape: Shape, dtype: DType, device: str, generator: Generator | None) -> Tensor:
    """Numbers in [0, 1): the top 24 bits of a word, or 53 bits of two for float64."""
    source = _stream(generator)
    if dtype is float64:
        words = source.bits((*shape, 2), device).to(uint64)
        high, low = words[..., 0] >> 5, words[..., 1] >> 6
        return (high.to(float64) * 67108864.0 + low.to(float64)) * (1.0 / 9007199254740992.0)
    words = source.bits(shape, device)
    value = (words >> 8).to(float32) * (1.0 / 16777216.0)
    if dtype is float32:
        return value
    bits = 11 if dtype.name == "float16" else 8
    return ((words >> (32 - bits)).to(float32) * (1.0 / (1 << bits))).to(dtype)


def rand(
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Draws numbers uniformly from [0, 1).

    Args:
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result, floating; float32 by default.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.
        requires_grad: whether `backward` computes the tensor's gradient.
        **named: `size` or `shape`, the extents as one sequence by name.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype is not floating.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.rand(2, 3).shape
        (2, 3)
    """
    extents, target, name = _target(sequence_argument("rand", shape, named, "size", "shape"), dtype, device, "rand")
    result = _uniform(extents, target, name, generator)
    return result.requires_grad_() if requires_grad else result


def uniform(
    low: float = 0.0,
    high: float = 1.0,
    shape: ShapeLike = (),
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draws numbers uniformly from [low, high).

    Args:
        low: the lower bound.
        high: the upper bound.
        shape: the extents.
        dtype: the dtype of the result, floating; float32 by default.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype is not floating.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.uniform(2.0, 3.0, (2,)).shape
        (2,)
    """
    return rand(as_shape(shape, "uniform"), dtype=dtype, device=device, generator=generator) * (high - low) + low


def randn(
    *shape: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    **named: ShapeLike,
) -> Tensor:
    """Draws numbers from the normal distribution of mean 0 and standard deviation 1.

    Each number is computed from two uniform ones (Box and Muller, "A note on the generation of random normal deviates",
    1958).

    Args:
        *shape: the extents, as separate ints or as one sequence.
        dtype: the dtype of the result, floating; float32 by default.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.
        requires_grad: whether `backward` computes the tensor's gradient.
        **named: `size` or `shape`, the extents as one sequence by name.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype is not floating.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.randn(2, 3, dtype="float64").dtype
        spiraltorch.float64
    """
    extents, target, name = _target(sequence_argument("randn", shape, named, "size", "shape"), dtype, device, "randn")
    inner = target if target.itemsize >= 4 else float32
    pair = _uniform((2, *extents), inner, name, generator)
    radius = sqrt(log(1.0 - pair[0]) * -2.0)
    result = (radius * cos(pair[1] * (2 * math.pi))).to(target)
    return result.requires_grad_() if requires_grad else result


def normal(
    mean: float = 0.0,
    std: float = 1.0,
    size: ShapeLike = (),
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draws numbers from a normal distribution.

    Args:
        mean: the mean.
        std: the standard deviation.
        size: the extents.
        dtype: the dtype of the result, floating; float32 by default.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of the given shape.

    Raises:
        DTypeError: the dtype is not floating.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.normal(0.0, 2.0, (3,)).shape
        (3,)
    """
    return randn(as_shape(size, "normal"), dtype=dtype, device=device, generator=generator) * std + mean


def randint(
    low: int,
    high: int | Sequence[int] | None = None,
    size: ShapeLike = (),
    dtype: DTypeLike = int64,
    device: DeviceLike | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draws integers uniformly from [low, high).

    Args:
        low: the lower bound; with one bound, it is the upper one, and the lower one is 0.
        high: the upper bound, less than 2**32 above the lower one. A sequence here is the size, as in PyTorch's
            `randint(high, size)`.
        size: the extents.
        dtype: the dtype of the result.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of the given shape: a 32-bit word scaled to the range for each element.

    Raises:
        ArgumentError: the range is empty or too large.
        ShapeError: an extent is negative or not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.randint(0, 1, (3,)).tolist()
        [0, 0, 0]
    """
    if isinstance(high, (tuple, list)) and size == ():  # PyTorch's order: randint(high, size)
        size, high = high, None
    if high is None:
        low, high = 0, low
    low, high = integer(low, "randint", "low"), integer(high, "randint", "high")
    if not 0 < high - low < 1 << 32:
        raise ArgumentError(
            f"[randint] expected low < high, less than 2**32 apart, got {low} and {high}; change the range"
        )
    words = _stream(generator).bits(as_shape(size, "randint"), device_name(device))
    return (((words.to(uint64) * (high - low)) >> 32).to(int64) + low).to(as_dtype(dtype))


def bernoulli(p: ArrayLike, generator: Generator | None = None) -> Tensor:
    """Draws 1 with a given probability and 0 otherwise, element by element.

    Args:
        p: the probabilities, any shape.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of the shape and dtype of `p`.

    Example:
        >>> import spiraltorch as st
        >>> st.bernoulli(st.tensor([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """
    p = as_tensor(p)
    draw = _uniform(p.shape, float32, p.device, generator)
    return (draw < p).to(p.dtype)


def randperm(n: int, device: DeviceLike | None = None, generator: Generator | None = None) -> Tensor:
    """Returns the integers from 0 to n - 1 in random order.

    Args:
        n: the number of integers.
        device: the device of the result; by default the default device.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        An int64 tensor of shape (n,).

    Example:
        >>> import spiraltorch as st
        >>> sorted(st.randperm(4).tolist())
        [0, 1, 2, 3]
    """
    n = integer(n, "randperm", "n", 0)
    words = _stream(generator).bits((n, 2), device_name(device)).to(uint64)
    keys = (words[:, 0] << 32) | words[:, 1]
    return nary(P["argsort"], (node_of(keys),), (0, False))


def permutation(x: int | Tensor, generator: Generator | None = None) -> Tensor:
    """Permutes the rows of a tensor randomly.

    Args:
        x: at least one axis, any dtype; or an int, for `randperm`.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of x's shape and dtype.

    Example:
        >>> import spiraltorch as st
        >>> sorted(st.permutation(st.tensor([3, 5])).tolist())
        [3, 5]
    """
    if not isinstance(x, Tensor):
        return randperm(integer(x, "permutation", "x", 0), generator=generator)
    return x[randperm(x.shape[0], device=x.device, generator=generator)]


def rand_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Draws numbers uniformly from [0, 1), in another tensor's shape.

    Args:
        x: the tensor that gives shape, dtype and device.
        dtype: the dtype of the result, floating; x's by default.

    Returns:
        A tensor of x's shape.

    Raises:
        DTypeError: the dtype is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.rand_like(st.tensor([1.0])).shape
        (1,)
    """
    return rand(x.shape, dtype=dtype or x.dtype, device=x.device)


def randn_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Draws numbers from the normal distribution of mean 0 and standard deviation 1, in another tensor's shape.

    Args:
        x: the tensor that gives shape, dtype and device.
        dtype: the dtype of the result, floating; x's by default.

    Returns:
        A tensor of x's shape.

    Raises:
        DTypeError: the dtype is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.randn_like(st.tensor([1.0])).shape
        (1,)
    """
    return randn(x.shape, dtype=dtype or x.dtype, device=x.device)


def dropout(x: ArrayLike, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Sets elements to 0 at random, and scales the others so that their expected value stays.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).

    Args:
        x: any shape; floating dtypes.
        p: the probability of 0 for an element; the others are multiplied by 1 / (1 - p).
        training: False returns `x` itself.
        generator: the stream to draw from; by default the one that `st.manual_seed` seeds.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ArgumentError: `p` lies outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> st.dropout(st.tensor([1.0]), 0.0).tolist()
        [1.0]
    """
    x, p = as_tensor(x), real(p, "dropout", "p")
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout] expected a probability from 0 to 1, got {p}; change p")
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return x * 0.0
    keep = _uniform(x.shape, float32, x.device, generator) >= p
    return where(keep, x * (1.0 / (1.0 - p)), 0.0)
