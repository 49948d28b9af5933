"""Sorting in the kernel IR: a stable radix sort of one row, digit by digit from the least (Knuth, TAOCP 3, 5.2.5).

Keys become unsigned integers of the same order. One walk over the row counts the digits of all passes; each pass moves
keys and their places to where the counts say.
"""

from __future__ import annotations

from collections.abc import Callable

from ..dtypes import DType, bool_, float32, int32, int64, uint8, uint16, uint32, uint64
from ..ir.expr import Buffer, Cast, Const, FromIndex, Load, Space, Value, cast, op
from ..ir.index import Index, index, lookup
from ..ir.stmt import Accumulate, Alloc, Stmt, Store, block, loop, loop_nest

DIGIT = 8
SHORTEST = 64  # rows below which clearing the counts costs more than comparing
_UNSIGNED = {1: uint8, 2: uint16, 4: uint32, 8: uint64}


def argsort_radix(
    n: int, dtype: DType, key: Callable[[Index], Value], store: Callable[[Index, Value], Stmt], descending: bool
) -> tuple[list[Buffer], list[Stmt]]:
    """Scratch, and the statements that store the permutation which sorts `key(0) ... key(n - 1)`.

    NaN counts as the greatest, and zeros of both signs as equal.
    """
    bits = _UNSIGNED[4 if dtype.is_float and dtype.itemsize == 2 else dtype.itemsize]
    place = int32 if n < 1 << 31 else int64
    passes = bits.itemsize * 8 // DIGIT
    keys = [Buffer(f"keys{t}", (index(n),), bits, Space.SCRATCH) for t in range(2)]
    order = [Buffer(f"order{t}", (index(n),), place, Space.SCRATCH) for t in range(2)]
    counts = Buffer("counts", (index(passes), index(1 << DIGIT)), place, Space.SCRATCH)
    zero, one = Const(0, place), Const(1, place)

    clear, digit = loop("clear", passes), loop("digit", 1 << DIGIT)
    parts = [loop_nest([clear, digit], Store(counts, (index(clear.var), index(digit.var)), zero))]

    first = loop("fill", n)
    i = index(first.var)
    begin: list[Stmt] = [
        Store(keys[0], (i,), _ordered(key(i), dtype, bits, descending)),
        Store(order[0], (i,), cast(FromIndex(i, int64), place)),
    ]
    for p in range(passes):
        begin.append(Accumulate(counts, (index(p), _digit(Load(keys[0], (i,)), p, bits)), "add", one))
    parts.append(loop_nest([first], block(*begin)))

    for p in range(passes):
        total = Buffer(f"total{p}", (), place, Space.REGISTER)
        mine = Buffer(f"mine{p}", (), place, Space.REGISTER)
        d = loop(f"start{p}", 1 << DIGIT)
        cell = (index(p), index(d.var))
        exclusive = block(
            Store(mine, (), Load(counts, cell)),
            Store(counts, cell, Load(total, ())),
            Store(total, (), op("add", Load(total, ()), Load(mine, ()))),
        )
        parts.append(Alloc(total, block(Store(total, (), zero), Alloc(mine, loop_nest([d], exclusive)))))
        parts.append(_moved(n, p, keys[p % 2], keys[(p + 1) % 2], order[p % 2], order[(p + 1) % 2], counts, bits))

    last = loop("done", n)
    final = cast(Load(order[passes % 2], (index(last.var),)), int64)
    parts.append(loop_nest([last], store(index(last.var), final)))
    return [*keys, *order, counts], parts


def _moved(
    n: int, p: int, keys: Buffer, new_keys: Buffer, order: Buffer, new_order: Buffer, counts: Buffer, bits: DType
) -> Stmt:  # fmt: skip
    """One pass: each element goes to the next free place of its digit."""
    place = counts.dtype
    at = loop(f"at{p}", n)
    i = (index(at.var),)
    here = Buffer(f"here{p}", (), place, Space.REGISTER)
    cell = (index(p), _digit(Load(keys, i), p, bits))
    safe = op("max", op("min", Load(here, ()), Const(n - 1, place)), Const(0, place))  # it is: for the verifier
    to = (lookup(cast(safe, int64), n - 1),)
    body = block(
        Store(here, (), Load(counts, cell)),
        Store(new_keys, to, Load(keys, i)),
        Store(new_order, to, Load(order, i)),
        Store(counts, cell, op("add", Load(here, ()), Const(1, place))),
    )
    return loop_nest([at], Alloc(here, body))


def _digit(key: Value, p: int, bits: DType) -> Index:
    """The digit of a pass as a position."""
    shifted = op("shr", key, Const(p * DIGIT, bits)) if p else key
    return lookup(cast(op("and", shifted, Const((1 << DIGIT) - 1, bits)), int64), (1 << DIGIT) - 1)


def _ordered(x: Value, dtype: DType, bits: DType, descending: bool) -> Value:
    """An unsigned integer that is less where the value comes before."""
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    if dtype is bool_:
        made: Value = cast(x, bits)
    elif dtype.is_float:
        wide = cast(x, float32) if dtype.itemsize == 2 else x
        zero = Const(0.0, wide.dtype)
        raw = Cast(op("select", op("eq", wide, zero), zero, wide), bits, bits=True)
        negative = op("ne", op("and", raw, highest), Const(0, bits))
        made = op("select", negative, op("not", raw), op("or", raw, highest))
        made = op("select", op("isnan", wide), Const((1 << bits.itemsize * 8) - 1, bits), made)
    elif dtype.kind == "i":
        made = op("xor", cast(x, bits), highest)
    else:
        made = x
    return op("not", made) if descending else made
