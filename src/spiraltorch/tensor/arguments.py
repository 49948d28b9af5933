"""PyTorch's spellings of arguments, translated in one place: `dim` is `axis`, `keepdim` is `keepdims`, and so on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any])
SPELLINGS = {
    "dim": "axis", "dims": "axis", "keepdim": "keepdims", "input": "x", "other": "y", "unbiased": "correction",
}  # fmt: skip


def torch_spellings(fn: F) -> F:
    """Lets a function take PyTorch's argument names beside its own.

    A function declares the spellings of optional arguments that it takes (`dim`, `keepdim`, ...) as keyword-only
    parameters, so that `help`, type checkers and editors see them. Their values are moved to the function's own
    arguments before the call: its body never reads them. `input` and `other` stand for the required `x` and `y`, and
    are therefore not declared.
    """

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for name in SPELLINGS.keys() & kwargs.keys():
                own = SPELLINGS[name]
                if own in kwargs:
                    raise ArgumentError(f"[{fn.__name__}] expected one of {name} and {own}, got both")
                kwargs[own] = kwargs.pop(name)
        return fn(*args, **kwargs)

    return call  # type: ignore[return-value]


def axis_of(axis: Any, ndim: int, op: str) -> int:
    """One axis, counted from the front. Raises `ArgumentError` outside `[-ndim, ndim)`."""
    from ..errors import IndexOutOfRange

    try:
        number = axis.__index__()
    except AttributeError:
        raise ArgumentError(f"[{op}] expected an int axis, got {axis!r}") from None
    bound = max(ndim, 1)
    if not -bound <= number < bound:
        raise IndexOutOfRange(f"[{op}] expected an axis from {-bound} to {bound - 1}, got {number}")
    return int(number % bound)


def axes_of(axis: Any, ndim: int, op: str) -> tuple[int, ...]:
    """Sorted, distinct axes; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        axis = (axis,)
    found = [axis_of(a, ndim, op) for a in axis]
    if len(set(found)) != len(found):
        raise ArgumentError(f"[{op}] expected distinct axes, got {tuple(axis)}")
    return tuple(sorted(found)) if ndim else ()
