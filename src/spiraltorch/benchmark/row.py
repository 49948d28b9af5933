"""What a row of the benchmark is: inputs, a definition in float64, and one program for each library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

Size = Mapping[str, int]
Program = Callable[..., Callable[..., Any]]  # program(library, **size) gives a function of the row's tensors


class Mode(Enum):
    """How a row's function is called."""

    COMPILED = "compiled"  # by the library's own means, where it has them
    EAGER = "eager"  # each call records and evaluates
    RECORD = "record"  # only recorded: nothing is evaluated


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `title` may name sizes, as in "softmax {n}x{m}". `inputs(rng, **size)` gives NumPy arrays, in float32 where they are
    floating. `reference(*inputs)` computes the result from them in float64 NumPy; without one, the float64 result is that
    of the program for torch, in float64. Results are arrays or nested tuples of them. `tolerance` bounds the relative
    error in the 2-norm of every array. A program with `grad` takes gradients, by `library.value_and_grad` or of parameters.
    One with `state` changes it at every call: it returns a number, and those of the first three calls are compared. `unit`
    is how many of what the title names are done in one call.
    """

    name: str
    title: str
    inputs: Callable[..., tuple[Any, ...]]
    programs: Mapping[str, Program]
    reference: Callable[..., Any] | None = None
    size: Size = field(default_factory=dict)
    small: Size = field(default_factory=dict)
    tolerance: float = 1e-5
    mode: Mode = Mode.COMPILED
    grad: bool = False
    state: bool = False
    unit: int = 1

    @property
    def label(self) -> str:
        """The title with the sizes in place."""
        return self.title.format(**self.size)

    def at(self, **size: int) -> Row:
        """The same row at another size; sizes that are not named stay."""
        return replace(self, size={**self.size, **size})

    def reduced(self) -> Row:
        """The same row so small that a test can run it."""
        return self.at(**self.small)

    def arrays(self) -> tuple[Any, ...]:
        """The inputs: the same ones every time."""
        return self.inputs(np.random.default_rng(0), **self.size)


def shared(program: Program, **others: Program) -> dict[str, Program]:
    """Programs where one is written so that SpiralTorch and torch both run it."""
    return {"spiraltorch": program, "torch": program, **others}


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Any:
    """Normally distributed float32 numbers."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)


def double(x: Any) -> Any:
    """An array in float64 where it is floating; integers stay."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def flat(result: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dicts."""
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in flat(part)]
    return [result]


def relative_error(got: list[Any], want: list[Any]) -> float:
    """The greatest relative error in the 2-norm over the arrays of a result; infinite where shapes differ or NaN appears."""
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
