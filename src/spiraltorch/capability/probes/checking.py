"""What probes are made of: the declaration, the tries of the public API, and comparisons that say what was wrong."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch.runtime import device as devices

from ..rows import Row


class Missing(Exception):
    """What a probe needs is not there; the text names it."""


class Wrong(Exception):
    """A result differs from its reference; the text says how."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A program that takes a device's name, raises where the claim does not hold, and may return what it counted."""

    name: str
    title: str
    run: Callable[[str], str | None]
    seconds: float


def probe(seconds: float = 60) -> Callable[[Callable[[str], str | None]], Probe]:
    """Declares a probe: its name is the function's, its title the docstring's first line, `seconds` its time limit."""

    def declare(function: Callable[[str], str | None]) -> Probe:
        title = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        return Probe(function.__name__.replace("_", "-"), title, function, seconds)

    return declare


def probes_of(row: Row) -> tuple[Probe, ...]:
    """The probes of a row, in the order of their module."""
    module = importlib.import_module(f"{__package__}.{row.module}")
    return tuple(v for v in vars(module).values() if isinstance(v, Probe))


def public(name: str) -> Any:
    """An attribute of the package by its dotted name. Raises `Missing` where there is none."""
    found: Any = st
    parts = name.split(".")
    for n, part in enumerate(parts, 1):
        try:
            found = getattr(found, part)
        except (AttributeError, ImportError):
            raise Missing(f"`st.{'.'.join(parts[:n])}`") from None
    return found


def supported(device: str) -> list[str]:
    """Names of the dtypes that a device computes with."""
    known = {d.name for d in devices.get(device).target.dtypes}
    return [d.name for d in st.dtypes.ALL if d.name in known]


def dtype(name: str) -> Any:
    """The NumPy dtype of a name."""
    return st.dtypes.BY_NAME[name].numpy


def tolerance(name: str) -> float:
    """A relative error that a few correctly rounded operations in this dtype stay within."""
    return {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-11}.get(name, 0.0)


def equal(what: str, got: Any, want: Any, rtol: float = 0.0, atol: float | None = None) -> None:
    """Raises `Wrong` unless shapes are equal and values are within tolerance; NaN equals NaN."""
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


def expect(condition: Any, what: str) -> None:
    """Raises `Wrong` with a text unless the condition holds."""
    if not condition:
        raise Wrong(what)


def raises(what: str, error: type[Exception], function: Callable[[], Any]) -> str:
    """Runs a function that must raise an error of a class; returns the message."""
    try:
        function()
    except error as raised:
        return str(raised)
    raise Wrong(f"{what}: expected {error.__name__}, got no error")


def kernels(*tensors: Any) -> tuple[int, int]:
    """How many kernels the plan of the tensors has, and how many operations it is for."""
    first = st.explain(*tensors).splitlines()[0]
    found = re.match(r"plan: (\d+) kernels? for (\d+) operations?", first)
    if found is None:
        raise Wrong(f"st.explain: expected its first line to count kernels and operations, got {first!r}")
    return int(found[1]), int(found[2])
