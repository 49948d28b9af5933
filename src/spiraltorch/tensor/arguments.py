"""Arguments of functions and methods: axes, and the other spellings (`dim` is `axis`, `keepdim` is `keepdims`, ...)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, SupportsIndex, TypeVar

from ..errors import ArgumentError, IndexOutOfRange
from ..typing import Axis

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
    return _with_spellings(fn, SPELLINGS)


METHOD_SPELLINGS = {"axis": "dim", "keepdims": "keepdim"}


def array_api_spellings(fn: F) -> F:
    """Lets a method with PyTorch's arguments take the array API's names of them: `axis` is `dim`, `keepdims` `keepdim`.

    As for `torch_spellings`, the names are declared as keyword-only parameters, which the body never reads.
    """
    return _with_spellings(fn, METHOD_SPELLINGS)


def _with_spellings(fn: F, spellings: dict[str, str]) -> F:
    """The function with keyword arguments renamed before the call."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for name in spellings.keys() & kwargs.keys():
                own = spellings[name]
                if own in kwargs:
                    raise ArgumentError(
                        f"[{fn.__name__.lstrip('_')}] expected one of {name} and {own}, got both; pass one of them"
                    )
                kwargs[own] = kwargs.pop(name)
        return fn(*args, **kwargs)

    return call  # type: ignore[return-value]


def sequence_argument(op: str, values: tuple[Any, ...], named: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """What a function got as `*values`, or as one sequence by name.

    Args:
        op: the function's name, for errors.
        values: the positional arguments.
        named: the keyword arguments that the function does not declare.
        names: the names that the sequence may have.

    Raises:
        ArgumentError: there are values, or another name, beside the name.
        TypeError: the function has no argument of a name.
    """
    for name, value in named.items():
        if name not in names:
            raise TypeError(f"{op}() got an unexpected keyword argument {name!r}; it takes {' and '.join(names)}")
        if values or len(named) > 1:
            raise ArgumentError(f"[{op}] expected {name} once, got it twice; pass it by name or by position")
        values = (value,)
    return values


def axis_of(axis: SupportsIndex, ndim: int, op: str, scalar: bool = True) -> int:
    """One axis, counted from the front.

    Args:
        axis: an integer from -ndim to ndim - 1; 0 and -1 for a tensor without axes.
        ndim: the number of axes.
        op: the operation's name, for errors.
        scalar: whether 0 and -1 are allowed for a tensor without axes.

    Raises:
        ArgumentError: `axis` is not an integer.
        IndexOutOfRange: there is no such axis.
    """
    try:
        number = axis.__index__()
    except AttributeError:
        raise ArgumentError(f"[{op}] expected an int axis, got {axis!r}; pass an int") from None
    if ndim == 0 and not scalar:
        raise IndexOutOfRange(f"[{op}] expected a tensor with axes, got axis {number} of a 0-d tensor; leave it out")
    bound = max(ndim, 1)
    if not -bound <= number < bound:
        raise IndexOutOfRange(
            f"[{op}] expected an axis from {-bound} to {bound - 1}, got {number}; check the number of axes"
        )
    return int(number % bound)


def axes_of(axis: Axis, ndim: int, op: str) -> tuple[int, ...]:
    """Axes in ascending order, counted from the front; all of them for None.

    Raises:
        ArgumentError: an axis is not an integer, or is given twice.
        IndexOutOfRange: there is no such axis.
    """
    if axis is None:
        return tuple(range(ndim))
    items = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = [axis_of(a, ndim, op) for a in items]
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"[{op}] expected distinct axes, got {items}; pass each axis once")
    return tuple(sorted(axes)) if ndim else ()
