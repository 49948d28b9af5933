"""Gradient modes: whether operations record gradients. The mode belongs to the current thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, overload

from ...graph.node import GRAD_MODE

P = ParamSpec("P")
R = TypeVar("R")


class GradMode:
    """A context manager and decorator that sets the gradient mode and restores it at the end."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._previous: list[bool] = []

    def __enter__(self) -> None:
        self._previous.append(GRAD_MODE.on)
        GRAD_MODE.on = self.mode

    def __exit__(self, *_: object) -> None:
        GRAD_MODE.on = self._previous.pop()

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Wraps a function so that its body runs in this mode."""

        @functools.wraps(fn)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            with GradMode(self.mode):
                return fn(*args, **kwargs)

        return wrapped


@overload
def no_grad(fn: None = None) -> GradMode: ...
@overload
def no_grad(fn: Callable[P, R]) -> Callable[P, R]: ...
def no_grad(fn: Callable[P, R] | None = None) -> GradMode | Callable[P, R]:
    """Turns the recording of gradients off: results of operations require none.

    Args:
        fn: a function to wrap; without it, the result is a context manager that is a decorator too.

    Returns:
        A context manager, or `fn` with its body in this mode.

    Example:
        >>> import spiraltorch as st
        >>> x = st.ones(2, requires_grad=True)
        >>> with st.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """
    return GradMode(False) if fn is None else GradMode(False)(fn)


@overload
def enable_grad(fn: None = None) -> GradMode: ...
@overload
def enable_grad(fn: Callable[P, R]) -> Callable[P, R]: ...
def enable_grad(fn: Callable[P, R] | None = None) -> GradMode | Callable[P, R]:
    """Turns the recording of gradients on, inside of `no_grad`.

    Args:
        fn: a function to wrap; without it, the result is a context manager that is a decorator too.

    Returns:
        A context manager, or `fn` with its body in this mode.

    Example:
        >>> import spiraltorch as st
        >>> x = st.ones(2, requires_grad=True)
        >>> with st.no_grad(), st.enable_grad():
        ...     y = x * 2
        >>> y.requires_grad
        True
    """
    return GradMode(True) if fn is None else GradMode(True)(fn)


class set_grad_enabled(GradMode):  # PyTorch's name
    """Sets the gradient mode immediately; as a context manager, restores it at the end.

    Args:
        mode: whether operations record gradients.

    Example:
        >>> import spiraltorch as st
        >>> with st.set_grad_enabled(False):
        ...     st.is_grad_enabled()
        False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._previous.append(GRAD_MODE.on)
        GRAD_MODE.on = mode

    def __enter__(self) -> None:
        pass


def is_grad_enabled() -> bool:
    """Whether operations record gradients in this thread.

    Returns:
        The current mode; True unless it was changed.

    Example:
        >>> import spiraltorch as st
        >>> st.is_grad_enabled()
        True
    """
    return GRAD_MODE.on
