"""Modules that hold modules or parameters: in sequence, as a list, as a dict."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from operator import index as as_index
from typing import TYPE_CHECKING, overload

from ..errors import ArgumentError, IndexOutOfRange
from ..tensor.tensor import Tensor
from ..typing import ArrayLike
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from typing_extensions import Self


def _position(owner: Module, index: int, length: int) -> int:
    """A non-negative position; raises `IndexOutOfRange`."""
    number = as_index(index)
    if not -length <= number < length:
        raise IndexOutOfRange(
            f"[{type(owner).__name__}] expected an index in [{-length}, {length}), got {number}; check len()"
        )
    return number % length


class _ModuleSequence(Module):
    """Base of `Sequential` and `ModuleList`: submodules at positions, named 0, 1, 2, ... unless they got names."""

    _modules: dict[str, Module]  # type: ignore[assignment]  # None only where a user puts it there

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._with(list(self._modules.items())[index])
        return list(self._modules.values())[_position(self, index, len(self))]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[_position(self, index, len(self))], module)

    def __delitem__(self, index: int | slice) -> None:
        kept = list(self._modules.values())
        if isinstance(index, slice):
            del kept[index]
        else:
            del kept[_position(self, index, len(self))]
        self._renumber(kept)

    def _with(self, items: list[tuple[str, Module]]) -> Self:
        """A container of the same class with the given submodules."""
        raise NotImplementedError

    def _renumber(self, modules: list[Module]) -> None:
        """Replaces all submodules by the given ones, named 0, 1, 2, ..."""
        for name in list(self._modules):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def append(self, module: Module) -> Self:
        """Adds a module at the end.

        Args:
            module: the module.

        Returns:
            The container.

        Example:
            >>> import spiraltorch as st
            >>> len(st.nn.ModuleList().append(st.nn.ReLU()))
            1
        """
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end.

        Args:
            modules: the modules.

        Returns:
            The container.

        Example:
            >>> import spiraltorch as st
            >>> len(st.nn.ModuleList().extend([st.nn.ReLU(), st.nn.Tanh()]))
            2
        """
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Adds a module before a position, as `list.insert` does.

        Args:
            index: the position.
            module: the module.

        Returns:
            The container.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.ModuleList([st.nn.ReLU()]).insert(0, st.nn.Tanh())[0]
            Tanh()
        """
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)
        return self


class Sequential(_ModuleSequence):
    """Modules that are called one after the other, each with the output of the one before.

    An int index gives a module, a slice a `Sequential`.

    Args:
        *args: the modules, or one dict of named modules.

    Shape:
        the input of the first module, the output of the last one.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Sequential(st.nn.Linear(4, 3), st.nn.ReLU())(st.zeros(2, 4)).shape
        (2, 3)
    """

    @overload
    def __init__(self, *args: Module) -> None: ...
    @overload
    def __init__(self, args: Mapping[str, Module], /) -> None: ...
    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        items: Iterable[tuple[object, object]] = enumerate(args)
        if len(args) == 1 and isinstance(args[0], Mapping):
            items = args[0].items()
        for name, module in items:
            self.add_module(str(name), module)  # type: ignore[arg-type]  # which checks it

    def _with(self, items: list[tuple[str, Module]]) -> Self:
        return type(self)(dict(items))

    def forward(self, input: Tensor) -> Tensor:
        """Passes `input` through all modules.

        Args:
            input: the input of the first module.

        Returns:
            The output of the last module.
        """
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_ModuleSequence):
    """A list of modules whose parameters are registered. It has no `forward`.

    An int index gives a module, a slice a `ModuleList`.

    Args:
        modules: the modules.

    Example:
        >>> import spiraltorch as st
        >>> layers = st.nn.ModuleList([st.nn.Linear(2, 2) for _ in range(2)])
        >>> list(layers.state_dict())
        ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None and not isinstance(modules, Iterable):
            raise ArgumentError(f"[ModuleList] expected a sequence of modules, got {modules!r}; pass a list")
        self.extend(modules or ())

    def _with(self, items: list[tuple[str, Module]]) -> Self:
        return type(self)([module for _, module in items])


class ModuleDict(Module):
    """A dict of modules whose parameters are registered. It has no `forward`.

    Args:
        modules: the modules by name.

    Example:
        >>> import spiraltorch as st
        >>> heads = st.nn.ModuleDict({"a": st.nn.Linear(2, 1)})
        >>> heads["a"](st.zeros(3, 2)).shape
        (3, 1)
    """

    _modules: dict[str, Module]  # type: ignore[assignment]  # None only where a user puts it there

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
        """Returns the names, as `dict.keys` does.

        Returns:
            A view of the names.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.ModuleDict({"a": st.nn.ReLU()}).keys())
            ['a']
        """
        return self._modules.keys()

    def items(self) -> ItemsView[str, Module]:
        """Returns pairs of name and module, as `dict.items` does.

        Returns:
            A view of the pairs.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.ModuleDict({"a": st.nn.ReLU()}).items())
            [('a', ReLU())]
        """
        return self._modules.items()

    def values(self) -> ValuesView[Module]:
        """Returns the modules, as `dict.values` does.

        Returns:
            A view of the modules.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.ModuleDict({"a": st.nn.ReLU()}).values())
            [ReLU()]
        """
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds or replaces modules by name.

        Args:
            modules: a dict, or pairs of name and module.

        Example:
            >>> import spiraltorch as st
            >>> layers = st.nn.ModuleDict({"a": st.nn.ReLU()})
            >>> layers.update({"b": st.nn.Tanh()})
            >>> list(layers)
            ['a', 'b']
        """
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key: str) -> Module:
        """Removes a module.

        Args:
            key: its name.

        Returns:
            The module.

        Raises:
            KeyError: no module has that name.

        Example:
            >>> import spiraltorch as st
            >>> layers = st.nn.ModuleDict({"a": st.nn.ReLU()})
            >>> layers.pop("a"), len(layers)
            (ReLU(), 0)
        """
        module = self[key]
        del self[key]
        return module


class ParameterList(Module):
    """A list of parameters that are registered under their positions. It has no `forward`.

    Args:
        values: parameters, or tensors and arrays of which parameters are made.

    Example:
        >>> import spiraltorch as st
        >>> scales = st.nn.ParameterList([st.ones(2), st.zeros(3)])
        >>> list(scales.state_dict()), scales[1].shape
        (['0', '1'], (3,))
    """

    def __init__(self, values: Iterable[ArrayLike] | None = None) -> None:
        super().__init__()
        for value in values or ():
            self.append(value)

    def append(self, value: ArrayLike) -> Self:
        """Adds a parameter at the end.

        Args:
            value: a parameter, or a tensor or array of which one is made.

        Returns:
            The list.

        Example:
            >>> import spiraltorch as st
            >>> len(st.nn.ParameterList().append(st.ones(2)))
            1
        """
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
