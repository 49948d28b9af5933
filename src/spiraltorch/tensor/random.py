"""Counter-based random numbers: Philox 4x32-10, the same numbers for the same seed on every backend.

A generator is a seed and a counter of blocks of four 32-bit words. Each call takes as many blocks as it needs, so the
numbers depend on the order of calls and on nothing else.
"""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import as_dtype, default_float, float32, float64, int64, uint64
from ..errors import ArgumentError, DTypeError
from ..graph import build
from ..runtime import device as devices
from .creation import as_shape
from .dispatch import P, as_tensor, nary, node_of
from .ops.selection import where
from .ops.unary import cos, log, sqrt
from .tensor import Tensor
from .tracing.tracer import recorder


class Generator:
    """A stream of random numbers.

    >>> a, b = Generator(seed=7), Generator(seed=7)
    >>> rand(3, generator=a).tolist() == rand(3, generator=b).tolist()
    True
    """

    def __init__(self, seed: int = 0, device: str | None = None) -> None:
        self.device = devices.default() if device is None else device
        self.seed = 0
        self.counter = 0
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of this seed from its beginning."""
        if not isinstance(seed, int):
            raise ArgumentError(f"[manual_seed] expected an int, got {seed!r}")
        self.seed = seed & 0xFFFFFFFFFFFFFFFF
        self.counter = 0
        return self

    def initial_seed(self) -> int:
        """The seed."""
        return self.seed

    def get_state(self) -> tuple[int, int]:
        """The seed and the counter."""
        return self.seed, self.counter

    def set_state(self, state: tuple[int, int]) -> None:
        """Continues from a state that `get_state` gave."""
        self.seed, self.counter = state

    def bits(self, shape: tuple[int, ...], device: str) -> Tensor:
        """uint32 words."""
        count = math.prod(shape)
        blocks = -(-count // 4)
        tracer = recorder()
        if tracer is not None:
            seed, counter = tracer.draw(self, blocks, device)
        else:
            seed, counter = build.scalar(self.seed, uint64, device), build.scalar(self.counter, uint64, device)
            self.counter += blocks
        return Tensor(build.random_bits(seed, counter, shape))


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seeds the generator that random functions use unless given another.

    >>> manual_seed(3).initial_seed()
    3
    """
    return default_generator.manual_seed(seed)


def _start(shape: Any, dtype: Any, device: Any, op: str) -> tuple[tuple[int, ...], Any, str]:
    wanted = default_float if dtype is None else as_dtype(dtype)
    if not wanted.is_float:
        raise DTypeError(f"[{op}] expected a floating dtype, got {wanted.name}")
    name = devices.default() if device is None else devices.canonical(str(device))
    return as_shape(shape, op), wanted, name


def _uniform(shape: tuple[int, ...], dtype: Any, device: str, generator: Generator | None) -> Tensor:
    """Numbers in [0, 1): the top 24 bits of a word, or 53 bits of two for float64."""
    source = generator or default_generator
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


