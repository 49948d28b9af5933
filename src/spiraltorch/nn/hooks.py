"""Forward hooks of modules: functions that run before or after `forward` and may replace what goes in or out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..tensor.tracing.tracer import TRACING

if TYPE_CHECKING:
    from typing_extensions import Self

ForwardHook: TypeAlias = Callable[..., object]
"""`hook(module, args, output)`, or `hook(module, args, kwargs, output)` if it was registered with `with_kwargs`."""

ForwardPreHook: TypeAlias = Callable[..., object]
"""`hook(module, args)`, or `hook(module, args, kwargs)` if it was registered with `with_kwargs`."""

_IDS = count()


class Hook(NamedTuple):
    """A registered function; one `with_kwargs` sees the keyword arguments too."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle:
    """Removes its hook again, by `remove()` or at the end of a `with` block.

    Modules return handles from `register_forward_hook` and `register_forward_pre_hook`.

    Example:
        >>> import spiraltorch as st
        >>> layer = st.nn.Identity()
        >>> with layer.register_forward_hook(lambda module, args, output: output + 1):
        ...     layer(st.zeros(1)).item()
        1.0
        >>> layer(st.zeros(1)).item()
        0.0
    """

    def __init__(self, table: dict[int, Hook], id: int) -> None:
        self._table = table
        self.id = id

    def remove(self) -> None:
        """Removes the hook; a second call does nothing."""
        if self._table.pop(self.id, None) is not None:
            TRACING.invalidate_recordings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register(table: dict[int, Hook], function: Callable[..., Any], prepend: bool, with_kwargs: bool) -> RemovableHandle:
    """Adds a hook at the end of a table, or at its beginning."""
    id = next(_IDS)
    others = dict(table) if prepend else {}
    if prepend:
        table.clear()
    table[id] = Hook(function, with_kwargs)
    table.update(others)
    TRACING.invalidate_recordings()
    return RemovableHandle(table, id)


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls `module.forward` between its hooks. A hook's result that is not None replaces the arguments or the output."""
    for hook in list(module._forward_pre_hooks.values()):
        if hook.with_kwargs:
            replacement = hook.function(module, args, kwargs)
            if replacement is not None:
                args, kwargs = replacement
        else:
            replacement = hook.function(module, args)
            if replacement is not None:
                args = replacement if isinstance(replacement, tuple) else (replacement,)
    output = module.forward(*args, **kwargs)
    for hook in list(module._forward_hooks.values()):
        if hook.with_kwargs:
            replacement = hook.function(module, args, kwargs, output)
        else:
            replacement = hook.function(module, args, output)
        if replacement is not None:
            output = replacement
    return output
