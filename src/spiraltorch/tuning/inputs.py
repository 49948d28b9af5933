"""Random inputs for a kernel. Integers that the kernel uses as positions are within the bounds of every such use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..dtypes import DType
from ..ir.expr import Cast, Load, Lookup, Op, Value
from ..ir.index import INFINITY, FloorDiv, Index, Min, Mod
from ..ir.stmt import Accumulate, Kernel, Store, leaf_loads, leaf_values, walk
from ..runtime.allocator import ALIGN
from ..runtime.protocol import HostArray


def random_inputs(kernel: Kernel) -> list[HostArray]:
    """An array for each parameter, always the same ones."""
    rng = np.random.default_rng(0)
    bounds = _position_bounds(kernel)
    return [_random(rng, max(1, b.size), b.dtype, bounds.get(n)) for n, b in enumerate(kernel.params)]


def _random(rng: np.random.Generator, size: int, dtype: DType, bounds: tuple[int, int] | None) -> HostArray:
    """Random numbers in aligned memory: normal ones, or integers between bounds, which default to 0 and 1."""
    raw = np.empty(size * dtype.itemsize + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    array = raw[start : start + size * dtype.itemsize].view(dtype.numpy)
    if dtype.is_float:
        array[...] = rng.standard_normal(size, np.float32)
    else:
        low, high = bounds or (0, 1)
        array[...] = rng.integers(low, high, size, endpoint=True)
    return array


def _position_bounds(kernel: Kernel) -> dict[int, tuple[int, int]]:
    """For integer parameters, by number, whose elements serve as positions: the values that every such use allows."""
    bounds: dict[int, tuple[int, int]] = {}
    number = {b: n for n, b in enumerate(kernel.params)}
    for lookup in _lookups(kernel):
        value, exact = lookup.value, True
        while isinstance(value, Cast) and not value.bits:
            value = value.value
        if not isinstance(value, Load):
            exact = False
        loads = [value] if isinstance(value, Load) else list(_loads(value))
        for load in loads:
            if load.buffer not in number or load.dtype.is_float:
                continue
            n, most = number[load.buffer], np.iinfo(load.dtype.numpy).max if not load.dtype.is_bool else 1
            low, high = (max(0, lookup.lower), min(lookup.upper, most)) if exact else (0, min(1, lookup.upper))
            if lookup.upper >= INFINITY:
                continue
            before = bounds.get(n, (low, high))
            low, high = max(low, before[0]), min(high, before[1])
            bounds[n] = (low, max(low, high))
    return bounds


def _lookups(kernel: Kernel) -> Iterator[Lookup]:
    """The positions of a kernel that are computed from values, each once."""
    seen: set[int] = set()

    def of_index(i: Index) -> Iterator[Lookup]:
        for monomial in i.terms:
            for atom in monomial:
                if isinstance(atom, Lookup) and id(atom) not in seen:
                    seen.add(id(atom))
                    yield atom
                elif isinstance(atom, (FloorDiv, Mod, Min)):
                    yield from of_index(atom.left)
                    if isinstance(atom, Min):
                        yield from of_index(atom.right)

    for s in walk(kernel.body):
        positions = [load.position for load in leaf_loads(s)]
        if isinstance(s, (Store, Accumulate)):
            positions.append(s.position)
        for value in leaf_values(s):
            positions += [load.position for load in _loads(value)]
        for position in positions:
            for i in position:
                yield from of_index(i)


def _loads(value: Value) -> Iterator[Load]:
    """Every load in a value but those inside of positions."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        v = stack.pop()
        if id(v) in seen:
            continue
        seen.add(id(v))
        if isinstance(v, Load):
            yield v
        elif isinstance(v, Op):
            stack += v.args
        elif isinstance(v, Cast):
            stack.append(v.value)
