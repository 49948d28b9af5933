"""Helpers of probes: their declaration, access to the public API, and comparisons that describe what is wrong."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch.runtime import device as devices

from ...typing import ArrayLike
from ..rows import Row


class Missing(Exception):
    """A public function or class that a probe needs does not exist; the text names it."""


class Wrong(Exception):
    """A result differs from its reference; the text says how."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A small program that tests one claim.

    Args:
        name: its identifier within the row.
        title: the claim.
        run: takes a device's name, raises if the claim does not hold, and may return what it counted.
        seconds: its time limit.
    """

    name: str
    title: str
    run: Callable[[str], str | None]
    seconds: float


def probe(seconds: float = 60) -> Callable[[Callable[[str], str | None]], Probe]:
    """Declares a function as a probe.

    Its name becomes the probe's, the first line of its docstring the title, and `seconds` the time limit.
    """

    def declare(function: Callable[[str], str | None]) -> Probe:
        title = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        return Probe(function.__name__.replace("_", "-"), title, function, seconds)

    return declare


def probes_of(row: Row) -> tuple[Probe, ...]:
    """The probes of a row, in the order of their definition."""
    module = importlib.import_module(f"{__package__}.{row.module}")
    return tuple(v for v in vars(module).values() if isinstance(v, Probe))


def public(name: str) -> Any:
    """An attribute of `spiraltorch` by its dotted name. Raises `Missing` if it does not exist."""
    found: Any = st
    parts = name.split(".")
    for n, part in enumerate(parts, 1):
        try:
            found = getattr(found, part)
        except (AttributeError, ImportError):
            raise Missing(f"`st.{'.'.join(parts[:n])}`") from None
    return found


def supported(device: str) -> list[str]:
    """The names of the dtypes that a device supports."""
    known = {d.name for d in devices.get(device).target.dtypes}
    return [d.name for d in st.dtypes.ALL if d.name in known]


def dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name."""
    return st.dtypes.BY_NAME[name].numpy


def tolerance(name: str) -> float:
    """A bound of the relative error of a few correctly rounded operations in a dtype."""
    return {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-11}.get(name, 0.0)


def equal(what: str, got: ArrayLike, want: ArrayLike, rtol: float = 0.0, atol: float | None = None) -> None:
    """Raises `Wrong` unless shapes are equal and values are within tolerance; NaN equals NaN.

    Args:
        what: names the result in the error.
        got: the result.
        want: the reference.
        rtol: the relative tolerance.
        atol: the absolute tolerance; `rtol` by default.
    """
    got = np.asarray(got.numpy() if isinstance(got, st.Tensor) else got)
    want = np.asarray(want)
    if got.shape != want.shape:
        raise Wrong(f"{what}: expected shape {want.shape}, got {got.shape}")
    if rtol == 0 and atol is None:
        same = (got == want) | ((got != got) & (want != want))
    else:
        margin = rtol if atol is None else atol
        same = np.isclose(got.astype(np.float64), want.astype(np.float64), rtol, margin, equal_nan=True)
    if not np.all(same):
        first = tuple(int(i) for i in np.argwhere(~np.asarray(same))[0])
        count = int(np.size(same) - np.sum(same))
        raise Wrong(f"{what}: {count} of {np.size(same)} differ; at {first} expected {want[first]}, got {got[first]}")


def expect(condition: object, what: str) -> None:
    """Raises `Wrong` with a text unless the condition is true."""
    if not condition:
        raise Wrong(what)


def raises(what: str, error: type[Exception], function: Callable[[], object]) -> str:
    """Calls a function that must raise an exception of a class, and returns its message."""
    try:
        function()
    except error as raised:
        return str(raised)
    raise Wrong(f"{what}: expected {error.__name__}, got no error")


def kernels(*tensors: st.Tensor) -> tuple[int, int]:
    """The numbers of kernels and of operations in the plan of tensors."""
    first = st.explain(*tensors).splitlines()[0]
    found = re.match(r"plan: (\d+) kernels? for (\d+) operations?", first)
    if found is None:
        raise Wrong(f"st.explain: expected its first line to count kernels and operations, got {first!r}")
    return int(found[1]), int(found[2])
