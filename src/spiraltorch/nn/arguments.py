"""Types and checks of the arguments that layers are constructed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..errors import ArgumentError
from ..tensor.arguments import integers, is_integer, real

Size1d: TypeAlias = int | tuple[int]
Size2d: TypeAlias = int | tuple[int, int]
Size3d: TypeAlias = int | tuple[int, int, int]
"""A setting of one, two or three spatial axes; an int stands for all of them."""


def check_positive(owner: str, **sizes: int) -> None:
    """Raises `ArgumentError` for a size below 1."""
    for name, size in sizes.items():
        if not is_integer(size) or size < 1:
            raise ArgumentError(f"[{owner}] expected a positive integer for {name}, got {size!r}; change {name}")


def check_probability(owner: str, name: str, value: float) -> None:
    """Raises `ArgumentError` for a probability outside [0, 1]."""
    if not 0.0 <= real(value, owner, name) <= 1.0:
        raise ArgumentError(f"[{owner}] expected {name} in [0, 1], got {value}; change {name}")


def per_axis(owner: str, name: str, value: int | Sequence[int], axes: int, minimum: int = 0) -> tuple[int, ...]:
    """`value` for each spatial axis.

    Raises:
        ArgumentError: another number of entries than `axes`, or an entry below `minimum`.
    """
    given = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(given) != axes or not all(is_integer(entry) and entry >= minimum for entry in given):
        raise ArgumentError(
            f"[{owner}] expected {name} as an integer >= {minimum} or {axes} of them, got {value!r}; change {name}"
        )
    return integers(given, owner, name)
