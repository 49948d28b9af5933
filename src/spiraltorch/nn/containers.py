"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import index as as_index
from typing import Any

from ..errors import ArgumentError, IndexOutOfRange
from .module import Module
from .parameter import Parameter


def _position(owner: Module, index: int, length: int) -> int:
    """A non-negative position; raises `IndexOutOfRange`."""
    number = as_index(index)
    if not -length <= number < length:
        raise IndexOutOfRange(
            f"[{type(owner).__name__}] expected an index in [{-length}, {length}), got {number}; check len()"
        )
    return number % length


class _Listed(Module):
    """A module whose children are named 0, 1, 2, ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._from(list(self._modules.items())[index])
        return list(self._modules.values())[_position(self, index, len(self))]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[_position(self, index, len(self))], module)

    def __delitem__(self, index: int | slice) -> None:
        kept = list(self._modules.items())
        if isinstance(index, slice):
            del kept[index]
        else:
            del kept[_position(self, index, len(self))]
        self._replace([module for _, module in kept])

    def _from(self, items: list[tuple[str, Module | None]]) -> Any:
        """A container of the same class with some of the children."""
        return type(self)([module for _, module in items])  # type: ignore[call-arg]

    def _replace(self, modules: list[Module | None]) -> None:
        """Renumbers the children."""
        for name in list(self._modules):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def append(self, module: Module) -> Any:
        """Adds a module at the end and returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Adds modules at the end and returns the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Adds a module before a position, as `list.insert` does, and returns the container."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._replace(modules)
        return self


class Sequential(_Listed):
    """Modules called one after the other; arguments are modules, or one dict of named modules.

    >>> from spiraltorch import nn, zeros
    >>> nn.Sequential(nn.Linear(4, 3), nn.ReLU())(zeros(2, 4)).shape
    (2, 3)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        items = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in items:
            self.add_module(str(name), module)

    def _from(self, items: list[tuple[str, Module | None]]) -> Any:
        return type(self)(dict(items))

    def forward(self, input: Any) -> Any:
        """Passes `input` through all modules."""
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class ModuleList(_Listed):
    """A list of modules whose parameters are registered."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())


class ModuleDict(Module):
    """A dict of modules whose parameters are registered."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Module:
        module = self._modules[key]
        assert module is not None
        return module

    def __setitem__(self, key: str, module: Module) -> None:
        if key in self._modules:
            setattr(self, key, module)
        else:
            self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._modules:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and module."""
        return self._modules.items()

    def values(self) -> ValuesView[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds or replaces modules by name."""
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key: str) -> Module:
        """Takes a module out and returns it."""
        module = self[key]
        del self[key]
        return module


class ParameterList(Module):
    """A list of parameters that are registered under their positions."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        for value in values or ():
            self.append(value)

    def append(self, value: Any) -> ParameterList:
        """Adds a parameter (a tensor is wrapped) at the end and returns the list."""
        self.register_parameter(str(len(self)), value if isinstance(value, Parameter) else Parameter(value))
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        for value in self._parameters.values():
            assert value is not None
            yield value

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[_position(self, index, len(self))]

    def __setitem__(self, index: int, value: Parameter) -> None:
        if not isinstance(value, Parameter):
            raise ArgumentError(f"[ParameterList] expected a Parameter, got {type(value).__name__}; wrap it first")
        setattr(self, str(_position(self, index, len(self))), value)
