"""Forward hooks of modules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from ..tensor.tracing.tracer import TRACING

if TYPE_CHECKING:
    from typing_extensions import Self

_NUMBERS = count()


class Hook(NamedTuple):
    """A registered function; `with_kwargs` hooks see the keyword arguments too."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle:
    """Takes its hook out again, by `remove()` or at the end of a `with` block."""

    def __init__(self, table: dict[int, Hook], number: int) -> None:
        self._table = table
        self.id = number

    def remove(self) -> None:
        """Takes the hook out; a second call does nothing."""
        if self._table.pop(self.id, None) is not None:
            TRACING.invalidate_recordings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register(table: dict[int, Hook], function: Callable[..., Any], first: bool, with_kwargs: bool) -> RemovableHandle:
    """Adds a hook at the end of a table, or at its beginning."""
    number = next(_NUMBERS)
    others = dict(table) if first else {}
    if first:
        table.clear()
    table[number] = Hook(function, with_kwargs)
    table.update(others)
    TRACING.invalidate_recordings()
    return RemovableHandle(table, number)


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward` between its hooks."""
    for hook in list(module._forward_pre_hooks.values()):
        if hook.with_kwargs:
            changed = hook.function(module, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        else:
            changed = hook.function(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    output = module.forward(*args, **kwargs)
    for hook in list(module._forward_hooks.values()):
        if hook.with_kwargs:
            changed = hook.function(module, args, kwargs, output)
        else:
            changed = hook.function(module, args, output)
        if changed is not None:
            output = changed
    return output
