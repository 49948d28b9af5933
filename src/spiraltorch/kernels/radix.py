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

SHORTEST = 64  # rows below which clearing the counts costs more than comparing
LONG = 1 << 15  # rows from which on fewer passes pay for more counts
_UNSIGNED = {1: uint8, 2: uint16, 4: uint32, 8: uint64}

Key = Callable[[Index], Value]
Put = Callable[[Index, Value], Stmt]


def argsort_radix(n: int, dtype: DType, key: Key, store: Put, descending: bool) -> tuple[list[Buffer], list[Stmt]]:
    """Scratch, and the statements that store the permutation which sorts `key(0) ... key(n - 1)`.

    NaN counts as the greatest, and zeros of both signs as equal.
    """
    return _sorted(n, dtype, key, store, descending, True)


def sort_radix(n: int, dtype: DType, key: Key, store: Put, descending: bool) -> tuple[list[Buffer], list[Stmt]]:
    """The same for the values in order, which need no places beside them. -0.0 comes before 0.0."""
    return _sorted(n, dtype, key, store, descending, False)


def _sorted(
    n: int, dtype: DType, key: Key, store: Put, descending: bool, places: bool
) -> tuple[list[Buffer], list[Stmt]]:
    bits = _UNSIGNED[4 if dtype.is_float and dtype.itemsize == 2 else dtype.itemsize]
    place = int32 if n < 1 << 31 else int64
    width = bits.itemsize * 8
    digit = 11 if n >= LONG and width > 16 else 8
    passes = -(-width // digit)
    keys = [Buffer(f"keys{t}", (index(n),), bits, Space.SCRATCH) for t in range(2)]
    order = [Buffer(f"order{t}", (index(n),), place, Space.SCRATCH) for t in range(2)] if places else []
    counts = Buffer("counts", (index(passes), index(1 << digit)), place, Space.SCRATCH)
    zero, one = Const(0, place), Const(1, place)

    clear, each = loop("clear", passes), loop("digit", 1 << digit)
    parts = [loop_nest([clear, each], Store(counts, (index(clear.var), index(each.var)), zero))]

    first = loop("fill", n)
    i = index(first.var)
    begin: list[Stmt] = [Store(keys[0], (i,), _ordered(key(i), dtype, bits, descending, places))]
    if places:
        begin.append(Store(order[0], (i,), cast(FromIndex(i, int64), place)))
    for p in range(passes):
        begin.append(Accumulate(counts, (index(p), _digit(Load(keys[0], (i,)), p, bits, digit)), "add", one))
    parts.append(loop_nest([first], block(*begin)))

    for p in range(passes):
        total = Buffer(f"total{p}", (), place, Space.REGISTER)
        mine = Buffer(f"mine{p}", (), place, Space.REGISTER)
        d = loop(f"start{p}", 1 << digit)
        cell = (index(p), index(d.var))
        exclusive = block(
            Store(mine, (), Load(counts, cell)),
            Store(counts, cell, Load(total, ())),
            Store(total, (), op("add", Load(total, ()), Load(mine, ()))),
        )
        parts.append(Alloc(total, block(Store(total, (), zero), Alloc(mine, loop_nest([d], exclusive)))))
        moved = [keys[:: 1 - 2 * (p % 2)]] + ([order[:: 1 - 2 * (p % 2)]] if places else [])
        parts.append(_moved(n, p, moved, counts, bits, digit))

    last = loop("done", n)
    at = (index(last.var),)
    final = (
        cast(Load(order[passes % 2], at), int64) if places else _restored(Load(keys[passes % 2], at), dtype, descending)
    )
    parts.append(loop_nest([last], store(index(last.var), final)))
    return [*keys, *order, counts], parts


def _moved(n: int, p: int, moved: list[list[Buffer]], counts: Buffer, bits: DType, digit: int) -> Stmt:
    """One pass: each element, by its key and what goes with it, moves to the next free place of its digit."""
    place = counts.dtype
    at = loop(f"at{p}", n)
    i = (index(at.var),)
    here = Buffer(f"here{p}", (), place, Space.REGISTER)
    cell = (index(p), _digit(Load(moved[0][0], i), p, bits, digit))
    safe = op("max", op("min", Load(here, ()), Const(n - 1, place)), Const(0, place))  # it is: for the verifier
    to = (lookup(cast(safe, int64), n - 1),)
    body = block(
        Store(here, (), Load(counts, cell)),
        *[Store(new, to, Load(old, i)) for old, new in moved],
        Store(counts, cell, op("add", Load(here, ()), Const(1, place))),
    )
    return loop_nest([at], Alloc(here, body))


def _digit(key: Value, p: int, bits: DType, digit: int) -> Index:
    """The digit of a pass as a position."""
    shifted = op("shr", key, Const(p * digit, bits)) if p else key
    return lookup(cast(op("and", shifted, Const((1 << digit) - 1, bits)), int64), (1 << digit) - 1)


def _ordered(x: Value, dtype: DType, bits: DType, descending: bool, equal_zeros: bool) -> Value:
    """An unsigned integer that is less where the value comes before."""
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    if dtype is bool_:
        made: Value = cast(x, bits)
    elif dtype.is_float:
        wide = cast(x, float32) if dtype.itemsize == 2 else x
        zero = Const(0.0, wide.dtype)
        raw = Cast(op("select", op("eq", wide, zero), zero, wide) if equal_zeros else wide, bits, bits=True)
        negative = op("ne", op("and", raw, highest), Const(0, bits))
        made = op("select", negative, op("not", raw), op("or", raw, highest))
        made = op("select", op("isnan", wide), Const((1 << bits.itemsize * 8) - 1, bits), made)
    elif dtype.kind == "i":
        made = op("xor", cast(x, bits), highest)
    else:
        made = x
    return op("not", made) if descending else made


def _restored(key: Value, dtype: DType, descending: bool) -> Value:
    """The value of which `_ordered` made the key."""
    bits = key.dtype
    highest = Const(1 << (bits.itemsize * 8 - 1), bits)
    made = op("not", key) if descending else key
    if dtype is bool_:
        return op("ne", made, Const(0, bits))
    if dtype.is_float:
        positive = op("ne", op("and", made, highest), Const(0, bits))
        raw = op("select", positive, op("xor", made, highest), op("not", made))
        return cast(Cast(raw, float32 if bits.itemsize == 4 else dtype, bits=True), dtype)
    return cast(op("xor", made, highest), dtype) if dtype.kind == "i" else made
