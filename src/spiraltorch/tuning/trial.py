"""One kernel on one device: its memory filled with random numbers, its schedules run, checked and timed."""

from __future__ import annotations

import math
import statistics
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compiler.planning.table import SCALAR_FORMATS
from ..dtypes import DType, bfloat16
from ..ir.expr import Cast, Load, Lookup, Op, Value
from ..ir.index import INFINITY, FloorDiv, Index, Min, Mod
from ..ir.stmt import Accumulate, Kernel, Store, leaf_loads, leaf_values, walk, written_buffers
from ..runtime.allocator import ALIGN

SAMPLE_SECONDS = 2e-4  # a sample of a short kernel is several runs
CLEARLY = 1.15  # slower than the best by this: no need to look longer
FEWEST, MOST = 3, 12  # rounds of a first look
CERTAIN = 60  # rounds of a last one
FEW = 5  # rounds of which the best counts
PAUSE = 2e-3  # seconds
LOOK_SECONDS = 0.3


class Wrong(Exception):
    """A schedule gave another result than the rule's."""


@dataclass(frozen=True, slots=True)
class Timing:
    """A comparison with the rule's choice, a few rounds at a time. Times are medians in seconds for one run."""

    default: float
    own: float
    ratio: float  # the median of own / default
    spread: float  # how far off the ratio may be, with 95 % confidence


