"""Streams of random numbers: a seed, and a counter of the blocks that were drawn.

A block is four 32-bit words of Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), a
function of seed and counter. Each call draws as many blocks as it needs, so numbers depend on the order of calls and on
nothing else, and are the same on every backend.

A stream that was given no seed takes one from the operating system, in each process and again in each child that is
forked, so that no two draw the same numbers.
"""

from __future__ import annotations

import math
import os
import weakref

from ..dtypes import uint64
from ..graph import build
from ..runtime import device as devices
from ..typing import DeviceLike, Shape
from .arguments import integer
from .tensor import Tensor
from .tracing.tracer import recorder


class Generator:
    """A stream of random numbers.

    Args:
        seed: the seed; only its lowest 64 bits are used. By default the operating system's random number.
        device: accepted for compatibility with PyTorch; a stream is the same on every device.

    Attributes:
        device: the given device, or the default one at the time of reading.
        seed: the seed.
        counter: the number of blocks of four words that were drawn.

    A copy, pickled or not, goes on from the same state. A stream without a seed of the caller's gets another one in a
    forked process.

    Raises:
        ArgumentError: the seed is not an int.

    Example:
        >>> import spiraltorch as st
        >>> a, b = st.Generator(seed=7), st.Generator(seed=7)
        >>> st.rand(3, generator=a).tolist() == st.rand(3, generator=b).tolist()
        True
    """

    def __init__(self, seed: int | None = None, device: DeviceLike | None = None) -> None:
        self._device = device
        self._seed = 0
        self._counter = 0
        tracer = recorder()
        if tracer is not None and seed is not None:
            tracer.made_generator(self)
        if seed is None:
            _seed_from_system(self)
        else:
            self.manual_seed(seed)

    def __getstate__(self) -> tuple[DeviceLike | None, int, int]:
        return self._device, self.seed, self.counter

    def __setstate__(self, state: tuple[DeviceLike | None, int, int]) -> None:
        self._device, self._seed, self._counter = state

    @property
    def seed(self) -> int:
        """The seed."""
        self._tell_recorder()
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._tell_recorder()
        self._seed = seed

    @property
    def counter(self) -> int:
        """The number of blocks of four words that were drawn."""
        self._tell_recorder()
        return self._counter

    @counter.setter
    def counter(self, counter: int) -> None:
        self._tell_recorder()
        self._counter = counter

    def _tell_recorder(self) -> None:
        """Before the state is read or set in a compiled function: what it drew so far counts, and no replay can follow."""
        tracer = recorder()
        if tracer is not None:
            tracer.settle_draws(self)

    @property
    def device(self) -> DeviceLike:
        """The given device, or the default one: to read that loads the backends, which an import must not."""
        return devices.default() if self._device is None else self._device

    @device.setter
    def device(self, device: DeviceLike) -> None:
        self._device = device

    def manual_seed(self, seed: int) -> Generator:
        """Restarts the stream with a seed.

        Args:
            seed: the seed; only its lowest 64 bits are used.

        Returns:
            The generator itself.

        Raises:
            ArgumentError: the seed is not an int.

        Example:
            >>> import spiraltorch as st
            >>> st.Generator().manual_seed(7).initial_seed()
            7
        """
        self.seed = integer(seed, "manual_seed", "seed") & 0xFFFFFFFFFFFFFFFF
        self.counter = 0
        _UNSEEDED.discard(self)
        return self

    def initial_seed(self) -> int:
        """Returns the seed.

        Returns:
            The seed, from 0 to 2**64 - 1.

        Example:
            >>> import spiraltorch as st
            >>> st.Generator(3).initial_seed()
            3
        """
        return self.seed

    def get_state(self) -> tuple[int, int]:
        """Returns the state of the stream.

        Returns:
            The seed and the counter, for `set_state`.

        Example:
            >>> import spiraltorch as st
            >>> st.Generator(3).get_state()
            (3, 0)
        """
        return self.seed, self.counter

    def set_state(self, state: tuple[int, int]) -> None:
        """Restores the state of a stream.

        Args:
            state: the result of `get_state`.

        Example:
            >>> import spiraltorch as st
            >>> generator = st.Generator(3)
            >>> state = generator.get_state()
            >>> first = st.rand(2, generator=generator)
            >>> generator.set_state(state)
            >>> st.rand(2, generator=generator).tolist() == first.tolist()
            True
        """
        self.seed, self.counter = state
        _UNSEEDED.discard(self)

    def bits(self, shape: Shape, device: DeviceLike) -> Tensor:
        """Draws uniformly distributed 32-bit words.

        Args:
            shape: the extents.
            device: the device of the result.

        Returns:
            A uint32 tensor of the given shape.

        Example:
            >>> import spiraltorch as st
            >>> st.Generator(3).bits((2,), "cpu:0").dtype
            spiraltorch.uint32
        """
        count = math.prod(shape)
        blocks = -(-count // 4)
        tracer = recorder()
        if tracer is not None:
            seed, counter = tracer.draw(self, blocks, device)
        else:
            seed, counter = build.scalar(self._seed, uint64, device), build.scalar(self._counter, uint64, device)
            self._counter += blocks
        return Tensor(build.random_bits(seed, counter, shape))


_UNSEEDED: weakref.WeakSet[Generator] = weakref.WeakSet()  # their seeds are the system's


def _seed_from_system(generator: Generator) -> None:
    """Restarts a stream with a random number of the operating system."""
    generator.seed = int.from_bytes(os.urandom(8), "little")
    generator.counter = 0
    _UNSEEDED.add(generator)


def _seed_again() -> None:
    """Gives the streams without a seed of the caller's another one: their process was forked."""
    for generator in list(_UNSEEDED):
        _seed_from_system(generator)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seed_again)

default_generator = Generator()
"""The generator of all random functions that are given no other; without a seed until `manual_seed` is called."""


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator, which all random functions use unless another one is passed.

    Args:
        seed: the seed; only its lowest 64 bits are used.

    Returns:
        The default generator.

    Raises:
        ArgumentError: the seed is not an int.

    Example:
        >>> import spiraltorch as st
        >>> st.manual_seed(3).initial_seed()
        3
    """
    return default_generator.manual_seed(seed)