def _sized(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


def _done(made: Tensor, requires_grad: bool) -> Tensor:
    return made.requires_grad_() if requires_grad else made


def rand(
    *shape: Any, dtype: Any = None, device: Any = None, generator: Generator | None = None, requires_grad: bool = False
) -> Tensor:
    """Uniform numbers in [0, 1).

    >>> rand(2, 3).shape
    (2, 3)
    """
    size, wanted, name = _start(_sized(shape), dtype, device, "rand")
    return _done(_uniform(size, wanted, name, generator), requires_grad)


def uniform(
    low: float = 0.0, high: float = 1.0, shape: Any = (), dtype: Any = None, device: Any = None,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [low, high).

    >>> uniform(2.0, 3.0, (2,)).shape
    (2,)
    """
    return rand(as_shape(shape, "uniform"), dtype=dtype, device=device, generator=generator) * (high - low) + low


def randn(
    *shape: Any, dtype: Any = None, device: Any = None, generator: Generator | None = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal numbers, by the Box-Muller transform of two uniform numbers for each.

    >>> randn(2, 3, dtype="float64").dtype
    spiraltorch.float64
    """
    size, wanted, name = _start(_sized(shape), dtype, device, "randn")
    inner = wanted if wanted.itemsize >= 4 else float32
    pair = _uniform((2, *size), inner, name, generator)
    radius = sqrt(log(1.0 - pair[0]) * -2.0)
    return _done((radius * cos(pair[1] * (2 * math.pi))).to(wanted), requires_grad)


def normal(
    mean: float = 0.0, std: float = 1.0, size: Any = (), dtype: Any = None, device: Any = None,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers with a mean and a standard deviation.

    >>> normal(0.0, 2.0, (3,)).shape
    (3,)
    """
    return randn(as_shape(size, "normal"), dtype=dtype, device=device, generator=generator) * std + mean


def randint(
    low: int, high: int | None = None, size: Any = (), dtype: Any = int64, device: Any = None,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Integers in [low, high): a 32-bit word scaled to the range, which must be below 2**32.

    >>> randint(0, 1, (3,)).tolist()
    [0, 0, 0]
    """
    if high is None:
        low, high = 0, low
    if not 0 < high - low < 1 << 32:
        raise ArgumentError(f"[randint] expected low < high, less than 2**32 apart, got {low} and {high}")
    name = devices.default() if device is None else devices.canonical(str(device))
    words = (generator or default_generator).bits(as_shape(size, "randint"), name)
    return (((words.to(uint64) * (high - low)) >> 32).to(int64) + low).to(as_dtype(dtype))


def bernoulli(p: Any, generator: Generator | None = None) -> Tensor:
    """1 with probability `p`, element by element, else 0, in the dtype of `p`.

    >>> bernoulli(as_tensor([0.0, 1.0])).tolist()
    [0.0, 1.0]
    """
    p = as_tensor(p)
    draw = _uniform(p.shape, float32, p.device, generator)
    return (draw < p).to(p.dtype)  # type: ignore[no-any-return]


def randperm(n: int, device: Any = None, generator: Generator | None = None) -> Tensor:
    """The numbers 0 to n-1 in random order, as int64.

    >>> sorted(randperm(4).tolist())
    [0, 1, 2, 3]
    """
    name = devices.default() if device is None else devices.canonical(str(device))
    words = (generator or default_generator).bits((n, 2), name).to(uint64)
    keys = (words[:, 0] << 32) | words[:, 1]
    return nary(P["argsort"], (node_of(keys),), (0, False))


def permutation(x: Any, generator: Generator | None = None) -> Tensor:
    """`randperm(x)` for an int; the rows of a tensor in random order.

    >>> sorted(permutation(as_tensor([3, 5])).tolist())
    [3, 5]
    """
    if isinstance(x, int):
        return randperm(x, generator=generator)
    return x[randperm(x.shape[0], device=x.device, generator=generator)]  # type: ignore[no-any-return]


def rand_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Uniform numbers in the shape of `x`.

    >>> rand_like(as_tensor([1.0])).shape
    (1,)
    """
    return rand(x.shape, dtype=dtype or x.dtype, device=x.device)


def randn_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Normal numbers in the shape of `x`.

    >>> randn_like(as_tensor([1.0])).shape
    (1,)
    """
    return randn(x.shape, dtype=dtype or x.dtype, device=x.device)


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Zeros with probability `p`, the rest scaled by 1/(1-p); the input itself outside training.

    >>> dropout(as_tensor([1.0]), 0.0).tolist()
    [1.0]
    """
    x = as_tensor(x)
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"[dropout] expected a probability from 0 to 1, got {p}")
    if not training or p == 0.0:
        return x  # type: ignore[no-any-return]
    if p == 1.0:
        return x * 0.0  # type: ignore[no-any-return]
    keep = _uniform(x.shape, float32, x.device, generator) >= p
    return where(keep, x * (1.0 / (1.0 - p)), 0.0)
