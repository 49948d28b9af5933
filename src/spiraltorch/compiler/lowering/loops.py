"""Loops over the axes of a value, for kernels that stand alone."""

from __future__ import annotations

from ...ir.index import Index, index
from ...ir.stmt import For, loop


def axis_loops(shape: tuple[int, ...], prefix: str = "o") -> list[For]:
    """A serial loop for each axis of a shape, named by the prefix and the axis."""
    return [loop(f"{prefix}{d}", e) for d, e in enumerate(shape)]


def positions(loops: list[For]) -> list[Index]:
    """The loops' variables as a position."""
    return [index(one.var) for one in loops]
