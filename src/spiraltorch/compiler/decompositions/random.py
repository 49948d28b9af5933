"""Random bits as integer arithmetic: Philox 4x32-10.

J. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

from ...dtypes import bool_, uint32, uint64
from ..program import Builder, Val


def decompose_random_bits(b: Builder, val: Val, args: tuple[Val, ...]) -> Val:
    """`random_bits`: element e is word e % 4 of block `counter + e // 4` under the key `seed`."""
    seed, counter = args
    device, shape = val.device, val.shape

    def number(value: int) -> Val:
        """A uint32 constant."""
        return b.const(value, uint32, device)

    def halves(x: Val) -> tuple[Val, Val]:
        """The low and the high word of uint64 values."""
        shift = b.const(32, uint64, device)
        return b.cast(x, uint32), b.cast(b.op("shr", x, shift), uint32)

    size = val.size
    element = b.reshape(b.make("iota", (), ((size,), 0, uint64, device), (size,), uint64, device), shape)
    block = b.op("add", b.op("shr", element, b.const(2, uint64, device)), counter)
    low, high = halves(block)
    state = [low, high, number(0), number(0)]
    keys = list(halves(seed))
    for step in range(10):
        if step:
            keys = [b.op("add", keys[0], number(0x9E3779B9)), b.op("add", keys[1], number(0xBB67AE85))]
        hi0, lo0 = b.op("mulhi", state[0], number(0xD2511F53)), b.op("mul", state[0], number(0xD2511F53))
        hi1, lo1 = b.op("mulhi", state[2], number(0xCD9E8D57)), b.op("mul", state[2], number(0xCD9E8D57))
        state = [
            b.op("bitxor", b.op("bitxor", hi1, state[1]), keys[0]), lo1,
            b.op("bitxor", b.op("bitxor", hi0, state[3]), keys[1]), lo0,
        ]  # fmt: skip
    word = b.cast(b.op("bitand", element, b.const(3, uint64, device)), uint32)
    result = state[3]
    for k in (2, 1, 0):
        result = b.op("where", b.op("eq", word, number(k), dtype=bool_), state[k], result)
    return b.expand(result, shape)
