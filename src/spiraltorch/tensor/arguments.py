"""Arguments of functions and methods: axes, numbers, and the other spellings (`dim` is `axis`, `keepdim` is `keepdims`, ...).

NumPy's scalars are numbers wherever Python's are: `integer` and `number_of` give Python's own, which plans and keys see.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, SupportsIndex, TypeVar

import numpy as np

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


def number_of(value: object) -> float | None:
    """The Python number (bool, int or float) that a Python or NumPy scalar is; None for anything else."""
    if isinstance(value, np.generic):
        kind = value.dtype.kind
        if kind == "b":
            return bool(value)
        if kind in "iu":
            return int(value)
        return float(value) if kind == "f" or (kind == "V" and hasattr(value, "__float__")) else None
    return value if isinstance(value, (bool, int, float)) else None


def integer(value: object, op: str, name: str, least: int | None = None) -> int:
    """The Python int of an argument: of an integer of Python or NumPy, a bool, or a 0-d integer array or tensor.

    Args:
        value: the argument.
        op: the operation's name, for errors.
        name: the argument's name, for errors.
        least: the least value that is allowed.

    Raises:
        ArgumentError: the argument is not an integer, or less than `least`.
    """
    try:
        number = operator.index(bool(value) if isinstance(value, np.bool_) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"[{op}] expected an int for {name}, got {_shown(value)}; pass an int") from None
    if least is not None and number < least:
        raise ArgumentError(f"[{op}] expected {name} of at least {least}, got {number}; change {name}")
    return number


def integers(value: object, op: str, name: str, least: int | None = None) -> tuple[int, ...]:
    """The Python ints of an argument that is an integer or a sequence of them; see `integer`."""
    entries = value if isinstance(value, (tuple, list)) else (value,)
    return tuple([integer(entry, op, name, least) for entry in entries])


def is_integer(value: object) -> bool:
    """Whether `integer` takes an argument."""
    if isinstance(value, np.bool_):
        return True
    try:
        operator.index(value)  # type: ignore[arg-type]  # what it does not take is found out
    except TypeError:
        return False
    return True


def real(value: object, op: str, name: str) -> float:
    """The Python number of an argument: of a number of Python or NumPy, or a 0-d array or tensor.

    Raises:
        ArgumentError: the argument is not a number.
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    number = number_of(value)
    if number is None:
        raise ArgumentError(f"[{op}] expected a number for {name}, got {value!r}; pass an int or a float")
    return number


def check_function(fn: object, op: str) -> None:
    """Raises `ArgumentError` for what cannot be called."""
    if not callable(fn):
        raise ArgumentError(f"[{op}] expected a function as the first argument, got {fn!r}; pass a function")


_OF_TWO = {"max": "maximum", "min": "minimum", "all": "logical_and", "any": "logical_or"}


def _shown(value: object) -> str:
    """An argument for an error: an array by its shape."""
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"


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
        number = operator.index(axis)
    except (TypeError, ValueError):
        remedy = f", or st.{_OF_TWO[op]}(x, y) for the elements of two tensors" if op in _OF_TWO else ""
        raise ArgumentError(f"[{op}] expected an int axis, got {_shown(axis)}; pass an int{remedy}") from None
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