class Trial:
    """The memory of a kernel. `check`, `look` and `settle` compare schedules of it with the rule's choice."""

    def __init__(self, device: Any, kernel: Kernel) -> None:
        self.device = device
        self.kernel = kernel
        self.terms = _terms(kernel)
        self.stored = [n for n, b in enumerate(kernel.params) if b in written_buffers(kernel.body)]
        rng = np.random.default_rng(0)
        ranges = _ranges(kernel)
        self.arrays = [_filled(rng, max(1, b.size), b.dtype, ranges.get(n)) for n, b in enumerate(kernel.params)]
        self.buffers = [device.from_host(array) for array in self.arrays]
        self.expected: list[np.ndarray[Any, Any]] = []

    def program(self, kernel: Kernel) -> Any:
        """A schedule ready to run."""
        (compiled,) = self.device.compile([kernel], [None])
        offsets, size, align = [], 0, self.device.target.buffer_align
        for nbytes in compiled.temp_bytes:
            offsets.append(size)
            size += -(-max(nbytes, 1) // align) * align
        arena, first = len(self.buffers), len(self.buffers) + 1
        arguments = [(n, 0) for n in range(arena)]
        arguments += [(first + n, 0) for n in range(len(kernel.scalars))]
        arguments += [(arena, offset) for offset in offsets]
        made = self.device.program([(compiled, arguments)], first + len(kernel.scalars))
        return _Ready(self, made, self.device.allocate(size) if size else None)

    def remember(self, ready: Any) -> None:
        """Takes what a schedule, the rule's, gives as right."""
        self.expected = self._results(ready)

    def check(self, ready: Any) -> None:
        """Raises `Wrong` where a schedule gives something else: more than another order of the sums explains."""
        for n, got, want in zip(self.stored, self._results(ready), self.expected, strict=True):
            dtype = self.kernel.params[n].dtype
            off = _difference(got, want, dtype, self.terms)
            if off:
                raise Wrong(f"{off} of the {want.size:,} numbers that it stores in {self.kernel.params[n].name} differ")

    def _results(self, ready: Any) -> list[np.ndarray[Any, Any]]:
        """What a schedule stores, into memory that held something else before."""
        buffers = list(self.buffers)
        for n in self.stored:
            buffers[n] = self.device.from_host(self.arrays[n].copy())
        ready.fill(buffers)
        ready.program.run()
        made = []
        for n in self.stored:
            b = self.kernel.params[n]
            made.append(self.device.to_host(buffers[n], (max(1, b.size),), b.dtype.numpy).copy())
        ready.fill(self.buffers)
        return made

    def look(self, default: Any, other: Any, best: float) -> Timing:
        """A first comparison: it ends as soon as the other schedule is clearly slower than `best` times the rule's."""
        return self._compare(default, other, MOST, LOOK_SECONDS, best)

    def settle(self, default: Any, other: Any, seconds: float) -> tuple[Timing, Timing]:
        """A last one, with patience; and another with pauses before each run, when threads sleep and caches are cold."""
        hot = self._compare(default, other, CERTAIN, seconds)
        return hot, self._compare(default, other, CERTAIN, seconds, pause=PAUSE)

    def _compare(
        self, default: Any, other: Any, rounds: int, limit: float, best: float | None = None, pause: float = 0.0
    ) -> Timing:  # fmt: skip
        """Runs two schedules in turn."""
        began = time.perf_counter()
        own: list[float] = []
        rule: list[float] = []
        default.sample(pause), other.sample(pause)
        while len(own) < rounds:
            pair = (default, rule), (other, own)
            for one, times in pair if len(own) % 2 else pair[::-1]:  # neither is always the first
                times.append(one.sample(pause))
            if len(own) >= FEWEST:
                if best is not None and min(own) > CLEARLY * best * min(rule):
                    break
                if time.perf_counter() - began > limit:
                    break
        own, rule = _quickest(own), _quickest(rule)
        ratios = [a / b for a, b in zip(own, rule, strict=True)]
        return Timing(statistics.median(rule), statistics.median(own), statistics.median(ratios), _spread(ratios))


class _Ready:
    """A program with its arguments."""

    def __init__(self, trial: Trial, program: Any, arena: Any) -> None:
        self.program = program
        self.arena = arena
        self.scalars = [_number(s.dtype) for s in trial.kernel.scalars]
        words = "".join(SCALAR_FORMATS[s.dtype.name] for s in trial.kernel.scalars)
        self.layout = struct.Struct(f"={len(trial.buffers) + 1}Q{words}")
        self.runs = 1
        self.fill(trial.buffers)

    def fill(self, buffers: list[Any]) -> None:
        """Puts buffers into the program's table."""
        arena = self.arena.ptr if self.arena is not None else 0
        self.layout.pack_into(self.program.table, 0, *(b.ptr for b in buffers), arena, *self.scalars)

    def sample(self, pause: float = 0.0) -> float:
        """Seconds for one run, of several where it is short and there is no pause before it."""
        if pause:
            time.sleep(pause)
            alone: int = sum(stop - start for start, stop in self.program.timed())
            return max(alone / 1e9, 1e-9)
        total: int = sum(stop - start for _ in range(self.runs) for start, stop in self.program.timed())
        each = max(total / self.runs / 1e9, 1e-9)
        self.runs = max(1, min(64, round(SAMPLE_SECONDS / each)))
        return each


def _quickest(times: list[float]) -> list[float]:
    """The best of each few rounds: other programs on the machine only ever make a run slower."""
    few = FEW if len(times) >= 4 * FEW else len(times)
    return [min(times[n : n + few]) for n in range(0, len(times) - few + 1, few)]


def _spread(ratios: list[float]) -> float:
    """Half of the median's confidence interval, as a notched box plot has it (McGill, Tukey and Larsen, 1978)."""
    if len(ratios) < 2:
        return math.inf
    low, _, high = statistics.quantiles(ratios, n=4)
    return 1.57 * (high - low) / math.sqrt(len(ratios))


def _number(dtype: DType) -> Any:
    """A number for a scalar of the kernel."""
    if dtype is bfloat16:
        return int(np.asarray(0.5, bfloat16.numpy).view(np.uint16))
    return 0.5 if dtype.is_float else 1


def _filled(rng: np.random.Generator, size: int, dtype: DType, bounds: tuple[int, int] | None) -> np.ndarray[Any, Any]:
    """Random numbers in aligned memory: within bounds where they serve as indices."""
    raw = np.empty(size * dtype.itemsize + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    array = raw[start : start + size * dtype.itemsize].view(dtype.numpy)
    if dtype.is_float:
        array[...] = rng.standard_normal(size, np.float32)
    else:
        low, high = bounds or (0, 1)
        array[...] = rng.integers(low, high, size, endpoint=True)
    return array


def _difference(got: np.ndarray[Any, Any], want: np.ndarray[Any, Any], dtype: DType, terms: int) -> int:
    """How many numbers differ by more than roundings can explain."""
    if not dtype.is_float:
        return int(np.count_nonzero(got != want))
    a, b = got.astype(np.float64), want.astype(np.float64)
    bits = {"float16": 10, "bfloat16": 7, "float32": 23}.get(dtype.name, 52)
    finite = np.abs(b[np.isfinite(b)])
    scale = float(finite.max()) if finite.size else 0.0
    margin = 8 * 2.0**-bits * math.sqrt(terms)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= margin * (np.abs(b) + scale)
    return int(np.count_nonzero(~(near | (a == b) | (np.isnan(a) & np.isnan(b)))))


def _terms(kernel: Kernel) -> int:
    """Of the longest sum: numbers that differ by so many roundings are the same."""
    longest = 1
    for s in walk(kernel.body):
        if isinstance(s, Accumulate):
            count = 1
            for axis in s.axes:
                count *= axis.upper + 1
            longest = max(longest, count)
    return longest


def _ranges(kernel: Kernel) -> dict[int, tuple[int, int]]:
    """For integer parameters whose elements are indices: the values that every such use allows."""
    found: dict[int, tuple[int, int]] = {}
    place = {b: n for n, b in enumerate(kernel.params)}
    for lookup in _lookups(kernel):
        value, exact = lookup.value, True
        while isinstance(value, Cast) and not value.bits:
            value = value.value
        if not isinstance(value, Load):
            exact = False
        loads = [value] if isinstance(value, Load) else list(_loads(value))
        for load in loads:
            if load.buffer not in place or load.dtype.is_float:
                continue
            n, most = place[load.buffer], np.iinfo(load.dtype.numpy).max if not load.dtype.is_bool else 1
            low, high = (max(0, lookup.lower), min(lookup.upper, most)) if exact else (0, min(1, lookup.upper))
            if lookup.upper >= INFINITY:
                continue
            before = found.get(n, (low, high))
            low, high = max(low, before[0]), min(high, before[1])
            found[n] = (low, max(low, high))
    return found


def _lookups(kernel: Kernel) -> Iterator[Lookup]:
    """The computed indices of a kernel."""
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
