"""Source primitives, which have no array operands: constants, scalar parameters, iota and random bits.

`const` is part of the plan's key; `scalar` is a parameter of the plan, whose value is in `Node.scalar`. Random bits are
a function of a seed and a counter, the same on every backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import uint32
from ...errors import DTypeError
from ..node import Aval, Params, aval_of
from ..primitive import Primitive

const = Primitive(
    "const", "source", lambda avals, p: aval_of((), p[1], p[2]), lambda params: np.asarray(params[0], params[1].numpy)
)
scalar = Primitive(
    "scalar", "source", lambda avals, p: aval_of((), p[0], p[1]), lambda x, params: _number(x, params[0])
)


def _number(x: Any, dtype: Any) -> Any:
    """A 0-d array of a Python number."""
    with np.errstate(all="ignore"):
        return np.asarray(dtype.numpy.type(x))


def _iota(params: Params) -> Any:
    """`iota` in NumPy."""
    shape, axis, dtype, _ = params
    counts = np.arange(shape[axis]).astype(dtype.numpy)
    return np.broadcast_to(counts.reshape([-1 if d == axis else 1 for d in range(len(shape))]), shape)


iota = Primitive("iota", "source", lambda avals, p: aval_of(p[0], p[2], p[3]), _iota)


def _random_infer(avals: tuple[Aval, ...], params: Params) -> Aval:
    """The type of `random_bits`."""
    for a in avals:
        if a.dtype.name != "uint64" or a.shape:
            raise DTypeError(f"[random_bits] expected 0-d uint64 operands, got {a}")
    return aval_of(params[0], uint32, avals[0].device)


def philox(seed: int, counter: int, count: int) -> Any:
    """Words of the counter-based generator Philox 4x32-10 (Salmon et al., SC 2011).

    Args:
        seed: the key, below 2**64.
        counter: the number of the first block of four words.
        count: the number of words.

    Returns:
        A uint32 array of shape (count,).
    """
    blocks = (np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(counter)).astype(np.uint64)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [blocks & mask, blocks >> half, np.zeros_like(blocks), np.zeros_like(blocks)]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for step in range(10):
        if step:
            keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (p1 >> half) ^ c[1] ^ np.uint64(keys[0]), p1 & mask,
            (p0 >> half) ^ c[3] ^ np.uint64(keys[1]), p0 & mask,
        ]  # fmt: skip
    return np.stack(c, axis=1).astype(np.uint32).reshape(-1)[:count]


def _random(seed: Any, counter: Any, params: Params) -> Any:
    """`random_bits` in NumPy."""
    count = int(np.prod(params[0], dtype=np.int64))
    with np.errstate(over="ignore"):
        return philox(int(seed), int(counter), count).reshape(params[0])


random_bits = Primitive("random_bits", "source", _random_infer, _random)
