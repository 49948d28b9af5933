"""Measurements of schedules: one kernel on one device, with random inputs.

Every schedule is checked against the rule's: results may differ by what another order of summation explains. Times are
compared in turns, since the clock of a processor and other programs change them by more than schedules do.
"""

from __future__ import annotations

import math
import statistics
import struct
import time
from dataclasses import dataclass

import numpy as np

from ..compiler.planning.table import SCALAR_FORMATS
from ..dtypes import DType, bfloat16
from ..ir.stmt import Accumulate, Kernel, walk, written_buffers
from ..runtime.protocol import Argument, Buffer, Device, HostArray, Program
from .inputs import random_inputs

SAMPLE_SECONDS = 2e-4  # a sample of a short kernel is several runs
MOST_RUNS = 64  # the most runs of a sample
SLOWER = 1.15  # a candidate that is slower than the best by this factor is not measured longer
COMPARE_ROUNDS = (3, 12)  # the least and the most rounds of a comparison
COMPARE_SECONDS = 0.3
CONFIRM_ROUNDS = 60
BLOCK = 5  # the number of rounds of which the minimum is taken
PAUSE = 2e-3  # seconds after which threads sleep


class WrongResultError(Exception):
    """A schedule stores other numbers than the rule's."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times of a candidate and of the rule's schedule, measured in turns.

    Attributes:
        default: median seconds for one run of the rule's schedule.
        ratio: the median of the candidate's time as a part of the rule's.
        spread: half of the ratio's 95 % confidence interval.
    """

    default: float
    ratio: float
    spread: float


