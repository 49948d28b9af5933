"""A row of the benchmark: inputs, a reference in float64, and one program for each library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

import numpy as np

from ..typing import NDArray

Size: TypeAlias = Mapping[str, int]
LibraryTensor: TypeAlias = Any
"""A tensor of the library that is measured."""
LibraryResult: TypeAlias = Any
"""A tensor of the library, a number, or nested tuples, lists and dicts of them."""
Program: TypeAlias = Callable[..., Callable[..., LibraryResult]]
"""`program(library, **size)` returns the function of the row's tensors that is measured."""


class Mode(Enum):
    """How a row's function is called."""

    COMPILED = "compiled"  # through the library's compiler, if it has one
    EAGER = "eager"  # each call records and evaluates
    RECORD = "record"  # each call records, and nothing is evaluated


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        name: its name for `--rows`.
        title: its text in tables; may contain sizes, as in `softmax {n}x{m}`.
        inputs: `inputs(rng, **size)` returns the NumPy arrays that the function is called with, floats as float32.
        programs: a program for each library, by `Library.program_key`.
        reference: `reference(*inputs)` computes the result in float64 with NumPy, as an array or nested tuples of them.
            Without it, torch's program in float64 is the reference.
        size: the sizes.
        small_size: those sizes that differ in tests.
        tolerance: the largest relative error, in the 2-norm of each array of the result.
        mode: how the function is called.
        grad: the program computes gradients, by `Library.value_and_grad` or of parameters.
        state: every call changes the state, as a training step does; the function returns a number, and the numbers of
            the first three calls are compared.
        operations: the number of operations in one call, for times of one operation.

    Example:
        >>> from spiraltorch.benchmark.rows import ROWS
        >>> ROWS["softmax"].label
        'softmax 4096x1024'
    """

    name: str
    title: str
    inputs: Callable[..., tuple[NDArray, ...]]
    programs: Mapping[str, Program]
    reference: Callable[..., Any] | None = None
    size: Size = field(default_factory=dict)
    small_size: Size = field(default_factory=dict)
    tolerance: float = 1e-5
    mode: Mode = Mode.COMPILED
    grad: bool = False
    state: bool = False
    operations: int = 1

    @property
    def label(self) -> str:
        """The title with the values of the sizes."""
        return self.title.format(**self.size)

    def with_size(self, **size: int) -> Row:
        """The row with other sizes; those that are not given stay."""
        return replace(self, size={**self.size, **size})

    def small(self) -> Row:
        """The row with the sizes for tests."""
        return self.with_size(**self.small_size)

    def arrays(self) -> tuple[NDArray, ...]:
        """The inputs, equal at every call."""
        return self.inputs(np.random.default_rng(0), **self.size)


def shared(program: Program, **others: Program) -> dict[str, Program]:
    """Programs of a row whose program for SpiralTorch and torch is the same."""
    return {"spiraltorch": program, "torch": program, **others}


def random_normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> NDArray:
    """Normally distributed float32 numbers."""
    values: NDArray = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
    return values


def to_float64(x: NDArray) -> NDArray:
    """A floating array in float64; others as they are."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def flatten(result: LibraryResult) -> list[Any]:
    """The leaves of nested tuples, lists and dicts."""
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in flatten(part)]
    return [result]


def relative_error(got: list[NDArray], want: list[NDArray]) -> float:
    """The largest relative error in the 2-norm over the arrays of a result; infinite for other shapes or NaN."""
    if len(got) != len(want):
        return float("inf")
    worst = 0.0
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        if g.shape != w.shape or not np.isfinite(g).all():
            return float("inf")
        size = float(np.linalg.norm(w))
        worst = max(worst, float(np.linalg.norm(g - w)) / (size or 1.0))
    return worst
