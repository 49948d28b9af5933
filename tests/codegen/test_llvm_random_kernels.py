"""Random kernels as LLVM renders them, against the reference interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from codegen_harness import AVX2, SSE, check, like, numbers, runs_here

from spiraltorch.dtypes import BY_NAME, DType
from spiraltorch.ir.expr import Buffer, FromIndex, Load, Value, at, cast, op
from spiraltorch.ir.expr import FromGuard as Holds
from spiraltorch.ir.guard import ALWAYS, Guard, guard
from spiraltorch.ir.index import Index, floor_div, index, minimum, mod
from spiraltorch.ir.stmt import Accumulate, If, Kernel, Kind, Stmt, Store, block, loop, loop_nest


def random_index(rng: np.random.Generator, variables: list[Index], bound: int) -> Index:
    """Some index with 0 <= value < bound wherever the variables may be."""
    made = index(int(rng.integers(0, 5)))
    for v in variables:
        made = made + v * int(rng.integers(-3, 4))
    choice = int(rng.integers(5))
    if choice == 0:
        made = floor_div(made, int(rng.integers(2, 7)))
    elif choice == 1:
        made = minimum(made, int(rng.integers(3, 20)))
    elif choice == 2 and variables:
        made = made + floor_div(variables[0] + 3, 2) * mod(made, 3)
    return mod(made, bound)


def random_value(
    rng: np.random.Generator, sources: list[Buffer], variables: list[Index], depth: int, dtype: DType
) -> Value:
    kind = int(rng.integers(8)) if depth else int(rng.integers(2))
    if kind <= 1:
        buffer = sources[int(rng.integers(len(sources)))]
        place = tuple(random_index(rng, variables, e.const) for e in buffer.shape)
        g = guard(random_index(rng, variables, 9) - int(rng.integers(0, 6))) if rng.integers(2) else ALWAYS
        return cast(Load(buffer, place, g), dtype)
    if kind == 2:
        return cast(FromIndex(random_index(rng, variables, 50)), dtype)
    if kind == 3:
        test = Holds(guard(random_index(rng, variables, 9) - 4))
        return op(
            "select",
            test,
            random_value(rng, sources, variables, depth - 1, dtype),
            random_value(rng, sources, variables, depth - 1, dtype),
        )
    name = str(rng.choice(["add", "sub", "mul", "max", "min", "floordiv", "mod"]))
    left = random_value(rng, sources, variables, depth - 1, dtype)
    right = left if rng.integers(5) == 0 else random_value(rng, sources, variables, depth - 1, dtype)
    return op(name, left, right)


@pytest.mark.parametrize("seed", range(60))
def test_random_kernels(seed: int) -> None:
    """Loops of any kind around several statements, in any dtype, with guards and repeated values."""
    rng = np.random.default_rng(seed)
    dtype = BY_NAME[str(rng.choice(["float32", "int32", "int64", "uint8", "int8", "float64", "uint32"]))]
    source = BY_NAME[str(rng.choice(["float32", "int32", "bfloat16", "bool", "int64", "float16"]))]
    a, b = Buffer("a", at(6, 7), source), Buffer("b", at(31), dtype)
    y, z = Buffer("y", at(4, 5, 8), dtype), Buffer("z", at(4), dtype)
    lanes = int(rng.choice([2, 4, 8]))
    first = loop("i", 4, Kind.PARALLEL if rng.integers(2) else Kind.SERIAL)
    second = loop("j", 5, Kind.UNROLLED if rng.integers(2) else Kind.SERIAL)
    third, lane = loop("k", 8 // lanes), loop("l", lanes, Kind.VECTOR if rng.integers(4) else Kind.SERIAL)
    column = index(third.var) * lanes + lane.var
    variables = [index(first.var), index(second.var), column]
    value = random_value(rng, [a, b], variables, 3, dtype)
    cell = (index(first.var), index(second.var), column)
    ok: Guard = guard(random_index(rng, variables, 9) - 2) if rng.integers(2) else ALWAYS
    inner: list[Stmt] = [Store(y, cell, value, ok)]
    if rng.integers(2):
        kind = str(rng.choice(["add", "max", "min"]))
        inner.append(
            Accumulate(y, cell, kind, op("add", value, Load(y, cell)), guard(random_index(rng, variables, 9) - 3))
        )
    if dtype.is_integer:
        inner.append(Accumulate(z, at(first.var), "add", value, ok))
    body: Stmt = loop_nest([second, third, lane], block(*inner))
    if rng.integers(2):
        body = If(
            guard(index(first.var) - 1),
            body,
            loop_nest(
                [third.replace(kind=Kind.SERIAL), lane],
                Store(y, (index(first.var), index(2), column), Load(b, (column,))),
            ),
        )
    kernel = Kernel("random", (a, b, y, z), loop_nest([first], body))
    data = numbers((6, 7), source, seed)
    if source.is_float and dtype.kind == "u":
        data = np.abs(data)  # NumPy promises nothing for the conversion of negative numbers
    arrays = {"a": data, "b": numbers(31, dtype, seed + 1), "y": numbers((4, 5, 8), dtype), "z": numbers(4, dtype)}
    level = [None, AVX2, SSE][seed % 3]
    check(kernel, arrays, of=like(level) if level and runs_here(level) else None, rtol=1e-5 if dtype.is_float else 0)