class Trial:
    """A kernel's memory on a device, used to check and compare schedules of it."""

    def __init__(self, device: Device, kernel: Kernel) -> None:
        self.device = device
        self.kernel = kernel
        self.terms = _longest_sum(kernel)
        self.stored = [n for n, b in enumerate(kernel.params) if b in written_buffers(kernel.body)]
        self.arrays = random_inputs(kernel)
        self.buffers = [device.from_host(array) for array in self.arrays]
        self.expected: list[HostArray] = []

    def load(self, kernel: Kernel) -> LoadedSchedule:
        """Compiles a scheduled kernel and gives it arguments."""
        (compiled,) = self.device.compile([kernel], [None])
        offsets, size, align = [], 0, self.device.target.buffer_align
        for nbytes in compiled.temp_bytes:
            offsets.append(size)
            size += -(-max(nbytes, 1) // align) * align
        arena, first = len(self.buffers), len(self.buffers) + 1
        arguments: list[Argument] = [(n, 0) for n in range(arena)]
        arguments += [(first + n, 0) for n in range(len(kernel.scalars))]
        arguments += [(arena, offset) for offset in offsets]
        program = self.device.program([(compiled, arguments)], first + len(kernel.scalars))
        return LoadedSchedule(self, program, self.device.allocate(size) if size else None)

    def set_reference(self, schedule: LoadedSchedule) -> None:
        """Sets the reference results to those of a schedule, the rule's default."""
        self.expected = self._results(schedule)

    def check(self, schedule: LoadedSchedule) -> None:
        """Raises `WrongResultError` where results differ by more than another order of summation explains."""
        for n, got, want in zip(self.stored, self._results(schedule), self.expected, strict=True):
            dtype = self.kernel.params[n].dtype
            off = _differing(got, want, dtype, self.terms)
            if off:
                name = self.kernel.params[n].name
                raise WrongResultError(f"{off} of the {want.size:,} numbers that it stores in {name} differ")

    def _results(self, schedule: LoadedSchedule) -> list[HostArray]:
        """What a schedule stores, into copies of memory that held something else before."""
        buffers = list(self.buffers)
        for n in self.stored:
            buffers[n] = self.device.from_host(self.arrays[n].copy())
        schedule.set_buffers(buffers)
        schedule.program.run()
        results = []
        for n in self.stored:
            b = self.kernel.params[n]
            results.append(self.device.to_host(buffers[n], (max(1, b.size),), b.dtype.numpy).copy())
        schedule.set_buffers(self.buffers)
        return results

    def compare(self, rule: LoadedSchedule, candidate: LoadedSchedule, best: float) -> Comparison:
        """A short comparison, which ends early where the candidate is clearly slower than `best` times the rule's time."""
        return self._compare(rule, candidate, COMPARE_ROUNDS[1], COMPARE_SECONDS, best)

    def confirm(
        self, rule: LoadedSchedule, candidate: LoadedSchedule, seconds: float
    ) -> tuple[Comparison, Comparison]:  # fmt: skip
        """A long comparison without pauses, and another with pauses before each run: threads sleep, caches are cold."""
        hot = self._compare(rule, candidate, CONFIRM_ROUNDS, seconds)
        return hot, self._compare(rule, candidate, CONFIRM_ROUNDS, seconds, pause=PAUSE)

    def _compare(
        self, rule: LoadedSchedule, candidate: LoadedSchedule, rounds: int, seconds: float, best: float | None = None,
        pause: float = 0.0,
    ) -> Comparison:  # fmt: skip
        """Runs two schedules in turns."""
        began = time.perf_counter()
        own: list[float] = []
        default: list[float] = []
        rule.sample(pause), candidate.sample(pause)
        while len(own) < rounds:
            pair = (rule, default), (candidate, own)
            for one, times in pair if len(own) % 2 else pair[::-1]:  # alternate which one is first
                times.append(one.sample(pause))
            if len(own) >= COMPARE_ROUNDS[0]:
                if best is not None and min(own) > SLOWER * best * min(default):
                    break
                if time.perf_counter() - began > seconds:
                    break
        own, default = _block_minima(own), _block_minima(default)
        ratios = [a / b for a, b in zip(own, default, strict=True)]
        return Comparison(statistics.median(default), statistics.median(ratios), _confidence(ratios))


class LoadedSchedule:
    """A compiled schedule with its arguments, ready to run."""

    def __init__(self, trial: Trial, program: Program, arena: Buffer | None) -> None:
        self.program = program
        self.arena = arena
        self.scalars = [_scalar(s.dtype) for s in trial.kernel.scalars]
        words = "".join(SCALAR_FORMATS[s.dtype.name] for s in trial.kernel.scalars)
        self.layout = struct.Struct(f"={len(trial.buffers) + 1}Q{words}")
        self.runs = 1
        self.set_buffers(trial.buffers)

    def set_buffers(self, buffers: list[Buffer]) -> None:
        """Puts buffers into the program's table, beside its scratch memory and scalars."""
        arena = self.arena.ptr if self.arena is not None else 0
        self.layout.pack_into(self.program.table, 0, *(b.ptr for b in buffers), arena, *self.scalars)

    def sample(self, pause: float = 0.0) -> float:
        """Seconds for one run: the mean of several where it is short and there is no pause before it."""
        if pause:
            time.sleep(pause)
            alone: int = sum(stop - start for start, stop in self.program.timed())
            return max(alone / 1e9, 1e-9)
        total: int = sum(stop - start for _ in range(self.runs) for start, stop in self.program.timed())
        each = max(total / self.runs / 1e9, 1e-9)
        self.runs = max(1, min(MOST_RUNS, round(SAMPLE_SECONDS / each)))
        return each


def _block_minima(times: list[float]) -> list[float]:
    """The least of each few rounds: other programs on the machine only ever make a run slower."""
    block = BLOCK if len(times) >= 4 * BLOCK else len(times)
    return [min(times[n : n + block]) for n in range(0, len(times) - block + 1, block)]


def _confidence(ratios: list[float]) -> float:
    """Half of the median's confidence interval, as a notched box plot has it (McGill, Tukey and Larsen, 1978)."""
    if len(ratios) < 2:
        return math.inf
    low, _, high = statistics.quantiles(ratios, n=4)
    return 1.57 * (high - low) / math.sqrt(len(ratios))


def _scalar(dtype: DType) -> float | int:
    """A value for a scalar of the kernel, as the table holds it."""
    if dtype is bfloat16:
        return int(np.asarray(0.5, bfloat16.numpy).view(np.uint16))
    return 0.5 if dtype.is_float else 1


def _differing(got: HostArray, want: HostArray, dtype: DType, terms: int) -> int:
    """How many numbers differ by more than the rounding of sums of so many terms explains."""
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


def _longest_sum(kernel: Kernel) -> int:
    """Terms of the longest reduction."""
    longest = 1
    for s in walk(kernel.body):
        if isinstance(s, Accumulate):
            longest = max(longest, math.prod(axis.upper + 1 for axis in s.axes))
    return longest
