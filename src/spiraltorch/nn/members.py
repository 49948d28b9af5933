"""`ModuleMembers`: what is registered on a module. Parameters, buffers and submodules by attribute assignment, hooks.

Contract
- Registration order is the order of attribute assignment.
- Whatever could change what `forward` records (a member or hook that is new or gone, another plain attribute)
  invalidates the recordings of compiled functions. A new value inside a parameter or buffer does not: its handle stays
  the same.
- Nothing is changed by a call that raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, DTypeError
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING
from .hooks import ForwardHook, ForwardPreHook, Hook, RemovableHandle, register
from .parameter import Parameter

_MISSING = object()
_TABLES = ("_parameters", "_buffers", "_modules")
INTERNAL = frozenset((*_TABLES, "_non_persistent", "_forward_hooks", "_forward_pre_hooks"))
"""Attributes of every module that are not members."""


class ModuleMembers:
    """Base of `Module`: keeps its members in one table for each kind and finds them by attribute name."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent: set[str]
    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Hook]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent=set(),
            _forward_hooks={},
            _forward_pre_hooks={},
        )
        TRACING.invalidate_recordings()

    if TYPE_CHECKING:
        # What no class assigns or annotates is, to a type checker, a parameter or buffer registered by name.
        def __getattr__(self, name: str) -> Tensor: ...

    else:

        def __getattr__(self, name):
            members = self.__dict__
            for table in _TABLES:
                if table in members and name in members[table]:
                    return members[table][name]
            raise AttributeError(
                f"[{type(self).__name__}] expected an existing attribute, got {name!r}; check the name"
            )

    def __setattr__(self, name: str, value: object) -> None:
        members = self.__dict__
        if "_parameters" not in members:
            raise AttributeError(
                f"[{type(self).__name__}] expected super().__init__() before {name!r} is assigned; call it first"
            )
        if isinstance(value, Parameter):
            self._register("_parameters", name, value)
        elif isinstance(value, ModuleMembers):
            self._register("_modules", name, value)
        elif name in members["_parameters"] or name in members["_modules"] or name in members["_buffers"]:
            self._replace_member(name, value)
        elif isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            old = members.get(name, _MISSING)
            if old is not value:
                members[name] = value
                if type(old) is not type(value) or type(value) not in (int, str) or old != value:
                    TRACING.invalidate_recordings()

    def _replace_member(self, name: str, value: object) -> None:
        """Assigns a value that is neither a parameter nor a module to the name of a member."""
        owner, given = type(self).__name__, type(value).__name__
        if name in self._parameters:
            if value is not None:
                raise DTypeError(
                    f"[{owner}] expected a Parameter or None for {name!r}, got {given}; wrap it in nn.Parameter"
                )
            self._register("_parameters", name, None)
        elif name in self._modules:
            if value is not None:
                raise DTypeError(
                    f"[{owner}] expected a Module or None for {name!r}, got {given}; delete the attribute first"
                )
            self._register("_modules", name, None)
        else:
            if value is not None and not isinstance(value, Tensor):
                raise DTypeError(
                    f"[{owner}] expected a Tensor or None for the buffer {name!r}, got {given}; delete the buffer first"
                )
            self._register("_buffers", name, value)

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                self._non_persistent.discard(name)
                break
        else:
            object.__delattr__(self, name)
        TRACING.invalidate_recordings()

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def __setstate__(self, members: dict[str, object]) -> None:
        self.__dict__.update(members)
        TRACING.invalidate_recordings()

    def _register(self, table: str, name: str, value: object) -> None:
        """Registers `value` in one table and takes the name out of all others."""
        members = self.__dict__
        if members[table].get(name, _MISSING) is value:
            return
        members.pop(name, None)
        for other in _TABLES:
            if other != table and name in members[other]:
                del members[other][name]
        members[table][name] = value
        TRACING.invalidate_recordings()

    def _check_name(self, kind: str, name: str) -> None:
        """Raises `ArgumentError` where `name` cannot be the name of a new member."""
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError(
                f"[register_{kind}] expected a non-empty name without dots, got {name!r}; choose another"
            )
        taken = any(name in self.__dict__[table] for table in _TABLES if table != f"_{kind}s")
        if taken or (hasattr(self, name) and name not in self.__dict__[f"_{kind}s"]):
            raise ArgumentError(f"[register_{kind}] expected a free name, got {name!r}, which exists; choose another")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter under a name, as assigning it to the attribute does.

        Args:
            name: the attribute's name, without dots.
            param: the parameter; None reserves the name.

        Raises:
            ArgumentError: the name is in use, empty, or has a dot.
            DTypeError: `param` is not a `Parameter`.

        Example:
            >>> import spiraltorch as st
            >>> module = st.nn.Module()
            >>> module.register_parameter("scale", st.nn.Parameter(st.ones(2)))
            >>> list(module.state_dict())
            ['scale']
        """
        self._check_name("parameter", name)
        if param is not None and not isinstance(param, Parameter):
            raise DTypeError(
                f"[register_parameter] expected a Parameter or None, got {type(param).__name__}; wrap it in nn.Parameter"
            )
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is part of the state but is not trained.

        Args:
            name: the attribute's name, without dots.
            tensor: the buffer; None reserves the name.
            persistent: whether `state_dict` holds the buffer.

        Raises:
            ArgumentError: the name is in use, empty, or has a dot.
            DTypeError: `tensor` is not a tensor.

        Example:
            >>> import spiraltorch as st
            >>> module = st.nn.Module()
            >>> module.register_buffer("mean", st.zeros(2))
            >>> module.mean.tolist()
            [0.0, 0.0]
        """
        self._check_name("buffer", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DTypeError(f"[register_buffer] expected a Tensor or None, got {type(tensor).__name__}; convert it")
        self._register("_buffers", name, tensor)
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def register_forward_hook(
        self, hook: ForwardHook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Adds a function that is called after `forward`.

        Args:
            hook: called as `hook(module, args, output)`; a result that is not None replaces the output.
            prepend: whether it runs before the hooks that are registered already.
            with_kwargs: whether it is called as `hook(module, args, kwargs, output)`.

        Returns:
            A handle whose `remove()` takes the hook out.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Identity()
            >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
            >>> layer(st.zeros(1)).item()
            1.0
        """
        return register(self._forward_hooks, hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self, hook: ForwardPreHook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Adds a function that is called before `forward`.

        Args:
            hook: called as `hook(module, args)`; a result that is not None replaces the arguments.
            prepend: whether it runs before the hooks that are registered already.
            with_kwargs: whether it is called as `hook(module, args, kwargs)`; it then replaces both, as a pair.

        Returns:
            A handle whose `remove()` takes the hook out.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Identity()
            >>> handle = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
            >>> layer(st.zeros(1)).item()
            1.0
        """
        return register(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def extra_repr(self) -> str:
        """Describes the module's settings; subclasses override it.

        Returns:
            The text that `repr` shows between the parentheses.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(3, 2).extra_repr()
            'in_features=3, out_features=2, bias=True'
        """
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        inner = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        if not inner and len(lines) <= 1:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines + inner) + "\n)"
